//! Planning, deploying and verifying an environment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deployer::Foreign;
use deployer::settings::Configuration;
use ledger::{CycleOrigin, Ledger, Step, StepResult};
use lock_model::{CommitId, EnvironmentName, Lock};
use promotion::attempts::Purpose;

use crate::context::Context;
use crate::engine::{Compared, Engine, Planning, Repeat, Suites, Wanted, preflight};
use crate::environment_policy::{branch_of, commit_of, find_environment, known_environment, locking_command};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::hints::{of_edited_configuration, of_uncommitted_configuration};
use crate::lease::{LeaseDemand, lease, lease_or_break};
use crate::ledger_rights::may_record;
use crate::ledger_store::LedgerStore;
use crate::lock::own_lock_changes;
use crate::lock_builder::{self, Scope};
use crate::merge_plan::{Merge, plan_merge};
use crate::plan_marks::PlanMarks;
use crate::report::v1::{DriftReport, NotJudged, Operation, PlanReport, RunReport, VerifyReport};
use crate::revision::Revision;
use crate::rollback::{OnFailure, go_back_after};
use crate::saved_plan::SavedPlan;
use crate::site::Site;
use crate::submodules::Target;
use crate::test_merge::{TestMerge, test_merge};
use crate::workspace::Workspace;

/// What to deploy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeployRequest {
    /// The environment.
    pub environment: EnvironmentName,
    /// A commit of the environment's branch; `None`: the newest.
    pub revision: Option<String>,
    /// How long to wait for another run of the same environment.
    pub wait: Duration,
    /// Whether to apply also where the ledger says that it is deployed.
    pub again: bool,
    /// What follows a deployment that fails.
    pub on_failure: OnFailure,
    /// The file of a plan: what it says is deployed, or nothing is.
    pub plan: Option<PathBuf>,
    /// Why the lease of an environment in a cluster is taken from a run that does not give it back.
    pub break_lease: Option<String>,
    /// Managers whose fields are taken over besides those that the configuration names, target `apply`.
    pub take: BTreeSet<String>,
    /// Why; the record of the deployment keeps it.
    pub take_reason: String,
}

impl DeployRequest {
    /// The newest commit, without waiting, and only what is not deployed yet.
    pub fn new(environment: EnvironmentName) -> Self {
        let (revision, wait, again, on_failure, plan) = (None, Duration::ZERO, false, OnFailure::Stop, None);
        let (break_lease, take, take_reason) = (None, BTreeSet::new(), String::new());
        Self { environment, revision, wait, again, on_failure, plan, break_lease, take, take_reason }
    }
}

/// Says what a deployment of a revision, or of the newest commit, would change.
///
/// # Errors
///
/// [`ErrorKind::Repository`] where the lock does not belong to the commit, [`ErrorKind::Refused`] where a place of the
/// environment belongs to another one, and with every problem of every service where the manifests cannot be deployed.
pub async fn plan<'a>(
    site: impl Into<Site<'a>>,
    environment: &EnvironmentName,
    revision: Option<&str>,
) -> Result<PlanReport> {
    let context = match site.into() {
        Site::WithForge(context) => context,
        Site::Alone(workspace) => return Box::pin(plan_alone(workspace, environment, revision)).await,
    };
    Box::pin(planned(context, environment, revision)).await.map(|(report, _)| report)
}

/// The same, and writes the plan into a file, which [`deploy`] takes.
///
/// # Errors
///
/// As [`plan`]; [`ErrorKind::Usage`] without a forge, since what is deployed is not known then.
pub async fn save_plan<'a>(
    site: impl Into<Site<'a>>,
    environment: &EnvironmentName,
    revision: Option<&str>,
    file: &Path,
) -> Result<PlanReport> {
    let context = site.into().forge()?;
    context.check_output(file)?;
    let (mut report, saved) = Box::pin(planned(context, environment, revision)).await?;
    context.write_output(file, &saved?.to_json())?;
    report.saved = Some(file.display().to_string());
    Ok(report)
}

