//! The lock: which commit and which image of every service a release consists of.
//!
//! Types, identity, difference, and (with features) the YAML file and its JSON Schema. No IO, no clock, no async.

mod canonical;
mod class;
mod identifier;
mod timestamp;

pub use canonical::{CanonicalError, canonical_json, tagged_digest};
pub use class::ErrorClass;
pub use identifier::{
    CommitId, Digest, IdentifierError, ImageRepository, LockId, Platform, RepositoryUrl, ServiceName, Tag,
    ThirdPartyName, TreeId, TreePath,
};
pub use timestamp::{Timestamp, TimestampError};
