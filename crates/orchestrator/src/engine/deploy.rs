//! The deployment of an environment, as its target plans, applies and proves it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use cluster::{LeaseKeeper, Patience};
use deployer::apply::{ApplyApplied, ConflictRule};
use deployer::helm::{HelmApplied, HelmPlan, ReleaseAction};
use deployer::render::{BranchChange, RenderApplied, RenderPlan};
use deployer::{
    AppliedDetail, ApplyOptions, ClusterTargetKind, DeployError, DeployEvent, DeployProblems, DeployRequest,
    DeployService, Foreign, NotAwaited, OccupiedPlace, Plan, PlanDetail, Proof, RenderFolder, RenderTarget, SameFiles,
    Superseding, Target,
};
use lock_model::{BranchName, Lock, ServiceName};
use process::Priority;
use promotion::attempts::Fence;
use tokio::sync::Notify;

use super::former_places::FormerPlace;
use super::image_styles::ImageStyle;
use super::target_errors::{not_finished, not_installed, not_read, not_stored};
use crate::cluster_target::{ClusterPlace, program_search};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::image_availability::configuration_digests;
use crate::inputs::Unreadable;
use crate::labels::count;
use crate::refs_in_the_way::{Branches, in_the_way_hint};
use crate::revision::Revision;
use crate::workspace::Workspace;

/// What an environment's deployment consists of.
#[derive(Debug)]
pub(crate) struct Deployable {
    pub request: DeployRequest,
    /// The folders in which the files of services lie, for messages.
    pub folders: BTreeMap<ServiceName, String>,
    pub destination: Destination,
    /// Declared skips whose day has passed.
    pub expired: Vec<(ServiceName, String)>,
    /// Services that belong to it and whose manifests cannot be read: they are not in the request.
    pub unread: Vec<Unreadable>,
    /// The known ways to give the charts of services their images.
    pub styles: BTreeMap<ServiceName, Vec<ImageStyle>>,
    /// Whether a newer release waits for the environment.
    pub superseding: Superseding,
    /// Where it was deployed before in another way.
    pub former: Vec<FormerPlace>,
}

/// Where an environment is deployed to.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// Manifests in a branch, and a folder on the machine that deploys.
    Render { branch: BranchName, folder: Option<RenderFolder> },
    /// Releases of helm in a namespace.
    Helm(ClusterPlace),
    /// Plain manifests in a namespace.
    Apply(ClusterPlace, ConflictRule),
}

impl Destination {
    /// The namespace of a cluster; `None` where nothing is written to one.
    pub(crate) fn cluster(&self) -> Option<&ClusterPlace> {
        match self {
            Self::Render { .. } => None,
            Self::Helm(place) | Self::Apply(place, _) => Some(place),
        }
    }

    /// The target that writes a namespace; `None` where none is written.
    pub(crate) fn kind(&self) -> Option<ClusterTargetKind> {
        match self {
            Self::Render { .. } => None,
            Self::Helm(_) => Some(ClusterTargetKind::Helm),
            Self::Apply(..) => Some(ClusterTargetKind::Apply),
        }
    }
}

/// How what is there differs from what was deployed.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) changes: Vec<deployer::Change>,
    pub(crate) services: Vec<deployer::ServiceChanges>,
    /// Why deploying again would be refused.
    pub(crate) refused: Vec<String>,
    pub(crate) noise: Vec<deployer::NoisyField>,
}

fn sentences(problems: &DeployProblems) -> Vec<String> {
    let sentence = |problem: &deployer::DeployProblem| match &problem.service {
        Some(service) => format!("{service}: {}", problem.text()),
        None => problem.text(),
    };
    problems.as_slice().iter().map(sentence).collect()
}

/// Whether a plan is refused for what is in the cluster, not for what the release says.
fn is_of_the_cluster(problem: &deployer::DeployProblem) -> bool {
    use deployer::ProblemKind as Kind;
    matches!(
        problem.kind,
        Kind::ImmutableField
            | Kind::FieldOwner
            | Kind::Cluster
            | Kind::Ending
            | Kind::Owner
            | Kind::HookOwner
            | Kind::NamespaceGone
    )
}

