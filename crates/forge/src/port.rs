use std::collections::BTreeMap;

use git::FolderEntry;
use ledger::{Ledger, NewRecord};
use lock_model::{BranchName, CommitId, EnvironmentName, TreePath};

use crate::error::ForgeError;
use crate::local::LocalForge;
use crate::model::{
    BranchRules, Comment, CommitOutcome, FileChange, Lease, LeaseOutcome, MergeRef, NewPullRequest, NewRelease,
    OpenOutcome, PullRequest, PullRequestEdit, PullRequestState, RefPattern, Release, ReleaseOutcome, Review, Status,
    StatusState, User, WriteOutcome,
};

/// The port: everything that orchestrator asks of a forge, whichever forge it is.
///
/// The acting user and the clock are the forge's own affair: they are given when it is opened, not with a call.
#[derive(Debug)]
pub enum Forge {
    /// The file forge beside a bare repository.
    Local(LocalForge),
}

macro_rules! port {
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

        #[cfg(test)]
        mod futures_are_send {
            use super::*;

            $(
                #[test]
                fn $name() {
                    fn is_send<T: Send>(_: T) {}
                    let _compiles = |forge: &Forge, $($argument: $kind),*| is_send(forge.$name($($argument),*));
                }
            )*
        }
    };
}

port! {
    /// Every user, by name.
    users() -> Vec<User>;
    /// The protected branches with their rules.
    protected_branches() -> BTreeMap<BranchName, BranchRules>;
    /// The branches and tags that only bots move.
    reserved_refs() -> Vec<RefPattern>;
    /// The user for whom the forge was opened, with the role of now; the role `none` for a name that it does not know.
    acting_user() -> User;
    /// Every branch with its tip.
    branches() -> BTreeMap<BranchName, CommitId>;
    /// Tip of a branch; absent when there is no such branch.
    branch_head(branch: &BranchName) -> Option<CommitId>;
    /// The entries of a folder at a commit, in git's order; none where there is no such folder.
    list_folder(commit: &CommitId, folder: &TreePath) -> Vec<FolderEntry>;
    /// The sizes of files in bytes, by the ids of their blobs, in that order.
    blob_sizes(ids: &[&str]) -> Vec<u64>;
    /// The content of files, by the ids of their blobs, in that order.
    blob_contents(ids: &[&str]) -> Vec<Vec<u8>>;
    /// Commits changes onto a branch whose tip must be `expected_head` (`None`: there must be no such branch).
    ///
    /// The branch's rules hold as for a push. A tip that has the wanted content already is success: an earlier
    /// attempt got through and its answer was lost. When the branch is elsewhere, nothing is written and the caller
    /// reads and judges again.
    commit_files(
        branch: &BranchName, expected_head: Option<&CommitId>, changes: &[FileChange], message: &str
    ) -> CommitOutcome;
    /// Appends a record that continues `ledger`, which is what the ledger's branch holds at `expected_head`, with all
    /// documents that it names, in its order. The branch's rules hold as for a push; outcomes are those of
    /// [`commit_files`](Self::commit_files).
    append_record(
        ledger: &Ledger, expected_head: Option<&CommitId>, new: &NewRecord, documents: &[&[u8]]
    ) -> CommitOutcome;
    /// One pull request, with the tips of its branches as they are now.
    pull_request(number: u64) -> PullRequest;
    /// The pull requests in this state, or all, by number.
    pull_requests(state: Option<PullRequestState>) -> Vec<PullRequest>;
    /// The pull requests that a commit belongs to, closed ones too: first those whose merge commit it is, then those
    /// that bring it, newest first. An unknown commit belongs to none.
    pull_requests_of_commit(commit: &CommitId) -> Vec<PullRequest>;
    /// The open pull request from one branch into another.
    find_open(head: &BranchName, base: &BranchName) -> Option<PullRequest>;
    /// Opens a pull request unless one between the same branches is open.
    open_pull_request(new: &NewPullRequest) -> OpenOutcome;
    /// Changes title, text or readiness of an open pull request.
    edit_pull_request(number: u64, edit: &PullRequestEdit) -> WriteOutcome;
    /// The merge that an open pull request would make now, or that a merged one made.
    merge_ref(number: u64) -> MergeRef;
    /// Writes the acting user's comment with this marker; another user's comment with the same marker is neither
    /// found nor changed.
    upsert_comment(number: u64, marker: &str, body: &str) -> WriteOutcome;
    /// All comments of a pull request, oldest first.
    comments(number: u64) -> Vec<Comment>;
    /// All reviews of a pull request, in order of arrival, with what each reviewer may do *now*.
    reviews(number: u64) -> Vec<Review>;
    /// Sets the status of a commit in a context. A description of more than 140 characters is cut.
    ///
    /// `base` is the tip of the base branch that it was earned against: the status opens no merge into another one,
    /// where the forge can tell.
    set_status(
        commit: &CommitId, base: Option<&CommitId>, context: &str, state: StatusState, description: &str
    ) -> WriteOutcome;
    /// The newest status of each context of a commit, by context.
    statuses(commit: &CommitId) -> Vec<Status>;
    /// Stores a file of at most 64 MiB with a pull request, in place of one of the same name.
    put_artefact(number: u64, name: &str, bytes: &[u8]) -> WriteOutcome;
    /// A file that is stored with a pull request. Any writer may have stored it: a convenience, not evidence.
    artefact(number: u64, name: &str) -> Option<Vec<u8>>;
    /// Makes an annotated tag and a release with files. The same again is one release.
    create_release(new: &NewRelease) -> ReleaseOutcome;
    /// All releases, by time and tag.
    releases() -> Vec<Release>;
    /// Takes an environment for the run that `holder` names, in one attempt: waiting is the caller's affair.
    lease(environment: &EnvironmentName, holder: &str) -> LeaseOutcome;
    /// Takes an environment from the run that has it. That run goes on until it asks the ledger or its cluster.
    break_lease(environment: &EnvironmentName, holder: &str) -> Lease;
}
