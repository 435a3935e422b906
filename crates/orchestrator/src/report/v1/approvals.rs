use lock_model::{CommitId, Date, EnvironmentName};
use schemars::JsonSchema;
use serde::Serialize;

use super::policy::PolicyReport;
use super::verdict::{Report, Verdict};
use crate::error::ErrorKind;

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
    /// Who is left: the users whose approval counts or would count.
    pub eligible: Vec<String>,
    /// People with write access whose approval never counts here, and why.
    pub excluded: Vec<NotCountedReview>,
    /// What applies because too few people are left; absent where enough are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<AppliedFallback>,
    /// Why the environment must refuse the merge, whoever approves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
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

/// A smaller number of approvals, which the rules declare for a team that is too small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AppliedFallback {
    /// How many approvals are enough.
    pub count: u32,
    /// The person or team that decided it.
    pub owner: String,
    /// The reason that the configuration gives.
    pub reason: String,
    /// The last day on which it applies.
    pub until: Date,
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
        // Approvals that are missing can still come; an obstacle stays.
        if self.obstacles.is_empty() { Verdict::of(self.approved) } else { Verdict::Negative(ErrorKind::Refused) }
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
