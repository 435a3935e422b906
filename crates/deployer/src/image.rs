//! Image references: what a manifest says, and what the lock says instead.

use lock_model::{Digest, ImageRepository, LockedImage, Tag};

/// The image that a lock fixes for one repository, in the form that goes into a manifest.
///
/// `ghcr.io/shop/cart:main-1111111@sha256:2222…`: the tag is for people, the digest decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImagePin {
    /// Repository with its registry host.
    pub repository: ImageRepository,
    /// The tag that the digest was found under; third parties are locked without one.
    pub tag: Option<Tag>,
    /// Digest of the index, or of the manifest where there is no index.
    pub digest: Digest,
}

impl ImagePin {
    /// The reference that a container of this image carries: `repository:tag@digest`.
    pub fn reference(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}:{tag}@{}", self.repository, self.digest),
            None => format!("{}@{}", self.repository, self.digest),
        }
    }
}

impl From<&LockedImage> for ImagePin {
    fn from(image: &LockedImage) -> Self {
        Self { repository: image.repository.clone(), tag: Some(image.tag.clone()), digest: image.digest.clone() }
    }
}

/// A reference as a manifest writes it, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageReference {
    pub(crate) repository: ImageRepository,
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Option<Digest>,
    pub(crate) names_host: bool,
}

impl ImageReference {
    /// Reads `[HOST/]PATH[:TAG][@DIGEST]`; short names mean Docker Hub, as container runtimes read them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::try_from(digest).ok()?)),
            None => (text, None),
        };
        let after_slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest.get(after_slash..)?.split_once(':') {
            Some((last, tag)) => (rest.get(..after_slash + last.len())?, Some(Tag::try_from(tag).ok()?)),
            None => (rest, None),
        };
        let repository = ImageRepository::normalize(name).ok()?;
        let names_host =
            name.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost");
        Some(Self { repository, tag, digest, names_host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart_as_runtimes_do() {
        let cases = [
            ("nginx", Some(("docker.io/library/nginx", None, false))),
            ("nginx:1.27", Some(("docker.io/library/nginx", Some("1.27"), false))),
            ("localhost:5000/shop/cart", Some(("localhost:5000/shop/cart", None, true))),
            ("localhost:5000/shop/cart:v1", Some(("localhost:5000/shop/cart", Some("v1"), true))),
            ("ghcr.io/shop/cart:main-1", Some(("ghcr.io/shop/cart", Some("main-1"), true))),
            ("ghcr.io/shop/cart:", None),
            ("https://ghcr.io/shop", None),
            ("Not An Image", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let found = ImageReference::parse(text);
            let found =
                found.as_ref().map(|it| (it.repository.as_str(), it.tag.as_ref().map(Tag::as_str), it.names_host));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_digest_that_is_none_makes_the_reference_unreadable() {
        assert_eq!(ImageReference::parse("ghcr.io/shop/cart@sha256:12"), None);
        let digest = format!("ghcr.io/shop/cart:v1@sha256:{}", "2".repeat(64));
        assert!(ImageReference::parse(&digest).is_some_and(|it| it.digest.is_some() && it.tag.is_some()));
    }
}
