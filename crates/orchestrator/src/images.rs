//! How a service's image is found.

use lock_model::{CommitId, ServiceName};
use registry::Attempt;

use crate::error::{Error, ErrorKind, Result};
use crate::hints::of_uncommitted_configuration;
use crate::image_failure::{hints_of, reason_text};
use crate::lock_builder;
use crate::report::v1::{ImageAttempt, ImagesExplainReport, TakenImage};
use crate::revision::Revision;
use crate::site::Site;
use crate::workspace::Workspace;

/// Looks for the image of a service as a lock of `revision` would, and says what was tried.
///
/// # Errors
///
/// Where the revision cannot be read, and for a service that it has not. An image that cannot be found is a report.
pub async fn explain_image<'a>(
    site: impl Into<Site<'a>>,
    revision: &str,
    service: &ServiceName,
) -> Result<ImagesExplainReport> {
    let site = site.into();
    site.sync()?;
    let context = site.workspace();
    let commit = context.resolve(revision)?;
    let uncommitted = of_uncommitted_configuration(&context.git, &commit);
    match explain(context, &commit, service).await {
        Ok(mut report) => {
            report.warnings.extend(uncommitted);
            Ok(report)
        }
        Err(error) => Err(uncommitted.into_iter().fold(error, Error::hint)),
    }
}

async fn explain(context: &Workspace, commit: &CommitId, service: &ServiceName) -> Result<ImagesExplainReport> {
    let revision = Revision::load(context, commit)?;
    let mut report = ImagesExplainReport {
        service: service.clone(),
        has_image: false,
        tried: Vec::new(),
        taken: None,
        reason: None,
        hints: Vec::new(),
        logins: Vec::new(),
        warnings: Vec::new(),
        failure: None,
    };
    let (service, explained) = lock_builder::explain(context, &revision, service).await?;
    report.service = service;
    let Some(explained) = explained else { return Ok(report) };
    report.has_image = true;
    let tried = match &explained.answer {
        Ok(resolution) => {
            let image = &resolution.image;
            report.taken = Some(TakenImage {
                reference: image.reference().to_string(),
                revision: image.revision.as_str().to_owned(),
                created: image.created.map_or(revision.time, |date| date.time),
            });
            report.warnings.extend(resolution.warnings.iter().map(ToString::to_string));
            &resolution.tried
        }
        Err(unresolved) => {
            report.failure = Some(ErrorKind::of(unresolved.class(), ErrorKind::Image, ErrorKind::Image));
            report.reason = Some(reason_text(&unresolved.reason));
            report.hints = hints_of(context, unresolved);
            &unresolved.tried
        }
    };
    report.tried = tried
        .iter()
        .map(|Attempt { reference, outcome, .. }| ImageAttempt {
            reference: reference.to_string(),
            answer: outcome.to_string(),
        })
        .collect();
    report.logins = explained.logins;
    report.warnings.extend(explained.warnings);
    Ok(report)
}
