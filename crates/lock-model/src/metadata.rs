use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::json::{locate, parse, text_of};
use crate::parse_error::{ParseError, ParseErrorKind};
use crate::problem::{Position, Problem};
use crate::{
    ApiFile, CommitId, Digest, ErrorClass, IdentifierError, ImageReference, ImageRepository, KindName, LockedMetadata,
    OneLine, ServiceName, Tag, TreePath,
};

/// The version of the metadata format that this crate reads and writes.
pub const METADATA_VERSION: u64 = 1;

/// The usual name of the metadata file.
pub const METADATA_FILE: &str = "metadata.json";

/// The artefact type (a media type) of service metadata that is attached to its image in a registry.
pub const METADATA_ARTIFACT_TYPE: &str = "application/vnd.orchestrator.service-metadata.v1+json";

/// Far more than a service has to say.
const MAX_BYTES: usize = 1 << 20;

const HINT_NEWER: &str = "the file was written by a newer version of this program";

/// What a service's own CI says about one build of it, as a JSON file.
///
/// What is built here can be parsed: each path is listed once, the list is sorted, and the file has at most 1 MiB.
///
/// ```
/// use lock_model::{ImageReference, METADATA_FILE, ServiceMetadata};
///
/// let openapi = b"openapi: 3.1.0\n"; // the bytes of `openapi.yaml`
/// let pushed = "ghcr.io/shop/cart:main-1111111\
///               @sha256:2222222222222222222222222222222222222222222222222222222222222222";
/// let metadata = ServiceMetadata::new(
///     "cart".parse()?,
///     "1111111111111111111111111111111111111111".parse()?,
///     pushed.parse::<ImageReference>()?.try_into()?,
///     "1.4.0".parse()?,
/// )
/// .api("openapi".parse()?, "openapi.yaml".parse()?, openapi)?;
///
/// let text = metadata.to_json();
/// assert_eq!(
///     text,
///     r#"{
///   "version": 1,
///   "name": "cart",
///   "commit": "1111111111111111111111111111111111111111",
///   "image": {
///     "repository": "ghcr.io/shop/cart",
///     "tag": "main-1111111",
///     "digest": "sha256:2222222222222222222222222222222222222222222222222222222222222222"
///   },
///   "service_version": "1.4.0",
///   "api": [
///     {
///       "kind": "openapi",
///       "path": "openapi.yaml",
///       "digest": "sha256:f39db8e8ede3dc2457c613e2a304e6d478f6e5ec660e4746464f41e76ac77006"
///     }
///   ]
/// }
/// "#
/// );
/// assert_eq!(ServiceMetadata::parse(text.as_bytes(), METADATA_FILE)?, metadata);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceMetadata(WireServiceMetadata);

/// Why an interface description cannot be added to [`ServiceMetadata`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The path is in the list already.
    #[error("`{path}` is listed twice")]
    ListedTwice {
        /// Where the description lies in the service's repository.
        path: TreePath,
    },
    /// The file would be larger than what [`ServiceMetadata::parse`] reads.
    #[error("with `{path}` the metadata has {bytes} bytes; at most {MAX_BYTES} are read")]
    TooLarge {
        /// Where the description lies in the service's repository.
        path: TreePath,
        /// The size of the file with it.
        bytes: usize,
    },
}

impl MetadataError {
    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// The image of a build.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Image"))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MetadataImage {
    /// The repository with its host.
    pub repository: ImageRepository,
    /// The tag that was pushed.
    pub tag: Tag,
    /// What the registry answered to the push: the index where there is one, else the manifest.
    pub digest: Digest,
}

impl MetadataImage {
    /// The image that a registry took under a tag.
    pub fn new(repository: ImageRepository, tag: Tag, digest: Digest) -> Self {
        Self { repository, tag, digest }
    }

    /// What was pushed, pinned: `repository:tag@digest`.
    pub fn reference(&self) -> ImageReference {
        ImageReference::new(self.repository.clone()).with_tag(self.tag.clone()).with_digest(self.digest.clone())
    }
}

impl TryFrom<ImageReference> for MetadataImage {
    type Error = IdentifierError;

    /// Refuses a reference without tag or digest.
    fn try_from(reference: ImageReference) -> Result<Self, IdentifierError> {
        match reference {
            ImageReference { repository, tag: Some(tag), digest: Some(digest) } => Ok(Self { repository, tag, digest }),
            other => Err(IdentifierError::new("pushed image", &other.to_string(), "a reference with tag and digest")),
        }
    }
}

