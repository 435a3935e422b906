//! Making, judging, comparing, publishing, committing and rejecting locks.

mod adopt;
mod approvers;
mod check;
mod commit;
mod compose;
mod diff;
mod files;
mod generate;
mod migrate;
mod publish;
mod reject;

pub use check::{LockCheckRequest, check_lock};
pub use commit::commit_lock;
pub use compose::{ComposeRequest, compose_override};
pub use diff::{diff_locks, diff_locks_with_commits};
pub(crate) use files::lock_file_at;
pub use files::read_lock;
pub use generate::{LockGenerateRequest, generate_lock};
pub use migrate::{Adoption, LockMigrateRequest, migrate_lock};
pub(crate) use publish::own_lock_changes;
pub use publish::{LockPublishRequest, publish_lock};
pub use reject::reject_lock;

use lock_model::Lock;

use crate::context::Local;
use crate::context::Surroundings;
use crate::error::Result;
use crate::report::v1::LockShowReport;

/// A lock in words.
pub fn show_lock(lock: &Lock) -> LockShowReport {
    lock.into()
}

/// Reads a lock by the name of a file, or of a revision of the repository that holds one, and shows it.
///
/// # Errors
///
/// As [`read_lock`].
pub fn show_lock_of(repository: &std::path::Path, name: &str, surroundings: &Surroundings) -> Result<LockShowReport> {
    Ok(show_lock(&read_lock(name, surroundings, || Local::open(repository, surroundings))?))
}
