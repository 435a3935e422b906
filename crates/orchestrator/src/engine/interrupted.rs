//! Runs that a record of another writer stops.

use lock_model::EnvironmentName;
use promotion::interruption::Interruption;

use crate::error::{Error, ErrorKind};

/// The error of a run that a record of another writer stops.
pub(crate) fn interrupted(environment: &EnvironmentName, interruption: &Interruption) -> Error {
    match interruption {
        Interruption::Held(hold) => Error::new(
            ErrorKind::Refused,
            format!("`{environment}` was held meanwhile by {}: {}", hold.by, hold.reason),
        )
        .hint(format!("`orchestrator unhold {environment} --reason …` lifts it")),
        Interruption::Rejected(rejection) => Error::new(
            ErrorKind::Refused,
            format!("the lock was rejected meanwhile by {}: {}", rejection.by, rejection.reason),
        )
        .hint("change what is wrong and make a new lock"),
        Interruption::LeaseBroken { seq, run, reason } => Error::new(
            ErrorKind::Temporary,
            format!(
                "the lease of `{environment}` was broken by {} (record {seq}, run {}): {reason}",
                run.actor, run.id
            ),
        )
        .hint("the run that broke it goes on; nothing more was changed by this one"),
        Interruption::TakenOver { seq, run, .. } => Error::new(
            ErrorKind::Temporary,
            format!("another run of `{environment}` took over (record {seq}, run {} by {})", run.id, run.actor),
        )
        .hint("run the same command again: it goes on where that run stopped"),
        Interruption::OlderLease { number, recorded } => Error::new(
            ErrorKind::Temporary,
            format!(
                "the lease of `{environment}` in the cluster was lost: this run has number {number}, and the ledger has a \
                 deployment with number {recorded}"
            ),
        )
        .hint("run the same command again: it takes a lease with a larger number; nothing was deployed"),
    }
}
