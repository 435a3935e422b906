//! How many requests go to one host at a time, and when it wants to be left alone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// One host that is asked: all requests to it pass here.
#[derive(Debug)]
pub(crate) struct HostGate {
    slots: Semaphore,
    paused_until: Mutex<Option<Instant>>,
}

/// The host asked to wait, and the deadline is before that.
#[derive(Debug)]
pub(crate) struct PausedBeyond(pub(crate) Duration);

impl HostGate {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { slots: Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS)), paused_until: Mutex::new(None) }
    }

    /// Waits for a free slot and for the end of a pause. The caller bounds the wait for a slot by its deadline.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, PausedBeyond> {
        loop {
            let slot = self.slots.acquire().await.expect("the semaphore is never closed");
            let Some(until) = self.paused_until() else { return Ok(slot) };
            let now = Instant::now();
            if until <= now {
                return Ok(slot);
            }
            if until >= deadline {
                return Err(PausedBeyond(until - now));
            }
            drop(slot);
            tokio::time::sleep_until(until).await;
        }
    }

    /// Sends nothing for a while: one request was told to wait, so the others would be told as well.
    pub(crate) fn pause(&self, wait: Duration) {
        let Some(until) = Instant::now().checked_add(wait) else { return };
        let mut paused_until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused_until = Some(paused_until.map_or(until, |other| other.max(until)));
    }

    fn paused_until(&self) -> Option<Instant> {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everybody_back_until_it_ends() {
        let gate = HostGate::new(2);
        let start = Instant::now();
        gate.pause(Duration::from_secs(10));
        gate.pause(Duration::from_secs(5));
        let slot = gate.enter(start + Duration::from_secs(60)).await.unwrap();
        assert_eq!(Instant::now() - start, Duration::from_secs(10));
        drop(slot);
    }

    #[tokio::test(start_paused = true)]
    async fn b8_no_more_requests_at_one_time_than_allowed() {
        let gate = HostGate::new(2);
        let deadline = Instant::now() + Duration::from_secs(60);
        let first = gate.enter(deadline).await.unwrap();
        let _second = gate.enter(deadline).await.unwrap();
        tokio::time::timeout(Duration::from_secs(1), gate.enter(deadline)).await.unwrap_err();
        drop(first);
        let _third = tokio::time::timeout(Duration::from_secs(1), gate.enter(deadline)).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn f14_a_pause_beyond_the_deadline_ends_at_once() {
        let gate = HostGate::new(1);
        let start = Instant::now();
        gate.pause(Duration::from_secs(3600));
        let PausedBeyond(wait) = gate.enter(start + Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(wait, Duration::from_secs(3600));
        assert_eq!(Instant::now(), start);
    }
}
