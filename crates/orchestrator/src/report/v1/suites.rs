use lock_model::EnvironmentName;
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{Report, Verdict};

/// `test run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct TestReport {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// What the suites said, in the order in which they ran.
    pub suites: Vec<qa::SuiteReport>,
    /// Suites that did not run, and statuses that were not set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl TestReport {
    /// Whether every suite passed.
    pub fn is_passed(&self) -> bool {
        self.suites.iter().all(qa::SuiteReport::is_passed)
    }

    /// All suites as one `JUnit` document.
    pub fn to_junit(&self) -> String {
        qa::to_junit(&self.suites)
    }
}

impl Report for TestReport {
    fn verdict(&self) -> Verdict {
        Verdict::of(self.is_passed())
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn markdown(&self) -> Option<String> {
        Some(qa::to_markdown(&self.suites))
    }
}
