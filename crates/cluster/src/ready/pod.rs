use serde_json::Value;

use crate::object::Object;
use crate::ready::{Facts, Memory, Rules, Tolerance, Warning, pull};
use crate::verdict::{Cause, FailureClass, Permanence, Verdict};

/// What one pod adds to the verdict on its owner.
pub(super) struct PodState {
    pub(super) is_ready: bool,
    pub(super) causes: Vec<Cause>,
}

impl PodState {
    /// Whether the pod cannot become ready by itself.
    pub(super) fn is_doomed(&self) -> bool {
        !self.is_ready && self.causes.iter().any(Cause::is_permanent)
    }
}

pub(super) fn state(pod: &Object, facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> PodState {
    let is_ready = is_ready(pod);
    let causes = if is_ready { Vec::new() } else { causes(pod, facts, &rules.tolerance, memory) };
    PodState { is_ready, causes: causes.into_iter().map(|cause| memory.noted(cause)).collect() }
}

pub(crate) fn is_ready(pod: &Object) -> bool {
    pod.text("/status/phase") == Some("Running") && pod.condition("Ready").is_some_and(|ready| ready.is_true())
}

/// A pod that no controller replaces: its end is final.
pub(super) fn bare(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    let pod = facts.object;
    match pod.text("/status/phase") {
        Some("Succeeded") => Verdict::ready("has ended well"),
        Some("Failed") => {
            let mut causes = causes(pod, facts, &rules.tolerance, memory);
            if causes.is_empty() {
                let message =
                    pod.text("/status/message").or_else(|| pod.text("/status/reason")).unwrap_or("phase Failed");
                causes.push(Cause::new(FailureClass::Crash, Permanence::Permanent, pod.key(), message));
            }
            for cause in &mut causes {
                cause.permanence = Permanence::Permanent;
            }
            Verdict::failed("has failed, and no controller replaces it", causes)
        }
        _ => {
            let state = state(pod, facts, rules, memory);
            if state.is_ready { Verdict::ready("is ready") } else { memory.judged(phase_text(pod), state.causes) }
        }
    }
}

fn phase_text(pod: &Object) -> &'static str {
    match pod.text("/status/phase") {
        Some("Running") => "runs and is not ready",
        Some("Unknown") => "its node does not report",
        _ => "has not started",
    }
}

/// Reasons of a failed pod that say nothing about what runs in it.
const DISTURBANCES: &[&str] = &[
    "Evicted",
    "Preempting",
    "NodeShutdown",
    "Terminated",
    "NodeLost",
    "NodeAffinity",
    "Shutdown",
    "UnexpectedAdmissionError",
    "OutOfcpu",
    "OutOfmemory",
    "OutOfpods",
    "OutOfephemeral-storage",
    "DeletionByPodGC",
];

/// Why a pod is not ready, as far as it says it.
pub(super) fn causes(pod: &Object, facts: &Facts<'_>, tolerance: &Tolerance, memory: &Memory) -> Vec<Cause> {
    let key = pod.key();
    let phase = pod.text("/status/phase").unwrap_or_default();
    let reason = pod.text("/status/reason").unwrap_or_default();
    let disturbed = pod.true_condition("DisruptionTarget");
    if phase == "Failed" && (DISTURBANCES.contains(&reason) || disturbed.is_some()) {
        let said = pod.text("/status/message").or_else(|| disturbed.map(|condition| condition.message));
        let message = format!("{reason} {}", said.unwrap_or_default());
        return vec![Cause::new(FailureClass::Evicted, Permanence::Temporary, key, message)];
    }
    if let Some(refused) = refused_claim(pod, facts) {
        let permanence = Permanence::After(tolerance.room);
        return vec![Cause::new(FailureClass::Quota, permanence, key, &refused.message)];
    }
    if let Some(scheduled) = pod.false_condition("PodScheduled") {
        let permanence = match scheduled.reason {
            "Unschedulable" => Permanence::After(tolerance.room),
            _ => Permanence::Temporary,
        };
        if scheduled.message.contains(UNBOUND) {
            let message = format!("{} ({})", scheduled.message, claims(pod).join(", "));
            return vec![Cause::new(FailureClass::Volume, permanence, key, message)];
        }
        return vec![Cause::new(FailureClass::Scheduling, permanence, key, scheduled.message)];
    }
    if let Some(message) = untaken(pod) {
        return vec![Cause::new(FailureClass::Scheduling, Permanence::Temporary, key, message)];
    }
    let mut causes: Vec<_> = containers(pod).filter_map(|container| container.cause(pod, tolerance, memory)).collect();
    if causes.is_empty() {
        causes.extend(mounts(pod, facts, tolerance));
    }
    if causes.is_empty() && phase == "Running" {
        causes.extend(probes(pod, facts));
    }
    causes
}

