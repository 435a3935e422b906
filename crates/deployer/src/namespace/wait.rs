//! Waiting until what was installed is ready, or does not become so.

use std::fmt;
use std::time::{Duration, Instant};

use cluster::{Awaited, LeaseState, Verdict, WaitEnd, WaitEvent, WaitOptions, WaitOutcome};
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

/// An object that was applied, and of which nothing says when it is ready.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct NotAwaited {
    /// The service that it belongs to.
    pub service: ServiceName,
    /// The object, such as `Job/cart`.
    pub object: String,
    /// Why nothing says it.
    pub reason: String,
    /// What to do, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl NotAwaited {
    fn new(expected: &Expected, reason: &str) -> Self {
        let key = &expected.awaited.key;
        let hint = match (key.kind.group.as_str(), key.kind.kind.as_str()) {
            ("batch", "Job") => Some("resume it where it is to run".to_owned()),
            ("apps", _) => Some("`kubectl delete pod` lets it make them anew".to_owned()),
            ("", "Service") => Some("compare its selector with the labels of pods".to_owned()),
            (group, kind) if group.contains('.') && !group.ends_with(".k8s.io") => {
                Some(format!("`ready: {{ {group}/{kind}: … }}` names the condition that says it, where there is one"))
            }
            _ => None,
        };
        Self { service: expected.service.clone(), object: key.to_string(), reason: reason.to_owned(), hint }
    }
}

/// ``cart: Job/cart is suspended (`spec.suspend`), so that nothing runs: it is not waited for; resume it where it is to run``.
impl fmt::Display for NotAwaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}: it is not waited for", self.service, self.object, self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// The objects that a wait passes over, since nothing says when they are ready.
fn not_awaited(outcome: &WaitOutcome, expected: &[Expected]) -> Vec<NotAwaited> {
    let mut found: Vec<NotAwaited> = Vec::new();
    for one in expected {
        match outcome.verdicts.get(&one.awaited.key) {
            Some(Verdict::Undefined { detail }) => found.push(NotAwaited::new(one, detail)),
            Some(Verdict::Ready { .. } | Verdict::Waiting { .. } | Verdict::Failed { .. }) | None => {}
        }
    }
    found
}

impl EnvironmentNamespace {
    /// Waits for every object until the deadline; one that does not become ready ends the wait. Gives those that were not
    /// waited for.
    pub(crate) async fn wait(&self, expected: &[Expected]) -> Result<Vec<NotAwaited>, DeployError> {
        self.wait_until(expected, self.deadline).await
    }

    /// The same with a deadline of its own.
    pub(super) async fn wait_until(
        &self,
        expected: &[Expected],
        deadline: Instant,
    ) -> Result<Vec<NotAwaited>, DeployError> {
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
            WaitEnd::Ready => return Ok(not_awaited(&outcome, expected)),
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

#[cfg(test)]
mod tests {
    use cluster::{Kind, ObjectKey};

    use super::*;

    #[test]
    fn b27_what_is_not_waited_for_is_named_with_what_to_do() {
        let said = |version: &str, kind: &str, reason: &str| {
            let key = ObjectKey::namespaced(Kind::new(version, kind), "shop", "cart");
            let service = ServiceName::try_from("cart").unwrap();
            let expected = Expected { awaited: Awaited::named(key), service, subject: String::new(), is_hook: false };
            NotAwaited::new(&expected, reason).to_string()
        };
        assert_eq!(
            said("batch/v1", "Job", "is suspended"),
            "cart: Job/cart is suspended: it is not waited for; resume it where it is to run"
        );
        let widget = said("shop.example/v1", "Widget", "has neither conditions nor an observed generation");
        assert!(
            widget
                .ends_with("`ready: { shop.example/Widget: … }` names the condition that says it, where there is one"),
            "{widget}"
        );
        assert!(said("apps/v1", "StatefulSet", "waits").contains("kubectl delete pod"));
        let route = said("gateway.networking.k8s.io/v1", "HTTPRoute", "has no status");
        assert_eq!(route, "cart: HTTPRoute/cart has no status: it is not waited for");
    }
}
