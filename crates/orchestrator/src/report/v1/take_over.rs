use lock_model::EnvironmentName;
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::Report;

/// `policy take-over`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct TakeOverReport {
    /// The environment that has the places now.
    pub environment: EnvironmentName,
    /// The places that it was given; empty where all of them were its own.
    pub places: Vec<TakenPlace>,
    /// Number of the record that holds the environment, where a place came with a hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<u64>,
}

/// One place that was given to an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct TakenPlace {
    /// Such as `branch deploy/production`.
    pub place: String,
    /// Why it was refused before.
    pub reasons: Vec<String>,
    /// Number of the record; absent where nothing had to be recorded.
    pub record: Option<u64>,
}

impl Report for TakeOverReport {}
