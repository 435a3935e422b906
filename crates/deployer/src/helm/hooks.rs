//! Hooks beside what the cluster has under their names.
//!
//! Before helm makes a hook it deletes what has the hook's name, unless the hook's policy is another one, and it does not look
//! whose that is. A hook that it has made carries the annotation `helm.sh/hook`, and none that names its release.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{ClusterError, ClusterErrorKind, Kind, Object, ObjectKey};
use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::stored::stored_hooks;
use super::target::HelmTarget;
use crate::error::DeployError;
use crate::manifest::ObjectId;
use crate::namespace::{HOOK, Rendering, at_once, is_refusal, placed, refusal};
use crate::problem::{DeployProblem, ProblemKind, escaped};
use crate::reserved::{HELM_NAMESPACE, HELM_RELEASE};
use crate::volumes::{is_volume, takes_volumes};

/// The annotation that says when helm deletes a hook.
const POLICY: &str = "helm.sh/hook-delete-policy";
/// The policy of a hook that names none.
const BEFORE: &str = "before-hook-creation";
/// The policies by which helm deletes a hook that has run.
const AFTER: [&str; 2] = ["hook-succeeded", "hook-failed"];

/// A release whose hooks are about to run.
pub(super) struct HooksOf<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) rendering: &'a Rendering,
    /// What the newest revision has, where it is at hand.
    pub(super) newest: Option<&'a Rendering>,
    pub(super) doing: Doing,
}

/// What helm is about to do with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Install,
    Upgrade,
    Uninstall,
}

impl Doing {
    /// The events whose hooks it starts.
    pub(super) fn events(self) -> [&'static str; 2] {
        match self {
            Self::Install => ["pre-install", "post-install"],
            Self::Upgrade => ["pre-upgrade", "post-upgrade"],
            Self::Uninstall => ["pre-delete", "post-delete"],
        }
    }
}

impl<'a> HooksOf<'a> {
    /// The hooks that a cluster is asked about. A release that is uninstalled runs no others any more.
    fn asked(&self) -> impl Iterator<Item = (&'a ObjectId, &'a Map<String, Value>)> {
        let is_gone = self.doing == Doing::Uninstall;
        self.rendering.started_hooks().filter(move |(id, _)| !is_gone || runs(self, id))
    }
}

/// Whether a hook is refused for what is another when it is its turn: objects that come before it, and room in a quota.
fn depends_on_others(error: &ClusterError) -> bool {
    error.is_over_quota()
        || error.is_about_missing_reference()
        || matches!(
            error.kind(),
            ClusterErrorKind::NotFound | ClusterErrorKind::UnknownKind | ClusterErrorKind::Conflict { .. }
        )
}

/// What the cluster says about hooks.
#[derive(Debug, Default)]
pub(super) struct HookFacts {
    pub(super) problems: Vec<DeployProblem>,
    /// The hooks whose names objects have, by service.
    there: BTreeMap<ServiceName, BTreeSet<ObjectId>>,
    /// The hooks whose objects are there and that helm deletes first, by service.
    pub(super) replaced: BTreeMap<ServiceName, BTreeSet<ObjectId>>,
}

/// Whose an object is that has the name of a hook.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    Own,
    /// A hook made it, of this release or of another one.
    SomeHook,
    /// Who else it belongs to, as a sentence.
    Other(String),
}

