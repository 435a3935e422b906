//! Everything that this project asks the `git` program: reading trees, writing commits and refs, fetching, pushing.
//!
//! Each call is one or a few short-lived children. None of them sees a `GIT_*` variable of ours, runs a hook of the
//! repository, or speaks another protocol than those that were allowed; operands never pass for options.

mod answer;
mod error;
mod merge;
mod read;
mod refs;
mod remote;
mod repository;
mod write;

pub use error::GitError;
pub use merge::MergeTree;
pub use read::{CommitFacts, PathChange, TreeEntry, TreeFile};
pub use refs::{RefChange, RefUpdate, Reference};
pub use remote::PushOutcome;
pub use repository::{Git, GitOptions, InitOptions, LocalProtocol, MINIMUM_VERSION, ObjectFormat, PlainHttp};
pub use write::{CommitIdentity, TreeChange};

/// The mode of a gitlink in a tree: the commit of a submodule.
pub const MODE_GITLINK: u32 = 0o160_000;
/// The mode of a symbolic link in a tree.
pub const MODE_SYMLINK: u32 = 0o120_000;
/// The mode of an executable file in a tree.
pub const MODE_EXECUTABLE: u32 = 0o100_755;
/// The mode of a plain file in a tree.
pub const MODE_FILE: u32 = 0o100_644;

/// The expected old value of a ref that must not exist yet.
pub const ABSENT: &str = "0000000000000000000000000000000000000000";

/// Whether an object id is git's way to say that there is none.
fn is_absent(id: &str) -> bool {
    id.bytes().all(|byte| byte == b'0')
}