/// What a scheduler says of a pod with a claim that no volume is bound to.
const UNBOUND: &str = "unbound immediate PersistentVolumeClaims";

/// The claims of a pod, for people.
fn claims(pod: &Object) -> Vec<String> {
    let volumes = pod.list("/spec/volumes").iter();
    let named = volumes.filter_map(|volume| volume.pointer("/persistentVolumeClaim/claimName")?.as_str());
    named.map(|name| format!("claim `{}`", lock_model::escaping::escape_short(name, 200))).collect()
}

/// What a controller says that could not make the claim of an ephemeral volume: the scheduler only waits for it.
fn refused_claim<'a>(pod: &Object, facts: &Facts<'a>) -> Option<&'a Warning> {
    let is_pending = pod.text("/status/phase") == Some("Pending");
    let is_refused = |warning: &&Warning| {
        Some(warning.uid.as_str()) == pod.uid()
            && warning.reason == "FailedBinding"
            && warning.message.contains("exceeded quota")
    };
    facts.warnings.iter().copied().filter(|_| is_pending).find(is_refused)
}

/// Says of a pod that is there and of which nothing has taken notice, neither a scheduler nor a node.
fn untaken(pod: &Object) -> Option<String> {
    let is_untaken = pod.text("/status/phase") == Some("Pending")
        && pod.list("/status/conditions").is_empty()
        && containers(pod).next().is_none();
    let quoted = |name: &str| format!("`{}`", lock_model::escaping::escape_short(name, 200));
    if !is_untaken {
        return None;
    }
    if let Some(node) = pod.text("/spec/nodeName").filter(|name| !name.is_empty()) {
        return Some(format!("is Pending, and node {} has not taken it", quoted(node)));
    }
    // The scheduler of the cluster itself takes notice in a moment.
    let scheduler = pod.text("/spec/schedulerName").filter(|name| *name != "default-scheduler")?;
    Some(format!("is Pending, and scheduler {} has not looked at it", quoted(scheduler)))
}

/// A pod whose volumes cannot be mounted stays in `ContainerCreating` for ever, and only events say why.
fn mounts(pod: &Object, facts: &Facts<'_>, tolerance: &Tolerance) -> Option<Cause> {
    if pod.text("/status/phase") != Some("Pending") {
        return None;
    }
    let failed = |reason: &str| matches!(reason, "FailedMount" | "FailedAttachVolume" | "FailedMapVolume");
    let warning =
        facts.warnings.iter().find(|warning| Some(warning.uid.as_str()) == pod.uid() && failed(&warning.reason))?;
    let names_config = ["secret", "configmap"].iter().any(|kind| warning.message.contains(kind));
    let is_missing = warning.message.contains("not found") || warning.message.contains("non-existent config key");
    let (class, permanence) = if names_config && is_missing {
        (FailureClass::Config, Permanence::After(tolerance.settling))
    } else {
        (FailureClass::Volume, Permanence::Temporary)
    };
    Some(Cause::new(class, permanence, pod.key(), &warning.message))
}

