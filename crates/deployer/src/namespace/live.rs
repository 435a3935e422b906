//! Rendered objects beside the live ones, as the API server would have them: by a server-side apply that writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cluster::{ApplyMode, ClusterError, ClusterErrorKind, Connection, Kind, Object, ObjectKey, ReferenceReport};
use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::at_once::at_once;
use super::autoscalers::Autoscaled;
use super::objects::removes_itself;
use super::rendering::Rendering;
use crate::apply::LAST_APPLIED;
use crate::error::DeployError;
use crate::manifest::ObjectId;
use crate::noise::{self, NoiseRule, Noisy, NoisyField};
use crate::problem::{DeployProblem, ProblemKind, escaped};
use crate::settings::{PlannedSettings, is_unkeyed};

/// What tells two writes of the same content apart.
const BOOKKEEPING: [&str; 5] = ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"];

/// What a service's live objects are to a plan.
#[derive(Default)]
pub(crate) struct Live {
    /// Objects that are missing, or that a write would change.
    pub(crate) differing: BTreeMap<ObjectId, Presence>,
    /// Every object as a write would leave it, and as it is.
    pub(crate) objects: BTreeMap<ObjectId, (Object, Option<Object>)>,
    pub(crate) problems: Vec<DeployProblem>,
    /// Replicas that an autoscaler has set, and those of the chart: no difference, and what an upgrade sets.
    pub(crate) autoscaled: BTreeMap<ObjectId, (i64, i64)>,
    /// Jobs that have completed and that Kubernetes has deleted since: no difference, and nothing to be waited for.
    pub(crate) has_run: BTreeSet<ObjectId>,
    /// Fields that are left out of the differences.
    pub(crate) noise: Vec<NoisyField>,
    /// What a write would make of the objects that have such fields.
    pub(crate) with_noise: BTreeMap<ObjectId, Object>,
}

/// Whether an object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Missing,
    Other,
}

/// What the API server says about one object.
enum Answer {
    Taken(Box<(Object, Option<Object>)>),
    Refused(ClusterError),
    NoNamespace(String),
}

/// Asks about every object of services; hooks are made anew each time, and are tried by themselves.
pub(crate) async fn compare(
    connection: &Connection,
    namespace: &str,
    services: &[(ServiceName, &Rendering)],
    noise: &BTreeMap<ServiceName, Vec<NoiseRule>>,
) -> Result<BTreeMap<ServiceName, Live>, DeployError> {
    let mut found: BTreeMap<ServiceName, Live> =
        services.iter().map(|(service, _)| (service.clone(), Live::default())).collect();
    let mut asked = Vec::new();
    for (service, rendering) in services {
        let objects = rendering.objects.iter();
        asked.extend(objects.map(|(id, object)| (service.clone(), id.clone(), object.clone())));
    }
    let mut batch = BTreeSet::new();
    for (.., object) in &asked {
        batch.insert(placed(namespace, object.clone())?.key().clone());
    }
    let batch = Arc::new(batch);
    let answers = at_once(asked, |(service, id, object)| {
        let (connection, namespace, batch) = (connection.clone(), namespace.to_owned(), Arc::clone(&batch));
        async move { (service, id, ask(&connection, &namespace, object, &batch).await) }
    });
    for (service, id, answer) in answers.await {
        let Some(live) = found.get_mut(&service) else { continue };
        match answer? {
            Answer::Taken(taken) => {
                live.objects.insert(id, *taken);
            }
            Answer::Refused(error) => live.problems.push(refusal(&id.to_string(), &error).service(&service)),
            Answer::NoNamespace(what) => {
                let message = format!("{id} has no place: {what}");
                live.problems.push(DeployProblem::new(ProblemKind::NamespaceGone, message).service(&service));
            }
        }
    }
    leave_to_autoscalers(connection, namespace, services, &mut found).await?;
    for (service, live) in &mut found {
        live.leave_noise(service, noise.get(service).map(Vec::as_slice).unwrap_or_default())?;
        live.find_differing();
    }
    Ok(found)
}

impl Live {
    fn find_differing(&mut self) {
        for (id, (after, before)) in &self.objects {
            match before {
                None => drop(self.differing.insert(id.clone(), Presence::Missing)),
                Some(before) if content(before) != content(after) => {
                    self.differing.insert(id.clone(), Presence::Other);
                }
                Some(_) => {}
            }
        }
    }

