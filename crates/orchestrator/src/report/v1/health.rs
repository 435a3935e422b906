use lock_model::EnvironmentName;
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{Report, Verdict};

/// `health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct HealthReport {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// What the checks said.
    pub report: healthcheck::HealthReport,
}

impl Report for HealthReport {
    fn verdict(&self) -> Verdict {
        Verdict::of(self.report.is_healthy())
    }
}
