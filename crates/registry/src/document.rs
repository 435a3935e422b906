//! Manifests, indexes and configurations, as they come over the wire: read strictly, since another reader of the same
//! bytes (a container runtime) must not see another image in them.

use std::fmt;
use std::sync::Arc;

use lock_model::{Digest, Timestamp};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::error::RegistryErrorKind;
use crate::media_type::{DOCKER_CONFIG, DocumentKind, OCI_CONFIG};
use crate::platform::{PlatformKey, ReportedPlatform};
use crate::text::escaped;

/// A document whose hash has been compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Shared with the cache, which keeps what was read.
    pub(crate) bytes: Arc<[u8]>,
    /// The type that it was served as.
    pub(crate) media_type: Option<String>,
}

/// What a tag or a digest stands for.
#[derive(Debug)]
pub(crate) enum Document {
    Index(Index),
    Manifest(Manifest),
}

/// An image for several platforms.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Descriptor>,
    pub(crate) created: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) foreign_urls: bool,
}

/// An image for one platform.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) created: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) foreign_urls: bool,
}

/// A reference to other content, with what it promises of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    platform: Option<WirePlatform>,
    annotations: Option<EntryAnnotations>,
    urls: Option<Vec<IgnoredAny>>,
}

#[derive(Debug, Deserialize)]
struct WirePlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

#[derive(Debug, Deserialize)]
struct EntryAnnotations {
    #[serde(rename = "vnd.docker.reference.type")]
    reference_type: Option<String>,
}

/// The part of an image's configuration that the lock is interested in.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    pub(crate) created: Option<String>,
    config: Option<ContainerConfig>,
}

#[derive(Debug, Deserialize)]
struct ContainerConfig {
    #[serde(rename = "Labels")]
    labels: Option<Labels>,
}

#[derive(Debug, Deserialize)]
struct Labels {
    #[serde(rename = "org.opencontainers.image.revision")]
    revision: Option<String>,
}

impl Descriptor {
    /// Whether the entry does not say which platform it is for, so that its configuration must.
    pub(crate) fn names_no_platform(&self) -> bool {
        self.platform.is_none()
            && !self.is_attestation()
            && DocumentKind::of(&self.media_type) == Some(DocumentKind::Manifest)
    }

    fn is_attestation(&self) -> bool {
        self.annotations.as_ref().is_some_and(|annotations| annotations.reference_type.is_some())
    }

    /// The platform of an index's entry; `None` when the entry is no image for a platform, or does not say.
    pub(crate) fn platform_key(&self) -> Option<PlatformKey> {
        let platform = self.platform.as_ref()?;
        // BuildKit stores provenance beside the images, as manifests for a platform that does not exist.
        if self.is_attestation()
            || platform.os == "unknown"
            || platform.architecture == "unknown"
            || platform.os.is_empty()
        {
            return None;
        }
        Some(PlatformKey::new(&platform.os, &platform.architecture, platform.variant.as_deref()))
    }

    fn has_urls(&self) -> bool {
        self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    }
}

impl ImageConfig {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, RegistryErrorKind> {
        if is_too_deep(bytes) {
            return Err(not_an_image(format!("its configuration {TOO_DEEP}")));
        }
        serde_json::from_slice(bytes)
            .map_err(|error| not_an_image(format!("its configuration is unreadable ({error})")))
    }

    /// The platform that the image is for, in its own words.
    pub(crate) fn platform(&self) -> ReportedPlatform<'_> {
        ReportedPlatform { os: &self.os, architecture: &self.architecture, variant: self.variant.as_deref() }
    }

    /// The label that names the commit that the image was built from. An empty one, which a build argument that is not set
    /// leaves, names none.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.config.as_ref()?.labels.as_ref()?.revision.as_deref().filter(|revision| !revision.trim().is_empty())
    }
}