/// What would change, and the file of that plan, or why it cannot be saved.
async fn planned(
    context: &Context,
    environment: &EnvironmentName,
    revision: Option<&str>,
) -> Result<(PlanReport, Result<SavedPlan>)> {
    let mut engine = open(context, environment, revision).await?;
    belongs(&engine.revision, &engine.lock.lock, environment)?;
    engine.planning().refuse_foreign_places(context).await?;
    let deployable = Box::pin(engine.deployable_with_settings()).await?;
    let plan = deployable.plan(context).await?;
    if !plan.unpinned_images.is_empty() {
        engine.refuse_unpinned().await?;
    }
    let planned = engine.planning();
    let saved = SavedPlan::of(&planned, &plan);
    let marks = Box::pin(PlanMarks::of(context, &planned, &deployable.destination, &plan)).await;
    let mut report = PlanReport::new(&planned, Some(plan), deployable.request.not_deployed).with_marks(marks);
    report.warnings.extend(of_edited_configuration(&context.git));
    Ok((report, saved))
}

/// The same in a clone without a forge: nothing counts as deployed. The lock is the one in the tree where that belongs to
/// it, else the one that `lock generate` makes.
async fn plan_alone(
    workspace: &Workspace,
    environment: &EnvironmentName,
    revision: Option<&str>,
) -> Result<PlanReport> {
    let commit = workspace.resolve(revision.unwrap_or("HEAD"))?;
    let uncommitted = of_uncommitted_configuration(&workspace.git, &commit);
    match planned_alone(workspace, environment, &commit).await {
        Ok(mut report) => {
            report.warnings.extend(uncommitted);
            Ok(report)
        }
        Err(error) => Err(uncommitted.into_iter().fold(error, Error::hint)),
    }
}

async fn planned_alone(workspace: &Workspace, environment: &EnvironmentName, commit: &CommitId) -> Result<PlanReport> {
    let revision = Revision::load(workspace, commit)?;
    let environment = revision.environment(environment)?;
    let in_tree = revision.lock(workspace)?.filter(|file| revision.mismatches(&file.lock).is_empty());
    let (lock, mut warnings) = if let Some(file) = in_tree {
        (file.lock, Vec::new())
    } else {
        let made = lock_builder::generate(workspace, &revision, revision.source(), Scope::default()).await?;
        (made.lock, made.warnings)
    };
    let release = revision.release(&lock);
    let nothing = Ledger::empty();
    let (lock, release) = (&lock, &release);
    let planning = Planning { context: workspace, ledger: &nothing, revision: &revision, environment, lock, release };
    let deployable = planning.deployable()?;
    let plan = deployable.plan_from_nothing(workspace).await?;
    let mut report = PlanReport::new(&planning, Some(plan), deployable.request.not_deployed);
    warnings.append(&mut report.warnings);
    report.warnings = warnings;
    report.not_judged = NotJudged::without_forge(&open_questions(environment));
    Ok(report)
}

/// What a plan without a forge does not answer.
fn open_questions(environment: &config::Environment) -> Vec<&'static str> {
    let place = match &environment.target {
        Some(config::Target::Helm(_) | config::Target::Apply(_)) => "whose the namespace is",
        Some(config::Target::Render(_)) | None => "whose the target's branch is",
    };
    let settings = environment.has_settings().then_some("the settings of services, which the plan leaves out");
    ["what is deployed", "the rules of its branch", place].into_iter().chain(settings).collect()
}

