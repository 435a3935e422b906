//! What a service has in a namespace: the object `orchestrator-inventory-SERVICE`. Only what it names is ever removed.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{ClusterErrorKind, Connection, Kind, Object, ObjectKey, Propagation, Selection};
use lock_model::Digest;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ownership::is_applied_by_us;
use crate::error::DeployError;
use crate::manifest::ObjectId;
use crate::namespace::{LeftBehind, live_objects};
use crate::problem::escaped;
use crate::request::NamespaceRule;
use crate::reserved::{HELM_RELEASE, INVENTORY, PRUNE, is_record};
use crate::volumes::{is_volume, takes_volumes};

/// The label of every inventory; its value is the service.
const LABEL: &str = "orchestrator.dev/inventory";
/// The key of the list of objects.
const OBJECTS: &str = "objects";

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
    /// Digest of the manifest that was applied; none of a Secret, nor from the time before a write until after it.
    pub(super) manifest: Option<Digest>,
}

/// The objects of one service, as they are written in the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    pub(super) entries: Vec<Entry>,
    /// Why its list cannot be read; it has no entries then.
    pub(super) damage: Option<String>,
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

impl Inventory {
    /// Every inventory of a namespace, by the name of its service. An object with the label and another name is none.
    pub(super) async fn read_all(
        connection: &Connection,
        namespace: &str,
    ) -> Result<BTreeMap<String, Self>, DeployError> {
        let selection = Selection { labels: LABEL.to_owned(), ..Selection::default() };
        let stored = connection.list(&Kind::new("v1", "ConfigMap"), Some(namespace), &selection).await?;
        Ok(stored.into_iter().filter_map(Self::read).collect())
    }

    fn read(stored: Object) -> Option<(String, Self)> {
        let service = stored.label(LABEL).filter(|service| stored.key().name == inventory_name(service))?.to_owned();
        let text = stored.text(&format!("/data/{OBJECTS}")).unwrap_or_default();
        let (entries, damage) = match serde_json::from_str(text) {
            Ok(entries) => (entries, None),
            Err(error) => {
                let name = escaped(&stored.key().name);
                (Vec::new(), Some(format!("ConfigMap/{name}, which lists its objects, cannot be read: {error}")))
            }
        };
        Some((service, Self { entries, damage, stored: Some(stored) }))
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
        let mut metadata = json!({ "name": inventory_name(service), "namespace": namespace, "labels": labels });
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
            ClusterErrorKind::Conflict { .. } => {
                DeployError::Written { subject: format!("ConfigMap/{}", inventory_name(service)) }
            }
            _ => error.into(),
        })?;
        Ok(Self { entries, damage: None, stored: Some(written) })
    }

    /// Removes the list of a service that is not deployed any more.
    pub(super) async fn delete(&self, connection: &Connection) -> Result<(), DeployError> {
        if let Some((stored, uid)) = self.stored.as_ref().and_then(|stored| Some((stored, stored.uid()?))) {
            connection.delete(stored.key(), uid, Propagation::Background).await?;
        }
        Ok(())
    }

    /// What of it is there, for people; `None` where nothing is.
    fn left_behind(&self, service: &str, namespace: &str, live: &BTreeMap<ObjectKey, Object>) -> Option<LeftBehind> {
        let service = escaped(service);
        if let Some(damage) = &self.damage {
            let way_out = format!("remove its objects and `{}`", inventory_name(&service));
            return Some(LeftBehind::new(&service, format!("what `{service}` has ({damage})"), way_out));
        }
        let allow = self.entries.iter().filter_map(|entry| entry.namespace.clone()).collect();
        let rule = &NamespaceRule { allow, ..NamespaceRule::default() };
        // What another program took over, and what people keep, is not left.
        let is_there = |entry: &&Entry| {
            let judged = judge_leftover(entry, live.get(&entry.key()), Reach { namespace, rule });
            matches!(judged, Leftover::Remove(_) | Leftover::TakesVolumes)
        };
        let names: Vec<String> = self.entries.iter().filter(is_there).map(|entry| entry.id().to_string()).collect();
        let way_out = format!("`kubectl delete --namespace {namespace} {}` removes it", names.join(" "));
        (!names.is_empty()).then(|| LeftBehind::new(&service, format!("`{service}` ({})", names.join(", ")), way_out))
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

/// What inventories of a namespace name and is still there, whatever services there are. Data alone does not run.
pub(crate) async fn left_objects(connection: &Connection, namespace: &str) -> Result<Vec<LeftBehind>, DeployError> {
    let inventories = Inventory::read_all(connection, namespace).await?;
    let entries = inventories.values().flat_map(|inventory| &inventory.entries);
    let live = live_objects(connection, &entries.map(Entry::key).collect()).await?;
    let left = inventories.iter().filter_map(|(service, inventory)| inventory.left_behind(service, namespace, &live));
    Ok(left.collect())
}

/// The name of a service's inventory.
pub(super) fn inventory_name(service: &str) -> String {
    format!("{INVENTORY}{service}")
}

/// What becomes of an object that a service no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leftover {
    /// The object of this UID is removed.
    Remove(String),
    /// It stays for this reason, and its inventory goes on naming it.
    Remain(&'static str),
    /// It stays for this reason, and no inventory names it any more: it is data, or has another owner.
    Release(&'static str),
    /// It would take volumes with it.
    TakesVolumes,
    /// It is not there, or is another object of that name.
    Gone,
}

/// What a service may have removed: objects of its namespace, and others that its rule allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach<'a> {
    pub(super) namespace: &'a str,
    pub(super) rule: &'a NamespaceRule,
}

impl Reach<'_> {
    fn has(self, id: &ObjectId) -> bool {
        match &id.namespace {
            Some(namespace) => namespace == self.namespace || self.rule.allow.contains(namespace),
            None => id.is_in(&self.rule.cluster_scoped),
        }
    }
}

