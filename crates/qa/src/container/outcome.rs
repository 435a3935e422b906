//! What the end of a Job means: a function of what the cluster says of its pod.

use std::time::Duration;

use cluster::{Object, RunningPod, Verdict as Readiness, WaitEnd};
use lock_model::escaping::{escape_short, excerpt};
use serde_json::Value;

use super::Container;
use super::job::CONTAINER;
use crate::report::{Case, SuiteReport, Verdict};
use crate::text::in_words;

/// How much of a node's report of an image is shown: a whole reference.
const SHOWN: usize = 300;

/// What is known of a Job that is not waited for any more.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) end: WaitEnd,
    /// What the readiness rules say of the Job.
    pub(super) verdict: Option<Readiness>,
    /// Its pod; `None` where it has none, or it could not be read.
    pub(super) pod: Option<Object>,
    /// Why the caller ended the wait, where it did.
    pub(super) why_stopped: String,
}

/// The report of a suite, without its output.
pub(super) fn report(name: &str, container: &Container, ended: &Ended, deadline: Duration) -> SuiteReport {
    let exit = ended.pod.as_ref().and_then(Exit::of);
    let is_complete = matches!(ended.verdict, Some(Readiness::Ready { .. }));
    let (verdict, message) = match (ended.end, exit) {
        (WaitEnd::Stopped, _) => return SuiteReport::unknown(name, &ended.why_stopped),
        // No suite has a limit for silence.
        (WaitEnd::Deadline | WaitEnd::Silent, exit) => {
            return SuiteReport::unknown(name, &late(ended, exit.as_ref(), deadline));
        }
        (WaitEnd::Ready | WaitEnd::Failed | WaitEnd::Nothing, None) => {
            return SuiteReport::unknown(name, &format!("its container did not run to its end{}", cause(ended)));
        }
        (WaitEnd::Ready | WaitEnd::Failed | WaitEnd::Nothing, Some(exit)) => exit.judged(container, is_complete, ended),
    };
    SuiteReport::new(name, vec![Case::new(excerpt(&container.image), verdict, message)])
}

fn late(ended: &Ended, exit: Option<&Exit<'_>>, deadline: Duration) -> String {
    let late = format!("did not end within {}", in_words(deadline));
    let Some(exit) = exit else { return format!("{late}{}", cause(ended)) };
    // Such as a proxy that a webhook added to the pod.
    let others = exit.pod.containers.iter().filter(|container| container.is_running && container.name != CONTAINER);
    let others: Vec<String> = others.map(|container| format!("`{}`", escape_short(&container.name, 100))).collect();
    let ended = format!("{late}: its container ended with exit code {}", exit.code);
    if others.is_empty() {
        format!("{ended}, and its pod is not said to have ended")
    } else {
        format!("{ended}, and others run on: {}", others.join(", "))
    }
}

/// What the rules say of the first thing that is wrong.
fn cause(ended: &Ended) -> String {
    let first = ended.verdict.as_ref().and_then(|verdict| verdict.causes().first());
    first.map_or_else(String::new, |cause| format!(": {cause}"))
}

/// The end of the suite's container.
struct Exit<'a> {
    pod: RunningPod,
    object: &'a Object,
    code: i64,
    reason: &'a str,
}

impl<'a> Exit<'a> {
    /// `None` where it has not ended, or has not begun.
    fn of(object: &'a Object) -> Option<Self> {
        let statuses = object.list("/status/containerStatuses").iter();
        let mut own = statuses.filter(|status| status.get("name").and_then(Value::as_str) == Some(CONTAINER));
        let ended = own.next()?.pointer("/state/terminated")?;
        let code = ended.get("exitCode")?.as_i64()?;
        let reason = ended.get("reason").and_then(Value::as_str).unwrap_or_default();
        Some(Self { pod: RunningPod::of(object), object, code, reason })
    }

    /// The exit code decides where the container ran what is locked, and ended by itself.
    fn judged(&self, container: &Container, is_complete: bool, ended: &Ended) -> (Verdict, String) {
        if let Some(other) = self.other_image(container) {
            return (Verdict::Unknown, other);
        }
        let disturbed = self.object.true_condition("DisruptionTarget").map(|condition| condition.reason);
        let disturbed = disturbed.or_else(|| self.object.text("/status/reason"));
        if let Some(reason) = disturbed {
            return (Verdict::Unknown, format!("its pod was ended: {}", excerpt(reason)));
        }
        match (self.reason, self.code) {
            ("OOMKilled", _) => (Verdict::Unknown, "was ended: it used more memory than its limit".to_owned()),
            ("StartError" | "ContainerCannotRun" | "ContainerStatusUnknown", _) => {
                (Verdict::Unknown, format!("did not run ({}){}", self.reason, cause(ended)))
            }
            (_, 0) if is_complete => (Verdict::Passed, String::new()),
            (_, 0) => {
                (Verdict::Unknown, format!("ended with exit code 0, and its Job did not complete{}", cause(ended)))
            }
            (_, code) => (Verdict::Failed, format!("ended with exit code {code}")),
        }
    }

