//! The objects that a deployment writes, as a cluster is asked about them before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cluster::capacity::Demand;
use cluster::health::Permission;
use cluster::{Kind, Object, ObjectKey, between, references};
use lock_model::ServiceName;

use crate::namespace::{autoscaler_kind, containers, content};
use crate::problem::{DeployProblem, ProblemKind};

/// One object that a deployment writes.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchObject {
    /// The service that it belongs to.
    pub service: ServiceName,
    /// The place of its wave.
    pub wave: usize,
    /// What the deployment does with it.
    pub part: BatchPart,
    /// As it is to be; with what the API server adds, where that was asked.
    pub wanted: Object,
    /// As it is; absent where it is new, or was not looked at.
    pub live: Option<Object>,
}

/// What a deployment does with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BatchPart {
    /// Settings: written before everything else, and not waited for.
    Settings,
    /// Made before the others, and often anew each time.
    HookBefore,
    /// It stays.
    Kept,
    /// Made after the others, and often anew each time.
    HookAfter,
    /// It is there, and goes.
    Removed,
}

/// The names alone: objects can hold secrets.
impl fmt::Debug for BatchObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} of {}", self.part, self.wanted.key(), self.service)
    }
}

/// What the quotas and nodes have to have room for, wave after wave.
pub fn demands(batch: &[BatchObject]) -> Vec<Demand<'_>> {
    // Settings come before the first wave, and each wave has hooks before and after it.
    let moment = |wave: usize, part| match part {
        BatchPart::Settings => Some(0),
        BatchPart::HookBefore => Some(1 + 3 * wave),
        BatchPart::Kept => Some(2 + 3 * wave),
        BatchPart::HookAfter => Some(3 + 3 * wave),
        BatchPart::Removed => None,
    };
    let demands = batch.iter().filter_map(|object| {
        let BatchObject { service, wave, part, wanted, live } = object;
        Some(Demand {
            service: service.as_str(),
            wave: moment(*wave, *part)?,
            wanted,
            live: live.as_ref(),
            ends_with_wave: false,
        })
    });
    demands.collect()
}

/// What new pods need and only a later wave makes: a pod without its account is not taken, and others would wait for what comes
/// once they are ready.
pub(crate) fn late_references(batch: &[BatchObject]) -> Vec<DeployProblem> {
    let is_changed = |one: &BatchObject| one.live.as_ref().is_none_or(|live| content(live) != content(&one.wanted));
    let later: Vec<&BatchObject> =
        batch.iter().filter(|one| one.part == BatchPart::Kept && one.wave > 0 && one.live.is_none()).collect();
    let mut problems = Vec::new();
    for one in batch.iter().filter(|_| !later.is_empty()) {
        let is_written = match one.part {
            BatchPart::HookBefore | BatchPart::Kept | BatchPart::HookAfter => is_changed(one),
            BatchPart::Settings | BatchPart::Removed => false,
        };
        // The first pod of a CronJob may come after all waves, and nothing waits for one of an object that is scaled to 0.
        let has_no_pod_yet = one.wanted.key().kind.is("batch", "CronJob")
            || one.wanted.integer("/spec/replicas") == Some(0)
            || one.wanted.is_true("/spec/suspend");
        if !is_written || has_no_pod_yet {
            continue;
        }
        for reference in references(&one.wanted) {
            let is_it = |other: &&&BatchObject| other.wanted.key().is_same_object(&reference.target);
            let Some(maker) = later.iter().find(is_it).filter(|maker| maker.wave > one.wave) else { continue };
            let message = format!(
                "{} needs {}, which comes with `{}` in a later wave: `waves` has to put `{}` into the same wave or an earlier one",
                one.wanted.key(),
                reference.target,
                maker.service,
                maker.service
            );
            problems.push(DeployProblem::new(ProblemKind::Cluster, message).service(&one.service));
        }
    }
    problems
}

