use ledger::{Hold, Unreviewed};
use lock_model::{CommitId, Date, EnvironmentName};
use schemars::JsonSchema;
use serde::Serialize;

use super::inputs::InputChanges;
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
    /// The pull requests that it carries, and the people who approved each; empty where no approvals are asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<CarriedReview>,
    /// Why no pull request shows its lock; absent where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreviewed: Option<UnreviewedLock>,
    /// The hold of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Rules that it relaxes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy_relaxations: Vec<String>,
    /// What it changes of the files of the superproject that the release reads.
    pub inputs: InputChanges,
    /// Why the environment must refuse the merge, whoever approves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
    /// Where the rules were read.
    pub policy: PolicyReport,
    /// The answer in one line.
    pub summary: String,
    /// Whether the pull request has what the rules ask for.
    pub approved: bool,
    /// A lock that no pull request shows, a hold, relaxed rules, and where the rules were read where that is unusual.
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

/// A pull request that another one carries, and the reviews that it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CarriedReview {
    /// Its number on the forge.
    pub number: u64,
    /// Its title, as its author wrote it.
    pub title: String,
    /// The user who opened it.
    pub author: String,
    /// The user who merged it; absent where a push brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_by: Option<String>,
    /// The people other than its author who approved its last head; empty: no review accepted it.
    pub approved_by: Vec<String>,
}

/// A lock that is in no pull request as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnreviewedLock {
    /// How it came.
    pub kind: Unreviewed,
    /// The reason that the ledger has for it.
    pub reason: String,
    /// The pull requests that its commit merged; their reviewers saw another lock.
    pub pull_requests: Vec<u64>,
    /// The user who committed it.
    pub by: String,
    /// Number of the record in the ledger.
    pub record: u64,
}

impl UnreviewedLock {
    /// Who did not review what, in one line.
    pub fn sentence(&self) -> String {
        let Self { kind, reason, pull_requests, by, record } = self;
        let numbers: Vec<String> = pull_requests.iter().map(|number| format!("#{number}")).collect();
        let reviewers = match numbers.as_slice() {
            [] => "no pull request has this lock".to_owned(),
            _ => format!("the reviewers of {} did not see this lock", numbers.join(", ")),
        };
        let why = match kind {
            Unreviewed::AcceptedNew => {
                format!("an image changed after the lock was published, and `{by}` took the new one")
            }
            Unreviewed::DirectPush => "a push brought it past the pull requests".to_owned(),
            Unreviewed::Migrated => format!("`{by}` took it over from an older pipeline"),
        };
        format!("{reviewers}: {why}: {reason} (record {record})")
    }
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
