use std::fmt;
use std::str::FromStr;

use super::image::names_host;
use super::{Digest, IdentifierError, ImageRepository, Tag};

const KIND: &str = "image reference";
const EXPECTED: &str = "`[HOST/]PATH[:TAG][@sha256:DIGEST]`, such as `ghcr.io/shop/cart:main-1111111`";

/// Image reference as container runtimes write it: `[HOST/]PATH[:TAG][@DIGEST]`.
///
/// Parsing completes the short forms as [`ImageRepository::normalize`] does: without a host (a first segment that has a
/// `.` or a port, or is `localhost`) the registry is `docker.io`, and a single segment on `docker.io` lies in `library`.
/// A missing tag stays absent: `latest` is never assumed. With tag and digest, the digest decides and the tag is for people.
///
/// Displayed and serialised is the full form; what was parsed parses to the same reference again.
///
/// ```
/// use lock_model::ImageReference;
///
/// let cart: ImageReference = "ghcr.io/shop/cart:main-1111111".parse()?;
/// assert_eq!((cart.repository.host(), cart.repository.path()), ("ghcr.io", "shop/cart"));
/// assert_eq!(cart.tag.as_ref().map(|tag| tag.as_str()), Some("main-1111111"));
///
/// let redis: ImageReference = "redis:8".parse()?;
/// assert_eq!(redis.to_string(), "docker.io/library/redis:8");
/// assert!(ImageReference::parse_qualified("redis:8").is_err());
/// # Ok::<(), lock_model::IdentifierError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference {
    /// The repository with its registry host.
    pub repository: ImageRepository,
    /// Moves from image to image; absent in a reference by digest alone.
    pub tag: Option<Tag>,
    /// Of the index where there is one, else of the manifest; absent in a reference that is not pinned.
    pub digest: Option<Digest>,
}

impl ImageReference {
    /// Names a repository, without tag and digest.
    pub fn new(repository: ImageRepository) -> Self {
        Self { repository, tag: None, digest: None }
    }

    /// Sets or replaces the tag.
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Sets or replaces the digest.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// Leaves the digest out: what the tag points to may have changed.
    #[must_use]
    pub fn without_digest(mut self) -> Self {
        self.digest = None;
        self
    }

    /// Parses a reference that names its registry host; refuses the short forms.
    pub fn parse_qualified(text: &str) -> Result<Self, IdentifierError> {
        Self::parse(text, |name| {
            let (host, _) = name.split_once('/')?;
            names_host(host).then(|| ImageRepository::normalize(name).ok()).flatten()
        })
    }

    fn parse(text: &str, repository: fn(&str) -> Option<ImageRepository>) -> Result<Self, IdentifierError> {
        let parts = || {
            let (rest, digest) = match text.split_once('@') {
                Some((rest, digest)) => (rest, Some(Digest::try_from(digest).ok()?)),
                None => (text, None),
            };
            // A colon before the last slash belongs to the registry's port.
            let (name, tag) = match rest.rsplit_once(':') {
                Some((name, tag)) if !tag.contains('/') => (name, Some(Tag::try_from(tag).ok()?)),
                Some(_) | None => (rest, None),
            };
            Some(Self { repository: repository(name)?, tag, digest })
        };
        parts().ok_or_else(|| IdentifierError::new(KIND, text, EXPECTED))
    }
}

impl FromStr for ImageReference {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        Self::parse(text, |name| ImageRepository::normalize(name).ok())
    }
}

impl TryFrom<&str> for ImageReference {
    type Error = IdentifierError;

    fn try_from(text: &str) -> Result<Self, IdentifierError> {
        text.parse()
    }
}

