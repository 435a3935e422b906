//! From rendered charts to a plan: pure, and with every problem of every service at once.

use std::collections::{BTreeMap, BTreeSet};

use cluster::health::Permission;
use cluster::{EndingJob, Kind, LeasePlace, ReferenceReport};
use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::changes::{Changing, StoredSource};
use super::dependencies::dependency_problems;
use super::hooks::{Doing, lost_after};
use super::program::{Capabilities, HelmVersion};
use super::removed::{LeftRelease, kept_volumes, lost_volumes};
use super::schema_references::schema_problems;
use crate::batch::{BatchObject, BatchPart, permission_list, permissions};
use crate::image_pinning::{Pins, UnpinnedImage};
use crate::manifest::{self, ObjectId};
use crate::namespace::{Live, PlannedRequest, Rendering, between, ending_job, inspect, permissions_for_jobs, placed};
use crate::plan::{Plan, PlanDetail};
use crate::problem::{DeployProblem, DeployProblems, ProblemKind, escaped};
use crate::request::{DeployRequest, DeployService, RemovedServiceRule};
use crate::rules::unused_namespaces;
use crate::settings::{PlannedSettings, own_object};
use crate::stopped::stays_stopped;

/// What [`apply`](crate::Target::apply) installs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HelmPlan {
    /// A release for each service, in the order of the request.
    pub releases: Vec<PlannedRelease>,
    /// Images of hooks that only `helm test` starts, which is never done here, and that the lock does not decide.
    pub not_started: Vec<UnpinnedImage>,
    /// Services whose release another program made: it gets its next revision.
    pub taken_over: Vec<ServiceName>,
    /// Releases of services that are not deployed any more, which are uninstalled.
    pub removed: Vec<LeftRelease>,
    /// The helm that rendered it.
    pub helm: HelmVersion,
    pub(crate) batch: Vec<BatchObject>,
    pub(crate) settings: PlannedSettings,
    namespace: String,
    pub(crate) request: PlannedRequest,
    /// What the cluster said of itself.
    pub(super) capabilities: Capabilities,
}

impl HelmPlan {
    /// What this program and helm keep in the namespace, and is not there yet: each revision is a Secret.
    pub(crate) fn own_objects(&self) -> Vec<(String, cluster::Object)> {
        let new = self.releases.iter().filter(|release| release.action != ReleaseAction::Keep);
        let revisions = new.filter_map(|release| {
            let name = format!("sh.helm.release.v1.{}", release.service);
            Some((release.service.to_string(), own_object("v1", "Secret", &self.namespace, &name)?))
        });
        self.settings.own_objects(&self.namespace).into_iter().chain(revisions).collect()
    }

    /// What the plan, helm and this program have to be permitted.
    pub(crate) fn permissions(&self) -> Vec<Permission> {
        let namespace = &self.namespace;
        let mut more = Vec::new();
        let mut add = |version: &str, kind: &str, verbs: &[&'static str], name: Option<String>| {
            more.extend(verbs.iter().map(|verb| Permission {
                kind: Kind::new(version, kind),
                namespace: Some(namespace.clone()),
                verb,
                names: name.iter().cloned().collect(),
            }));
        };
        // Where helm keeps its releases; the state of the namespace is one of them.
        add("v1", "Secret", &["get", "list", "create", "update", "delete"], None);
        let environment = self.request.environment.to_string();
        let lease = LeasePlace { namespace: namespace.clone(), environment }.key();
        add("coordination.k8s.io/v1", "Lease", &["get", "create", "update"], Some(lease.name));
        if !self.request.jobs.is_empty() {
            more.extend(permissions_for_jobs(namespace));
        }
        more.extend(self.settings.permissions(namespace));
        permission_list(permissions(&self.batch), more)
    }
}

