//! Holding an environment, and letting it go on.

use ledger::{Accepts, Ledger, RecordDraft, RolledBack, Step, StepResult};
use lock_model::{EnvironmentName, ReleaseId};

use crate::context::Context;
use crate::environment_policy::{branch_of, commit_of, find_environment, known_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_rights::may_record;
use crate::ledger_store::LedgerStore;
use crate::report::v1::{HoldReport, NextRun};
use crate::revision::Revision;

/// Stops deployments to an environment.
///
/// # Errors
///
/// Where repository, forge or ledger cannot be read or written, and for an environment that neither a configuration nor the
/// ledger knows.
pub async fn hold(context: &Context, environment: &EnvironmentName, reason: &str) -> Result<HoldReport> {
    let record = record(context, environment, Step::Hold, reason).await?;
    Ok(HoldReport {
        environment: environment.clone(),
        held: true,
        reason: reason.to_owned(),
        record,
        accepted: None,
        next: None,
    })
}

/// Allows deployments to an environment again; the report says what the next run would deploy.
///
/// # Errors
///
/// As [`hold`], and [`ErrorKind::Repository`] for a clone without its whole history, which cannot say what runs next.
pub async fn unhold(context: &Context, environment: &EnvironmentName, reason: &str) -> Result<HoldReport> {
    context.needs_history()?;
    let record = record(context, environment, Step::Unhold, reason).await?;
    released(context, environment, reason, record, None).await
}

/// Allows deployments to an environment again, and lets a release come back that a rollback took out. It is named by its
/// tag, or by at least eight digits of its id.
///
/// # Errors
///
/// As [`unhold`], and [`ErrorKind::Refused`] where no rollback took such a release out.
pub async fn accept_release(
    context: &Context,
    environment: &EnvironmentName,
    release: &str,
    reason: &str,
) -> Result<HoldReport> {
    context.needs_history()?;
    context.sync()?;
    may_record(context, Step::Unhold, StepResult::Ok).await?;
    let mut store = LedgerStore::read(context).await?;
    known_environment(context, store.ledger(), environment).await?;
    let accepted = accepted(store.ledger(), environment, release)?;
    let mut draft = draft(context, store.ledger(), environment, Step::Unhold, reason).await?;
    draft.accepts = Some(Accepts::Release(accepted.clone()));
    let record = store.append(context, draft, &[], |_| Ok(())).await?;
    released(context, environment, reason, record, Some(accepted)).await
}

async fn released(
    context: &Context,
    environment: &EnvironmentName,
    reason: &str,
    record: Option<u64>,
    accepted: Option<ReleaseId>,
) -> Result<HoldReport> {
    let store = LedgerStore::read(context).await?;
    let next = next_run(context, store.ledger(), environment).await;
    Ok(HoldReport {
        environment: environment.clone(),
        held: false,
        reason: reason.to_owned(),
        record,
        accepted,
        // The hold is lifted, whatever else is wrong.
        next: next.ok().flatten(),
    })
}

/// The release that is meant, among those that rollbacks took out of an environment.
pub(crate) fn accepted(ledger: &Ledger, environment: &EnvironmentName, name: &str) -> Result<ReleaseId> {
    let gone = ledger.rolled_back(environment);
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let is_meant = |one: &&RolledBack| {
        let tagged = ledger.releases(environment).any(|record| {
            record.entry.release.as_ref() == Some(&one.release) && record.entry.tag.as_deref() == Some(name)
        });
        tagged || (digits.len() >= 8 && one.release.hex().starts_with(digits))
    };
    let found: Vec<&RolledBack> = gone.iter().filter(is_meant).collect();
    if let [one] = found.as_slice() {
        return Ok(one.release.clone());
    }
    let shown = lock_model::escaping::escape_short(name, 80);
    let known: Vec<&str> = gone.iter().map(|one| one.release.id8()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Error::new(
        ErrorKind::Refused,
        format!("`{shown}` names no release that a rollback took out of `{environment}`: there is nothing to accept"),
    )
    .hint(format!("such releases are: {known}; nothing was recorded")))
}

/// What a run would take up now; `None` where no configuration has the environment any more.
async fn next_run(context: &Context, ledger: &Ledger, name: &EnvironmentName) -> Result<Option<NextRun>> {
    let environment = find_environment(context, name).await?;
    let commit = commit_of(context, &branch_of(&environment)?, None).await?;
    let revision = Revision::load(context, &commit)?;
    let Some(lock) = revision.lock(context)? else {
        return Ok(Some(NextRun { commit, release: None, is_deployed: false, refused: None }));
    };
    let release = revision.release(&lock.lock);
    let is_deployed = ledger.occupant(name).is_some_and(|record| record.entry.release.as_ref() == Some(&release));
    let refused = ledger.rolled_back(name).into_iter().find(|one| one.release == release);
    Ok(Some(NextRun { commit, release: Some(release), is_deployed, refused }))
}

async fn record(context: &Context, name: &EnvironmentName, step: Step, reason: &str) -> Result<Option<u64>> {
    context.sync()?;
    may_record(context, step, StepResult::Ok).await?;
    let mut store = LedgerStore::read(context).await?;
    let draft = draft(context, store.ledger(), name, step, reason).await?;
    store.append(context, draft, &[], |_| Ok(())).await
}

async fn draft(
    context: &Context,
    ledger: &Ledger,
    name: &EnvironmentName,
    step: Step,
    reason: &str,
) -> Result<RecordDraft> {
    let commit = match find_environment(context, name).await {
        Ok(environment) => Some(commit_of(context, &branch_of(&environment)?, None).await?),
        // An environment that the ledger knows can be held when no configuration has it any more, or none can be read.
        Err(error) => {
            let last = ledger.of(name).rfind(|record| record.entry.commit.is_some());
            last.ok_or(error)?.entry.commit.clone()
        }
    };
    let mut draft =
        RecordDraft::new(step, StepResult::Ok, context.run.clone(), context.now()).environment(name).reason(reason);
    draft.commit = commit;
    Ok(draft)
}
