//! What the ledger keeps of a step that failed.

use crate::error::Error;
use crate::ledger_store::Document;
use crate::report::v1::evidence::{Evidence, FailedDeployment};

/// What a record says of an error that ended a step: the reason with what failed first, and what is known of the deployment.
pub(super) fn of_error(error: &Error) -> (String, Vec<Document>) {
    let Some(dossier) = error.ended_run().and_then(|run| run.dossier.clone()) else {
        return (error.message().to_owned(), Vec::new());
    };
    let reasons: Vec<String> = std::iter::once(error.message().to_owned()).chain(error.causes()).collect();
    let mut reason = reasons.join(": ");
    if let Some(failure) = dossier.failures.first() {
        reason.extend(["; ", failure.service.as_str(), ": ", &failure.object, ": ", &failure.state]);
        reason.extend(failure.causes.first().map(|cause| format!(" ({}: {})", cause.class, cause.message)));
    }
    let failed = FailedDeployment { reasons, dossier };
    (reason, vec![Document { name: "dossier.json".to_owned(), bytes: Evidence::new(failed).to_json() }])
}