/// Judges an entry that is left over.
pub(super) fn judge_leftover(entry: &Entry, live: Option<&Object>, reach: Reach<'_>) -> Leftover {
    let Some(live) = live else { return Leftover::Gone };
    let Some(uid) = live.uid() else { return Leftover::Gone };
    match entry.uid.as_deref() {
        Some(known) if known != uid => return Leftover::Gone,
        Some(_) => {}
        // It was about to be made when a run was killed: ours, if we made it.
        None if is_applied_by_us(live) => {}
        None => return Leftover::Gone,
    }
    match (entry.group.as_str(), entry.kind.as_str()) {
        _ if is_volume(&entry.id()) => return Leftover::Release("it holds data"),
        ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            return Leftover::Release("everything in it would go with it");
        }
        _ => {}
    }
    if is_record(&entry.id()) {
        return Leftover::Release("it is a record of orchestrator or helm");
    }
    if live.annotation(PRUNE) == Some("never") {
        return Leftover::Remain("it is annotated `orchestrator.dev/prune: never`");
    }
    if live.annotation(HELM_RELEASE).is_some() {
        return Leftover::Release("a helm release has it");
    }
    if live.controller().is_some() {
        return Leftover::Release("another object controls it");
    }
    if !is_applied_by_us(live) && !is_bare(live) {
        return Leftover::Remain("no field of it is orchestrator's: another program has made it or taken it over");
    }
    if !reach.has(&entry.id()) {
        return Leftover::Remain("`namespaces` does not allow it to be changed");
    }
    let whole = live.value().as_object();
    if whole.is_some_and(takes_volumes) {
        return Leftover::TakesVolumes;
    }
    Leftover::Remove(uid.to_owned())
}

