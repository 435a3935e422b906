use lock_model::{EnvironmentName, SuiteName};
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::Report;

/// `config check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ConfigCheckReport {
    /// How many rules for services there are.
    pub service_rules: usize,
    /// Names of the environments, sorted.
    pub environments: Vec<EnvironmentName>,
    /// Names of the suites, sorted.
    pub suites: Vec<SuiteName>,
    /// The environment variables that a run reads, sorted.
    pub environment_variables: Vec<String>,
}

impl Report for ConfigCheckReport {}

/// `config show`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ConfigShowReport {
    /// The configuration after merging; with origins, each value is an object of value and place.
    pub config: serde_json::Value,
    /// The same as YAML.
    #[serde(skip)]
    pub(crate) yaml: String,
}

impl ConfigShowReport {
    /// The configuration after merging, as YAML.
    pub fn yaml(&self) -> &str {
        &self.yaml
    }
}

impl Report for ConfigShowReport {}
