//! What a cluster gives to claims that name no storage class and to pods that name no priority class.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::capacity::quota::Quota;
use crate::capacity::workloads::pod_spec;
use crate::capacity::{Bounds, Demand};
use crate::object::Object;

/// The classes that are taken where none is named; `None` where there is none, or where it may not be read.
#[derive(Debug, Default)]
pub(super) struct DefaultClasses {
    pub(super) storage: Option<String>,
    pub(super) priority: Option<String>,
}

impl DefaultClasses {
    pub(super) fn of(bounds: &Bounds<'_>) -> Self {
        let marked = |class: &&Object| {
            let annotation = |name: &str| class.at("/metadata/annotations").and_then(|all| all.get(name));
            ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
                .into_iter()
                .any(|name| annotation(name).and_then(Value::as_str) == Some("true"))
        };
        // Of several the newest is taken.
        let storage = bounds.storage_classes.unwrap_or_default().iter().filter(marked);
        let storage = storage.max_by_key(|class| class.text("/metadata/creationTimestamp").map(str::to_owned));
        let priority = bounds.priority_classes.unwrap_or_default().iter();
        let priority =
            priority.filter(|class| class.is_true("/globalDefault")).min_by_key(|class| class.integer("/value"));
        let name = |class: &Object| class.key().name.clone();
        Self { storage: storage.map(name), priority: priority.map(name) }
    }
}

/// What cannot be counted by class, since the default may not be read.
pub(super) fn unreadable(demands: &[Demand<'_>], quotas: &[Quota], bounds: &Bounds<'_>) -> BTreeSet<String> {
    let mut unknown = BTreeSet::new();
    for demand in demands {
        let pod = pod_spec(demand.wanted);
        let claims =
            super::quota::claims(demand.wanted).chain(pod.into_iter().flat_map(super::quota::ephemeral_claims));
        let asked = [
            (
                bounds.storage_classes.is_none()
                    && quotas.iter().any(Quota::is_by_storage_class)
                    && claims.into_iter().any(|claim| claim.get("storageClassName").is_none()),
                "storage",
            ),
            (
                bounds.priority_classes.is_none()
                    && quotas.iter().any(Quota::is_by_priority)
                    && pod.is_some_and(|pod| pod.get("priorityClassName").is_none()),
                "priority",
            ),
        ];
        for (_, class) in asked.iter().filter(|(is_missing, _)| *is_missing) {
            unknown.insert(format!(
                "{}: {} names no {class} class, a quota counts by it, and the cluster's default may not be read: name the class, or \
                 permit `list` on {class}classes",
                demand.service,
                demand.wanted.key()
            ));
        }
    }
    unknown
}
