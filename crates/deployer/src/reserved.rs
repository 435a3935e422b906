//! What this program and helm keep in a namespace for themselves: no manifest and no chart may have it.
//!
//! An inventory says what may be removed, the state to whom a namespace belongs, a release of helm what it goes on from. An
//! object of a service that looked like one of them would be taken for it.

use serde_json::{Map, Value};

use crate::manifest::ObjectId;
use crate::problem::{ProblemKind, escaped};
use crate::request::DeployRequest;
use crate::rules::Violation;
use crate::settings::{Part, is_version_name};

/// What begins the labels and annotations of this program.
const DOMAIN: &str = "orchestrator.dev/";
/// An object with this annotation, and the value `never`, is never removed; people write it.
pub(crate) const PRUNE: &str = "orchestrator.dev/prune";
/// What begins the name of every inventory.
pub(crate) const INVENTORY: &str = "orchestrator-inventory-";
/// The type of the Secrets that helm keeps its releases in, and what begins their names.
const HELM_TYPE: &str = "helm.sh/release.v1";
const HELM_NAME: &str = "sh.helm.release.v1.";
/// The annotation by which helm names the release of an object.
pub(crate) const HELM_RELEASE: &str = "meta.helm.sh/release-name";
/// The annotation by which helm names the namespace of that release.
pub(crate) const HELM_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// Whether an object is a record of this program or of helm, by its kind and name.
pub(crate) fn is_record(id: &ObjectId) -> bool {
    match (id.group.as_str(), id.kind.as_str()) {
        ("", "ConfigMap") => id.name.starts_with(INVENTORY),
        ("", "Secret") => id.name == "orchestrator-state" || id.name.starts_with(HELM_NAME),
        ("coordination.k8s.io", "Lease") => id.name.starts_with("orchestrator-"),
        _ => false,
    }
}

/// What an object of a service has that is reserved.
pub(crate) fn violations(request: &DeployRequest, id: &ObjectId, object: &Map<String, Value>) -> Vec<Violation> {
    let mut found = Vec::new();
    let is_helm_type = id.group.is_empty()
        && id.kind == "Secret"
        && object.get("type").and_then(Value::as_str).is_some_and(|kind| kind == HELM_TYPE);
    if is_record(id) || is_helm_type {
        found.push(format!("{id} would be a record of orchestrator or helm"));
    }
    if is_settings(request, id) {
        found.push(format!("{id} has the name of a version of a service's settings"));
    }
    let metadata = object.get("metadata").and_then(Value::as_object);
    for (list, word) in [("labels", "label"), ("annotations", "annotation")] {
        let keys = metadata.and_then(|metadata| metadata.get(list)?.as_object()).into_iter().flatten();
        let ours = keys.filter(|(key, _)| key.starts_with(DOMAIN) && !(list == "annotations" && *key == PRUNE));
        found.extend(ours.map(|(key, _)| format!("{id} has the {word} `{}` of orchestrator", escaped(key))));
    }
    found.into_iter().map(|message| (ProblemKind::Reserved, message)).collect()
}

/// Settings of a service that has some are versions whose names end in digits.
fn is_settings(request: &DeployRequest, id: &ObjectId) -> bool {
    let parts = [Part::Config, Part::Secret];
    id.group.is_empty()
        && request.services.iter().any(|service| {
            let settings = &service.settings;
            parts.into_iter().filter(|part| part.kind() == id.kind).any(|part| {
                let is_read = match part {
                    Part::Config => settings.config.is_some(),
                    Part::Secret => settings.secret.is_some(),
                };
                (is_read || service.setting_parts.contains(&part))
                    && is_version_name(&id.name, service.name.as_str(), part)
            })
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::DeployService;

    fn found(object: &Value) -> Vec<String> {
        let mut request = DeployRequest::of_test();
        let mut service = DeployService::new("shop-cart".parse().unwrap());
        service.setting_parts.insert(Part::Config);
        request.services.push(service);
        let object = object.as_object().unwrap();
        let found = violations(&request, &ObjectId::of(object).unwrap(), object);
        assert!(found.iter().all(|(kind, _)| *kind == ProblemKind::Reserved));
        found.into_iter().map(|(_, message)| message).collect()
    }

    #[test]
    fn records_of_orchestrator_and_helm_are_no_objects_of_a_service() {
        for (version, kind, name, is_reserved) in [
            ("v1", "ConfigMap", "orchestrator-inventory-shop-cart", true),
            ("v1", "ConfigMap", "orchestrator-state", false),
            ("v1", "ConfigMap", "shop-cart-config-0451abcd", true),
            ("v1", "ConfigMap", "shop-cart-config-blue", false),
            ("v1", "ConfigMap", "shop-web-config-0451abcd", false),
            ("v1", "Secret", "shop-cart-secret-0451abcd", false),
            ("v1", "Secret", "orchestrator-state", true),
            ("v1", "Secret", "sh.helm.release.v1.shop-web.v9", true),
            ("coordination.k8s.io/v1", "Lease", "orchestrator-staging", true),
            ("coordination.k8s.io/v1", "Lease", "leader", false),
        ] {
            let object = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name } });
            assert_eq!(!found(&object).is_empty(), is_reserved, "{kind}/{name}");
        }
        let release = json!({ "apiVersion": "v1", "kind": "Secret", "type": HELM_TYPE, "metadata": { "name": "a" } });
        assert_eq!(found(&release).len(), 1);
    }

    #[test]
    fn labels_and_annotations_of_orchestrator_are_its_own_apart_from_the_one_of_people() {
        let with = |metadata: Value| {
            let mut object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });
            object["metadata"]["name"] = "zz".into();
            found(&object)
        };
        let forged = with(json!({ "labels": { "orchestrator.dev/inventory": "shop-gone" } }));
        assert_eq!(forged, ["ConfigMap/zz has the label `orchestrator.dev/inventory` of orchestrator"]);
        assert_eq!(with(json!({ "annotations": { "orchestrator.dev/run": "1" } })).len(), 1);
        assert_eq!(with(json!({ "labels": { PRUNE: "never" } })).len(), 1, "it would have no effect");
        let fine = json!({ "annotations": { PRUNE: "never" }, "labels": { "app.kubernetes.io/managed-by": "x" } });
        assert!(with(fine).is_empty());
    }
}
