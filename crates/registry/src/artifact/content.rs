use std::collections::BTreeMap;

use lock_model::Digest;
use serde_json::{Value, json};

use crate::layout::Blob;
use crate::media_type::OCI_MANIFEST;

/// The media type of a configuration that says nothing; its bytes are `{}`.
pub const EMPTY_CONFIG: &str = "application/vnd.oci.empty.v1+json";

/// An artefact, described; the same description always gives the same bytes, and so the same digest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Artifact {
    /// What the artefact is: a media type, such as `application/vnd.shop.proof.v1+json`.
    pub artifact_type: String,
    /// The configuration; without one it is the empty one.
    pub config: Option<Blob>,
    /// The blobs, in their order.
    pub parts: Vec<Part>,
    /// The annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// The manifest or index, in the same repository, that the artefact refers to.
    pub subject: Option<Digest>,
}

/// A blob of an artefact, with what the manifest says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// The bytes, with their media type.
    pub blob: Blob,
    /// The annotations of the entry in the manifest.
    pub annotations: BTreeMap<String, String>,
}

impl Part {
    /// A blob without annotations.
    pub fn new(blob: Blob) -> Self {
        Self { blob, annotations: BTreeMap::new() }
    }
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
    /// The digest of the manifest, or of the index.
    pub digest: Digest,
    /// How many blobs, manifests and tags had to be sent: 0 when everything was there.
    pub sent: usize,
    /// Who lists it among those that refer to its subject; absent when it has no subject.
    pub listed_by: Option<ReferrersBy>,
}

/// Who keeps the list of what refers to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReferrersBy {
    /// The registry, as the distribution specification 1.1 wants it.
    Registry,
    /// Its clients, as an index under the tag `sha256-HEX`.
    Tag,
}

/// An artefact that was fetched; every byte of it has been hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pulled {
    /// The digest of the manifest.
    pub digest: Digest,
    /// What the artefact is: its own type, or else the one of its configuration.
    pub artifact_type: String,
    /// Its bytes are `{}` where the artefact needs none.
    pub config: Blob,
    /// The blobs, in their order.
    pub parts: Vec<Part>,
    /// The annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// What it says that it refers to.
    pub subject: Option<Digest>,
}

/// An entry in the list of what refers to an image. It is a claim until the artefact has been fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Referrer {
    /// The media type of the manifest.
    pub media_type: String,
    /// The digest of the manifest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What the artefact is, where the entry says so.
    pub artifact_type: Option<String>,
    /// The annotations of the manifest, where the entry repeats them.
    pub annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// An artefact of a type, without blobs and subject.
    pub fn new(artifact_type: impl Into<String>) -> Self {
        Self {
            artifact_type: artifact_type.into(),
            config: None,
            parts: Vec::new(),
            annotations: BTreeMap::new(),
            subject: None,
        }
    }

    /// Adds a blob without annotations.
    #[must_use]
    pub fn blob(mut self, blob: Blob) -> Self {
        self.parts.push(Part::new(blob));
        self
    }

    /// Sets the manifest or index, in the same repository, that the artefact refers to.
    #[must_use]
    pub fn subject(mut self, digest: Digest) -> Self {
        self.subject = Some(digest);
        self
    }

    /// Why it cannot be pushed.
    pub(super) fn unusable(&self) -> Option<String> {
        let types = self.parts.iter().map(|part| &part.blob).chain(&self.config).map(|blob| &blob.media_type);
        let not_one = std::iter::once(&self.artifact_type).chain(types).find(|text| !is_media_type(text))?;
        Some(format!("`{}` is not a media type", lock_model::escaping::escape_terminal(not_one)))
    }

    /// The manifest, and the blobs that have to be there before it, each once.
    pub(super) fn build(&self, subject: Option<&Value>) -> (Blob, Vec<Blob>) {
        let empty = Blob::new(EMPTY_CONFIG, b"{}".to_vec());
        let config = self.config.clone().unwrap_or_else(|| empty.clone());
        let entry = |part: &Part| {
            let mut entry = part.blob.descriptor();
            if !part.annotations.is_empty() {
                entry["annotations"] = json!(part.annotations);
            }
            entry
        };
        // A manifest without layers is not portable: the specification puts the empty blob there.
        let layers: Vec<Value> =
            if self.parts.is_empty() { vec![empty.descriptor()] } else { self.parts.iter().map(entry).collect() };
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": self.artifact_type,
            "config": config.descriptor(),
            "layers": layers,
        });
        if !self.annotations.is_empty() {
            manifest["annotations"] = json!(self.annotations);
        }
        if let Some(subject) = subject {
            manifest["subject"] = subject.clone();
        }
        let mut blobs = BTreeMap::from([(config.digest.clone(), config)]);
        if self.parts.is_empty() {
            blobs.insert(empty.digest.clone(), empty);
        }
        blobs.extend(self.parts.iter().map(|part| (part.blob.digest.clone(), part.blob.clone())));
        (Blob::json(OCI_MANIFEST, &manifest), blobs.into_values().collect())
    }

    /// The entry in the list of what refers to the subject.
    pub(super) fn entry(&self, manifest: &Blob) -> Value {
        let mut entry = manifest.descriptor();
        entry["artifactType"] = json!(self.artifact_type);
        if !self.annotations.is_empty() {
            entry["annotations"] = json!(self.annotations);
        }
        entry
    }
}

/// Whether a text is a type and a subtype ([RFC 6838, 4.2]).
///
/// [RFC 6838, 4.2]: https://www.rfc-editor.org/rfc/rfc6838#section-4.2
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        let sign = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 127 && name.chars().all(sign)
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_description_gives_the_same_bytes() {
        let artifact = || {
            let mut artifact = Artifact::new("application/vnd.shop.proof.v1+json")
                .blob(Blob::new("text/plain", b"a".to_vec()))
                .blob(Blob::new("text/plain", b"a".to_vec()));
            artifact.annotations = [("b", "2"), ("a", "1")].map(|(name, value)| (name.into(), value.into())).into();
            artifact
        };
        let (manifest, blobs) = artifact().build(None);
        assert_eq!((manifest.clone(), blobs.clone()), artifact().build(None));
        assert_eq!(blobs.len(), 2, "the empty configuration, and one blob though it stands there twice");
        assert_eq!(
            String::from_utf8(manifest.bytes).unwrap(),
            concat!(
                r#"{"annotations":{"a":"1","b":"2"},"artifactType":"application/vnd.shop.proof.v1+json","config":{"#,
                r#""digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","#,
                r#""mediaType":"application/vnd.oci.empty.v1+json","size":2},"layers":["#,
                r#"{"digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","#,
                r#""mediaType":"text/plain","size":1},"#,
                r#"{"digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","#,
                r#""mediaType":"text/plain","size":1}],"#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#,
            )
        );
    }

    #[test]
    fn what_is_no_media_type_is_not_pushed() {
        for good in ["a/b", "application/vnd.shop.proof.v1+json", "x0/y!#$&-^_.+"] {
            assert_eq!(Artifact::new(good).unusable(), None, "{good}");
        }
        for bad in ["", "a", "a/", "/b", "a/b/c", "a/b; c=d", "a/b\n", "a/.b", "ä/b"] {
            assert!(Artifact::new(bad).unusable().is_some(), "{bad:?}");
            let config = Some(Blob::new(bad, Vec::new()));
            assert!(Artifact { config, ..Artifact::new("a/b") }.unusable().is_some(), "{bad:?}");
        }
    }
}
