//! Waiting until what was installed is ready, or does not become so.

use std::time::{Duration, Instant};

use cluster::{Awaited, LeaseState, WaitEnd, WaitEvent, WaitOptions};
use lock_model::ServiceName;
use process::Interrupt;

use super::environment::EnvironmentNamespace;
use super::superseding::Trouble;
use crate::error::DeployError;

/// The time between two looks at whether the caller wants to stop.
const LOOK: Duration = Duration::from_millis(100);

/// One object that a deployment waits for.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) awaited: Awaited,
    /// The service that it belongs to.
    pub(crate) service: ServiceName,
    /// What messages call the part of the deployment that it belongs to.
    pub(crate) subject: String,
    /// Whether it is a hook, which runs once while its release is installed.
    pub(crate) is_hook: bool,
}

impl EnvironmentNamespace {
    /// Waits for every object until the deadline; one that does not become ready ends the wait.
    pub(crate) async fn wait(&self, expected: &[Expected]) -> Result<(), DeployError> {
        self.wait_until(expected, self.deadline).await
    }

    /// The same with a deadline of its own.
    pub(super) async fn wait_until(&self, expected: &[Expected], deadline: Instant) -> Result<(), DeployError> {
        let awaited: Vec<Awaited> = expected.iter().map(|expected| expected.awaited.clone()).collect();
        let time_limit = deadline.saturating_duration_since(Instant::now());
        let options = WaitOptions { time_limit, rules: self.rules.clone(), ..WaitOptions::default() };
        let trouble = Trouble::default();
        let events = |event: WaitEvent<'_>| {
            if let WaitEvent::Judged { object, verdict } = event {
                trouble.judged(object, verdict, Instant::now());
            }
        };
        let stop = async {
            tokio::select! {
                () = requested(&self.interrupt) => {}
                () = self.superseded(&trouble) => {}
            }
        };
        let outcome = self.connection.wait(&awaited, &options, stop, &events).await?;
        let outcome_end = outcome.end;
        let why = match outcome_end {
            WaitEnd::Ready => return Ok(()),
            WaitEnd::Nothing => "there is nothing to wait for".to_owned(),
            WaitEnd::Failed => "it does not become ready".to_owned(),
            WaitEnd::Deadline => "it was not ready when the deadline passed".to_owned(),
            WaitEnd::Silent => {
                let limit = self.rules.tolerance.silence.unwrap_or_default();
                format!("it is not ready, and nothing has changed about it for {limit:?} (`tolerance.silence`)")
            }
            WaitEnd::Stopped => self.stopped("the wait for it was interrupted"),
        };
        let dossier = self.describe(&outcome, expected).await;
        let first = dossier.failures.first().map(|failure| &failure.service);
        let subject = first.and_then(|first| expected.iter().find(|expected| expected.service == *first));
        let subject = subject.map_or_else(|| self.subject(), |expected| expected.subject.clone());
        let dossier = Box::new(dossier);
        match self.superseding.newer().filter(|_| outcome_end == WaitEnd::Stopped && !self.interrupt.is_requested()) {
            Some(newer) => Err(DeployError::Superseded { subject, newer: newer.to_owned(), dossier }),
            None => Err(DeployError::NotReady { subject, reason: why, dossier }),
        }
    }

    /// Ends once objects are failing and a newer release is there.
    async fn superseded(&self, trouble: &Trouble) {
        while self.superseding.newer().is_none() || !trouble.is_failing(Instant::now()) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Gives a wave time before the next one, which is not written where the deadline leaves less, or has passed in between.
    pub(crate) async fn pause(&self, pause: Duration) -> Result<(), DeployError> {
        if pause.is_zero() {
            return Ok(());
        }
        self.has_time_for("the pause before the next wave", pause)?;
        let reason = tokio::select! {
            () = tokio::time::sleep(pause) => {
                // A process that was stopped sleeps longer.
                if Instant::now() < self.deadline {
                    return Ok(());
                }
                "the deadline passed in the pause before the next wave".to_owned()
            }
            () = requested(&self.interrupt) => self.stopped("the pause between two waves was interrupted"),
        };
        Err(DeployError::NotDeployed { subject: self.subject(), reason, dossier: None })
    }

    /// Refuses waves whose pauses alone end after the deadline; the last one is followed by none.
    pub(crate) fn has_time_for_pauses(
        &self,
        pauses: impl DoubleEndedIterator<Item = Duration>,
    ) -> Result<(), DeployError> {
        self.has_time_for(
            "the pauses between waves",
            pauses.rev().skip(1).fold(Duration::ZERO, Duration::saturating_add),
        )
    }

    fn has_time_for(&self, what: &str, time: Duration) -> Result<(), DeployError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if time <= left {
            return Ok(());
        }
        let reason = format!("{what} would take {} s, and the deadline leaves {} s", time.as_secs(), left.as_secs());
        Err(DeployError::NotDeployed { subject: self.subject(), reason, dossier: None })
    }

    /// Whether another run may write now.
    pub(super) fn has_lost_lease(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| matches!(lease.state(), LeaseState::Lost(_)))
    }

    /// Why a deployment stops before its end.
    pub(crate) fn stopped(&self, by_the_caller: &str) -> String {
        match self.lease.as_ref().map_or(LeaseState::Held, |lease| lease.state()) {
            LeaseState::Held => by_the_caller.to_owned(),
            LeaseState::YieldTo(to) => format!("yielded to {to}"),
            LeaseState::Lost(reason) => format!("the lease of the environment was lost: {reason}"),
        }
    }
}

/// Ends when the interrupt is requested.
pub(crate) async fn requested(interrupt: &Interrupt) {
    while !interrupt.is_requested() {
        tokio::time::sleep(LOOK).await;
    }
}