/// What has to be permitted to write a batch and to wait for it.
pub(crate) fn permissions(batch: &[BatchObject]) -> BTreeMap<(Kind, Option<String>, &'static str), BTreeSet<String>> {
    let mut needed: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for object in batch {
        let ObjectKey { kind, namespace, name } = object.wanted.key();
        let verbs: &[&'static str] = match object.part {
            // One that has other data is deleted and made again.
            BatchPart::Settings
                if object.live.as_ref().is_some_and(|live| live.at("/data") != object.wanted.at("/data")) =>
            {
                &["get", "create", "patch", "delete"]
            }
            BatchPart::Settings => &["get", "create", "patch"],
            BatchPart::Kept => &["get", "list", "watch", "create", "patch"],
            BatchPart::HookBefore | BatchPart::HookAfter => &["get", "list", "watch", "create", "patch", "delete"],
            BatchPart::Removed => &["get", "list", "delete"],
        };
        for verb in verbs {
            needed.entry((kind.clone(), namespace.clone(), *verb)).or_default().insert(name.clone());
        }
        // The proof asks the pods that run of it.
        if object.wanted.value().as_object().is_some_and(|object| containers(object).next().is_some()) {
            for kind in between(kind).into_iter().chain([Kind::new("v1", "Pod")]) {
                needed.entry((kind, namespace.clone(), "list")).or_default();
            }
        }
        // Without events a failure has fewer words, and nothing else.
        let watched: &[(&str, &str)] = match (kind.group.as_str(), kind.kind.as_str()) {
            ("apps", "Deployment") => &[("apps/v1", "ReplicaSet"), ("v1", "Pod")],
            ("apps", "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => &[("v1", "Pod")],
            ("", "Service") => &[("discovery.k8s.io/v1", "EndpointSlice")],
            _ => &[],
        };
        // Where something else sets the number of pods, a plan leaves that as it is.
        if object.wanted.at("/spec/replicas").is_some() {
            needed.entry((autoscaler_kind(), namespace.clone(), "list")).or_default();
        }
        for (version, kind) in watched {
            for verb in ["list", "watch"] {
                needed.entry((Kind::new(version, kind), namespace.clone(), verb)).or_default();
            }
        }
    }
    needed
}

/// The same as a list, with what a target needs besides.
pub(crate) fn permission_list(
    mut needed: BTreeMap<(Kind, Option<String>, &'static str), BTreeSet<String>>,
    more: impl IntoIterator<Item = Permission>,
) -> Vec<Permission> {
    for Permission { kind, namespace, verb, names } in more {
        // One that is needed for all objects of a kind is needed for those with a name too.
        let entry = needed.entry((kind, namespace, verb)).or_default();
        if names.is_empty() {
            entry.clear();
        } else {
            entry.extend(names);
        }
    }
    let list = needed.into_iter();
    list.map(|((kind, namespace, verb), names)| Permission { kind, namespace, verb, names }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn b29_what_pods_need_does_not_come_in_a_later_wave() {
        let object = |wave, value: serde_json::Value, is_there: bool| {
            let wanted = Object::new(value).unwrap();
            let service = if wave == 0 { "shop-cart" } else { "shop-web" };
            let live = is_there.then(|| wanted.clone());
            BatchObject { service: service.parse().unwrap(), wave, part: BatchPart::Kept, wanted, live }
        };
        let metadata = json!({ "name": "a", "namespace": "shop" });
        let pod = json!({ "serviceAccountName": "a", "containers": [] });
        let pod_of = |kind: &str| match kind {
            "Pod" => json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": pod }),
            "CronJob" => json!({
                "apiVersion": "batch/v1", "kind": kind, "metadata": metadata,
                "spec": { "jobTemplate": { "spec": { "template": { "spec": pod } } } },
            }),
            "Deployment of 0" => json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
                "spec": { "replicas": 0, "template": { "spec": pod } },
            }),
            "suspended Job" => json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
                "spec": { "suspend": true, "template": { "spec": pod } },
            }),
            _ => json!({
                "apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": { "template": { "spec": pod } },
            }),
        };
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata });
        let found = |kind: &str, wave, is_changed: bool, is_there: bool| {
            let batch = [object(wave, pod_of(kind), !is_changed), object(1, account.clone(), is_there)];
            late_references(&batch).into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        for kind in ["Pod", "Deployment"] {
            let message = format!(
                "{kind}/a needs ServiceAccount/a, which comes with `shop-web` in a later wave: `waves` has to put `shop-web` \
                 into the same wave or an earlier one"
            );
            assert_eq!(found(kind, 0, true, false), [message]);
            assert_eq!(found(kind, 1, true, false), [""; 0], "the same wave has an order");
            assert_eq!(found(kind, 0, false, false), [""; 0], "nothing makes its pods anew");
            assert_eq!(found(kind, 0, true, true), [""; 0]);
        }
        for kind in ["CronJob", "Deployment of 0", "suspended Job"] {
            assert_eq!(found(kind, 0, true, false), [""; 0], "{kind}");
        }
    }

    #[test]
    fn b33_the_proof_may_list_the_pods_of_whatever_makes_some_and_what_lies_between() {
        let (pod, set, job) =
            (Kind::new("v1", "Pod"), Kind::new("apps/v1", "ReplicaSet"), Kind::new("batch/v1", "Job"));
        let template = json!({ "spec": { "containers": [{ "name": "app", "image": "a:1" }] } });
        let plain = json!({ "template": template });
        let timed = json!({ "jobTemplate": { "spec": plain } });
        for (version, kind, spec, listed) in [
            ("batch/v1", "CronJob", &timed, vec![&pod, &job]),
            ("v1", "ReplicationController", &plain, vec![&pod]),
            ("argoproj.io/v1alpha1", "Rollout", &plain, vec![&pod, &set, &job]),
            ("shop.example/v1", "Basket", &json!({ "size": 1 }), vec![]),
        ] {
            let metadata = json!({ "name": "tidy", "namespace": "shop" });
            let object = json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec });
            let object = BatchObject {
                service: "shop-cart".parse().unwrap(),
                wave: 0,
                part: BatchPart::Kept,
                wanted: Object::new(object).unwrap(),
                live: None,
            };
            let needed = permissions(&[object]);
            for other in [&pod, &set, &job] {
                let list = needed.get(&(other.clone(), Some("shop".to_owned()), "list"));
                assert_eq!(list.is_some_and(BTreeSet::is_empty), listed.contains(&other), "{kind} {other:?}");
                assert!(!needed.contains_key(&(other.clone(), Some("shop".to_owned()), "watch")), "{needed:?}");
            }
        }
    }
}
