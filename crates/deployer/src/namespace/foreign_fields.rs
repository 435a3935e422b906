//! Fields that somebody else wrote into objects of a deployment: a deployment leaves them as they are.

use std::collections::BTreeSet;

use cluster::{Connection, Kind, Object, ObjectKey};
use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::rendering::Rendering;
use super::running::{containers, names};
use crate::diff::field;
use crate::error::DeployError;
use crate::noise::{self, NoisyField};
use crate::problem::escaped;
use crate::request::{DeployRequest, DeployService};

/// How many fields of one writer are named.
const NAMED: usize = 5;

/// Who writes as part of a deployment, or of Kubernetes itself: names that begin so.
const OWN: &[&str] = &["helm", "Helm", "orchestrator", "kube-", "kubelet", "cloud-controller-manager"];

/// The field managers that write a release's own values: their fields are not foreign.
const DEPLOYS: &[&str] = &["orchestrator", "helm"];

/// What `kubectl rollout restart` writes: the same release, in new pods.
const RESTARTED: &str = r#"template.metadata.annotations["kubectl.kubernetes.io/restartedAt"]"#;

/// Fields of one object that another program wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ForeignFields {
    /// The service whose object it is.
    pub service: ServiceName,
    /// `Kind/name` of the object.
    pub object: String,
    /// The writer, as it calls itself, such as `kubectl-edit`.
    pub manager: String,
    /// The fields, such as `spec.template.spec.containers[name=app].env[name=DEBUG].value`; the first few.
    pub fields: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

impl ForeignFields {
    /// The fields in one line: the first few, and how many more there are.
    pub fn fields_in_short(&self) -> String {
        let more = if self.more == 0 { String::new() } else { format!(" and {} more", self.more) };
        format!("{}{more}", self.fields.join(", "))
    }
}

/// What other programs wrote into the objects of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Foreign {
    /// By object and writer.
    pub fields: Vec<ForeignFields>,
    /// What is left out, since the environment calls it noise.
    pub noise: Vec<NoisyField>,
}

impl Foreign {
    pub(crate) fn extend(&mut self, other: Self) {
        self.fields.extend(other.fields);
        self.noise.extend(other.noise);
    }
}

/// Looks at every object of a service.
pub(crate) async fn foreign_fields(
    connection: &Connection,
    request: &DeployRequest,
    service: &DeployService,
    stored: &Rendering,
) -> Result<Foreign, DeployError> {
    let DeployService { name: service, noise, .. } = service;
    let mut found = Foreign::default();
    for (id, object) in &stored.objects {
        let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let namespace = id.namespace.as_deref().unwrap_or(&request.namespace);
        let key = ObjectKey::namespaced(Kind::new(api_version, &id.kind), namespace, &id.name);
        // What is gone is a change of the plan.
        let Some(live) = connection.find(&key).await? else { continue };
        let allowed = allowed_sidecars(&live, object, request);
        for (manager, mut fields) in written_by_others(live.list("/metadata/managedFields")) {
            fields.retain(|field| !allowed.iter().any(|container| field.contains(container)));
            let rules = noise::rules_of(noise, id);
            let (noisy, kept) =
                fields.into_iter().partition(|field| noise::covers(&rules, field, live.value(), object));
            fields = kept;
            let noisy: Vec<String> = noisy;
            found.noise.extend(noisy.into_iter().map(|field| NoisyField {
                service: service.clone(),
                object: id.to_string(),
                field,
            }));
            if fields.is_empty() {
                continue;
            }
            let more = fields.len().saturating_sub(NAMED);
            fields.truncate(NAMED);
            let (service, object) = (service.clone(), id.to_string());
            found.fields.push(ForeignFields { service, object, manager, fields, more });
        }
    }
    Ok(found)
}

/// The parts of paths that belong to containers which the release does not have and the environment allows.
fn allowed_sidecars(live: &Object, declared: &Map<String, Value>, request: &DeployRequest) -> Vec<String> {
    let declared = names(declared);
    let text = |container: &Value, key: &str| container.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = live.value().as_object().into_iter().flat_map(containers);
    let all = all.map(|container| (text(container, "name"), text(container, "image")));
    let allowed = all.filter(|(name, image)| !declared.contains(name) && request.allows(name, image));
    allowed.flat_map(|(name, _)| ["containers", "initContainers"].map(|list| format!(".{list}[name={name}]"))).collect()
}