impl Deployable {
    /// Waits so long for the answers of clusters in place of the usual time.
    pub(crate) fn ask_with_patience(&mut self, patience: Patience) {
        let own = match &mut self.destination {
            Destination::Render { .. } => None,
            Destination::Helm(place) | Destination::Apply(place, _) => Some(place),
        };
        for place in own.into_iter().chain(self.former.iter_mut().map(|former| &mut former.place)) {
            place.patience = patience;
        }
    }

    /// Takes the lease that a cluster has besides the forge's, with a number above the largest in the ledger; `None` where the
    /// target needs none.
    pub(crate) async fn lease(&self, context: &Context, above: u64) -> Result<Option<Arc<LeaseKeeper>>> {
        match &self.destination {
            Destination::Render { .. } => Ok(None),
            Destination::Helm(place) | Destination::Apply(place, _) => {
                let is_given = self.request.occupied == OccupiedPlace::TakeOver;
                place.lease(context, is_given, above).await.map(Some)
            }
        }
    }

    /// Opens what is deployed to; a cluster is written under its lease.
    async fn target(&self, context: &Context, lease: Option<&Arc<LeaseKeeper>>) -> Result<Target> {
        match &self.destination {
            Destination::Render { branch, folder } => {
                let target = RenderTarget::new(context.git.clone(), context.remote.url(), branch.clone())
                    .with_helm(program_search(context));
                Ok(Target::Render(match folder {
                    Some(folder) => target.with_folder(folder.clone()),
                    None => target,
                }))
            }
            Destination::Helm(place) => {
                let target = place.helm(context, lease, self.superseding.clone(), &self.request).await;
                target.map(Target::Helm)
            }
            Destination::Apply(place, conflicts) => {
                let conflicts = conflicts.clone();
                let target = place.apply(context, conflicts, lease, self.superseding.clone(), &self.request).await;
                target.map(Target::Apply)
            }
        }
    }

    /// The exceptions of `not-deployed` whose last day has passed, as one sentence.
    pub(crate) fn expired_sentence(&self) -> Option<String> {
        if self.expired.is_empty() {
            return None;
        }
        let list: Vec<String> =
            self.expired.iter().map(|(service, until)| format!("{service} (until {until})")).collect();
        Some(format!("`not-deployed` of `{}` has expired for {}", self.request.environment, list.join(", ")))
    }

    /// Compares with what is deployed now, here and where it was deployed before; an error where the target cannot even be
    /// asked.
    pub(crate) async fn compare(&self, context: &Context) -> Result<Result<Plan, DeployError>> {
        let target = self.target(context, None).await?;
        let left = Box::pin(self.left_elsewhere(context)).await?;
        if let Some(refusal) = left.refusal {
            return Ok(Err(refusal));
        }
        let mut planned = target.plan(&self.request).await.map_err(|error| self.located(error));
        if let Ok(plan) = &mut planned {
            plan.notes.extend(left.findings.iter().map(ToString::to_string).chain(left.unknown));
        }
        Ok(planned)
    }

    /// Why the settings of the request have to be deployed again.
    pub(crate) async fn settings_difference(&self, context: &Context) -> Result<Option<String>> {
        match &self.destination {
            Destination::Render { .. } => Ok(None),
            Destination::Helm(place) | Destination::Apply(place, _) => {
                let namespace = place.open(context).await?.masking(self.request.secrets());
                match namespace.settings_difference(&self.request).await {
                    Ok(difference) => Ok(difference),
                    Err(error) => Err(Box::pin(self.not_planned(context, error)).await),
                }
            }
        }
    }

    /// Plans the deployment; the error lists every problem of every service.
    pub(crate) async fn plan(&self, context: &Context) -> Result<Plan> {
        match self.compare(context).await? {
            Ok(plan) => Ok(plan),
            Err(error) => Err(Box::pin(self.not_planned(context, error)).await),
        }
    }

