//! What a lock consists of.
//!
//! The inputs of a lock are made with `new` and setters, so that a later field breaks no caller.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    ChartReference, ChartVersion, CommitId, Date, Digest, ImageReference, ImageRepository, KindName, OneLine, Platform,
    RepositoryUrl, ServiceName, Tag, ThirdPartyName, Timestamp, TreeId, TreePath,
};

/// Everything that a [`Lock`](crate::Lock) is made of; not yet checked as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LockParts {
    /// Where and from what the lock was made.
    pub source: Source,
    /// Every service, whether an environment deploys it or not.
    pub services: BTreeMap<ServiceName, Service>,
    /// What the environments install besides the services.
    pub third_party: BTreeMap<ThirdPartyName, ThirdParty>,
    /// Declared deviations, each with an end; the order is not kept.
    pub exceptions: Vec<Exception>,
}

impl LockParts {
    /// Parts without services, third parties and exceptions.
    pub fn new(source: Source) -> Self {
        Self { source, services: BTreeMap::new(), third_party: BTreeMap::new(), exceptions: Vec::new() }
    }

    /// Sets all services.
    #[must_use]
    pub fn with_services(mut self, services: impl IntoIterator<Item = (ServiceName, Service)>) -> Self {
        self.services = services.into_iter().collect();
        self
    }
}

/// The state of the superproject that a lock was made from: description, not identity.
///
/// ```yaml
/// repository: https://github.com/shop/shop
/// pull_request: 7
/// head: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
/// base: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
/// tree: cccccccccccccccccccccccccccccccccccccccc
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(description = "Where and from what the lock was made; not part of the id.")
)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Source {
    /// The superproject.
    pub repository: RepositoryUrl,
    /// The pull request; absent when the lock was made without one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::wire::pull_request"))]
    pub pull_request: Option<u64>,
    /// The commit that was reviewed.
    pub head: CommitId,
    /// The target branch when the lock was made.
    pub base: CommitId,
    /// The tree that was read: the merge result.
    pub tree: TreeId,
}

impl Source {
    /// A source without a pull request.
    pub fn new(repository: RepositoryUrl, head: CommitId, base: CommitId, tree: TreeId) -> Self {
        Self { repository, pull_request: None, head, base, tree }
    }

    /// Sets the number of the pull request, from 1.
    #[must_use]
    pub fn with_pull_request(mut self, number: u64) -> Self {
        self.pull_request = Some(number);
        self
    }
}

/// One submodule of the superproject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "crate::wire::WireService")]
#[non_exhaustive]
pub struct Service {
    /// Where the submodule lies in the superproject.
    pub path: TreePath,
    /// The submodule's repository and the commit that its gitlink names.
    pub git: GitSource,
    /// What is deployed of it: an image, or only its files.
    pub content: Content,
    /// What the service says about itself; absent when it says nothing.
    pub metadata: Option<LockedMetadata>,
    /// How the entry came about.
    pub origin: Origin,
}

impl Service {
    /// A resolved service without metadata.
    pub fn new(path: TreePath, git: GitSource, content: Content) -> Self {
        Self { path, git, content, metadata: None, origin: Origin::Resolved }
    }
}

/// A submodule's repository and the commit that its gitlink names; in the lock file the commit's key is `sha`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Git"))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GitSource {
    /// The submodule's repository, resolved against the superproject's where `.gitmodules` has it relative.
    pub url: RepositoryUrl,
    /// The commit that the gitlink names.
    #[serde(rename = "sha")]
    pub commit: CommitId,
}

impl GitSource {
    /// A commit and the repository that has it.
    pub fn new(url: RepositoryUrl, commit: CommitId) -> Self {
        Self { url, commit }
    }
}

/// What is deployed of a service: `kind: image` or `kind: configuration`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// A container image.
    Image(LockedImage),
    /// Files only; the service has no image, declared so in the configuration.
    Configuration,
}

impl Content {
    /// The `kind` as the lock file writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Image(_) => "image",
            Self::Configuration => "configuration",
        }
    }

    /// The image, where there is one.
    pub fn image(&self) -> Option<&LockedImage> {
        match self {
            Self::Image(image) => Some(image),
            Self::Configuration => None,
        }
    }
}

/// An image as a registry had it when the lock was made.
///
/// ```yaml
/// repository: ghcr.io/shop/cart
/// tag: main-1111111
/// digest: sha256:2222222222222222222222222222222222222222222222222222222222222222
/// platforms:
///   linux/amd64: sha256:6666666666666666666666666666666666666666666666666666666666666666
/// created: "2025-11-20T21:14:07Z"
/// created_from: config
/// revision: self-asserted
/// ```
///
/// What is deployed is [`LockedImage::reference`]: the tag for people, the digest for machines.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Image", description = "An image as a registry had it when the lock was made.")
)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LockedImage {
    /// The repository with its host.
    pub repository: ImageRepository,
    /// The tag that was found: for people.
    pub tag: Tag,
    /// What is deployed: the index where there is one, else the manifest.
    pub digest: Digest,
    /// The manifest of each platform.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1, "propertyNames" = { "maxLength": 128 })))]
    pub platforms: BTreeMap<Platform, Digest>,
    /// When the image was made; the commit's time where the image says nothing usable.
    pub created: Timestamp,
    /// Where `created` was read.
    pub created_from: CreatedFrom,
    /// Whether the image says that it was built from the locked commit.
    pub revision: Revision,
}

