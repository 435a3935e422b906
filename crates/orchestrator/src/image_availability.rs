//! Whether the images of a lock are still there.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::{Content, Digest, Lock, Service, ServiceName};
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

/// The digests of the configurations of these locked images, by the locked digest.
pub(crate) async fn configuration_digests(
    context: &Workspace,
    revision: &Revision,
    lock: &Lock,
    wanted: &BTreeSet<Digest>,
) -> Result<BTreeMap<Digest, BTreeSet<Digest>>> {
    let registry = registry_client::client(context, &revision.config, &revision.inputs)?;
    let images = lock.services().iter().filter_map(|(name, service)| Some((name, service.content.image()?)));
    let (services, requests): (Vec<&ServiceName>, Vec<DigestRequest>) = images
        .filter(|(_, image)| wanted.contains(&image.digest))
        .map(|(name, image)| (name, DigestRequest::from(image)))
        .unzip();
    let mut found = BTreeMap::new();
    let mut failed = Vec::new();
    let answers = registry.configurations(&requests, context.deadline).await;
    for ((service, request), answer) in services.into_iter().zip(requests).zip(answers) {
        match answer {
            Ok(digests) => {
                found.insert(request.digest, digests);
            }
            Err(error) => failed.push((service, error)),
        }
    }
    if failed.is_empty() { Ok(found) } else { Err(image_failure::unknown(context, &failed)) }
}
