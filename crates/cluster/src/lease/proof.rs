//! What is known of a Lease that is held, and how old the newest proof of it is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::keeper::{GIVE_UP, LeaseState};

/// How old an answer of the API server may be that a write rests on.
///
/// Far below [`LEASE_DURATION`](super::LEASE_DURATION): another run that waits for the Lease has it at the earliest a minute after
/// the last renewal, and this one counts it as lost ten seconds before.
pub const LEASE_PROOF: Duration = Duration::from_secs(2);

/// A time on a clock that also runs while the machine sleeps: a Lease expires in the meantime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    #[cfg(target_os = "linux")]
    pub(super) fn now() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        let time = clock_gettime(ClockId::Boottime);
        let whole = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
        Self(whole + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default()))
    }

    /// Other systems have no such clock that is read alike: the time since the first question.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn now() -> Self {
        use std::sync::LazyLock;
        static BEGIN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
        Self(BEGIN.elapsed())
    }

    /// This long before now.
    pub(super) fn ago(age: Duration) -> Self {
        Self(Self::now().0.saturating_sub(age))
    }

    fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// When the requests were sent whose answers say that the Lease is ours.
#[derive(Clone, Copy, Debug)]
struct Proven {
    /// A renewal or a look.
    held: Moment,
    renewed: Moment,
}

/// What the keeper's task and those who write know together.
#[derive(Debug)]
pub(super) struct Knowledge {
    state: watch::Sender<LeaseState>,
    proven: Mutex<Proven>,
    /// One asks, the others wait for the same answer.
    pub(super) asking: tokio::sync::Mutex<()>,
}

/// What an answer of the API server was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Look,
    Renewal,
}

impl Knowledge {
    /// Of a Lease that was taken, or renewed, then.
    pub(super) fn new(renewed: Moment) -> Self {
        let proven = Mutex::new(Proven { held: renewed, renewed });
        Self { state: watch::Sender::new(LeaseState::Held), proven, asking: tokio::sync::Mutex::new(()) }
    }

    pub(super) fn state(&self) -> LeaseState {
        self.state.borrow().clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<LeaseState> {
        self.state.subscribe()
    }

    /// Sets the state; what is lost stays lost.
    pub(super) fn set(&self, state: LeaseState) {
        self.state.send_if_modified(|known| {
            let is_new = *known != state && !matches!(known, LeaseState::Lost(_));
            if is_new {
                *known = state;
            }
            is_new
        });
    }

    /// The API server says that the Lease is ours, in answer to a request that was sent then.
    pub(super) fn prove(&self, sent: Moment, asked: Asked) {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.held = proven.held.max(sent);
        if asked == Asked::Renewal {
            proven.renewed = proven.renewed.max(sent);
        }
    }

    /// Whether a write may rest on what is known.
    pub(super) fn is_fresh(&self) -> bool {
        self.proven().held.elapsed() < LEASE_PROOF
    }

    /// Whether the last renewal is so long ago that another run may take the Lease soon.
    pub(super) fn is_overdue(&self) -> bool {
        self.proven().renewed.elapsed() >= GIVE_UP
    }

    fn proven(&self) -> Proven {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::LeaseLoss;

    #[test]
    fn f6_a_write_rests_on_a_young_answer_and_a_renewal_that_still_holds() {
        let ago = |seconds| Moment::ago(Duration::from_secs(seconds));
        let of = |held, renewed| {
            let knowledge = Knowledge::new(ago(renewed));
            knowledge.prove(ago(held), Asked::Look);
            (knowledge.is_fresh(), knowledge.is_overdue())
        };
        assert_eq!(of(0, 0), (true, false));
        assert_eq!(of(1, 20), (true, false), "a look is enough while the renewal holds");
        assert_eq!(of(3, 3), (false, false));
        assert_eq!(of(0, 51), (true, true), "a look is no renewal");
        let knowledge = Knowledge::new(ago(51));
        knowledge.prove(ago(0), Asked::Renewal);
        assert!(knowledge.is_fresh() && !knowledge.is_overdue());
    }

    #[test]
    fn f8_a_lease_that_was_lost_stays_lost() {
        let knowledge = Knowledge::new(Moment::now());
        knowledge.set(LeaseState::Lost(LeaseLoss::Taken));
        knowledge.set(LeaseState::Held);
        assert!(matches!(knowledge.state(), LeaseState::Lost(_)));
    }
}