/// Reads a manifest or an index.
///
/// `served_as` is the type that the answer, or the entry that led here, gives it. It must agree with what the document
/// says of itself and with what it is: a document that is an index for one reader and a manifest for another is refused.
pub(crate) fn parse(bytes: &[u8], served_as: Option<&str>) -> Result<Document, RegistryErrorKind> {
    if is_too_deep(bytes) {
        return Err(not_an_image(TOO_DEEP.to_owned()));
    }
    let wire: Wire = serde_json::from_slice(bytes).map_err(|error| unreadable(bytes, served_as, &error))?;
    let media_type = media_type(served_as, wire.media_type.as_deref()).map_err(|reason| {
        // A registry serves no manifest as text, whatever a proxy or a page makes of it.
        let is_text = served_as.is_some_and(|served| served.starts_with("text/"));
        if is_text { RegistryErrorKind::NotARegistry { reason } } else { not_an_image(reason) }
    })?;
    let Some(kind) = DocumentKind::of(media_type) else {
        return Err(not_an_image(format!("its media type is `{}`", escaped(media_type))));
    };
    if wire.old_schema {
        return Err(not_an_image("it has parts of a manifest of schema version 1".to_owned()));
    }
    if wire.schema_version != Some(2) {
        return Err(not_an_image("its `schemaVersion` is not 2".to_owned()));
    }
    match (kind, wire.manifests, wire.config, wire.layers) {
        (_, Some(_), Some(_), _) | (_, Some(_), _, Some(_)) => {
            Err(not_an_image("it is an index and a manifest at the same time".to_owned()))
        }
        (DocumentKind::Index, Some(entries), None, None) => {
            let foreign_urls = entries.iter().any(Descriptor::has_urls);
            Ok(Document::Index(Index { entries, created: wire.created, revision: wire.revision, foreign_urls }))
        }
        (DocumentKind::Manifest, None, Some(config), layers) if layers.is_some() || wire.null_layers => {
            let layers = layers.unwrap_or_default();
            if config.media_type != OCI_CONFIG && config.media_type != DOCKER_CONFIG {
                return Err(not_an_image(format!("its configuration is `{}`", escaped(&config.media_type))));
            }
            let foreign_urls = config.has_urls() || layers.iter().any(Descriptor::has_urls);
            Ok(Document::Manifest(Manifest { config, created: wire.created, revision: wire.revision, foreign_urls }))
        }
        (DocumentKind::Index, _, _, _) => Err(not_an_image("an index without `manifests`".to_owned())),
        (DocumentKind::Manifest, _, _, _) => Err(not_an_image("a manifest without `config` and `layers`".to_owned())),
    }
}

/// The media type that a document has, by the answer that it came in and by itself, which must not differ; `Err` says
/// what is wrong.
pub(crate) fn media_type<'a>(served_as: Option<&'a str>, own: Option<&'a str>) -> Result<&'a str, String> {
    match (served_as, own) {
        (Some(served), Some(own)) if served != own => {
            Err(format!("announced as `{}` but calling itself `{}`", escaped(served), escaped(own)))
        }
        (Some(media_type), _) | (None, Some(media_type)) => Ok(media_type),
        (None, None) => Err("it has no media type".to_owned()),
    }
}

/// A creation date; `None` for what builders write when they have none: the start of 1970, or of the year 1.
pub(crate) fn creation_date(text: &str) -> Result<Option<Timestamp>, ()> {
    let time = Timestamp::from_rfc3339(text).map_err(|_| ())?;
    Ok(Some(time).filter(|time| time.as_unix_seconds() > 0))
}

const TOO_DEEP: &str = "is nested deeper than container runtimes read";

