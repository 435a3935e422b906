use std::fmt;
use std::sync::Arc;

use lock_model::Timestamp;

/// Gives the local forge the times that it writes into its files.
///
/// A forge on a server has a clock of its own; the local one reads no clock and is given this one. Clones are the
/// same clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now` each time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that always shows the same time.
    pub fn fixed(time: Timestamp) -> Self {
        Self::new(move || time)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}
