use std::fmt;

use serde_json::Value;

use crate::error::{ClusterError, ClusterErrorKind};

/// Group, version and kind of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// The API group, such as `apps`; empty for the core group.
    pub group: String,
    /// The version of the API group, such as `v1`.
    pub version: String,
    /// `kind` of the objects, such as `Deployment`.
    pub kind: String,
}

impl Kind {
    /// From the fields `apiVersion` and `kind` of an object.
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// `GROUP/VERSION`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether group and kind are these; the version does not matter.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

/// `Deployment`; with its group where that is none of Kubernetes itself: `Certificate.cert-manager.io`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        let is_of_kubernetes = !self.group.contains('.') || self.group.ends_with(".k8s.io");
        if is_of_kubernetes { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

/// The name of one object in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Group, version and kind.
    pub kind: Kind,
    /// Absent for kinds that have no namespace.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectKey {
    /// The key of an object that lies in a namespace.
    pub fn namespaced(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: Some(namespace.into()), name: name.into() }
    }

    /// The key of an object of a kind without namespaces.
    pub fn of_cluster(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, namespace: None, name: name.into() }
    }

    /// Whether both name the same object: the version of the API does not matter.
    pub fn is_same_object(&self, other: &Self) -> bool {
        self.kind.is(&other.kind.group, &other.kind.kind)
            && self.namespace == other.namespace
            && self.name == other.name
    }
}

/// `Deployment/cart`, as the configuration and `kubectl` take it; group and namespace are left out.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.kind, self.name)
    }
}

/// An object as JSON, with its identity checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    key: ObjectKey,
    value: Value,
}

impl Object {
    /// Checks that a document has `apiVersion`, `kind` and `metadata.name`.
    pub fn new(value: Value) -> Result<Self, ClusterError> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let missing: Vec<_> = [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")]
            .into_iter()
            .filter(|(pointer, _)| text(pointer).is_none())
            .map(|(_, field)| format!("`{field}`"))
            .collect();
        let (Some(api_version), Some(kind), Some(name)) = (text("/apiVersion"), text("/kind"), text("/metadata/name"))
        else {
            let subject = text("/kind").unwrap_or("a document");
            let reason = format!("it has no {}", missing.join(", "));
            return Err(ClusterError::new(subject, ClusterErrorKind::NotAnObject { reason }));
        };
        let namespace = text("/metadata/namespace").map(str::to_owned);
        let key = ObjectKey { kind: Kind::new(api_version, kind), namespace, name: name.to_owned() };
        Ok(Self { key, value })
    }

    /// Which object it is.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The whole object.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The whole object, without a copy.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// The value at an RFC 6901 pointer such as `/spec/replicas`; null counts as absent.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The text at a pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// The whole number at a pointer.
    pub fn integer(&self, pointer: &str) -> Option<i64> {
        self.at(pointer)?.as_i64()
    }

    /// Whether the value at a pointer is `true`.
    pub fn is_true(&self, pointer: &str) -> bool {
        self.at(pointer).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The elements at a pointer; empty where there is no list.
    pub fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// What tells two objects of the same name apart; absent in a manifest.
    pub fn uid(&self) -> Option<&str> {
        self.text("/metadata/uid")
    }

    /// The version that the API server gives to each write; absent in a manifest.
    pub fn resource_version(&self) -> Option<&str> {
        self.text("/metadata/resourceVersion")
    }

    /// How often the specification changed; absent for kinds that do not count.
    pub fn generation(&self) -> Option<i64> {
        self.integer("/metadata/generation")
    }

    /// Up to which generation the controller has looked.
    pub fn observed_generation(&self) -> Option<i64> {
        self.integer("/status/observedGeneration")
    }

    /// Whether the object is being deleted.
    pub fn is_terminating(&self) -> bool {
        self.at("/metadata/deletionTimestamp").is_some()
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.at("/metadata/labels")?.get(name)?.as_str()
    }

    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.at("/metadata/annotations")?.get(name)?.as_str()
    }

    /// The UID of the object that controls this one.
    pub fn controller(&self) -> Option<&str> {
        self.list("/metadata/ownerReferences")
            .iter()
            .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?
            .get("uid")?
            .as_str()
    }

    /// The condition of a type, where a controller has written it.
    pub fn condition(&self, condition: &str) -> Option<Condition<'_>> {
        Condition::all(self.list("/status/conditions")).find(|found| found.name == condition)
    }

    /// The condition of a type, where its status is `True`.
    pub fn true_condition(&self, condition: &str) -> Option<Condition<'_>> {
        self.condition(condition).filter(Condition::is_true)
    }

    /// The condition of a type, where its status is `False`.
    pub fn false_condition(&self, condition: &str) -> Option<Condition<'_>> {
        self.condition(condition).filter(Condition::is_false)
    }
}

/// One entry of `status.conditions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition<'a> {
    /// Its `type`, as in `Available`.
    pub name: &'a str,
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// One word for the cause; empty where there is none.
    pub reason: &'a str,
    /// A sentence; empty where there is none.
    pub message: &'a str,
    /// The generation that it speaks of; absent where the controller does not say.
    pub observed_generation: Option<i64>,
}

impl<'a> Condition<'a> {
    pub(crate) fn all(list: &'a [Value]) -> impl Iterator<Item = Self> {
        list.iter().filter_map(|entry| {
            let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
            let name = entry.get("type")?.as_str()?;
            let observed_generation = entry.get("observedGeneration").and_then(Value::as_i64);
            let (status, reason, message) = (text("status"), text("reason"), text("message"));
            Some(Self { name, status, reason, message, observed_generation })
        })
    }

    /// Whether its status is `True`.
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }

    /// Whether its status is `False`.
    pub fn is_false(&self) -> bool {
        self.status == "False"
    }
}