    /// What differs from a release that is deployed: a field that another program took is a difference, and so is an object
    /// that the cluster would not let become what it was.
    pub(crate) async fn compare_for_drift(&self, context: &Context) -> Result<Compared> {
        let target = self.target(context, None).await?;
        let plan = match target.plan_for_drift(&self.request).await.map_err(|error| self.located(error)) {
            Ok(plan) => plan,
            Err(DeployError::Problems(problems)) if problems.as_slice().iter().all(is_of_the_cluster) => {
                return Ok(Compared { refused: sentences(&problems), ..Compared::default() });
            }
            Err(error) => return Err(Box::pin(self.not_planned(context, error)).await),
        };
        let Plan { changes, mut services, noise, .. } = plan;
        services.retain(deployer::ServiceChanges::changes);
        // Of its fields a deployment takes those alone that the rule for conflicts lets it take.
        let is_apply = matches!(self.destination, Destination::Apply(..));
        let refused = match if changes.is_empty() || !is_apply {
            None
        } else {
            target.plan(&self.request).await.err().map(|error| self.located(error))
        } {
            None => Vec::new(),
            Some(DeployError::Problems(problems)) => sentences(&problems),
            Some(error) => return Err(Box::pin(self.not_planned(context, error)).await),
        };
        Ok(Compared { changes, services, refused, noise })
    }

    /// Leaves half of the time that is left for what follows.
    pub(crate) fn leave_time(&mut self, context: &Context) {
        let now = Instant::now();
        match &mut self.destination {
            Destination::Render { .. } => {}
            Destination::Helm(place) | Destination::Apply(place, _) => {
                place.until = Some(now + context.deadline.saturating_duration_since(now) / 2);
            }
        }
    }

    /// Leaves services out that are deployed all the same: their images stay those of the lock.
    pub(crate) fn leave_out(&mut self, leaves: impl Fn(&ServiceName) -> bool) {
        let request = &mut self.request;
        let (left, services) = std::mem::take(&mut request.services).into_iter().partition(|one| leaves(&one.name));
        request.services = services;
        let left: Vec<DeployService> = left;
        for service in left {
            request.other_images.extend(service.image);
            request.paused.insert(service.name);
        }
    }

    /// What would be deployed to an empty target; none is asked.
    pub(crate) async fn render(&self, context: &Workspace, priority: Priority) -> Result<Plan, DeployError> {
        let mut search = program_search(context);
        search.priority = priority;
        let planned = match &self.destination {
            Destination::Render { .. } => deployer::render::plan_from_nothing(&search, &self.request).await,
            Destination::Helm(_) => deployer::helm::plan_from_nothing(&search, &self.request).await,
            Destination::Apply(..) => deployer::apply::plan_from_nothing(&search, &self.request).await,
        };
        planned.map_err(|error| self.located(error))
    }

    /// The same error with paths that people find: those of the repositories.
    fn located(&self, error: DeployError) -> DeployError {
        match error {
            DeployError::Problems(problems) => {
                DeployError::Problems(problems.in_folders(|service| self.folders.get(service).cloned()))
            }
            error => error,
        }
    }

    /// The same, with every problem of every service as one error.
    pub(crate) async fn plan_from_nothing(&self, context: &Workspace) -> Result<Plan> {
        match self.render(context, Priority::Usual).await {
            Ok(plan) => Ok(plan),
            Err(error) => Err(Box::pin(self.not_planned(context, error)).await),
        }
    }

    /// The services with a Job that is labelled as a migration, `Kind/name`; no cluster is asked, and a branch runs none.
    pub(crate) async fn migrations(&self, context: &Workspace) -> Result<BTreeMap<ServiceName, String>> {
        let Some(kind) = self.destination.kind() else { return Ok(BTreeMap::new()) };
        match deployer::migrations(&program_search(context), &self.request, kind).await {
            Ok(found) => Ok(found),
            Err(error) => Err(Box::pin(self.not_planned(context, error)).await),
        }
    }

    /// Says why there is no plan; of a chart that does not get its image, which values fit it.
    pub(crate) async fn not_planned(&self, context: &Workspace, error: DeployError) -> Error {
        let hints = match &error {
            DeployError::Problems(problems) => self.hints_of(context, problems).await,
            _ => BTreeSet::new(),
        };
        self.without_plan(error, hints)
    }

