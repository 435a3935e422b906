use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::json::{locate, parse, text_of};
use crate::read_error::{Fault, Position, ReadError, ReadErrorKind};
use crate::{ApiFile, CommitId, Digest, ImageReference, ImageRepository, LockedMetadata, OneLine, ServiceName, Tag};

/// The version of the metadata format that this crate reads and writes.
pub const METADATA_VERSION: u64 = 1;

/// Far more than a service has to say.
const MAX_BYTES: usize = 1 << 20;

const HINT_NEWER: &str = "the file was written by a newer version of this program";

/// What a service's own CI says about one build of it, as a JSON file.
///
/// ```
/// let text = r#"{
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
///       "digest": "sha256:8888888888888888888888888888888888888888888888888888888888888888"
///     }
///   ]
/// }
/// "#;
/// let metadata = lock_model::ServiceMetadata::read(text.as_bytes(), "metadata.json")?;
/// assert_eq!(metadata.service_version.as_str(), "1.4.0");
/// assert_eq!(metadata.write(), text);
/// # Ok::<(), lock_model::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceMetadata {
    /// The service.
    pub name: ServiceName,
    /// The commit that was built.
    pub commit: CommitId,
    /// The image that came out.
    pub image: MetadataImage,
    /// The service's own version, in whatever scheme it uses.
    pub service_version: OneLine,
    /// The service's interface descriptions, each path once; written sorted.
    pub api: Vec<ApiFile>,
}

/// The image of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Image"))]
#[serde(deny_unknown_fields)]
pub struct MetadataImage {
    /// The repository with its host.
    pub repository: ImageRepository,
    /// The tag that was pushed.
    pub tag: Tag,
    /// What the registry answered to the push: the index where there is one, else the manifest.
    pub digest: Digest,
}

impl MetadataImage {
    /// What was pushed, pinned: `repository:tag@digest`.
    pub fn reference(&self) -> ImageReference {
        ImageReference::new(self.repository.clone()).with_tag(self.tag.clone()).with_digest(self.digest.clone())
    }
}

/// What a service's own CI says about one build of it.
#[derive(Serialize, Deserialize)]
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
    /// Reads a metadata file, the version first; `name` is what errors call the file.
    ///
    /// Unknown fields and duplicate keys are refused. JSON is read as JSON, never as YAML.
    pub fn read(text: &[u8], name: &str) -> Result<Self, ReadError> {
        let text = text_of(text, name, MAX_BYTES)?;
        match parse::<VersionProbe>(text, name)?.version {
            Some(METADATA_VERSION) => {}
            other => return Err(unknown_version(text, name, other)),
        }
        let WireServiceMetadata { version: _, name, commit, image, service_version, api } = parse(text, name)?;
        Ok(Self { name, commit, image, service_version, api })
    }

    /// Writes the metadata file: the same metadata is always the same bytes.
    pub fn write(&self) -> String {
        let Self { name, commit, image, service_version, api } = self.clone();
        let api = sorted(api);
        let wire = WireServiceMetadata { version: METADATA_VERSION, name, commit, image, service_version, api };
        let json = serde_json::to_string_pretty(&wire).expect("strings, lists and structs always have a JSON form");
        json + "\n"
    }

    /// The part that the lock keeps.
    pub fn locked(&self) -> LockedMetadata {
        LockedMetadata { version: self.service_version.clone(), api: sorted(self.api.clone()) }
    }
}

fn sorted(mut api: Vec<ApiFile>) -> Vec<ApiFile> {
    api.sort_by(|a, b| (&a.path, a).cmp(&(&b.path, b)));
    api
}

fn unique_paths<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ApiFile>, D::Error> {
    let api = Vec::<ApiFile>::deserialize(deserializer)?;
    let mut seen = BTreeSet::new();
    match api.iter().find(|file| !seen.insert(&file.path)) {
        Some(repeated) => Err(D::Error::custom(format!("`{}` is listed twice", repeated.path))),
        None => Ok(api),
    }
}

fn unknown_version(text: &str, name: &str, version: Option<u64>) -> ReadError {
    let (keys, message) = match version {
        Some(version) => {
            let message = format!("version {version} is not known to this program, which reads {METADATA_VERSION}");
            (vec!["version".to_owned()], message)
        }
        None => (Vec::new(), "the file has no `version`, so it is no service metadata".to_owned()),
    };
    let hint = version.is_some_and(|version| version > METADATA_VERSION).then_some(HINT_NEWER);
    let at = locate(text, &keys).map_or(Position::START, |offset| Position::of(text, offset));
    let fault = Fault::new(text, Some(at), keys, &message);
    ReadError::at(name, ReadErrorKind::UnknownVersion, fault, hint)
}
