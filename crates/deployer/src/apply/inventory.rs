//! What a service has in a namespace: the object `orchestrator-inventory-SERVICE`. Only what it names is ever removed.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{ClusterErrorKind, Connection, Kind, Object, ObjectKey, Propagation, Selection};
use lock_model::Digest;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::DeployError;
use crate::manifest::ObjectId;
use crate::problem::escaped;

/// The label of every inventory; its value is the service.
const LABEL: &str = "orchestrator.dev/inventory";
const PREFIX: &str = "orchestrator-inventory-";
/// The key of the list of objects.
const OBJECTS: &str = "objects";
/// An object with this annotation, and the value `never`, is never removed.
const PRUNE: &str = "orchestrator.dev/prune";

/// One object of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Entry {
    group: String,
    version: String,
    kind: String,
    namespace: Option<String>,
    name: String,
    /// What tells it apart from another object of the same name; none where it was about to be made.
    pub(super) uid: Option<String>,
    /// Digest of the manifest that was applied; none of a Secret.
    pub(super) manifest: Option<Digest>,
}

/// The objects of one service, as they are written in the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    pub(super) entries: Vec<Entry>,
    /// The object in the cluster; none where there is none yet.
    stored: Option<Object>,
}

impl Entry {
    pub(super) fn new(key: &ObjectKey, uid: Option<&str>, manifest: Option<Digest>) -> Self {
        Self {
            group: key.kind.group.clone(),
            version: key.kind.version.clone(),
            kind: key.kind.kind.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            uid: uid.map(str::to_owned),
            manifest,
        }
    }

    pub(super) fn key(&self) -> ObjectKey {
        let (group, version, kind) = (self.group.clone(), self.version.clone(), self.kind.clone());
        ObjectKey { kind: Kind { group, version, kind }, namespace: self.namespace.clone(), name: self.name.clone() }
    }

    pub(super) fn id(&self) -> ObjectId {
        let (group, kind) = (self.group.clone(), self.kind.clone());
        ObjectId { group, kind, namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// The version of the API does not matter.
    pub(super) fn is_of(&self, key: &ObjectKey) -> bool {
        self.key().is_same_object(key)
    }
}

/// Whether an object is an inventory, or the state of the namespace.
pub(super) fn is_record(id: &ObjectId) -> bool {
    id.group.is_empty()
        && match id.kind.as_str() {
            "ConfigMap" => id.name.starts_with(PREFIX),
            "Secret" => id.name == "orchestrator-state",
            _ => false,
        }
}

impl Inventory {
    /// Every inventory of a namespace, by the name of its service.
    pub(super) async fn read_all(
        connection: &Connection,
        namespace: &str,
    ) -> Result<BTreeMap<String, Self>, DeployError> {
        let selection = Selection { labels: LABEL.to_owned(), ..Selection::default() };
        let stored = connection.list(&Kind::new("v1", "ConfigMap"), Some(namespace), &selection).await?;
        stored
            .into_iter()
            .map(|stored| {
                let service = stored.label(LABEL).unwrap_or_default().to_owned();
                let text = stored.text(&format!("/data/{OBJECTS}")).unwrap_or_default();
                let entries = serde_json::from_str(text).map_err(|error| DeployError::Failed {
                    subject: format!("ConfigMap `{}`", escaped(&stored.key().name)),
                    action: "read which objects it lists".to_owned(),
                    class: lock_model::ErrorClass::Invalid,
                    source: Box::new(error),
                })?;
                Ok((service, Self { entries, stored: Some(stored) }))
            })
            .collect()
    }

    pub(super) fn is_stored(&self) -> bool {
        self.stored.is_some()
    }

    pub(super) fn entry(&self, key: &ObjectKey) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_of(key))
    }

