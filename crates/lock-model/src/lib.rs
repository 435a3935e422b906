//! The lock: which commit and which image of every service a release consists of.
//!
//! Types, identity, difference, and (with features) the YAML file and its JSON Schema. No IO, no clock, no async.

mod canonical;
mod class;
mod consistency;
mod date;
mod difference;
pub mod escaping;
mod files;
#[macro_use]
mod identifier;
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
    LOCK_SCHEMA_FILE,
};
pub use identifier::{
    BranchName, ChartReference, ChartVersion, CommitId, Digest, EnvironmentName, IdentifierError, ImageReference,
    ImageRepository, KindName, LockId, OneLine, Platform, ReleaseTag, RepositoryUrl, ServiceName, SuiteName, Tag,
    ThirdPartyName, TreeId, TreePath, UserName, is_host_name,
};
pub use legacy::{LegacyLock, LegacyService};
pub use lock::Lock;
pub use metadata::{
    METADATA_ARTIFACT_TYPE, METADATA_FILE, METADATA_VERSION, MetadataError, MetadataImage, ServiceMetadata,
};
pub use parse_error::{ParseError, ParseErrorKind};
pub use problem::Problem;
pub use release_identity::{ConfigDigest, ReleaseId, SuiteDigest, config_digest, release_id, suite_digest};
#[cfg(feature = "schema")]
pub use schema::{lock_schema, metadata_schema, schema_text, sorted_schema};
/// What [`identifier!`] needs.
#[cfg(feature = "schema")]
#[doc(hidden)]
pub use schemars;
pub use timestamp::{Timestamp, TimestampError};
pub use types::{
    ApiFile, Content, CreatedFrom, Exception, GitSource, LockParts, LockedChart, LockedImage, LockedManifests,
    LockedMetadata, Origin, Revision, Service, Source, ThirdParty, ThirdPartySource,
};
pub use wire::LOCK_VERSION;
