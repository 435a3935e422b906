use lock_model::{CommitId, ServiceName, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// What lies between the two commits of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SubmoduleCommits {
    /// The commits are known.
    Known {
        /// `forward`, `backward`, …; absent where it could not be found out.
        #[serde(skip_serializing_if = "Option::is_none")]
        direction: Option<String>,
        /// How many there are, in words.
        summary: String,
        /// What the new commit has and the old one had not.
        added: CommitLines,
        /// What the old commit had and the new one has not.
        removed: CommitLines,
    },
    /// They could not be found out.
    Unknown {
        /// Why, in one line.
        unknown: String,
    },
}

/// Some commits, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CommitLines {
    /// The number of all of them.
    pub count: usize,
    /// The newest of them, newest first.
    pub newest: Vec<CommitLine>,
}

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CommitLine {
    /// Its id.
    pub commit: CommitId,
    /// The first line of its message.
    pub subject: String,
    /// Its author's name.
    pub author: String,
    /// When it was committed.
    pub time: Timestamp,
}

/// A change of a submodule that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RiskLine {
    /// The service.
    pub service: ServiceName,
    /// A stable word, such as `owner-changed`.
    pub risk: String,
    /// The same as a sentence.
    pub message: String,
}