/// Whether lists and maps are nested deeper than Go's JSON reader accepts: what runs the image is written in Go.
fn is_too_deep(bytes: &[u8]) -> bool {
    const DEEPEST: u32 = 10_000;
    let (mut depth, mut in_text, mut escaped) = (0_u32, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

fn not_an_image(reason: String) -> RegistryErrorKind {
    RegistryErrorKind::NotAnImage { reason }
}

fn unreadable(bytes: &[u8], served_as: Option<&str>, error: &serde_json::Error) -> RegistryErrorKind {
    match served_as {
        Some(served) if DocumentKind::of(served).is_none() => {
            RegistryErrorKind::NotARegistry { reason: format!("the answer is `{}`", escaped(served)) }
        }
        _ if is_page(bytes) => RegistryErrorKind::NotARegistry { reason: "the answer is a web page".to_owned() },
        _ => not_an_image(format!("the answer is not a manifest ({error})")),
    }
}

/// Whether an answer is HTML or XML.
pub(crate) fn is_page(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"<")
}

/// Every key of a manifest or an index that matters, each at most once.
#[derive(Debug, Default)]
struct Wire {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    /// `layers` stands there as `null`, as Go writes a list that nothing was put into.
    null_layers: bool,
    created: Option<String>,
    revision: Option<String>,
    old_schema: bool,
}

#[derive(Deserialize)]
struct DocumentAnnotations {
    #[serde(rename = "org.opencontainers.image.created")]
    created: Option<String>,
    #[serde(rename = "org.opencontainers.image.revision")]
    revision: Option<String>,
}

const KEYS: [&str; 6] = ["schemaVersion", "mediaType", "manifests", "config", "layers", "annotations"];

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WireVisitor)
    }
}

struct WireVisitor;

