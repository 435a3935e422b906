use std::collections::BTreeMap;

use lock_model::{CommitId, Digest, Platform, Timestamp, canonical_json};
use serde_json::{Value, json};

use super::archive::{self, File};
use crate::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};
use crate::{CREATED_ANNOTATION, REVISION_LABEL};

/// An image for one platform, described; the same description always gives the same bytes.
///
/// ```
/// use lock_model::Platform;
/// use registry::layout::ImageContent;
///
/// let image = ImageContent::new(Platform::try_from("linux/amd64")?).file("hello.txt", "hello\n").build();
/// assert_eq!(image, ImageContent::new(Platform::try_from("linux/amd64")?).file("hello.txt", "hello\n").build());
/// # Ok::<(), lock_model::IdentifierError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageContent {
    platform: Platform,
    created: Option<Timestamp>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    files: BTreeMap<String, File>,
    command: Vec<String>,
}

impl ImageContent {
    /// An image without labels, files or a creation date.
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            created: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            files: BTreeMap::new(),
            command: Vec::new(),
        }
    }

    /// Sets the creation date in the image's configuration.
    #[must_use]
    pub fn created(mut self, time: Timestamp) -> Self {
        self.created = Some(time);
        self
    }

    /// Sets the label `org.opencontainers.image.revision`.
    #[must_use]
    pub fn revision(self, commit: &CommitId) -> Self {
        self.label(REVISION_LABEL, commit.as_str())
    }

    /// Sets a label in the image's configuration.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Sets an annotation of the manifest.
    #[must_use]
    pub fn annotation(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(name.into(), value.into());
        self
    }

    /// Adds a file to the image's only layer. Its name is relative and at most 100 bytes long.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.into(), File { bytes: bytes.into(), is_program: false });
        self
    }

    /// Adds a file that everybody may execute.
    #[must_use]
    pub fn program(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.into(), File { bytes: bytes.into(), is_program: true });
        self
    }

    /// Sets what a container of the image starts: an absolute path in it, and arguments.
    #[must_use]
    pub fn command<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.command = words.into_iter().map(Into::into).collect();
        self
    }

    /// The first file whose name cannot stand in the layer.
    pub(super) fn unusable_name(&self) -> Option<&str> {
        let usable = |name: &str| {
            name.len() <= archive::LONGEST_NAME && name.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
        };
        self.files.keys().map(String::as_str).find(|name| !usable(name))
    }

    /// Makes layer, configuration and manifest.
    pub fn build(&self) -> BuiltImage {
        let tar = archive::tar(&self.files);
        let layer = Blob::new(OCI_LAYER_GZIP, archive::gzip(&tar));
        let (os, architecture, variant) = parts(&self.platform);
        let mut config = json!({
            "architecture": architecture,
            "os": os,
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&tar)] },
        });
        if let Some(variant) = variant {
            config["variant"] = json!(variant);
        }
        if let Some(time) = self.created {
            config["created"] = json!(time);
        }
        if !self.labels.is_empty() {
            config["config"]["Labels"] = json!(self.labels);
        }
        if !self.command.is_empty() {
            config["config"]["Entrypoint"] = json!(self.command);
        }
        BuiltImage::new(self.platform.clone(), &config, layer, &self.annotations)
    }
}

/// Images for several platforms under one tag.
#[derive(Clone, Debug, Default)]
pub struct IndexContent {
    pub(super) images: Vec<ImageContent>,
    created: Option<Timestamp>,
    attestations: bool,
}

impl IndexContent {
    /// An index of these images, in this order.
    pub fn new(images: impl IntoIterator<Item = ImageContent>) -> Self {
        Self { images: images.into_iter().collect(), created: None, attestations: false }
    }

    /// Sets the annotation `org.opencontainers.image.created`.
    #[must_use]
    pub fn created(mut self, time: Timestamp) -> Self {
        self.created = Some(time);
        self
    }

