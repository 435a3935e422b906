//! Workloads whose replicas an autoscaler sets: the number in their manifests is where they begin.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{Connection, Kind, Object, ObjectKey, Selection};
use serde_json::Value;

use crate::error::DeployError;

/// The kind of autoscalers, in the version that is read.
pub(crate) fn autoscaler_kind() -> Kind {
    Kind::new("autoscaling/v2", "HorizontalPodAutoscaler")
}

/// Workloads by namespace, kind and name, each with the namespaces and names of its autoscalers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Autoscaled(BTreeMap<(String, String, String), BTreeSet<(String, String)>>);

impl Autoscaled {
    /// The workloads that autoscalers scale: those among the planned objects, and those of some namespaces. Where they may not
    /// be read, nothing is planned: a number that an autoscaler has set would be taken back.
    pub(crate) async fn read<'a>(
        connection: &Connection,
        planned: impl Iterator<Item = &'a Object>,
        namespaces: BTreeSet<String>,
    ) -> Result<Self, DeployError> {
        let mut found = Self::default();
        planned.for_each(|object| found.add(object));
        let kind = autoscaler_kind();
        for namespace in namespaces {
            for live in connection.list(&kind, Some(&namespace), &Selection::default()).await? {
                found.add(&live);
            }
        }
        Ok(found)
    }

    /// Adds the workload that an object scales, if it is an autoscaler.
    pub(crate) fn add(&mut self, object: &Object) {
        let kind = &object.key().kind;
        if kind.group != "autoscaling" || kind.kind != "HorizontalPodAutoscaler" {
            return;
        }
        let text = |field: &str| object.at(&format!("/spec/scaleTargetRef/{field}")).and_then(Value::as_str);
        if let (Some(kind), Some(name)) = (text("kind"), text("name")) {
            let namespace = object.key().namespace.clone().unwrap_or_default();
            let scaled = (namespace.clone(), kind.to_owned(), name.to_owned());
            self.0.entry(scaled).or_default().insert((namespace, object.key().name.clone()));
        }
    }

    /// Whether an autoscaler scales an object.
    pub(crate) fn has(&self, object: &Object) -> bool {
        self.of(object).is_some()
    }

    /// Whether an object has autoscalers, and all of them are among those that are removed.
    pub(crate) fn loses_all<'a>(&self, object: &Object, removed: impl Iterator<Item = &'a ObjectKey>) -> bool {
        let autoscaler = autoscaler_kind();
        let removed = removed.filter(|key| key.kind.is(&autoscaler.group, &autoscaler.kind));
        let removed: BTreeSet<_> =
            removed.map(|key| (key.namespace.clone().unwrap_or_default(), key.name.clone())).collect();
        self.of(object).is_some_and(|all| all.is_subset(&removed))
    }

    fn of(&self, object: &Object) -> Option<&BTreeSet<(String, String)>> {
        let key = object.key();
        self.0.get(&(key.namespace.clone().unwrap_or_default(), key.kind.kind.clone(), key.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_workload_loses_its_autoscalers_once_all_of_them_go() {
        let object = |version: &str, kind: &str, name: &str| {
            Object::new(json!({
                "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": "shop" },
                "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "cart" } },
            }))
            .unwrap()
        };
        let [first, second] = ["a", "b"].map(|name| object("autoscaling/v2", "HorizontalPodAutoscaler", name));
        let mut scaled = Autoscaled::default();
        for one in [&first, &second] {
            scaled.add(one);
        }
        let cart = object("apps/v1", "Deployment", "cart");
        // An inventory may name another version.
        let older = object("autoscaling/v1", "HorizontalPodAutoscaler", "b");
        let loses = |removed: &[&Object]| scaled.loses_all(&cart, removed.iter().map(|one| one.key()));
        assert_eq!((loses(&[&first]), loses(&[&first, &older])), (false, true));
        assert!(!scaled.loses_all(&object("apps/v1", "Deployment", "web"), [first.key(), second.key()].into_iter()));
    }
}