/// The helm release of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedRelease {
    /// The service; the release has its name.
    pub service: ServiceName,
    /// What happens to the release.
    pub action: ReleaseAction,
    /// The place of its wave.
    pub wave: usize,
    pub(super) chart: Vec<(String, Vec<u8>)>,
    pub(super) values: Map<String, Value>,
    pub(super) rendering: Rendering,
    /// The newest revision that there was; `None` where there was none.
    pub(super) revision: Option<u64>,
    /// Jobs of a kept release that have completed and are not there any more.
    pub(super) has_run: BTreeSet<ObjectId>,
    /// The Jobs that were there, and that Kubernetes deletes after their end.
    pub(super) jobs: BTreeMap<ObjectId, EndingJob>,
}

/// What a plan does with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseAction {
    /// There is none yet.
    Install,
    /// It becomes another revision.
    Upgrade,
    /// The newest revision is what would be installed, and the cluster has all of it.
    Keep,
}

/// A chart that was rendered, and what helm has stored of its release.
pub(super) struct RenderedService<'a> {
    pub(super) service: &'a DeployService,
    pub(super) rendering: Rendering,
    pub(super) stored: Option<StoredState>,
    /// What differs in the cluster from what was rendered; none where no cluster was asked.
    pub(super) live: Live,
    /// Hooks whose objects are there, and that helm deletes first.
    pub(super) replaced_hooks: BTreeSet<ObjectId>,
}

/// The newest revision of a release.
pub(super) struct StoredState {
    pub(super) rendering: Rendering,
    pub(super) revision: u64,
    /// Whether helm says that it is deployed: not failed, not pending.
    pub(super) is_deployed: bool,
    /// What it was rendered from.
    pub(super) source: StoredSource,
    /// Whether another program made it.
    pub(super) is_foreign: bool,
}

/// What the cluster says about all services together.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) problems: Vec<DeployProblem>,
    pub(super) notes: Vec<String>,
    pub(super) references: ReferenceReport,
    pub(super) settings: PlannedSettings,
    /// Releases of services that are not deployed any more.
    pub(super) left: Vec<LeftRelease>,
    pub(super) capabilities: Capabilities,
}

