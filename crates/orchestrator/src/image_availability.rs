//! Whether the images of a lock are still there.

use lock_model::{Content, Lock, Service, ServiceName};
use registry::DigestRequest;

use crate::error::{Problem, Result};
use crate::image_failure;
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
    let answers = registry.check_digests(&requests, context.deadline, &|_event| {}).await;
    for (service, answer) in services.into_iter().zip(answers) {
        match answer {
            Ok(answer) => gone.extend(answer.missing.into_iter().map(|(platform, digest)| {
                let platform = platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
                problem(service, format!("{digest}{platform} is gone"))
            })),
            Err(error) => failed.push((service, error)),
        }
    }
    if failed.is_empty() { Ok(gone) } else { Err(image_failure::unknown(context, &failed)) }
}
