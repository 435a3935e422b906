//! What is known of a deployment that did not come through, for the person who repairs it.

use std::time::Duration;

use cluster::{
    Cause, ClusterEvent, FailureClass, LogTail, Object, ObjectKey, Verdict, WaitEnd, WaitOptions, WaitOutcome,
};
use lock_model::ServiceName;
use lock_model::escaping::{escape_terminal, shorten};

use super::environment::EnvironmentNamespace;
use super::wait::Expected;
use crate::error::DeployError;
use crate::problem::escaped;

/// How long all questions together may take: the deployment has failed already.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long to look at what is there, where nothing was waited for.
const LOOK: Duration = Duration::from_secs(3);

/// Of how many causes events and logs are shown: those of the first failure.
const TRACED: usize = 2;

/// How many events of an object are shown, the newest.
const EVENTS: usize = 8;

/// Which part of a log is shown.
const TAIL: LogTail = LogTail { previous: false, lines: 20, bytes: 8 * 1024 };

/// How many bytes of a line are shown.
const LINE: usize = 400;

/// What is known of a deployment that did not come through.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Dossier {
    /// What is not ready, what failed first: the first one with its events and logs.
    pub failures: Vec<Failure>,
    /// Services that this deployment changed, or began to change.
    pub changed: Vec<ServiceName>,
    /// Services that it would have changed, and did not touch.
    pub untouched: Vec<ServiceName>,
    /// Jobs and pods of hooks that go on although their deployment has ended, each with the command that ends it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still_running: Vec<String>,
    /// What could not be found out, a sentence each.
    pub unknown: Vec<String>,
}

/// An object that is not ready.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Failure {
    /// The service that it belongs to.
    pub service: ServiceName,
    /// The object, such as `Deployment/cart`.
    pub object: String,
    /// What is the case, one sentence.
    pub state: String,
    /// Why, as far as the cluster says it.
    pub causes: Vec<FailureCause>,
}

/// One reason why an object is not ready.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FailureCause {
    /// What kind of reason it is.
    pub class: FailureClass,
    /// Whether it stays until a person changes something.
    pub permanent: bool,
    /// The object that shows it, mostly a pod.
    pub object: String,
    /// The container of that pod, where one is at fault.
    pub container: Option<String>,
    /// What the cluster says.
    pub message: String,
    /// The newest events of that object, oldest first.
    pub events: Vec<String>,
    /// The last lines that the container printed.
    pub log: Vec<String>,
    /// The last lines of the container that ran before the last restart.
    pub previous_log: Vec<String>,
}

impl EnvironmentNamespace {
    /// Describes the objects that a wait did not see ready, what failed first.
    pub(super) async fn describe(&self, outcome: &WaitOutcome, expected: &[Expected]) -> Dossier {
        let mut open: Vec<(usize, &ObjectKey, &Verdict)> = outcome
            .verdicts
            .iter()
            .filter(|(_, verdict)| !verdict.is_settled())
            .filter_map(|(key, verdict)| Some((place(expected, key)?, key, verdict)))
            .collect();
        open.sort_by_key(|(place, _, verdict)| (!verdict.is_failed(), verdict.causes().is_empty(), *place));
        let failure = |(place, key, verdict): &(usize, &ObjectKey, &Verdict)| Failure {
            service: expected[*place].service.clone(),
            object: key.to_string(),
            state: verdict.detail().to_owned(),
            causes: verdict.causes().iter().map(|cause| plain(cause, expected[*place].is_hook)).collect(),
        };
        let mut dossier = Dossier {
            failures: open.iter().map(failure).collect(),
            unknown: outcome.unseen.iter().map(|unseen| format!("not seen: {unseen}")).collect(),
            ..Dossier::default()
        };
        let first = open.first().map_or(&[][..], |(_, _, verdict)| verdict.causes());
        let mut traces = Vec::new();
        if self.has_lost_lease() {
            // The run has to end before another one may begin, and mostly the API server is what does not answer.
            dossier.unknown.push("events and logs: not asked for, since the lease was lost".to_owned());
            return dossier;
        }
        let asked = tokio::time::timeout(PATIENCE, async {
            for cause in first.iter().take(TRACED) {
                traces.push(self.trace(cause).await);
            }
        });
        if asked.await.is_err() {
            dossier.unknown.push("events and logs: the cluster took too long to answer".to_owned());
        }
        let causes = dossier.failures.first_mut().map_or(&mut [][..], |failure| &mut failure.causes);
        for (cause, trace) in causes.iter_mut().zip(traces) {
            (cause.events, cause.log, cause.previous_log) = (trace.events, trace.log, trace.previous_log);
            dossier.unknown.extend(trace.unknown);
        }
        dossier
    }

