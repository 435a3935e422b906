//! What the errors of a target mean: while it was read, and while it was written.

use cluster::LeaseState;
use deployer::{DeployError, DeployRequest, Dossier, Failure};
use lock_model::EnvironmentName;

use crate::error::{Error, ErrorKind, Problem};
use crate::hints;

/// An error of the target while it was written. The render target moves its branch last.
pub(super) fn not_stored(error: DeployError, environment: &EnvironmentName) -> Error {
    of_target("the rendered tree could not be stored", error, ErrorKind::Deploy, environment)
        .hint("the branch holds the old tree or the new one, nothing between")
}

/// An error of the cluster, or of helm, while it was written.
pub(super) fn not_installed(error: DeployError, lease: Option<LeaseState>, request: &DeployRequest) -> Error {
    let kind = match &error {
        // What moved before anything was changed is a refusal.
        DeployError::PlanMoved { dossier: None, .. } | DeployError::HookMoved { dossier: None, .. } => {
            Some(ErrorKind::Refused)
        }
        DeployError::PlanMoved { .. } | DeployError::HookMoved { .. } => Some(ErrorKind::Deploy),
        DeployError::NotDeployed { .. } | DeployError::NotReady { .. } | DeployError::Superseded { .. } => {
            Some(ErrorKind::Deploy)
        }
        _ => None,
    };
    let context = "the deployment is not complete";
    let of_lease = lease.and_then(|lease| hints::of_lease(&lease, &request.environment));
    let Some(kind) = kind else {
        return match of_lease {
            Some(hint) => {
                let kind = ErrorKind::of(error.class(), ErrorKind::Deploy, ErrorKind::Deploy);
                Error::from_source(kind, context, error).hint(hint)
            }
            None => of_target(context, error, ErrorKind::Deploy, &request.environment),
        };
    };
    let hints: Vec<String> = match of_lease {
        // That is why it ended; what was not ready then says nothing.
        Some(hint) => vec![hint],
        None => hints::of_dossier(&error).into_iter().chain(hints::of_target(&error)).collect(),
    };
    hints.into_iter().fold(with_dossier(kind, context, error), Error::hint)
}

/// A signal ended it: what is not ready now says nothing, and what was changed is said all the same.
pub(super) fn not_finished(error: DeployError) -> Error {
    let context = "interrupted, and the deployment is not complete";
    with_dossier(ErrorKind::Interrupted, context, error).hint("run the same command again: it goes on from the ledger")
}

/// An error with what is known of the deployment: for people and for programs.
fn with_dossier(kind: ErrorKind, context: &str, error: DeployError) -> Error {
    let dossier = error.dossier().cloned();
    let problems = dossier.as_ref().map(failures).unwrap_or_default();
    Error::from_source(kind, context, error).problems(problems).with_dossier(dossier.as_ref())
}

/// What is not ready, what failed first, and what the cluster remembers of it.
fn failures(dossier: &Dossier) -> Vec<Problem> {
    let failure = |failure: &Failure| {
        let causes = failure.causes.iter().flat_map(|cause| {
            let container = cause.container.as_ref().map(|name| format!(", container {name}")).unwrap_or_default();
            let said = format!("{}: {}{container}: {}", cause.class, cause.object, cause.message);
            let part = |title: &str, lines: &[String]| {
                let title = (!lines.is_empty()).then(|| format!("  {title}:"));
                title.into_iter().chain(lines.iter().map(|line| format!("    {line}"))).collect::<Vec<_>>()
            };
            let parts = [
                part("events", &cause.events),
                part("log of the container before the last restart", &cause.previous_log),
                part("log", &cause.log),
            ];
            std::iter::once(said).chain(parts.into_iter().flatten()).collect::<Vec<_>>()
        });
        let message = format!("{}: {}", failure.object, failure.state);
        Problem::new(failure.service.to_string(), message).details(causes)
    };
    let unknown = dossier.unknown.iter().map(|unknown| Problem::new("not known", unknown.as_str()));
    dossier.failures.iter().map(failure).chain(unknown).collect()
}

/// An error of the target while it was read, which changes nothing.
pub(super) fn not_read(error: DeployError, environment: &EnvironmentName) -> Error {
    of_target("what is stored in the target cannot be read", error, ErrorKind::Repository, environment)
}

fn of_target(context: &str, error: DeployError, otherwise: ErrorKind, environment: &EnvironmentName) -> Error {
    let code = match &error {
        DeployError::Program { .. } => ErrorKind::Usage,
        _ => ErrorKind::of(error.class(), otherwise, otherwise),
    };
    let hint = hints::of_target_of(&error, environment);
    hint.into_iter().fold(Error::from_source(code, context, error), Error::hint)
}

#[cfg(test)]
mod tests {
    use lock_model::ErrorClass;

    use super::*;

    /// Only what was written can have failed after some changes.
    #[test]
    fn reading_a_target_is_no_failed_deployment() {
        for (class, read, stored) in [
            (ErrorClass::NotFound, ErrorKind::Repository, ErrorKind::Deploy),
            (ErrorClass::Invalid, ErrorKind::Repository, ErrorKind::Deploy),
            (ErrorClass::Denied, ErrorKind::Denied, ErrorKind::Denied),
            (ErrorClass::Temporary, ErrorKind::Temporary, ErrorKind::Temporary),
            (ErrorClass::Storage, ErrorKind::Storage, ErrorKind::Storage),
            (ErrorClass::Bug, ErrorKind::Bug, ErrorKind::Bug),
        ] {
            let failed = || DeployError::Failed {
                subject: "branch `deploy/staging`".to_owned(),
                action: "read it".to_owned(),
                class,
                source: "damaged".into(),
            };
            let shop = EnvironmentName::try_from("shop").expect("it is a name");
            assert_eq!(
                (not_read(failed(), &shop).kind(), not_stored(failed(), &shop).kind()),
                (read, stored),
                "{class:?}"
            );
        }
    }
}
