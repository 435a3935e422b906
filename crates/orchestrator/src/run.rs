//! `run`, `rollback`, `promote` and `release`.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{Deployment, Environment};
use deployer::PlanDetail;
use ledger::{Accepts, Ledger, RecordDraft, Step, StepResult as RecordResult};
use lock_model::{EnvironmentName, Lock, LockId, ReleaseId};
use promotion::attempts::Purpose;
use promotion::rollback::{self, RollbackTarget, TargetState};

use crate::context::Context;
use crate::engine::{Destination, Engine, LockCommit, OnDifference, Repeat, Suites, Wanted, lock_commit, preflight};
use crate::environment_policy::{branch_of, commit_of, commits_locks, find_environment};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::Event;
use crate::hold::accepted;
use crate::image_availability;
use crate::lease::lease;
use crate::ledger_rights::{may_continue_rollback, may_record, may_set_branch};
use crate::ledger_store::LedgerStore;
use crate::report::v1::{Operation, RollbackPlanReport, RunReport, StepLine};
use crate::revision::Revision;
use crate::rollback_ground::RollbackGround;
use crate::unpinned_images::warning as unpinned_warning;

/// What to run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunRequest {
    /// The environment.
    pub environment: EnvironmentName,
    /// A commit of the environment's branch; `None`: the newest.
    pub revision: Option<String>,
    /// How long to wait for another run of the same environment.
    pub wait: Duration,
    /// Lift the environment's hold first, for this reason.
    pub lift_hold: Option<String>,
    /// A release that a rollback took out and that may be deployed again, by its tag or at least eight digits of its id;
    /// looked at only where the hold is lifted.
    pub accept: Option<String>,
}

impl RunRequest {
    /// The newest commit, without waiting; a hold stays.
    pub fn new(environment: EnvironmentName) -> Self {
        Self { environment, revision: None, wait: Duration::ZERO, lift_hold: None, accept: None }
    }
}

/// What to go back to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RollbackRequest {
    /// The environment.
    pub environment: EnvironmentName,
    /// The tag of a release; `None`: the release before the present one.
    pub to: Option<String>,
    /// Why; the hold shows it.
    pub reason: String,
    /// How long to wait for another run of the same environment.
    pub wait: Duration,
    /// Whether the lock of the release that it leaves is rejected as well, for the same reason.
    pub reject: bool,
}

impl RollbackRequest {
    /// The release before the present one, without waiting, and without a rejection.
    pub fn new(environment: EnvironmentName, reason: impl Into<String>) -> Self {
        Self { environment, to: None, reason: reason.into(), wait: Duration::ZERO, reject: false }
    }
}

/// Runs every step that the environment's newest commit still needs.
///
/// # Errors
///
/// Where something cannot be found out or done; a gate that refuses and a suite that fails are reports.
pub async fn run(context: &Context, request: &RunRequest) -> Result<RunReport> {
    let name = request.environment.clone();
    context.needs_history()?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    may_record(context, Step::Gates, RecordResult::Ok).await?;
    let branch = branch_of(&environment)?;
    let _lease = lease(context, &name, request.wait).await?;
    // The run that held the lease before may have moved the branch.
    context.sync()?;
    let commit = commit_of(context, &branch, request.revision.as_deref()).await?;
    let mut store = LedgerStore::read(context).await?;
    let tip = Box::new(Revision::load(context, &commit)?);
    Box::pin(preflight(context, store.ledger(), &tip, tip.environment(&name)?, Suites::Open)).await?;
    let mut lines = Vec::new();
    if let Some(reason) = &request.lift_hold {
        lines.extend(lift_hold(context, &mut store, &name, reason, request.accept.as_deref()).await?);
    }
    let ready = Box::pin(ready_commit(context, &mut store, &environment, &branch, &tip, OnDifference::Refuse)).await?;
    let (commit, lock_note) = match ready {
        LockCommit::Ready { commit, note } => (commit, note),
        LockCommit::Superseded { note } => return Ok(RunReport::superseded(name, note)),
    };
    let revision = if commit == tip.commit { *tip } else { Revision::load(context, &commit)? };
    let mut engine = Engine::new(context, store, revision, &name, Purpose::Run)?;
    lines.extend(lock_note.map(|note| StepLine::ok("lock-commit", note)));
    engine.lines = lines;
    if commits_locks(&environment) {
        engine.outdate_other_locks().await?;
    }
    let stopped = Box::pin(engine.run(&Wanted::All, Repeat::No)).await?;
    Ok(engine.into_report(Operation::Run, request.revision.as_deref(), stopped))
}