/// The fields outside of metadata and status, by their writer.
fn written_by_others(managed: &[Value]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    // What a deployment wrote as well has the value of the release.
    let mut deployed = Vec::new();
    let is_deployment =
        |entry: &&Value| entry.get("manager").and_then(Value::as_str).is_some_and(|manager| DEPLOYS.contains(&manager));
    for entry in managed.iter().filter(is_deployment) {
        for (name, inner) in entry.get("fieldsV1").and_then(Value::as_object).into_iter().flatten() {
            leaves(&part(name), inner, &mut deployed);
        }
    }
    let deployed: BTreeSet<String> = deployed.into_iter().collect();
    for entry in managed {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let manager = text("manager");
        // A subresource is written by controllers: `status`, and `scale` by autoscalers.
        if !text("subresource").is_empty() || OWN.iter().any(|own| manager.starts_with(own)) {
            continue;
        }
        let mut fields = Vec::new();
        let parts = entry.get("fieldsV1").and_then(Value::as_object).into_iter().flatten();
        for (name, inner) in parts.filter(|(name, _)| !matches!(name.as_str(), "f:metadata" | "f:status" | ".")) {
            leaves(&part(name), inner, &mut fields);
        }
        fields.retain(|field| !deployed.contains(field) && !field.ends_with(RESTARTED));
        if !fields.is_empty() {
            fields.sort();
            found.push((escaped(manager), fields));
        }
    }
    found.sort();
    found
}

fn leaves(path: &str, value: &Value, fields: &mut Vec<String>) {
    let inner: Vec<(&String, &Value)> =
        value.as_object().into_iter().flatten().filter(|(name, _)| name.as_str() != ".").collect();
    if inner.is_empty() {
        fields.push(escaped(path));
    }
    for (name, value) in inner {
        let inner = match name.strip_prefix("f:") {
            Some(key) => field(path, key),
            None => format!("{path}{}", part(name)),
        };
        leaves(&inner, value, fields);
    }
}

/// `f:spec` is a field, `k:{"name":"app"}` an entry of a list by its key, `v:…` one by its value, `i:0` one by its place.
fn part(name: &str) -> String {
    match name.split_once(':') {
        Some(("f", field)) => field.to_owned(),
        Some(("k", keys)) => {
            let keys: serde_json::Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let shown = keys.iter().map(|(key, value)| match value {
                Value::String(text) => format!("{key}={text}"),
                other => format!("{key}={other}"),
            });
            format!("[{}]", shown.collect::<Vec<_>>().join(","))
        }
        Some((_, value)) => format!("[{value}]"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_others_are_named_and_those_of_controllers_are_not() {
        let managed = serde_json::json!([
            { "manager": "helm", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
            { "manager": "kube-controller-manager", "subresource": "status", "fieldsV1": { "f:status": {} } },
            { "manager": "autoscaler", "subresource": "scale", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
            { "manager": "watcher", "fieldsV1": { "f:metadata": { "f:labels": {} } } },
            { "manager": "kubectl-set", "fieldsV1": { "f:spec": { "f:template": { "f:spec": { "f:containers": {
                "k:{\"name\":\"app\"}": { ".": {}, "f:env": { "k:{\"name\":\"DEBUG\"}": { ".": {}, "f:value": {} } } }
            } } } } } },
            { "manager": "orchestrator", "fieldsV1": { "f:spec": { "f:paused": {} } } },
            { "manager": "kubectl-patch", "fieldsV1": { "f:spec": { "f:minReadySeconds": {}, "f:paused": {} } } },
            { "manager": "kubectl-rollout", "fieldsV1": { "f:spec": { "f:template": { "f:metadata": { "f:annotations": {
                ".": {}, "f:kubectl.kubernetes.io/restartedAt": {}
            } } } } } },
            { "manager": "kubectl-edit", "fieldsV1": { "f:data": { ".": {}, "f:a": {} }, "f:spec": { "v:\"x\"": {} } } },
        ]);
        assert_eq!(
            written_by_others(managed.as_array().unwrap()),
            [
                ("kubectl-edit".to_owned(), vec!["data.a".to_owned(), "spec[\"x\"]".to_owned()]),
                ("kubectl-patch".to_owned(), vec!["spec.minReadySeconds".to_owned()]),
                (
                    "kubectl-set".to_owned(),
                    vec!["spec.template.spec.containers[name=app].env[name=DEBUG].value".to_owned()]
                ),
            ]
        );
    }
}
