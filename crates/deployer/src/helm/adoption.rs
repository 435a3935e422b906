//! Objects that are there, and that are new to a release: helm takes over those alone that name the release as theirs.

use cluster::Object;
use lock_model::ServiceName;

use super::hooks::{other_release, writers};
use crate::namespace::{HOOK, Live, Rendering};
use crate::problem::{DeployProblem, ProblemKind};
use crate::reserved::HELM_RELEASE;

/// The label that helm asks for beside the annotations.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "Helm");

/// What helm says of the first such object, in the middle of a longer sentence.
pub(super) const NOT_TAKEN_OVER: &str = "cannot be imported into the current release";

/// The objects that helm would not take over, each with whose it is.
pub(super) fn not_taken_over(
    service: &ServiceName,
    namespace: &str,
    live: &Live,
    newest: Option<&Rendering>,
) -> Vec<DeployProblem> {
    let is_new = |id| newest.is_none_or(|newest| !newest.objects.contains_key(id));
    let there = live.objects.iter().filter(|(id, _)| is_new(*id));
    let problems = there.filter_map(|(id, (_, live))| {
        let owner = other_owner(live.as_ref()?, service.as_str(), namespace)?;
        let message = format!("{id} is there, and its helm release would not take it over: {owner}");
        Some(DeployProblem::new(ProblemKind::Adoption, message).service(service))
    });
    problems.collect()
}

/// Whose an object is, as a sentence; `None` where helm takes it for one of the release.
fn other_owner(live: &Object, release: &str, namespace: &str) -> Option<String> {
    if let Some(other) = other_release(live, release, namespace) {
        return Some(other);
    }
    if live.annotation(HELM_RELEASE).is_some() {
        let (label, value) = MANAGED_BY;
        return (live.label(label) != Some(value)).then(|| format!("it lacks the label `{label}: {value}`"));
    }
    if live.annotation(HOOK).is_some() {
        return Some("a hook made it".to_owned());
    }
    Some(match writers(live) {
        Some(writers) => format!("it belongs to no helm release, and was written by {writers}"),
        None => "it belongs to no helm release".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reserved::HELM_NAMESPACE;

    #[test]
    fn an_object_that_helm_would_not_take_over_has_an_owner() {
        let owner = |annotations: Value, labels: Value| {
            let metadata = json!({
                "name": "a", "namespace": "shop", "annotations": annotations, "labels": labels,
                "managedFields": [{ "manager": "kubectl" }],
            });
            let live = Object::new(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).unwrap();
            other_owner(&live, "cart", "shop")
        };
        let of = |release: &str| json!({ HELM_RELEASE: release, HELM_NAMESPACE: "shop" });
        let label = || json!({ MANAGED_BY.0: MANAGED_BY.1 });
        assert_eq!(owner(of("cart"), label()), None);
        assert!(owner(of("cart"), json!({})).unwrap().contains("managed-by: Helm"));
        assert!(owner(of("web"), label()).unwrap().contains("the helm release `web`"));
        assert_eq!(owner(json!({ HOOK: "pre-install" }), label()).unwrap(), "a hook made it");
        assert!(owner(json!({}), label()).unwrap().contains("no helm release, and was written by `kubectl`"));
    }
}