    /// The Jobs that are missing and that Kubernetes deletes after their end.
    pub(crate) fn missing_jobs(&self, deployed: &Rendering) -> BTreeSet<ObjectId> {
        let missing = self.differing.iter().filter(|(_, presence)| **presence == Presence::Missing);
        let jobs = missing.filter(|(id, _)| deployed.objects.get(*id).is_some_and(removes_itself));
        jobs.map(|(id, _)| id.clone()).collect()
    }

    /// Leaves out Jobs that have completed.
    pub(crate) fn leave_out(&mut self, has_run: BTreeSet<ObjectId>) {
        self.differing.retain(|id, _| !has_run.contains(id));
        self.objects.retain(|id, _| !has_run.contains(id));
        self.has_run = has_run;
    }

    /// Takes what is there where the environment calls a difference noise.
    fn leave_noise(&mut self, service: &ServiceName, rules: &[NoiseRule]) -> Result<(), DeployError> {
        for (id, (after, before)) in &mut self.objects {
            let (Some(before), rules) = (before, noise::rules_of(rules, id)) else { continue };
            let (mut value, there) = (content(after), content(before));
            let fields = noise::settle(&rules, &mut value, &there, &Noisy::AsLive);
            if fields.is_empty() {
                continue;
            }
            self.with_noise.insert(id.clone(), std::mem::replace(after, Object::new(value)?));
            let (service, object) = (service.clone(), id.to_string());
            self.noise.extend(fields.into_iter().map(|field| NoisyField {
                service: service.clone(),
                object: object.clone(),
                field,
            }));
        }
        Ok(())
    }

    /// Noise is no reason for a write, and one for another reason sets it.
    pub(crate) fn write_noise(&mut self) {
        for (id, whole) in std::mem::take(&mut self.with_noise) {
            if let Some((after, _)) = self.objects.get_mut(&id) {
                *after = whole;
            }
        }
        self.noise.clear();
        self.find_differing();
    }

    /// Takes the replicas that are there where an autoscaler sets them.
    fn leave_replicas(&mut self, scaled: &Autoscaled) -> Result<(), DeployError> {
        for (id, (after, before)) in &mut self.objects {
            let Some(before) = before.as_ref().filter(|before| scaled.has(before)) else { continue };
            let Some((there, planned)) = other_replicas(after, before) else { continue };
            self.autoscaled.insert(id.clone(), (there, planned));
            let mut value = after.value().clone();
            if let Some(replicas) = value.pointer_mut(REPLICAS) {
                *replicas = there.into();
            }
            *after = Object::new(value)?;
        }
        Ok(())
    }
}

const REPLICAS: &str = "/spec/replicas";

/// The replicas that are there, and those that a write would set in their place.
fn other_replicas(after: &Object, before: &Object) -> Option<(i64, i64)> {
    let (there, planned) = (before.integer(REPLICAS)?, after.integer(REPLICAS)?);
    (there != planned).then_some((there, planned))
}

/// Autoscalers are asked about only where replicas differ.
async fn leave_to_autoscalers(
    connection: &Connection,
    namespace: &str,
    services: &[(ServiceName, &Rendering)],
    found: &mut BTreeMap<ServiceName, Live>,
) -> Result<(), DeployError> {
    let namespaces = found.values().flat_map(|live| live.objects.values()).filter_map(|(after, before)| {
        other_replicas(after, before.as_ref()?)?;
        after.key().namespace.clone()
    });
    let namespaces: BTreeSet<String> = namespaces.collect();
    if namespaces.is_empty() {
        return Ok(());
    }
    let planned = services.iter().flat_map(|(_, rendering)| rendering.objects.values());
    let planned: Vec<Object> =
        planned.map(|object| placed(namespace, object.clone())).collect::<Result<_, DeployError>>()?;
    let scaled = Autoscaled::read(connection, planned.iter(), namespaces).await?;
    found.values_mut().try_for_each(|live| live.leave_replicas(&scaled))
}

