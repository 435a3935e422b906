//! Forges: pull requests, reviews, statuses, comments, commits, releases. Here: the local file forge.
//!
//! A forge keeps the rules: who may push where, what a pull request needs before it can be merged, that a status
//! belongs to one commit. [`LocalForge`] keeps them on a bare git repository and a folder of JSON files beside it,
//! so that the whole flow runs on a machine without a network. Nothing here reads the clock or the environment.

mod error;
mod forge;
mod local;
mod model;

pub use error::{ForgeError, ForgeErrorKind};
pub use forge::Forge;
pub use local::{ACTOR_VARIABLE, ForgeSettings, HookProgram, LEDGER_BRANCH, Lease, LeaseOutcome, LocalForge};
pub use model::{
    Asset, BranchRules, BranchSnapshot, Bypass, BypassRecord, Comment, CommitOutcome, FileChange, Holder, MergeInfo,
    MergeOutcome, MergeRef, NewAsset, NewPullRequest, NewRelease, Opened, PullRequest, PullRequestEdit,
    PullRequestState, Readiness, Release, ReleaseOutcome, RequiredStatus, Review, Role, Stance, Status, StatusState,
    User, Verdict, Written,
};
