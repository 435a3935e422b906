//! What follows a deployment that failed.

use std::time::Duration;

use deployer::Dossier;
use lock_model::{EnvironmentName, ServiceName};
use promotion::rollback::{RollbackTarget, target};

use super::migrations::explicit_way;
use super::{FailedDeployment, RollbackGround, RollbackRequest, rollback};
use crate::context::Context;
use crate::engine::AfterFailure;
use crate::error::{Error, ErrorKind, Result};
use crate::hints::GOES_ON;
use crate::ledger_store::LedgerStore;
use crate::report::v1::{NotRolledBack, RunReport, StayCause, StepLine, StepResult};

/// What follows a deployment that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing: the same command goes on once the cause is gone.
    #[default]
    Stop,
    /// The release before is deployed again, and the environment is held.
    Rollback,
}

impl FailedDeployment {
    fn new(since: u64, dossier: Option<&Dossier>) -> Self {
        let set = |services: &[ServiceName]| services.iter().cloned().collect();
        let of = |part: fn(&Dossier) -> &[ServiceName]| dossier.map(|dossier| set(part(dossier))).unwrap_or_default();
        Self { since, changed: of(|dossier| &dossier.changed), untouched: of(|dossier| &dossier.untouched) }
    }
}

/// Goes back where a deployment failed, or was not what the lock says, and that is asked for; else the error says how. The answer
/// stays the failure's own, and says what became of the rollback. A run that gave way to another one takes nothing back: going
/// back would hold the environment, which the other run has or waits for. The caller has given the environment's lease back.
pub(crate) async fn go_back_after(
    context: &Context,
    name: &EnvironmentName,
    on_failure: OnFailure,
    after: Option<AfterFailure>,
    failed: Result<RunReport>,
) -> Result<RunReport> {
    let Some(AfterFailure { since, gave_way }) = after else { return failed };
    if let Some(reason) = gave_way {
        let said = (on_failure == OnFailure::Rollback).then(|| format!("no rollback follows the deployment: {reason}"));
        return match failed {
            Err(error) => Err(said.into_iter().fold(error, Error::hint)),
            Ok(mut report) => {
                report.warnings.extend(said);
                Ok(report)
            }
        };
    }
    match (failed, on_failure) {
        (Err(error), OnFailure::Stop) => Err(match way_back(context, name).await {
            Some(way) => error.hint(way),
            None => error,
        }),
        (Err(error), OnFailure::Rollback) => {
            let failed = FailedDeployment::new(since, error.ended_run().and_then(|run| run.dossier.as_ref()));
            let Followed { said, not_rolled_back, is_begun } = went_back(context, name, error.message(), failed).await;
            let error = if is_begun { error.without_hint(GOES_ON) } else { error };
            Err(said.into_iter().fold(error, Error::hint).not_rolled_back(not_rolled_back))
        }
        (Ok(mut report), OnFailure::Rollback) => {
            let failed = report.steps.iter().rev().find(|line| line.result == StepResult::Failed);
            let detail = |line: &StepLine| line.detail.lines().collect::<Vec<_>>().join("; ");
            let reason = failed.map_or_else(String::new, |line| format!("{}: {}", line.step, detail(line)));
            let followed = went_back(context, name, &reason, FailedDeployment::new(since, None)).await;
            report.warnings.extend(followed.said);
            report.not_rolled_back = followed.not_rolled_back;
            report.rolled_back = followed.is_begun;
            Ok(report)
        }
        (Ok(report), OnFailure::Stop) => Ok(report),
    }
}

/// How to go back, where there is a release to go back to.
async fn way_back(context: &Context, name: &EnvironmentName) -> Option<String> {
    let store = LedgerStore::read(context).await.ok()?;
    let ground = RollbackGround::of(context, name, store.ledger()).await.ok()?;
    let stands = |target: &RollbackTarget| ground.holds(target);
    let before = target(store.ledger(), name, None, &stands).ok()?;
    Some(format!("`orchestrator rollback {name} --reason …` goes back to release {}", before.release.id8()))
}

