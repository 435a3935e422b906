//! Workloads whose replicas an autoscaler sets: the number in their manifests is where they begin.

use std::collections::BTreeSet;

use cluster::{Connection, Kind, Object, Selection};
use serde_json::Value;

use crate::error::DeployError;

/// The kind of autoscalers, in the version that is read.
pub(crate) fn autoscaler_kind() -> Kind {
    Kind::new("autoscaling/v2", "HorizontalPodAutoscaler")
}

/// Workloads by namespace, kind and name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Autoscaled(BTreeSet<(String, String, String)>);

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
            self.0.insert((namespace, kind.to_owned(), name.to_owned()));
        }
    }

    /// Whether an autoscaler scales an object.
    pub(crate) fn has(&self, object: &Object) -> bool {
        let key = object.key();
        self.0.contains(&(key.namespace.clone().unwrap_or_default(), key.kind.kind.clone(), key.name.clone()))
    }
}
