//! Where the images of one host are: a registry, or a layout folder that stands for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lock_model::{Digest, ImageRepository, Tag};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::auth::{Account, Authenticator};
use crate::cache::RepositoryCache;
use crate::document::Fetched;
use crate::error::RegistryErrorKind;
use crate::host::HostGate;
use crate::http::{Answer, Ask};
use crate::layout::LayoutReader;
use crate::media_type::ACCEPT_MANIFESTS;
use crate::options::{Limits, Mirror, RegistryOptions};

/// What answers for one host.
#[derive(Clone, Debug)]
pub(crate) enum Backend<'a> {
    Layout {
        reader: Arc<LayoutReader>,
        limits: Limits,
    },
    Http {
        authenticator: &'a Authenticator,
        base: Url,
        gate: Arc<HostGate>,
        account: Arc<Account>,
        cache: Option<RepositoryCache>,
    },
}

/// What a question needs besides its subject.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) deadline: Instant,
    pub(crate) on_retry: &'a (dyn Fn(Duration, &str) + Sync),
}

/// What a tag points at.
#[derive(Debug)]
pub(crate) struct Tagged {
    pub(crate) digest: Digest,
    /// The document, where the digest could be had only by fetching and hashing it.
    pub(crate) document: Option<Fetched>,
}

