//! Planning with the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lock_model::ServiceName;
use secrecy::ExposeSecret as _;

use super::adoption::not_taken_over;
use super::hooks::HooksOf;
use super::plan::{
    Found, ReleaseAction, RenderedService, StoredState, action_of, assemble, chart_name, chart_problems,
};
use super::program::{Capabilities, HelmProgram};
use super::removed::LeftRelease;
use super::render::{
    AT_ONCE, Answer, Operation, all_rendered, fail_with, in_parallel, render_for_cluster, render_once, run_blocking,
};
use super::settled::{has_others, is_settled};
use super::stored::{Status, StoredRelease, releases};
use super::target::HelmTarget;
use super::unchanged::Source;
use crate::error::DeployError;
use crate::namespace::{EnvironmentNamespace, Live, Rendering, compare, missing_references, unserved_kinds};
use crate::plan::Plan;
use crate::problem::{DeployProblem, ProblemKind, escaped};
use crate::request::{DeployRequest, DeployService, RemovedServiceRule};
use crate::settings::{PlannedSettings, rename};

impl HelmTarget {
    /// Compares what a request is rendered to with what is stored and with what is live; changes nothing.
    pub(crate) async fn plan(&self, request: &DeployRequest) -> Result<Plan, DeployError> {
        self.plan_by(request, Standard::Rendered).await
    }

    /// Compares what helm stored of a request that was deployed with what is live: what an upgrade would render now is no
    /// edit. Where something else was deployed since, the same as [`plan`](Self::plan).
    pub(crate) async fn plan_for_drift(&self, request: &DeployRequest) -> Result<Plan, DeployError> {
        let state = self.namespace.connection.namespace_state(&self.namespace.name).await?;
        let deployed = state.and_then(|state| state.deployed);
        let is_complete = deployed.is_some_and(|deployed| deployed.release == request.release.as_str());
        self.plan_by(request, if is_complete { Standard::Stored } else { Standard::Rendered }).await
    }

    async fn plan_by(&self, request: &DeployRequest, standard: Standard) -> Result<Plan, DeployError> {
        fail_with(chart_problems(request))?;
        // `helm version` runs beside the requests to the API server; a missing helm is an error only where it is used.
        let search = self.search.clone();
        let helm = run_blocking(move || HelmProgram::find(&search).map(drop));
        tokio::join!(self.plan_with_cluster(request, standard), helm).0
    }

