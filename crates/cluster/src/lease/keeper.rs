use std::sync::Arc;
use std::time::Duration;

use lock_model::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::ClusterError;
use crate::lease::{HeldLease, LEASE_RENEWAL, LeaseCheck};

/// How often the keeper looks whether a rollback asks for the Lease.
const LOOK: Duration = Duration::from_secs(5);
/// After so long without a renewal its holder counts it as lost: 10 s before others may take it.
const GIVE_UP: Duration = Duration::from_secs(50);

/// Whether the run may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// The Lease is held.
    Held,
    /// It is held, and a rollback asks for it: end what runs, and release it.
    YieldTo(String),
    /// It is lost, or could not be renewed in time: no more writes, and end every child before [`LEASE_DURATION`](crate::LEASE_DURATION) is over.
    Lost(String),
}

/// Renews a Lease in the background until it is released or dropped.
#[derive(Debug)]
pub struct LeaseKeeper {
    number: u64,
    /// As it was taken: to ask the live Lease.
    taken: HeldLease,
    state: watch::Receiver<LeaseState>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<HeldLease>,
}

impl HeldLease {
    /// Starts the renewals; `now` gives the wall time, which is only written.
    pub fn keep(self, now: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> LeaseKeeper {
        let (report, state) = watch::channel(LeaseState::Held);
        let (stop, stopped) = oneshot::channel();
        let (number, taken) = (self.number(), self.clone());
        let task = tokio::spawn(keep(self, now, report, stopped));
        LeaseKeeper { number, taken, state, stop: Some(stop), task }
    }
}

impl LeaseKeeper {
    /// The fencing number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What is known now.
    pub fn state(&self) -> LeaseState {
        self.state.borrow().clone()
    }

    /// Asks the live Lease whether another run has it: what is [known](Self::state) may be some seconds old.
    pub async fn is_taken(&self) -> Result<bool, ClusterError> {
        Ok(self.taken.check().await? == LeaseCheck::Lost)
    }

    /// Waits until the run may not go on.
    pub async fn ended(&self) -> LeaseState {
        let mut state = self.state.clone();
        match state.wait_for(|state| *state != LeaseState::Held).await {
            Ok(state) => state.clone(),
            // The task ends first only where its runtime is shut down.
            Err(_) => LeaseState::Lost("the renewals have ended".to_owned()),
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
    report: watch::Sender<LeaseState>,
    mut stopped: oneshot::Receiver<()>,
) -> HeldLease {
    loop {
        tokio::select! {
            _ = &mut stopped => return lease,
            () = tokio::time::sleep(LOOK) => {}
        }
        let deadline = lease.renewed + GIVE_UP;
        let is_due = lease.renewed.elapsed() + LOOK > LEASE_RENEWAL;
        let asked = async { if is_due { lease.renew(now()).await } else { lease.check().await } };
        let answer = tokio::time::timeout_at(deadline, asked).await;
        let state = match answer {
            Ok(Ok(LeaseCheck::Ours)) => LeaseState::Held,
            Ok(Ok(LeaseCheck::YieldTo(to))) => LeaseState::YieldTo(to),
            Ok(Ok(LeaseCheck::Lost)) => LeaseState::Lost("another run has taken the lease".to_owned()),
            Ok(Err(error)) if HeldLease::can_try_again(&error) && Instant::now() < deadline => continue,
            Ok(Err(error)) => LeaseState::Lost(error.to_string()),
            Err(_) => LeaseState::Lost("the lease could not be renewed in time".to_owned()),
        };
        let is_lost = matches!(state, LeaseState::Lost(_));
        report.send_if_modified(|known| {
            let is_new = *known != state;
            *known = state;
            is_new
        });
        if is_lost {
            // There is nothing left to renew; the caller still waits for the task.
            drop(stopped.await);
            return lease;
        }
    }
}