/// Whether an object is nothing but a name, such as a `ServiceAccount`: the API server keeps no field manager of it.
fn is_bare(live: &Object) -> bool {
    let keys = live.value().as_object().into_iter().flat_map(serde_json::Map::keys);
    live.list("/metadata/managedFields").is_empty()
        && keys.into_iter().all(|key| matches!(key.as_str(), "apiVersion" | "kind" | "metadata"))
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
        if metadata.get("managedFields").is_none() {
            let ours = json!([{ "manager": "orchestrator", "operation": "Apply", "fieldsV1": {} }]);
            metadata["managedFields"] = ours;
        }
        let kind = &key.kind;
        Object::new(json!({ "apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata })).unwrap()
    }

    #[test]
    fn a3_another_version_or_group_of_the_same_object_removes_nothing() {
        let (old, new) = (
            key("autoscaling/v1", "HorizontalPodAutoscaler", "a"),
            key("autoscaling/v2", "HorizontalPodAutoscaler", "a"),
        );
        let inventory = Inventory { entries: vec![entry(&old, "1")], damage: None, stored: None };
        let ids = |key: &ObjectKey| BTreeSet::from([entry(key, "").id()]);
        assert!(inventory.left_over(&ids(&new), &BTreeSet::new()).is_empty());
        assert_eq!(inventory.with(&[entry(&new, "1")]), [entry(&new, "1")]);

        let (old, new) = (key("extensions/v1beta1", "Ingress", "a"), key("networking.k8s.io/v1", "Ingress", "a"));
        let inventory = Inventory { entries: vec![entry(&old, "1")], damage: None, stored: None };
        assert!(inventory.left_over(&ids(&new), &BTreeSet::from(["1"])).is_empty());
        assert_eq!(inventory.left_over(&ids(&new), &BTreeSet::from(["2"])).len(), 1);
        assert_eq!(inventory.with(&[entry(&new, "1")]).len(), 2, "both, until it is known that they are one");
    }

    #[test]
    fn a3_only_what_is_ours_and_holds_nothing_is_removed() {
        let map = key("v1", "ConfigMap", "a");
        let rule = NamespaceRule::default();
        let reach = Reach { namespace: "shop", rule: &rule };
        let judged = |key: &ObjectKey, metadata| judge_leftover(&entry(key, "1"), Some(&live(key, metadata)), reach);
        assert_eq!(judged(&map, json!({ "uid": "1" })), Leftover::Remove("1".to_owned()));
        // One without any field has no manager.
        assert_eq!(judged(&map, json!({ "uid": "1", "managedFields": [] })), Leftover::Remove("1".to_owned()));
        assert_eq!(judged(&map, json!({ "uid": "2" })), Leftover::Gone, "made anew by another");
        assert_eq!(judge_leftover(&entry(&map, "1"), None, reach), Leftover::Gone);
        for (key, metadata) in [
            (key("v1", "PersistentVolumeClaim", "a"), json!({ "uid": "1" })),
            (key("v1", "Namespace", "a"), json!({ "uid": "1" })),
            (key("apiextensions.k8s.io/v1", "CustomResourceDefinition", "a"), json!({ "uid": "1" })),
            (
                map.clone(),
                json!({ "uid": "1", "managedFields": [{ "manager": "argo", "operation": "Apply", "fieldsV1": {} }] }),
            ),
            (map.clone(), json!({ "uid": "1", "annotations": { PRUNE: "never" } })),
            (map.clone(), json!({ "uid": "1", "annotations": { "meta.helm.sh/release-name": "x" } })),
            (map.clone(), json!({ "uid": "1", "ownerReferences": [{ "uid": "9", "controller": true }] })),
        ] {
            let judged = judged(&key, metadata);
            assert!(matches!(judged, Leftover::Remain(_) | Leftover::Release(_)), "{key}: {judged:?}");
        }

        // A run was killed before it learned the UID.
        let unknown = Entry::new(&map, None, None);
        let ours = json!([{ "manager": "orchestrator", "operation": "Apply", "fieldsV1": {} }]);
        let judged = |metadata| judge_leftover(&unknown, Some(&live(&map, metadata)), reach);
        assert_eq!(judged(json!({ "uid": "3", "managedFields": ours })), Leftover::Remove("3".to_owned()));
        assert_eq!(judged(json!({ "uid": "3", "managedFields": [] })), Leftover::Gone);
    }

    #[test]
    fn a3_nothing_is_removed_beyond_the_namespace_rule_and_no_record() {
        let mut rule = NamespaceRule::default();
        let elsewhere = ObjectKey::namespaced(Kind::new("apps/v1", "Deployment"), "other", "victim");
        let mut victim = live(&elsewhere, json!({ "uid": "1" })).value().clone();
        victim["metadata"]["namespace"] = "other".into();
        let victim = Object::new(victim).unwrap();
        let judged = |rule: &NamespaceRule| {
            judge_leftover(&entry(&elsewhere, "1"), Some(&victim), Reach { namespace: "shop", rule })
        };
        assert!(matches!(judged(&rule), Leftover::Remain(_)));
        rule.allow.insert("other".to_owned());
        assert_eq!(judged(&rule), Leftover::Remove("1".to_owned()));
        let state = key("v1", "Secret", "orchestrator-state");
        let reach = Reach { namespace: "shop", rule: &rule };
        let judged = judge_leftover(&entry(&state, "1"), Some(&live(&state, json!({ "uid": "1" }))), reach);
        assert!(matches!(judged, Leftover::Release(_)), "{judged:?}");
    }

    #[test]
    fn a3_an_inventory_has_the_name_that_its_label_says() {
        let stored = |name: &str, list: &str| {
            let metadata = json!({ "name": name, "namespace": "shop", "labels": { LABEL: "shop-gone" } });
            let map =
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { OBJECTS: list } });
            Inventory::read(Object::new(map).unwrap())
        };
        assert_eq!(stored("zz-evil", "[]"), None);
        let (service, inventory) = stored("orchestrator-inventory-shop-gone", "[]").unwrap();
        assert_eq!((service.as_str(), inventory.damage), ("shop-gone", None));
        let (_, damaged) = stored("orchestrator-inventory-shop-gone", "x").unwrap();
        assert!(damaged.damage.unwrap().starts_with("ConfigMap/orchestrator-inventory-shop-gone"));
    }
}