/// What a service's own CI says about one build of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "ServiceMetadata", rename = "ServiceMetadata")
)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireServiceMetadata {
    /// The version of this format.
    #[cfg_attr(feature = "schema", schemars(schema_with = "version_schema"))]
    version: u64,
    /// The service.
    name: ServiceName,
    /// The commit that was built.
    commit: CommitId,
    image: MetadataImage,
    /// The service's own version, in whatever scheme it uses.
    service_version: OneLine,
    /// The service's interface descriptions, each path once.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "unique_paths")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<ApiFile>"))]
    api: Vec<ApiFile>,
}

#[cfg(feature = "schema")]
fn version_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "integer", "const": METADATA_VERSION })
}

/// The part that is read before anything else is judged.
#[derive(Deserialize)]
struct VersionProbe {
    version: Option<u64>,
}

impl ServiceMetadata {
    /// Metadata of a build, without interface descriptions.
    pub fn new(name: ServiceName, commit: CommitId, image: MetadataImage, service_version: OneLine) -> Self {
        let (version, api) = (METADATA_VERSION, Vec::new());
        Self(WireServiceMetadata { version, name, commit, image, service_version, api })
    }

    /// Adds an interface description: its kind, such as `openapi`, its path in the service's repository, and its bytes,
    /// of which the digest is kept.
    pub fn api(mut self, kind: KindName, path: TreePath, bytes: &[u8]) -> Result<Self, MetadataError> {
        let Err(index) = self.0.api.binary_search_by(|file| file.path.cmp(&path)) else {
            return Err(MetadataError::ListedTwice { path });
        };
        self.0.api.insert(index, ApiFile::new(kind, path.clone(), Digest::of(bytes)));
        match self.to_json().len() {
            bytes if bytes > MAX_BYTES => Err(MetadataError::TooLarge { path, bytes }),
            _ => Ok(self),
        }
    }

    /// Parses a metadata file, the version first; `file` is what errors call it.
    ///
    /// Unknown fields and duplicate keys are refused. JSON is read as JSON, never as YAML.
    pub fn parse(text: &[u8], file: &str) -> Result<Self, ParseError> {
        let text = text_of(text, file, MAX_BYTES)?;
        match parse::<VersionProbe>(text, file)?.version {
            Some(METADATA_VERSION) => {}
            other => return Err(unknown_version(text, file, other)),
        }
        let mut wire: WireServiceMetadata = parse(text, file)?;
        wire.api.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self(wire))
    }

    /// Writes the metadata file: the same metadata is always the same bytes.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(&self.0).expect("strings, lists and structs always have a JSON form");
        json + "\n"
    }

    /// The service.
    pub fn name(&self) -> &ServiceName {
        &self.0.name
    }

    /// The commit that was built.
    pub fn commit(&self) -> &CommitId {
        &self.0.commit
    }

    /// The image that was pushed.
    pub fn image(&self) -> &MetadataImage {
        &self.0.image
    }

    /// The service's own version, in whatever scheme it uses.
    pub fn service_version(&self) -> &OneLine {
        &self.0.service_version
    }

    /// The interface descriptions, sorted by path.
    pub fn api_files(&self) -> &[ApiFile] {
        &self.0.api
    }

    /// The part that the lock keeps.
    pub fn locked(&self) -> LockedMetadata {
        LockedMetadata { version: self.0.service_version.clone(), api: self.0.api.clone() }
    }
}

fn unique_paths<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ApiFile>, D::Error> {
    let api = Vec::<ApiFile>::deserialize(deserializer)?;
    let mut seen = BTreeSet::new();
    match api.iter().find(|file| !seen.insert(&file.path)) {
        Some(repeated) => Err(D::Error::custom(format!("`{}` is listed twice", repeated.path))),
        None => Ok(api),
    }
}

fn unknown_version(text: &str, name: &str, version: Option<u64>) -> ParseError {
    let (keys, message) = match version {
        Some(version) => {
            let message = format!("version {version} is not known to this program, which reads {METADATA_VERSION}");
            (vec!["version".to_owned()], message)
        }
        None => (Vec::new(), "the file has no `version`, so it is no service metadata".to_owned()),
    };
    let hint = version.is_some_and(|version| version > METADATA_VERSION).then_some(HINT_NEWER);
    let at = locate(text, &keys).map_or(Position::START, |offset| Position::of(text, offset));
    let problem = Problem::new(text, Some(at), keys, &message);
    ParseError::at(name, ParseErrorKind::UnknownVersion, problem, hint)
}
