//! `rollback`: an older release is deployed again, through the same steps.

mod check;
mod ground;
mod images;
mod migrations;
mod on_failure;

use std::collections::BTreeSet;
use std::time::Duration;

use deployer::PlanDetail;
use ledger::{Ledger, RecordDraft, Step, StepResult as RecordResult};
use lock_model::{EnvironmentName, LockId, ReleaseId, ServiceName};
use promotion::attempts::Purpose;
use promotion::interruption::{Underway, interruption};
use promotion::rollback::{self, NoTarget, RollbackTarget, TargetState, deployed_since};

pub use check::check_rollbacks;
pub(crate) use ground::RollbackGround;
pub use on_failure::OnFailure;
pub(crate) use on_failure::go_back_after;

use self::images::images_are_there;
use self::migrations::{Behind, Migrations, judge_migrations};
use crate::context::Context;
use crate::engine::{Destination, Engine, Repeat, Wanted, interrupted, taking};
use crate::environment_policy::find_environment;
use crate::error::{Error, ErrorKind, Result};
use crate::lease::{LeaseDemand, lease_for_rollback};
use crate::ledger_rights::{may_continue_rollback, may_record, may_set_branch};
use crate::ledger_store::LedgerStore;
use crate::report::v1::{Operation, RollbackPlanReport, RunReport, StepLine};
use crate::revision::Revision;
use crate::run::said;
use crate::unpinned_images::warning as unpinned_warning;

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
    /// How long the run that deploys to a cluster may take to stop once it was asked to; zero: it is not asked.
    pub patience: Duration,
    /// Whether the lock of the release that it leaves is rejected as well, for the same reason.
    pub reject: bool,
    /// Whether it goes back behind a migration that is declared irreversible.
    pub accept_irreversible: bool,
    /// Whether the lease of an environment in a cluster is taken, for the same reason, from a run that does not give it back.
    pub break_lease: bool,
    /// Managers whose fields are taken over besides those that a configuration names, target `apply`.
    pub take: BTreeSet<String>,
    /// The failed deployment that begins it: services with a migration stay as they are, and so do those that came since,
    /// where the configuration does not delete them.
    pub(crate) after: Option<FailedDeployment>,
}

/// A deployment that failed, and what is known of the services that it would have changed; nothing of the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailedDeployment {
    /// Number of the newest record that its run knew when it had the lease of the environment.
    since: u64,
    changed: BTreeSet<ServiceName>,
    untouched: BTreeSet<ServiceName>,
}

impl FailedDeployment {
    /// What an earlier attempt, or an earlier release since the target, began to change is not known to be untouched.
    fn of_one_attempt(&self, ledger: &Ledger, name: &EnvironmentName, target: &RollbackTarget) -> Self {
        let begun = |release| ledger.cycle(name, release).state(&Step::Deploy.into()).map_or(0, |state| state.attempts);
        match deployed_since(ledger, name, &target.release).as_slice() {
            [one] if begun(&one.release) == 1 => self.clone(),
            _ => Self { untouched: BTreeSet::new(), ..self.clone() },
        }
    }
}

impl RollbackRequest {
    /// The release before the present one, without waiting, and without a rejection.
    pub fn new(environment: EnvironmentName, reason: impl Into<String>) -> Self {
        Self {
            environment,
            to: None,
            reason: reason.into(),
            wait: Duration::ZERO,
            patience: DEFAULT_PATIENCE,
            reject: false,
            accept_irreversible: false,
            break_lease: false,
            take: BTreeSet::new(),
            after: None,
        }
    }
}

/// How long a run may take to stop.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);

