//! Where each environment stands, by the ledger.

use config::{Config, Environment};
use ledger::{Ledger, Step, StepResult};
use lock_model::EnvironmentName;
use promotion::attempts::{AfterProof, Locks, PlanShape, plan};

use crate::context::Context;
use crate::engine::{refused_arrival, suite_reference};
use crate::environment_policy::{branch_of, commits_locks, environment_of, find_environment, needs_superproject};
use crate::error::{ErrorKind, Result};
use crate::ledger_store::LedgerStore;
use crate::lock::lock_file_at;
use crate::policy_found::PolicyFound;
use crate::report::v1::{self, Blocked, Next, PolicyReport, StatusReport};
use crate::revision::{Revision, load_config};

/// Where an environment stands, or each one that has a branch, by the configuration of the staging branch.
///
/// # Errors
///
/// Where repository, forge or ledger cannot be read, [`ErrorKind::Usage`] where the named environment is unknown or has no
/// branch, and in a repository that is no superproject.
pub async fn status(context: &Context, only: Option<&EnvironmentName>) -> Result<StatusReport> {
    context.sync()?;
    let store = LedgerStore::read_in_time(context).await?;
    needs_superproject(context, store.ledger()).await?;
    let (config, mut warnings) = shown_config(context).await?;
    if let Some(name) = only {
        let _branch = match &config {
            Some(config) => branch_of(environment_of(config, name)?)?,
            None => branch_of(&find_environment(context, name).await?)?,
        };
    }
    let mut environments = Vec::new();
    let is_asked = |environment: &&Environment| only.is_none_or(|name| environment.name == *name);
    for environment in config.iter().flat_map(|config| config.environments.values()).filter(is_asked) {
        let Some(branch) = &environment.branch else { continue };
        context.in_time()?;
        let (mut suites, mut stopped, mut arrived) = (Vec::new(), None, None);
        // A configuration that cannot be read names no suites; it is a warning above.
        if let Some(head) = context.forge.branch_head(branch).await?
            && load_config(context, head.as_str()).is_ok_and(|config| config.is_some())
        {
            let revision = Revision::load(context, &head)?;
            for suite in environment.suites.iter().filter(|suite| revision.config.suites.contains_key(*suite)) {
                suites.push(suite_reference(context, &revision, suite)?);
            }
            stopped = blocked(context, store.ledger(), environment, branch.as_str(), &revision).await?;
            arrived = arrival(context, store.ledger(), environment, &revision)?;
        }
        let steps = plan(&PlanShape { locks: Locks::InTree, suites, then: then(environment) });
        let mut row = v1::status(store.ledger(), &environment.name, &steps);
        row.blocked = stopped;
        row.next = match (row.next, arrived) {
            // A first run has nothing to say of a release that is not made yet.
            (Next::Continue { .. } | Next::Nothing, Some(next)) => next,
            (next, Some(_) | None) => next,
        };
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

/// What `run` would deploy, where the newest commit of the branch has another release than the environment: not one that is
/// rejected, or that a rollback took out.
fn arrival(context: &Context, ledger: &Ledger, environment: &Environment, tip: &Revision) -> Result<Option<Next>> {
    let Some(occupant) = ledger.occupant(&environment.name) else { return Ok(None) };
    let lock = tip.lock(context)?.filter(|file| tip.mismatches(&file.lock).is_empty());
    let Some(file) = lock else {
        let is_made = commits_locks(environment) && rejected_at(context, ledger, tip)?.is_none();
        return Ok(is_made.then_some(Next::Run { release: None }));
    };
    let release = tip.release(&file.lock);
    let is_there = occupant.entry.release.as_ref() == Some(&release);
    let is_out = ledger.rolled_back(&environment.name).iter().any(|one| one.release == release);
    let is_rejected = ledger.rejected(file.lock.id()).is_some();
    Ok((!is_there && !is_out && !is_rejected).then_some(Next::Run { release: Some(release) }))
}

/// Why the newest commit of an environment's branch gets no further: the last step that was taken with it failed or was
/// refused, its lock was rejected, or no pull request brought it.
async fn blocked(
    context: &Context,
    ledger: &Ledger,
    environment: &Environment,
    branch: &str,
    tip: &Revision,
) -> Result<Option<Blocked>> {
    if let Some(rejected) = rejected_at(context, ledger, tip)? {
        return Ok(Some(Blocked { commit: tip.commit.clone(), reason: rejected }));
    }
    let last = ledger.of(&environment.name).next_back();
    let negative = last.filter(|record| record.entry.commit.as_ref() == Some(&tip.commit));
    let reason = match negative.filter(|record| record.entry.result.is_negative()) {
        Some(record) => {
            let reason = record.entry.reason.as_deref().unwrap_or_default();
            format!("{} {}: {reason} (record {})", record.entry.key(), record.entry.result, record.seq)
        }
        None if commits_locks(environment) => match refused_arrival(context, branch, tip).await? {
            Some(refused) => refused.message().to_owned(),
            None => return Ok(None),
        },
        None => return Ok(None),
    };
    Ok(Some(Blocked { commit: tip.commit.clone(), reason }))
}

/// Who rejected the lock that a commit has, and why.
fn rejected_at(context: &Context, ledger: &Ledger, tip: &Revision) -> Result<Option<String>> {
    if !ledger.records().iter().any(|record| record.is(Step::Reject, StepResult::Ok)) {
        return Ok(None);
    }
    let lock = lock_file_at(context, tip.commit.as_str())?;
    Ok(lock.and_then(|file| v1::rejected(ledger, file.lock.id())))
}

/// The configuration of the staging branch, or another one where that has none, protected branches first; with a warning
/// for each protected branch whose configuration cannot be read. Those of other branches are their owners' matter.
async fn shown_config(context: &Context) -> Result<(Option<Config>, Vec<String>)> {
    let protected = context.forge.protected_branches().await?;
    let branches = context.forge.branches().await?;
    let (first, then): (Vec<_>, Vec<_>) = branches.into_iter().partition(|(branch, _)| protected.contains_key(branch));
    let (mut config, mut warnings) = (None, Vec::new());
    for (branch, head) in first.into_iter().chain(then) {
        match load_config(context, head.as_str()) {
            Ok(None) => {}
            Ok(Some(found)) => {
                if branch == found.branches.staging || config.is_none() {
                    config = Some(found);
                }
            }
            Err(error) if error.kind() == ErrorKind::Usage => {
                if protected.contains_key(&branch) {
                    let what = error.message().lines().next().unwrap_or_default();
                    warnings.push(format!("the configuration of `{branch}` cannot be read: {what}"));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok((config, warnings))
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
