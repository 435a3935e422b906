//! The rules of the release train, pure: configuration, ledger, gates, approvals, promotion, releases.

pub mod approvals;
pub mod cycle;
pub mod gates;
mod identity;
pub mod ledger;
mod names;
pub mod release;
pub mod rollback;
pub mod text;

pub use identity::{ConfigDigest, ReleaseId, SuiteDigest, config_digest, release_id, suite_digest};
pub use names::{EnvironmentName, NameError, SuiteName};
