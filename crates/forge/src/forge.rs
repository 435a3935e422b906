use lock_model::{BranchName, CommitId, ReleaseTag, Timestamp};

use crate::error::ForgeError;
use crate::local::LocalForge;
use crate::model::{
    BranchRules, BranchSnapshot, Bypass, BypassRecord, Comment, CommitOutcome, FileChange, MergeOutcome, MergeRef,
    NewPullRequest, NewRelease, Opened, PullRequest, PullRequestEdit, PullRequestState, Release, ReleaseOutcome,
    Review, Stance, Status, StatusState, User, Written,
};

/// A forge, whichever it is: what the train asks of it.
///
/// The local one answers from files and short git commands and blocks while it does.
#[derive(Debug)]
pub enum Forge {
    /// The file forge beside a bare repository.
    Local(LocalForge),
}

macro_rules! delegate {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl Forge {
            $(
                $(#[$doc])*
                pub async fn $name(&self, $($argument: $kind),*) -> Result<$answer, ForgeError> {
                    match self {
                        Self::Local(local) => local.$name($($argument),*),
                    }
                }
            )*
        }
    };
}

delegate! {
    /// Everybody whom the forge knows.
    users() -> Vec<User>;
    /// The protected branches with their rules.
    protected_branches() -> Vec<(BranchName, BranchRules)>;
    /// Every branch with its tip.
    branches() -> Vec<(BranchName, CommitId)>;
    /// Tip of a branch, when there is such a branch.
    branch_head(branch: &BranchName) -> Option<CommitId>;
    /// Tip and regular files of a branch, read at one moment.
    read_branch(branch: &BranchName) -> Option<BranchSnapshot>;
    /// Commits changes onto a branch whose tip must be `expected_head` (`None`: there must be no such branch).
    commit_files(
        branch: &BranchName, expected_head: Option<&CommitId>, changes: &[FileChange], message: &str, now: Timestamp
    ) -> CommitOutcome;
    /// One pull request.
    pull_request(number: u64) -> PullRequest;
    /// All pull requests in this state, or in any, by number.
    pull_requests(state: Option<PullRequestState>) -> Vec<PullRequest>;
    /// The pull requests that a commit belongs to: first those whose merge it is, then those that bring it.
    pull_requests_of_commit(commit: &CommitId) -> Vec<PullRequest>;
    /// The open pull request from one branch into another.
    find_open(head: &BranchName, base: &BranchName) -> Option<PullRequest>;
    /// Opens a pull request unless one between the same branches is open.
    open_pull_request(new: &NewPullRequest, now: Timestamp) -> Opened;
    /// Changes title, text or readiness of an open pull request.
    edit_pull_request(number: u64, edit: &PullRequestEdit, now: Timestamp) -> Written;
    /// Closes an open pull request without merging it.
    close_pull_request(number: u64, now: Timestamp) -> Written;
    /// The merge that an open pull request would make now, or made.
    merge_ref(number: u64) -> MergeRef;
    /// Merges a pull request whose head must be `expected_head`.
    merge(number: u64, expected_head: &CommitId, bypass: Bypass, now: Timestamp) -> MergeOutcome;
    /// Writes our comment with this marker; somebody else's comment with the same marker is not ours.
    upsert_comment(number: u64, marker: &str, body: &str, now: Timestamp) -> Written;
    /// All comments of a pull request, oldest first.
    comments(number: u64) -> Vec<Comment>;
    /// All reviews of a pull request, in order of arrival.
    reviews(number: u64) -> Vec<Review>;
    /// Reviews the head of an open pull request, which must be `expected_head`.
    submit_review(number: u64, expected_head: &CommitId, stance: Stance, now: Timestamp) -> Review;
    /// Takes a review back.
    dismiss_review(number: u64, seq: u64, reason: &str, now: Timestamp) -> Written;
    /// Sets the status of a commit in a context.
    set_status(commit: &CommitId, context: &str, state: StatusState, description: &str, now: Timestamp) -> Written;
    /// The newest status of each context of a commit, by context.
    statuses(commit: &CommitId) -> Vec<Status>;
    /// Stores a file with a pull request.
    put_artefact(number: u64, name: &str, bytes: &[u8]) -> Written;
    /// A file stored with a pull request.
    artefact(number: u64, name: &str) -> Option<Vec<u8>>;
    /// Makes an annotated tag and a release with files.
    create_release(new: &NewRelease, now: Timestamp) -> ReleaseOutcome;
    /// All releases, by time and tag.
    releases() -> Vec<Release>;
    /// One release.
    release(tag: &ReleaseTag) -> Option<Release>;
    /// A file of a release.
    release_asset(tag: &ReleaseTag, name: &str) -> Option<Vec<u8>>;
    /// Every push and merge that went past a rule, in order.
    bypasses() -> Vec<BypassRecord>;
}
