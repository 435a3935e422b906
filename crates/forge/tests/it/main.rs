//! The local forge on real repositories, with real pushes, and with other processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]
#![expect(clippy::disallowed_methods, reason = "the tests start this crate's own program, and kill it")]

mod commits;
mod crashes;
mod formats;
mod hook;
mod lease;
mod ledger;
mod merge_ref;
mod merging;
mod notes;
mod port;
mod pulls;
mod releases;
mod shop;