/// Says what merging a pull request would deploy to an environment of the merge result, also to one that comes later.
///
/// A pull request to the branch where locks are committed gets its lock made; another one carries it.
///
/// # Errors
///
/// [`ErrorKind::Refused`] with everything for which the environment would refuse it, and as
/// [`generate_lock`](crate::lock::generate_lock) where the lock cannot be made.
pub async fn plan_pull_request<'a>(
    site: impl Into<Site<'a>>,
    environment: &EnvironmentName,
    number: u64,
) -> Result<PlanReport> {
    let context = site.into().forge()?;
    context.sync()?;
    let into = context.forge.pull_request(number).await?.base_branch;
    let merged = test_merge(context, number).await?;
    let is_staging = into == merged.revision.config.branches.staging;
    if is_staging {
        own_lock_changes(context, &merged)?;
    }
    let TestMerge { revision, source } = merged;
    let base = source.base.clone();
    let (lock, must_be_pushed) = if is_staging {
        let generated = lock_builder::generate(context, &revision, source, Scope::default()).await?;
        (generated.lock, generated.must_be_pushed)
    } else {
        let file = revision.lock(context)?.ok_or_else(|| {
            Error::new(ErrorKind::Repository, format!("the merge of pull request {number} has no lock"))
                .hint(format!("a pull request to `{into}` carries the lock that was proven before"))
        })?;
        belongs(&revision, &file.lock, environment)?;
        (file.lock, Target::load(context, &base)?.requires_pushed(&revision.config.submodules))
    };
    let release = revision.release(&lock);
    let store = LedgerStore::read(context).await?;
    let ledger = store.ledger();
    let merge =
        Merge { context, ledger, revision: &revision, lock: &lock, release: &release, into: &into, must_be_pushed };
    let environment = revision.environment(environment)?;
    let planned = plan_merge(&merge, &[environment], &[]).await?;
    let planned = planned.into_iter().next().ok_or_else(|| Error::new(ErrorKind::Bug, "nothing was planned"))?;
    if !planned.report.problems.is_empty() {
        let message = format!("`{}` would refuse what merging pull request {number} gives", environment.name);
        let problems = planned.report.problems.into_iter().map(Problem::from);
        let error = Error::new(ErrorKind::Refused, message).problems(problems);
        return Err(planned.report.hints.into_iter().fold(error, Error::hint));
    }
    let mut report =
        PlanReport::new(&merge.planning(environment), planned.plan, planned.not_deployed).with_marks(planned.marks);
    report.pull_request = Some(number);
    report.not_checked = planned.report.not_checked;
    Ok(report)
}

/// Gates, health, deployment and its proof, without suites.
///
/// # Errors
///
/// Where something cannot be found out or done; a gate that refuses is a report.
pub async fn deploy(context: &Context, request: &DeployRequest) -> Result<RunReport> {
    let saved = request.plan.as_deref().map(SavedPlan::read).transpose()?.map(Box::new);
    if let Some(saved) = &saved {
        saved.is_for(&request.environment)?;
    }
    context.needs_history()?;
    context.sync()?;
    let environment = find_environment(context, &request.environment).await?;
    may_record(context, Step::Gates, StepResult::Ok).await?;
    let demand = LeaseDemand { wait: request.wait, break_for: request.break_lease.as_deref() };
    let lease = Box::pin(lease_or_break(context, &environment, demand)).await?;
    let mut engine = Box::new(Box::pin(open(context, &request.environment, request.revision.as_deref())).await?);
    engine.leased_at(lease.broken_at);
    engine.goes_back = request.on_failure == OnFailure::Rollback;
    engine.take_fields(&request.take, &request.take_reason)?;
    Box::pin(preflight(context, engine.store.ledger(), &engine.revision, &engine.environment, Suites::None)).await?;
    let wanted = Wanted::Only(BTreeSet::from([Step::Gates, Step::Health, Step::Deploy, Step::Verify]));
    if let Some(saved) = &saved {
        saved.is_of(&engine.release, &engine.revision.commit)?;
    }
    let repeat = match (request.again, &saved) {
        (true, _) => Repeat::Deploy,
        (false, Some(_)) => Repeat::AsSaved,
        (false, None) => Repeat::No,
    };
    engine.saved = saved;
    let ended = Box::pin(engine.run(&wanted, repeat)).await;
    let after = engine.after_failure(&ended).await;
    let report = |stopped| engine.into_report(Operation::Deploy, request.revision.as_deref(), stopped);
    let ended = ended.map(|stopped| RunReport { again: request.again, ..report(stopped) });
    drop(lease);
    Box::pin(go_back_after(context, &request.environment, request.on_failure, after, ended)).await
}