    /// What the node says that it ran, where that is not the wanted image.
    fn other_image(&self, container: &Container) -> Option<String> {
        let own = self.pod.containers.iter().find(|container| container.name == CONTAINER)?;
        if own.digest.as_ref().is_some_and(|digest| container.digests.contains(digest)) {
            return None;
        }
        let (found, wanted) = (escape_short(&own.image_id, SHOWN), escape_short(&container.image, SHOWN));
        Some(format!("the node says that pod {} ran `{found}`, wanted is `{wanted}`", self.pod.uid))
    }
}

#[cfg(test)]
mod tests {
    use cluster::{Cause, FailureClass, Kind, ObjectKey, Permanence};
    use lock_model::Digest;
    use serde_json::json;

    use super::*;

    fn container() -> Container {
        let digest = Digest::of(b"image");
        Container::new(format!("r.example/runner@{digest}"), [digest])
    }

    fn pod(image: &[u8], terminated: &Value, status: &Value) -> Object {
        let id = format!("r.example/runner@{}", Digest::of(image));
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "suite-1", "namespace": "shop", "uid": "u1" },
            "spec": { "containers": [{ "name": "suite" }, { "name": "proxy" }] },
            "status": { "containerStatuses": [
                { "name": "proxy", "imageID": "x", "state": { "running": { "startedAt": "now" } } },
                { "name": "suite", "imageID": id, "state": { "terminated": terminated } },
            ] },
        });
        for (key, value) in status.as_object().unwrap() {
            pod["status"][key] = value.clone();
        }
        Object::new(pod).unwrap()
    }

    fn failed(message: &str) -> Readiness {
        let key = ObjectKey::namespaced(Kind::new("v1", "Pod"), "shop", "suite-1");
        let cause = Cause::new(FailureClass::PullMissing, Permanence::Permanent, &key, message);
        Readiness::failed("has failed", vec![cause])
    }

    fn judged(end: WaitEnd, verdict: Readiness, pod: Option<Object>) -> (Verdict, String) {
        let ended = Ended { end, verdict: Some(verdict), pod, why_stopped: "was interrupted".to_owned() };
        let report = report("system", &container(), &ended, Duration::from_secs(60));
        let message = report.cases.first().map(|case| case.message.clone());
        (report.verdict, message.or(report.reason).unwrap_or_default())
    }

    #[test]
    fn p17_p21_only_an_end_with_exit_code_0_of_the_locked_image_is_passed() {
        let complete = || Readiness::ready("has completed");
        let none = json!({});
        let exit = |code: i64| json!({ "exitCode": code, "reason": "Error" });
        let (verdict, _) = judged(WaitEnd::Ready, complete(), Some(pod(b"image", &exit(0), &none)));
        assert_eq!(verdict, Verdict::Passed);
        let broken = || failed("BackoffLimitExceeded");
        for (end, verdict, pod, expected, told) in [
            (
                WaitEnd::Failed,
                broken(),
                Some(pod(b"image", &exit(3), &none)),
                Verdict::Failed,
                "ended with exit code 3",
            ),
            (WaitEnd::Ready, complete(), Some(pod(b"other", &exit(0), &none)), Verdict::Unknown, "pod u1 ran"),
            (WaitEnd::Ready, complete(), None, Verdict::Unknown, "did not run to its end"),
            (WaitEnd::Failed, broken(), Some(pod(b"image", &exit(0), &none)), Verdict::Unknown, "did not complete"),
            (WaitEnd::Failed, failed("not found"), None, Verdict::Unknown, "pull-missing: Pod/suite-1: not found"),
            (
                WaitEnd::Failed,
                broken(),
                Some(pod(b"image", &json!({ "exitCode": 137, "reason": "OOMKilled" }), &none)),
                Verdict::Unknown,
                "more memory than its limit",
            ),
            (
                WaitEnd::Failed,
                broken(),
                Some(pod(b"image", &exit(143), &json!({ "reason": "Evicted" }))),
                Verdict::Unknown,
                "its pod was ended: Evicted",
            ),
            (
                WaitEnd::Deadline,
                Readiness::waiting("1 pods run"),
                Some(pod(b"image", &exit(0), &none)),
                Verdict::Unknown,
                "did not end within 60 s: its container ended with exit code 0, and others run on: `proxy`",
            ),
            (
                WaitEnd::Deadline,
                Readiness::waiting("1 pods run"),
                Some(pod(
                    b"image",
                    &exit(0),
                    &json!({ "containerStatuses": [
                    { "name": "suite", "imageID": "x", "state": { "terminated": exit(0) } },
                ] }),
                )),
                Verdict::Unknown,
                "ended with exit code 0, and its pod is not said to have ended",
            ),
            (WaitEnd::Deadline, Readiness::waiting("1 pods run"), None, Verdict::Unknown, "did not end within 60 s"),
            (WaitEnd::Stopped, complete(), None, Verdict::Unknown, "was interrupted"),
        ] {
            let (found, message) = judged(end, verdict, pod);
            assert_eq!(found, expected, "{message}");
            assert!(message.contains(told), "`{told}` is not in `{message}`");
        }
    }
}
