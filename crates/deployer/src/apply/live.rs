//! What the cluster says about the objects of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cluster::{
    ApplyMode, ClusterError, ClusterErrorKind, Connection, Discovery, FieldConflict, Kind, Object, ObjectKey, Selection,
};
use lock_model::{Digest, ErrorClass, ServiceName};
use serde_json::{Map, Value};

use super::ConflictRule;
use super::adjust::{adjusted, clears, includes};
use super::inventory::{Entry, Inventory};
use super::ownership::{
    Move, applied_more, has_lost_fields, is_applied_by_us, judge_conflicts, our_fields, owners, to_move,
};
use super::plan::{ObjectAction, PlannedObject};
use crate::error::DeployError;
use crate::manifest::ObjectId;
use crate::namespace::{
    Autoscaled, at_once, content, is_immutable, is_made_by, live_objects, missing_namespace, refused_by_rule,
    removes_itself,
};
use crate::noise::{self, NoiseRule, Noisy};
use crate::problem::{ProblemKind, escaped};
use crate::reserved::{HELM_NAMESPACE, HELM_RELEASE};
use crate::rules::Violation;

/// One object of a service, as its manifest says.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) service: ServiceName,
    pub(super) id: ObjectId,
    pub(super) manifest: Object,
    /// Digest of the manifest; none of a Secret, whose content no digest may show.
    pub(super) digest: Option<Digest>,
}

impl Wanted {
    /// Whether it is a Job that has completed and was deleted after its end: an inventory has the digest of a manifest only
    /// once a deployment has waited for its object.
    pub(super) fn has_run(&self, entry: Option<&Entry>) -> bool {
        let is_same = entry.is_some_and(|entry| entry.manifest.is_some() && entry.manifest == self.digest);
        is_same && self.manifest.value().as_object().is_some_and(removes_itself)
    }
}

/// What is in the cluster.
pub(super) struct Found {
    pub(super) inventories: BTreeMap<String, Inventory>,
    pub(super) live: BTreeMap<ObjectKey, Object>,
    pub(super) scaled: Autoscaled,
    discovery: Arc<Discovery>,
}

/// Reads inventories, every object that a plan or an inventory names, and autoscalers.
pub(super) async fn look(connection: &Connection, namespace: &str, wanted: &[Wanted]) -> Result<Found, DeployError> {
    let inventories = Inventory::read_all(connection, namespace).await?;
    let discovery = connection.discovery().await?;
    let mut keys: BTreeSet<ObjectKey> = wanted.iter().map(|wanted| wanted.manifest.key().clone()).collect();
    for entry in inventories.values().flat_map(|inventory| &inventory.entries) {
        // Asked in the version that the plan has, where it has the object.
        if !keys.iter().any(|key| entry.is_of(key)) {
            keys.insert(entry.key());
        }
    }
    let live = live_objects(connection, &keys).await?;
    let with_replicas = wanted.iter().filter(|one| one.manifest.at("/spec/replicas").is_some());
    let namespaces = with_replicas.map(|one| one.manifest.key().namespace.clone().unwrap_or_default()).collect();
    let planned = wanted.iter().map(|one| &one.manifest);
    let scaled = Autoscaled::read(connection, planned, namespaces).await?;
    Ok(Found { inventories, live, scaled, discovery })
}

/// What is asked about one object.
struct Question {
    wanted: Wanted,
    /// What is sent.
    sent: Value,
    live: Option<Object>,
    entry: Option<Entry>,
    moved: Option<Move>,
    /// The fields that are not sent since they are noise.
    noise: Vec<String>,
}