/// Deploys an older release again, and holds the environment.
///
/// # Errors
///
/// [`ErrorKind::Refused`] where there is nothing to go back to, [`ErrorKind::Image`] where its images are gone; nothing
/// was changed then.
pub async fn rollback(context: &Context, request: &RollbackRequest) -> Result<RunReport> {
    let name = request.environment.clone();
    context.sync()?;
    find_environment(context, &name).await?;
    may_record(context, Step::Rollback, RecordResult::Started).await?;
    let _lease = lease(context, &name, request.wait).await?;
    context.sync()?;
    let (mut engine, target, ground) = rollback_target(context, &name, request.to.as_deref()).await?;
    match target.state {
        TargetState::New | TargetState::Underway { .. } => {
            images_are_there(context, &engine, &target, &ground).await?;
        }
        TargetState::Done { .. } => {}
    }
    engine.planning().refuse_foreign_places(context).await?;
    may_roll_back(context, &engine, &target).await?;
    let leaves = leaves(engine.store.ledger(), &name, &target);
    let rejected = match &leaves {
        Some(left) if request.reject => Some(rejection(context, &target, left, &request.reason)?),
        Some(_) | None => None,
    };
    match target.state {
        TargetState::New => engine.begin_rollback(&request.reason, target.tag.clone()).await?,
        TargetState::Underway { .. } | TargetState::Done { .. } => {}
    }
    if let Some(draft) = rejected {
        engine.store.append(context, draft, &[], |_| Ok(())).await?;
        engine.lines.push(said(context, StepLine::ok("reject", request.reason.as_str())));
    }
    let stopped = engine.run(&Wanted::All, Repeat::No).await?;
    if stopped.is_none() && !engine.has_proof() {
        engine.warnings.push(unproven(&name, &target));
    }
    let rejectable = leaves.filter(|left| !request.reject && left.lock != Some(target.lock.clone()));
    let mut report = engine.into_report(Operation::Rollback, None, stopped);
    report.left = rejectable.and_then(|left| left.lock);
    Ok(report)
}

/// Says what a rollback would do. Nothing is recorded, written or held, and nobody is kept from running.
///
/// # Errors
///
/// As [`rollback()`].
pub async fn plan_rollback(context: &Context, request: &RollbackRequest) -> Result<RollbackPlanReport> {
    let name = request.environment.clone();
    context.sync()?;
    let (engine, target, ground) = rollback_target(context, &name, request.to.as_deref()).await?;
    let images = images_are_there(context, &engine, &target, &ground).await?;
    engine.planning().refuse_foreign_places(context).await?;
    let leaves = leaves(engine.store.ledger(), &name, &target);
    if let Some(left) = leaves.as_ref().filter(|_| request.reject) {
        rejection(context, &target, left, &request.reason)?;
    }
    let deployable = engine.deployable()?;
    let plan = deployable.plan(context).await?;
    let is_done = match target.state {
        TargetState::Done { .. } => true,
        TargetState::New | TargetState::Underway { .. } => false,
    };
    Ok(RollbackPlanReport {
        environment: name,
        release: target.release,
        tag: target.tag,
        lock: target.lock,
        commit: target.commit,
        since: target.since,
        is_done,
        images,
        leaves: leaves.as_ref().map(|left| left.release.clone()),
        leaves_lock: leaves.and_then(|left| left.lock),
        changes: plan.changes,
        warnings: plan.unpinned_images.iter().map(unpinned_warning).collect(),
        unpinned: plan.unpinned_images,
    })
}

/// What to go back to, with its engine.
async fn rollback_target<'a>(
    context: &'a Context,
    name: &EnvironmentName,
    to: Option<&str>,
) -> Result<(Engine<'a>, RollbackTarget, RollbackGround)> {
    let store = LedgerStore::read(context).await?;
    let ground = RollbackGround::of(context, name, store.ledger()).await?;
    let stands = |target: &RollbackTarget| ground.holds(target);
    let target = rollback::target(store.ledger(), name, to, &stands).map_err(|error| {
        let code = match error.class() {
            lock_model::ErrorClass::Invalid => ErrorKind::Usage,
            lock_model::ErrorClass::NotFound
            | lock_model::ErrorClass::Denied
            | lock_model::ErrorClass::Temporary
            | lock_model::ErrorClass::Storage
            | lock_model::ErrorClass::Bug => ErrorKind::Refused,
        };
        let hint = error.hint();
        Error::from_source(code, format!("`{name}` cannot be rolled back"), error).hint(hint)
    })?;
    let revision = Revision::load(context, &target.commit)?;
    let engine = Engine::new(context, store, revision, name, Purpose::Rollback)?;
    if engine.release != target.release {
        return Err(Error::new(
            ErrorKind::Repository,
            format!(
                "commit {} makes release {}, the ledger says {}",
                target.commit.short(12),
                engine.release.id8(),
                target.release.id8()
            ),
        )
        .hint("the repository was rewritten: restore the release's commit"));
    }
    Ok((engine, target, ground))
}