impl<'de> Visitor<'de> for WireVisitor {
    type Value = Wire;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest or an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wire, A::Error> {
        let mut wire = Wire::default();
        let mut seen = [false; KEYS.len()];
        while let Some(key) = map.next_key::<String>()? {
            let Some(position) = KEYS.iter().position(|known| *known == key) else {
                // NOTE: Go's JSON reader takes `Manifests` for `manifests`. What runs the image is written in Go.
                if let Some(known) = KEYS.iter().find(|known| known.eq_ignore_ascii_case(&key)) {
                    return Err(A::Error::custom(format_args!("`{known}` is spelled `{}`", escaped(&key))));
                }
                wire.old_schema |= key.eq_ignore_ascii_case("fsLayers");
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut seen[position], true) {
                return Err(A::Error::custom(format_args!("`{key}` stands there twice")));
            }
            match KEYS[position] {
                "schemaVersion" => wire.schema_version = Some(map.next_value()?),
                "mediaType" => wire.media_type = Some(map.next_value()?),
                "manifests" => wire.manifests = Some(map.next_value()?),
                "config" => wire.config = Some(map.next_value()?),
                "layers" => {
                    wire.layers = map.next_value()?;
                    wire.null_layers = wire.layers.is_none();
                }
                _ => {
                    if let Some(known) = map.next_value::<Option<DocumentAnnotations>>()? {
                        wire.created = known.created;
                        wire.revision = known.revision;
                    }
                }
            }
        }
        Ok(wire)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

    fn descriptor(media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": Digest::of(b"x"), "size": 1 })
    }

    fn refusal(document: &str, served_as: Option<&str>) -> String {
        parse(document.as_bytes(), served_as).unwrap_err().to_string()
    }

    #[test]
    fn all_four_types_are_read() {
        for (media_type, config) in [(OCI_MANIFEST, OCI_CONFIG), (DOCKER_MANIFEST, DOCKER_CONFIG)] {
            let manifest = json!({ "schemaVersion": 2, "config": descriptor(config), "layers": [] }).to_string();
            assert!(matches!(parse(manifest.as_bytes(), Some(media_type)), Ok(Document::Manifest(_))));
        }
        for media_type in [OCI_INDEX, DOCKER_LIST] {
            let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [] }).to_string();
            assert!(matches!(parse(index.as_bytes(), Some(media_type)), Ok(Document::Index(_))));
            assert!(matches!(parse(index.as_bytes(), None), Ok(Document::Index(_))));
        }
    }

    #[test]
    fn t33_a_document_that_readers_may_see_differently_is_refused() {
        let config = descriptor(OCI_CONFIG).to_string();
        for (document, served_as, why) in [
            (format!(r#"{{"schemaVersion":2,"manifests":[],"config":{config},"layers":[]}}"#), OCI_INDEX, "same time"),
            (
                format!(r#"{{"schemaVersion":2,"manifests":[],"config":{config},"layers":[]}}"#),
                OCI_MANIFEST,
                "same time",
            ),
            (r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#.to_owned(), OCI_INDEX, "same time"),
            (
                format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[]}}"#),
                OCI_MANIFEST,
                "calling itself",
            ),
            (r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#.to_owned(), OCI_INDEX, "twice"),
            (r#"{"schemaVersion":2,"manifests":[],"Config":{}}"#.to_owned(), OCI_INDEX, "spelled `Config`"),
            (r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), OCI_MANIFEST, "without `config`"),
            (format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#), OCI_INDEX, "without `manifests`"),
            (r#"{"schemaVersion":1,"manifests":[]}"#.to_owned(), OCI_INDEX, "not 2"),
            (r#"{"schemaVersion":2,"manifests":[],"fsLayers":[]}"#.to_owned(), OCI_INDEX, "version 1"),
            (
                r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(),
                "application/json",
                "media type is `application/json`",
            ),
            ("<html>".to_owned(), "text/html", "the answer is `text/html`"),
            ("<html>".to_owned(), OCI_INDEX, "a web page"),
            ("{".to_owned(), OCI_INDEX, "not a manifest"),
            ("[]".to_owned(), OCI_INDEX, "a manifest or an index"),
        ] {
            let text = refusal(&document, Some(served_as));
            assert!(text.contains(why), "{document}: {text}");
        }
        assert!(refusal(r#"{"schemaVersion":2,"manifests":[]}"#, None).contains("no media type"));
    }

    #[test]
    fn t33_digests_of_other_kinds_are_refused() {
        for digest in [&format!("sha512:{}", "a".repeat(128)), "sha256:abc", &format!("sha256:{}", "A".repeat(64))] {
            let index = json!({
                "schemaVersion": 2,
                "manifests": [{ "mediaType": OCI_MANIFEST, "digest": digest, "size": 1 }],
            });
            assert!(refusal(&index.to_string(), Some(OCI_INDEX)).contains("digest"), "{digest}");
        }
    }

    #[test]
    fn charts_and_other_artefacts_are_no_images() {
        let chart = descriptor("application/vnd.cncf.helm.config.v1+json");
        let manifest = json!({ "schemaVersion": 2, "config": chart, "layers": [] }).to_string();
        assert!(refusal(&manifest, Some(OCI_MANIFEST)).contains("helm.config"));
    }

    #[test]
    fn a_list_that_nothing_was_put_into_is_an_empty_one() {
        let config = descriptor(OCI_CONFIG);
        let manifest = |layers: Value| json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string();
        assert!(matches!(parse(manifest(Value::Null).as_bytes(), Some(OCI_MANIFEST)), Ok(Document::Manifest(_))));
        let index = json!({ "schemaVersion": 2, "manifests": [], "layers": null }).to_string();
        assert!(matches!(parse(index.as_bytes(), Some(OCI_INDEX)), Ok(Document::Index(_))));
        let without = json!({ "schemaVersion": 2, "config": config }).to_string();
        assert!(refusal(&without, Some(OCI_MANIFEST)).contains("without `config` and `layers`"));
    }

    #[test]
    fn t33_documents_that_go_does_not_read_are_refused() {
        let nested = |depth: usize| {
            format!(r#"{{"schemaVersion":2,"manifests":[],"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
        };
        assert!(matches!(parse(nested(9_999).as_bytes(), Some(OCI_INDEX)), Ok(Document::Index(_))));
        assert!(refusal(&nested(10_000), Some(OCI_INDEX)).contains("deeper"));
        let in_text = format!(r#"{{"schemaVersion":2,"manifests":[],"x":"\"{}"}}"#, "[".repeat(20_000));
        assert!(matches!(parse(in_text.as_bytes(), Some(OCI_INDEX)), Ok(Document::Index(_))));
    }

    #[test]
    fn dates_that_stand_for_none_are_none() {
        assert_eq!(creation_date("1970-01-01T00:00:00Z"), Ok(None));
        assert_eq!(creation_date("0001-01-01T00:00:00Z"), Ok(None));
        assert_eq!(creation_date("2025-11-20T22:14:07.25+01:00"), Ok(Some("2025-11-20T21:14:07Z".parse().unwrap())));
        assert_eq!(creation_date("yesterday"), Err(()));
    }
}