/// Judges what was rendered and compares it with what is stored.
pub(super) fn assemble(
    request: &DeployRequest,
    rendered: Vec<RenderedService<'_>>,
    helm: &HelmVersion,
    found: Found,
) -> Result<Plan, DeployProblems> {
    let pins = Pins::new(request.images());
    let Found { mut problems, mut notes, references, settings, left, capabilities } = found;
    let started = rendered.iter().flat_map(|one| one.rendering.started().map(|(_, object)| object));
    notes.extend(unused_namespaces(request, started));
    let mut batch = settings.batch();
    let (mut changes, mut releases) = (settings.changes(), Vec::new());
    let (mut unpinned, mut not_started) = (BTreeSet::new(), BTreeSet::new());
    let mut owners: BTreeMap<ObjectId, ServiceName> = BTreeMap::new();
    let mut identity = BTreeMap::new();
    let (masking, mut services) = (settings.masking(), Vec::new());
    let (mut taken_over, mut rolled, mut noise) = (Vec::new(), Vec::new(), Vec::new());
    for RenderedService { service, rendering, stored, mut live, replaced_hooks } in rendered {
        let name = &service.name;
        let before = stored.as_ref().map(|stored| &stored.rendering);
        let action = action_of(stored.as_ref(), &rendering, &live);
        if action != ReleaseAction::Keep {
            live.write_noise();
        }
        let planned = Changing {
            request,
            service,
            rendering: &rendering,
            stored: stored.as_ref(),
            live: &live,
            action,
            replaced_hooks: &replaced_hooks,
        };
        services.push(planned.changes(&settings, &masking));
        let goes = before.into_iter().flat_map(|before| &before.objects);
        let lost = lost_volumes(goes.filter(|(id, _)| !rendering.objects.contains_key(*id)));
        if !lost.is_empty() {
            let message = format!("helm would delete what leaves the chart, and volumes with it: {}", lost.join(", "));
            problems.push(DeployProblem::new(ProblemKind::Volumes, message).service(name));
        }
        notes.extend(stopped_notes(name, &rendering, &live));
        if action != ReleaseAction::Keep {
            notes.extend(autoscaled_notes(name, &live));
        }
        let there = live.objects.iter().filter_map(|(id, (_, live))| Some((id.clone(), ending_job(live.as_ref()?)?)));
        let jobs = there.collect();
        batch.extend(batch_of(request, service, before, &rendering, &mut live)?);
        let inspection = inspect(request, service, &pins, &rendering);
        let violations = inspection.violations.into_iter();
        let has_objects = rendering.started().next().is_some();
        problems.extend(
            violations.map(|(kind, message)| DeployProblem::new(of_chart(kind, has_objects), message).service(name)),
        );
        problems.extend(live.problems);
        noise.extend(live.noise);
        problems.extend(lost_after(name, &rendering));
        unpinned.extend(inspection.unpinned);
        not_started.extend(inspection.not_started);
        for (id, _) in rendering.started() {
            if let Some(other) = owners.insert(id.clone(), name.clone()) {
                let message = format!("{id} is in the chart of `{other}` as well");
                problems.push(DeployProblem::new(ProblemKind::Duplicate, message).service(name));
            }
        }
        changes.extend(between(name, before, &rendering, &live.differing));
        identity.insert(name.clone(), rendering.to_json());
        if stored.as_ref().is_some_and(|stored| stored.is_foreign) {
            taken_over.push(name.clone());
            if before.is_some_and(|before| before.has_other_pods(&rendering)) {
                rolled.push(name.clone());
            }
        }
        let (chart, values) = (service.files.clone(), service.values.clone());
        let (service, wave) = (name.clone(), service.wave);
        let revision = stored.map(|stored| stored.revision);
        let has_run = live.has_run;
        releases.push(PlannedRelease { service, action, wave, chart, values, rendering, revision, has_run, jobs });
    }
    let mut removed = Vec::new();
    for left in left {
        let (service, volumes, objects) = (&left.service, left.volumes(), left.rendering.objects.len());
        if let Some(remains) = &left.remains {
            let count = remains.len();
            notes.push(format!(
                "service `{service}` is not deployed here any more, and objects of its uninstalled release are still there: {count}"
            ));
            if request.removed == RemovedServiceRule::Delete {
                removed.push(left);
            }
        } else if request.removed == RemovedServiceRule::Keep {
            notes.push(format!(
                "service `{service}` is not deployed here any more, and its objects stay: {objects}; {}",
                request.removed.way_out()
            ));
        } else if !volumes.is_empty() {
            notes.push(format!(
                "service `{service}` is not deployed here any more, and stays: {}",
                kept_volumes(&volumes)
            ));
        } else {
            notes.push(format!("service `{service}` is not deployed here any more: its helm release is uninstalled"));
            changes.extend(between(service, Some(&left.rendering), &Rendering::default(), &BTreeMap::new()));
            services.push(left.changes(&masking));
            let inspection = left.inspect_hooks(request, &pins);
            let violations = inspection.violations.into_iter();
            problems.extend(violations.map(|(kind, message)| {
                let message = format!("{message}; its release would be uninstalled");
                DeployProblem::new(kind, message).service(service)
            }));
            problems.extend(left.lost_with_hooks());
            unpinned.extend(inspection.unpinned);
            for object in left.rendering.objects.values() {
                let wanted = placed(&request.namespace, object.clone());
                let wanted = wanted.map_err(|error| {
                    let problem = DeployProblem::new(ProblemKind::Unreadable, error.to_string()).service(service);
                    DeployProblems::new(vec![problem]).expect("it is one")
                })?;
                let (service, part) = (service.clone(), BatchPart::Removed);
                batch.push(BatchObject { service, wave: 0, part, wanted, live: None });
            }
            removed.push(left);
        }
    }
    if let Some(problems) = DeployProblems::new(problems) {
        return Err(problems);
    }
    notes.extend(not_started.iter().map(|image: &UnpinnedImage| {
        format!(
            "{} is started by `helm test` only, never by a deployment, and is not pinned: {}",
            image.object, image.image
        )
    }));
    notes.extend(taken_over_notes(&taken_over, &rolled));
    let digest = lock_model::tagged_digest("orchestrator.helm-plan.v1", &identity);
    Ok(Plan {
        digest: digest.expect("JSON that was read has a canonical form"),
        changes,
        services,
        unpinned_images: unpinned.into_iter().collect(),
        noise,
        notes,
        references,
        detail: PlanDetail::Helm(HelmPlan {
            releases,
            not_started: not_started.into_iter().collect(),
            taken_over,
            removed,
            helm: helm.clone(),
            batch,
            settings,
            namespace: request.namespace.clone(),
            request: PlannedRequest::of(request),
            capabilities,
        }),
    })
}