/// A release that a rollback leaves.
struct Left {
    release: ReleaseId,
    lock: Option<LockId>,
}

/// The release that the rollback leaves, or left when it began.
fn leaves(ledger: &Ledger, name: &EnvironmentName, target: &RollbackTarget) -> Option<Left> {
    let left = match target.state {
        TargetState::New => {
            let entry = &ledger.occupant(name)?.entry;
            Left { release: entry.release.clone()?, lock: entry.lock.clone() }
        }
        TargetState::Underway { .. } | TargetState::Done { .. } => {
            let one = ledger.rolled_back(name).pop()?;
            Left { release: one.release, lock: one.lock }
        }
    };
    (left.release != target.release).then_some(left)
}

/// The record that rejects the lock of the release that is left.
fn rejection(context: &Context, target: &RollbackTarget, left: &Left, reason: &str) -> Result<RecordDraft> {
    let mut draft = RecordDraft::new(Step::Reject, RecordResult::Ok, context.run.clone(), context.now()).reason(reason);
    match &left.lock {
        Some(lock) if *lock != target.lock => draft.lock = Some(lock.clone()),
        Some(_) | None => {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "release {} has the lock that the rollback goes to: rejecting it would forbid both",
                    left.release.id8()
                ),
            )
            .hint("nothing was changed; go back without `--reject`"));
        }
    }
    Ok(draft)
}

/// What a person should know whose rollback deployed a release without a proof in force.
fn unproven(name: &EnvironmentName, target: &RollbackTarget) -> String {
    format!(
        "release {} is not proven in `{name}`: a person's rollback proves nothing; while the hold is in force, the same \
         rollback by the forge's bot proves it, and afterwards the next run does",
        target.release.id8()
    )
}

/// Refuses a rollback that a person could begin and not end.
async fn may_roll_back(context: &Context, engine: &Engine<'_>, target: &RollbackTarget) -> Result<()> {
    if context.forge.acting_user().await?.bot {
        return Ok(());
    }
    let (ledger, name) = (engine.store.ledger(), &engine.environment.name);
    match target.state {
        TargetState::New => {}
        TargetState::Underway { .. } => may_continue_rollback(context, ledger, name, target).await?,
        TargetState::Done { .. } => return may_continue_rollback(context, ledger, name, target).await,
    }
    let deployable = engine.deployable()?;
    match (&deployable.destination, deployable.plan(context).await?.detail) {
        (Destination::Render { branch, .. }, PlanDetail::Render(planned)) => {
            may_set_branch(context, branch, &planned).await
        }
        // Who may write to a cluster, its kubeconfig says.
        (Destination::Render { .. } | Destination::Helm(_), _) => Ok(()),
    }
}

/// Refuses a release whose images are gone from the registry, and names the newest release whose images are all there.
/// Gives the images that were asked for.
async fn images_are_there(
    context: &Context,
    engine: &Engine<'_>,
    target: &RollbackTarget,
    ground: &RollbackGround,
) -> Result<Vec<String>> {
    let lock = &engine.lock.lock;
    let gone = gone_of(context, &engine.revision, lock, &engine.environment.name).await?;
    if gone.is_empty() {
        let images = lock.services().values().filter_map(|service| service.content.image());
        return Ok(images.map(|image| format!("{}:{}@{}", image.repository, image.tag, image.digest)).collect());
    }
    let name = &engine.environment.name;
    let called = |target: &RollbackTarget| target.tag.clone().unwrap_or_else(|| target.release.id8().to_owned());
    let error = Error::new(ErrorKind::Image, format!("images of `{}` are not there any more", called(target)))
        .problems(gone)
        .hint("nothing was changed; push the images again, or go back to another release");
    let ledger = engine.store.ledger();
    let current = ledger.latest_touched(name).and_then(|record| record.entry.release.clone());
    for other in rollback::known_good(ledger, name, &|target| ground.holds(target)) {
        if other.release == target.release || Some(&other.release) == current.as_ref() {
            continue;
        }
        let Ok(revision) = Revision::load(context, &other.commit) else { continue };
        let Ok(Some(lock)) = revision.lock(context) else { continue };
        if gone_of(context, &revision, &lock.lock, name).await.is_ok_and(|gone| gone.is_empty()) {
            let again = format!("orchestrator rollback {name} --to {} --reason …", called(&other));
            return Err(error.hint(format!("`{again}`: all images of that release are there")));
        }
    }
    Err(error)
}

