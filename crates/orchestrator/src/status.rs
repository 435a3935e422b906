//! What the ledger says: where each environment stands, and what happened.

use config::Environment;
use lock_model::EnvironmentName;
use promotion::attempts::{AfterProof, Locks, PlanShape, plan};

use crate::context::Context;
use crate::engine::suite_reference;
use crate::error::Result;
use crate::ledger_store::LedgerStore;
use crate::policy_found::PolicyFound;
use crate::report::v1::{self, HistoryReport, PolicyReport, StatusReport};
use crate::revision::{Revision, load_config};

/// The records of the ledger, oldest first: of one environment or of all, the newest `limit` of them.
///
/// # Errors
///
/// Where the ledger cannot be read.
pub async fn history(
    context: &Context,
    environment: Option<&EnvironmentName>,
    limit: Option<usize>,
) -> Result<HistoryReport> {
    let store = LedgerStore::read(context).await?;
    let mut records = v1::history(store.ledger(), environment);
    if let Some(limit) = limit {
        records = records.split_off(records.len().saturating_sub(limit));
    }
    Ok(HistoryReport { records })
}

/// Where each environment that has a branch stands, by the configuration of the staging branch.
///
/// # Errors
///
/// Where repository, forge or ledger cannot be read.
pub async fn status(context: &Context) -> Result<StatusReport> {
    context.sync()?;
    let store = LedgerStore::read(context).await?;
    let mut config = None;
    for (branch, head) in context.forge.branches().await? {
        let Some(found) = load_config(context, head.as_str())? else { continue };
        if *branch.as_str() == *found.branches.staging.as_str() || config.is_none() {
            config = Some(found);
        }
    }
    let (mut environments, mut warnings) = (Vec::new(), Vec::new());
    for environment in config.iter().flat_map(|config| config.environments.values()) {
        let Some(branch) = &environment.branch else { continue };
        let mut suites = Vec::new();
        let head = context.forge.branch_head(branch).await?;
        if let Some(head) = head
            && load_config(context, head.as_str())?.is_some()
        {
            let revision = Revision::load(context, &head)?;
            for suite in environment.suites.iter().filter(|suite| revision.config.suites.contains_key(*suite)) {
                suites.push(suite_reference(context, &revision, suite)?);
            }
        }
        let steps = plan(&PlanShape { locks: Locks::InTree, suites, then: then(environment) });
        let mut row = v1::status(store.ledger(), &environment.name, &steps);
        match PolicyFound::of_next(context, store.ledger(), &environment.name, branch.as_str()).await {
            Ok(found) => row.policy = Some(found.report()),
            Err(error) => warnings.push(format!("{}: {}", error.message(), error.causes().join(": "))),
        }
        let accepted = row.policy.as_ref().filter(|policy| policy.accepted.is_some());
        warnings.extend(accepted.map(PolicyReport::sentence));
        environments.push(row);
    }
    Ok(StatusReport { environments, warnings })
}

/// What follows the proof of an environment.
pub(crate) fn then(environment: &Environment) -> AfterProof {
    match (&environment.release, &environment.promote) {
        (Some(_), Some(_)) => AfterProof::ReleaseAndPromote,
        (Some(_), None) => AfterProof::Release,
        (None, Some(_)) => AfterProof::Promote,
        (None, None) => AfterProof::Nothing,
    }
}
