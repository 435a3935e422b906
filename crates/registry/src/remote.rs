//! A repository of a registry, with what requests to it need.

use std::sync::Arc;
use std::time::Duration;

use lock_model::{Digest, ImageRepository};
use reqwest::Method;
use tokio::time::Instant;
use url::Url;

use crate::auth::{Account, Authenticator};
use crate::backend::compare;
use crate::error::RegistryErrorKind;
use crate::host::HostGate;
use crate::http::{Answer, Ask};
use crate::media_type::ACCEPT_MANIFESTS;

/// Most bytes of a list of tags: some registries give all of them.
const MOST_OF_TAGS: u64 = 4 << 20;

/// What a question needs besides its subject.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) deadline: Instant,
    pub(crate) on_retry: &'a (dyn Fn(Duration, &str) + Sync),
}

pub(crate) struct Remote<'a> {
    pub(crate) repository: &'a ImageRepository,
    pub(crate) authenticator: &'a Authenticator,
    pub(crate) base: Url,
    pub(crate) gate: Arc<HostGate>,
    pub(crate) account: Arc<Account>,
    pub(crate) context: Context<'a>,
}

impl<'a> Remote<'a> {
    pub(crate) fn new(
        authenticator: &'a Authenticator,
        repository: &'a ImageRepository,
        base: Url,
        context: Context<'a>,
    ) -> Self {
        let (gate, account) = (authenticator.gate(&base), authenticator.account(&base, &path_at(&base, repository)));
        Self { repository, authenticator, base, gate, account, context }
    }

    pub(crate) fn address(&self, kind: &str, name: &str) -> Url {
        address(&self.base, self.repository, kind, name)
    }

    /// A request to an address of the repository.
    pub(crate) fn request(&self, method: Method, url: Url, limit: u64) -> Ask<'_> {
        let Context { deadline, on_retry } = self.context;
        Ask { on_retry, ..Ask::new(method, url, limit, &self.gate, deadline) }
    }

    /// Sends a request with the repository's login.
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Answer, RegistryErrorKind> {
        self.authenticator.send(&ask, &self.account).await
    }

    /// Asks for a manifest or an index by its tag or digest.
    pub(crate) async fn manifest(&self, method: Method, name: &str) -> Result<Answer, RegistryErrorKind> {
        let limit = self.authenticator.options().limits.manifest;
        let ask = self.request(method, self.address("manifests", name), limit);
        self.send(Ask { accept: Some(ACCEPT_MANIFESTS), ..ask }).await
    }

    /// Asks for the first of the tags.
    pub(crate) async fn tags(&self) -> Result<Answer, RegistryErrorKind> {
        let mut url = self.address("tags", "list");
        url.set_query(Some("n=1"));
        self.send(self.request(Method::GET, url, MOST_OF_TAGS)).await
    }

    /// A blob, hashed.
    pub(crate) async fn blob(
        &self,
        digest: &Digest,
        limit: u64,
        missing: impl FnOnce() -> RegistryErrorKind,
    ) -> Result<Vec<u8>, RegistryErrorKind> {
        let answer = self.send(self.request(Method::GET, self.address("blobs", digest.as_str()), limit)).await?;
        if !answer.status.is_success() {
            return Err(answer.into_failure(missing()));
        }
        compare(digest, Digest::of(&answer.body))?;
        Ok(answer.body)
    }
}

pub(crate) fn address(base: &Url, repository: &ImageRepository, kind: &str, name: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("/v2/{}/{kind}/{name}", path_at(base, repository)));
    url
}

/// The repository at an address: below the path of a mirror that has one.
pub(crate) fn path_at(base: &Url, repository: &ImageRepository) -> String {
    match base.path().trim_matches('/') {
        "" => repository.path().to_owned(),
        folder => format!("{folder}/{}", repository.path()),
    }
}
