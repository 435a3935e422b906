//! Where artefacts are put and fetched: a repository of a registry, or a layout folder that stands for it.

use std::path::Path;
use std::time::Instant;

use lock_model::{Digest, ImageRepository, Tag};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use super::document::refused;
use crate::backend::{Target, announced, check_size, compare, hashed, target_of};
use crate::document::Fetched;
use crate::error::RegistryErrorKind;
use crate::http::{Answer, Ask, Payload, judge_redirect};
use crate::layout::{Blob, LayoutReader, LayoutWriter};
use crate::media_type::{ACCEPT_MANIFESTS, OCI_INDEX};
use crate::options::Limits;
use crate::registry::Registry;
use crate::remote::{Context, Remote};
use crate::text::host_of;

/// Most bytes of an answer that says no more than that something was taken.
const ANSWER_LIMIT: u64 = 64 << 10;
/// How often an upload is begun anew when the registry has forgotten it.
const UPLOADS: u32 = 3;
/// Most pages of a list of referrers.
const PAGES: u32 = 64;

pub(super) struct Store<'a> {
    registry: &'a Registry,
    repository: &'a ImageRepository,
    location: Location<'a>,
    pub(super) limits: Limits,
}

enum Location<'a> {
    Folder(&'a Path),
    Registry(Remote<'a>),
}

/// The name of a manifest: by tag or by digest.
#[derive(Clone, Copy)]
pub(super) enum Name<'a> {
    Tag(&'a Tag),
    Digest(&'a Digest),
}

impl Name<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

impl<'a> Store<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        repository: &'a ImageRepository,
        deadline: Instant,
    ) -> Result<Self, RegistryErrorKind> {
        let authenticator = registry.authenticator();
        let options = authenticator.options();
        let location = match target_of(repository.host(), options)? {
            Target::Folder(folder) => Location::Folder(folder),
            Target::Http(base) => {
                let context = Context { deadline: deadline.into(), on_retry: &|_, _| () };
                Location::Registry(Remote::new(authenticator, repository, base, context))
            }
        };
        Ok(Self { registry, repository, location, limits: options.limits })
    }

    /// A manifest, an index or a list; `None` when it is not there.
    pub(super) async fn manifest(&self, name: Name<'_>) -> Result<Option<(Digest, Fetched)>, RegistryErrorKind> {
        match &self.location {
            Location::Folder(folder) => {
                let reader = LayoutReader::open(folder)?;
                let (digest, media_type) = match name {
                    Name::Digest(digest) => (digest.clone(), None),
                    Name::Tag(tag) => match reader.entry(self.repository, tag) {
                        None => return Ok(None),
                        Some(entry) => (entry.digest.clone(), Some(entry.media_type.clone())),
                    },
                };
                match reader.blob(&digest, self.limits.manifest)? {
                    None => Ok(None),
                    Some(bytes) => Ok(Some((digest, Fetched { bytes: bytes.into(), media_type }))),
                }
            }
            Location::Registry(remote) => {
                let answer = remote.manifest(Method::GET, name.as_str()).await?;
                if answer.status == StatusCode::NOT_FOUND {
                    return Ok(None);
                }
                let (digest, fetched) = hashed(answer, RegistryErrorKind::Missing)?;
                if let Name::Digest(wanted) = name {
                    compare(wanted, digest.clone())?;
                }
                Ok(Some((digest, fetched)))
            }
        }
    }

    /// Puts a manifest, an index or a list; gives the headers of the answer.
    pub(super) async fn put_manifest(&self, name: Name<'_>, document: &Blob) -> Result<HeaderMap, RegistryErrorKind> {
        match &self.location {
            Location::Folder(folder) => {
                let mut writer = LayoutWriter::create(folder)?;
                match name {
                    Name::Tag(tag) => writer.add_document(self.repository, tag, document)?,
                    Name::Digest(_) => writer.put_blob(&document.bytes)?,
                };
                Ok(HeaderMap::new())
            }
            Location::Registry(remote) => {
                let payload = Some(Payload::new(&document.media_type, document.bytes.clone()));
                let ask = remote.request(Method::PUT, remote.address("manifests", name.as_str()), ANSWER_LIMIT);
                let answer = remote.send(Ask { payload, ..ask }).await?;
                if !answer.status.is_success() {
                    return Err(answer.into_failure(RegistryErrorKind::Missing));
                }
                if let Some(reported) = announced(&answer.headers) {
                    compare(&reported, document.digest.clone())?;
                }
                Ok(answer.headers)
            }
        }
    }

    /// Takes a manifest away; `false` where there is none. Many registries do not let clients do that.
    pub(super) async fn delete_manifest(&self, digest: &Digest) -> Result<bool, RegistryErrorKind> {
        let Location::Registry(remote) = &self.location else {
            return Err(refused("nothing is deleted from a layout folder".to_owned()));
        };
        let place = remote.address("manifests", digest.as_str());
        let answer = remote.send(remote.request(Method::DELETE, place, ANSWER_LIMIT)).await?;
        match answer.status {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(answer.into_failure(RegistryErrorKind::Missing)),
        }
    }

    /// A blob, hashed, and of the length in the descriptor that refers to it.
    pub(super) async fn blob(&self, digest: &Digest, size: u64) -> Result<Vec<u8>, RegistryErrorKind> {
        if size > self.limits.blob {
            return Err(RegistryErrorKind::TooLarge { limit: self.limits.blob });
        }
        let missing = || RegistryErrorKind::ChildMissing { what: "blob".to_owned(), digest: digest.clone() };
        let bytes = match &self.location {
            Location::Folder(folder) => LayoutReader::open(folder)?.blob(digest, size)?.ok_or_else(missing)?,
            Location::Registry(remote) => remote.blob(digest, size, missing).await?,
        };
        check_size(digest, size, &bytes)?;
        Ok(bytes)
    }

    /// Puts a blob, unless it is there; says whether it was sent.
    pub(super) async fn put_blob(&self, blob: &Blob) -> Result<bool, RegistryErrorKind> {
        let remote = match &self.location {
            Location::Folder(folder) => {
                let mut writer = LayoutWriter::create(folder)?;
                let known = writer.reader().blob(&blob.digest, self.limits.blob)?.is_some();
                if !known {
                    writer.put_blob(&blob.bytes)?;
                }
                return Ok(!known);
            }
            Location::Registry(remote) => remote,
        };
        let turn = self.registry.upload_turn(&blob.digest);
        let late = |_| RegistryErrorKind::Deadline { host: host_of(&remote.base) };
        let _turn = tokio::time::timeout_at(remote.context.deadline, turn.lock()).await.map_err(late)?;
        let mut begun = 0;
        loop {
            let place = remote.address("blobs", blob.digest.as_str());
            let head = remote.send(remote.request(Method::HEAD, place, ANSWER_LIMIT)).await?;
            match head.status {
                status if status.is_success() => return Ok(false),
                StatusCode::NOT_FOUND => {}
                _ => return Err(head.into_failure(RegistryErrorKind::Missing)),
            }
            let uploads = remote.address("blobs", "uploads/");
            let begin = remote.send(remote.request(Method::POST, uploads.clone(), ANSWER_LIMIT)).await?;
            if !begin.status.is_success() {
                return Err(begin.into_failure(RegistryErrorKind::Missing));
            }
            begun += 1;
            let mut target = upload_address(&uploads, &begin)?;
            judge_redirect(&remote.base, &target, remote.authenticator.options())
                .map_err(|reason| RegistryErrorKind::Redirect { host: host_of(&remote.base), reason })?;
            target.query_pairs_mut().append_pair("digest", blob.digest.as_str());
            let end = upload(remote, target, blob).await?;
            match end.status {
                status if status.is_success() => return Ok(true),
                // A session that broke off is not always one that can go on, and docker-registry refuses one of two that
                // bring the same bytes at the same time (400, `DIGEST_INVALID`): then they are there soon.
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::RANGE_NOT_SATISFIABLE
                    if begun < UPLOADS =>
                {
                    tokio::time::sleep(remote.authenticator.http.pause(begun)).await;
                }
                _ => return Err(end.into_failure(RegistryErrorKind::Missing)),
            }
        }
    }

    /// The registry's own list of what refers to a digest, page by page; `None` where it keeps none.
    pub(super) async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Fetched>>, RegistryErrorKind> {
        let Location::Registry(remote) = &self.location else { return Ok(None) };
        let mut url = remote.address("referrers", subject.as_str());
        let mut pages = Vec::new();
        for _ in 0..PAGES {
            let ask = remote.request(Method::GET, url.clone(), self.limits.manifest);
            let answer = remote.send(Ask { accept: Some(ACCEPT_MANIFESTS), ..ask }).await?;
            let is_list = answer.content_type().is_some_and(|media_type| media_type == OCI_INDEX);
            if pages.is_empty() && (is_unknown_path(answer.status) || (answer.status.is_success() && !is_list)) {
                return Ok(None);
            }
            if !answer.status.is_success() {
                return Err(answer.into_failure(RegistryErrorKind::Missing));
            }
            let next = next_page(&url, &answer.headers)?;
            pages.push(Fetched { media_type: answer.content_type(), bytes: answer.body.into() });
            match next {
                None => return Ok(Some(pages)),
                Some(next) if next.origin() == remote.base.origin() => url = next,
                Some(next) => return Err(refused(format!("its next page is at another host (`{}`)", host_of(&next)))),
            }
        }
        Err(refused(format!("the list of referrers has more than {PAGES} pages")))
    }

    /// A short rest before something is done again.
    pub(super) async fn rest(&self, round: u32) {
        if let Location::Registry(remote) = &self.location {
            tokio::time::sleep(remote.authenticator.http.pause(round)).await;
        }
    }
}

