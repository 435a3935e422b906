use lock_model::EnvironmentName;
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::Report;

/// `hold` and `unhold`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct HoldReport {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// Whether it is held now.
    pub held: bool,
    /// The reason that was given.
    pub reason: String,
    /// Number of the record; absent where nothing had to be recorded.
    pub record: Option<u64>,
}

impl Report for HoldReport {}
