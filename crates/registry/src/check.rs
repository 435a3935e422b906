//! Whether locked digests are still there.

use std::collections::BTreeSet;
use std::time::Instant;

use futures_util::future::join_all;
use lock_model::Digest;

use crate::document::{self, Document};
use crate::error::RegistryError;
use crate::registry::{Registry, Session};
use crate::remote::Context;
use crate::request::{DigestAnswer, DigestRequest, Event};

impl Registry {
    /// Asks for the digest of every image and of each of its platforms: an index whose platforms have been cleaned away
    /// is still there and cannot run.
    ///
    /// What is gone is an answer; an error means that it could not be found out. The answers are in the order of the
    /// requests.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled, unless a layout folder answers for every repository.
    pub async fn check_digests(
        &self,
        requests: &[DigestRequest],
        deadline: Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Vec<Result<DigestAnswer, RegistryError>> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let session = &self.session();
        let checks = requests.iter().enumerate().map(|(position, request)| async move {
            let on_retry = |wait, reason: &str| on_event(Event::Retrying { request: position, wait, reason });
            check(session, request, Context { deadline, on_retry: &on_retry }).await
        });
        join_all(checks).await
    }
}

impl Registry {
    /// The digests of the configurations of every image: those of its platforms' manifests, which are asked for by their own
    /// digests. The answers are in the order of the requests.
    ///
    /// # Panics
    ///
    /// As [`Registry::check_digests`].
    pub async fn configurations(
        &self,
        requests: &[DigestRequest],
        deadline: Instant,
    ) -> Vec<Result<BTreeSet<Digest>, RegistryError>> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let session = &self.session();
        join_all(requests.iter().map(|request| async move {
            configurations(session, request, Context { deadline, on_retry: &|_, _| () }).await
        }))
        .await
    }
}

async fn configurations(
    session: &Session<'_>,
    request: &DigestRequest,
    context: Context<'_>,
) -> Result<BTreeSet<Digest>, RegistryError> {
    let DigestRequest { repository, digest, platforms } = request;
    let failed = |digest: &_, kind| session.registry.failed(repository, format!("{repository}@{digest}"), kind);
    let backend = session.backend(repository, context).map_err(|kind| failed(digest, kind))?;
    let manifests: BTreeSet<&Digest> =
        if platforms.is_empty() { [digest].into() } else { platforms.values().collect() };
    let asked = manifests.into_iter().map(|digest| {
        let backend = &backend;
        async move {
            let fetched = backend.manifest(digest).await.map_err(|kind| failed(digest, kind))?;
            match document::parse(&fetched.bytes, fetched.media_type.as_deref()) {
                Ok(Document::Manifest(manifest)) => Ok(Some(manifest.config.digest)),
                // Which of its images runs, an index does not say.
                Ok(Document::Index(_)) => Ok(None),
                Err(kind) => Err(failed(digest, kind)),
            }
        }
    });
    let found = join_all(asked).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

async fn check(
    session: &Session<'_>,
    request: &DigestRequest,
    context: Context<'_>,
) -> Result<DigestAnswer, RegistryError> {
    let DigestRequest { repository, digest, platforms } = request;
    let failed = |digest: &_, kind| session.registry.failed(repository, format!("{repository}@{digest}"), kind);
    let backend = session.backend(repository, context).map_err(|kind| failed(digest, kind))?;
    // The image of a single platform is its own manifest.
    let platforms = platforms.iter().filter(|(_, child)| *child != digest);
    let wanted = [(None, digest)].into_iter().chain(platforms.map(|(platform, child)| (Some(platform), child)));
    let answers = wanted.map(|(platform, digest)| {
        let backend = &backend;
        async move {
            let there = backend.has_manifest(digest).await;
            there.map(|there| (platform, digest, there)).map_err(|kind| failed(digest, kind))
        }
    });
    let mut answer = DigestAnswer::default();
    for result in join_all(answers).await {
        let (platform, digest, there) = result?;
        if !there {
            answer.missing.push((platform.cloned(), digest.clone()));
        }
    }
    Ok(answer)
}
