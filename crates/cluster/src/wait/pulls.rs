//! Which containers of a pod get their image now, by what the kubelet says of them in events.
//!
//! A status says `ContainerCreating` from the first volume to the start, and nothing changes about it while an image is pulled.
//! The runtime ends a pull that makes no progress, and the kubelet reports that as a failure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object::Object;

/// What a status says of a container whose image is being pulled, for the first time or again.
const WAITING: [&str; 4] = ["ContainerCreating", "PodInitializing", "ErrImagePull", "ImagePullBackOff"];
/// Up to the second: the events of one kubelet have no finer time.
const SECOND: usize = "2026-01-01T00:00:00".len();

/// The pulls of one pod, by the field of it that is the container.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulls(BTreeMap<String, Pull>);

/// When the last one began, and when the last one that ended did.
#[derive(Clone, Debug, Default)]
struct Pull {
    begun: Option<String>,
    ended: Option<String>,
}

impl Pulls {
    /// Takes an event; gives whether it says anything about a pull that was not known.
    pub(super) fn take(&mut self, event: &Object) -> bool {
        let field = event.text("/involvedObject/fieldPath").unwrap_or_default();
        let Some(time) = time_of(event) else { return false };
        let pull = self.0.entry(field.to_owned()).or_default();
        let last = match event.text("/reason") {
            Some("Pulling") => &mut pull.begun,
            // A container that fails in another way was pulled before.
            Some("Pulled" | "Failed") => &mut pull.ended,
            Some(_) | None => return false,
        };
        let is_new = last.as_deref().is_none_or(|last| last < time.as_str());
        if is_new {
            *last = Some(time);
        }
        is_new
    }

    fn is_open(&self, list: &str, container: &str) -> bool {
        self.0.get(&format!("spec.{list}{{{container}}}")).is_some_and(|pull| pull.begun > pull.ended)
    }

    /// Whether a container of the pod waits for its image, which is being pulled.
    pub(super) fn are_open(&self, pod: &Object) -> bool {
        let is_pulling = |list: &str, status: &Value| {
            let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            WAITING.contains(&text("/state/waiting/reason")) && self.is_open(list, text("/name"))
        };
        let lists = [("initContainers", "/status/initContainerStatuses"), ("containers", "/status/containerStatuses")];
        !pod.is_terminating()
            && lists.into_iter().any(|(list, statuses)| pod.list(statuses).iter().any(|one| is_pulling(list, one)))
    }
}

fn time_of(event: &Object) -> Option<String> {
    let places = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    let time = places.into_iter().find_map(|place| event.text(place))?;
    Some(time.get(..SECOND).unwrap_or(time).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(reason: &str, field: &str, second: u32) -> Object {
        Object::new(json!({
            "apiVersion": "v1", "kind": "Event", "metadata": { "name": "a", "namespace": "shop" }, "reason": reason,
            "involvedObject": { "kind": "Pod", "uid": "u", "fieldPath": field },
            "lastTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
        }))
        .unwrap()
    }

    fn pod(list: &str, state: &Value) -> Object {
        Object::new(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "cart-1", "namespace": "shop", "uid": "u" },
            "status": { list: [{ "name": "app", "state": state }] },
        }))
        .unwrap()
    }

    const APP: &str = "spec.containers{app}";

    #[test]
    fn b23_a_pull_is_open_from_its_event_to_the_one_of_its_end() {
        let creating = pod("containerStatuses", &json!({ "waiting": { "reason": "ContainerCreating" } }));
        let mut pulls = Pulls::default();
        assert!(!pulls.are_open(&creating), "it waits for a volume perhaps");
        for (reason, second, is_new, is_open) in [
            ("Pulling", 1, true, true),
            ("Pulling", 1, false, true),
            ("Scheduled", 2, false, true),
            ("Failed", 3, true, false),
            ("Pulling", 9, true, true),
            ("Pulled", 9, true, false),
            // The watches report in any order.
            ("Pulling", 5, false, false),
        ] {
            assert_eq!(pulls.take(&event(reason, APP, second)), is_new, "{reason} {second}");
            assert_eq!(pulls.are_open(&creating), is_open, "{reason} {second}");
        }
    }

    #[test]
    fn b23_only_a_container_that_waits_for_its_own_image_is_pulled() {
        let mut pulls = Pulls::default();
        assert!(pulls.take(&event("Pulling", APP, 1)));
        let is_open = |list: &str, state: Value| pulls.are_open(&pod(list, &state));
        for reason in WAITING {
            assert!(is_open("containerStatuses", json!({ "waiting": { "reason": reason } })), "{reason}");
        }
        for state in [
            json!({ "waiting": { "reason": "CrashLoopBackOff" } }),
            json!({ "waiting": { "reason": "CreateContainerConfigError" } }),
            json!({ "running": {} }),
            json!(null),
        ] {
            assert!(!is_open("containerStatuses", state.clone()), "{state}");
        }
        assert!(!is_open("initContainerStatuses", json!({ "waiting": { "reason": "PodInitializing" } })));
        let mut of_init = Pulls::default();
        of_init.take(&event("Pulling", "spec.initContainers{app}", 1));
        let init = pod("initContainerStatuses", &json!({ "waiting": { "reason": "PodInitializing" } }));
        assert!(of_init.are_open(&init));
        let mut gone = init.value().clone();
        gone["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(!of_init.are_open(&Object::new(gone).unwrap()));
    }
}