/// What objects name and neither the cluster nor the batch has.
pub(crate) async fn missing_references(
    connection: &Connection,
    namespace: &str,
    services: &[(ServiceName, &Rendering)],
    settings: &PlannedSettings,
) -> Result<ReferenceReport, DeployError> {
    let mut batch: Vec<Object> = settings.objects().cloned().collect();
    for (_, rendering) in services {
        for (_, object) in rendering.started() {
            batch.push(placed(namespace, object.clone())?);
        }
    }
    let mut report = connection.missing_references(&batch).await?;
    // Settings that this plan was not given have no name yet.
    report.missing.retain(|missing| !is_unkeyed(&missing.reference.target.name));
    Ok(report)
}

/// An object in the namespace of its release.
pub(crate) fn placed(namespace: &str, mut object: Map<String, Value>) -> Result<Object, DeployError> {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| namespace.into());
    }
    Ok(Object::new(Value::Object(object))?)
}

async fn ask(
    connection: &Connection,
    namespace: &str,
    object: Map<String, Value>,
    batch: &BTreeSet<ObjectKey>,
) -> Result<Answer, DeployError> {
    let object = placed(namespace, object)?;
    let live = match connection.find(object.key()).await {
        Ok(live) => live,
        Err(error) => return refused(error),
    };
    let mode = ApplyMode { dry_run: true, take_over: true, strict: true };
    let after = match connection.apply(&object, mode).await {
        Ok(after) => after,
        Err(error) if live.is_none() && is_made_by(batch, &object, &error) => object,
        Err(error) => match missing_namespace(&object, &error) {
            Some(what) => return Ok(Answer::NoNamespace(what)),
            None => return refused(error),
        },
    };
    Ok(Answer::Taken(Box::new((after, live))))
}

/// What the API server says about fields that stay as they were made: each kind has words of its own.
const IMMUTABLE: [&str; 6] = [
    "immutable",
    "may not change once set",
    "updates to statefulset spec for fields other than",
    "updates to parameters are forbidden",
    "updates to provisioner are forbidden",
    "cannot change roleRef",
];

pub(crate) fn is_immutable(reason: &str) -> bool {
    IMMUTABLE.iter().any(|words| reason.contains(words))
}

/// Says which namespace is not there, where that is why an object is not taken: one that is new is found missing otherwise.
pub(crate) fn missing_namespace(object: &Object, error: &ClusterError) -> Option<String> {
    let namespace = object.key().namespace.as_deref().map(escaped)?;
    let is_gone = matches!(error.kind(), ClusterErrorKind::NotFound);
    is_gone.then(|| format!("namespace `{namespace}` does not exist: `kubectl create namespace {namespace}` makes it"))
}

/// Whether a pod is refused for lack of an object that its own batch makes: it is asked about again when it is written.
pub(crate) fn is_made_by(batch: &BTreeSet<ObjectKey>, pod: &Object, error: &ClusterError) -> bool {
    // What has no namespace is placed like the rest.
    let is = |key: &ObjectKey, missing: &ObjectKey| {
        let is_there = missing.namespace.is_none() || key.namespace == missing.namespace;
        key.kind.is(&missing.kind.group, &missing.kind.kind) && key.name == missing.name && is_there
    };
    error.missing_for(pod).is_some_and(|missing| batch.iter().any(|key| is(key, &missing)))
}

/// An object that the cluster does not take is a finding; a cluster that gives no answer is an error.
fn refused(error: ClusterError) -> Result<Answer, DeployError> {
    if is_refusal(&error) { Ok(Answer::Refused(error)) } else { Err(error.into()) }
}

/// Whether the cluster would not take an object.
pub(crate) fn is_refusal(error: &ClusterError) -> bool {
    let is_of_object = matches!(
        error.kind(),
        ClusterErrorKind::Rejected { .. } | ClusterErrorKind::UnknownKind | ClusterErrorKind::NotAnObject { .. }
    );
    is_of_object || refused_by_rule(error).is_some()
}

/// That the cluster would not take an object, and why.
pub(crate) fn refusal(object: &str, error: &ClusterError) -> DeployProblem {
    let (reason, by_rule) = (error.kind().to_string(), refused_by_rule(error));
    if by_rule.is_none() && is_immutable(&reason) {
        let message = format!("{object} would get a field that cannot be changed: {reason}");
        return DeployProblem::new(ProblemKind::ImmutableField, message);
    }
    let kind = by_rule.unwrap_or(ProblemKind::Cluster);
    DeployProblem::new(kind, format!("the cluster would not take {object}: {reason}"))
}