/// The images of a lock that an environment deploys and the registry no longer has.
async fn gone_of(context: &Context, revision: &Revision, lock: &Lock, name: &EnvironmentName) -> Result<Vec<Problem>> {
    let environment = revision.environment(name)?;
    let today = context.now().date();
    image_availability::gone(context, revision, lock, |service, entry| {
        match environment.decide(service, &entry.path, today) {
            Deployment::Deploy(_) => true,
            Deployment::NotDeployed { .. } | Deployment::LockedOnly { .. } => false,
        }
    })
    .await
}

/// Makes sure that the commit carries its lock, where locks are committed.
pub(crate) async fn ready_commit(
    context: &Context,
    store: &mut LedgerStore,
    environment: &Environment,
    branch: &str,
    tip: &Revision,
    on_difference: OnDifference<'_>,
) -> Result<LockCommit> {
    if !commits_locks(environment) {
        return Ok(LockCommit::Ready { commit: tip.commit.clone(), note: None });
    }
    let done = lock_commit(context, store, &environment.name, branch, tip, on_difference).await?;
    if let LockCommit::Ready { note: Some(note), .. } = &done {
        context.emit(Event::StepEnded { step: "lock-commit", result: "ok", detail: note });
    }
    Ok(done)
}

/// Opens or refreshes the promotion of proven content.
///
/// # Errors
///
/// [`ErrorKind::Refused`] where nothing is proven.
pub async fn promote(context: &Context, environment: &EnvironmentName) -> Result<RunReport> {
    context.needs_history()?;
    after_the_proof(context, environment, None, Step::Promote, Operation::Promote).await
}

/// Tags and archives proven production content.
///
/// # Errors
///
/// [`ErrorKind::Refused`] where nothing is proven.
pub async fn release(context: &Context, environment: &EnvironmentName, revision: Option<&str>) -> Result<RunReport> {
    context.needs_history()?;
    after_the_proof(context, environment, revision, Step::Release, Operation::Release).await
}

/// Takes one step that follows the proof.
async fn after_the_proof(
    context: &Context,
    name: &EnvironmentName,
    revision: Option<&str>,
    step: Step,
    operation: Operation,
) -> Result<RunReport> {
    context.sync()?;
    let environment = find_environment(context, name).await?;
    may_record(context, step, RecordResult::Ok).await?;
    let _lease = lease(context, name, Duration::ZERO).await?;
    let commit = commit_of(context, &branch_of(&environment)?, revision).await?;
    let loaded = Revision::load(context, &commit)?;
    has_key_of(step, loaded.environment(name)?)?;
    let mut engine = Engine::new(context, LedgerStore::read(context).await?, loaded, name, Purpose::Run)?;
    if !engine.is_proven() {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("release {} is not proven in `{name}`: there is nothing to {step}", engine.release.id8()),
        )
        .hint(format!("`orchestrator run {name}` makes the proof")));
    }
    let stopped = engine.run(&Wanted::Only(BTreeSet::from([step])), Repeat::No).await?;
    Ok(engine.into_report(operation, revision, stopped))
}

/// Refuses a step that the configuration does not ask for in this environment: it would be passed over without a word.
fn has_key_of(step: Step, environment: &Environment) -> Result<()> {
    let (key, line) = match step {
        Step::Promote if environment.promote.is_none() => ("promote", "promote: { to: production }"),
        Step::Release if environment.release.is_none() => ("release", "release: { tag: \"release-{date}-{id8}\" }"),
        _ => return Ok(()),
    };
    Err(Error::new(
        ErrorKind::Usage,
        format!("environment `{}` has no key `{key}`: there is nothing to {step}", environment.name),
    )
    .hint(format!("give it one on its branch, such as `{line}`")))
}

async fn lift_hold(
    context: &Context,
    store: &mut LedgerStore,
    name: &EnvironmentName,
    reason: &str,
    accept: Option<&str>,
) -> Result<Option<StepLine>> {
    let ledger = store.ledger();
    let accepted = accept.map(|release| accepted(ledger, name, release)).transpose()?;
    let mut draft = RecordDraft::new(Step::Unhold, RecordResult::Ok, context.run.clone(), context.now())
        .environment(name)
        .reason(reason);
    let last = ledger.held(name).and_then(|hold| ledger.record(hold.seq)).or_else(|| ledger.occupant(name));
    draft.commit = last.and_then(|record| record.entry.commit.clone());
    draft.accepts = accepted.map(Accepts::Release);
    let record = store.append(context, draft, &[], |_| Ok(())).await?;
    Ok(record.map(|_| said(context, StepLine::ok("unhold", reason))))
}

/// Says a line of the report as soon as it is known.
fn said(context: &Context, line: StepLine) -> StepLine {
    context.emit(Event::StepEnded { step: &line.step, result: line.result.as_str(), detail: &line.detail });
    line
}
