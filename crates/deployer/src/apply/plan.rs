//! From pinned manifests to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cluster::health::Permission;
use cluster::{Kind, LeasePlace, Object, ObjectKey, ReferenceReport};
use lock_model::{Digest, ServiceName};
use serde_json::{Map, Value};

use super::adjust::as_kept;
use super::inventory::{Entry, Inventory, Leftover, Reach, inventory_name, judge_leftover};
use super::kustomization::rendered;
use super::live::{Found, Wanted, digest_of};
use super::order::rank;
use crate::batch::{BatchObject, BatchPart, permission_list, permissions};
use crate::diff::ServiceChanges;
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::manifest::ObjectId;
use crate::namespace::{PlannedRequest, Rendering, content, image_changes, inspect, permissions_for_jobs};
use crate::noise::NoisyField;
use crate::pinned_manifests::{PinnedManifests, pin_manifests};
use crate::plan::{Change, ChangeKind, Plan, PlanDetail};
use crate::problem::{DeployProblem, DeployProblems, ProblemKind, escaped};
use crate::program_search::ProgramSearch;
use crate::request::{DeployRequest, DeployService, RemovedServiceRule};
use crate::rules::Violation;
use crate::settings::{Part, PlannedSettings, logical_name, name_versions, own_object, rename};

/// What [`apply`](crate::Target::apply) writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyPlan {
    /// The services, in the order of the request.
    pub services: Vec<PlannedService>,
    pub(crate) batch: Vec<BatchObject>,
    namespace: String,
    pub(crate) settings: PlannedSettings,
    pub(crate) request: PlannedRequest,
}

impl ApplyPlan {
    /// What this program keeps in the namespace, and is not there yet.
    pub(crate) fn own_objects(&self) -> Vec<(String, Object)> {
        let new = self.services.iter().filter(|planned| planned.changes() && !planned.inventory.is_stored());
        let inventories = new.filter_map(|planned| {
            let name = inventory_name(planned.service.as_str());
            Some((planned.service.to_string(), own_object("v1", "ConfigMap", &self.namespace, &name)?))
        });
        self.settings.own_objects(&self.namespace).into_iter().chain(inventories).collect()
    }

    /// What the plan and this program have to be permitted.
    pub(crate) fn permissions(&self) -> Vec<Permission> {
        let namespace = &self.namespace;
        let mut more = Vec::new();
        let mut add = |kind: Kind, verbs: &[&'static str], name: Option<String>| {
            more.extend(verbs.iter().map(|verb| Permission {
                kind: kind.clone(),
                namespace: Some(namespace.clone()),
                verb,
                names: name.iter().cloned().collect(),
            }));
        };
        for left in self.services.iter().filter(|service| service.has_left) {
            add(Kind::new("v1", "ConfigMap"), &["delete"], Some(inventory_name(left.service.as_str())));
        }
        // Where inventories are kept.
        add(Kind::new("v1", "ConfigMap"), &["get", "list", "create", "update"], None);
        add(Kind::new("v1", "Secret"), &["get", "create", "update"], Some("orchestrator-state".to_owned()));
        let environment = self.request.environment.to_string();
        let lease = LeasePlace { namespace: namespace.clone(), environment }.key();
        add(lease.kind, &["get", "create", "update"], Some(lease.name));
        if !self.request.jobs.is_empty() {
            more.extend(permissions_for_jobs(namespace));
        }
        more.extend(self.settings.permissions(namespace));
        permission_list(permissions(&self.batch), more)
    }
}

/// The objects of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedService {
    /// The service.
    pub service: ServiceName,
    /// The place of its wave.
    pub wave: usize,
    /// Its objects, in the order in which they are written.
    pub objects: Vec<PlannedObject>,
    /// Objects that it no longer has, with their UIDs, in the order in which they are removed.
    pub(super) removed: Vec<(ObjectKey, String)>,
    /// Objects that it no longer has, and that stay; its inventory goes on naming them.
    pub(super) kept: Vec<Entry>,
    pub(super) inventory: Inventory,
    /// Whether it is not deployed any more, so that its inventory goes too.
    pub(crate) has_left: bool,
}

/// What is compared with the inventories of services.
struct Present<'a> {
    request: &'a DeployRequest,
    found: &'a Found,
    /// Every object of the plan, and the UIDs of those that are there.
    all: &'a BTreeSet<ObjectId>,
    uids: &'a BTreeSet<&'a str>,
}

