//! What rendered objects name and need: a missing Secret is a finding before the deployment, not a hang of minutes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lock_model::escaping::escape_short;
use serde_json::Value;

use crate::connection::{Connection, Selection, with_query};
use crate::error::{ClusterError, ClusterErrorKind};
use crate::object::{Kind, Object, ObjectKey};
use crate::transport::Call;

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// One object that another needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Reference {
    /// What is named.
    pub target: ObjectKey,
    /// The keys of it that are named; empty where the whole of it is used.
    pub keys: BTreeSet<String>,
    /// What names it.
    pub by: ObjectKey,
}

/// A reference that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct MissingReference {
    /// What is named, and by what.
    pub reference: Reference,
    /// The keys that the target lacks; empty where the target itself is missing.
    pub keys: BTreeSet<String>,
}

/// ``Deployment/cart needs Secret/login, which has no key `password` ``.
impl fmt::Display for MissingReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs {}, which ", self.reference.by, self.reference.target)?;
        if self.keys.is_empty() {
            return f.write_str("does not exist");
        }
        let keys = self.keys.iter().map(|key| format!("`{}`", escape_short(key, 200))).collect::<Vec<_>>();
        write!(f, "has no key {}", keys.join(", "))
    }
}

/// What is known about references.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReferenceReport {
    /// Those that lead nowhere.
    pub missing: Vec<MissingReference>,
    /// Kinds that may not be read, with the reason: nothing is known about references to them.
    pub unknown: BTreeMap<Kind, String>,
}

/// What an object needs to work. Optional references are left out, as is what the cluster makes by itself.
pub fn references(object: &Object) -> Vec<Reference> {
    let mut found = Collector { by: object.key(), targets: BTreeMap::new() };
    let key = object.key();
    match (key.kind.group.as_str(), key.kind.kind.as_str()) {
        ("", "PersistentVolumeClaim") => found.storage_class(object.at("/spec")),
        ("", "ServiceAccount") => found.names("Secret", object.list("/imagePullSecrets")),
        ("networking.k8s.io", "Ingress") => {
            found.of_cluster("networking.k8s.io/v1", "IngressClass", object.text("/spec/ingressClassName"));
        }
        _ => {
            for claim in object.list("/spec/volumeClaimTemplates") {
                found.storage_class(claim.get("spec"));
            }
        }
    }
    if let Some(spec) = pod_spec(object) {
        found.pod(spec, &claims_of(object));
    }
    found.targets.into_iter().map(|(target, keys)| Reference { target, keys, by: key.clone() }).collect()
}

/// The specification of the pods that an object makes.
pub(crate) fn pod_spec(object: &Object) -> Option<&Value> {
    let kind = &object.key().kind;
    let pointer = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => "/spec",
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template/spec",
        ("apps" | "batch", _) | ("", "ReplicationController") => "/spec/template/spec",
        _ => return None,
    };
    object.at(pointer)
}

/// Claims that a `StatefulSet` makes itself.
fn claims_of(object: &Object) -> BTreeSet<&str> {
    object
        .list("/spec/volumeClaimTemplates")
        .iter()
        .filter_map(|claim| claim.pointer("/metadata/name")?.as_str())
        .collect()
}

/// Where volumes of other kinds name the Secret that they are mounted with.
const VOLUME_SECRETS: [(&str, &str); 8] = [
    ("csi", "nodePublishSecretRef/name"),
    ("azureFile", "secretName"),
    ("cephfs", "secretRef/name"),
    ("flexVolume", "secretRef/name"),
    ("iscsi", "secretRef/name"),
    ("rbd", "secretRef/name"),
    ("scaleIO", "secretRef/name"),
    ("storageos", "secretRef/name"),
];

struct Collector<'a> {
    by: &'a ObjectKey,
    targets: BTreeMap<ObjectKey, BTreeSet<String>>,
}