    /// Puts an attestation manifest for each image *before* the images, with the platform `unknown/unknown`, as
    /// `BuildKit` writes them (there they stand last): a reader that takes the first entry takes the wrong one.
    #[must_use]
    pub fn attestations(mut self) -> Self {
        self.attestations = true;
        self
    }

    /// Makes the images and the index over them.
    pub fn build(&self) -> BuiltIndex {
        let images: Vec<BuiltImage> = self.images.iter().map(ImageContent::build).collect();
        let mut attestations = Vec::new();
        let mut manifests = Vec::new();
        if self.attestations {
            for image in &images {
                let attestation = attestation_of(image);
                let mut entry = attestation.manifest.descriptor();
                entry["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
                entry["annotations"] = json!({
                    "vnd.docker.reference.digest": image.manifest.digest,
                    "vnd.docker.reference.type": "attestation-manifest",
                });
                manifests.push(entry);
                attestations.push(attestation);
            }
        }
        for image in &images {
            let mut entry = image.manifest.descriptor();
            let (os, architecture, variant) = parts(&image.platform);
            let mut platform = json!({ "architecture": architecture, "os": os });
            if let Some(variant) = variant {
                platform["variant"] = json!(variant);
            }
            entry["platform"] = platform;
            manifests.push(entry);
        }
        let mut index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
        if let Some(time) = self.created {
            index["annotations"] = json!({ CREATED_ANNOTATION: time });
        }
        BuiltIndex { index: Blob::json(OCI_INDEX, &index), images, attestations }
    }
}

/// Bytes with their media type and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// As in `application/vnd.oci.image.config.v1+json`.
    pub media_type: String,
    /// The hash of the bytes.
    pub digest: Digest,
    /// As they are hashed and sent.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// Hashes the bytes.
    pub fn new(media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { media_type: media_type.into(), digest: Digest::of(&bytes), bytes }
    }

    /// Writes a document as canonical JSON.
    pub fn json(media_type: impl Into<String>, document: &Value) -> Self {
        let bytes = canonical_json(document).expect("a JSON value made of strings and small integers is canonical");
        Self::new(media_type, bytes)
    }

    /// The [descriptor] that points at these bytes.
    ///
    /// [descriptor]: https://github.com/opencontainers/image-spec/blob/main/descriptor.md
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// An image for one platform, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltImage {
    /// What the image is for.
    pub platform: Platform,
    /// The manifest, whose digest is the image's.
    pub manifest: Blob,
    /// The configuration, with labels and creation date.
    pub config: Blob,
    /// From the lowest to the highest.
    pub layers: Vec<Blob>,
}

impl BuiltImage {
    fn new(platform: Platform, config: &Value, layer: Blob, annotations: &BTreeMap<String, String>) -> Self {
        let config = Blob::json(OCI_CONFIG, config);
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
        });
        if !annotations.is_empty() {
            manifest["annotations"] = json!(annotations);
        }
        Self { platform, manifest: Blob::json(OCI_MANIFEST, &manifest), config, layers: vec![layer] }
    }

    /// Everything that the manifest refers to: what is uploaded before it.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.layers.iter().chain([&self.config])
    }
}

/// Images for several platforms, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltIndex {
    /// The index, whose digest is the image's.
    pub index: Blob,
    /// In the order of the index.
    pub images: Vec<BuiltImage>,
    /// The attestation manifests, if any.
    pub attestations: Vec<BuiltImage>,
}

fn attestation_of(image: &BuiltImage) -> BuiltImage {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{ "name": "image", "digest": { "sha256": image.manifest.digest.hex() } }],
        "predicate": {},
    });
    let layer = Blob::json("application/vnd.in-toto+json", &statement);
    let config = json!({
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer.digest] },
    });
    let platform = Platform::try_from("unknown/unknown").expect("two words are a platform");
    BuiltImage::new(platform, &config, layer, &BTreeMap::new())
}

fn parts(platform: &Platform) -> (&str, &str, Option<&str>) {
    let mut parts = platform.as_str().splitn(3, '/');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next())
}