impl HelmTarget {
    /// Asks the cluster about every hook of releases. One that only `helm test` starts is never made.
    pub(super) async fn look_at_hooks(&self, releases: &[HooksOf<'_>]) -> Result<HookFacts, DeployError> {
        let connection = &self.namespace.connection;
        let mut asked = Vec::new();
        for (place, release) in releases.iter().enumerate() {
            for (id, hook) in release.asked() {
                asked.push((place, id.clone(), self.key_of(id, hook)));
            }
        }
        let answers = at_once(asked, |(place, id, key)| {
            let connection = connection.clone();
            async move { (place, id, connection.find(&key).await) }
        });
        let mut facts = HookFacts::default();
        let mut earlier: BTreeMap<usize, BTreeSet<ObjectId>> = BTreeMap::new();
        for (place, id, answer) in answers.await {
            let Some(release) = releases.get(place) else { continue };
            let live = match answer {
                Ok(Some(live)) => live,
                Ok(None) => continue,
                Err(error) if matches!(error.kind(), ClusterErrorKind::UnknownKind) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(hook) = release.rendering.hooks.get(&id) else { continue };
            facts.there.entry(release.service.clone()).or_default().insert(id.clone());
            let other = match holder(&live, release.service.as_str(), &self.namespace.name) {
                Holder::Own => None,
                Holder::Other(other) => Some(other),
                Holder::SomeHook => {
                    let is_newest = release.newest.is_some_and(|newest| newest.hooks.contains_key(&id));
                    if !is_newest && !earlier.contains_key(&place) {
                        let stored = stored_hooks(connection, &self.namespace.name, release.service.as_str()).await?;
                        earlier.insert(place, stored);
                    }
                    let is_known = is_newest || earlier.get(&place).is_some_and(|hooks| hooks.contains(&id));
                    (!is_known).then(|| "a hook made it that no stored revision of this release has".to_owned())
                }
            };
            let problem = match other {
                Some(other) => {
                    let message = format!("{id} is a hook, and the cluster has an object of that name: {other}");
                    Some((ProblemKind::HookOwner, message))
                }
                None if runs(release, &id) && is_deleted_before(hook) => {
                    facts.replaced.entry(release.service.clone()).or_default().insert(id.clone());
                    holds_data(&id, hook).then(|| {
                        let message = format!("{id} is a hook and is there: helm would delete it, and what it holds");
                        (ProblemKind::HookDeletion, message)
                    })
                }
                None => None,
            };
            facts
                .problems
                .extend(problem.map(|(kind, message)| DeployProblem::new(kind, message).service(release.service)));
        }
        Ok(facts)
    }

    /// Tries every hook on the API server, which writes nothing: helm would find out only in the middle of its work.
    pub(super) async fn try_hooks(
        &self,
        releases: &[HooksOf<'_>],
        facts: &HookFacts,
    ) -> Result<Vec<DeployProblem>, DeployError> {
        let mut asked = Vec::new();
        for release in releases {
            for (id, hook) in release.asked() {
                let is_there = facts.there.get(release.service).is_some_and(|there| there.contains(id));
                let object = placed(&self.namespace.name, hook.clone())?;
                asked.push((release.service.clone(), id.clone(), object, is_there));
            }
        }
        let answers = at_once(asked, |(service, id, object, is_there)| {
            let connection = self.namespace.connection.clone();
            async move { (service, id, connection.try_create(&object, is_there).await) }
        });
        let mut problems = Vec::new();
        for (service, id, answer) in answers.await {
            match answer {
                Ok(()) => {}
                Err(error) if depends_on_others(&error) => {}
                Err(error) if is_refusal(&error) => {
                    problems.push(refusal(&format!("hook {id}"), &error).service(&service));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(problems)
    }

    fn key_of(&self, id: &ObjectId, object: &Map<String, Value>) -> ObjectKey {
        let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let namespace = id.namespace.as_deref().unwrap_or(&self.namespace.name);
        ObjectKey::namespaced(Kind::new(api_version, &id.kind), namespace, &id.name)
    }
}

/// Hooks that helm would delete once they have run, and data with them; no cluster is asked.
pub(super) fn lost_after(service: &ServiceName, rendering: &Rendering) -> Vec<DeployProblem> {
    lost_of(service, rendering.started_hooks())
}

/// The same of some hooks.
pub(super) fn lost_of<'a>(
    service: &ServiceName,
    hooks: impl Iterator<Item = (&'a ObjectId, &'a Map<String, Value>)>,
) -> Vec<DeployProblem> {
    let lost = hooks.filter(|(id, hook)| holds_data(id, hook)).filter_map(|(id, hook)| {
        let policy = policies(hook).into_iter().find(|policy| AFTER.contains(&policy.as_str()))?;
        let message = format!(
            "{id} is a hook with the policy `{policy}`: helm would delete it after it has run, and what it holds"
        );
        Some(DeployProblem::new(ProblemKind::HookDeletion, message).service(service))
    });
    lost.collect()
}

/// Whether what is being done starts a hook.
fn runs(release: &HooksOf<'_>, id: &ObjectId) -> bool {
    release.doing.events().into_iter().any(|event| release.rendering.hooks_of(event).any(|(hook, _)| hook == id))
}

fn holder(live: &Object, release: &str, namespace: &str) -> Holder {
    if live.annotation(HELM_RELEASE).is_some() {
        return other_release(live, release, namespace).map_or(Holder::Own, Holder::Other);
    }
    if live.annotation(HOOK).is_some() {
        return Holder::SomeHook;
    }
    Holder::Other(match writers(live) {
        Some(writers) => format!("no hook made it; it was written by {writers}"),
        None => "no hook made it".to_owned(),
    })
}

/// The other helm release that an object names as its own, as a sentence.
pub(super) fn other_release(live: &Object, release: &str, namespace: &str) -> Option<String> {
    let found = live.annotation(HELM_RELEASE)?;
    let own = live.key().namespace.as_deref().unwrap_or_default();
    let place = live.annotation(HELM_NAMESPACE).unwrap_or(own);
    match (found == release, place == namespace) {
        (true, true) => None,
        (false, true) => Some(format!("it belongs to the helm release `{}`", escaped(found))),
        (_, false) => {
            Some(format!("it belongs to the helm release `{}` of namespace `{}`", escaped(found), escaped(place)))
        }
    }
}

/// The programs that wrote an object.
pub(super) fn writers(live: &Object) -> Option<String> {
    let managers: BTreeSet<String> = live
        .list("/metadata/managedFields")
        .iter()
        .filter(|entry| entry.get("subresource").and_then(Value::as_str).is_none_or(str::is_empty))
        .filter_map(|entry| Some(format!("`{}`", escaped(entry.get("manager")?.as_str()?))))
        .collect();
    (!managers.is_empty()).then(|| managers.into_iter().collect::<Vec<_>>().join(", "))
}

/// As helm reads the annotation.
fn policies(hook: &Map<String, Value>) -> Vec<String> {
    let annotations = hook.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let named = annotations.and_then(|annotations| annotations.get(POLICY)?.as_str()).unwrap_or_default();
    let named: Vec<String> =
        named.split(',').map(|one| one.trim().to_lowercase()).filter(|one| !one.is_empty()).collect();
    if named.is_empty() { vec![BEFORE.to_owned()] } else { named }
}

/// Whether helm deletes what is there before it makes the hook. It never deletes a definition of a kind.
pub(super) fn is_deleted_before(hook: &Map<String, Value>) -> bool {
    hook.get("kind").and_then(Value::as_str) != Some("CustomResourceDefinition")
        && policies(hook).iter().any(|policy| policy == BEFORE)
}

/// Whether data goes with the object. `helm.sh/resource-policy` keeps no hook.
fn holds_data(id: &ObjectId, object: &Map<String, Value>) -> bool {
    is_volume(id) || takes_volumes(object) || (id.group.is_empty() && id.kind == "Namespace")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hooks(text: &str) -> Rendering {
        Rendering::parse([text.as_bytes()], "shop").unwrap()
    }

    fn hook(version: &str, kind: &str, annotations: &str) -> Rendering {
        hooks(&format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{ name: a, annotations: {{ helm.sh/hook: pre-upgrade{annotations} }} }}"
        ))
    }

    #[test]
    fn t17_a_live_object_belongs_to_its_release_to_a_hook_or_to_who_wrote_it() {
        let live = |annotations: Value, managers: &[&str]| {
            let managed: Vec<Value> = managers.iter().map(|manager| json!({ "manager": manager })).collect();
            let metadata =
                json!({ "name": "a", "namespace": "shop", "annotations": annotations, "managedFields": managed });
            Object::new(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).unwrap()
        };
        let held = |annotations: Value| holder(&live(annotations, &["kubectl-create", "kubectl-edit"]), "cart", "shop");
        let other = |text: &str| Holder::Other(text.to_owned());
        assert_eq!(held(json!({ HELM_RELEASE: "cart", HELM_NAMESPACE: "shop" })), Holder::Own);
        assert_eq!(
            held(json!({ HELM_RELEASE: "redis", HOOK: "pre-upgrade" })),
            other("it belongs to the helm release `redis`")
        );
        assert_eq!(
            held(json!({ HELM_RELEASE: "cart", HELM_NAMESPACE: "other" })),
            other("it belongs to the helm release `cart` of namespace `other`")
        );
        assert_eq!(held(json!({ HOOK: "pre-upgrade" })), Holder::SomeHook);
        assert_eq!(held(json!({})), other("no hook made it; it was written by `kubectl-create`, `kubectl-edit`"));
        assert_eq!(holder(&live(json!({}), &[]), "cart", "shop"), other("no hook made it"));
    }

    #[test]
    fn t17_a_hook_that_holds_data_is_not_deleted_by_its_policy() {
        let lost = |rendering: &Rendering| lost_after(&"cart".try_into().unwrap(), rendering).len();
        let deleted = |rendering: &Rendering| rendering.hooks.values().all(is_deleted_before);
        for (policy, before, after) in [
            ("", true, 0),
            (", helm.sh/hook-delete-policy: ''", true, 0),
            (", helm.sh/hook-delete-policy: hook-succeeded", false, 1),
            (", helm.sh/hook-delete-policy: 'Before-Hook-Creation , hook-failed'", true, 1),
            (", helm.sh/hook-delete-policy: keep, helm.sh/resource-policy: keep", false, 0),
        ] {
            let claim = hook("v1", "PersistentVolumeClaim", policy);
            assert_eq!((deleted(&claim), lost(&claim)), (before, after), "{policy}");
            assert_eq!(lost(&hook("batch/v1", "Job", policy)), 0, "{policy}");
            let definition = hook("apiextensions.k8s.io/v1", "CustomResourceDefinition", policy);
            assert!(!deleted(&definition) && lost(&definition) == 0, "{policy}");
        }
        let namespace = hook("v1", "Namespace", ", helm.sh/hook-delete-policy: hook-failed");
        assert_eq!(lost(&namespace), 1);
    }
}
