//! The wall clock, which the caller hands in.

use std::fmt;

use lock_model::Timestamp;

/// Where the time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now, in whole seconds.
    fn now(&self) -> Timestamp;

    /// The ledger has this many records now. A clock that stands still for tests advances with it.
    fn ledger_holds(&self, _records: u64) {}
}
