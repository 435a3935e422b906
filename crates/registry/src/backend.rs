//! Where the images of one host are: a registry, or a layout folder that stands for it.

use std::path::Path;
use std::sync::Arc;

use lock_model::{Digest, ImageRepository, Tag};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use crate::cache::RepositoryCache;
use crate::document::{Fetched, is_page};
use crate::error::RegistryErrorKind;
use crate::http::Answer;
use crate::layout::LayoutReader;
use crate::options::{Limits, Mirror, RegistryOptions};
use crate::remote::Remote;
use crate::request::AttemptOutcome;

/// One repository, and what answers for it.
pub(crate) struct Backend<'a> {
    pub(crate) repository: &'a ImageRepository,
    pub(crate) source: Source<'a>,
}

pub(crate) enum Source<'a> {
    Layout { reader: Arc<LayoutReader>, limits: Limits },
    Http { remote: Remote<'a>, cache: Option<RepositoryCache> },
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
    pub(crate) async fn tag(&self, tag: &Tag) -> Result<Tagged, RegistryErrorKind> {
        match self.head(tag).await? {
            Some(digest) => Ok(Tagged { digest, document: None }),
            None => self.get(tag).await,
        }
    }

    /// What a tag stands for, by one GET whose body is hashed. What a HEAD names all the same is not one that is missing.
    pub(crate) async fn fetch(&self, tag: &Tag) -> Result<Tagged, RegistryErrorKind> {
        match self.get(tag).await {
            Err(RegistryErrorKind::Missing) => {
                let digest = self.head(tag).await?.ok_or(RegistryErrorKind::Missing)?;
                Ok(Tagged { digest, document: None })
            }
            other => other,
        }
    }

    /// The digest that a HEAD names.
    async fn head(&self, tag: &Tag) -> Result<Option<Digest>, RegistryErrorKind> {
        let Source::Http { remote, .. } = &self.source else { return Ok(None) };
        let head = remote.manifest(Method::HEAD, tag.as_str()).await?;
        if head.status == StatusCode::UNAUTHORIZED {
            return Err(head.into_failure(RegistryErrorKind::Missing));
        }
        Ok(announced(&head.headers).filter(|_| head.status.is_success()))
    }

    async fn get(&self, tag: &Tag) -> Result<Tagged, RegistryErrorKind> {
        match &self.source {
            Source::Layout { reader, .. } => {
                let entry = reader.find(self.repository, tag)?.ok_or(RegistryErrorKind::Missing)?;
                Ok(Tagged { digest: entry.digest.clone(), document: None })
            }
            Source::Http { remote, cache } => {
                let answer = remote.manifest(Method::GET, tag.as_str()).await?;
                let (digest, document) = hashed(answer, RegistryErrorKind::Missing)?;
                add(cache.as_ref(), &digest, &document);
                Ok(Tagged { digest, document: Some(document) })
            }
        }
    }

    /// What is missing beside the tag that does not exist: the whole repository, of which the registry does not know the
    /// name or lists no tag, or the registry itself. `None` where any other answer, or none, leaves the question open.
    pub(crate) async fn missing_as_well(&self) -> Option<AttemptOutcome> {
        match &self.source {
            Source::Layout { reader, .. } => {
                let inside = format!("{}:", self.repository);
                let is_inside = reader.entries().keys().any(|name| name.starts_with(&inside));
                (!is_inside).then_some(AttemptOutcome::RepositoryMissing)
            }
            Source::Http { remote, .. } => {
                let answer = remote.tags().await.ok()?;
                if says_no_tags(answer.status, &answer.body) {
                    return Some(AttemptOutcome::RepositoryMissing);
                }
                let is_page = answer.status == StatusCode::NOT_FOUND && is_page(&answer.body);
                is_page.then_some(AttemptOutcome::PageMissing)
            }
        }
    }

    /// Whether every look asks a registry.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.source, Source::Http { .. })
    }

    /// What is kept of the repository on the disk; `None` without a cache, and for a layout folder.
    pub(crate) fn cache(&self) -> Option<&RepositoryCache> {
        match &self.source {
            Source::Layout { .. } => None,
            Source::Http { cache, .. } => cache.as_ref(),
        }
    }

    /// Whether a HEAD says that there is no such tag. Any other answer, or none, leaves the question open.
    pub(crate) async fn head_finds_nothing(&self, tag: &Tag) -> bool {
        match &self.source {
            Source::Layout { reader, .. } => reader.entry(self.repository, tag).is_none(),
            Source::Http { remote, .. } => {
                let head = remote.manifest(Method::HEAD, tag.as_str()).await;
                head.is_ok_and(|head| head.status == StatusCode::NOT_FOUND)
            }
        }
    }

    /// A manifest or an index by its digest, hashed; from the cache where it has been fetched before.
    pub(crate) async fn manifest(&self, digest: &Digest) -> Result<Fetched, RegistryErrorKind> {
        match self.cache().and_then(|cache| cache.document(digest)) {
            Some(known) => Ok(known),
            None => self.fetch_manifest(digest).await,
        }
    }

    /// A manifest or an index by its digest, hashed, from where it is now.
    async fn fetch_manifest(&self, digest: &Digest) -> Result<Fetched, RegistryErrorKind> {
        let missing = || RegistryErrorKind::Gone { digest: digest.clone() };
        match &self.source {
            Source::Layout { reader, limits } => {
                let bytes = reader.blob(digest, limits.manifest)?.ok_or_else(missing)?;
                Ok(Fetched { bytes: bytes.into(), media_type: None })
            }
            Source::Http { remote, cache } => {
                let (hash, document) = hashed(remote.manifest(Method::GET, digest.as_str()).await?, missing())?;
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
    pub(crate) async fn document(&self, tag: &Tag, digest: &Digest) -> Result<Fetched, RegistryErrorKind> {
        match (self.manifest(digest).await, &self.source) {
            (Ok(document), Source::Layout { reader, .. }) => {
                let Some(entry) = reader.entry(self.repository, tag) else { return Err(RegistryErrorKind::Missing) };
                check_size(digest, entry.size, &document.bytes)?;
                Ok(Fetched { media_type: Some(entry.media_type.clone()), ..document })
            }
            (Err(RegistryErrorKind::Gone { digest }), Source::Http { remote, .. }) => {
                let gone = RegistryErrorKind::Gone { digest: digest.clone() };
                let (hash, document) = hashed(remote.manifest(Method::GET, tag.as_str()).await?, gone)?;
                compare(&digest, hash)?;
                Ok(document)
            }
            (answer, _) => answer,
        }
    }

    /// The document of a digest that the request names, hashed.
    pub(crate) async fn pinned(&self, digest: &Digest) -> Result<Fetched, RegistryErrorKind> {
        match (self.manifest(digest).await, &self.source) {
            (Err(RegistryErrorKind::Gone { .. }), _) => Err(RegistryErrorKind::Missing),
            (Ok(document), Source::Layout { reader, .. }) => {
                let entry = reader.entries().values().find(|entry| entry.digest == *digest);
                Ok(Fetched { media_type: entry.map(|entry| entry.media_type.clone()), ..document })
            }
            (answer, _) => answer,
        }
    }

    /// The configuration of an image, hashed.
    pub(crate) async fn config(&self, digest: &Digest) -> Result<Arc<[u8]>, RegistryErrorKind> {
        let missing = || RegistryErrorKind::ChildMissing { what: "configuration".to_owned(), digest: digest.clone() };
        match &self.source {
            Source::Layout { reader, limits } => reader.blob(digest, limits.config)?.map(Arc::from).ok_or_else(missing),
            Source::Http { remote, cache } => {
                if let Some(known) = cache.as_ref().and_then(|cache| cache.document(digest)) {
                    return Ok(known.bytes);
                }
                let limit = remote.authenticator.options().limits.config;
                let bytes = remote.blob(digest, limit, missing).await?;
                let config = Fetched { bytes: bytes.into(), media_type: None };
                add(cache.as_ref(), digest, &config);
                Ok(config.bytes)
            }
        }
    }

    /// Whether a manifest or an index is still there.
    pub(crate) async fn has_manifest(&self, digest: &Digest) -> Result<bool, RegistryErrorKind> {
        if let Source::Http { remote, .. } = &self.source {
            let head = remote.manifest(Method::HEAD, digest.as_str()).await?;
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
        match self.fetch_manifest(digest).await {
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

/// Whether an answer to a question for the tags says that there are none, in the form that the distribution specification
/// gives it: a page that is not found at a proxy says nothing of a repository.
fn says_no_tags(status: StatusCode, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Page {
        tags: Option<Vec<IgnoredAny>>,
    }
    #[derive(Deserialize)]
    struct Refusal {
        errors: Vec<IgnoredAny>,
    }
    match status {
        StatusCode::OK => {
            serde_json::from_slice(body).is_ok_and(|page: Page| page.tags.is_none_or(|tags| tags.is_empty()))
        }
        StatusCode::NOT_FOUND => serde_json::from_slice(body).is_ok_and(|refusal: Refusal| !refusal.errors.is_empty()),
        _ => false,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registrys_own_answer_says_that_there_are_no_tags() {
        for (status, body, expected) in [
            (200, r#"{"name":"shop/cart","tags":null}"#, true),
            (200, r#"{"name":"shop/cart","tags":[]}"#, true),
            (200, r#"{"name":"shop/cart","tags":["a"]}"#, false),
            (404, r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#, true),
            (404, r#"{"errors":[]}"#, false),
            (404, "404 page not found", false),
            (200, "<html>", false),
            (401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#, false),
            (403, r#"{"errors":[{"code":"DENIED"}]}"#, false),
            (500, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(says_no_tags(status, body.as_bytes()), expected, "{status} {body}");
        }
    }
}
