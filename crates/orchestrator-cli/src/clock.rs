//! The clock: read here and nowhere else.

use std::sync::atomic::{AtomicI64, Ordering};

use lock_model::Timestamp;
use orchestrator::{Clock, Error, ErrorKind, Result};

use crate::environment;

/// Where the time comes from.
#[derive(Debug)]
pub(crate) enum ProgramClock {
    /// The machine's clock.
    System,
    /// A fixed start that advances a second with each record of the ledger: for tests and the demo.
    Fixed {
        start: Timestamp,
        /// Records of the ledger, as far as they were seen.
        records: AtomicI64,
    },
}

/// The fixed clock that the environment names, or the machine's.
pub(crate) fn clock() -> Result<ProgramClock> {
    let Some(text) = environment::read(environment::CLOCK) else { return Ok(ProgramClock::System) };
    let start = text.parse().map_err(|error: lock_model::TimestampError| {
        Error::from_source(ErrorKind::Usage, format!("`{}` is no time", environment::CLOCK.name), error)
    })?;
    Ok(ProgramClock::Fixed { start, records: AtomicI64::new(0) })
}

impl Clock for ProgramClock {
    fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Fixed { start, records } => {
                let seconds = start.as_unix_seconds().saturating_add(records.load(Ordering::Relaxed));
                Timestamp::from_unix_seconds(seconds)
            }
        }
    }

    fn ledger_holds(&self, records: u64) {
        if let Self::Fixed { records: seen, .. } = self {
            seen.store(i64::try_from(records).unwrap_or(i64::MAX), Ordering::Relaxed);
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
