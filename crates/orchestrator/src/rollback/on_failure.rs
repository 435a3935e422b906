//! What follows a deployment that failed.

use lock_model::EnvironmentName;
use promotion::rollback::{RollbackTarget, target};

use super::{RollbackGround, RollbackRequest, rollback};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_store::LedgerStore;
use crate::report::v1::{RunReport, StepResult};

/// What follows a deployment that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing: the same command goes on once the cause is gone.
    #[default]
    Stop,
    /// The release before is deployed again, and the environment is held.
    Rollback,
}

/// Goes back where a deployment failed, or was not what the lock says, and that is asked for; else the error says how. The answer
/// stays the failure's own, and says what became of the rollback. The caller has given the environment's lease back.
pub(crate) async fn go_back_after(
    context: &Context,
    name: &EnvironmentName,
    on_failure: OnFailure,
    failed: Result<RunReport>,
) -> Result<RunReport> {
    match (failed, on_failure) {
        (Err(error), OnFailure::Stop) if error.kind() == ErrorKind::Deploy => {
            Err(match way_back(context, name).await {
                Some(way) => error.hint(way),
                None => error,
            })
        }
        (Err(error), OnFailure::Rollback) if error.kind() == ErrorKind::Deploy => {
            let said = went_back(context, name, error.message()).await;
            Err(said.into_iter().fold(error, Error::hint))
        }
        (Ok(mut report), OnFailure::Rollback) if report.stopped == Some(ErrorKind::Deploy) => {
            let failed = report.steps.iter().rev().find(|line| line.result == StepResult::Failed);
            let reason = failed.map_or_else(String::new, |line| format!("{}: {}", line.step, line.detail));
            let said = went_back(context, name, &reason).await;
            report.warnings.extend(said);
            Ok(report)
        }
        (other, OnFailure::Stop | OnFailure::Rollback) => other,
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

/// Goes back, and says what became of that.
async fn went_back(context: &Context, name: &EnvironmentName, reason: &str) -> Vec<String> {
    context.note(format!("the deployment failed: `{name}` goes back to the release before"));
    let request = RollbackRequest::new(name.clone(), format!("a deployment failed: {reason}"));
    match rollback(context, &request).await {
        Ok(RunReport { stopped: None, release, .. }) => {
            let release = release.map_or_else(|| "before".to_owned(), |release| release.id8().to_owned());
            vec![format!("release {release} is back, and `{name}` is held: `orchestrator unhold {name} --reason …`")]
        }
        Ok(RunReport { steps, .. }) => {
            let last = steps.last().map_or_else(String::new, |line| format!(" at {}: {}", line.step, line.detail));
            vec![format!("the rollback stopped{last}"), again(name)]
        }
        Err(failed) => {
            let mut said = vec![format!("the rollback failed as well: {}", failed.message())];
            said.extend(
                failed.all_problems().iter().map(|problem| format!("{}: {}", problem.subject, problem.message)),
            );
            said.extend(failed.hints().iter().cloned());
            said.extend(may_go_on(failed.kind()).then(|| again(name)));
            said
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
