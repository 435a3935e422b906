//! Where the rules for a change were read.

use ledger::PolicySource;
use lock_model::escaping::escape_terminal;
use lock_model::{CommitId, EnvironmentName};
use promotion::policy_commit::Acceptance;
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::Report;

/// Where the rules of an environment were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PolicyReport {
    /// The environment.
    pub environment: EnvironmentName,
    /// The branch that it runs.
    pub branch: String,
    /// Why the rules were read there.
    pub source: PolicySource,
    /// The policy commit; absent where the rules are the change's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The decision of an administrator that put them in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Acceptance>,
    /// The other environments of the branch whose rules hold as well, since this one is new there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub together_with: Vec<EnvironmentName>,
}

impl PolicyReport {
    /// Where the rules were read, in one sentence without a full stop.
    pub fn sentence(&self) -> String {
        let (environment, branch) = (&self.environment, &self.branch);
        let commit = self.commit.as_ref().map_or("the change itself", |commit| commit.short(12));
        if !self.together_with.is_empty() {
            let names: Vec<String> = self.together_with.iter().map(|name| format!("`{name}`")).collect();
            return format!(
                "`{environment}` is new on `{branch}`: the rules of {} hold for it as well, at {commit}",
                names.join(" and ")
            );
        }
        match self.source {
            PolicySource::Passed => {
                format!("the rules of `{environment}` are those of {commit}, the newest commit whose gates passed")
            }
            PolicySource::Accepted => match &self.accepted {
                Some(accepted) => format!(
                    "the rules of `{environment}` are those of {commit}, put in force by {} (record {}): {}",
                    escape_terminal(&accepted.by),
                    accepted.seq,
                    escape_terminal(&accepted.reason)
                ),
                None => format!("the rules of `{environment}` are those of {commit}, put in force by an administrator"),
            },
            PolicySource::Parent => format!(
                "nothing has passed the gates of `{environment}` yet: the rules are those of {commit}, before the change"
            ),
            PolicySource::Bootstrap => format!(
                "bootstrap: `{branch}` has no configuration of `{environment}` yet, so the rules are the change's own"
            ),
        }
    }

    /// Whether people have to know it: anything but the rules of a commit that passed by itself.
    pub fn is_unusual(&self) -> bool {
        match self.source {
            PolicySource::Passed => !self.together_with.is_empty(),
            PolicySource::Accepted | PolicySource::Parent | PolicySource::Bootstrap => true,
        }
    }
}

/// `policy accept`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PolicyAcceptReport {
    /// The environment.
    pub environment: EnvironmentName,
    /// The branch that it runs.
    pub branch: String,
    /// The commit whose rules are in force.
    pub commit: CommitId,
    /// The reason that was given.
    pub reason: String,
    /// Number of the record.
    pub record: Option<u64>,
}

impl Report for PolicyAcceptReport {}