impl ReleaseAction {
    /// What helm is asked to do with the release.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade | Self::Keep => "upgrade",
        }
    }

    /// Which hooks it starts. One that is kept starts none, and is asked about as an upgrade.
    pub(super) fn doing(self) -> Doing {
        match self {
            Self::Install => Doing::Install,
            Self::Upgrade | Self::Keep => Doing::Upgrade,
        }
    }
}

pub(super) fn action_of(stored: Option<&StoredState>, rendering: &Rendering, live: &Live) -> ReleaseAction {
    match stored {
        None => ReleaseAction::Install,
        Some(stored)
            if stored.is_deployed
                // Only a revision of ours says that it is the one that was deployed.
                && !stored.is_foreign
                && live.differing.is_empty()
                && stored.rendering.difference(rendering).is_none() =>
        {
            ReleaseAction::Keep
        }
        Some(_) => ReleaseAction::Upgrade,
    }
}

/// What helps against a problem of a manifest is something else in a chart: its values decide, and nothing in it is moved.
pub(crate) fn of_chart(kind: ProblemKind, has_objects: bool) -> ProblemKind {
    match kind {
        ProblemKind::Image => ProblemKind::ChartImage,
        ProblemKind::NothingToDeploy if has_objects => ProblemKind::ChartImage,
        ProblemKind::Namespace => ProblemKind::ChartNamespace,
        other => other,
    }
}

/// What the first deployment over releases of another program does: which it takes over, and that all pods are made anew.
fn taken_over_notes(taken_over: &[ServiceName], rolled: &[ServiceName]) -> Vec<String> {
    let list = |services: &[ServiceName]| services.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
    let mut notes = Vec::new();
    if !taken_over.is_empty() {
        notes.push(format!("taken over, since another program made their helm releases: {}", list(taken_over)));
    }
    if !rolled.is_empty() {
        let all = if rolled.len() == taken_over.len() { "all of these" } else { "of these" };
        notes.push(format!("the pods of {all} are made anew, with digests and settings of the plan: {}", list(rolled)));
    }
    notes
}

/// Workloads that helm leaves at 0 replicas, since their chart names no number.
fn stopped_notes(service: &ServiceName, rendering: &Rendering, live: &Live) -> Vec<String> {
    let stopped = rendering.objects.iter().filter_map(|(id, manifest)| {
        let (_, live) = live.objects.get(id)?;
        let live = live.as_ref().filter(|live| stays_stopped(&Value::Object(manifest.clone()), live))?;
        let (key, kind) = (live.key(), id.kind.to_lowercase());
        let namespace = key.namespace.as_deref().unwrap_or_default();
        Some(format!(
            "{id} of service `{service}` was scaled to 0 and stays so, since its chart names no `replicas`: `kubectl scale {kind} \
             {} --replicas 1 --namespace {namespace}` starts it",
            key.name
        ))
    });
    stopped.collect()
}