/// Containers that run and are not ready: their probes, or a readiness gate.
fn probes(pod: &Object, facts: &Facts<'_>) -> Vec<Cause> {
    let said = facts
        .warnings
        .iter()
        .find(|warning| Some(warning.uid.as_str()) == pod.uid() && warning.reason == "Unhealthy")
        .map(|warning| warning.message.as_str());
    let mut causes = Vec::new();
    for container in
        containers(pod).filter(|container| !container.is_ready() && container.at("/state/running").is_some())
    {
        let has_probe = container
            .spec
            .is_some_and(|spec| ["readinessProbe", "startupProbe"].iter().any(|probe| spec.get(probe).is_some()));
        if has_probe {
            let message = said.unwrap_or("its probe has not succeeded");
            let cause = Cause::new(FailureClass::Probe, Permanence::Temporary, pod.key(), message);
            causes.push(cause.in_container(container.name));
        }
    }
    if causes.is_empty()
        && let Some(ready) = pod.condition("Ready").filter(|ready| ready.reason == "ReadinessGatesNotReady")
    {
        causes.push(Cause::new(FailureClass::Condition, Permanence::Temporary, pod.key(), ready.message));
    }
    causes
}

struct Container<'a> {
    name: &'a str,
    status: &'a Value,
    spec: Option<&'a Value>,
}

fn containers(pod: &Object) -> impl Iterator<Item = Container<'_>> {
    ["/status/initContainerStatuses", "/status/containerStatuses"].into_iter().flat_map(move |list| {
        pod.list(list).iter().filter_map(move |status| {
            let name = status.get("name")?.as_str()?;
            let spec = ["/spec/initContainers", "/spec/containers"]
                .into_iter()
                .flat_map(|list| pod.list(list))
                .find(|spec| spec.get("name").and_then(Value::as_str) == Some(name));
            Some(Container { name, status, spec })
        })
    })
}

impl<'a> Container<'a> {
    fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.status.pointer(pointer).filter(|value| !value.is_null())
    }

    fn text(&self, pointer: &str) -> &'a str {
        self.at(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn is_ready(&self) -> bool {
        self.at("/ready").and_then(Value::as_bool).unwrap_or_default()
    }

    fn restarts(&self) -> i64 {
        self.at("/restartCount").and_then(Value::as_i64).unwrap_or_default()
    }

    fn image(&self) -> &'a str {
        let wanted = self.spec.and_then(|spec| spec.get("image")).and_then(Value::as_str);
        wanted.unwrap_or_else(|| self.text("/image"))
    }

    fn cause(&self, pod: &Object, tolerance: &Tolerance, memory: &Memory) -> Option<Cause> {
        let message = self.text("/state/waiting/message");
        let cause = |class, permanence, message: &str| {
            Some(Cause::new(class, permanence, pod.key(), message).in_container(self.name))
        };
        match self.text("/state/waiting/reason") {
            "" => self.ended(pod, tolerance),
            "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
                let (class, permanence) = pull::classify(message, self.image(), tolerance);
                // Older kubelets do not repeat what the registry said while they wait for the next attempt.
                let before = memory.message(pod.key(), self.name, FailureClass::PullMissing);
                match before.filter(|_| class == FailureClass::PullTemporary && !message.contains("ErrImagePull: ")) {
                    Some(said) if self.text("/state/waiting/reason") == "ImagePullBackOff" => {
                        let (class, permanence) = pull::classify(said, self.image(), tolerance);
                        cause(class, permanence, said)
                    }
                    Some(_) | None => cause(class, permanence, pull::reason(message)),
                }
            }
            "InvalidImageName" | "ErrImageNeverPull" => cause(FailureClass::Config, Permanence::Permanent, message),
            // A kubelet that has not read a Secret yet says this too.
            "CreateContainerConfigError" if message.contains("failed to sync") => {
                cause(FailureClass::Config, Permanence::Temporary, message)
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" | "PostStartHookError" => {
                cause(FailureClass::Config, Permanence::After(tolerance.settling), message)
            }
            "CrashLoopBackOff" => Some(self.crash(pod, "/lastState/terminated", tolerance)),
            "ContainerCreating" | "PodInitializing" => None,
            // A reason that a newer kubelet or a runtime gives, such as `SignatureValidationFailed`.
            reason if !message.is_empty() => {
                cause(FailureClass::Config, Permanence::Temporary, &format!("{reason}: {message}"))
            }
            _ => None,
        }
    }

    /// A container that has ended, or that runs again after it had ended.
    fn ended(&self, pod: &Object, tolerance: &Tolerance) -> Option<Cause> {
        let exit = |place: &str| self.at(&format!("{place}/exitCode")).and_then(Value::as_i64);
        if exit("/state/terminated").is_some_and(|code| code != 0) {
            return Some(self.crash(pod, "/state/terminated", tolerance));
        }
        if self.at("/state/running").is_some()
            && !self.is_ready()
            && exit("/lastState/terminated").is_some_and(|code| code != 0)
        {
            let crash = self.crash(pod, "/lastState/terminated", tolerance);
            return Some(Cause { permanence: Permanence::Temporary, ..crash });
        }
        None
    }

    fn crash(&self, pod: &Object, place: &str, tolerance: &Tolerance) -> Cause {
        let at = |key: &str| self.at(&format!("{place}/{key}"));
        let reason = at("reason").and_then(Value::as_str).unwrap_or("ended");
        let code = at("exitCode").and_then(Value::as_i64).unwrap_or_default();
        let class = match reason {
            "OOMKilled" => FailureClass::OutOfMemory,
            // The program of the container could not be started at all.
            "StartError" | "ContainerCannotRun" => FailureClass::Config,
            _ => FailureClass::Crash,
        };
        let restarts = self.restarts();
        let permanence = if restarts >= tolerance.restarts { Permanence::Permanent } else { Permanence::Temporary };
        let said = at("message").and_then(Value::as_str).unwrap_or_default();
        let plural = if restarts == 1 { "" } else { "s" };
        let message = format!("exit code {code} ({reason}), {restarts} restart{plural} {}", whole_lines(said));
        Cause::new(class, permanence, pod.key(), message).in_container(self.name)
    }
}

