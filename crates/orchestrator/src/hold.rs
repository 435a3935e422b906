//! Holding an environment, and letting it go on.

use ledger::{RecordDraft, Step, StepResult};
use lock_model::EnvironmentName;

use crate::context::Context;
use crate::environment_policy::{branch_of, commit_of, find_environment};
use crate::error::Result;
use crate::ledger_store::LedgerStore;
use crate::report::v1::HoldReport;

/// Stops deployments to an environment.
///
/// # Errors
///
/// Where repository, forge or ledger cannot be read or written, and for an environment that neither a configuration nor the
/// ledger knows.
pub async fn hold(context: &Context, environment: &EnvironmentName, reason: &str) -> Result<HoldReport> {
    let record = record(context, environment, Step::Hold, reason).await?;
    Ok(HoldReport { environment: environment.clone(), held: true, reason: reason.to_owned(), record })
}

/// Allows deployments to an environment again.
///
/// # Errors
///
/// As [`hold`].
pub async fn unhold(context: &Context, environment: &EnvironmentName, reason: &str) -> Result<HoldReport> {
    let record = record(context, environment, Step::Unhold, reason).await?;
    Ok(HoldReport { environment: environment.clone(), held: false, reason: reason.to_owned(), record })
}

async fn record(context: &Context, name: &EnvironmentName, step: Step, reason: &str) -> Result<Option<u64>> {
    context.sync()?;
    let mut store = LedgerStore::read(context).await?;
    let commit = match find_environment(context, name).await {
        Ok(environment) => Some(commit_of(context, &branch_of(&environment)?, None).await?),
        // An environment that the ledger knows can be held when no configuration has it any more, or none can be read.
        Err(error) => {
            let last = store.ledger().of(name).rfind(|record| record.entry.commit.is_some());
            last.ok_or(error)?.entry.commit.clone()
        }
    };
    let mut draft =
        RecordDraft::new(step, StepResult::Ok, context.run.clone(), context.now()).environment(name).reason(reason);
    draft.commit = commit;
    store.append(context, draft, &[], |_| Ok(())).await
}