impl Collector<'_> {
    fn add(&mut self, kind: &str, name: Option<&str>, keys: impl IntoIterator<Item = String>) {
        self.of_kind(Kind::new("v1", kind), name, keys);
    }

    fn of_kind(&mut self, kind: Kind, name: Option<&str>, keys: impl IntoIterator<Item = String>) {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return };
        let target = ObjectKey { kind, namespace: self.by.namespace.clone(), name: name.to_owned() };
        self.targets.entry(target).or_default().extend(keys);
    }

    fn of_cluster(&mut self, version: &str, kind: &str, name: Option<&str>) {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.targets.entry(ObjectKey::of_cluster(Kind::new(version, kind), name)).or_default();
        }
    }

    fn storage_class(&mut self, spec: Option<&Value>) {
        let class = spec.and_then(|spec| text(spec, "storageClassName"));
        // A claim that names a volume needs no class.
        if spec.is_some_and(|spec| text(spec, "volumeName").is_none()) {
            self.of_cluster("storage.k8s.io/v1", "StorageClass", class);
        }
    }

    fn names(&mut self, kind: &str, list: &[Value]) {
        for entry in list {
            self.add(kind, text(entry, "name"), []);
        }
    }

    fn pod(&mut self, spec: &Value, own_claims: &BTreeSet<&str>) {
        self.names("Secret", list(spec, "imagePullSecrets"));
        let account = text(spec, "serviceAccountName").or_else(|| text(spec, "serviceAccount"));
        // Every namespace has this one.
        self.add("ServiceAccount", account.filter(|account| *account != "default"), []);
        let class = text(spec, "priorityClassName").filter(|class| !class.starts_with("system-"));
        self.of_cluster("scheduling.k8s.io/v1", "PriorityClass", class);
        self.of_cluster("node.k8s.io/v1", "RuntimeClass", text(spec, "runtimeClassName"));
        for container in ["initContainers", "containers"].iter().flat_map(|key| list(spec, key)) {
            for (reference, kind) in [("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")] {
                for source in list(container, "env").iter().filter_map(|env| env.get("valueFrom")?.get(reference)) {
                    self.source(kind, source, "name", text(source, "key").map(str::to_owned));
                }
            }
            for (reference, kind) in [("secretRef", "Secret"), ("configMapRef", "ConfigMap")] {
                for source in list(container, "envFrom").iter().filter_map(|env| env.get(reference)) {
                    self.source(kind, source, "name", []);
                }
            }
        }
        self.device_claims(spec);
        for volume in list(spec, "volumes") {
            self.volume(volume, "secretName", own_claims);
            for source in volume.get("projected").map(|projected| list(projected, "sources")).unwrap_or_default() {
                self.volume(source, "name", own_claims);
            }
        }
    }

    fn volume(&mut self, volume: &Value, secret_name: &str, own_claims: &BTreeSet<&str>) {
        for (part, kind, name) in [("secret", "Secret", secret_name), ("configMap", "ConfigMap", "name")] {
            if let Some(source) = volume.get(part) {
                let keys: Vec<_> =
                    list(source, "items").iter().filter_map(|item| text(item, "key")).map(str::to_owned).collect();
                self.source(kind, source, name, keys);
            }
        }
        let claim = volume.get("persistentVolumeClaim").and_then(|claim| text(claim, "claimName"));
        let is_own = text(volume, "name").is_some_and(|name| own_claims.contains(name));
        self.add("PersistentVolumeClaim", claim.filter(|_| !is_own), []);
        for (part, secret) in VOLUME_SECRETS {
            self.add("Secret", volume.pointer(&format!("/{part}/{secret}")).and_then(Value::as_str), []);
        }
        self.storage_class(volume.pointer("/ephemeral/volumeClaimTemplate/spec"));
    }

    /// Devices that pods ask for: the claim itself, or what one is made of for each pod.
    fn device_claims(&mut self, spec: &Value) {
        for claim in list(spec, "resourceClaims") {
            for (key, kind) in
                [("resourceClaimName", "ResourceClaim"), ("resourceClaimTemplateName", "ResourceClaimTemplate")]
            {
                self.of_kind(Kind::new("resource.k8s.io/v1", kind), text(claim, key), []);
            }
        }
    }

    fn source(&mut self, kind: &str, source: &Value, name: &str, keys: impl IntoIterator<Item = String>) {
        if source.get("optional").and_then(Value::as_bool) != Some(true) {
            self.add(kind, text(source, name), keys);
        }
    }
}

