//! The rules of the release train, pure: configuration, ledger, gates, approvals, promotion, releases.

pub mod approvals;
pub mod config;
pub mod cycle;
pub mod gates;
mod identity;
pub mod ledger;
mod names;
mod patterns;
pub mod promotion;
pub mod release;
pub mod report;
pub mod rollback;
pub mod text;
mod variables;

pub use config::{Config, ConfigErrors, config_schema, weakenings};
pub use identity::{ConfigDigest, ReleaseId, SuiteDigest, config_digest, release_id, suite_digest};
pub use names::{EnvironmentName, NameError, SuiteName};
pub use patterns::{Pattern, PatternError};
pub use variables::{MissingValue, Template, TemplateError, Values, Variable};
