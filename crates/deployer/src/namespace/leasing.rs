//! The lease of an environment in its namespace: how it is taken, also from a run that has it.

use std::sync::Arc;
use std::time::Duration;

use cluster::{LeaseAnswer, LeaseHolder, LeaseKeeper, LeasePlace, LeaseRequest};
use lock_model::Timestamp;
use tokio::time::Instant;

use super::{EnvironmentNamespace, LeftLease};
use crate::error::DeployError;

/// How long a run works on, at most, whose lease was taken: it looks every five seconds, and each write rests on an answer
/// that is younger than [`cluster::LEASE_PROOF`].
const STOPPING: Duration = Duration::from_secs(8);

/// A lease that was taken just now, maybe from a run that does not know it yet.
#[derive(Debug)]
pub struct TakenLease {
    keeper: LeaseKeeper,
    /// Until then the run that had it may work on.
    alone_from: Option<Instant>,
}

impl TakenLease {
    /// Waits until a run that had it must have noticed that it was taken: only then the caller writes.
    pub async fn alone(self) -> LeaseKeeper {
        if let Some(end) = self.alone_from {
            tokio::time::sleep_until(end).await;
        }
        self.keeper
    }
}

impl EnvironmentNamespace {
    /// Takes the lease of an environment and keeps renewing it; `Err` of the answer is the run that has it.
    ///
    /// The caller makes sure that no other run of this repository works on the environment: what such a run left behind is
    /// taken over at once. `left` says whether a person takes it from any run, which may work still. The number of the lease is
    /// larger than `above`, the largest in the records: also where the Lease, or the whole namespace, was made anew.
    pub async fn lease(
        &self,
        environment: &str,
        holder: &LeaseHolder,
        left: LeftLease,
        above: u64,
        now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Result<Result<TakenLease, LeaseHolder>, DeployError> {
        let place = LeasePlace { namespace: self.name.clone(), environment: environment.to_owned() };
        let known = self.connection.lease_holder(&place).await?;
        let ended = known.filter(|holder| left == LeftLease::OfAnyRun || holder.repository == self.repository);
        let ended = ended.map(|holder| holder.nonce);
        // Whether a run ended that a person takes the lease from is not known.
        let may_live = left == LeftLease::OfAnyRun && ended.as_ref().is_some_and(|nonce| *nonce != holder.nonce);
        let request = LeaseRequest { ended, above, ..LeaseRequest::default() };
        let answer = self.connection.acquire_lease(&place, holder, &request, &*now, &|_| ()).await?;
        Ok(match answer {
            LeaseAnswer::Held(lease) => {
                let alone_from = may_live.then(|| Instant::now() + STOPPING);
                Ok(TakenLease { keeper: lease.keep(now), alone_from })
            }
            LeaseAnswer::Busy(other) | LeaseAnswer::Foreign(other) => Err(other),
        })
    }
}
