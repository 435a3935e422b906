//! The lock: which commit and which image of every service a release consists of.
//!
//! Types, identities, difference, service metadata, the identifiers of the workspace, and escaping of foreign text. No
//! IO, no clock, no async: text goes in and comes out.
//!
//! ```
//! use lock_model::{Content, CreatedFrom, Digest, GitSource, Lock, LockParts, LockedImage, Service, Source};
//!
//! let image = LockedImage::new(
//!     "ghcr.io/shop/cart".parse()?,
//!     "main-1111111".parse()?,
//!     Digest::of(b"the manifest"),
//!     "2025-11-20T21:14:07Z".parse()?,
//!     CreatedFrom::Config,
//! )
//! .with_platforms([("linux/amd64".parse()?, Digest::of(b"the manifest"))]);
//! let git = GitSource::new("https://github.com/shop/cart.git".parse()?, "1".repeat(40).parse()?);
//! let cart = Service::new("services/cart".parse()?, git, Content::Image(image));
//!
//! let superproject = "https://github.com/shop/shop".parse()?;
//! let (head, base, tree) = ("a".repeat(40).parse()?, "b".repeat(40).parse()?, "c".repeat(40).parse()?);
//! let source = Source::new(superproject, head, base, tree).with_pull_request(7);
//!
//! // Every contradiction between the parts is one problem of the error.
//! let lock = Lock::new(LockParts::new(source).with_services([("cart".parse()?, cart)]))?;
//!
//! # #[cfg(feature = "yaml")] {
//! // The same lock is always the same bytes, and no other bytes are that lock.
//! let file = lock.to_yaml();
//! let again = Lock::parse(file.as_bytes(), lock_model::LOCK_FILE)?;
//! assert!(lock_model::diff(&lock, &again).is_empty());
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `schema` | no | `schemars::JsonSchema` of the types that are written to files, `lock_schema`, `metadata_schema` |
//! | `yaml` | no | the lock file: `Lock::parse` and `Lock::to_yaml` |

#![cfg_attr(docsrs, feature(doc_cfg))]

// The code that `words!` makes names this crate as its users do.
extern crate self as lock_model;

#[macro_use]
mod words;
mod canonical;
mod class;
#[macro_use]
mod identifier;
mod consistency;
mod credentials;
mod date;
mod difference;
pub mod escaping;
mod files;
mod identity;
mod json;
mod legacy;
mod lock;
mod metadata;
mod parse_error;
mod problem;
mod release_identity;
#[cfg(feature = "schema")]
mod schema;
mod timestamp;
mod types;
mod wire;
#[cfg(feature = "yaml")]
mod yaml;

pub use canonical::{CanonicalError, canonical_json, tagged_digest};
pub use class::ErrorClass;
pub use consistency::LockError;
pub use date::{Date, DateError};
pub use difference::{Change, FieldChange, LockDiff, ServiceChange, ThirdPartyChange, diff};
pub use files::{
    CONFIG_FILE, GIT_ATTRIBUTES, GIT_ATTRIBUTES_FILE, GITMODULES_FILE, LEDGER_BRANCH, LOCK_FILE, LOCK_FOLDER,
    LOCK_SCHEMA_BESIDE_FILE, LOCK_SCHEMA_FILE, is_foreign_lock_file, is_lock_file,
};
pub use identifier::{
    BranchName, ChartReference, ChartVersion, CommitId, CommitPrefix, ConfigDigest, Digest, EnvironmentName,
    IdentifierError, ImageReference, ImageRepository, KindName, LockId, OneLine, Platform, ReleaseId, ReleaseTag,
    RepositoryUrl, ServiceName, SuiteDigest, SuiteName, Tag, ThirdPartyName, TreeId, TreePath, UserName, is_git_folder,
    is_host_name,
};
pub use legacy::{LegacyLock, LegacyService};
pub use lock::{Lock, SchemaPlace};
pub use metadata::{
    METADATA_ARTIFACT_TYPE, METADATA_FILE, METADATA_VERSION, MetadataError, MetadataImage, ServiceMetadata,
};
pub use parse_error::{ParseError, ParseErrorKind};
pub use problem::{Problem, one_per_line};
pub use release_identity::{FileMode, config_digest, release_id, suite_digest};
#[cfg(feature = "schema")]
pub use schema::{lock_schema, metadata_schema, schema_text, sorted_schema};
/// For the code that [`identifier!`] and [`words!`] make.
#[cfg(feature = "schema")]
#[doc(hidden)]
pub use schemars;
/// For the code that [`words!`] makes.
#[doc(hidden)]
pub use serde;
pub use timestamp::{Timestamp, TimestampError};
pub use types::{
    ApiFile, Content, CreatedFrom, Exception, GitSource, LockParts, LockedChart, LockedImage, LockedManifests,
    LockedMetadata, Origin, Revision, Service, Source, ThirdParty, ThirdPartySource,
};
pub use wire::LOCK_VERSION;