    async fn plan_with_cluster(&self, request: &DeployRequest, standard: Standard) -> Result<Plan, DeployError> {
        self.namespace.refuse_other_owner(request).await?;
        let EnvironmentNamespace { connection, name: namespace, .. } = &self.namespace;
        let settings = self.namespace.settings(request).await?;
        let request = &named(request, &settings);
        let found = releases(connection, namespace, |name| request.is_here(name)).await?;
        let notes = found.notes().collect();
        let left = LeftRelease::find(connection, request, &found).await?;
        let mut stored = found.stored;
        let mut problems = foreign_charts(request, &stored);
        problems.extend(self.unserved(request, &stored).await?);
        fail_with(problems)?;
        let capabilities = Capabilities::read(connection).await?;
        let operations: BTreeMap<String, Operation> = request
            .services
            .iter()
            .map(|service| {
                let name = service.name.to_string();
                let operation = match stored.get(&name).map(|stored| &stored.status) {
                    None => Operation::Install,
                    Some(Status::Unfinished(_)) => Operation::Recover,
                    Some(Status::Deployed | Status::Other(_)) => Operation::Upgrade,
                };
                (name, operation)
            })
            .collect();
        let mut known = Known { stored: Arc::new(stored.clone()), standard, ..Known::default() };
        let (helm, rendered, mut problems, references, mut live) = loop {
            let (helm, answers) =
                self.render(request, &settings, capabilities.clone(), operations.clone(), known.clone()).await?;
            let names = request.services.iter().map(|service| &service.name);
            let ways: BTreeMap<ServiceName, Way> = names.cloned().zip(answers.iter().map(|(_, way)| *way)).collect();
            let answers = answers.into_iter().map(|(answer, _)| answer);
            let (rendered, problems) = all_rendered(request.services.iter().zip(answers))?;
            let asked: Vec<_> = rendered.iter().map(|(service, rendering)| (service.name.clone(), rendering)).collect();
            let mut live = compare(connection, namespace, &asked, &request.noise()).await?;
            self.leave_out_completed(&known, &asked, &mut live).await?;
            if known.is_extended(&ways, &live) {
                continue;
            }
            let references = missing_references(connection, namespace, &asked, &settings).await?;
            for (service, live) in &mut live {
                let newest = known.stored.get(service.as_str()).map(|stored| &stored.rendering);
                live.problems.extend(not_taken_over(service, namespace, live, newest));
            }
            break (helm, rendered, problems, references, live);
        };
        let rendered = rendered.into_iter().map(|(service, rendering)| {
            let stored = stored.remove(service.name.as_str()).map(|stored| StoredState {
                revision: stored.revision,
                is_deployed: stored.status == Status::Deployed,
                source: stored.source(),
                is_foreign: stored.is_foreign,
                rendering: stored.rendering,
            });
            let live = live.remove(&service.name).unwrap_or_default();
            RenderedService { service, rendering, stored, live, replaced_hooks: BTreeSet::new() }
        });
        let mut rendered: Vec<RenderedService<'_>> = rendered.collect();
        let mut with_hooks = hooks_of(&rendered);
        if request.removed == RemovedServiceRule::Delete {
            with_hooks.extend(left.iter().filter(|left| left.is_uninstalled_next()).map(LeftRelease::with_hooks));
        }
        let facts = self.look_at_hooks(&with_hooks).await?;
        problems.extend(self.try_hooks(&with_hooks, &facts).await?);
        problems.extend(facts.problems);
        for service in &mut rendered {
            service.replaced_hooks = facts.replaced.get(&service.service.name).cloned().unwrap_or_default();
        }
        let plan = assemble(
            request,
            rendered,
            helm.version(),
            Found { problems, notes, references, settings, left, capabilities },
        )?;
        Ok(plan.in_order()?)
    }

    /// Renders each service, or takes what helm has stored of it; the answers say how.
    async fn render(
        &self,
        request: &DeployRequest,
        settings: &PlannedSettings,
        capabilities: Capabilities,
        operations: BTreeMap<String, Operation>,
        known: Known,
    ) -> Result<(HelmProgram, Vec<(Result<Answer, DeployError>, Way)>), DeployError> {
        let (search, kubeconfig, asked) = (self.search_without(settings), self.kubeconfig.to_json(), request.clone());
        run_blocking(move || {
            let helm = HelmProgram::find(&search)?;
            let operation =
                |service: &DeployService| operations.get(service.name.as_str()).copied().unwrap_or(Operation::Install);
            let mut work: Vec<(&DeployService, Option<Rendering>, Way)> = Vec::new();
            for service in &asked.services {
                let rendering = known.rendering_of(&asked, service, &helm);
                let way = match &rendering {
                    Some(_) => Way::Kept,
                    None if known.is_settled(&asked, service, operation(service)) => Way::WithoutCluster,
                    None => Way::WithCluster,
                };
                work.push((service, rendering, way));
            }
            reach_cluster(&mut work, |service| operation(service) != Operation::Recover);
            let answers = in_parallel(AT_ONCE, &work, |(service, rendering, way)| {
                let answer = match (rendering, way) {
                    (Some(rendering), _) => Ok(Ok(rendering.clone())),
                    (None, Way::WithoutCluster) => {
                        render_once(&helm, &asked, service, &capabilities, operation(service))
                    }
                    (None, Way::Kept | Way::WithCluster) => {
                        let kubeconfig = kubeconfig.expose_secret();
                        render_for_cluster(&helm, &asked, service, &capabilities, operation(service), kubeconfig)
                    }
                };
                (answer, *way)
            });
            Ok((helm, answers))
        })
        .await
    }

