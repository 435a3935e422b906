//! The clock: read here and nowhere else.

use lock_model::Timestamp;

/// Where the time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The machine's clock.
    System,
    /// A fixed start that advances a second with each record of the ledger: for tests and the demo.
    Fixed(Timestamp),
}

impl Clock {
    /// The time now, given how many records the ledger holds.
    pub(crate) fn now(self, records: u64) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Fixed(start) => {
                let elapsed = i64::try_from(records).unwrap_or(i64::MAX);
                Timestamp::from_unix_seconds(start.as_unix_seconds().saturating_add(elapsed))
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
fn system_now() -> Timestamp {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX));
    Timestamp::from_unix_seconds(seconds)
}
