//! Planning with the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lock_model::ServiceName;
use secrecy::ExposeSecret as _;

use super::hooks::HooksOf;
use super::plan::{
    Found, ReleaseAction, RenderedService, StoredState, action_of, assemble, chart_name, chart_problems,
};
use super::program::{Capabilities, HelmProgram};
use super::removed::LeftRelease;
use super::render::{
    AT_ONCE, Answer, Operation, all_rendered, fail_with, in_parallel, render_for_cluster, run_blocking,
};
use super::stored::{Status, StoredRelease, releases};
use super::target::HelmTarget;
use super::unchanged::Source;
use crate::error::DeployError;
use crate::namespace::{EnvironmentNamespace, Rendering, compare, missing_references, unserved_kinds};
use crate::plan::Plan;
use crate::problem::{DeployProblem, ProblemKind, escaped};
use crate::request::{DeployRequest, DeployService, RemovedServiceRule};
use crate::settings::{PlannedSettings, rename};

impl HelmTarget {
    /// Compares what a request is rendered to with what is stored and with what is live; changes nothing.
    pub(crate) async fn plan(&self, request: &DeployRequest) -> Result<Plan, DeployError> {
        fail_with(chart_problems(request))?;
        // `helm version` runs beside the requests to the API server; a missing helm is an error only where it is used.
        let search = self.search.clone();
        let helm = run_blocking(move || HelmProgram::find(&search).map(drop));
        tokio::join!(self.plan_with_cluster(request), helm).0
    }

    async fn plan_with_cluster(&self, request: &DeployRequest) -> Result<Plan, DeployError> {
        self.namespace.refuse_other_owner(request).await?;
        let EnvironmentNamespace { connection, name: namespace, .. } = &self.namespace;
        let settings = self.namespace.settings(request).await?;
        let request = &named(request, &settings);
        let found = releases(connection, namespace).await?;
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
                    Some(Status::Pending) => Operation::Recover,
                    Some(Status::Deployed | Status::Other(_)) => Operation::Upgrade,
                };
                (name, operation)
            })
            .collect();
        let mut kept = Kept { stored: Arc::new(stored.clone()), except: BTreeSet::new() };
        let (helm, rendered, mut problems, references, mut live) = loop {
            let (helm, answers) =
                self.render(request, &settings, capabilities.clone(), operations.clone(), kept.clone()).await?;
            let is_kept: BTreeSet<ServiceName> = request
                .services
                .iter()
                .zip(&answers)
                .filter(|(_, (_, kept))| *kept)
                .map(|(one, _)| one.name.clone())
                .collect();
            let answers = answers.into_iter().map(|(answer, _)| answer);
            let (rendered, problems) = all_rendered(request.services.iter().zip(answers))?;
            let asked: Vec<_> = rendered.iter().map(|(service, rendering)| (service.name.clone(), rendering)).collect();
            let live = compare(connection, namespace, &asked).await?;
            // What is deployed again is rendered again.
            let differs = |service: &&ServiceName| live.get(*service).is_some_and(|live| !live.differing.is_empty());
            let again: Vec<ServiceName> = is_kept.iter().filter(differs).cloned().collect();
            if !again.is_empty() {
                kept.except.extend(again);
                continue;
            }
            let references = missing_references(connection, namespace, &asked, &settings).await?;
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
        problems.extend(facts.problems);
        for service in &mut rendered {
            service.replaced_hooks = facts.replaced.get(&service.service.name).cloned().unwrap_or_default();
        }
        Ok(assemble(request, rendered, helm.version(), Found { problems, references, settings, left, capabilities })?)
    }

    /// Renders each service, or takes what helm has stored of it; the answers say which it was.
    async fn render(
        &self,
        request: &DeployRequest,
        settings: &PlannedSettings,
        capabilities: Capabilities,
        operations: BTreeMap<String, Operation>,
        kept: Kept,
    ) -> Result<(HelmProgram, Vec<(Result<Answer, DeployError>, bool)>), DeployError> {
        let (search, kubeconfig, asked) =
            (self.search_without(settings), Arc::clone(&self.kubeconfig), request.clone());
        run_blocking(move || {
            let helm = HelmProgram::find(&search)?;
            let answers = in_parallel(AT_ONCE, &asked.services, |service| {
                if let Some(rendering) = kept.rendering_of(&asked, service, &helm) {
                    return (Ok(Ok(rendering)), true);
                }
                let operation = operations.get(service.name.as_str()).copied().unwrap_or(Operation::Install);
                let kubeconfig = kubeconfig.expose_secret();
                (render_for_cluster(&helm, &asked, service, &capabilities, operation, kubeconfig), false)
            });
            Ok((helm, answers))
        })
        .await
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
                problems.push(DeployProblem::new(ProblemKind::Cluster, message).service(&service.name));
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

/// What helm has stored, in the place of what it would render.
#[derive(Clone)]
struct Kept {
    stored: Arc<BTreeMap<String, StoredRelease>>,
    /// Services that are rendered all the same.
    except: BTreeSet<ServiceName>,
}

impl Kept {
    /// What a service was rendered to, where its newest revision was made of the same.
    fn rendering_of(&self, request: &DeployRequest, service: &DeployService, helm: &HelmProgram) -> Option<Rendering> {
        let DeployService { name, files, values, .. } = service;
        let stored = self.stored.get(name.as_str()).filter(|_| !self.except.contains(name))?;
        let source = Source { service: name, namespace: &request.namespace, files, values };
        stored.unchanged(&source, helm.version()).cloned()
    }
}

/// Releases of the services' names that another chart made.
fn foreign_charts(request: &DeployRequest, stored: &BTreeMap<String, StoredRelease>) -> Vec<DeployProblem> {
    let foreign = request.services.iter().filter_map(|service| {
        let stored = stored.get(service.name.as_str())?;
        let chart = chart_name(service).ok()?;
        let message = format!(
            "the namespace has a helm release `{}` of another chart, `{}` (this one is `{}`)",
            service.name,
            escaped(&stored.chart),
            escaped(&chart)
        );
        (stored.chart != chart).then(|| DeployProblem::new(ProblemKind::Place, message).service(&service.name))
    });
    foreign.collect()
}