    /// A Job that is deleted after its end has run once for all, where the deployment of its revision waited for it. helm makes
    /// it again in an upgrade, which a Job alone is no reason for.
    async fn leave_out_completed(
        &self,
        known: &Known,
        asked: &[(ServiceName, &Rendering)],
        live: &mut BTreeMap<ServiceName, Live>,
    ) -> Result<(), DeployError> {
        let mut missing = BTreeMap::new();
        for (service, rendering) in asked {
            let Some((stored, live)) = known.as_deployed(service).zip(live.get(service)) else { continue };
            let jobs = live.missing_jobs(&stored.rendering);
            let is_alone = jobs.len() == live.differing.len() && stored.rendering.difference(rendering).is_none();
            if !jobs.is_empty() && (is_alone || known.standard == Standard::Stored) {
                missing.insert(service, (stored.revision, jobs));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let state = self.namespace.connection.namespace_state(&self.namespace.name).await?;
        let revisions = state.and_then(|state| state.deployed).map(|deployed| deployed.revisions).unwrap_or_default();
        for (service, (revision, jobs)) in missing {
            if revisions.get(service.as_str()) == Some(&revision)
                && let Some(live) = live.get_mut(service)
            {
                live.leave_out(jobs);
            }
        }
        Ok(())
    }

    /// Releases that helm cannot go on from.
    async fn unserved(
        &self,
        request: &DeployRequest,
        stored: &BTreeMap<String, StoredRelease>,
    ) -> Result<Vec<DeployProblem>, DeployError> {
        let mut problems = Vec::new();
        for service in &request.services {
            let Some(stored) = stored.get(service.name.as_str()) else { continue };
            let kinds = unserved_kinds(&self.namespace.connection, &stored.rendering).await?;
            if !kinds.is_empty() {
                let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
                let message = format!(
                    "helm cannot go on from revision {} of its release: it has objects of kinds that the cluster serves no \
                     more: {kinds}",
                    stored.revision
                );
                problems.push(DeployProblem::new(ProblemKind::Unserved, message).service(&service.name));
            }
        }
        Ok(problems)
    }
}

/// The releases whose hooks run.
fn hooks_of<'a>(rendered: &'a [RenderedService<'_>]) -> Vec<HooksOf<'a>> {
    let releases = rendered.iter().filter_map(|one| {
        let action = action_of(one.stored.as_ref(), &one.rendering, &one.live);
        let newest = one.stored.as_ref().map(|stored| &stored.rendering);
        let (service, rendering, doing) = (&one.service.name, &one.rendering, action.doing());
        (action != ReleaseAction::Keep).then_some(HooksOf { service, rendering, newest, doing })
    });
    releases.collect()
}

/// The request with the names that its settings have.
fn named(request: &DeployRequest, settings: &PlannedSettings) -> DeployRequest {
    let mut request = request.clone();
    for service in &mut request.services {
        let names = settings.names(&service.name);
        service.values.values_mut().for_each(|value| rename(value, &names));
    }
    request
}

/// How a service was rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It was not: what helm has stored stands for it.
    Kept,
    /// Without the cluster, where the [chart says all](super::settled).
    WithoutCluster,
    /// Without the cluster, and by a dry run of helm.
    WithCluster,
}

/// Lets helm render one chart with the cluster, if there is any to be rendered: that it reaches the cluster is known then.
fn reach_cluster(work: &mut [(&DeployService, Option<Rendering>, Way)], asks_cluster: impl Fn(&DeployService) -> bool) {
    let is_reached = work.iter().any(|(service, _, way)| *way == Way::WithCluster && asks_cluster(service));
    if !is_reached && let Some((.., way)) = work.iter_mut().find(|(.., way)| *way == Way::WithoutCluster) {
        *way = Way::WithCluster;
    }
}

/// What a plan compares the cluster with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standard {
    #[default]
    Rendered,
    /// What helm stored of revisions that were made here.
    Stored,
}

/// What is known of releases without that helm renders them.
#[derive(Clone, Default)]
struct Known {
    standard: Standard,
    stored: Arc<BTreeMap<String, StoredRelease>>,
    /// Services that are rendered although helm has stored them.
    rendered: BTreeSet<ServiceName>,
    /// Services that helm renders with the cluster although their charts say all.
    asked: BTreeSet<ServiceName>,
}

impl Known {
    /// The newest revision of a service, where it was made here and is deployed.
    fn as_deployed(&self, service: &ServiceName) -> Option<&StoredRelease> {
        let stored = self.stored.get(service.as_str())?;
        (stored.status == Status::Deployed && !stored.is_foreign).then_some(stored)
    }