serialised_as_text!(ImageReference);

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl From<ImageRepository> for ImageReference {
    fn from(repository: ImageRepository) -> Self {
        Self::new(repository)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ImageReference {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ImageReference".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // The longest repository, tag and digest with their separators.
        schemars::json_schema!({
            "type": "string",
            "description": EXPECTED,
            "pattern": concat!(
                "^(", image_host_pattern!(), "/|(?!localhost/)(?![^/]*[.:][^/]*/))",
                image_segment_pattern!(), "(/", image_segment_pattern!(), ")*",
                "(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$"
            ),
            "maxLength": 255 + 1 + 128 + 1 + 71,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex() -> String {
        format!("sha256:{}", "2".repeat(64))
    }

    #[test]
    fn references_are_taken_apart_as_container_runtimes_do() {
        for (text, repository, tag, pinned) in [
            ("nginx", "docker.io/library/nginx", None, false),
            ("nginx:1.27", "docker.io/library/nginx", Some("1.27"), false),
            ("bitnami/redis:8", "docker.io/bitnami/redis", Some("8"), false),
            ("docker.io/redis", "docker.io/library/redis", None, false),
            ("index.docker.io/redis:8", "docker.io/library/redis", Some("8"), false),
            ("a.b:c", "docker.io/library/a.b", Some("c"), false),
            ("localhost/cart", "localhost/cart", None, false),
            ("localhost:5000/shop/cart", "localhost:5000/shop/cart", None, false),
            ("localhost:5000/shop/cart:v1", "localhost:5000/shop/cart", Some("v1"), false),
            ("ghcr.io/shop/cart:main-1", "ghcr.io/shop/cart", Some("main-1"), false),
            (&format!("ghcr.io/shop/cart@{}", hex()), "ghcr.io/shop/cart", None, true),
            (&format!("ghcr.io/shop/cart:v1@{}", hex()), "ghcr.io/shop/cart", Some("v1"), true),
            (&format!("nginx@{}", hex()), "docker.io/library/nginx", None, true),
        ] {
            let found: ImageReference = text.parse().unwrap();
            assert_eq!(
                (found.repository.as_str(), found.tag.as_ref().map(Tag::as_str), found.digest.is_some()),
                (repository, tag, pinned),
                "{text}"
            );
            let full = found.to_string();
            assert_eq!(full.parse::<ImageReference>().unwrap(), found, "{text}");
            assert_eq!(ImageReference::parse_qualified(&full).unwrap(), found, "{text}");
            let short = ["nginx", "bitnami", "a.b"].iter().any(|start| text.starts_with(start));
            assert_eq!(ImageReference::parse_qualified(text).ok(), (!short).then_some(found), "{text}");
        }
    }

    #[test]
    fn a_part_that_is_wrong_makes_the_reference_wrong() {
        for bad in [
            "",
            ":v1",
            "@",
            "ghcr.io/shop/cart:",
            "ghcr.io/shop/cart@",
            "ghcr.io/shop/cart@sha256:12",
            "ghcr.io/shop/cart@sha512:12",
            "ghcr.io/shop/cart:v1:v2",
            "ghcr.io/Shop/cart",
            "https://ghcr.io/shop",
            "docker://ghcr.io/shop",
            "localhost:5000",
            "Not An Image",
            "-u",
            "a b",
            "$(id)",
        ] {
            let error = bad.parse::<ImageReference>();
            // A host with a port and nothing else is a Docker Hub name with a tag: runtimes read it so, too.
            assert_eq!(error.is_ok(), bad == "localhost:5000", "{bad}");
            assert!(ImageReference::parse_qualified(bad).is_err(), "{bad}");
        }
        let twice = format!("ghcr.io/shop/cart@{0}@{0}", hex());
        twice.parse::<ImageReference>().unwrap_err();
        let error = "https://me:secret@ghcr.io/shop".parse::<ImageReference>().unwrap_err().to_string();
        assert!(error.ends_with(&format!("is not a valid image reference: {EXPECTED}")), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn serde_writes_the_full_form_and_reads_the_short_one() {
        let reference: ImageReference = serde_json::from_str("\"redis:8\"").unwrap();
        assert_eq!(serde_json::to_string(&reference).unwrap(), "\"docker.io/library/redis:8\"");
        assert_eq!(reference, ImageReference::new(reference.repository.clone()).with_tag("8".try_into().unwrap()));
        serde_json::from_str::<ImageReference>("\"redis:\"").unwrap_err();
    }
}
