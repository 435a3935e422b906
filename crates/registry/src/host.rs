//! How many requests go to one host at a time, and when it wants to be left alone.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

use crate::error::RegistryErrorKind;
use crate::retry::RetryPolicy;

/// The longest pauses double this often.
const HIGHEST_LEVEL: u32 = 8;
/// How many times as many requests a host gets over HTTP/2: they share its connections. With 32 as the option, that is
/// what servers commonly take on one connection.
const MULTIPLEXED: usize = 4;

/// One host that is asked: all requests to it pass here.
///
/// Each time the host is too busy it gets half as many requests at a time, after a pause that doubles; each round of
/// good answers gives back one slot and halves the next pause. One that is too busy as often as a single request would be
/// sent, with no good answer between, is given up for all of them until the pause ends.
#[derive(Debug)]
pub(crate) struct HostGate {
    slots: Semaphore,
    pace: Mutex<Pace>,
    given_up: watch::Sender<Option<GivenUp>>,
}

/// What a host did at last before it was given up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LastFailure {
    Busy { status: u16, retry_after: Option<Duration> },
    TimedOut { limit: Duration },
}

impl LastFailure {
    /// `None` for what says nothing of the whole host.
    pub(crate) fn of(kind: &RegistryErrorKind) -> Option<Self> {
        match *kind {
            RegistryErrorKind::Busy { status, retry_after, .. } => Some(Self::Busy { status, retry_after }),
            RegistryErrorKind::TimedOut { limit, .. } => Some(Self::TimedOut { limit }),
            _ => None,
        }
    }

