use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::present;
use crate::{
    Content, Digest, Exception, GitSource, ImageRepository, Lock, LockId, LockParts, LockedChart, LockedImage,
    LockedManifests, LockedMetadata, Origin, Service, ServiceName, Source, ThirdParty, ThirdPartyName,
    ThirdPartySource, TreePath,
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
    pub(super) source: Source,
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

/// One submodule of the superproject.
#[derive(Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Service", transform = super::rule::image_where_kind_says)
)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireService {
    pub(super) kind: ServiceKind,
    /// Where the submodule lies in the superproject.
    pub(super) path: TreePath,
    pub(super) git: GitSource,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "LockedImage"))]
    pub(super) image: Option<LockedImage>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "LockedMetadata"))]
    pub(super) metadata: Option<LockedMetadata>,
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

/// Something that the environments install besides the services: a chart or manifests.
#[derive(Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "ThirdParty", transform = super::rule::chart_or_manifests)
)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireThirdParty {
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "LockedChart"))]
    pub(super) chart: Option<LockedChart>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "LockedManifests"))]
    pub(super) manifests: Option<LockedManifests>,
    /// The images that it runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1, "propertyNames" = { "maxLength": 255 })))]
    pub(super) images: BTreeMap<ImageRepository, Digest>,
}

impl From<Lock> for WireLock {
    fn from(lock: Lock) -> Self {
        let id = lock.id().clone();
        let LockParts { source, services, third_party, exceptions } = lock.into_parts();
        Self {
            version: super::LOCK_VERSION,
            id,
            source,
            services: services.into_iter().map(|(name, service)| (name, service.into())).collect(),
            third_party: third_party.into_iter().map(|(name, entry)| (name, entry.into())).collect(),
            exceptions,
        }
    }
}

impl From<Service> for WireService {
    fn from(Service { path, git, content, metadata, origin }: Service) -> Self {
        let (kind, image) = match content {
            Content::Image(image) => (ServiceKind::Image, Some(image)),
            Content::Configuration => (ServiceKind::Configuration, None),
        };
        let origin = match origin {
            Origin::Resolved => None,
            Origin::Migrated => Some(WireOrigin::Migrated),
        };
        Self { kind, path, git, image, metadata, origin }
    }
}

impl From<ThirdParty> for WireThirdParty {
    fn from(ThirdParty { source, images }: ThirdParty) -> Self {
        let (chart, manifests) = match source {
            ThirdPartySource::Chart(chart) => (Some(chart), None),
            ThirdPartySource::Manifests(manifests) => (None, Some(manifests)),
        };
        Self { chart, manifests, images }
    }
}
