//! From rendered charts to a plan: pure, and with every problem of every service at once.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::program::HelmVersion;
use crate::image_pinning::{Pins, UnpinnedImage};
use crate::manifest::{self, ObjectId};
use crate::namespace::{Live, PlannedRequest, Rendering, between, inspect};
use crate::plan::{Plan, PlanDetail};
use crate::problem::{DeployProblem, DeployProblems, ProblemKind, escaped};
use crate::request::{DeployRequest, DeployService};

/// What [`apply`](crate::Target::apply) installs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HelmPlan {
    /// A release for each service, in the order of the request.
    pub releases: Vec<PlannedRelease>,
    /// Images of hooks that only `helm test` starts, which is never done here, and that the lock does not decide.
    pub not_started: Vec<UnpinnedImage>,
    /// The helm that rendered it.
    pub helm: HelmVersion,
    pub(super) request: PlannedRequest,
}

/// The helm release of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedRelease {
    /// The service; the release has its name.
    pub service: ServiceName,
    /// What happens to the release.
    pub action: ReleaseAction,
    pub(super) chart: Vec<(String, Vec<u8>)>,
    pub(super) values: Map<String, Value>,
    pub(super) rendering: Rendering,
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
}

/// The newest revision of a release.
pub(super) struct StoredState {
    pub(super) rendering: Rendering,
    /// Whether helm says that it is deployed: not failed, not pending.
    pub(super) is_deployed: bool,
}

/// What the cluster says about all services together.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) problems: Vec<DeployProblem>,
    pub(super) notes: Vec<String>,
}

/// Judges what was rendered and compares it with what is stored.
pub(super) fn assemble(
    request: &DeployRequest,
    rendered: Vec<RenderedService<'_>>,
    helm: &HelmVersion,
    found: Found,
) -> Result<Plan, DeployProblems> {
    let pins = Pins::new(request.images());
    let Found { mut problems, mut notes } = found;
    let (mut changes, mut releases) = (Vec::new(), Vec::new());
    let (mut unpinned, mut not_started) = (BTreeSet::new(), BTreeSet::new());
    let mut owners: BTreeMap<ObjectId, ServiceName> = BTreeMap::new();
    let mut identity = BTreeMap::new();
    for RenderedService { service, rendering, stored, live } in rendered {
        let name = &service.name;
        let inspection = inspect(request, service, &pins, &rendering);
        let violations = inspection.violations.into_iter();
        problems.extend(violations.map(|(kind, message)| DeployProblem::new(kind, message).service(name)));
        problems.extend(live.problems);
        unpinned.extend(inspection.unpinned);
        not_started.extend(inspection.not_started);
        for (id, _) in rendering.started() {
            if let Some(other) = owners.insert(id.clone(), name.clone()) {
                let message = format!("{id} is in the chart of `{other}` as well");
                problems.push(DeployProblem::new(ProblemKind::Duplicate, message).service(name));
            }
        }
        let before = stored.as_ref().map(|stored| &stored.rendering);
        changes.extend(between(name, before, &rendering, &live.differing));
        identity.insert(name.clone(), rendering.to_json());
        let action = match &stored {
            None => ReleaseAction::Install,
            Some(stored)
                if stored.is_deployed
                    && live.differing.is_empty()
                    && stored.rendering.difference(&rendering).is_none() =>
            {
                ReleaseAction::Keep
            }
            Some(_) => ReleaseAction::Upgrade,
        };
        let (chart, values) = (service.files.clone(), service.values.clone());
        releases.push(PlannedRelease { service: name.clone(), action, chart, values, rendering });
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
    let digest = lock_model::tagged_digest("orchestrator.helm-plan.v1", &identity);
    Ok(Plan {
        digest: digest.expect("JSON that was read has a canonical form"),
        changes,
        unpinned_images: unpinned.into_iter().collect(),
        notes,
        detail: PlanDetail::Helm(HelmPlan {
            releases,
            not_started: not_started.into_iter().collect(),
            helm: helm.clone(),
            request: PlannedRequest::of(request),
        }),
    })
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
            if let Err(reason) = crate::render::check_path(file) {
                add(DeployProblem::new(ProblemKind::Path, reason).file(file));
            }
        }
        if let Err(reason) = chart_name(service) {
            add(DeployProblem::new(ProblemKind::Chart, reason).file("Chart.yaml"));
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
