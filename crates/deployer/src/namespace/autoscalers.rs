//! Workloads whose replicas an autoscaler sets: the number in their manifests is where they begin.

use std::collections::BTreeSet;

use cluster::{Connection, Kind, Object, Selection};
use lock_model::ErrorClass;
use serde_json::Value;

use crate::error::DeployError;

/// Workloads by namespace, kind and name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Autoscaled(BTreeSet<(String, String, String)>);

impl Autoscaled {
    /// The workloads that autoscalers scale: those among the planned objects, and those of some namespaces. With notes of what
    /// may not be read.
    pub(crate) async fn read<'a>(
        connection: &Connection,
        planned: impl Iterator<Item = &'a Object>,
        namespaces: BTreeSet<String>,
    ) -> Result<(Self, Vec<String>), DeployError> {
        let (mut found, mut notes) = (Self::default(), Vec::new());
        planned.for_each(|object| found.add(object));
        let kind = Kind::new("autoscaling/v2", "HorizontalPodAutoscaler");
        for namespace in namespaces {
            match connection.list(&kind, Some(&namespace), &Selection::default()).await {
                Ok(live) => live.iter().for_each(|live| found.add(live)),
                Err(error) if error.class() == ErrorClass::Denied => {
                    notes.push(format!(
                        "whether an autoscaler of namespace `{namespace}` sets replicas is not known: {error}"
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok((found, notes))
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
