//! What a forge is asked and what it answers.
//!
//! The serialised form of these types is that of the local forge's files.

mod branch;
mod comment;
mod lease;
mod pull_request;
mod release;
mod reserved;
mod review;
mod status;
mod user;

pub use branch::{BranchRules, CommitOutcome, FileChange, LEDGER_BRANCH, RequiredStatus, UnmetStatus};
pub use comment::Comment;
pub use lease::{Lease, LeaseHolder, LeaseOutcome};
pub use pull_request::{
    MergeInfo, MergeRef, NewPullRequest, OpenOutcome, PullRequest, PullRequestEdit, PullRequestState, Readiness,
};
pub use release::{Asset, NewAsset, NewRelease, Release, ReleaseOutcome};
pub use reserved::RefPattern;
pub use review::{Review, ReviewState};
pub use status::{Status, StatusState};
pub use user::{Role, User};

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It was not there.
    Created,
    /// It was there with other content.
    Updated,
    /// It was there with this content: nothing was written.
    Unchanged,
}

impl WriteOutcome {
    pub(crate) fn of<T: PartialEq + ?Sized>(before: Option<&T>, after: &T) -> Self {
        match before {
            None => Self::Created,
            Some(before) if before == after => Self::Unchanged,
            Some(_) => Self::Updated,
        }
    }
}