impl LockedImage {
    /// An image without platforms, whose revision is not checked.
    pub fn new(
        repository: ImageRepository,
        tag: Tag,
        digest: Digest,
        created: Timestamp,
        created_from: CreatedFrom,
    ) -> Self {
        let (platforms, revision) = (BTreeMap::new(), Revision::Unchecked);
        Self { repository, tag, digest, platforms, created, created_from, revision }
    }

    /// Sets the manifest of each platform.
    #[must_use]
    pub fn with_platforms(mut self, platforms: impl IntoIterator<Item = (Platform, Digest)>) -> Self {
        self.platforms = platforms.into_iter().collect();
        self
    }

    /// Sets whether the image was built from the locked commit; `unchecked` unless it is set.
    #[must_use]
    pub fn with_revision(mut self, revision: Revision) -> Self {
        self.revision = revision;
        self
    }

    /// The reference that is deployed: `repository:tag@digest`.
    pub fn reference(&self) -> ImageReference {
        ImageReference::new(self.repository.clone()).with_tag(self.tag.clone()).with_digest(self.digest.clone())
    }
}

words! {
    /// Where an image's creation time was read, most trusted first.
    CreatedFrom, "source of a creation time" {
        /// The newest of the platforms' image configurations.
        Config = "config",
        /// The `org.opencontainers.image.created` annotation.
        Annotation = "annotation",
        /// The commit's own time: the image says nothing usable.
        Commit = "commit",
    }
}

words! {
    /// Whether an image was built from the locked commit.
    Revision, "revision" {
        /// An attestation names the commit.
        Proven = "proven",
        /// The image's own label names the commit.
        SelfAsserted = "self-asserted",
        /// The image's label names another commit.
        Mismatch = "mismatch",
        /// The image has no such label.
        Absent = "absent",
        /// The policy does not ask.
        Unchecked = "unchecked",
    }
}

words! {
    /// How an entry of the lock came about; `resolved` is not written.
    Origin, "origin" {
        /// Resolved from the tree and the registry.
        Resolved = "resolved",
        /// Taken over from a lock of an older pipeline.
        Migrated = "migrated",
    }
}

/// What a service says about itself, from its [`ServiceMetadata`](crate::ServiceMetadata).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Metadata", description = "What the service says about itself.")
)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LockedMetadata {
    /// The service's own version, in whatever scheme it uses.
    pub version: OneLine,
    /// Its interface descriptions; the order is not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("minItems" = 1)))]
    pub api: Vec<ApiFile>,
}

impl LockedMetadata {
    /// A version without interface descriptions: fill the list.
    pub fn new(version: OneLine) -> Self {
        Self { version, api: Vec::new() }
    }
}

/// An interface description in the service's repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiFile {
    /// What it is, such as `openapi`, `asyncapi`, `graphql`, `protobuf`.
    pub kind: KindName,
    /// Where it lies in the service's repository.
    pub path: TreePath,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

impl ApiFile {
    /// A description whose bytes have this digest.
    pub fn new(kind: KindName, path: TreePath, digest: Digest) -> Self {
        Self { kind, path, digest }
    }
}

/// Something that the environments install besides the services.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "crate::wire::WireThirdParty")]
#[non_exhaustive]
pub struct ThirdParty {
    /// The chart or the manifests.
    pub source: ThirdPartySource,
    /// The images that it runs.
    pub images: BTreeMap<ImageRepository, Digest>,
}

impl ThirdParty {
    /// A third party that runs no image: fill the map.
    pub fn new(source: ThirdPartySource) -> Self {
        Self { source, images: BTreeMap::new() }
    }
}

/// Where a third party's definition comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ThirdPartySource {
    /// A published chart.
    Chart(LockedChart),
    /// Manifests that lie in the repository of a locked service.
    Manifests(LockedManifests),
}

/// A published chart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Chart"))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LockedChart {
    /// `oci://…`, or `https://…` of an HTTP repository and the chart's name.
    pub reference: ChartReference,
    /// An exact version, never a range.
    pub version: ChartVersion,
    /// The OCI manifest's digest, or the SHA-256 of the archive.
    pub digest: Digest,
}

impl LockedChart {
    /// A version of a chart, whose manifest or archive has this digest.
    pub fn new(reference: ChartReference, version: ChartVersion, digest: Digest) -> Self {
        Self { reference, version, digest }
    }
}

/// Manifests in the repository of a locked service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Manifests"))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LockedManifests {
    /// A service of the same lock.
    pub service: ServiceName,
    /// In the service's repository.
    pub path: TreePath,
    /// The SHA-256 of the file's bytes.
    pub digest: Digest,
}

impl LockedManifests {
    /// A file of a service, whose bytes have this digest.
    pub fn new(service: ServiceName, path: TreePath, digest: Digest) -> Self {
        Self { service, path, digest }
    }
}

/// A declared deviation with an end, such as a service that is left out.
///
/// Reading a lock has no clock: an expired exception is still read, the gates refuse it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Exception {
    /// What is excepted, such as `left-out`.
    pub kind: KindName,
    /// What it is about, such as a service's path.
    pub subject: OneLine,
    /// Why the deviation is accepted, for people.
    pub reason: OneLine,
    /// Who answers for it.
    pub owner: OneLine,
    /// The last day on which it holds.
    pub until: Date,
}

impl Exception {
    /// An exception of a kind for a subject, with its reason, its owner and its last day.
    pub fn new(kind: KindName, subject: OneLine, reason: OneLine, owner: OneLine, until: Date) -> Self {
        Self { kind, subject, reason, owner, until }
    }
}

/// A field that may be absent but not null.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
