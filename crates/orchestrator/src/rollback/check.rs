//! Which releases an environment could go back to, asked of registry, repositories and target.

use config::Environment;
use deployer::settings::Configuration;
use ledger::Ledger;
use lock_model::EnvironmentName;
use promotion::rollback::{RollbackTarget, known_good, migrated};

use super::RollbackGround;
use super::images::gone_of;
use super::migrations::Migrations;
use crate::context::Context;
use crate::engine::Planning;
use crate::environment_policy::find_environment;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::ledger_store::LedgerStore;
use crate::report::v1::{CheckedRelease, RollbackCheckReport};
use crate::revision::Revision;

/// Says of every release that was proven in, or taken over for, an environment whether a rollback could deploy it now:
/// whether its images exist, its files can be read and planned, its lock is not rejected, and no irreversible migration
/// lies in between. Newest first, at most `limit`; nothing is changed.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where there is no such environment, [`ErrorKind::Temporary`] where a registry or a remote does not
/// answer; where repository, forge or ledger cannot be read. A release that cannot be deployed is a finding.
pub async fn check_rollbacks(
    context: &Context,
    name: &EnvironmentName,
    limit: Option<usize>,
) -> Result<RollbackCheckReport> {
    context.sync()?;
    let in_force = find_environment(context, name).await?;
    let store = LedgerStore::read(context).await?;
    let ledger = store.ledger();
    let ground = RollbackGround::of(context, name, ledger).await?;
    let stands = |target: &RollbackTarget| ground.holds(target);
    let mut targets = known_good(ledger, name, &stands);
    targets.extend(migrated(ledger, name, &targets).into_iter().filter(stands));
    targets.truncate(limit.unwrap_or(usize::MAX));
    let present = ledger.occupant(name).and_then(|record| record.entry.release.clone());
    let mut releases = Vec::new();
    for target in targets {
        let checked = judge(context, ledger, &in_force, &target).await;
        let (problems, warnings) = match checked {
            Ok(checked) => checked,
            // Another answer can be had later, of this release or of another one.
            Err(error) if error.kind() == ErrorKind::Temporary => return Err(error),
            Err(error) => (as_problems(&error), Vec::new()),
        };
        releases.push(CheckedRelease {
            is_deployed: present.as_ref() == Some(&target.release),
            possible: problems.is_empty(),
            release: target.release,
            tag: target.tag,
            lock: target.lock,
            commit: target.commit,
            since: target.since,
            problems,
            warnings,
        });
    }
    Ok(RollbackCheckReport { environment: name.clone(), releases })
}

/// What stands against a release, and what to know before going back to it.
type Judged = (Vec<Problem>, Vec<String>);

async fn judge(context: &Context, ledger: &Ledger, in_force: &Environment, target: &RollbackTarget) -> Result<Judged> {
    let name = &in_force.name;
    let revision = Revision::load(context, &target.commit)?;
    let mut environment = revision.environment(name)?.clone();
    environment.allow_as(in_force);
    environment.removed = in_force.removed;
    let environment = &environment;
    let commit = target.commit.short(12);
    let file = revision
        .lock(context)?
        .ok_or_else(|| Error::new(ErrorKind::Repository, format!("commit {commit} has no lock any more")))?;
    let lock = &file.lock;
    let release = revision.release(lock);
    if release != target.release {
        return Err(Error::new(ErrorKind::Repository, format!("commit {commit} makes release {}", release.id8())));
    }
    let mut problems = gone_of(context, &revision, lock, name).await?;
    if let Some(rejection) = ledger.rejected(&target.lock) {
        problems.push(Problem::new("lock", format!("rejected by {}: {}", rejection.by, rejection.reason)));
    }
    let migrations = Migrations::behind(context, ledger, name, target, lock);
    let warnings = migrations.warnings().collect();
    problems.extend(migrations.irreversible);
    let planning = Planning { context, ledger, revision: &revision, environment, lock, release: &release };
    let may_write = match planning.refuse_left_place(context).await {
        Ok(()) => planning.refuse_foreign_places(context).await,
        Err(error) => Err(error),
    };
    let planned = match may_write {
        Ok(()) => match Box::pin(planning.with_settings(context, Configuration::OfRelease)).await {
            Ok(deployable) => deployable.plan(context).await.map(drop),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    match planned {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Temporary => return Err(error),
        Err(error) => problems.extend(as_problems(&error)),
    }
    Ok((problems, warnings))
}

/// The problems that an error lists, or the error as the only one.
fn as_problems(error: &Error) -> Vec<Problem> {
    if error.all_problems().is_empty() {
        // The table has one line for each release, and the cause is what it is looked at for.
        let said: Vec<String> = std::iter::once(error.message().to_owned()).chain(error.causes()).collect();
        vec![Problem::new("release", said.join(": "))]
    } else {
        error.all_problems().to_vec()
    }
}
