use lock_model::{CommitId, Timestamp, UserName};
use serde::{Deserialize, Serialize};

/// State of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusState {
    /// The answer is being made.
    Pending,
    /// A required status in this state is met.
    Success,
    /// A required status in this state is not met.
    Failure,
}

impl std::fmt::Display for StatusState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The word in the files.
        serde::Serialize::serialize(self, f)
    }
}

/// The newest status of one commit in one context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Status {
    /// Such as `orchestrator/lock`.
    pub context: String,
    /// Pending, success or failure.
    pub state: StatusState,
    /// One line of at most 140 characters.
    pub description: String,
    /// The tip of the base branch that it was earned against; absent where it belongs to the commit alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<CommitId>,
    /// The user who set it.
    pub by: UserName,
    /// When it was set.
    pub at: Timestamp,
}
