//! Version 1 of the lock as it is written: flat, every alternative an optional field.
//!
//! Flat because a reader then knows the line of every fault, which tagged enums lose. The same structs give the JSON
//! form of a lock and its JSON Schema.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    ApiFile, ChartReference, ChartVersion, CommitId, Content, CreatedFrom, Digest, Exception, GitSource,
    ImageRepository, Lock, LockId, LockedImage, LockedMetadata, OneLine, Origin, Platform, RepositoryUrl, Revision,
    Service, ServiceName, Source, Tag, ThirdParty, ThirdPartyName, ThirdPartySource, Timestamp, TreeId, TreePath,
};

/// The version of the lock's format that this crate reads and writes.
pub const LOCK_VERSION: u64 = 1;

/// Which commit and which image of every service a release consists of. Written by `orchestrator lock`; a hand edit
/// is refused.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "Lock", rename = "Lock"))]
#[serde(deny_unknown_fields)]
pub(crate) struct WireLock {
    /// The version of this format.
    #[cfg_attr(feature = "schema", schemars(schema_with = "rule::version"))]
    version: u64,
    /// The digest over what the lock pins.
    pub(crate) id: LockId,
    source: WireSource,
    /// Every service by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
    services: BTreeMap<ServiceName, WireService>,
    /// What the environments install besides the services, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
    third_party: BTreeMap<ThirdPartyName, WireThirdParty>,
    /// Declared deviations, each with an end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minItems" = 1)))]
    exceptions: Vec<Exception>,
}

/// Where and from what the lock was made; not part of the id.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Source"))]
#[serde(deny_unknown_fields)]
struct WireSource {
    /// The superproject.
    repository: RepositoryUrl,
    /// The pull request; absent when the lock was made without one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "rule::pull_request"))]
    pull_request: Option<u64>,
    /// The commit that was reviewed.
    head: CommitId,
    /// The target branch when the lock was made.
    base: CommitId,
    /// The tree that was read: the merge result.
    tree: TreeId,
}

/// One submodule of the superproject.
#[derive(Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Service", transform = rule::image_where_kind_says)
)]
#[serde(deny_unknown_fields)]
struct WireService {
    kind: ServiceKind,
    /// Where the submodule lies in the superproject.
    path: TreePath,
    git: WireGit,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireImage"))]
    image: Option<WireImage>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireMetadata"))]
    metadata: Option<WireMetadata>,
    /// How the entry came about; absent when it was resolved.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireOrigin"))]
    origin: Option<WireOrigin>,
}

/// What is deployed of a service.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum ServiceKind {
    /// A container image.
    Image,
    /// Files only.
    Configuration,
}

/// How an entry came about, where it was not resolved.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Origin"))]
#[serde(rename_all = "kebab-case")]
enum WireOrigin {
    /// Taken over from a lock of an older pipeline.
    Migrated,
}

/// The commit that the submodule's gitlink names.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Git"))]
#[serde(deny_unknown_fields)]
struct WireGit {
    url: RepositoryUrl,
    sha: CommitId,
}

/// An image as a registry had it when the lock was made.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Image"))]
#[serde(deny_unknown_fields)]
struct WireImage {
    repository: ImageRepository,
    /// The tag that was found: for people.
    tag: Tag,
    /// What is deployed: the index where there is one, else the manifest.
    digest: Digest,
    /// The manifest of each platform.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
    platforms: BTreeMap<Platform, Digest>,
    created: Timestamp,
    created_from: CreatedFrom,
    revision: Revision,
}

/// What the service says about itself.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Metadata"))]
#[serde(deny_unknown_fields)]
struct WireMetadata {
    version: OneLine,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minItems" = 1)))]
    api: Vec<ApiFile>,
}

/// Something that the environments install besides the services: a chart or manifests.
#[derive(Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "ThirdParty", transform = rule::chart_or_manifests)
)]
#[serde(deny_unknown_fields)]
struct WireThirdParty {
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireChart"))]
    chart: Option<WireChart>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireManifests"))]
    manifests: Option<WireManifests>,
    /// The images that it runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
    images: BTreeMap<ImageRepository, Digest>,
}

/// A published chart.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Chart"))]
#[serde(deny_unknown_fields)]
struct WireChart {
    reference: ChartReference,
    version: ChartVersion,
    /// The OCI manifest's digest, or the SHA-256 of the archive.
    digest: Digest,
}

/// Manifests in the repository of a locked service.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Manifests"))]
#[serde(deny_unknown_fields)]
struct WireManifests {
    service: ServiceName,
    path: TreePath,
    /// The SHA-256 of the file's bytes.
    digest: Digest,
}

/// A field that may be absent but not null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Serialize for Lock {
    /// The same keys in the same order as in the lock file.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireLock::from(self).serialize(serializer)
    }
}

impl From<&Lock> for WireLock {
    fn from(lock: &Lock) -> Self {
        let Source { repository, pull_request, head, base, tree } = lock.source().clone();
        Self {
            version: LOCK_VERSION,
            id: lock.id().clone(),
            source: WireSource { repository, pull_request, head, base, tree },
            services: lock.services().iter().map(|(name, service)| (name.clone(), service.into())).collect(),
            third_party: lock.third_party().iter().map(|(name, entry)| (name.clone(), entry.into())).collect(),
            exceptions: lock.exceptions().to_vec(),
        }
    }
}

