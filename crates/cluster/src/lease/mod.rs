//! The right of one run to change an environment of a cluster, as a Kubernetes Lease with a fencing number.
//!
//! Clocks are not compared: a waiter takes a Lease over when it has not seen a renewal for the whole duration on its own
//! monotonic clock, and a holder gives up before that time is over on its own (F6–F9).

mod keeper;
mod proof;
mod record;

use std::fmt;
use std::time::Duration;

use lock_model::Timestamp;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::error::{ClusterError, ClusterErrorKind};
use crate::object::{Kind, Object, ObjectKey};
use crate::transport::can_retry;
pub use keeper::{LeaseKeeper, LeaseState};
pub use proof::LEASE_PROOF;
use record::Record;

/// How long a Lease holds without a renewal.
pub const LEASE_DURATION: Duration = Duration::from_secs(60);
/// How often it is renewed.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(15);
/// How often a waiter looks whether the holder renews.
const LOOK: Duration = Duration::from_secs(2);

/// Which Lease: `orchestrator-ENVIRONMENT` in the namespace of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasePlace {
    /// The namespace of the environment.
    pub namespace: String,
    /// The name of the environment.
    pub environment: String,
}

impl LeasePlace {
    /// The key of the Lease.
    pub fn key(&self) -> ObjectKey {
        let kind = Kind::new("coordination.k8s.io/v1", "Lease");
        ObjectKey::namespaced(kind, &self.namespace, format!("orchestrator-{}", self.environment))
    }
}

/// Who holds a Lease, or wants to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseHolder {
    /// Identity of the repository: a holder of another one is never waited for.
    pub repository: String,
    /// Identity of the run.
    pub run: String,
    /// The attempt of the run: a second one has the same identity otherwise.
    pub attempt: u32,
    /// Different for each process.
    pub nonce: String,
    /// Where people see the run.
    pub link: Option<String>,
}

/// A Lease is held under a condition that the caller decides.
#[derive(Clone, Debug, Default)]
pub struct LeaseRequest {
    /// How long another holder is waited for.
    pub wait: Duration,
    /// The fencing number is larger than this: the largest one in the records.
    pub above: u64,
    /// A holder that is known to have ended, or that a person wants to break, by its nonce; also one of another repository.
    pub ended: Option<String>,
}

/// What became of a request.
#[derive(Debug)]
pub enum LeaseAnswer {
    /// It is held from now on.
    Held(Box<HeldLease>),
    /// Another run of this repository holds it and renews.
    Busy(LeaseHolder),
    /// A run of another repository holds it: the namespace belongs to another environment.
    Foreign(LeaseHolder),
}

/// A Lease that was held at the time of the last renewal.
#[derive(Clone, Debug)]
pub struct HeldLease {
    connection: Connection,
    place: LeasePlace,
    holder: LeaseHolder,
    number: u64,
    /// When the last renewal that succeeded was sent.
    renewed: Instant,
}

/// What the live Lease says to its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseCheck {
    /// It is ours.
    Ours,
    /// It is ours, and a rollback asks for it.
    YieldTo(String),
    /// It is no longer ours.
    Lost(LeaseLoss),
}

/// Why a Lease is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseLoss {
    /// Another run has taken it, with a larger number.
    Taken,
    /// Its object was deleted.
    Deleted,
    /// Its object says something that no run writes.
    Edited,
    /// No renewal came through in time.
    NotRenewed,
    /// The API server refused a renewal, in its words.
    Refused(String),
    /// Its holder has ended.
    Ended,
}

impl fmt::Display for LeaseLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "another run has taken the lease",
            Self::Deleted => "its Lease object was deleted",
            Self::Edited => "its Lease object was changed, by no run",
            Self::NotRenewed => "the lease could not be renewed in time",
            Self::Refused(words) => words,
            Self::Ended => "its holder has ended",
        })
    }
}

