//! Platforms: comparing them as container runtimes do, and choosing entries of an index by them.

use lock_model::{Digest, Platform};

use crate::document::Descriptor;
use crate::error::RegistryErrorKind;
use crate::text::escaped;

/// A platform in the form in which two are compared: variants that are the default of their architecture are gone, or
/// for 32-bit Arm, where there is no safe default, spelled out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlatformKey {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl PlatformKey {
    pub(crate) fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let variant = variant.filter(|variant| !variant.is_empty());
        let variant = match (architecture, variant) {
            ("arm64", Some("v8")) | ("amd64", Some("v1")) => None,
            ("arm", None) => Some("v7"),
            (_, variant) => variant,
        };
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.map(str::to_owned) }
    }

    /// The platform that these words stand for; `None` when they cannot be one.
    pub(crate) fn to_platform(&self) -> Option<Platform> {
        Platform::try_from(self.to_string()).ok()
    }

    /// Whether a configuration that names `reported` can belong to this platform. Old builders leave the variant out.
    pub(crate) fn accepts(&self, reported: &ReportedPlatform<'_>) -> bool {
        match reported.variant.filter(|variant| !variant.is_empty()) {
            Some(variant) => *self == Self::new(reported.os, reported.architecture, Some(variant)),
            None => self.os == reported.os && self.architecture == reported.architecture,
        }
    }
}

impl From<&Platform> for PlatformKey {
    fn from(platform: &Platform) -> Self {
        let mut parts = platform.as_str().splitn(3, '/');
        Self::new(parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next())
    }
}

impl std::fmt::Display for PlatformKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// A platform as a document names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportedPlatform<'a> {
    pub(crate) os: &'a str,
    pub(crate) architecture: &'a str,
    pub(crate) variant: Option<&'a str>,
}

impl std::fmt::Display for ReportedPlatform<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", escaped(self.os), escaped(self.architecture))?;
        self.variant.filter(|variant| !variant.is_empty()).map_or(Ok(()), |variant| write!(f, "/{}", escaped(variant)))
    }
}

/// Chooses the entry of an index for each required platform, or for all its platforms when none is required.
///
/// Entries that are no image for a platform, such as attestations, are not among `images`. Two different entries for one
/// platform are refused: the next reader may take the other.
pub(crate) fn choose<'a>(
    mut images: Vec<(PlatformKey, &'a Descriptor)>,
    required: &[Platform],
) -> Result<Vec<(Platform, &'a Descriptor)>, RegistryErrorKind> {
    images.sort_by(|(one, _), (other, _)| one.cmp(other));
    images.dedup_by(|(one, entry), (other, known)| {
        one == other && (&entry.digest, &entry.media_type, entry.size) == (&known.digest, &known.media_type, known.size)
    });
    let required: Vec<Platform> = if required.is_empty() {
        let mut all: Vec<Platform> = images.iter().filter_map(|(key, _)| key.to_platform()).collect();
        all.dedup();
        all
    } else {
        required.to_vec()
    };
    let mut chosen = Vec::with_capacity(required.len());
    let mut wanted = Vec::new();
    for platform in required {
        let key = PlatformKey::from(&platform);
        let mut matching = images.iter().filter(|(candidate, _)| *candidate == key).map(|(_, entry)| *entry);
        match (matching.next(), matching.next()) {
            (None, _) => wanted.push(platform),
            (Some(entry), None) => chosen.push((platform, entry)),
            (Some(first), Some(second)) => {
                let digests: Vec<Digest> =
                    [first, second].into_iter().chain(matching).map(|entry| entry.digest.clone()).collect();
                return Err(RegistryErrorKind::PlatformTwice { platform, digests });
            }
        }
    }
    if !wanted.is_empty() || chosen.is_empty() {
        let mut available: Vec<String> = images.iter().map(|(key, _)| escaped(key.to_string())).collect();
        available.dedup();
        return Err(if wanted.is_empty() {
            RegistryErrorKind::NotAnImage { reason: "an index without an image for any platform".to_owned() }
        } else {
            RegistryErrorKind::PlatformMissing { wanted, available }
        });
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> PlatformKey {
        PlatformKey::from(&Platform::try_from(text).unwrap())
    }

    #[test]
    fn default_variants_are_equal_to_none() {
        assert_eq!(key("linux/arm64/v8"), key("linux/arm64"));
        assert_eq!(key("linux/amd64/v1"), key("linux/amd64"));
        assert_eq!(key("linux/arm"), key("linux/arm/v7"));
        assert_ne!(key("linux/arm/v6"), key("linux/arm/v7"));
        assert_ne!(key("linux/amd64/v3"), key("linux/amd64"));
        assert_ne!(key("linux/arm64"), key("darwin/arm64"));
    }

    #[test]
    fn a_configuration_may_leave_its_variant_out() {
        let reported = |architecture, variant| ReportedPlatform { os: "linux", architecture, variant };
        assert!(key("linux/arm/v6").accepts(&reported("arm", None)));
        assert!(key("linux/arm/v6").accepts(&reported("arm", Some(""))));
        assert!(!key("linux/arm/v6").accepts(&reported("arm", Some("v7"))));
        assert!(key("linux/arm64").accepts(&reported("arm64", Some("v8"))));
        assert!(!key("linux/arm64").accepts(&reported("amd64", None)));
    }
}