/// What became of a rollback that followed by itself.
struct Followed {
    said: Vec<String>,
    not_rolled_back: Vec<NotRolledBack>,
    /// Whether it was recorded, and holds the environment.
    is_begun: bool,
}

/// Goes back, and says what became of that, and of services that stay.
async fn went_back(context: &Context, name: &EnvironmentName, reason: &str, failed: FailedDeployment) -> Followed {
    context.note(format!("the deployment failed: `{name}` goes back to the release before"));
    let mut request = RollbackRequest::new(name.clone(), format!("a deployment failed: {reason}"));
    request.after = Some(failed);
    // Another run that has the environment meanwhile is not asked to stop.
    request.patience = Duration::ZERO;
    match Box::pin(rollback(context, &request)).await {
        Ok(RunReport { stopped: None, release, not_rolled_back, .. }) => {
            let release = release.map_or_else(|| "before".to_owned(), |release| release.id8().to_owned());
            let but_for = if not_rolled_back.is_empty() { "" } else { " but for what is named here" };
            let mut said = vec![format!(
                "release {release} is back{but_for}, and `{name}` is held: `orchestrator unhold {name} --reason …`"
            )];
            said.extend(not_rolled_back.iter().map(NotRolledBack::sentence));
            let migrated = not_rolled_back.iter().filter_map(|one| match one.cause {
                StayCause::Migration => Some(false),
                StayCause::IrreversibleMigration => Some(true),
                StayCause::CameSince => None,
            });
            said.extend(migrated.reduce(|one, other| one || other).map(|any| explicit_way(name, &release, any)));
            Followed { said, not_rolled_back, is_begun: true }
        }
        Ok(RunReport { steps, not_rolled_back, .. }) => {
            let last = steps.last().map_or_else(String::new, |line| format!(" at {}: {}", line.step, line.detail));
            Followed { said: vec![format!("the rollback stopped{last}"), again(name)], not_rolled_back, is_begun: true }
        }
        Err(failed) => {
            let store = LedgerStore::read(context).await;
            let is_begun = store.is_ok_and(|store| store.ledger().held(name).is_some());
            let failed = failed.without_hint(GOES_ON);
            let causes = std::iter::once(failed.message().to_owned()).chain(failed.causes());
            let mut said = vec![format!("the rollback failed as well: {}", causes.collect::<Vec<_>>().join(": "))];
            said.extend(
                failed.all_problems().iter().map(|problem| format!("{}: {}", problem.subject, problem.message)),
            );
            said.extend(failed.hints().iter().cloned());
            said.extend(may_go_on(failed.kind()).then(|| again(name)));
            let not_rolled_back = failed.ended_run().map(|run| run.not_rolled_back.clone()).unwrap_or_default();
            Followed { said, not_rolled_back, is_begun }
        }
    }
}

/// Whether the same rollback can go on after an error: one that was refused, or whose images are gone, has not begun.
fn may_go_on(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Temporary | ErrorKind::Storage | ErrorKind::Deploy | ErrorKind::Deadline => true,
        ErrorKind::Negative
        | ErrorKind::Usage
        | ErrorKind::Lock
        | ErrorKind::Repository
        | ErrorKind::Image
        | ErrorKind::Denied
        | ErrorKind::Refused
        | ErrorKind::Bug
        | ErrorKind::Interrupted => false,
    }
}

fn again(name: &EnvironmentName) -> String {
    format!("`orchestrator rollback {name} --reason …` begins it again, or goes on with it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_that_was_refused_is_not_offered_again() {
        let offered = |kind: &ErrorKind| may_go_on(*kind);
        let kinds: Vec<ErrorKind> = ErrorKind::ALL.into_iter().filter(offered).collect();
        let (temporary, deploy) = (ErrorKind::Temporary, ErrorKind::Deploy);
        assert_eq!(kinds, [temporary, ErrorKind::Storage, deploy, ErrorKind::Deadline]);
    }
}
