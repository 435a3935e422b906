//! The clock: read here and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lock_model::Timestamp;

/// Where the time comes from. Clones are the same clock.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// Tests and the demo start here, and advance a second with each record of the ledger.
    fixed: Option<Timestamp>,
    records: Arc<AtomicU64>,
}

impl Clock {
    /// The machine's clock, or a fixed start that advances a second with each record of the ledger.
    pub(crate) fn new(fixed: Option<Timestamp>) -> Self {
        Self { fixed, records: Arc::default() }
    }

    /// The time now, given how many records the ledger holds.
    pub(crate) fn now(&self, records: u64) -> Timestamp {
        match self.fixed {
            None => system_now(),
            Some(start) => {
                let elapsed = i64::try_from(records).unwrap_or(i64::MAX);
                Timestamp::from_unix_seconds(start.as_unix_seconds().saturating_add(elapsed))
            }
        }
    }

    /// The ledger was seen to hold so many records.
    pub(crate) fn ledger_holds(&self, records: u64) {
        self.records.store(records, Ordering::Relaxed);
    }

    /// The same clock for the local forge: its time is that of the ledger as it was seen last.
    pub(crate) fn of_the_forge(&self) -> forge::local::Clock {
        let clock = self.clone();
        forge::local::Clock::new(move || clock.now(clock.records.load(Ordering::Relaxed)))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
fn system_now() -> Timestamp {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX));
    Timestamp::from_unix_seconds(seconds)
}