/// What an upgrade does to replicas that an autoscaler has set: helm writes those of the chart.
fn autoscaled_notes(service: &ServiceName, live: &Live) -> impl Iterator<Item = String> {
    live.autoscaled.iter().map(move |(id, (there, planned))| {
        format!(
            "{id} of service `{service}` has {there} replicas of its autoscaler, and helm sets the {planned} of its chart until \
             the autoscaler sets them again: leave `replicas` out of the chart of what is scaled"
        )
    })
}

/// What the release of a service writes, and what it takes away.
fn batch_of(
    request: &DeployRequest,
    service: &DeployService,
    before: Option<&Rendering>,
    rendering: &Rendering,
    live: &mut Live,
) -> Result<Vec<BatchObject>, DeployProblems> {
    let placed = |object: &Map<String, Value>| {
        let object = placed(&request.namespace, object.clone());
        object.map_err(|error| {
            let problem = DeployProblem::new(ProblemKind::Unreadable, error.to_string()).service(&service.name);
            DeployProblems::new(vec![problem]).expect("it is one")
        })
    };
    let mut batch = Vec::new();
    let mut add = |part, wanted, live| {
        batch.push(BatchObject { service: service.name.clone(), wave: service.wave, part, wanted, live });
    };
    for (id, object) in rendering.objects.iter().filter(|(id, _)| !live.has_run.contains(*id)) {
        match live.objects.remove(id) {
            Some((wanted, live)) => add(BatchPart::Kept, wanted, live),
            None => add(BatchPart::Kept, placed(object)?, None),
        }
    }
    for (id, hook) in rendering.started().filter(|(id, _)| rendering.hooks.contains_key(*id)) {
        let part = if rendering.is_before(id) { BatchPart::HookBefore } else { BatchPart::HookAfter };
        add(part, placed(hook)?, None);
    }
    let gone = before.into_iter().flat_map(|before| &before.objects);
    for (_, object) in gone.filter(|(id, _)| !rendering.objects.contains_key(*id)) {
        add(BatchPart::Removed, placed(object)?, None);
    }
    Ok(batch)
}

/// Why the files of a service are no chart that can be written for helm.
pub(super) fn chart_problems(request: &DeployRequest) -> Vec<DeployProblem> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for service in &request.services {
        let mut add = |problem: DeployProblem| problems.push(problem.service(&service.name));
        if !names.insert(&service.name) {
            let message = format!("service `{}` is in the request twice", service.name);
            add(DeployProblem::new(ProblemKind::Request, message));
        }
        if !is_release_name(service.name.as_str()) {
            let message =
                "its name cannot be that of a helm release: lower-case letters, digits, `-` and `.`, at most 53";
            add(DeployProblem::new(ProblemKind::Chart, message));
        }
        for (file, _) in &service.files {
            if let Err(reason) = crate::pinned_manifests::check_path(file) {
                add(DeployProblem::new(ProblemKind::Path, reason).file(file));
            }
        }
        if let Err(reason) = chart_name(service) {
            add(DeployProblem::new(ProblemKind::Chart, reason).file("Chart.yaml"));
        }
        for (file, reason) in dependency_problems(service) {
            add(DeployProblem::new(ProblemKind::Chart, reason).file(file));
        }
        for (file, reason) in schema_problems(service) {
            add(DeployProblem::new(ProblemKind::ChartSchema, reason).file(&file));
        }
    }
    problems
}

/// The name in the chart's `Chart.yaml`.
pub(super) fn chart_name(service: &DeployService) -> Result<String, String> {
    let file = service.files.iter().find(|(path, _)| path == "Chart.yaml");
    let (_, bytes) = file.ok_or_else(|| "the folder of the chart has no such file".to_owned())?;
    let chart = manifest::parse_map(bytes)?;
    let name = chart.get("name").and_then(Value::as_str).ok_or_else(|| "the chart has no `name`".to_owned())?;
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(format!("`{}` is no name of a chart", escaped(name)));
    }
    Ok(name.to_owned())
}

fn is_release_name(name: &str) -> bool {
    let label = |part: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().next_back())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= 53 && name.split('.').all(label)
}