impl Connection {
    /// Takes the Lease, waiting for another run of the same repository; `now` gives the wall time, which is only written.
    pub async fn acquire_lease(
        &self,
        place: &LeasePlace,
        holder: &LeaseHolder,
        request: &LeaseRequest,
        now: &(dyn Fn() -> Timestamp + Sync),
        waiting: &(dyn Fn(&LeaseHolder) + Sync),
    ) -> Result<LeaseAnswer, ClusterError> {
        let end = Instant::now() + request.wait;
        let mut observed: Option<(String, Instant)> = None;
        loop {
            let sent = Instant::now();
            let live = self.find(&place.key()).await?;
            let record = live.as_ref().map(Record::of);
            let free = match &record {
                None => true,
                Some(record) => match &record.holder {
                    None => true,
                    Some(other) if other.nonce == holder.nonce => true,
                    Some(other) if request.ended.as_ref() == Some(&other.nonce) => true,
                    Some(other) if other.repository != holder.repository => {
                        return Ok(LeaseAnswer::Foreign(other.clone()));
                    }
                    Some(other) => {
                        let version = record.renewal.clone();
                        let since = match &observed {
                            Some((seen, since)) if *seen == version => *since,
                            Some(_) | None => {
                                waiting(other);
                                observed = Some((version, sent));
                                sent
                            }
                        };
                        since.elapsed() >= record.duration
                    }
                },
            };
            if free {
                match self.take_lease(place, holder, request, live.as_ref(), record.as_ref(), now()).await {
                    Ok(number) => {
                        let (connection, place, holder) = (self.clone(), place.clone(), holder.clone());
                        let lease = HeldLease { connection, place, holder, number, renewed: sent };
                        return Ok(LeaseAnswer::Held(Box::new(lease)));
                    }
                    // Another waiter was faster, or our own answer was lost: look again.
                    Err(error) if matches!(error.kind(), ClusterErrorKind::Conflict { .. }) => continue,
                    Err(error) => return Err(error),
                }
            }
            let holder = record.and_then(|record| record.holder);
            match holder.filter(|_| Instant::now() + LOOK > end) {
                Some(holder) => return Ok(LeaseAnswer::Busy(holder)),
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    async fn take_lease(
        &self,
        place: &LeasePlace,
        holder: &LeaseHolder,
        request: &LeaseRequest,
        live: Option<&Object>,
        record: Option<&Record>,
        now: Timestamp,
    ) -> Result<u64, ClusterError> {
        let held = record.filter(|record| record.holder.as_ref().is_some_and(|held| held.nonce == holder.nonce));
        let number = match held {
            Some(record) if record.number > request.above && counts(record.number, request.above) => record.number,
            Some(_) | None => next_number(record.map_or(0, |record| record.number), request.above),
        };
        let object = Record::object(place, holder, number, now, live)?;
        match live {
            None => self.create(&object).await?,
            Some(_) => self.replace(&object).await?,
        };
        Ok(number)
    }

    /// Asks the run that holds the Lease to stop, as a rollback does. `false` where the Lease has no holder.
    pub async fn ask_to_yield(&self, place: &LeasePlace, to: &str) -> Result<bool, ClusterError> {
        loop {
            let Some(live) = self.find(&place.key()).await? else { return Ok(false) };
            if Record::of(&live).holder.is_none() {
                return Ok(false);
            }
            match self.replace(&Record::with_yield(&live, to)?).await {
                Ok(_) => return Ok(true),
                Err(error) if matches!(error.kind(), ClusterErrorKind::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The run that holds the Lease now; `None` where it has no holder.
    pub async fn lease_holder(&self, place: &LeasePlace) -> Result<Option<LeaseHolder>, ClusterError> {
        Ok(self.find(&place.key()).await?.and_then(|live| Record::of(&live).holder))
    }
}

/// A number above that of the Lease and those that were used before.
///
/// A number that no count of holders comes to was written by hand, and is left out: the ledger would keep it for ever.
fn next_number(of_the_lease: u64, used: u64) -> u64 {
    let of_the_lease = Some(of_the_lease).filter(|number| counts(*number, used));
    of_the_lease.map_or(used, |number| number.max(used)).saturating_add(1)
}

/// Whether holders can have come to a number since the largest that is recorded.
fn counts(number: u64, used: u64) -> bool {
    number.saturating_sub(used) <= 1 << 30
}

/// Why a Lease with this record is not that of the holder of a number: each run that takes it has a larger one.
fn loss(number: u64, nonce: &str, record: &Record) -> Option<LeaseLoss> {
    let is_ours = record.holder.as_ref().is_some_and(|held| held.nonce == nonce);
    match (is_ours, record.number == number) {
        (true, true) => None,
        (false, false) if record.number > number && counts(record.number, number) => Some(LeaseLoss::Taken),
        (true | false, _) => Some(LeaseLoss::Edited),
    }
}

impl HeldLease {
    /// The fencing number: larger than that of every holder before.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How long this process may still count on the Lease without a renewal.
    pub fn remaining(&self) -> Duration {
        LEASE_DURATION.saturating_sub(self.renewed.elapsed())
    }

    /// Reads the live Lease: to be asked before each write.
    pub async fn check(&self) -> Result<LeaseCheck, ClusterError> {
        Ok(self.read().await?.map_or_else(LeaseCheck::Lost, |(_, check)| check))
    }

    async fn read(&self) -> Result<Result<(Object, LeaseCheck), LeaseLoss>, ClusterError> {
        let Some(live) = self.connection.find(&self.place.key()).await? else { return Ok(Err(LeaseLoss::Deleted)) };
        let record = Record::of(&live);
        Ok(match loss(self.number, &self.holder.nonce, &record) {
            Some(loss) => Err(loss),
            None => Ok((live, record.yield_to.map_or(LeaseCheck::Ours, LeaseCheck::YieldTo))),
        })
    }

    /// Renews it, unless it was lost.
    pub async fn renew(&mut self, now: Timestamp) -> Result<LeaseCheck, ClusterError> {
        let sent = Instant::now();
        loop {
            let (live, check) = match self.read().await? {
                Ok(found) => found,
                Err(loss) => return Ok(LeaseCheck::Lost(loss)),
            };
            match self.connection.replace(&Record::renewed(&live, now)?).await {
                Ok(_) => {
                    self.renewed = sent;
                    return Ok(check);
                }
                // A request to yield came in between.
                Err(error) if matches!(error.kind(), ClusterErrorKind::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives it back; the number stays, so that the next holder has a larger one.
    pub async fn release(self) -> Result<(), ClusterError> {
        loop {
            let Ok((live, _)) = self.read().await? else { return Ok(()) };
            match self.connection.replace(&Record::released(&live)?).await {
                Ok(_) => return Ok(()),
                Err(error) if matches!(error.kind(), ClusterErrorKind::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether a failed renewal may be tried again.
    fn can_try_again(error: &ClusterError) -> bool {
        can_retry(error) || matches!(error.kind(), ClusterErrorKind::Unauthorized | ClusterErrorKind::Forbidden { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f8_a_lease_that_another_run_took_is_told_from_one_that_was_written_by_hand() {
        let record = |nonce: Option<&str>, number: u64| Record {
            holder: nonce.map(|nonce| LeaseHolder {
                repository: "shop".to_owned(),
                run: "7".to_owned(),
                attempt: 1,
                nonce: nonce.to_owned(),
                link: None,
            }),
            number,
            duration: LEASE_DURATION,
            renewal: String::new(),
            yield_to: None,
        };
        for (nonce, number, expected) in [
            (Some("a"), 4, None),
            (Some("b"), 5, Some(LeaseLoss::Taken)),
            // The run that took it has given it back.
            (None, 5, Some(LeaseLoss::Taken)),
            (Some("b"), 4, Some(LeaseLoss::Edited)),
            (Some("b"), 3, Some(LeaseLoss::Edited)),
            (None, 4, Some(LeaseLoss::Edited)),
            (Some("a"), 5, Some(LeaseLoss::Edited)),
            (Some("b"), 1 << 40, Some(LeaseLoss::Edited)),
        ] {
            assert_eq!(loss(4, "a", &record(nonce, number)), expected, "{nonce:?} {number}");
        }
    }

    #[test]
    fn f6_each_number_is_above_those_before_and_one_that_was_written_by_hand_counts_for_nothing() {
        for (of_the_lease, used, next) in [(0, 0, 1), (4, 2, 5), (4, 9, 10), (1 << 29, 0, (1 << 29) + 1)] {
            assert_eq!(next_number(of_the_lease, used), next);
        }
        let largest = u64::from(i32::MAX.cast_unsigned());
        for by_hand in [(1 << 30) + 8, largest - 1, u64::MAX] {
            assert_eq!(next_number(by_hand, 7), 8, "{by_hand}");
            assert!(!counts(by_hand, 7), "{by_hand}");
        }
        // One near the end of what the API server counts was recorded before this was known.
        for (of_the_lease, used, next) in
            [(largest - 1, largest, largest + 1), (largest + 3, largest + 1, largest + 4), (0, largest, largest + 1)]
        {
            assert_eq!(next_number(of_the_lease, used), next);
        }
    }
}