/// What becomes of each object, or why the plan is refused; in the order of `wanted`.
pub(super) async fn judge(
    connection: &Connection,
    found: &Found,
    wanted: Vec<Wanted>,
    cluster_scoped: &BTreeSet<ObjectId>,
    (rule, noise): (&ConflictRule, &BTreeMap<ServiceName, Vec<NoiseRule>>),
) -> Result<Vec<(Wanted, Result<PlannedObject, Violation>)>, DeployError> {
    let helm = helm_releases(connection, found, &wanted).await?;
    let services: BTreeSet<&str> = wanted.iter().map(|wanted| wanted.service.as_str()).collect();
    let services: BTreeSet<String> = services.into_iter().map(str::to_owned).collect();
    let room = Room::of(found, &wanted);
    let batch: Arc<BTreeSet<ObjectKey>> = Arc::new(wanted.iter().map(|one| one.manifest.key().clone()).collect());
    let mut answers = Vec::new();
    let mut questions = Vec::new();
    for (index, wanted) in wanted.into_iter().enumerate() {
        let live = found.live.get(wanted.manifest.key()).cloned();
        let violation = out_of_scope(found, &wanted, cluster_scoped)
            .or_else(|| other_owner(found, &wanted, live.as_ref(), &services, &helm));
        if let Some(violation) = violation {
            answers.push((index, wanted, Err(violation)));
        } else if live.is_none() && room.will_hold(&wanted) {
            let planned = PlannedObject::new(&wanted, ObjectAction::CreateLater, wanted.manifest.clone());
            answers.push((index, wanted, Ok(planned)));
        } else {
            let mut sent = adjusted(&wanted.manifest, live.as_ref(), &found.scaled);
            let rules = noise.get(&wanted.service).map(Vec::as_slice).unwrap_or_default();
            let noise = live.as_ref().map(|live| {
                let noisy = Noisy::Sent(owners(live));
                noise::settle(&noise::rules_of(rules, &wanted.id), &mut sent, live.value(), &noisy)
            });
            let noise = noise.unwrap_or_default();
            let moved = live.as_ref().and_then(|live| to_move(live, &sent));
            let inventory = found.inventories.get(wanted.service.as_str());
            let entry = inventory.and_then(|inventory| inventory.entry(wanted.manifest.key())).cloned();
            questions.push((index, Question { wanted, sent, live, entry, moved, noise }));
        }
    }
    let asked = at_once(questions, |(index, question)| {
        let (connection, rule, batch) = (connection.clone(), rule.clone(), Arc::clone(&batch));
        async move {
            let mut answer = ask(&connection, &question, &rule, &batch).await;
            if let Ok(Ok(planned)) = &mut answer {
                planned.noise.clone_from(&question.noise);
            }
            (index, question.wanted, answer)
        }
    });
    for (index, wanted, answer) in asked.await {
        answers.push((index, wanted, answer?));
    }
    answers.sort_by_key(|(index, ..)| *index);
    Ok(answers.into_iter().map(|(_, wanted, answer)| (wanted, answer)).collect())
}

async fn ask(
    connection: &Connection,
    question: &Question,
    rule: &ConflictRule,
    batch: &BTreeSet<ObjectKey>,
) -> Result<Result<PlannedObject, Violation>, DeployError> {
    let Question { wanted, sent, live, entry, moved, noise: _ } = question;
    let id = &wanted.id;
    if live.as_ref().is_some_and(Object::is_terminating) {
        return Ok(Err((ProblemKind::Ending, format!("{id} is being deleted"))));
    }
    let manifest = Object::new(sent.clone())?;
    if live.is_none()
        && wanted.has_run(entry.as_ref())
        && let Some(entry) = entry
    {
        let mut planned = PlannedObject::new(wanted, ObjectAction::Keep, manifest);
        planned.uid.clone_from(&entry.uid);
        planned.has_run = true;
        return Ok(Ok(planned));
    }
    if let (Some(live), Some(entry), Some(digest), None) = (live, entry, &wanted.digest, moved) {
        let is_known = entry.manifest.as_ref() == Some(digest) && entry.uid.as_deref() == live.uid();
        let is_ours = is_applied_by_us(live) && !has_lost_fields(live, sent);
        if is_known && is_ours && includes(live.value(), sent) && !applied_more(live, sent) {
            return Ok(Ok(PlannedObject::new(wanted, ObjectAction::Keep, manifest).over(live)));
        }
    }
    let mode = ApplyMode { dry_run: true, take_over: false, strict: true };
    let mut taken = Vec::new();
    let mut answer = connection.apply(&manifest, mode).await;
    if let Err(error) = &answer
        && let ClusterErrorKind::FieldConflicts { conflicts } = error.kind()
    {
        let (takes, refused) = judge_conflicts(conflicts, rule, moved.as_ref(), live.as_ref());
        if !refused.is_empty() {
            return Ok(Err((ProblemKind::FieldOwner, format!("{id}: other managers own {}", fields(&refused)))));
        }
        taken = takes;
        answer = connection.apply(&manifest, ApplyMode { take_over: true, ..mode }).await;
    }
    let take_over = !taken.is_empty() || moved.is_some();
    let after = match answer {
        Ok(after) => after,
        Err(error) if live.is_none() && is_made_by(batch, &manifest, &error) => {
            return Ok(Ok(PlannedObject::new(wanted, ObjectAction::Create, manifest)));
        }
        Err(error) => return refused(id, &manifest, live.as_ref(), error),
    };
    let moved = match (moved, live) {
        (Some(moved), Some(live)) => Some(decided(connection, moved.clone(), live, &manifest).await?),
        (Some(_) | None, _) => None,
    };
    let Some(live) = live else {
        return Ok(Ok(PlannedObject::new(wanted, ObjectAction::Create, manifest).becomes(&after)));
    };
    // A value that is right by chance is not kept right by anyone.
    let is_owned = our_fields(live) == our_fields(&after);
    let is_same = content(live) == content(&after) && is_owned && moved.is_none();
    let action = if is_same { ObjectAction::Keep } else { ObjectAction::Change };
    let mut planned = PlannedObject::new(wanted, action, manifest).over(live).becomes(&after);
    planned.take_over = take_over;
    if !taken.is_empty() {
        planned.notes.push(format!("takes over {}", fields(&taken)));
    }
    if let Some(moved) = moved {
        planned.notes.extend(moved_notes(&moved));
        planned.moves = true;
    }
    Ok(Ok(planned))
}

