use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{ClusterError, ClusterErrorKind};
use crate::object::{Kind, Object, ObjectKey};

/// What an API server serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    resources: BTreeMap<Kind, Resource>,
    /// Groups whose server does not answer, so that their kinds are not known.
    stale: BTreeSet<String>,
}

/// One kind that an API server serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// Group, version and kind.
    pub kind: Kind,
    /// Its name in addresses and rules: `deployments`.
    pub plural: String,
    /// Whether its objects lie in namespaces.
    pub is_namespaced: bool,
    /// What can be done with it: `get`, `list`, `watch`, …
    pub verbs: BTreeSet<String>,
}

impl Discovery {
    /// Adds what one document of the aggregated discovery says.
    pub(crate) fn add(&mut self, document: &Value) -> Result<(), ClusterError> {
        if document.get("kind").and_then(Value::as_str) != Some("APIGroupDiscoveryList") {
            let reason = "is not an aggregated discovery document: Kubernetes before 1.27 is not supported".to_owned();
            return Err(ClusterError::new("the discovery document", ClusterErrorKind::Answer { reason }));
        }
        for group in list(document, "items") {
            let name = group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            for version in list(group, "versions") {
                if text(version, "freshness") == Some("Stale") {
                    self.stale.insert(name.to_owned());
                }
                let Some(number) = text(version, "version") else { continue };
                for resource in list(version, "resources").iter().filter_map(|resource| read(name, number, resource)) {
                    self.resources.insert(resource.kind.clone(), resource);
                }
            }
        }
        Ok(())
    }

    /// How a kind is served; absent where it is not.
    pub fn resource(&self, kind: &Kind) -> Option<&Resource> {
        self.resources.get(kind)
    }

    /// Every kind that is served.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// The versions in which a kind is served; empty where it is not.
    pub fn versions(&self, group: &str, kind: &str) -> Vec<&str> {
        self.resources.keys().filter(|known| known.is(group, kind)).map(|known| known.version.as_str()).collect()
    }

    /// Whether the server of a group does not answer, so that nothing is known of its kinds.
    pub fn is_stale(&self, group: &str) -> bool {
        self.stale.contains(group)
    }

    /// What `helm template --api-versions` takes: each version of a group, and each kind in it.
    pub fn api_versions(&self) -> Vec<String> {
        let texts: BTreeSet<String> = self
            .resources
            .keys()
            .flat_map(|kind| [kind.api_version(), format!("{}/{}", kind.api_version(), kind.kind)])
            .collect();
        texts.into_iter().collect()
    }
}

/// What custom resource definitions among objects add to what is served.
pub fn defined_resources<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Vec<Resource> {
    let definitions =
        objects.into_iter().filter(|object| object.key().kind.is("apiextensions.k8s.io", "CustomResourceDefinition"));
    let defined = definitions.flat_map(|definition| {
        let name = |pointer: &str| definition.text(pointer).map(str::to_owned);
        let parts = name("/spec/group").zip(name("/spec/names/kind")).zip(name("/spec/names/plural"));
        let is_namespaced = definition.text("/spec/scope") != Some("Cluster");
        let versions = definition.list("/spec/versions").iter().filter_map(|version| text(version, "name"));
        let versions: Vec<String> = versions.map(str::to_owned).collect();
        parts.into_iter().flat_map(move |((group, kind), plural)| {
            let of_version = move |version: String| Resource {
                kind: Kind { group: group.clone(), version, kind: kind.clone() },
                plural: plural.clone(),
                is_namespaced,
                verbs: BTreeSet::new(),
            };
            versions.clone().into_iter().map(of_version)
        })
    });
    defined.collect()
}

fn read(group: &str, version: &str, resource: &Value) -> Option<Resource> {
    let named = resource.get("responseKind")?;
    // The kind can belong to another group than its address, as the review of tokens does.
    let filled =
        |key: &str, otherwise: &str| text(named, key).filter(|text| !text.is_empty()).unwrap_or(otherwise).to_owned();
    Some(Resource {
        kind: Kind {
            group: filled("group", group),
            version: filled("version", version),
            kind: text(named, "kind")?.to_owned(),
        },
        plural: text(resource, "resource")?.to_owned(),
        is_namespaced: text(resource, "scope") == Some("Namespaced"),
        verbs: list(resource, "verbs").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

impl Resource {
    /// The address of all objects, of one namespace or of all.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> Result<String, ClusterError> {
        let root = if self.kind.group.is_empty() { "/api" } else { "/apis" };
        match namespace.filter(|_| self.is_namespaced) {
            Some(namespace) => {
                let namespace = segment(&self.kind, namespace)?;
                Ok(format!("{root}/{}/namespaces/{namespace}/{}", self.kind.api_version(), self.plural))
            }
            None => Ok(format!("{root}/{}/{}", self.kind.api_version(), self.plural)),
        }
    }

    /// The address of one object.
    pub(crate) fn address(&self, key: &ObjectKey) -> Result<String, ClusterError> {
        if self.is_namespaced && key.namespace.is_none() {
            let reason = "it has no `metadata.namespace`, and its kind lies in namespaces".to_owned();
            return Err(ClusterError::new(key, ClusterErrorKind::NotAnObject { reason }));
        }
        Ok(format!("{}/{}", self.collection(key.namespace.as_deref())?, segment(&self.kind, &key.name)?))
    }
}

/// A name that stays one segment of an address.
fn segment<'a>(kind: &Kind, name: &'a str) -> Result<&'a str, ClusterError> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | ':' | '_');
    if name.is_empty() || name == "." || name == ".." || !name.chars().all(is_plain) {
        let reason = format!("`{}` is not a name", lock_model::escaping::excerpt(name));
        return Err(ClusterError::new(kind, ClusterErrorKind::NotAnObject { reason }));
    }
    Ok(name)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}