/// Deploys an older release again, and holds the environment.
///
/// # Errors
///
/// [`ErrorKind::Refused`] where there is nothing to go back to, [`ErrorKind::Image`] where its images are gone; nothing
/// was changed then.
pub async fn rollback(context: &Context, request: &RollbackRequest) -> Result<RunReport> {
    let name = request.environment.clone();
    context.needs_history()?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    may_record(context, Step::Rollback, RecordResult::Started).await?;
    let break_for = request.break_lease.then_some(request.reason.as_str());
    let demand = LeaseDemand { wait: request.wait, break_for };
    // A run that deploys is stopped only for a rollback that may begin.
    drop(Box::pin(judge(context, request)).await?);
    let lease = lease_for_rollback(context, &environment, demand, request.patience).await?;
    context.sync()?;
    let Judged { mut engine, target, migrations, leaves, rejected } = Box::pin(judge(context, request)).await?;
    engine.leased_at(lease.broken_at);
    engine.warnings.extend(migrations.warnings());
    match target.state {
        TargetState::New => {
            let reason = taking(&request.take, &migrations.with_reason(&request.reason, &engine.stays.migrated));
            engine.begin_rollback(&reason, target.tag.clone()).await?;
        }
        TargetState::Underway { .. } | TargetState::Done { .. } => {}
    }
    if let Some(draft) = rejected {
        engine.store.append(context, draft, &[], |_| Ok(())).await?;
        engine.lines.push(said(context, StepLine::ok("reject", request.reason.as_str())));
    }
    let stopped = Box::pin(engine.run(&Wanted::All, Repeat::No)).await?;
    if stopped.is_none() && engine.stays.migrated.is_empty() && !engine.has_proof() {
        engine.warnings.push(unproven(&name, &target));
    }
    let rejectable = leaves.filter(|left| !request.reject && left.lock != Some(target.lock.clone()));
    let staying = migrations.not_rolled_back().filter(|_| request.after.is_some());
    let not_rolled_back = staying.chain(std::mem::take(&mut engine.stays.named)).collect();
    let mut report = engine.into_report(Operation::Rollback, None, stopped);
    report.not_rolled_back = not_rolled_back;
    report.left = rejectable.and_then(|left| left.lock);
    Ok(report)
}

/// A rollback that may begin, as the ledger stands.
struct Judged<'a> {
    engine: Engine<'a>,
    target: RollbackTarget,
    migrations: Migrations,
    leaves: Option<Left>,
    /// The record that rejects the lock that is left, where that was requested.
    rejected: Option<RecordDraft>,
}

/// Refuses what cannot be gone back to; nothing is written.
async fn judge<'a>(context: &'a Context, request: &RollbackRequest) -> Result<Judged<'a>> {
    let name = &request.environment;
    let (mut engine, target, ground) = rollback_target(context, request).await?;
    if let Some(failed) = &request.after {
        refuse_for_others(context, engine.store.ledger(), name, &target, failed)?;
    }
    match target.state {
        TargetState::New | TargetState::Underway { .. } => {
            images_are_there(context, &engine, &target, &ground).await?;
        }
        TargetState::Done { .. } => {}
    }
    let migrations = Box::pin(migrations(context, &engine, &target, request)).await?;
    if request.after.is_some() {
        engine.stays.came = came_since(context, engine.store.ledger(), name, &target)?;
        engine.stays.migrated = migrations.services().unwrap_or_default();
    }
    engine.planning().refuse_left_place(context).await?;
    engine.planning().refuse_foreign_places(context).await?;
    may_roll_back(context, &engine, &target).await?;
    let leaves = leaves(engine.store.ledger(), name, &target);
    let rejected = match &leaves {
        Some(left) if request.reject => Some(rejection(context, &target, left, &request.reason)?),
        Some(_) | None => None,
    };
    Ok(Judged { engine, target, migrations, leaves, rejected })
}

/// Refuses to take back by itself what another run or a person decided since the deployment that failed.
fn refuse_for_others(
    context: &Context,
    ledger: &Ledger,
    name: &EnvironmentName,
    target: &RollbackTarget,
    failed: &FailedDeployment,
) -> Result<()> {
    let underway = Underway {
        environment: name,
        lock: &target.lock,
        run: &context.run,
        since: failed.since,
        purpose: Purpose::Run,
    };
    match interruption(ledger, &underway) {
        Some(interruption) => Err(Error::new(ErrorKind::Refused, interrupted(name, &interruption).message())),
        None => Ok(()),
    }
}

