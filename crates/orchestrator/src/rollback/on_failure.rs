//! What follows a deployment that failed.

use lock_model::EnvironmentName;

use super::{RollbackRequest, rollback};
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::report::v1::RunReport;

/// What follows a deployment that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing: the same command goes on once the cause is gone.
    #[default]
    Stop,
    /// The release before is deployed again, and the environment is held.
    Rollback,
}

/// Goes back where a deployment failed and that is asked for. The error stays the failure's own; it says what became of the
/// rollback. The caller has given the environment's lease back.
pub(crate) async fn go_back_after(
    context: &Context,
    name: &EnvironmentName,
    on_failure: OnFailure,
    error: Error,
) -> Error {
    if on_failure == OnFailure::Stop || error.kind() != ErrorKind::Deploy {
        return error;
    }
    context.note(format!("the deployment failed: `{name}` goes back to the release before"));
    let request = RollbackRequest::new(name.clone(), format!("a deployment failed: {}", error.message()));
    match rollback(context, &request).await {
        Ok(RunReport { stopped: None, release, .. }) => {
            let release = release.map_or_else(|| "before".to_owned(), |release| release.id8().to_owned());
            error.hint(format!(
                "release {release} is back, and `{name}` is held: `orchestrator unhold {name} --reason …`"
            ))
        }
        Ok(RunReport { steps, .. }) => {
            let last = steps.last().map_or_else(String::new, |line| format!(" at {}: {}", line.step, line.detail));
            error.hint(format!("the rollback stopped{last}")).hint(again(name))
        }
        Err(failed) => {
            let error = error.hint(format!("the rollback failed as well: {}", failed.message()));
            failed.hints().iter().cloned().fold(error, Error::hint).hint(again(name))
        }
    }
}

fn again(name: &EnvironmentName) -> String {
    format!("`orchestrator rollback {name} --reason …` begins it again, or goes on with it")
}