impl PlannedService {
    /// What becomes of the objects that its manifests have no more.
    fn plan_removals(
        &mut self,
        present: &Present<'_>,
        notes: &mut Vec<String>,
        removals: &mut Vec<BatchObject>,
        problems: &mut Vec<DeployProblem>,
    ) {
        let Present { request, found, all, uids } = *present;
        let name = self.service.clone();
        problems.extend(
            self.inventory
                .damage
                .clone()
                .map(|damage| DeployProblem::new(ProblemKind::Inventory, damage).service(&name)),
        );
        let rule = request.services.iter().find(|service| service.name == name);
        let rule = rule.map_or(&request.namespace_rule, |service| request.rule_of(service));
        let reach = Reach { namespace: &request.namespace, rule };
        for entry in self.inventory.left_over(all, uids) {
            let mut stays =
                |why| notes.push(format!("{} of `{name}` stays although no manifest has it: {why}", entry.id()));
            match judge_leftover(entry, found.live.get(&entry.key()), reach) {
                Leftover::Gone => {}
                Leftover::Release(why) => stays(why),
                Leftover::Remain(why) => {
                    stays(why);
                    self.kept.push(entry.clone());
                }
                Leftover::TakesVolumes => {
                    let message = format!(
                        "{} would be deleted, and its volume claims with it: its rule is `whenDeleted: Delete`",
                        entry.id()
                    );
                    problems.push(DeployProblem::new(ProblemKind::Volumes, message).service(&name));
                }
                Leftover::Remove(uid) => {
                    if let Some(live) = found.live.get(&entry.key()) {
                        let (service, wave, wanted) = (name.clone(), self.wave, live.clone());
                        removals.push(BatchObject { service, wave, part: BatchPart::Removed, wanted, live: None });
                    }
                    self.removed.push((entry.key(), uid));
                }
            }
        }
        self.removed.sort_by_key(|(key, _)| std::cmp::Reverse(rank(&Entry::new(key, None, None).id())));
    }

    /// Whether anything of it is written or removed.
    pub fn changes(&self) -> bool {
        (self.has_left && self.kept.is_empty())
            || !self.removed.is_empty()
            || self.objects.iter().any(|object| object.action != ObjectAction::Keep)
    }
}

/// One object of a plan.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedObject {
    /// What happens to it.
    pub action: ObjectAction,
    pub(super) id: ObjectId,
    /// What is sent.
    pub(super) manifest: Object,
    pub(super) digest: Option<Digest>,
    /// UID of the object that is there now.
    pub(super) uid: Option<String>,
    /// Fields of other managers are taken over, as the rules say.
    pub(super) take_over: bool,
    /// What was written from a client's side is moved to us first.
    pub(super) moves: bool,
    /// Whether it is a Job that has completed and is not there any more.
    pub(super) has_run: bool,
    /// With the replicas of its manifest, which its autoscaler sets until it is removed.
    pub(super) after_removal: Option<Object>,
    /// Its fields that are not written since they are noise.
    pub(super) noise: Vec<String>,
    /// What people should know about it.
    pub(super) notes: Vec<String>,
    pub(super) live: Option<Object>,
    /// What the API server would make of it; none where it was not asked.
    pub(super) after: Option<Object>,
}

/// What a plan does with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectAction {
    /// It is new.
    Create,
    /// It is new, and can only be validated once the plan's own namespace or definition is there.
    CreateLater,
    /// It becomes another.
    Change,
    /// It is as it would be written.
    Keep,
}

/// The name alone: objects can hold secrets.
impl fmt::Debug for PlannedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.action, self.id)
    }
}

impl PlannedObject {
    pub(super) fn new(wanted: &Wanted, action: ObjectAction, manifest: Object) -> Self {
        let (id, digest) = (wanted.id.clone(), wanted.digest.clone());
        let (uid, live, after, after_removal, notes) = (None, None, None, None, Vec::new());
        let (take_over, moves, has_run) = (false, false, false);
        let noise = Vec::new();
        Self { action, id, manifest, digest, uid, take_over, moves, has_run, after_removal, noise, notes, live, after }
    }

    /// With the object that is there now.
    pub(super) fn over(self, live: &Object) -> Self {
        Self { uid: live.uid().map(str::to_owned), live: Some(live.clone()), ..self }
    }

    /// With what the API server would make of it.
    pub(super) fn becomes(self, after: &Object) -> Self {
        Self { after: Some(after.clone()), ..self }
    }

