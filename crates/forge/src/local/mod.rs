//! The local forge: a bare repository and a folder of files.

mod access;
mod artefacts;
mod branches;
mod bypasses;
mod comments;
mod commits;
mod hook;
mod lease;
mod merge;
mod open;
mod pulls;
mod refs;
mod releases;
mod reviews;
mod statuses;
mod store;
mod wire;

pub use hook::{ACTOR_VARIABLE, HookProgram};
pub use lease::{Lease, LeaseOutcome};
pub use open::{ForgeSettings, LocalForge};
pub use refs::LEDGER_BRANCH;