    /// Writes the list over the one that was read; nothing where it is the same.
    pub(super) async fn write(
        &self,
        connection: &Connection,
        namespace: &str,
        service: &str,
        mut entries: Vec<Entry>,
    ) -> Result<Self, DeployError> {
        entries.sort();
        if self.is_stored() && self.entries == entries {
            return Ok(self.clone());
        }
        let list = serde_json::to_string(&entries).expect("a list of texts is JSON");
        let labels = json!({ "app.kubernetes.io/managed-by": "orchestrator", LABEL: service });
        let mut metadata = json!({ "name": format!("{PREFIX}{service}"), "namespace": namespace, "labels": labels });
        if let Some(stored) = &self.stored {
            metadata["resourceVersion"] = stored.resource_version().unwrap_or_default().into();
        }
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { OBJECTS: list } });
        let map = Object::new(map)?;
        let written = match self.stored {
            Some(_) => connection.replace(&map).await,
            None => connection.create(&map).await,
        };
        let written = written.map_err(|error| match error.kind() {
            ClusterErrorKind::Conflict { .. } => DeployError::Moved {
                subject: format!("ConfigMap `{PREFIX}{service}`"),
                expected: self.stored.as_ref().and_then(Object::resource_version).map(str::to_owned),
                actual: None,
            },
            _ => error.into(),
        })?;
        Ok(Self { entries, stored: Some(written) })
    }

    /// Removes the list of a service that is not deployed any more.
    pub(super) async fn delete(&self, connection: &Connection) -> Result<(), DeployError> {
        if let Some((stored, uid)) = self.stored.as_ref().and_then(|stored| Some((stored, stored.uid()?))) {
            connection.delete(stored.key(), uid, Propagation::Background).await?;
        }
        Ok(())
    }

    /// What is there or may be there while a new set is applied: the old entries and the new ones.
    pub(super) fn with(&self, new: &[Entry]) -> Vec<Entry> {
        let old = self.entries.iter().filter(|old| !new.iter().any(|new| new.is_of(&old.key())));
        old.chain(new).cloned().collect()
    }

    /// The entries that a new set lacks: by name, and by the UIDs of what is applied, since one object can be served under
    /// several groups.
    pub(super) fn left_over(&self, new: &BTreeSet<ObjectId>, applied: &BTreeSet<&str>) -> Vec<&Entry> {
        let is_applied = |entry: &Entry| entry.uid.as_deref().is_some_and(|uid| applied.contains(uid));
        self.entries.iter().filter(|entry| !new.contains(&entry.id()) && !is_applied(entry)).collect()
    }
}

/// The name of a service's inventory.
pub(super) fn inventory_name(service: &str) -> String {
    format!("{PREFIX}{service}")
}

/// What becomes of an object that a service no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leftover {
    /// The object of this UID is removed.
    Remove(String),
    /// It stays, for this reason.
    Stay(&'static str),
    /// It is not there, or is another object of that name.
    Gone,
}

