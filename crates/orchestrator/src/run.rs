//! `run`, `promote` and `release`.

use std::collections::BTreeSet;
use std::time::Duration;

use config::Environment;
use ledger::{Accepts, RecordDraft, Step, StepResult as RecordResult};
use lock_model::EnvironmentName;
use promotion::attempts::Purpose;

use crate::context::Context;
use crate::engine::{Engine, LockCommit, OnDifference, Repeat, Suites, Wanted, lock_commit, preflight};
use crate::environment_policy::{branch_of, commit_of, commits_locks, find_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::events::Event;
use crate::hold::accepted;
use crate::lease::{LeaseDemand, lease, lease_or_break};
use crate::ledger_rights::may_record;
use crate::ledger_store::LedgerStore;
use crate::report::v1::{Operation, RunReport, StepLine};
use crate::revision::Revision;
use crate::rollback::{OnFailure, go_back_after};

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
    /// What follows a deployment that fails.
    pub on_failure: OnFailure,
    /// Why the lease of an environment in a cluster is taken from a run that does not give it back.
    pub break_lease: Option<String>,
}

impl RunRequest {
    /// The newest commit, without waiting; a hold stays.
    pub fn new(environment: EnvironmentName) -> Self {
        Self {
            environment,
            revision: None,
            wait: Duration::ZERO,
            lift_hold: None,
            accept: None,
            on_failure: OnFailure::Stop,
            break_lease: None,
        }
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
    let demand = LeaseDemand { wait: request.wait, break_for: request.break_lease.as_deref() };
    let lease = Box::pin(lease_or_break(context, &environment, demand)).await?;
    // The run that held the lease before may have moved the branch.
    context.sync()?;
    let commit = commit_of(context, &branch, request.revision.as_deref()).await?;
    let mut store = LedgerStore::read(context).await?;
    let tip = Box::new(Revision::load(context, &commit)?);
    Box::pin(preflight(context, store.ledger(), &tip, tip.environment(&name)?, Suites::Open)).await?;
    let mut lines = Vec::new();
    if let Some(reason) = &request.lift_hold {
        let lifted = lift_hold(context, &mut store, &name, reason, request.accept.as_deref());
        lines.extend(Box::pin(lifted).await?);
    }
    let ready = Box::pin(ready_commit(context, &mut store, &environment, &branch, &tip, OnDifference::Refuse)).await?;
    let (commit, lock_note) = match ready {
        LockCommit::Ready { commit, note } => (commit, note),
        LockCommit::Superseded { note } => return Ok(RunReport::superseded(name, note)),
    };
    let revision = if commit == tip.commit { *tip } else { Revision::load(context, &commit)? };
    let mut engine = Box::new(Engine::new(context, store, revision, &name, Purpose::Run)?);
    engine.leased_at(lease.broken_at);
    engine.goes_back = request.on_failure == OnFailure::Rollback;
    lines.extend(lock_note.map(|note| StepLine::ok("lock-commit", note)));
    engine.lines = lines;
    if commits_locks(&environment) {
        engine.outdate_other_locks().await?;
    }
    let ended = Box::pin(engine.run(&Wanted::All, Repeat::No)).await;
    let after = engine.after_failure(&ended).await;
    let ended = ended.map(|stopped| engine.into_report(Operation::Run, request.revision.as_deref(), stopped));
    drop(lease);
    Box::pin(go_back_after(context, &name, request.on_failure, after, ended)).await
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
    let stopped = Box::pin(engine.run(&Wanted::Only(BTreeSet::from([step])), Repeat::No)).await?;
    Ok(engine.into_report(operation, revision, stopped))
}

/// Refuses a step that the configuration does not ask for in this environment: it would be passed over without a word.
fn has_key_of(step: Step, environment: &Environment) -> Result<()> {
    let (key, line) = match step {
        Step::Promote if environment.promote.is_none() => ("promote", "promote: { to: ENVIRONMENT }"),
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
pub(crate) fn said(context: &Context, line: StepLine) -> StepLine {
    context.emit(Event::StepEnded { step: &line.step, result: line.result.as_str(), detail: &line.detail });
    line
}
