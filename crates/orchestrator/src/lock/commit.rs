use std::time::Duration;

use ledger::{Step, StepResult};
use lock_model::EnvironmentName;

use crate::context::Context;
use crate::engine::{LockCommit, OnDifference};
use crate::environment_policy::{branch_of, commit_of, commits_locks, find_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::lease::lease;
use crate::ledger_rights::may_record;
use crate::ledger_store::LedgerStore;
use crate::report::v1::LockCommitReport;
use crate::revision::Revision;
use crate::run::ready_commit;

/// Commits the lock of the merged pull request that an environment's branch ends with.
///
/// With a reason in `accept_new`, a lock that is not the reviewed one is committed as well, and recorded as unreviewed.
///
/// # Errors
///
/// [`ErrorKind::Image`] where the registry no longer gives what was reviewed, [`ErrorKind::Usage`] where locks are not
/// committed to the environment's branch.
pub async fn commit_lock(
    context: &Context,
    name: &EnvironmentName,
    accept_new: Option<&str>,
) -> Result<LockCommitReport> {
    context.needs_history()?;
    context.sync()?;
    let environment = find_environment(context, name).await?;
    may_record(context, Step::LockCommit, StepResult::Started).await?;
    if !commits_locks(&environment) {
        return Err(Error::new(ErrorKind::Usage, format!("locks are not committed to the branch of `{name}`"))
            .hint("they are committed to the staging branch and travel from there"));
    }
    let branch = branch_of(&environment)?;
    let _lease = lease(context, name, Duration::ZERO).await?;
    // The run that held the lease before may have moved the branch.
    context.sync()?;
    let tip = Revision::load(context, &commit_of(context, &branch, None).await?)?;
    let mut store = LedgerStore::read(context).await?;
    let difference = accept_new.map_or(OnDifference::Refuse, OnDifference::AcceptNew);
    Ok(match ready_commit(context, &mut store, &environment, &branch, &tip, difference).await? {
        LockCommit::Superseded { note } => LockCommitReport { commit: None, note: None, superseded: Some(note) },
        LockCommit::Ready { commit, note } => LockCommitReport { commit: Some(commit), note, superseded: None },
    })
}
