//! The clock: read here and nowhere else.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use lock_model::Timestamp;
use orchestrator::{Clock, Error, ErrorKind, Result};

use crate::environment;

/// Where the time comes from.
#[derive(Debug)]
pub(crate) enum ProgramClock {
    /// The machine's clock, read once: from there on time passes as the monotonic clock says, so that a machine whose clock
    /// is set meanwhile ends no step before its beginning.
    System {
        /// What the machine's clock said, since 1970.
        began: Duration,
        /// The same moment.
        at: Instant,
    },
    /// A fixed start that advances a second with each record of the ledger: for tests and the demo.
    Fixed {
        start: Timestamp,
        /// Records of the ledger, as far as they were seen.
        records: AtomicI64,
    },
}

/// The fixed clock that the environment names, or the machine's.
pub(crate) fn clock() -> Result<ProgramClock> {
    let Some(text) = environment::read(environment::CLOCK) else { return Ok(ProgramClock::system()) };
    let start = text.parse().map_err(|error: lock_model::TimestampError| {
        Error::from_source(ErrorKind::Usage, format!("`{}` is no time", environment::CLOCK.name), error)
    })?;
    Ok(ProgramClock::Fixed { start, records: AtomicI64::new(0) })
}

impl Clock for ProgramClock {
    fn now(&self) -> Timestamp {
        match self {
            Self::System { began, at } => {
                let seconds = began.saturating_add(at.elapsed()).as_secs();
                Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
            }
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

impl ProgramClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    fn system() -> Self {
        let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::System { began, at: Instant::now() }
    }
}