    /// Adds to an error of a change what the cluster says of the objects of one service.
    pub(crate) async fn explain(&self, error: DeployError, expected: &[Expected]) -> DeployError {
        let DeployError::NotDeployed { subject, reason, dossier: None } = error else { return error };
        let own: Vec<&Expected> = expected.iter().filter(|expected| expected.subject == subject).collect();
        let awaited: Vec<_> = own.iter().map(|expected| expected.awaited.clone()).collect();
        let options = WaitOptions { time_limit: LOOK, let_others_finish: true, rules: self.rules.clone() };
        let outcome = self.connection.wait(&awaited, &options, std::future::pending(), &|_| ()).await;
        let dossier = match outcome {
            Ok(WaitOutcome { end: WaitEnd::Ready | WaitEnd::Nothing, .. }) => None,
            Ok(outcome) => {
                let mut dossier = self.describe(&outcome, expected).await;
                dossier.still_running = self.still_running(&own).await;
                Some(Box::new(dossier))
            }
            Err(error) => {
                let unknown = vec![format!("the state of its objects: {error}")];
                Some(Box::new(Dossier { unknown, ..Dossier::default() }))
            }
        };
        DeployError::NotDeployed { subject, reason, dossier }
    }

    /// The hooks that have not ended: nothing ends them once helm has.
    async fn still_running(&self, expected: &[&Expected]) -> Vec<String> {
        let mut running = Vec::new();
        if self.has_lost_lease() {
            return running;
        }
        for hook in expected.iter().filter(|expected| expected.is_hook) {
            let key = &hook.awaited.key;
            // What cannot be read is said of the objects that are not ready.
            if let Ok(Some(live)) = self.connection.find(key).await
                && runs_on(&live)
            {
                let (kind, namespace) = (key.kind.kind.to_lowercase(), key.namespace.as_deref().unwrap_or(&self.name));
                running.push(format!("{key} (`kubectl delete {kind} {} --namespace {namespace}` ends it)", key.name));
            }
        }
        running
    }

    async fn trace(&self, cause: &Cause) -> Trace {
        let mut trace = Trace::default();
        match self.connection.find(&cause.object).await {
            Ok(Some(object)) => {
                let uid = object.uid().unwrap_or_default();
                match self.connection.events(&cause.object, uid).await {
                    Ok(events) => {
                        let from = events.len().saturating_sub(EVENTS);
                        trace.events = events[from..].iter().map(shown).collect();
                    }
                    Err(error) => trace.unknown.push(format!("events of {}: {error}", cause.object)),
                }
            }
            Ok(None) => trace.unknown.push(format!("{} is gone", cause.object)),
            Err(error) => trace.unknown.push(error.to_string()),
        }
        let Some(container) = &cause.container else { return trace };
        for previous in [false, true] {
            match self.connection.logs(&cause.object, container, LogTail { previous, ..TAIL }).await {
                Ok(text) => {
                    let text = text.unwrap_or_default();
                    let lines = text.lines().map(line).collect();
                    if previous { trace.previous_log = lines } else { trace.log = lines }
                }
                Err(error) => trace.unknown.push(format!("the log of container {}: {error}", escaped(container))),
            }
        }
        // A container that waits for its next start has one log, under both names.
        if trace.log == trace.previous_log {
            trace.previous_log.clear();
        }
        trace
    }
}

/// Whether a Job or a pod has not ended.
fn runs_on(live: &Object) -> bool {
    let kind = &live.key().kind;
    if kind.is("batch", "Job") {
        return live.true_condition("Complete").is_none() && live.true_condition("Failed").is_none();
    }
    kind.is("", "Pod") && !matches!(live.text("/status/phase"), Some("Succeeded" | "Failed"))
}

fn shown(event: &ClusterEvent) -> String {
    let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
    line(&format!("{} {}: {}{times}", event.last_seen, event.reason, event.message))
}

/// The connection has masked it.
fn line(text: &str) -> String {
    shorten(&escape_terminal(text), LINE)
}

/// What the cluster remembers of a cause.
#[derive(Debug, Default)]
struct Trace {
    events: Vec<String>,
    log: Vec<String>,
    previous_log: Vec<String>,
    unknown: Vec<String>,
}

fn place(expected: &[Expected], key: &ObjectKey) -> Option<usize> {
    expected.iter().position(|expected| expected.awaited.key == *key)
}

fn plain(cause: &Cause, is_hook: bool) -> FailureCause {
    FailureCause {
        class: if is_hook && cause.class == FailureClass::Job { FailureClass::Hook } else { cause.class },
        permanent: cause.is_permanent(),
        object: cause.object.to_string(),
        container: cause.container.as_deref().map(escaped),
        message: cause.message.clone(),
        events: Vec::new(),
        log: Vec::new(),
        previous_log: Vec::new(),
    }
}