    /// As a cluster is asked about it.
    fn batch_object(&self, service: &ServiceName, wave: usize) -> BatchObject {
        let kept = self.live.as_ref().filter(|_| self.action == ObjectAction::Keep);
        let wanted = kept.or(self.after.as_ref()).unwrap_or(&self.manifest).clone();
        BatchObject { service: service.clone(), wave, part: BatchPart::Kept, wanted, live: self.live.clone() }
    }

    fn change(&self, service: &ServiceName) -> Option<Change> {
        let kind = match self.action {
            ObjectAction::Create | ObjectAction::CreateLater => ChangeKind::Added,
            ObjectAction::Change => ChangeKind::Changed,
            ObjectAction::Keep => return None,
        };
        let map = |object: Option<&Object>| content(object?).as_object().cloned();
        let after = map(self.after.as_ref().or(Some(&self.manifest)));
        let images = image_changes(&self.id, map(self.live.as_ref()).as_ref(), after.as_ref());
        Some(Change { service: Some(service.clone()), path: self.id.to_string(), kind, images })
    }
}

/// Reads the manifests of a request, and judges them without a cluster.
pub(super) fn read(request: &DeployRequest) -> Result<PinnedManifests<'_>, DeployProblems> {
    // What is reserved is judged below, with everything else of an object.
    let mut manifests = pin_manifests(request, "apply", &|_| false)?;
    let pins = Pins::new(request.images());
    let (mut problems, mut unpinned) = (manifests.use_settings(request), BTreeSet::new());
    for service in &request.services {
        let rendering = manifests.rendering(&service.name);
        let inspection = inspect(request, service, &pins, &rendering);
        let violations = inspection.violations.into_iter();
        problems.extend(violations.map(|(kind, message)| DeployProblem::new(kind, message).service(&service.name)));
        unpinned.extend(inspection.unpinned);
        if !is_label(service.name.as_str()) {
            let message =
                "its name cannot be that of an inventory: lower-case letters, digits, `-` and `.`, at most 53";
            problems.push(DeployProblem::new(ProblemKind::Request, message).service(&service.name));
        }
    }
    manifests.unpinned_images = unpinned.into_iter().collect();
    DeployProblems::new(problems).map_or(Ok(manifests), Err)
}

fn is_label(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let edges = [name.bytes().next(), name.bytes().next_back()];
    name.len() <= 53
        && edges.into_iter().all(|byte| byte.is_some_and(is_plain))
        && name.bytes().all(|byte| is_plain(byte) || matches!(byte, b'-' | b'.'))
        && !name.contains("..")
        && !name.contains(".-")
        && !name.contains("-.")
}

/// The objects of a request, in the order in which they are written.
pub(super) fn wanted(manifests: &PinnedManifests<'_>) -> Result<Vec<Wanted>, cluster::ClusterError> {
    let mut wanted = Vec::new();
    for pinned in &manifests.objects {
        let manifest = Object::new(Value::Object(as_kept(&pinned.id, pinned.object.clone())))?;
        let digest = digest_of(&pinned.id, &pinned.object);
        wanted.push(Wanted { service: pinned.service.clone(), id: pinned.id.clone(), manifest, digest });
    }
    wanted.sort_by(|one, other| (rank(&one.id), &one.id).cmp(&(rank(&other.id), &other.id)));
    Ok(wanted)
}

/// Plans as if nothing were deployed, without a cluster.
///
/// # Errors
///
/// [`DeployError::Problems`] with every problem of every service.
pub async fn plan_from_nothing(search: &ProgramSearch, request: &DeployRequest) -> Result<Plan, DeployError> {
    Ok(plan_of_manifests(&*rendered(search, request).await?)?)
}

fn plan_of_manifests(request: &DeployRequest) -> Result<Plan, DeployProblems> {
    let manifests = read(request)?;
    let mut services = empty_services(request);
    let wanted = wanted(&manifests).map_err(|error| one_problem(ProblemKind::Unreadable, error.to_string()))?;
    for one in wanted {
        let planned = PlannedObject::new(&one, ObjectAction::Create, one.manifest.clone());
        push(&mut services, &one.service, planned);
    }
    let notes = manifests.notes.clone();
    Ok(finished(request, &manifests, services, Vec::new(), notes, Default::default()))
}

fn one_problem(kind: ProblemKind, message: String) -> DeployProblems {
    DeployProblems::new(vec![DeployProblem::new(kind, message)]).expect("there is one")
}

fn empty_services(request: &DeployRequest) -> Vec<PlannedService> {
    let empty = |service: &DeployService| PlannedService {
        service: service.name.clone(),
        wave: service.wave,
        objects: Vec::new(),
        removed: Vec::new(),
        kept: Vec::new(),
        inventory: Inventory::default(),
        has_left: false,
    };
    request.services.iter().map(empty).collect()
}

