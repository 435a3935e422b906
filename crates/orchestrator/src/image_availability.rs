//! Whether the images of a lock are still there.

use lock_model::{Content, ErrorClass, Lock, Service, ServiceName};
use registry::DigestRequest;

use crate::error::{Error, ErrorKind, Problem, Result};
use crate::registry_client;
use crate::revision::Revision;
use crate::workspace::Workspace;

/// The digests of a lock, those of single platforms too, that the registries no longer have, for the services that `matters`
/// selects.
pub(crate) async fn gone(
    context: &Workspace,
    revision: &Revision,
    lock: &Lock,
    matters: impl Fn(&ServiceName, &Service) -> bool,
) -> Result<Vec<Problem>> {
    let registry = registry_client::client(context, &revision.config, &revision.inputs)?;
    let (services, requests): (Vec<&ServiceName>, Vec<DigestRequest>) = lock
        .services()
        .iter()
        .filter(|(name, service)| matters(name, service))
        .filter_map(|(name, service)| match &service.content {
            Content::Image(image) => Some((name, DigestRequest::from(image))),
            Content::Configuration => None,
        })
        .unzip();
    let problem =
        |service: &ServiceName, message: String| Problem { subject: service.to_string(), message, details: Vec::new() };
    let mut gone = Vec::new();
    let mut failed = Vec::new();
    let mut classes = Vec::new();
    let answers = registry.check_digests(&requests, context.deadline, &|_event| {}).await;
    for (service, answer) in services.into_iter().zip(answers) {
        match answer {
            Ok(answer) => gone.extend(answer.missing.into_iter().map(|(platform, digest)| {
                let platform = platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
                problem(service, format!("{digest}{platform} is gone"))
            })),
            Err(error) => {
                classes.push(error.class());
                failed.push(problem(service, error.to_string()));
            }
        }
    }
    if failed.is_empty() {
        return Ok(gone);
    }
    let class = registry::overall_class(classes).unwrap_or(ErrorClass::Temporary);
    let code = ErrorKind::of(class, ErrorKind::Image, ErrorKind::Image);
    Err(Error::new(code, "the registry gave no answer about locked images").problems(failed))
}
