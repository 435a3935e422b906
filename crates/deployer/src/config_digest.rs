//! A changed `ConfigMap` or `Secret` restarts the pods that read it.
//!
//! Kubernetes does not do so by itself. The pod template gets an annotation with a digest over the *data* of what it
//! reads: metadata, such as a label with a date, restarts nothing.

use std::collections::BTreeMap;

use lock_model::Digest;
use serde_json::{Map, Value, json};

use crate::manifest::ObjectId;
use crate::settings::setting_references;

/// The annotation's key.
pub(crate) const ANNOTATION: &str = "orchestrator/config-digest";

/// Kind, namespace and name of something that pods read.
type Key = (String, String, String);

/// Digests of the data of every `ConfigMap` and `Secret` of a release.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigDigests(BTreeMap<Key, Digest>);

impl ConfigDigests {
    pub(crate) fn add(&mut self, id: &ObjectId, object: &Map<String, Value>) {
        if !id.group.is_empty() || !matches!(id.kind.as_str(), "ConfigMap" | "Secret") {
            return;
        }
        let data: BTreeMap<&str, &Value> =
            ["data", "binaryData", "stringData"].into_iter().filter_map(|key| Some((key, object.get(key)?))).collect();
        let bytes = lock_model::canonical_json(&data).expect("JSON that was read has a canonical form");
        let namespace = id.namespace.clone().unwrap_or_default();
        self.0.insert((id.kind.clone(), namespace, id.name.clone()), Digest::of(&bytes));
    }

    /// Writes the annotation on a workload's pod template, when it reads anything that this release brings.
    pub(crate) fn annotate(&self, id: &ObjectId, object: &mut Map<String, Value>) {
        if id.group != "apps" || !matches!(id.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet") {
            return;
        }
        let Some(template) = object.get_mut("spec").and_then(|spec| spec.get_mut("template")) else { return };
        let Some(template) = template.as_object_mut() else { return };
        let namespace = id.namespace.clone().unwrap_or_default();
        let read: BTreeMap<String, &Digest> = setting_references(template)
            .into_iter()
            .filter_map(|(kind, name)| {
                let digest = self.0.get(&(kind.to_owned(), namespace.clone(), name.clone()))?;
                Some((format!("{kind}/{name}"), digest))
            })
            .collect();
        if read.is_empty() {
            return;
        }
        let digest = lock_model::tagged_digest("orchestrator.config-data.v1", &read).expect("strings are canonical");
        let metadata = template.entry("metadata").or_insert_with(|| json!({}));
        let Some(metadata) = metadata.as_object_mut() else { return };
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(ANNOTATION.to_owned(), Value::String(digest.to_string()));
        }
    }
}