fn push(services: &mut [PlannedService], service: &ServiceName, object: PlannedObject) {
    if let Some(planned) = services.iter_mut().find(|planned| planned.service == *service) {
        planned.objects.push(object);
    }
}

/// What the cluster said about each object makes a plan, unless one is refused.
pub(super) fn assemble(
    request: &DeployRequest,
    manifests: &PinnedManifests<'_>,
    mut found: Found,
    judged: Vec<(Wanted, Result<PlannedObject, Violation>)>,
    references: ReferenceReport,
    settings: PlannedSettings,
) -> Result<Plan, DeployProblems> {
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    let mut services = empty_services(request);
    let mut scaled = BTreeMap::new();
    for (wanted, answer) in judged {
        match answer {
            Ok(planned) => {
                let number = wanted.manifest.at("/spec/replicas");
                if number.is_some() && number != planned.manifest.at("/spec/replicas") {
                    scaled.insert(wanted.id.clone(), wanted.manifest.clone());
                }
                push(&mut services, &wanted.service, planned);
            }
            Err((kind, message)) => problems.push(DeployProblem::new(kind, message).service(&wanted.service)),
        }
    }
    if let Some(problems) = DeployProblems::new(std::mem::take(&mut problems)) {
        return Err(problems);
    }
    notes.extend(manifests.notes.iter().cloned());
    let all: BTreeSet<ObjectId> =
        services.iter().flat_map(|service| &service.objects).map(|it| it.id.clone()).collect();
    let uids: BTreeSet<String> =
        services.iter().flat_map(|service| &service.objects).filter_map(|object| object.uid.clone()).collect();
    let uids: BTreeSet<&str> = uids.iter().map(String::as_str).collect();
    let mut removals: Vec<BatchObject> = Vec::new();
    let mut inventories = std::mem::take(&mut found.inventories);
    let present = Present { request, found: &found, all: &all, uids: &uids };
    for planned in &mut services {
        let name = planned.service.clone();
        for object in &planned.objects {
            notes.extend(object.notes.iter().map(|note| format!("{} of `{name}`: {note}", object.id)));
        }
        match inventories.remove(name.as_str()) {
            Some(inventory) => planned.inventory = inventory,
            None if planned.objects.iter().any(|object| object.uid.is_some()) => {
                notes.push(format!("`{name}` has objects and no inventory yet: nothing of it is removed"));
            }
            None => {}
        }
        planned.plan_removals(&present, &mut notes, &mut removals, &mut problems);
    }
    for (name, inventory) in inventories {
        let objects = inventory.entries.len();
        let service = ServiceName::try_from(name.as_str()).ok().filter(|_| request.has_left(&name));
        match service.filter(|_| request.removed == RemovedServiceRule::Delete) {
            None if request.has_left(&name) => {
                let name = escaped(&name);
                notes.push(format!(
                    "service `{name}` is not deployed here any more, and its objects stay: {objects}; {}",
                    request.removed.way_out()
                ));
            }
            None => {}
            Some(service) => {
                let mut left = PlannedService {
                    service,
                    wave: 0,
                    objects: Vec::new(),
                    removed: Vec::new(),
                    kept: Vec::new(),
                    inventory,
                    has_left: true,
                };
                left.plan_removals(&present, &mut notes, &mut removals, &mut problems);
                let count = left.removed.len();
                notes.push(format!(
                    "service `{name}` is not deployed here any more, and its objects are deleted: {count}"
                ));
                services.push(left);
            }
        }
    }
    if let Some(problems) = DeployProblems::new(problems) {
        return Err(problems);
    }
    let removed: Vec<ObjectKey> =
        services.iter().flat_map(|service| &service.removed).map(|(key, _)| key.clone()).collect();
    for planned in &mut services {
        for object in &mut planned.objects {
            let manifest = scaled.remove(&object.id).filter(|one| found.scaled.loses_all(one, removed.iter()));
            let number = manifest.as_ref().and_then(|manifest| manifest.integer("/spec/replicas"));
            notes.extend(number.map(|number| {
                let (id, service) = (&object.id, &planned.service);
                format!(
                    "{id} of `{service}` gets the replicas of its manifest, {number}, once its autoscaler is removed"
                )
            }));
            object.after_removal = manifest;
        }
    }
    Ok(finished(request, manifests, services, removals, notes, (references, settings)))
}

