//! Version 1 of the lock as it is written: flat, every alternative an optional field.
//!
//! Flat because a reader then knows the line of every problem, which tagged enums lose. The same structs give the JSON
//! form of a lock and its JSON Schema.

#[cfg(feature = "yaml")]
mod check;
mod format;
#[cfg(feature = "schema")]
mod rule;

/// The version of the lock's format that this crate reads and writes.
pub const LOCK_VERSION: u64 = 1;

pub(crate) use format::{WireLock, WireService, WireThirdParty};
#[cfg(feature = "schema")]
pub(crate) use rule::pull_request;