    pub(crate) fn of_host(self, host: String) -> RegistryErrorKind {
        match self {
            Self::Busy { status, retry_after } => RegistryErrorKind::Busy { host, status, retry_after },
            Self::TimedOut { limit } => RegistryErrorKind::TimedOut { host, limit },
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct GivenUp {
    failure: LastFailure,
    until: Instant,
}

#[derive(Debug)]
struct Pace {
    /// Requests at a time where nothing is wrong.
    most: usize,
    is_multiplexed: bool,
    /// Requests at a time now.
    limit: usize,
    /// Slots that are in use and go away when they come back.
    owed: usize,
    /// Good answers since the last change.
    good: usize,
    /// How often the pause is doubled.
    level: u32,
    /// How often it was too busy since the last good answer, where requests that were sent together count once.
    failures: u32,
    slowed_at: Option<Instant>,
    paused_until: Option<Instant>,
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    gate: &'a HostGate,
    permit: Option<SemaphorePermit<'a>>,
    entered: Instant,
}

/// Why a request is not sent.
#[derive(Debug)]
pub(crate) enum Closed {
    /// The host asked to wait, and the deadline is before that.
    PausedBeyond(Duration),
    /// The host is given up for now.
    GivenUp(LastFailure),
}

impl HostGate {
    pub(crate) fn new(concurrency: usize) -> Self {
        let most = concurrency.min(Semaphore::MAX_PERMITS);
        let pace = Pace {
            most,
            is_multiplexed: false,
            limit: most,
            owed: 0,
            good: 0,
            level: 0,
            failures: 0,
            slowed_at: None,
            paused_until: None,
        };
        Self { slots: Semaphore::new(most), pace: Mutex::new(pace), given_up: watch::Sender::new(None) }
    }

    /// The host answers over HTTP/2: it gets more at a time from now on. One that was too busy has to earn it.
    pub(crate) fn is_multiplexed(&self) {
        let mut pace = self.pace();
        if pace.is_multiplexed {
            return;
        }
        pace.is_multiplexed = true;
        let more = pace.most.saturating_mul(MULTIPLEXED - 1).min(Semaphore::MAX_PERMITS - pace.most);
        let was_busy = pace.limit < pace.most || pace.level > 0;
        pace.most += more;
        if !was_busy {
            pace.limit += more;
            self.slots.add_permits(more);
        }
    }

    /// Waits for a free slot and for the end of a pause, unless the host is given up. The caller bounds the wait for a slot by
    /// its deadline.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<Slot<'_>, Closed> {
        let mut given_up = self.given_up.subscribe();
        let ended = pin!(given_up.wait_for(|state| state.is_some_and(|state| state.until > Instant::now())));
        match select(ended, pin!(self.enter_open(deadline))).await {
            Either::Left((state, _)) => {
                let state = state.expect("this holds the sender");
                Err(Closed::GivenUp(state.expect("it was waited for").failure))
            }
            Either::Right((entered, _)) => entered,
        }
    }

    /// Whether the host is given up for now, so that nothing is sent again.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.borrow().is_some_and(|state| state.until > Instant::now())
    }

    async fn enter_open(&self, deadline: Instant) -> Result<Slot<'_>, Closed> {
        loop {
            let permit = self.slots.acquire().await.expect("the semaphore is never closed");
            let entered = Instant::now();
            let slot = Slot { gate: self, permit: Some(permit), entered };
            let Some(until) = self.pace().paused_until.filter(|until| *until > entered) else { return Ok(slot) };
            if until >= deadline {
                return Err(Closed::PausedBeyond(until - entered));
            }
            drop(slot);
            tokio::time::sleep_until(until).await;
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot<'_> {
    /// The host answered as one that has time.
    pub(crate) fn went_well(&self) {
        let mut pace = self.gate.pace();
        pace.failures = 0;
        pace.good += 1;
        if pace.good < pace.limit || (pace.level == 0 && pace.limit == pace.most) {
            return;
        }
        pace.good = 0;
        pace.level = pace.level.saturating_sub(1);
        if pace.limit < pace.most {
            pace.limit += 1;
            if pace.owed > 0 {
                pace.owed -= 1;
            } else {
                self.gate.slots.add_permits(1);
            }
        }
    }

    /// The host is too busy: nothing is sent for a while, and less at a time after that. `asked` is the pause that it
    /// asks for: one request was told, the others would be told as well.
    pub(crate) fn was_too_much(&self, asked: Option<Duration>, policy: &RetryPolicy) {
        let mut pace = self.gate.pace();
        let now = Instant::now();
        // What was on its way before the last change says nothing about the pace since.
        let news = pace.slowed_at.is_none_or(|at| at <= self.entered);
        let mut pause = asked.unwrap_or_default();
        if news {
            if asked.is_none() {
                pause = policy.wait(pace.level, None);
            }
            pace.level = (pace.level + 1).min(HIGHEST_LEVEL);
            pace.failures = pace.failures.saturating_add(1);
            pace.good = 0;
            pace.slowed_at = Some(now);
            let limit = (pace.limit / 2).max(1);
            let less = pace.limit - limit;
            pace.limit = limit;
            pace.owed += less - self.gate.slots.forget_permits(less);
        }
        if let Some(until) = now.checked_add(pause) {
            pace.paused_until = Some(pace.paused_until.map_or(until, |other| other.max(until)));
        }
    }

    /// Gives the host up for now where it failed so in every round that a request has.
    pub(crate) fn give_up_after(&self, failure: LastFailure, policy: &RetryPolicy) {
        let pace = self.gate.pace();
        if let Some(until) = pace.paused_until.filter(|_| pace.failures > policy.retries) {
            self.gate.given_up.send_replace(Some(GivenUp { failure, until }));
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut pace = self.gate.pace();
        if pace.owed > 0
            && let Some(permit) = self.permit.take()
        {
            pace.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { retries: 3, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(8) };

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(6000)
    }

    /// How many requests get through at once.
    async fn width(gate: &HostGate) -> usize {
        let mut slots = vec![gate.enter(far()).await.unwrap()];
        while let Ok(slot) = tokio::time::timeout(Duration::from_millis(1), gate.enter(far())).await {
            slots.push(slot.unwrap());
        }
        slots.len()
    }

    async fn pause(gate: &HostGate, asked: Option<Duration>) -> Duration {
        gate.enter(far()).await.unwrap().was_too_much(asked, &POLICY);
        let start = Instant::now();
        drop(gate.enter(far()).await.unwrap());
        Instant::now() - start
    }

    #[tokio::test(start_paused = true)]
    async fn b8_a_pause_holds_everybody_back_until_it_ends() {
        let gate = HostGate::new(2);
        let start = Instant::now();
        let slot = gate.enter(far()).await.unwrap();
        slot.was_too_much(Some(Duration::from_secs(10)), &POLICY);
        slot.was_too_much(Some(Duration::from_secs(5)), &POLICY);
        drop(slot);
        drop(gate.enter(far()).await.unwrap());
        assert_eq!(Instant::now() - start, Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn b8_no_more_requests_at_one_time_than_allowed() {
        let gate = HostGate::new(2);
        assert_eq!(width(&gate).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn b8_a_busy_host_gets_half_and_then_more_again_after_good_answers() {
        let gate = HostGate::new(8);
        for width_after in [4, 2, 1, 1] {
            pause(&gate, None).await;
            assert_eq!(width(&gate).await, width_after);
        }
        for width_after in 2..=8 {
            // One round: as many good answers as there are slots.
            for _ in 1..width_after {
                gate.enter(far()).await.unwrap().went_well();
            }
            assert_eq!(width(&gate).await, width_after);
        }
        for _ in 0..100 {
            gate.enter(far()).await.unwrap().went_well();
        }
        assert_eq!(width(&gate).await, 8, "never more than allowed");
    }

    #[tokio::test(start_paused = true)]
    async fn b8_a_host_with_http_2_gets_more_unless_it_was_too_busy() {
        let gate = HostGate::new(2);
        gate.is_multiplexed();
        gate.is_multiplexed();
        assert_eq!(width(&gate).await, 8);
        pause(&gate, None).await;
        assert_eq!(width(&gate).await, 4);
        let gate = HostGate::new(2);
        pause(&gate, None).await;
        gate.is_multiplexed();
        assert_eq!(width(&gate).await, 1);
        for _ in 0..100 {
            gate.enter(far()).await.unwrap().went_well();
        }
        assert_eq!(width(&gate).await, 8, "earned");
    }

    #[tokio::test(start_paused = true)]
    async fn b8_pauses_grow_to_the_longest_and_shrink_again() {
        let gate = HostGate::new(1);
        for seconds in [1, 2, 4, 8, 8] {
            assert_eq!(pause(&gate, None).await, Duration::from_secs(seconds));
        }
        for _ in 0..4 {
            gate.enter(far()).await.unwrap().went_well();
        }
        assert_eq!(pause(&gate, None).await, Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn b8_requests_refused_together_slow_the_host_down_once() {
        let gate = HostGate::new(8);
        let mut slots = Vec::new();
        for _ in 0..8 {
            slots.push(gate.enter(far()).await.unwrap());
        }
        tokio::time::advance(Duration::from_millis(10)).await;
        for slot in &slots {
            slot.was_too_much(None, &POLICY);
        }
        drop(slots);
        assert_eq!(width(&gate).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn b8_a_host_that_never_answers_is_given_up_for_all_until_the_pause_ends() {
        let failure = LastFailure::Busy { status: 500, retry_after: None };
        let fail = async |gate: &HostGate| {
            let slot = gate.enter(far()).await.unwrap();
            slot.was_too_much(None, &POLICY);
            slot.give_up_after(failure, &POLICY);
        };
        let gate = HostGate::new(8);
        for round in 0..=POLICY.retries {
            assert!(!gate.is_given_up(), "{round}");
            fail(&gate).await;
        }
        let start = Instant::now();
        assert!(matches!(gate.enter(far()).await, Err(Closed::GivenUp(LastFailure::Busy { status: 500, .. }))));
        assert_eq!(Instant::now(), start, "a request waits for a host that was given up");
        tokio::time::advance(Duration::from_secs(8)).await;
        assert!(!gate.is_given_up());
        gate.enter(far()).await.unwrap().went_well();
        fail(&gate).await;
        assert!(!gate.is_given_up(), "one good answer begins the count anew");
    }

    #[tokio::test(start_paused = true)]
    async fn f14_a_pause_beyond_the_deadline_ends_at_once() {
        let gate = HostGate::new(1);
        let start = Instant::now();
        gate.enter(far()).await.unwrap().was_too_much(Some(Duration::from_secs(3600)), &POLICY);
        let closed = gate.enter(start + Duration::from_secs(60)).await.unwrap_err();
        assert!(matches!(closed, Closed::PausedBeyond(wait) if wait == Duration::from_secs(3600)), "{closed:?}");
        assert_eq!(Instant::now(), start);
    }
}