impl Connection {
    /// Which references of a batch lead nowhere, neither in the cluster nor in the batch itself.
    ///
    /// Values of Secrets are never read: of a Secret in the cluster only its existence is known, not its keys.
    pub async fn missing_references(&self, batch: &[Object]) -> Result<ReferenceReport, ClusterError> {
        let mut wanted: BTreeMap<(Kind, Option<String>), Vec<Reference>> = BTreeMap::new();
        for reference in batch.iter().flat_map(references) {
            let place = (reference.target.kind.clone(), reference.target.namespace.clone());
            wanted.entry(place).or_default().push(reference);
        }
        let mut report = ReferenceReport::default();
        for ((kind, namespace), references) in wanted {
            let outside: Vec<_> = references
                .into_iter()
                .filter(|reference| match batch.iter().find(|object| object.key().is_same_object(&reference.target)) {
                    Some(object) => {
                        report.missing.extend(lacking(reference, object));
                        false
                    }
                    None => true,
                })
                .collect();
            if outside.is_empty() {
                continue;
            }
            let names = match self.names(&kind, namespace.as_deref(), &outside).await {
                Ok(names) => names,
                Err(error) if matches!(error.kind(), ClusterErrorKind::Forbidden { .. }) => {
                    report.unknown.insert(kind, error.to_string());
                    continue;
                }
                Err(error) => return Err(error),
            };
            for reference in outside {
                if !names.contains(&reference.target.name) {
                    report.missing.push(MissingReference { reference, keys: BTreeSet::new() });
                } else if kind.is("", "ConfigMap") && !reference.keys.is_empty() {
                    let live = self.get(&reference.target).await?;
                    report.missing.extend(lacking(&reference, &live));
                }
            }
        }
        report.missing.sort();
        Ok(report)
    }

    /// Whether an object is there; only its metadata is read, so that this says nothing of a Secret's values.
    pub async fn exists(&self, key: &ObjectKey) -> Result<bool, ClusterError> {
        let address = self.resource(&key.kind).await?.address(key)?;
        match self.transport.send(key, &Call { accept: METADATA, ..Call::get(address) }).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ClusterErrorKind::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lists the objects of a kind in a namespace without anything but their metadata.
    pub async fn list_metadata(
        &self,
        kind: &Kind,
        namespace: &str,
        selection: &Selection,
    ) -> Result<Vec<Object>, ClusterError> {
        let query = [("labelSelector", selection.labels.clone()), ("fieldSelector", selection.fields.clone())];
        let address = with_query(&self.resource(kind).await?.collection(Some(namespace))?, &query);
        let found = self.transport.send(kind, &Call { accept: METADATA_LIST, ..Call::get(address) }).await?;
        let items = found.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let of_kind = |mut item: Value| {
            item["apiVersion"] = kind.api_version().into();
            item["kind"] = kind.kind.clone().into();
            Object::new(item)
        };
        items.into_iter().map(of_kind).collect()
    }

    /// The names of the objects of a kind: in one request where the right to list is there, else one by one.
    async fn names(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        references: &[Reference],
    ) -> Result<BTreeSet<String>, ClusterError> {
        let resource = match self.resource(kind).await {
            Ok(resource) => resource,
            Err(error) if matches!(error.kind(), ClusterErrorKind::UnknownKind) => {
                let discovery = self.discovery().await?;
                // Kinds of devices are young: the server has them in an earlier version, or none of them.
                match discovery.versions(&kind.group, &kind.kind).first() {
                    Some(version) => self.resource(&Kind { version: (*version).to_owned(), ..kind.clone() }).await?,
                    None if discovery.is_stale(&kind.group) => return Err(error),
                    None => return Ok(BTreeSet::new()),
                }
            }
            Err(error) => return Err(error),
        };
        let collection = with_query(&resource.collection(namespace)?, &[("resourceVersion", "0".to_owned())]);
        match self.transport.send(kind, &Call { accept: METADATA_LIST, ..Call::get(collection) }).await {
            Ok(found) => {
                let items = found.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let name = |item: &Value| Some(item.pointer("/metadata/name")?.as_str()?.to_owned());
                Ok(items.iter().filter_map(name).collect())
            }
            Err(error) if matches!(error.kind(), ClusterErrorKind::Forbidden { .. }) => {
                let mut names = BTreeSet::new();
                let targets: BTreeSet<_> = references.iter().map(|reference| &reference.target).collect();
                for target in targets {
                    match self
                        .transport
                        .send(target, &Call { accept: METADATA, ..Call::get(resource.address(target)?) })
                        .await
                    {
                        Ok(_) => drop(names.insert(target.name.clone())),
                        Err(error) if matches!(error.kind(), ClusterErrorKind::NotFound) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(names)
            }
            Err(error) => Err(error),
        }
    }
}

/// The keys of a reference that an object of the batch, or a `ConfigMap`, does not have.
fn lacking(reference: &Reference, object: &Object) -> Option<MissingReference> {
    let has = |key: &String| {
        ["data", "stringData", "binaryData"]
            .iter()
            .any(|part| object.value().get(part).is_some_and(|part| part.get(key).is_some()))
    };
    let keys: BTreeSet<_> = reference.keys.iter().filter(|key| !has(key)).cloned().collect();
    (!keys.is_empty()).then(|| MissingReference { reference: reference.clone(), keys })
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}