/// What is moved, with the fields alone that really go: a program that wrote a whole manifest owns what the API server filled
/// in as well, and that comes back by itself.
pub(super) async fn decided(
    connection: &Connection,
    mut moved: Move,
    live: &Object,
    manifest: &Object,
) -> Result<Move, ClusterError> {
    if moved.removed.is_empty() {
        return Ok(moved);
    }
    match connection.made_of(live, manifest).await {
        Ok(made) => moved.without_filled_in(&made, manifest.value()),
        // Such as the class of a claim, which was filled in once.
        Err(error) if error.class() == ErrorClass::Invalid => moved.without_fixed(live, manifest.value()),
        Err(error) if error.class() == ErrorClass::Denied => {}
        Err(error) => return Err(error),
    }
    Ok(moved)
}

fn moved_notes(moved: &Move) -> Vec<String> {
    let managers = moved.managers.iter().map(|name| format!("`{}`", escaped(name))).collect::<Vec<_>>().join(", ");
    let mut note = format!("what {managers} wrote is ours from now on");
    if !moved.removed.is_empty() {
        let removed = moved.removed.iter().map(|field| format!("`{}`", escaped(field))).collect::<Vec<_>>().join(", ");
        let (go, them) = if moved.removed.len() == 1 { ("goes", "it") } else { ("go", "them") };
        note = format!("{note}, and {removed} {go}, since the manifest lacks {them}");
    }
    let kept = moved.kept.iter().map(|(field, manager)| {
        format!("`{}` stays although the manifest lacks it: `{}` wrote it too", escaped(field), escaped(manager))
    });
    let fixed = moved.fixed.iter().map(|field| {
        format!("`{}` stays although the manifest lacks it: the API server does not let it go", escaped(field))
    });
    std::iter::once(note).chain(kept).chain(fixed).collect()
}

