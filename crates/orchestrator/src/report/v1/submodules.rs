use lock_model::{CommitId, ServiceName, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// What lies between the two commits of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SubmoduleCommits {
    /// The commits are known.
    Known {
        /// `forward`, `backward`, `diverged`, …
        direction: String,
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

impl SubmoduleCommits {
    /// How many commits there are, in words, such as `3 commits` or `goes back by 2 commits`; or why they are not known.
    pub fn summary(&self) -> String {
        let (added, removed) = match self {
            Self::Known { added, removed, .. } => (added.count, removed.count),
            Self::Unknown { unknown } => return format!("commits are not known: {unknown}"),
        };
        let commits = |count: usize| if count == 1 { "1 commit".to_owned() } else { format!("{count} commits") };
        match (added, removed) {
            (0, 0) => "no commits".to_owned(),
            (added, 0) => commits(added),
            (0, removed) => format!("goes back by {}", commits(removed)),
            (added, 1) => format!("{}, and 1 is gone", commits(added)),
            (added, removed) => format!("{}, and {removed} are gone", commits(added)),
        }
    }
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
    /// The commit's id.
    pub commit: CommitId,
    /// The first line of its message.
    pub subject: String,
    /// Its author's name, as the author wrote it.
    pub author: String,
    /// When it was committed.
    pub time: Timestamp,
}

/// A change of a submodule that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RiskLine {
    /// Name of the service.
    pub service: ServiceName,
    /// A stable word, such as `owner-changed`.
    pub risk: String,
    /// The same as a sentence.
    pub message: String,
}
