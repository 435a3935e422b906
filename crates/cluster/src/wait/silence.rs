//! A limit for the time in which nothing changes about a rollout.
//!
//! News is an object that came, went or has another status, and a warning that was not there before. The same warning
//! again is none: a probe that fails says so every few seconds.

use std::time::Duration;

use serde_json::Value;

use crate::object::Object;

/// Since when there has been no news, by the clock of the wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    since: Duration,
}

impl Silence {
    pub(super) fn broken(&mut self, now: Duration) {
        self.since = now;
    }

    /// Without a limit it never lasts too long.
    pub(super) fn exceeds(&self, limit: Option<Duration>, now: Duration) -> bool {
        limit.is_some_and(|limit| now.saturating_sub(self.since) >= limit)
    }
}

/// Whether an object says something that it did not say before.
pub(super) fn is_news(before: Option<&Object>, object: &Object) -> bool {
    before.is_none_or(|before| {
        before.at("/status") != object.at("/status")
            || before.generation() != object.generation()
            || before.is_terminating() != object.is_terminating()
    })
}

/// Whether a pod does work that ends by itself and that no status speaks of: a container of a Job runs, or one that
/// prepares the others, such as a migration. A container that runs beside the others all the time does none.
pub(super) fn is_at_work(pod: &Object, is_of_job: bool) -> bool {
    if !pod.key().kind.is("", "Pod") || pod.is_terminating() {
        return false;
    }
    let runs = |status: &Value| status.pointer("/state/running").is_some();
    let stays = |name: Option<&Value>| {
        let mut specs = pod.list("/spec/initContainers").iter();
        specs
            .any(|spec| spec.get("name") == name && spec.get("restartPolicy").and_then(Value::as_str) == Some("Always"))
    };
    let prepares = |status: &Value| runs(status) && !stays(status.get("name"));
    pod.list("/status/initContainerStatuses").iter().any(prepares)
        || is_of_job && pod.list("/status/containerStatuses").iter().any(runs)
}

/// The longest quiet that an object asks for itself: the time that its pods have to be ready before they count, and the delay
/// before the first probe of a container that decides whether it is ready.
pub(super) fn wanted_quiet(object: &Object) -> Duration {
    let seconds = |value: Option<&Value>| value.and_then(Value::as_u64).map_or(Duration::ZERO, Duration::from_secs);
    let pod = if object.key().kind.is("", "Pod") { "/spec" } else { "/spec/template/spec" };
    let containers = ["initContainers", "containers"].iter().flat_map(|list| object.list(&format!("{pod}/{list}")));
    let delays = containers.flat_map(|container| {
        ["startupProbe", "readinessProbe"]
            .map(|probe| seconds(container.pointer(&format!("/{probe}/initialDelaySeconds"))))
    });
    delays.chain([seconds(object.at("/spec/minReadySeconds"))]).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn object(value: Value) -> Object {
        Object::new(value).unwrap()
    }

    fn pod(status: &Value, init: &Value) -> Object {
        object(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "cart-1", "namespace": "shop", "uid": "u" },
            "spec": { "initContainers": init, "containers": [{ "name": "app" }] }, "status": status,
        }))
    }

    #[test]
    fn b23_silence_is_counted_from_the_last_news() {
        let mut silence = Silence::default();
        let limit = Some(seconds(240));
        assert!(!silence.exceeds(limit, seconds(239)));
        assert!(silence.exceeds(limit, seconds(240)));
        silence.broken(seconds(240));
        assert!(!silence.exceeds(limit, seconds(479)));
        assert!(silence.exceeds(limit, seconds(480)));
        assert!(!silence.exceeds(None, seconds(1_000_000)), "without a limit only the deadline ends a wait");
        assert!(!silence.exceeds(limit, seconds(3)), "a clock that stands before the news is no silence");
    }

    #[test]
    fn b23_another_status_is_news_and_other_notes_are_none() {
        let deployment = |status: Value, generation: i64, note: &str| {
            object(json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "status": status,
                "metadata": { "name": "cart", "namespace": "shop", "uid": "u", "generation": generation,
                    "resourceVersion": note, "annotations": { "note": note } },
            }))
        };
        let before = deployment(json!({ "replicas": 1 }), 2, "a");
        assert!(is_news(None, &before));
        assert!(!is_news(Some(&before), &deployment(json!({ "replicas": 1 }), 2, "b")), "an annotation of others");
        assert!(is_news(Some(&before), &deployment(json!({ "replicas": 2 }), 2, "a")));
        assert!(is_news(Some(&before), &deployment(json!({ "replicas": 1 }), 3, "a")));
        let mut ending = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "status": { "replicas": 1 },
            "metadata": { "name": "cart", "namespace": "shop", "uid": "u", "generation": 2 },
        });
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(is_news(Some(&before), &object(ending)));
    }

    #[test]
    fn b23_the_quiet_that_an_object_asks_for_is_known() {
        let workload = |spec: Value| {
            let metadata = json!({ "name": "cart", "namespace": "shop", "uid": "u" });
            object(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec }))
        };
        let probed = |probe: &str, delay: u64| json!([{ "name": "app", probe: { "initialDelaySeconds": delay } }]);
        let of_template = |containers: &Value| {
            workload(json!({ "minReadySeconds": 10, "template": { "spec": { "containers": containers } } }))
        };
        for (object, quiet) in [
            (workload(json!({})), 0),
            (workload(json!({ "minReadySeconds": 10 })), 10),
            (of_template(&probed("readinessProbe", 30)), 30),
            (of_template(&probed("startupProbe", 5)), 10),
            // One that fails ends the container, and nothing waits for it.
            (of_template(&probed("livenessProbe", 300)), 10),
            (pod(&json!({}), &probed("startupProbe", 60)), 60),
            (workload(json!({ "minReadySeconds": "x", "template": { "spec": { "containers": "x" } } })), 0),
        ] {
            assert_eq!(wanted_quiet(&object), seconds(quiet), "{object:?}");
        }
    }

    #[test]
    fn b23_a_job_that_says_nothing_is_at_work_and_a_service_that_is_not_ready_is_not() {
        let running = json!([{ "name": "app", "state": { "running": {} } }]);
        let waiting = json!([{ "name": "app", "state": { "waiting": { "reason": "ContainerCreating" } } }]);
        let of = |statuses: &Value| pod(&json!({ "containerStatuses": statuses }), &json!([]));
        assert!(is_at_work(&of(&running), true));
        assert!(!is_at_work(&of(&running), false));
        assert!(!is_at_work(&of(&waiting), true));
        let init = json!({ "initContainerStatuses": [{ "name": "migrate", "state": { "running": {} } }] });
        assert!(is_at_work(&pod(&init, &json!([{ "name": "migrate" }])), false));
        assert!(!is_at_work(&pod(&init, &json!([{ "name": "migrate", "restartPolicy": "Always" }])), false));
        for odd in [json!(null), json!([]), json!({ "containerStatuses": {} }), json!({ "initContainerStatuses": [1] })]
        {
            assert!(!is_at_work(&pod(&odd, &json!("x")), true), "{odd}");
        }
    }
}
