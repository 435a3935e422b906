//! What a lock consists of.

use std::collections::BTreeMap;

use crate::{
    ChartReference, ChartVersion, CommitId, Date, Digest, ImageReference, ImageRepository, KindName, OneLine, Platform,
    RepositoryUrl, ServiceName, Tag, ThirdPartyName, Timestamp, TreeId, TreePath,
};

/// Everything that a [`Lock`](crate::Lock) is made of; not yet checked as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// The state of the superproject that a lock was made from: description, not identity.
///
/// ```yaml
/// repository: https://github.com/shop/shop
/// pull_request: 7
/// head: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
/// base: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
/// tree: cccccccccccccccccccccccccccccccccccccccc
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The superproject, as configured.
    pub repository: RepositoryUrl,
    /// The pull request; absent when the lock was made without one.
    pub pull_request: Option<u64>,
    /// The commit that was reviewed: it exists and stays reachable.
    pub head: CommitId,
    /// The target branch when the lock was made.
    pub base: CommitId,
    /// The tree that was read: the merge result, not the head's.
    pub tree: TreeId,
}

/// One submodule of the superproject.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    /// The repository, without credentials.
    pub url: RepositoryUrl,
    /// The commit.
    pub sha: CommitId,
}

/// What is deployed of a service: `kind: image` or `kind: configuration`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedImage {
    /// The repository with its host.
    pub repository: ImageRepository,
    /// The tag that was found: for people; what is deployed is the digest.
    pub tag: Tag,
    /// The digest that the tag had: of the index where there is one, else of the manifest.
    pub digest: Digest,
    /// The manifest of each platform.
    pub platforms: BTreeMap<Platform, Digest>,
    /// When the image was made.
    pub created: Timestamp,
    /// Where `created` was read.
    pub created_from: CreatedFrom,
    /// Whether the image says that it was built from the locked commit.
    pub revision: Revision,
}

impl LockedImage {
    /// The reference that is deployed: `repository:tag@digest`.
    pub fn reference(&self) -> ImageReference {
        ImageReference::new(self.repository.clone()).with_tag(self.tag.clone()).with_digest(self.digest.clone())
    }
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$word_doc])* #[serde(rename = $text)] $word,)+
        }

        impl $name {
            /// The word as the lock file writes it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

word! {
    /// Where an image's creation time was read, most trusted first.
    CreatedFrom {
        /// The newest of the platforms' image configurations.
        Config = "config",
        /// The `org.opencontainers.image.created` annotation.
        Annotation = "annotation",
        /// The commit's own time: the image says nothing usable.
        Commit = "commit",
    }
}

word! {
    /// Whether an image was built from the locked commit.
    Revision {
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

word! {
    /// How an entry of the lock came about; `resolved` is not written.
    Origin {
        /// Resolved from the tree and the registry.
        Resolved = "resolved",
        /// Taken over from a lock of an older pipeline.
        Migrated = "migrated",
    }
}

/// What a service says about itself, from its [`ServiceMetadata`](crate::ServiceMetadata).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedMetadata {
    /// The service's own version, in whatever scheme it uses.
    pub version: OneLine,
    /// Its interface descriptions; the order is not kept.
    pub api: Vec<ApiFile>,
}

/// An interface description in the service's repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiFile {
    /// What it is, such as `openapi`, `asyncapi`, `graphql`, `protobuf`.
    pub kind: KindName,
    /// Where it lies in the service's repository.
    pub path: TreePath,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

/// Something that the environments install besides the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThirdParty {
    /// What is installed.
    pub source: ThirdPartySource,
    /// The images that it runs.
    pub images: BTreeMap<ImageRepository, Digest>,
}

/// Where a third party's definition comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThirdPartySource {
    /// A published chart.
    Chart {
        /// The chart's address: `oci://…`, or `https://…` of an HTTP repository and the chart's name.
        reference: ChartReference,
        /// The chart's version.
        version: ChartVersion,
        /// The OCI manifest's digest, or the SHA-256 of the `.tgz` from an HTTP repository.
        digest: Digest,
    },
    /// Manifests that lie in the repository of a locked service.
    Manifests {
        /// The service.
        service: ServiceName,
        /// The file in the service's repository.
        path: TreePath,
        /// The SHA-256 of its bytes.
        digest: Digest,
    },
}

/// A declared deviation with an end, such as a service that is left out.
///
/// Reading a lock has no clock: an expired exception is still read, the gates refuse it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// What is excepted.
    pub kind: KindName,
    /// What it is about, such as a service's path.
    pub subject: OneLine,
    /// Why.
    pub reason: OneLine,
    /// Who answers for it.
    pub owner: OneLine,
    /// The last day on which it holds.
    pub until: Date,
}