fn removal(removed: &BatchObject) -> Option<Change> {
    let before: Map<String, Value> = content(&removed.wanted).as_object().cloned()?;
    let id = ObjectId::of(&before).ok()?;
    let images = image_changes(&id, Some(&before), None);
    Some(Change { service: Some(removed.service.clone()), path: id.to_string(), kind: ChangeKind::Removed, images })
}

fn finished(
    request: &DeployRequest,
    manifests: &PinnedManifests<'_>,
    services: Vec<PlannedService>,
    removals: Vec<BatchObject>,
    notes: Vec<String>,
    (references, settings): (ReferenceReport, PlannedSettings),
) -> Plan {
    let identity: BTreeMap<&ServiceName, Vec<&Map<String, Value>>> =
        manifests.objects.iter().fold(BTreeMap::new(), |mut all, pinned| {
            all.entry(pinned.service).or_insert_with(Vec::new).push(&pinned.object);
            all
        });
    let digest = lock_model::tagged_digest("orchestrator.apply-plan.v1", &identity);
    let written =
        services.iter().flat_map(|service| service.objects.iter().filter_map(|object| object.change(&service.service)));
    let changes = settings.changes().into_iter().chain(written).chain(removals.iter().filter_map(removal)).collect();
    let masking = settings.masking();
    let reviewed = services
        .iter()
        .map(|planned| planned.reviewed(&removals, &settings, &masking))
        .collect::<Vec<ServiceChanges>>();
    let kept = services.iter().flat_map(|service| {
        let batch_object = |object: &PlannedObject| object.batch_object(&service.service, service.wave);
        service.objects.iter().filter(|object| !object.has_run).map(batch_object).collect::<Vec<_>>()
    });
    let batch = settings.batch().into_iter().chain(kept).chain(removals).collect();
    let noise = services.iter().flat_map(|service| {
        service.objects.iter().flat_map(|object| {
            object.noise.iter().map(|field| NoisyField {
                service: service.service.clone(),
                object: object.id.to_string(),
                field: field.clone(),
            })
        })
    });
    let noise = noise.collect();
    let namespace = request.namespace.clone();
    Plan {
        digest: digest.expect("JSON that was read has a canonical form"),
        changes,
        services: reviewed,
        unpinned_images: manifests.unpinned_images.clone(),
        noise,
        notes,
        references,
        detail: PlanDetail::Apply(ApplyPlan {
            services,
            batch,
            namespace,
            settings,
            request: PlannedRequest::of(request),
        }),
    }
}

impl PinnedManifests<'_> {
    /// Lets objects that name the settings of their service name a version of them; why some cannot.
    fn use_settings(&mut self, request: &DeployRequest) -> Vec<DeployProblem> {
        let mut problems = Vec::new();
        for service in request.services.iter().filter(|service| !service.setting_parts.is_empty()) {
            let (name, parts) = (&service.name, &service.setting_parts);
            let mut named = BTreeSet::new();
            for pinned in self.objects.iter_mut().filter(|pinned| pinned.service == name) {
                let is_of = |part: &&Part| {
                    pinned.id.group.is_empty()
                        && pinned.id.kind == part.kind()
                        && pinned.id.name == logical_name(name.as_str(), **part)
                };
                if let Some(part) = parts.iter().find(is_of) {
                    let message = format!(
                        "{} is in the manifests, and `{}` gives the service one of that name",
                        pinned.id,
                        part.word()
                    );
                    problems.push(DeployProblem::new(ProblemKind::Duplicate, message).service(name));
                }
                named.extend(name_versions(&mut pinned.object, name.as_str(), parts));
            }
            self.notes.extend(parts.difference(&named).map(|part| {
                let logical = logical_name(name.as_str(), *part);
                format!("no object of `{name}` names {} `{logical}`, which `{}` gives it", part.kind(), part.word())
            }));
        }
        problems
    }

    /// Writes the names that the versions of settings have in the namespace.
    pub(super) fn name_settings(&mut self, settings: &PlannedSettings) {
        for pinned in &mut self.objects {
            let names = settings.names(pinned.service);
            if !names.is_empty() {
                pinned.object.values_mut().for_each(|value| rename(value, &names));
            }
        }
    }

    /// The objects of one service.
    pub(crate) fn rendering(&self, service: &ServiceName) -> Rendering {
        let own = self.objects.iter().filter(|pinned| pinned.service == service);
        Rendering::of_objects(own.map(|pinned| (pinned.id.clone(), pinned.object.clone())))
    }
}