/// Says what a rollback would do. Nothing is recorded, written or held, and nobody is kept from running.
///
/// # Errors
///
/// As [`rollback()`].
pub async fn plan_rollback(context: &Context, request: &RollbackRequest) -> Result<RollbackPlanReport> {
    let name = request.environment.clone();
    context.needs_history()?;
    context.sync()?;
    let (engine, target, ground) = Box::pin(rollback_target(context, request)).await?;
    let images = images_are_there(context, &engine, &target, &ground).await?;
    let mut migrations = Box::pin(migrations(context, &engine, &target, request)).await?;
    Box::pin(migrations.add_labelled(context, &engine, &target)).await?;
    engine.planning().refuse_left_place(context).await?;
    engine.planning().refuse_foreign_places(context).await?;
    let leaves = leaves(engine.store.ledger(), &name, &target);
    if let Some(left) = leaves.as_ref().filter(|_| request.reject) {
        rejection(context, &target, left, &request.reason)?;
    }
    let deployable = Box::pin(engine.deployable_with_settings()).await?;
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
        migrations: migrations.marks(),
        warnings: migrations.warnings().chain(plan.unpinned_images.iter().map(unpinned_warning)).collect(),
        unpinned: plan.unpinned_images,
    })
}

/// The migrations of the releases that it leaves, where it may go back behind them.
async fn migrations(
    context: &Context,
    engine: &Engine<'_>,
    target: &RollbackTarget,
    request: &RollbackRequest,
) -> Result<Migrations> {
    let (ledger, lock, name) = (engine.store.ledger(), &engine.lock.lock, &request.environment);
    let mut found = Migrations::behind(context, ledger, name, target, lock);
    let failed;
    let behind = match (&request.after, &engine.environment.target) {
        (Some(after), Some(config::Target::Helm(_) | config::Target::Apply(_))) => {
            found.add_labelled(context, engine, target).await?;
            failed = after.of_one_attempt(ledger, name, target);
            found.leave_out(&failed.untouched);
            Behind::LeaveThere(&failed)
        }
        (Some(_), Some(config::Target::Render(_)) | None) => Behind::RefuseAny,
        (None, _) if request.accept_irreversible => Behind::Accept,
        (None, _) => Behind::Refuse,
    };
    judge_migrations(context, ledger, name, target, lock, &found, behind)?;
    Ok(found)
}

/// What to go back to, with its engine.
async fn rollback_target<'a>(
    context: &'a Context,
    request: &RollbackRequest,
) -> Result<(Engine<'a>, RollbackTarget, RollbackGround)> {
    let (name, to) = (&request.environment, request.to.as_deref());
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
        let mut hint = error.hint();
        if let NoTarget::Unknown { requested, known, .. } = &error
            && let Some(near) = config::nearest(requested, known.iter().map(String::as_str))
        {
            hint = format!("did you mean `{near}`? {hint}");
        }
        Error::from_source(code, format!("`{name}` cannot be rolled back"), error).hint(hint)
    })?;
    let revision = Revision::load(context, &target.commit)?;
    let mut engine = Engine::new(context, store, revision, name, Purpose::Rollback)?;
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
    // What becomes of services that left is a rule of the environment as it is, too.
    let in_force = find_environment(context, name).await?;
    engine.environment.allow_as(&in_force);
    engine.environment.removed = in_force.removed;
    engine.take_fields(&request.take, &request.reason)?;
    Ok((engine, target, ground))
}

/// The services that were deployed since the environment had the target.
fn came_since(
    context: &Context,
    ledger: &Ledger,
    name: &EnvironmentName,
    target: &RollbackTarget,
) -> Result<BTreeSet<ServiceName>> {
    let mut services = BTreeSet::new();
    for deployed in deployed_since(ledger, name, &target.release) {
        let revision = Revision::load(context, &deployed.commit)?;
        if let Some(file) = revision.lock(context)? {
            services.extend(file.lock.services().keys().cloned());
        }
    }
    Ok(services)
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
    let deployable = Box::pin(engine.deployable_with_settings()).await?;
    match (&deployable.destination, deployable.plan(context).await?.detail) {
        (Destination::Render { branch, .. }, PlanDetail::Render(planned)) => {
            may_set_branch(context, branch, &planned).await
        }
        // Who may write to a cluster, its kubeconfig says.
        (Destination::Render { .. } | Destination::Helm(_) | Destination::Apply(..), _) => Ok(()),
    }
}