    /// What a service was rendered to, where its newest revision was made of the same.
    fn rendering_of(&self, request: &DeployRequest, service: &DeployService, helm: &HelmProgram) -> Option<Rendering> {
        if self.standard == Standard::Stored
            && let Some(stored) = self.as_deployed(&service.name)
        {
            return Some(stored.rendering.clone());
        }
        let stored = self.stored.get(service.name.as_str()).filter(|_| !self.rendered.contains(&service.name))?;
        stored.unchanged(&source_of(request, service), helm.version()).cloned()
    }

    /// Whether a chart says all that helm would render with the cluster.
    fn is_settled(&self, request: &DeployRequest, service: &DeployService, operation: Operation) -> bool {
        let stored = self.stored.get(service.name.as_str());
        let is_clear = stored.is_none_or(|stored| stored.status == Status::Deployed);
        !self.asked.contains(&service.name) && is_settled(&source_of(request, service), is_clear.then_some(operation))
    }

    /// Whether the cluster shows that less is known: what is deployed again is rendered again, and helm is asked about objects
    /// that are there and that its release does not have.
    fn is_extended(&mut self, ways: &BTreeMap<ServiceName, Way>, live: &BTreeMap<ServiceName, Live>) -> bool {
        let before = self.rendered.len() + self.asked.len();
        for (service, way) in ways {
            let Some(live) = live.get(service) else { continue };
            let newest = self.stored.get(service.as_str()).map(|stored| &stored.rendering);
            match way {
                Way::Kept if self.standard == Standard::Rendered && !live.differing.is_empty() => {
                    self.rendered.insert(service.clone());
                }
                Way::WithoutCluster if has_others(live, newest) => drop(self.asked.insert(service.clone())),
                Way::Kept | Way::WithoutCluster | Way::WithCluster => {}
            }
        }
        self.rendered.len() + self.asked.len() > before
    }
}

fn source_of<'a>(request: &'a DeployRequest, service: &'a DeployService) -> Source<'a> {
    let DeployService { name, files, values, .. } = service;
    Source { service: name, namespace: &request.namespace, files, values }
}

/// Releases of the services' names that another program made of another chart. One that was made here follows its service,
/// whose chart may get another name.
fn foreign_charts(request: &DeployRequest, stored: &BTreeMap<String, StoredRelease>) -> Vec<DeployProblem> {
    let foreign = request.services.iter().filter_map(|service| {
        let stored = stored.get(service.name.as_str()).filter(|stored| stored.is_foreign)?;
        let chart = chart_name(service).ok()?;
        let message = format!(
            "another program made the helm release `{}` of the namespace, of another chart, `{}` (this one is `{}`)",
            service.name,
            escaped(&stored.chart),
            escaped(&chart)
        );
        (stored.chart != chart).then(|| DeployProblem::new(ProblemKind::ForeignRelease, message).service(&service.name))
    });
    foreign.collect()
}
