//! Whether a run may go on to its next effect.

use ledger::{Hold, Ledger, Rejection, RunIdentity, Step, StepResult};
use lock_model::{EnvironmentName, LockId, ReleaseId};

use crate::attempts::Purpose;

/// A run whose gates have passed.
#[derive(Clone, Copy, Debug)]
pub struct Underway<'a> {
    /// The environment that it changes.
    pub environment: &'a EnvironmentName,
    /// The lock of its release.
    pub lock: &'a LockId,
    /// The run's identity.
    pub run: &'a RunIdentity,
    /// Number of the newest record that this run knew when it had its lease: where it broke that of another run, of the record
    /// that says so.
    pub since: u64,
    /// A rollback goes on under a hold.
    pub purpose: Purpose,
}

/// Why a run must stop before its next effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The environment was held meanwhile.
    Held(Hold),
    /// The lock was rejected meanwhile.
    Rejected(Rejection),
    /// The lease of the environment was taken from this run.
    LeaseBroken {
        /// Number of the record.
        seq: u64,
        /// Who did it, in which run.
        run: RunIdentity,
        /// Why.
        reason: String,
    },
    /// Another run changes the environment.
    TakenOver {
        /// Number of its first record.
        seq: u64,
        /// The release that it deploys.
        release: Option<ReleaseId>,
        /// Its identity.
        run: RunIdentity,
    },
    /// A deployment under a newer lease of the cluster is recorded: this run has lost its own.
    OlderLease {
        /// The number of the lease that this run has.
        number: u64,
        /// The largest number in the records.
        recorded: u64,
    },
}

/// Asks again after the ledger turned out to be longer than this run knew, which is what a lost compare-and-swap
/// means: anything that was stored first counts.
pub fn interruption(ledger: &Ledger, underway: &Underway<'_>) -> Option<Interruption> {
    if let Some(rejection) = ledger.rejected(underway.lock) {
        return Some(Interruption::Rejected(rejection));
    }
    if underway.purpose == Purpose::Run
        && let Some(hold) = ledger.held(underway.environment)
    {
        return Some(Interruption::Held(hold));
    }
    if let Some(broken) = lease_broken(ledger, underway.environment, underway.run, underway.since) {
        return Some(broken);
    }
    ledger
        .of(underway.environment)
        .find(|record| {
            record.seq > underway.since && record.occupies_environment() && record.entry.run != *underway.run
        })
        .map(|record| Interruption::TakenOver {
            seq: record.seq,
            release: record.entry.release.clone(),
            run: record.entry.run.clone(),
        })
}

/// Whether a deployment under a lease of this number must not begin: records have a larger one.
///
/// Each lease is taken with a number above all that are recorded for the environment, in whichever cluster or namespace. So a
/// Lease that was deleted, and a namespace that was made anew, go on counting, and a smaller number is that of a lost lease.
pub fn older_lease(ledger: &Ledger, environment: &EnvironmentName, number: u64) -> Option<Interruption> {
    let recorded = ledger.lease_number(environment);
    (number < recorded).then_some(Interruption::OlderLease { number, recorded })
}

/// Whether the lease was taken from a run since it had it, as of record `since`: then nothing that it finds out counts any more.
pub fn lease_broken(
    ledger: &Ledger,
    environment: &EnvironmentName,
    run: &RunIdentity,
    since: u64,
) -> Option<Interruption> {
    let mut later = ledger.of(environment).filter(|record| record.seq > since);
    let broken = later.find(|record| record.is(Step::BreakLease, StepResult::Ok) && record.entry.run != *run)?;
    Some(Interruption::LeaseBroken {
        seq: broken.seq,
        run: broken.entry.run.clone(),
        reason: broken.entry.reason.clone().unwrap_or_default(),
    })
}