    pub(crate) fn without_plan(&self, error: DeployError, hints: BTreeSet<String>) -> Error {
        match &error {
            DeployError::Problems(problems) => self.refused(problems, hints),
            DeployError::ConfigurationGone { .. } => {
                Error::from_source(ErrorKind::Image, "the release cannot be deployed as it was", error)
                    .hint(NOTHING_DEPLOYED)
            }
            DeployError::Unusable { .. } => {
                Error::from_source(ErrorKind::Refused, "the target cannot be written as it is", error)
                    .hint(NOTHING_DEPLOYED)
            }
            _ => not_read(error, &self.request.environment),
        }
    }

    fn refused(&self, problems: &DeployProblems, hints: BTreeSet<String>) -> Error {
        let needs_other_target = problems.as_slice().iter().any(|problem| {
            matches!(problem.kind, deployer::ProblemKind::NeedsHelm | deployer::ProblemKind::NeedsKustomize)
        });
        let code = if needs_other_target { ErrorKind::Usage } else { ErrorKind::Refused };
        let environment = &self.request.environment;
        let all = problems.as_slice();
        let problems = all.iter().map(|problem| {
            let subject = problem.service.as_ref().map_or_else(|| "request".to_owned(), ToString::to_string);
            Problem::new(subject, problem.text())
        });
        let error = Error::new(code, format!("the manifests of `{environment}` cannot be deployed")).problems(problems);
        hints.into_iter().fold(error, Error::hint).hint(NOTHING_DEPLOYED)
    }

    /// Applies a plan; says in one line what changed, and what was not waited for. `waiting` is told once nothing is left but
    /// to wait.
    pub(crate) async fn apply(
        &self,
        context: &Context,
        plan: &Plan,
        options: &ApplyOptions,
        lease: Option<&Arc<LeaseKeeper>>,
        waiting: &Notify,
    ) -> Result<(String, Vec<NotAwaited>)> {
        let events = |event: DeployEvent| {
            context.note(event.to_string());
            match event {
                DeployEvent::Waiting { number, of } if number == of => waiting.notify_one(),
                DeployEvent::Waiting { .. }
                | DeployEvent::WaitingForKept
                | DeployEvent::NotAwaited(_)
                | DeployEvent::Wave { .. }
                | DeployEvent::Started { .. }
                | DeployEvent::Finished { .. } => {}
            }
        };
        let target = self.target(context, lease).await?;
        match &self.destination {
            Destination::Render { branch, .. } => {
                let applied = match target.apply(plan, options, &|_| ()).await {
                    Ok(applied) => applied,
                    Err(error) => {
                        return Err(self
                            .in_the_way(context, branch)
                            .await
                            .unwrap_or_else(|| not_stored(error, &self.request.environment)));
                    }
                };
                match (&plan.detail, applied.detail) {
                    (PlanDetail::Render(planned), AppliedDetail::Render(applied)) => {
                        Ok((rendered(plan, planned, &applied, branch), Vec::new()))
                    }
                    (PlanDetail::Render(_) | PlanDetail::Helm(_) | PlanDetail::Apply(_), _) => Err(of_another_target()),
                }
            }
            Destination::Helm(_) | Destination::Apply(..) => {
                let applied = target.apply(plan, options, &events).await;
                let interrupted = context.surroundings.interrupt.is_requested();
                let applied = applied.map_err(|error| {
                    if interrupted {
                        not_finished(error)
                    } else {
                        not_installed(error, lease.map(|lease| lease.state()), &self.request)
                    }
                })?;
                let said = match (&plan.detail, applied.detail) {
                    (PlanDetail::Helm(planned), AppliedDetail::Helm(applied)) => installed(plan, planned, &applied),
                    (PlanDetail::Apply(_), AppliedDetail::Apply(applied)) => written(&applied),
                    (PlanDetail::Render(_) | PlanDetail::Helm(_) | PlanDetail::Apply(_), _) => {
                        return Err(of_another_target());
                    }
                };
                Ok((said, applied.not_awaited))
            }
        }
    }