impl Backend<'_> {
    /// The digest that a tag has now: a HEAD; when that fails or names no digest, a GET whose body is hashed.
    pub(crate) async fn tag(
        &self,
        repository: &ImageRepository,
        tag: &Tag,
        context: Context<'_>,
    ) -> Result<Tagged, RegistryErrorKind> {
        let (authenticator, base, gate, account, cache) = match self {
            Self::Layout { reader, .. } => {
                let entry = reader.find(repository, tag)?.ok_or(RegistryErrorKind::Missing)?;
                return Ok(Tagged { digest: entry.digest.clone(), document: None });
            }
            Self::Http { authenticator, base, gate, account, cache } => (authenticator, base, gate, account, cache),
        };
        let mut ask = manifest_ask(authenticator, base, gate, repository, tag.as_str(), context);
        ask.method = Method::HEAD;
        let head = authenticator.send(&ask, account).await?;
        if head.status.is_success() {
            if let Some(digest) = announced(&head.headers) {
                return Ok(Tagged { digest, document: None });
            }
        } else if head.status == StatusCode::UNAUTHORIZED {
            return Err(head.into_failure(RegistryErrorKind::Missing));
        }
        ask.method = Method::GET;
        let (digest, document) = hashed(authenticator.send(&ask, account).await?, RegistryErrorKind::Missing)?;
        add(cache.as_ref(), &digest, &document);
        Ok(Tagged { digest, document: Some(document) })
    }

    /// The digest that a tag had when it was last looked at: a guess, which [`tag`](Self::tag) has to confirm.
    pub(crate) fn remembered(&self, tag: &Tag) -> Option<Digest> {
        match self {
            Self::Layout { .. } => None,
            Self::Http { cache, .. } => cache.as_ref()?.tag(tag),
        }
    }

    /// Remembers the digest that a tag has.
    pub(crate) fn remember(&self, tag: &Tag, digest: &Digest) {
        if let Self::Http { cache: Some(cache), .. } = self {
            cache.keep_tag(tag, digest);
        }
    }

    /// Gets ready to read an image of which something may be known.
    pub(crate) fn open(&self, image: &Digest) {
        if let Self::Http { cache: Some(cache), .. } = self {
            cache.open(image);
        }
    }

    /// Keeps what was read of an image since [`open`](Self::open).
    pub(crate) fn keep(&self, image: &Digest) {
        if let Self::Http { cache: Some(cache), .. } = self {
            cache.keep(image);
        }
    }

    /// Forgets what a tag had.
    pub(crate) fn forget(&self, tag: &Tag) {
        if let Self::Http { cache: Some(cache), .. } = self {
            cache.forget_tag(tag);
        }
    }

    /// Whether a HEAD says that there is no such tag. Any other answer, or none, leaves the question open.
    pub(crate) async fn head_finds_nothing(
        &self,
        repository: &ImageRepository,
        tag: &Tag,
        context: Context<'_>,
    ) -> bool {
        match self {
            Self::Layout { reader, .. } => reader.entry(repository, tag).is_none(),
            Self::Http { authenticator, base, gate, account, .. } => {
                let mut ask = manifest_ask(authenticator, base, gate, repository, tag.as_str(), context);
                ask.method = Method::HEAD;
                authenticator.send(&ask, account).await.is_ok_and(|head| head.status == StatusCode::NOT_FOUND)
            }
        }
    }

    /// A manifest or an index by its digest, hashed; from the cache where it has been fetched before.
    pub(crate) async fn manifest(
        &self,
        repository: &ImageRepository,
        digest: &Digest,
        context: Context<'_>,
    ) -> Result<Fetched, RegistryErrorKind> {
        if let Self::Http { cache: Some(cache), .. } = self
            && let Some(known) = cache.document(digest)
        {
            return Ok(known);
        }
        self.fetch_manifest(repository, digest, context).await
    }

    /// A manifest or an index by its digest, hashed, from where it is now.
    async fn fetch_manifest(
        &self,
        repository: &ImageRepository,
        digest: &Digest,
        context: Context<'_>,
    ) -> Result<Fetched, RegistryErrorKind> {
        let missing = || RegistryErrorKind::Gone { digest: digest.clone() };
        match self {
            Self::Layout { reader, limits } => {
                let bytes = reader.blob(digest, limits.manifest)?.ok_or_else(missing)?;
                Ok(Fetched { bytes: bytes.into(), media_type: None })
            }
            Self::Http { authenticator, base, gate, account, cache } => {
                let ask = manifest_ask(authenticator, base, gate, repository, digest.as_str(), context);
                let (hash, document) = hashed(authenticator.send(&ask, account).await?, missing())?;
                compare(digest, hash)?;
                add(cache.as_ref(), digest, &document);
                Ok(document)
            }
        }
    }

    /// The document behind a tag whose digest a HEAD named, hashed.
    ///
    /// It is asked for by digest, so that what is hashed cannot be another version than the one that was named. A
    /// registry that does not have it under its digest is asked for the tag, to tell a lie from a loss.
    pub(crate) async fn document(
        &self,
        repository: &ImageRepository,
        tag: &Tag,
        digest: &Digest,
        context: Context<'_>,
    ) -> Result<Fetched, RegistryErrorKind> {
        match (self.manifest(repository, digest, context).await, self) {
            (Ok(document), Self::Layout { reader, .. }) => {
                let Some(entry) = reader.entry(repository, tag) else { return Err(RegistryErrorKind::Missing) };
                check_size(digest, entry.size, &document.bytes)?;
                Ok(Fetched { media_type: Some(entry.media_type.clone()), ..document })
            }
            (Err(RegistryErrorKind::Gone { digest }), Self::Http { authenticator, base, gate, account, .. }) => {
                let ask = manifest_ask(authenticator, base, gate, repository, tag.as_str(), context);
                let gone = RegistryErrorKind::Gone { digest: digest.clone() };
                let (hash, document) = hashed(authenticator.send(&ask, account).await?, gone)?;
                compare(&digest, hash)?;
                Ok(document)
            }
            (answer, _) => answer,
        }
    }

    /// The document of a digest that the request names, hashed.
    pub(crate) async fn pinned(
        &self,
        repository: &ImageRepository,
        digest: &Digest,
        context: Context<'_>,
    ) -> Result<Fetched, RegistryErrorKind> {
        match (self.manifest(repository, digest, context).await, self) {
            (Err(RegistryErrorKind::Gone { .. }), _) => Err(RegistryErrorKind::Missing),
            (Ok(document), Self::Layout { reader, .. }) => {
                let entry = reader.entries().values().find(|entry| entry.digest == *digest);
                Ok(Fetched { media_type: entry.map(|entry| entry.media_type.clone()), ..document })
            }
            (answer, _) => answer,
        }
    }

    /// The configuration of an image, hashed.
    pub(crate) async fn config(
        &self,
        repository: &ImageRepository,
        digest: &Digest,
        context: Context<'_>,
    ) -> Result<Arc<[u8]>, RegistryErrorKind> {
        let missing = || RegistryErrorKind::ChildMissing { what: "configuration".to_owned(), digest: digest.clone() };
        match self {
            Self::Layout { reader, limits } => reader.blob(digest, limits.config)?.map(Arc::from).ok_or_else(missing),
            Self::Http { authenticator, base, gate, account, cache } => {
                if let Some(known) = cache.as_ref().and_then(|cache| cache.document(digest)) {
                    return Ok(known.bytes);
                }
                let url = address(base, repository, "blobs", digest.as_str());
                let limit = authenticator.options().limits.config;
                let ask = Ask::new(Method::GET, url, limit, gate, context.deadline);
                let ask = Ask { on_retry: context.on_retry, ..ask };
                let answer = authenticator.send(&ask, account).await?;
                if !answer.status.is_success() {
                    return Err(answer.into_failure(missing()));
                }
                compare(digest, Digest::of(&answer.body))?;
                let config = Fetched { bytes: answer.body.into(), media_type: None };
                add(cache.as_ref(), digest, &config);
                Ok(config.bytes)
            }
        }
    }

    /// Whether a manifest or an index is still there.
    pub(crate) async fn has_manifest(
        &self,
        repository: &ImageRepository,
        digest: &Digest,
        context: Context<'_>,
    ) -> Result<bool, RegistryErrorKind> {
        if let Self::Http { authenticator, base, gate, account, .. } = self {
            let mut ask = manifest_ask(authenticator, base, gate, repository, digest.as_str(), context);
            ask.method = Method::HEAD;
            let head = authenticator.send(&ask, account).await?;
            if head.status.is_success()
                && let Some(reported) = announced(&head.headers)
            {
                return compare(digest, reported).map(|()| true);
            }
            if head.status == StatusCode::UNAUTHORIZED {
                return Err(head.into_failure(RegistryErrorKind::Missing));
            }
        }
        // Never from the cache: the question is whether it is still there.
        match self.fetch_manifest(repository, digest, context).await {
            Ok(_) => Ok(true),
            Err(RegistryErrorKind::Gone { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

/// What answers for a host: a mirror, or the host itself.
pub(crate) enum Target<'a> {
    Folder(&'a Path),
    Http(Url),
}

pub(crate) fn target_of<'a>(host: &str, options: &'a RegistryOptions) -> Result<Target<'a>, RegistryErrorKind> {
    match options.mirrors.get(host) {
        Some(Mirror::OciLayout(folder)) => Ok(Target::Folder(folder)),
        Some(Mirror::Http(url)) => Ok(Target::Http(url.clone())),
        None => base_of(host, options).map(Target::Http),
    }
}

/// Where requests for a host go when no mirror stands for it.
pub(crate) fn base_of(host: &str, options: &RegistryOptions) -> Result<Url, RegistryErrorKind> {
    // Docker Hub's registry does not live at the name that its images carry.
    let host = if host == "docker.io" { "registry-1.docker.io" } else { host };
    let invalid = |_| RegistryErrorKind::Client { reason: format!("`{host}` is not the name of a host") };
    let plain = Url::parse(&format!("http://{host}")).map_err(invalid)?;
    if options.may_be_plain(&plain) {
        return Ok(plain);
    }
    Url::parse(&format!("https://{host}")).map_err(invalid)
}

pub(crate) fn address(base: &Url, repository: &ImageRepository, kind: &str, name: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("/v2/{}/{kind}/{name}", repository.path()));
    url
}

fn manifest_ask<'a>(
    authenticator: &Authenticator,
    base: &Url,
    gate: &'a HostGate,
    repository: &ImageRepository,
    name: &str,
    context: Context<'a>,
) -> Ask<'a> {
    let url = address(base, repository, "manifests", name);
    let limit = authenticator.options().limits.manifest;
    let ask = Ask::new(Method::GET, url, limit, gate, context.deadline);
    Ask { accept: Some(ACCEPT_MANIFESTS), on_retry: context.on_retry, ..ask }
}

