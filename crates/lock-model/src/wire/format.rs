use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    ApiFile, ChartReference, ChartVersion, CommitId, CreatedFrom, Digest, Exception, ImageRepository, LockId, OneLine,
    Platform, RepositoryUrl, Revision, ServiceName, Tag, ThirdPartyName, Timestamp, TreeId, TreePath,
};

/// Which commit and which image of every service a release consists of; a hand edit is refused.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "Lock", rename = "Lock"))]
#[serde(deny_unknown_fields)]
pub(crate) struct WireLock {
    /// The version of this format.
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::rule::version"))]
    pub(super) version: u64,
    /// The digest over what the lock pins.
    pub(crate) id: LockId,
    pub(super) source: WireSource,
    /// Every service by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1, "propertyNames" = { "maxLength": 128 })))]
    pub(super) services: BTreeMap<ServiceName, WireService>,
    /// What the environments install besides the services, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1, "propertyNames" = { "maxLength": 128 })))]
    pub(super) third_party: BTreeMap<ThirdPartyName, WireThirdParty>,
    /// Declared deviations, each with an end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minItems" = 1)))]
    pub(super) exceptions: Vec<Exception>,
}

/// Where and from what the lock was made; not part of the id.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Source"))]
#[serde(deny_unknown_fields)]
pub(super) struct WireSource {
    /// The superproject.
    pub(super) repository: RepositoryUrl,
    /// The pull request; absent when the lock was made without one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::rule::pull_request"))]
    pub(super) pull_request: Option<u64>,
    /// The commit that was reviewed.
    pub(super) head: CommitId,
    /// The target branch when the lock was made.
    pub(super) base: CommitId,
    /// The tree that was read: the merge result.
    pub(super) tree: TreeId,
}

/// One submodule of the superproject.
#[derive(Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Service", transform = super::rule::image_where_kind_says)
)]
#[serde(deny_unknown_fields)]
pub(super) struct WireService {
    pub(super) kind: ServiceKind,
    /// Where the submodule lies in the superproject.
    pub(super) path: TreePath,
    pub(super) git: WireGit,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireImage"))]
    pub(super) image: Option<WireImage>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireMetadata"))]
    pub(super) metadata: Option<WireMetadata>,
    /// How the entry came about; absent when it was resolved.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireOrigin"))]
    pub(super) origin: Option<WireOrigin>,
}

/// What is deployed of a service.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum ServiceKind {
    /// A container image.
    Image,
    /// Files only.
    Configuration,
}

/// How an entry came about, where it was not resolved.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Origin"))]
#[serde(rename_all = "kebab-case")]
pub(super) enum WireOrigin {
    /// Taken over from a lock of an older pipeline.
    Migrated,
}

/// The commit that the submodule's gitlink names.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Git"))]
#[serde(deny_unknown_fields)]
pub(super) struct WireGit {
    pub(super) url: RepositoryUrl,
    pub(super) sha: CommitId,
}

/// An image as a registry had it when the lock was made.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Image"))]
#[serde(deny_unknown_fields)]
pub(super) struct WireImage {
    pub(super) repository: ImageRepository,
    /// The tag that was found: for people.
    pub(super) tag: Tag,
    /// What is deployed: the index where there is one, else the manifest.
    pub(super) digest: Digest,
    /// The manifest of each platform.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1, "propertyNames" = { "maxLength": 128 })))]
    pub(super) platforms: BTreeMap<Platform, Digest>,
    pub(super) created: Timestamp,
    pub(super) created_from: CreatedFrom,
    pub(super) revision: Revision,
}

/// What the service says about itself.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Metadata"))]
#[serde(deny_unknown_fields)]
pub(super) struct WireMetadata {
    pub(super) version: OneLine,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minItems" = 1)))]
    pub(super) api: Vec<ApiFile>,
}

/// Something that the environments install besides the services: a chart or manifests.
#[derive(Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "ThirdParty", transform = super::rule::chart_or_manifests)
)]
#[serde(deny_unknown_fields)]
pub(super) struct WireThirdParty {
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireChart"))]
    pub(super) chart: Option<WireChart>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WireManifests"))]
    pub(super) manifests: Option<WireManifests>,
    /// The images that it runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1, "propertyNames" = { "maxLength": 255 })))]
    pub(super) images: BTreeMap<ImageRepository, Digest>,
}

/// A published chart.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Chart"))]
#[serde(deny_unknown_fields)]
pub(super) struct WireChart {
    pub(super) reference: ChartReference,
    pub(super) version: ChartVersion,
    /// The OCI manifest's digest, or the SHA-256 of the archive.
    pub(super) digest: Digest,
}

/// Manifests in the repository of a locked service.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Manifests"))]
#[serde(deny_unknown_fields)]
pub(super) struct WireManifests {
    pub(super) service: ServiceName,
    pub(super) path: TreePath,
    /// The SHA-256 of the file's bytes.
    pub(super) digest: Digest,
}

/// A field that may be absent but not null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