/// What kind of problem it is that the cluster would not take an object, although the user has the right to write it.
pub(crate) fn refused_by_rule(error: &ClusterError) -> Option<ProblemKind> {
    let kind = match (error.is_over_quota(), error.is_about_missing_reference()) {
        (true, _) => ProblemKind::Quota,
        (false, true) => ProblemKind::Cluster,
        (false, false) => ProblemKind::Admission,
    };
    error.is_refused_by_admission().then_some(kind)
}

/// What an object says, without what the API server and controllers keep about it.
pub(crate) fn content(object: &Object) -> Value {
    let mut value = object.value().clone();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !BOOKKEEPING.contains(&key.as_str()));
        let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        if let Some(annotations) = annotations {
            annotations.remove(LAST_APPLIED);
        }
    }
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
    }
    value
}

/// The same without that it is being deleted, which is a finding of its own.
pub(crate) fn content_until_deleted(object: &Object) -> Value {
    let mut value = content(object);
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !matches!(key.as_str(), "deletionTimestamp" | "deletionGracePeriodSeconds"));
    }
    value
}

/// The kinds of a stored revision that the cluster serves no more: helm reads it before it makes another one.
pub(crate) async fn unserved_kinds(
    connection: &Connection,
    stored: &Rendering,
) -> Result<BTreeSet<String>, DeployError> {
    let discovery = connection.discovery().await?;
    let kinds = stored.objects.values().filter_map(|object| {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        Some(Kind::new(text("apiVersion")?, text("kind")?))
    });
    let unserved = kinds.filter(|kind| discovery.resource(kind).is_none() && !discovery.is_stale(&kind.group));
    Ok(unserved.map(|kind| format!("{} ({})", kind.kind, kind.api_version())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn replicas_of_an_autoscaler_are_no_difference_and_others_are() {
        let deployment = |name: &str, replicas: i64| {
            Object::new(json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": "shop" },
                "spec": { "replicas": replicas, "paused": false },
            }))
            .unwrap()
        };
        let id = |object: &Object| ObjectId::of(object.value().as_object().unwrap()).unwrap();
        let mut scaled = Autoscaled::default();
        let autoscaler = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "x", "namespace": "shop" },
            "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "scaled" } },
        });
        scaled.add(&Object::new(autoscaler).unwrap());
        let differing = |name: &str, there: i64, paused: bool| {
            let mut live = Live::default();
            let mut before = deployment(name, there).value().clone();
            before["spec"]["paused"] = paused.into();
            let after = deployment(name, 1);
            live.objects.insert(id(&after), (after, Some(Object::new(before).unwrap())));
            live.leave_replicas(&scaled).unwrap();
            live.find_differing();
            (live.differing.len(), live.autoscaled.into_values().next())
        };
        assert_eq!(differing("scaled", 3, false), (0, Some((3, 1))));
        assert_eq!(differing("scaled", 3, true), (1, Some((3, 1))));
        assert_eq!(differing("scaled", 1, false), (0, None));
        assert_eq!(differing("other", 3, false), (1, None));
    }

    /// As API servers of version 1.35 say it.
    #[test]
    fn fields_that_cannot_be_changed_are_told_from_others_that_are_refused() {
        for reason in [
            "Deployment.apps \"cart\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{}}: field is immutable",
            "Service \"cart\" is invalid: spec.clusterIPs[0]: Invalid value: [\"10.0.0.1\"]: may not change once set",
            "StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas' \
             are forbidden",
            "PersistentVolumeClaim \"db\" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests",
            "StorageClass.storage.k8s.io \"fast\" is invalid: parameters: Forbidden: updates to parameters are forbidden.",
            "RoleBinding.rbac.authorization.k8s.io \"a\" is invalid: roleRef: Invalid value: {}: cannot change roleRef",
        ] {
            assert!(is_immutable(reason), "{reason}");
        }
        assert!(!is_immutable(
            "Deployment.apps \"cart\" is invalid: spec.replicas: must be greater than or equal to 0"
        ));
    }
}
