use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lock_model::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::proof::{Asked, Knowledge, Moment};
use crate::error::ClusterError;
use crate::lease::{HeldLease, LEASE_RENEWAL, LeaseCheck, LeaseLoss};

/// How often the keeper looks whether a rollback asks for the Lease.
const LOOK: Duration = Duration::from_secs(5);
/// After so long without a renewal its holder counts it as lost: 10 s before others may take it.
pub(super) const GIVE_UP: Duration = Duration::from_secs(50);

/// Whether the run may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// The Lease is held.
    Held,
    /// It is held, and a rollback asks for it: end what runs, and release it.
    YieldTo(String),
    /// It is lost, or could not be renewed in time: no more writes, and end every child before [`LEASE_DURATION`](crate::LEASE_DURATION) is over.
    Lost(LeaseLoss),
}

/// Renews a Lease in the background until it is released or dropped.
#[derive(Debug)]
pub struct LeaseKeeper {
    number: u64,
    /// As it was taken: to ask the live Lease.
    taken: HeldLease,
    knowledge: Arc<Knowledge>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<HeldLease>,
}

impl HeldLease {
    /// Starts the renewals; `now` gives the wall time, which is only written.
    pub fn keep(self, now: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> LeaseKeeper {
        let knowledge = Arc::new(Knowledge::new(Moment::ago(self.renewed.elapsed())));
        let (stop, stopped) = oneshot::channel();
        let (number, taken) = (self.number(), self.clone());
        let task = tokio::spawn(keep(self, now, Arc::clone(&knowledge), stopped));
        LeaseKeeper { number, taken, knowledge, stop: Some(stop), task }
    }
}

impl LeaseKeeper {
    /// The fencing number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What is known now.
    pub fn state(&self) -> LeaseState {
        self.knowledge.state()
    }

    /// Whether the Lease is held, by an answer of the API server that is younger than [`LEASE_PROOF`](crate::LEASE_PROOF): to be
    /// asked before each write. It is asked again where the newest answer is older, as after the process was stopped.
    pub async fn prove(&self) -> Result<LeaseState, ClusterError> {
        let _turn = self.knowledge.asking.lock().await;
        let lost = |loss: LeaseLoss| {
            self.knowledge.set(LeaseState::Lost(loss));
            Ok(self.state())
        };
        if matches!(self.state(), LeaseState::Lost(_)) {
            return Ok(self.state());
        }
        if self.knowledge.is_overdue() {
            return lost(LeaseLoss::NotRenewed);
        }
        if self.knowledge.is_fresh() {
            return Ok(self.state());
        }
        let sent = Moment::now();
        match self.taken.check().await? {
            LeaseCheck::Ours => {}
            LeaseCheck::YieldTo(to) => self.knowledge.set(LeaseState::YieldTo(to)),
            LeaseCheck::Lost(loss) => return lost(loss),
        }
        self.knowledge.prove(sent, Asked::Look);
        Ok(self.state())
    }

    /// The same as a future of a known type: the requests that it makes are of the client that asks it.
    pub(crate) fn proved(&self) -> Pin<Box<dyn Future<Output = Result<LeaseState, ClusterError>> + Send + '_>> {
        Box::pin(self.prove())
    }

    /// Asks the live Lease whether it is lost: what is [known](Self::state) may be some seconds old.
    pub async fn loss(&self) -> Result<Option<LeaseLoss>, ClusterError> {
        Ok(match self.taken.check().await? {
            LeaseCheck::Ours | LeaseCheck::YieldTo(_) => None,
            LeaseCheck::Lost(loss) => Some(loss),
        })
    }

    /// Waits until the run may not go on.
    pub async fn ended(&self) -> LeaseState {
        let mut state = self.knowledge.watch();
        match state.wait_for(|state| *state != LeaseState::Held).await {
            Ok(state) => state.clone(),
            // The task ends first only where its runtime is shut down.
            Err(_) => LeaseState::Lost(LeaseLoss::Ended),
        }
    }

    /// Ends the renewals and gives the Lease back, unless it was lost: then there is nothing to give back.
    pub async fn release(mut self) -> Result<(), ClusterError> {
        if matches!(self.state(), LeaseState::Lost(_)) {
            return Ok(());
        }
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap_or_default();
        }
        match (&mut self.task).await {
            Ok(lease) => lease.release().await,
            Err(_) => Ok(()),
        }
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(
    mut lease: HeldLease,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    knowledge: Arc<Knowledge>,
    mut stopped: oneshot::Receiver<()>,
) -> HeldLease {
    loop {
        tokio::select! {
            _ = &mut stopped => return lease,
            () = tokio::time::sleep(LOOK) => {}
        }
        let deadline = lease.renewed + GIVE_UP;
        let is_due = lease.renewed.elapsed() + LOOK > LEASE_RENEWAL;
        let sent = Moment::now();
        let asked = async { if is_due { lease.renew(now()).await } else { lease.check().await } };
        let answer = tokio::time::timeout_at(deadline, asked).await;
        let state = match answer {
            Ok(Ok(LeaseCheck::Ours)) => LeaseState::Held,
            Ok(Ok(LeaseCheck::YieldTo(to))) => LeaseState::YieldTo(to),
            Ok(Ok(LeaseCheck::Lost(loss))) => LeaseState::Lost(loss),
            Ok(Err(error)) if HeldLease::can_try_again(&error) && Instant::now() < deadline => continue,
            Ok(Err(error)) => LeaseState::Lost(LeaseLoss::Refused(error.to_string())),
            Err(_) => LeaseState::Lost(LeaseLoss::NotRenewed),
        };
        if !matches!(state, LeaseState::Lost(_)) {
            knowledge.prove(sent, if is_due { Asked::Renewal } else { Asked::Look });
        }
        knowledge.set(state);
        if matches!(knowledge.state(), LeaseState::Lost(_)) {
            // There is nothing left to renew; the caller still waits for the task.
            drop(stopped.await);
            return lease;
        }
    }
}