/// Compares what is stored with the lock of the newest deployment. A difference that a bot finds is recorded: it withdraws
/// the release's proof.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where neither the ledger nor a configuration has the environment, [`ErrorKind::Refused`] where
/// nothing was ever deployed.
pub async fn verify(context: &Context, environment: &EnvironmentName) -> Result<VerifyReport> {
    let mut engine = Box::pin(deployed(context, environment)).await?;
    let proof = compared(context, &mut engine).await?;
    let (release, lock) = (engine.release.clone(), engine.lock.lock.id().clone());
    Ok(VerifyReport { environment: environment.clone(), release, lock, proof })
}

/// The same, and what deploying that release again would change: what somebody edited, deleted, scaled or added since. A
/// difference from the lock that a bot finds is recorded as by [`verify`]; an edit that leaves the images alone is not.
///
/// # Errors
///
/// As [`verify`], and where the target cannot be compared with the release.
pub async fn drift(context: &Context, environment: &EnvironmentName) -> Result<DriftReport> {
    let mut engine = Box::pin(deployed(context, environment)).await?;
    let proof = compared(context, &mut engine).await?;
    let mut deployable = Box::pin(engine.deployable_with_settings()).await?;
    // After a rollback the configuration is meant to be the older one.
    let cycle = engine.store.ledger().cycle(environment, &engine.release);
    let moved = match cycle.origin {
        CycleOrigin::Run if engine.environment.has_settings() => {
            Box::pin(deployable.settings_difference(context)).await?
        }
        CycleOrigin::Run | CycleOrigin::Rollback { .. } => None,
    };
    deployable.request.configuration = Configuration::AsDeployed;
    let Compared { changes, services, refused, mut noise } = Box::pin(deployable.compare_for_drift(context)).await?;
    let Foreign { fields: foreign_fields, noise: foreign, .. } = deployable.foreign_fields(context).await?;
    noise.extend(foreign);
    noise.sort();
    noise.dedup();
    let (release, lock) = (engine.release.clone(), engine.lock.lock.id().clone());
    Ok(DriftReport {
        environment: environment.clone(),
        release,
        lock,
        proof,
        changes,
        services,
        foreign_fields,
        noise,
        refused,
        moved,
    })
}

/// The newest deployment of an environment.
async fn deployed<'a>(context: &'a Context, environment: &EnvironmentName) -> Result<Engine<'a>> {
    context.sync()?;
    let store = LedgerStore::read(context).await?;
    known_environment(context, store.ledger(), environment).await?;
    let Some(record) = store.ledger().latest_touched(environment) else {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("nothing was ever deployed to `{environment}`: there is nothing to compare"),
        ));
    };
    let commit = record.entry.commit.clone().ok_or_else(|| {
        Error::new(ErrorKind::Refused, format!("record {} does not say which commit was deployed", record.seq))
    })?;
    let revision = Revision::load(context, &commit)?;
    let mut engine = Engine::new(context, store, revision, environment, Purpose::Run)?;
    if matches!(engine.store.ledger().cycle(environment, &engine.release).origin, CycleOrigin::Rollback { .. }) {
        engine.environment.allow_as(&find_environment(context, environment).await?);
    }
    Ok(engine)
}

/// Compares with the lock, and records a difference that a bot finds.
async fn compared(context: &Context, engine: &mut Engine<'_>) -> Result<deployer::Proof> {
    let proof = engine.deployable()?.prove(context, &engine.revision, &engine.lock.lock).await?;
    if !proof.is_proven() && context.acts_as_bot().await? {
        record_difference(context, engine).await?;
    }
    Ok(proof)
}