    /// Another branch that keeps the forge from making the rendered one, which has come since the run looked. What the
    /// push said of it reads like a branch that moved, and would be tried again for ever.
    async fn in_the_way(&self, context: &Context, branch: &BranchName) -> Option<Error> {
        let problems = Branches::read(context).await.ok()?.in_the_way([branch.as_str()]);
        let message = format!("the rendered tree could not be stored in branch `{branch}`");
        (!problems.is_empty()).then(|| {
            Error::new(ErrorKind::Repository, message)
                .problems(problems)
                .hint(in_the_way_hint(&self.request.environment))
                .hint(NOTHING_DEPLOYED)
        })
    }

    /// What others wrote into the objects of the deployment.
    pub(crate) async fn foreign_fields(&self, context: &Context) -> Result<Foreign> {
        let found = self.target(context, None).await?.foreign_fields(&self.request).await;
        found.map_err(|error| not_read(error, &self.request.environment))
    }

    /// Reads back what is stored, and what runs, and compares it with the lock; what runs where it was deployed before is a
    /// finding.
    pub(crate) async fn prove(&self, context: &Context, revision: &Revision, lock: &Lock) -> Result<Proof> {
        let target = self.target(context, None).await?;
        let not_read = |error| not_read(error, &self.request.environment);
        let mut proof = target.prove(&self.request).await.map_err(not_read)?;
        if !proof.without_configuration.is_empty() {
            match configuration_digests(context, revision, lock, &proof.without_configuration).await {
                Ok(configuration_digests) => {
                    let mut request = self.request.clone();
                    request.configuration_digests = configuration_digests;
                    proof = target.prove(&request).await.map_err(not_read)?;
                }
                Err(error) => {
                    let error = error.to_string().replace("\n  ", "; ");
                    let message = format!(
                        "whether these are digests of the configurations of locked images is not known: {error}"
                    );
                    proof = proof.without_answer(message);
                }
            }
        }
        let left = Box::pin(self.left_elsewhere(context)).await?;
        Ok(proof.with_findings(left.findings))
    }
}

/// How a plan is applied by the deployment that record `number` of the ledger began.
pub(super) fn apply_options(context: &Context, number: u64, fence: Fence) -> ApplyOptions {
    let mut options = ApplyOptions::new(&context.run.actor, context.now());
    options.number = Some(number);
    options.same_files = match fence {
        Fence::NotNeeded => SameFiles::Keep,
        Fence::Needed { unless } => SameFiles::Write { unless },
    };
    options
}

fn rendered(plan: &Plan, planned: &RenderPlan, applied: &RenderApplied, branch: &BranchName) -> String {
    let commit = applied.commit.short(12);
    match applied.branch {
        BranchChange::Pushed if plan.changes.is_empty() => format!("no change, in a new commit: {branch} at {commit}"),
        BranchChange::Pushed => {
            format!("{} of {} files, {branch} at {commit}", plan.changes.len(), planned.tree.files.len())
        }
        BranchChange::Unchanged => format!("no change, {branch} at {commit}"),
    }
}

fn installed(plan: &Plan, planned: &HelmPlan, applied: &HelmApplied) -> String {
    let changed = planned.releases.iter().filter(|release| release.action != ReleaseAction::Keep).count();
    let namespace = &applied.namespace;
    if changed + planned.removed.len() == 0 {
        return format!("no change in namespace {namespace}");
    }
    let objects = count(plan.changes.len(), "object");
    let taken_over = match planned.taken_over.len() {
        0 => String::new(),
        several => format!(", {several} taken over"),
    };
    let removed = match planned.removed.len() {
        0 => String::new(),
        several => format!(", {several} uninstalled"),
    };
    format!(
        "{changed} of {} in namespace {namespace}, {objects} changed{taken_over}{removed}",
        count(applied.releases.len(), "helm release")
    )
}

fn written(applied: &ApplyApplied) -> String {
    let ApplyApplied { namespace, objects, written, removed, .. } = applied;
    if written + removed == 0 {
        return format!("no change in namespace {namespace}");
    }
    let removed = if *removed > 0 { format!(", {removed} removed") } else { String::new() };
    format!("{written} of {} written in namespace {namespace}{removed}", count(*objects, "object"))
}

fn of_another_target() -> Error {
    Error::new(ErrorKind::Bug, "the plan is of another target than the answer")
}

/// A plan is made before anything is written to a target; the run may have committed a lock and written records.
const NOTHING_DEPLOYED: &str = "nothing was deployed";