/// The body of a good answer with its hash, which must be the announced one where one is announced.
pub(crate) fn hashed(answer: Answer, missing: RegistryErrorKind) -> Result<(Digest, Fetched), RegistryErrorKind> {
    if !answer.status.is_success() {
        return Err(answer.into_failure(missing));
    }
    let media_type = answer.content_type();
    let digest = Digest::of(&answer.body);
    if let Some(reported) = announced(&answer.headers) {
        compare(&reported, digest.clone())?;
    }
    Ok((digest, Fetched { bytes: answer.body.into(), media_type }))
}

/// The digest in an answer's header. One that is empty, malformed or in capitals counts as none: the body decides.
pub(crate) fn announced(headers: &HeaderMap) -> Option<Digest> {
    let mut values = headers.get_all("docker-content-digest").iter();
    let value = values.next()?.to_str().ok()?;
    let digest = Digest::try_from(value).ok()?;
    values.all(|other| other == value).then_some(digest)
}

fn add(cache: Option<&RepositoryCache>, digest: &Digest, document: &Fetched) {
    if let Some(cache) = cache {
        cache.add(digest, document);
    }
}

pub(crate) fn compare(reported: &Digest, hashed: Digest) -> Result<(), RegistryErrorKind> {
    if *reported == hashed {
        Ok(())
    } else {
        Err(RegistryErrorKind::DigestDiffers { reported: reported.clone(), hashed })
    }
}

/// Compares the length of a document with the one in the descriptor that refers to it.
pub(crate) fn check_size(digest: &Digest, reported: u64, bytes: &[u8]) -> Result<(), RegistryErrorKind> {
    let actual = u64::try_from(bytes.len()).expect("a length in memory fits 64 bits");
    if actual == reported {
        return Ok(());
    }
    Err(RegistryErrorKind::SizeDiffers { digest: digest.clone(), reported, actual })
}