/// How many bytes of a log a kubelet takes as the last words of a container that wrote none (`FallbackToLogsOnError`).
const LOG_KEPT: usize = 2048;

/// A message without the line that such a kubelet has cut: it can begin within a secret. A character that was cut has become
/// three bytes for each of its own.
fn whole_lines(said: &str) -> &str {
    if (LOG_KEPT..LOG_KEPT + 9).contains(&said.len()) {
        said.split_once('\n').map_or("", |(_, whole)| whole)
    } else {
        said
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{untaken, whole_lines};
    use crate::object::Object;

    #[test]
    fn b28_a_pod_that_nothing_has_taken_says_what_has_not() {
        let said = |spec: serde_json::Value, status: serde_json::Value| {
            let metadata = json!({ "name": "a", "namespace": "shop" });
            let pod =
                json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status });
            untaken(&Object::new(pod).unwrap()).unwrap_or_default()
        };
        let pending = || json!({ "phase": "Pending" });
        let other = said(json!({ "schedulerName": "other" }), pending());
        assert_eq!(other, "is Pending, and scheduler `other` has not looked at it");
        assert_eq!(said(json!({ "nodeName": "n1" }), pending()), "is Pending, and node `n1` has not taken it");
        assert_eq!(said(json!({ "schedulerName": "default-scheduler" }), pending()), "");
        assert_eq!(said(json!({}), pending()), "");
        let conditions = json!([{ "type": "PodScheduled", "status": "True" }]);
        assert_eq!(said(json!({}), json!({ "phase": "Pending", "conditions": conditions })), "");
        assert_eq!(said(json!({}), json!({ "phase": "Running" })), "");
    }

    #[test]
    fn t48_the_end_of_a_log_is_shown_from_its_first_whole_line() {
        let lines = |length: usize| format!("{}\nfatal: no database", "x".repeat(length - 19));
        assert_eq!(whole_lines(&lines(2048)), "fatal: no database");
        assert_eq!(whole_lines(&"x".repeat(2048)), "");
        // What a container wrote itself is kept from its beginning.
        for length in [100, 2047, 4096] {
            assert_eq!(whole_lines(&lines(length)).len(), length);
        }
    }
}
