//! What a Kubernetes object says about itself: kind, name, namespace; and whether its kind lies in a namespace.

use std::fmt;

use serde_json::{Map, Value};

/// Kinds of Kubernetes itself and of widely used extensions that lie in no namespace. Kinds that begin with
/// `Cluster` are taken to be such as well.
const CLUSTER_SCOPED: [&str; 36] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ComponentStatus",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "GatewayClass",
    "IPAddress",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "NodeClass",
    "NodePool",
    "PersistentVolume",
    "PodSecurityPolicy",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourceSlice",
    "RuntimeClass",
    "SelfSubjectAccessReview",
    "SelfSubjectReview",
    "SelfSubjectRulesReview",
    "ServiceCIDR",
    "StorageClass",
    "StorageVersion",
    "SubjectAccessReview",
    "TokenReview",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttributesClass",
];

/// Which object is meant: API group, kind, namespace, name. Versions of one group share their objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectId {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl ObjectId {
    /// Reads the identity; the error says what is missing.
    pub(crate) fn of(object: &Map<String, Value>) -> Result<Self, String> {
        let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let Some(api_version) = text("apiVersion") else {
            return Err("the object has no `apiVersion`".to_owned());
        };
        let Some(kind) = text("kind") else { return Err("the object has no `kind`".to_owned()) };
        let Some(metadata) = object.get("metadata").and_then(Value::as_object) else {
            return Err(format!("the {} has no `metadata`", crate::problem::escaped(kind)));
        };
        let name = metadata.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let Some(name) = name else {
            let hint = if metadata.contains_key("generateName") {
                "; `generateName` makes another object each time"
            } else {
                ""
            };
            return Err(format!("the {} has no `metadata.name`{hint}", crate::problem::escaped(kind)));
        };
        let namespace = match metadata.get("namespace") {
            None | Some(Value::Null) => None,
            Some(Value::String(namespace)) if namespace.is_empty() => None,
            Some(Value::String(namespace)) => Some(namespace.clone()),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                return Err(format!("`metadata.namespace` of the {} is not a string", crate::problem::escaped(kind)));
            }
        };
        let group = api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        Ok(Self { group, kind: kind.to_owned(), namespace, name: name.to_owned() })
    }

    pub(crate) fn is_cluster_scoped(&self) -> bool {
        self.kind.starts_with("Cluster") || CLUSTER_SCOPED.contains(&self.kind.as_str())
    }

    /// `Kind/name`, as lists in rules and messages write it.
    pub(crate) fn short(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// Whether a list that names kinds or single objects names this one.
    pub(crate) fn is_in(&self, list: &std::collections::BTreeSet<String>) -> bool {
        list.contains(&self.kind) || list.contains(&self.short())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::problem::escaped(&self.short()))
    }
}