impl From<&Service> for WireService {
    fn from(service: &Service) -> Self {
        let Service { path, git: GitSource { url, sha }, content, metadata, origin } = service.clone();
        let (kind, image) = match content {
            Content::Image(image) => (ServiceKind::Image, Some(image.into())),
            Content::Configuration => (ServiceKind::Configuration, None),
        };
        Self {
            kind,
            path,
            git: WireGit { url, sha },
            image,
            metadata: metadata.map(|LockedMetadata { version, api }| WireMetadata { version, api }),
            origin: match origin {
                Origin::Resolved => None,
                Origin::Migrated => Some(WireOrigin::Migrated),
            },
        }
    }
}

impl From<LockedImage> for WireImage {
    fn from(image: LockedImage) -> Self {
        let LockedImage { repository, tag, digest, platforms, created, created_from, revision } = image;
        Self { repository, tag, digest, platforms, created, created_from, revision }
    }
}

impl From<&ThirdParty> for WireThirdParty {
    fn from(entry: &ThirdParty) -> Self {
        let ThirdParty { source, images } = entry.clone();
        let (chart, manifests) = match source {
            ThirdPartySource::Chart { reference, version, digest } => {
                (Some(WireChart { reference, version, digest }), None)
            }
            ThirdPartySource::Manifests { service, path, digest } => {
                (None, Some(WireManifests { service, path, digest }))
            }
        };
        Self { chart, manifests, images }
    }
}

#[cfg(feature = "yaml")]
mod checked {
    use super::*;
    use crate::{LockParts, LockProblem};

    impl WireLock {
        /// Joins the alternatives into their types; all that are incomplete or too much at once.
        pub(crate) fn into_parts(self) -> Result<LockParts, Vec<LockProblem>> {
            let WireSource { repository, pull_request, head, base, tree } = self.source;
            let mut problems = Vec::new();
            let mut services = BTreeMap::new();
            for (name, service) in self.services {
                match service.check() {
                    Ok(service) => drop(services.insert(name, service)),
                    Err((key, message)) => problems.push(LockProblem::new(&["services", name.as_str(), key], message)),
                }
            }
            let mut third_party = BTreeMap::new();
            for (name, entry) in self.third_party {
                match entry.check() {
                    Ok(entry) => drop(third_party.insert(name, entry)),
                    Err((key, message)) => {
                        problems.push(LockProblem::new(&["third_party", name.as_str(), key], message));
                    }
                }
            }
            if problems.is_empty() {
                let source = Source { repository, pull_request, head, base, tree };
                Ok(LockParts { source, services, third_party, exceptions: self.exceptions })
            } else {
                Err(problems)
            }
        }
    }

    impl WireService {
        fn check(self) -> Result<Service, (&'static str, &'static str)> {
            let content = match (self.kind, self.image) {
                (ServiceKind::Image, Some(image)) => {
                    let WireImage { repository, tag, digest, platforms, created, created_from, revision } = image;
                    Content::Image(LockedImage { repository, tag, digest, platforms, created, created_from, revision })
                }
                (ServiceKind::Configuration, None) => Content::Configuration,
                (ServiceKind::Image, None) => return Err(("kind", "a service of kind `image` has an `image`")),
                (ServiceKind::Configuration, Some(_)) => {
                    return Err(("image", "a service of kind `configuration` has no image"));
                }
            };
            Ok(Service {
                path: self.path,
                git: GitSource { url: self.git.url, sha: self.git.sha },
                content,
                metadata: self.metadata.map(|WireMetadata { version, api }| LockedMetadata { version, api }),
                origin: match self.origin {
                    None => Origin::Resolved,
                    Some(WireOrigin::Migrated) => Origin::Migrated,
                },
            })
        }
    }

    impl WireThirdParty {
        fn check(self) -> Result<ThirdParty, (&'static str, &'static str)> {
            let source = match (self.chart, self.manifests) {
                (Some(WireChart { reference, version, digest }), None) => {
                    ThirdPartySource::Chart { reference, version, digest }
                }
                (None, Some(WireManifests { service, path, digest })) => {
                    ThirdPartySource::Manifests { service, path, digest }
                }
                (None, None) => return Err(("chart", "a third party has a `chart` or `manifests`")),
                (Some(_), Some(_)) => {
                    return Err(("manifests", "a third party has a `chart` or `manifests`, not both"));
                }
            };
            Ok(ThirdParty { source, images: self.images })
        }
    }
}

/// Rules between fields, which the structs alone do not say.
#[cfg(feature = "schema")]
mod rule {
    use schemars::{Schema, SchemaGenerator, json_schema};
    use serde_json::json;

    pub(super) fn version(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "const": super::LOCK_VERSION })
    }

    pub(super) fn pull_request(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": crate::problem::MAX_PULL_REQUEST })
    }

    pub(super) fn image_where_kind_says(schema: &mut Schema) {
        let image_expected = json!({ "properties": { "kind": { "const": "image" } }, "required": ["kind"] });
        schema.insert("if".to_owned(), image_expected);
        schema.insert("then".to_owned(), json!({ "required": ["image"] }));
        schema.insert("else".to_owned(), json!({ "properties": { "image": false } }));
    }

    pub(super) fn chart_or_manifests(schema: &mut Schema) {
        schema.insert("oneOf".to_owned(), json!([{ "required": ["chart"] }, { "required": ["manifests"] }]));
    }
}