/// `` `.spec.replicas` by `kubectl` ``
fn fields(conflicts: &[FieldConflict]) -> String {
    let shown = conflicts.iter().map(|conflict| {
        let by = conflict.subresource.as_deref().map(|name| format!(" ({})", escaped(name))).unwrap_or_default();
        format!("`{}` by `{}`{by}", escaped(&conflict.field), escaped(&conflict.manager))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// An object that the cluster does not take is a finding; a cluster that gives no answer is an error.
fn refused(
    id: &ObjectId,
    manifest: &Object,
    live: Option<&Object>,
    error: ClusterError,
) -> Result<Result<PlannedObject, Violation>, DeployError> {
    if let Some(what) = missing_namespace(manifest, &error) {
        return Ok(Err((ProblemKind::NamespaceGone, format!("{id} has no place: {what}"))));
    }
    if let Some(kind) = refused_by_rule(&error) {
        return Ok(Err((kind, format!("the cluster would not take {id}: {}", error.kind()))));
    }
    match error.kind() {
        ClusterErrorKind::Rejected { .. } | ClusterErrorKind::UnknownKind | ClusterErrorKind::NotAnObject { .. } => {
            let clears = live.and_then(|live| clears(manifest, live)).map(|clears| format!("; {clears}"));
            let reason = error.kind().to_string();
            let message = format!("the cluster would not take {id}: {reason}{}", clears.unwrap_or_default());
            let kind = if is_immutable(&reason) { ProblemKind::ImmutableField } else { ProblemKind::Cluster };
            Ok(Err((kind, message)))
        }
        _ => Err(error.into()),
    }
}

/// A custom kind without namespaces, which only the cluster knows to be such.
fn out_of_scope(found: &Found, wanted: &Wanted, accepted: &BTreeSet<ObjectId>) -> Option<Violation> {
    let resource = found.discovery.resource(&wanted.manifest.key().kind)?;
    let is_foreign = !resource.is_namespaced && !wanted.id.is_cluster_scoped() && !accepted.contains(&wanted.id);
    is_foreign.then(|| (ProblemKind::ClusterScoped, format!("{} belongs to no namespace", wanted.id)))
}

/// An object of a service that is not in the plan, or of a helm release, is never written.
fn other_owner(
    found: &Found,
    wanted: &Wanted,
    live: Option<&Object>,
    services: &BTreeSet<String>,
    helm: &BTreeSet<(String, String)>,
) -> Option<Violation> {
    let (live, id) = (live?, &wanted.id);
    let others = found.inventories.iter().filter(|(service, _)| !services.contains(*service));
    let owner = others.into_iter().find(|(_, inventory)| {
        inventory.entry(wanted.manifest.key()).is_some_and(|entry| entry.uid.as_deref() == live.uid())
    });
    if let Some((service, _)) = owner {
        let message = format!("{id} is in the inventory of service `{}`, which is not deployed here", escaped(service));
        return Some((ProblemKind::Owner, message));
    }
    let (release, namespace) = helm_release(live)?;
    let is_stored = helm.contains(&(release.to_owned(), namespace.to_owned()));
    is_stored.then(|| (ProblemKind::Owner, format!("{id} belongs to the helm release `{}`", escaped(release))))
}

fn helm_release(live: &Object) -> Option<(&str, &str)> {
    let release = live.annotation(HELM_RELEASE)?;
    let own = live.key().namespace.as_deref().unwrap_or_default();
    Some((release, live.annotation(HELM_NAMESPACE).unwrap_or(own)))
}

/// The helm releases that live objects name, and that are stored: name and namespace.
async fn helm_releases(
    connection: &Connection,
    found: &Found,
    wanted: &[Wanted],
) -> Result<BTreeSet<(String, String)>, DeployError> {
    let named: BTreeSet<(String, String)> = wanted
        .iter()
        .filter_map(|wanted| helm_release(found.live.get(wanted.manifest.key())?))
        .map(|(release, namespace)| (release.to_owned(), namespace.to_owned()))
        .collect();
    let mut stored = BTreeSet::new();
    for (release, namespace) in named {
        let labels = format!("owner=helm,name={release},status notin (superseded,uninstalled)");
        let selection = Selection { labels, ..Selection::default() };
        if !connection.list(&Kind::new("v1", "Secret"), Some(&namespace), &selection).await?.is_empty() {
            stored.insert((release, namespace));
        }
    }
    Ok(stored)
}

/// Namespaces and kinds that the plan itself makes.
struct Room {
    namespaces: BTreeSet<String>,
    kinds: BTreeSet<(String, String)>,
}

impl Room {
    fn of(found: &Found, wanted: &[Wanted]) -> Self {
        let (mut namespaces, mut kinds) = (BTreeSet::new(), BTreeSet::new());
        for one in wanted {
            let is_new = !found.live.contains_key(one.manifest.key());
            match (one.id.group.as_str(), one.id.kind.as_str()) {
                ("", "Namespace") if is_new => {
                    namespaces.insert(one.id.name.clone());
                }
                ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                    let text = |pointer: &str| one.manifest.text(pointer).unwrap_or_default().to_owned();
                    kinds.insert((text("/spec/group"), text("/spec/names/kind")));
                }
                _ => {}
            }
        }
        // A version that is served already can be asked about.
        let is_served = |wanted: &Wanted| found.discovery.resource(&wanted.manifest.key().kind).is_some();
        let served = wanted.iter().filter(|wanted| is_served(wanted));
        for one in served {
            kinds.remove(&(one.id.group.clone(), one.id.kind.clone()));
        }
        Self { namespaces, kinds }
    }

    fn will_hold(&self, wanted: &Wanted) -> bool {
        let ObjectId { group, kind, namespace, .. } = &wanted.id;
        self.kinds.contains(&(group.clone(), kind.clone()))
            || namespace.as_ref().is_some_and(|namespace| self.namespaces.contains(namespace))
    }
}

/// The digest that an inventory keeps of a manifest.
pub(super) fn digest_of(id: &ObjectId, manifest: &Map<String, Value>) -> Option<Digest> {
    let is_secret = id.group.is_empty() && id.kind == "Secret";
    let digest = lock_model::tagged_digest("orchestrator.manifest.v1", manifest);
    (!is_secret).then(|| digest.expect("JSON that was read has a canonical form"))
}
