use lock_model::{CommitId, EnvironmentName};
use schemars::JsonSchema;
use serde::Serialize;

use super::policy::PolicyReport;
use super::verdict::{Report, Verdict};

/// `approvals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ApprovalsReport {
    /// Number of the pull request.
    pub pull_request: u64,
    /// The environment whose rules were asked.
    pub environment: EnvironmentName,
    /// The branch that it goes to.
    pub branch: String,
    /// The commit that was judged.
    pub head: CommitId,
    /// How many approvals the rules ask for; 0: none.
    pub needed: u32,
    /// How many are missing.
    pub missing: u32,
    /// The users whose approvals count.
    pub counted: Vec<String>,
    /// Who does not, and why.
    pub not_counted: Vec<NotCountedReview>,
    /// Where the rules were read.
    pub policy: PolicyReport,
    /// The answer in one line.
    pub summary: String,
    /// Whether the pull request has what the rules ask for.
    pub approved: bool,
    /// Rules that the pull request relaxes, and where the rules were read where that is unusual.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A review that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NotCountedReview {
    /// The user who wrote it.
    pub user: String,
    /// Why it does not count.
    pub reason: String,
}

impl Report for ApprovalsReport {
    fn verdict(&self) -> Verdict {
        Verdict::of(self.approved)
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