/// Judges an entry that is left over.
pub(super) fn judge_leftover(entry: &Entry, live: Option<&Object>) -> Leftover {
    let Some(live) = live else { return Leftover::Gone };
    let Some(uid) = live.uid() else { return Leftover::Gone };
    match entry.uid.as_deref() {
        Some(known) if known != uid => return Leftover::Gone,
        Some(_) => {}
        // It was about to be made when a run was killed: ours, if we made it.
        None if super::ownership::is_applied_by_us(live) => {}
        None => return Leftover::Gone,
    }
    match (entry.group.as_str(), entry.kind.as_str()) {
        ("", "PersistentVolumeClaim" | "PersistentVolume") => return Leftover::Stay("it holds data"),
        ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            return Leftover::Stay("everything in it would go with it");
        }
        _ => {}
    }
    if live.annotation(PRUNE) == Some("never") {
        return Leftover::Stay("it is annotated `orchestrator.dev/prune: never`");
    }
    if live.annotation(super::live::HELM_RELEASE).is_some() {
        return Leftover::Stay("a helm release has it");
    }
    if live.controller().is_some() {
        return Leftover::Stay("another object controls it");
    }
    Leftover::Remove(uid.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(api_version: &str, kind: &str, name: &str) -> ObjectKey {
        ObjectKey::namespaced(Kind::new(api_version, kind), "shop", name)
    }

    fn entry(key: &ObjectKey, uid: &str) -> Entry {
        Entry::new(key, Some(uid), None)
    }

    fn live(key: &ObjectKey, metadata: serde_json::Value) -> Object {
        let mut metadata = metadata;
        metadata["name"] = key.name.clone().into();
        metadata["namespace"] = "shop".into();
        let kind = &key.kind;
        Object::new(json!({ "apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata })).unwrap()
    }

    #[test]
    fn a3_another_version_or_group_of_the_same_object_removes_nothing() {
        let (old, new) = (
            key("autoscaling/v1", "HorizontalPodAutoscaler", "a"),
            key("autoscaling/v2", "HorizontalPodAutoscaler", "a"),
        );
        let inventory = Inventory { entries: vec![entry(&old, "1")], stored: None };
        let ids = |key: &ObjectKey| BTreeSet::from([entry(key, "").id()]);
        assert!(inventory.left_over(&ids(&new), &BTreeSet::new()).is_empty());
        assert_eq!(inventory.with(&[entry(&new, "1")]), [entry(&new, "1")]);

        let (old, new) = (key("extensions/v1beta1", "Ingress", "a"), key("networking.k8s.io/v1", "Ingress", "a"));
        let inventory = Inventory { entries: vec![entry(&old, "1")], stored: None };
        assert!(inventory.left_over(&ids(&new), &BTreeSet::from(["1"])).is_empty());
        assert_eq!(inventory.left_over(&ids(&new), &BTreeSet::from(["2"])).len(), 1);
        assert_eq!(inventory.with(&[entry(&new, "1")]).len(), 2, "both, until it is known that they are one");
    }

    #[test]
    fn a3_only_what_is_ours_and_holds_nothing_is_removed() {
        let map = key("v1", "ConfigMap", "a");
        let judged = |key: &ObjectKey, metadata| judge_leftover(&entry(key, "1"), Some(&live(key, metadata)));
        assert_eq!(judged(&map, json!({ "uid": "1" })), Leftover::Remove("1".to_owned()));
        assert_eq!(judged(&map, json!({ "uid": "2" })), Leftover::Gone, "made anew by another");
        assert_eq!(judge_leftover(&entry(&map, "1"), None), Leftover::Gone);
        for (key, metadata) in [
            (key("v1", "PersistentVolumeClaim", "a"), json!({ "uid": "1" })),
            (key("v1", "Namespace", "a"), json!({ "uid": "1" })),
            (key("apiextensions.k8s.io/v1", "CustomResourceDefinition", "a"), json!({ "uid": "1" })),
            (map.clone(), json!({ "uid": "1", "annotations": { PRUNE: "never" } })),
            (map.clone(), json!({ "uid": "1", "annotations": { "meta.helm.sh/release-name": "x" } })),
            (map.clone(), json!({ "uid": "1", "ownerReferences": [{ "uid": "9", "controller": true }] })),
        ] {
            assert!(matches!(judged(&key, metadata), Leftover::Stay(_)), "{key}");
        }

        // A run was killed before it learned the UID.
        let unknown = Entry::new(&map, None, None);
        let ours = json!([{ "manager": "orchestrator", "operation": "Apply", "fieldsV1": {} }]);
        let judged = |metadata| judge_leftover(&unknown, Some(&live(&map, metadata)));
        assert_eq!(judged(json!({ "uid": "3", "managedFields": ours })), Leftover::Remove("3".to_owned()));
        assert_eq!(judged(json!({ "uid": "3" })), Leftover::Gone);
    }

    #[test]
    fn records_are_told_apart_from_manifests() {
        let id = |kind: &str, name: &str| entry(&key("v1", kind, name), "").id();
        assert!(is_record(&id("ConfigMap", "orchestrator-inventory-cart")));
        assert!(is_record(&id("Secret", "orchestrator-state")));
        assert!(!is_record(&id("Secret", "orchestrator-inventory-cart")) && !is_record(&id("ConfigMap", "cart")));
    }
}