/// Compares again under the environment's lease, and records a difference. Where another run has the environment, the
/// difference may be its own work, and it compares itself.
async fn record_difference(context: &Context, engine: &mut Engine<'_>) -> Result<()> {
    let name = engine.environment.name.clone();
    let _lease = match lease(context, &name, Duration::ZERO).await {
        Ok(lease) => lease,
        Err(error) if error.kind() == ErrorKind::Temporary => return Ok(()),
        Err(error) => return Err(error),
    };
    engine.store = LedgerStore::read(context).await?;
    let newest = engine.store.ledger().latest_touched(&name).and_then(|record| record.entry.release.as_ref());
    if newest != Some(&engine.release) {
        return Ok(());
    }
    match Box::pin(engine.run(&Wanted::Only(BTreeSet::from([Step::Verify])), Repeat::No)).await? {
        Some(kind) => engine.not_proven(kind).await,
        None => Ok(()),
    }
}

async fn open<'a>(context: &'a Context, name: &EnvironmentName, revision: Option<&str>) -> Result<Engine<'a>> {
    context.sync()?;
    let environment = find_environment(context, name).await?;
    let commit = commit_of(context, &branch_of(&environment)?, revision).await?;
    let revision = Revision::load(context, &commit)?;
    Engine::new(context, LedgerStore::read(context).await?, revision, name, Purpose::Run)
}

/// Refuses the lock of another tree.
fn belongs(revision: &Revision, lock: &Lock, environment: &EnvironmentName) -> Result<()> {
    let mismatches = revision.mismatches(lock);
    if mismatches.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Repository, format!("the lock does not belong to commit {}", revision.commit.short(12)))
        .problems(mismatches.iter().map(|mismatch| Problem::new(mismatch.path(), mismatch.to_string())))
        .hint(format!(
            "{} commits the lock of a merge and deploys nothing, {} deploys it too",
            locking_command("lock commit", &revision.config, environment),
            locking_command("run", &revision.config, environment),
        )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_without_a_forge_says_what_it_leaves_out() {
        let text = r#"version: 1
project: { prefix: shop- }
images: { repository: "ghcr.io/shop/{name}", tags: ["main-{sha7}"] }
services: [{ match: "**" }]
environments:
  cluster:
    namespace: shop
    kubeconfig: { file: ~/.kube/shop }
    target: { kind: helm, chart: "{path}/chart" }
    deploy: ["**"]
    secret: [{ env: "{NAME}_SECRETS", format: dotenv }]
  branch:
    namespace: shop
    target: { kind: render, source: "{path}/deploy", branch: deploy/staging }
    deploy: ["**"]
"#;
        let config = config::Config::parse("orchestrator.yaml", text.as_bytes()).unwrap();
        let of = |name: &str| open_questions(&config.environments[name]);
        let cluster = ["whose the namespace is", "the settings of services, which the plan leaves out"];
        assert_eq!(of("cluster"), [["what is deployed", "the rules of its branch"], cluster].concat());
        assert_eq!(of("branch"), ["what is deployed", "the rules of its branch", "whose the target's branch is"]);
    }

    #[test]
    fn the_commands_that_commit_a_lock_are_those_of_the_environment_that_was_asked_about() {
        let environment = |name: &str, branch: &str| {
            format!(
                "  {name}:\n    branch: {branch}\n    namespace: {name}\n    deploy: [\"**\"]\n    target: {{ kind: render, \
                 source: \"{{path}}/deploy\", branch: deploy/{name} }}\n"
            )
        };
        let text = [
            "version: 1\nimages: { repository: \"ghcr.io/shop/{name}\", tags: [\"main-{sha7}\"] }\nservices: [{ match: \"**\" }]\n",
            "environments:\n",
            &environment("production", "production"),
            &environment("qa", "staging"),
            &environment("staging", "staging"),
        ];
        let config = config::Config::parse("orchestrator.yaml", text.concat().as_bytes()).unwrap();
        let command = |name: &str| locking_command("lock commit", &config, &EnvironmentName::try_from(name).unwrap());
        assert_eq!(command("staging"), "`orchestrator lock commit staging`");
        assert_eq!(command("qa"), "`orchestrator lock commit qa`");
        assert_eq!(command("production"), "`orchestrator lock commit qa`", "its branch gets locks from there");
    }
}