/// Sends the bytes of an upload: with the repository's login, or without any where the address is another host's.
async fn upload(remote: &Remote<'_>, target: Url, blob: &Blob) -> Result<Answer, RegistryErrorKind> {
    let payload = Some(Payload::new("application/octet-stream", blob.bytes.clone()));
    if target.origin() == remote.base.origin() {
        return remote.send(Ask { payload, ..remote.request(Method::PUT, target, ANSWER_LIMIT) }).await;
    }
    let gate = remote.authenticator.gate(&target);
    let ask = Ask { payload, gate: &gate, ..remote.request(Method::PUT, target, ANSWER_LIMIT) };
    remote.authenticator.http.exchange(&ask, None).await
}

/// The statuses with which registries say that they do not know what a list of referrers is.
fn is_unknown_path(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 405 | 406 | 501)
}

/// Where the bytes of an upload go.
fn upload_address(asked: &Url, begin: &Answer) -> Result<Url, RegistryErrorKind> {
    let location = begin.headers.get(LOCATION).and_then(|location| location.to_str().ok());
    location.and_then(|location| asked.join(location).ok()).ok_or_else(|| RegistryErrorKind::Redirect {
        host: begin.host.clone(),
        reason: "an upload to no address".to_owned(),
    })
}

/// The next page of a list ([RFC 8288]): `Link: </v2/…?n=50&last=…>; rel="next"`.
///
/// [RFC 8288]: https://www.rfc-editor.org/rfc/rfc8288
fn next_page(url: &Url, headers: &HeaderMap) -> Result<Option<Url>, RegistryErrorKind> {
    let links = headers.get_all(reqwest::header::LINK).iter().filter_map(|link| link.to_str().ok());
    for link in links.flat_map(|links| links.split(',')) {
        let Some((target, parameters)) = link.trim().strip_prefix('<').and_then(|link| link.split_once('>')) else {
            continue;
        };
        let is_next = |parameter: &str| {
            let parameter: String = parameter.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
            parameter.eq_ignore_ascii_case("rel=next")
        };
        if parameters.split(';').any(is_next) {
            let next =
                url.join(target).map_err(|_| refused("the address of its next page cannot be read".to_owned()))?;
            return Ok(Some(next));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderValue, LINK};

    use super::*;
    use crate::options::RegistryOptions;
    use crate::remote::address;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(1024) })]

        /// Whatever is taken for the name of a repository, its requests go to its host and to its path, and to no other.
        #[test]
        fn t36_a_reference_leads_to_its_own_host_and_path(
            host in "([a-z0-9]{1,4}\\.[a-z@]{2,4}|localhost|127\\.0\\.0\\.1|docker\\.io|[a-zA-Z._\\[\\]-]{1,8})(:[0-9]{1,5})?",
            path in "[a-z0-9]{1,4}([/._@?#%-][a-z0-9]{1,3}){0,2}",
            tag in "[a-zA-Z0-9_][a-zA-Z0-9._/?#%-]{0,3}",
        ) {
            let text = format!("{host}/{path}");
            if let (Ok(repository), Ok(tag)) = (ImageRepository::normalize(&text), Tag::try_from(tag))
                && let Ok(Target::Http(base)) = target_of(repository.host(), &RegistryOptions::default())
            {
                let url = address(&base, &repository, "manifests", tag.as_str());
                proptest::prop_assert_eq!(url.path(), format!("/v2/{}/manifests/{tag}", repository.path()));
                proptest::prop_assert_eq!((url.username(), url.password()), ("", None));
                proptest::prop_assert_eq!((url.query(), url.fragment()), (None, None));
                let host = if repository.host() == "docker.io" { "registry-1.docker.io" } else { repository.host() };
                // The usual port need not be written, and none need be written with the fewest digits.
                let usual = if url.scheme() == "https" { 443 } else { 80 };
                let (name, port) = host.split_once(':').unwrap_or((host, ""));
                proptest::prop_assert_eq!(url.host_str(), Some(name));
                proptest::prop_assert_eq!(url.port_or_known_default(), Some(port.parse().unwrap_or(usual)));
            }
        }
    }

    #[test]
    fn the_next_page_is_found_among_other_links() {
        let url = Url::parse("https://a.b/v2/x/referrers/d").unwrap();
        let next = |links: &[&'static str]| {
            let headers: HeaderMap = links.iter().map(|link| (LINK, HeaderValue::from_static(link))).collect();
            next_page(&url, &headers).unwrap().map(String::from)
        };
        assert_eq!(next(&[]), None);
        assert_eq!(next(&[r#"</v2/y?last=1>; rel="next""#]).as_deref(), Some("https://a.b/v2/y?last=1"));
        assert_eq!(next(&["<?last=2>;title=a ; REL = next"]).as_deref(), Some("https://a.b/v2/x/referrers/d?last=2"));
        assert_eq!(next(&[r#"</1>; rel="prev", </2>; rel="next""#]).as_deref(), Some("https://a.b/2"));
        assert_eq!(next(&[r#"</1>; rel="last""#, "nonsense", "<open"]), None);
        let headers: HeaderMap = [(LINK, HeaderValue::from_static("<http://[>; rel=next"))].into_iter().collect();
        next_page(&url, &headers).unwrap_err();
    }
}
