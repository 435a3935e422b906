//! The local forge: a bare git repository and a folder of JSON files beside it.
//!
//! It has a method for each function of the port, and blocks. What people do on it is in [`simulator`](crate::simulator).

mod access;
mod artefacts;
pub(crate) mod branches;
pub(crate) mod bypasses;
mod clock;
mod comments;
pub(crate) mod commits;
mod lease;
mod ledger_rules;
mod merge_ref;
mod open;
pub(crate) mod pull_files;
pub(crate) mod pulls;
pub(crate) mod refs;
pub(crate) mod releases;
pub(crate) mod reviews;
mod statuses;
pub(crate) mod store;
pub(crate) mod wire;

pub(crate) use access::{check_line, check_text};
pub use clock::Clock;
pub use open::LocalForge;
