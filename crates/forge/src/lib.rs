//! A forge: pull requests, reviews, statuses, comments, commits, releases and leases, whichever forge it is.
//!
//! [`Forge`] is the port: everything that orchestrator asks of a forge, and nothing else. The forge keeps the rules (who
//! may push where, what a pull request needs before it can be merged, that a status belongs to one commit) and answers;
//! what a review or a status means for a promotion is judged elsewhere.
//!
//! - [`local`] is the file forge: a bare git repository and a folder of JSON files beside it, so that the whole flow runs
//!   on one machine without a network.
//! - [`simulator`] is what people do on the file forge: review, merge, protect branches, install the push hook.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use forge::git::Git;
//! use forge::local::{Clock, LocalForge};
//! use forge::lock_model::Timestamp;
//! use forge::{Forge, NewPullRequest, OpenOutcome, StatusState};
//!
//! # async fn example(git: Git, now: fn() -> Timestamp) -> Result<(), Box<dyn std::error::Error>> {
//! let local = LocalForge::open(Path::new("/srv/shop"), git, Some("ana".parse()?), Clock::new(now))?;
//! let forge = Forge::Local(local);
//! let new = NewPullRequest::new("dev".parse()?, "staging".parse()?, "Cart 1.4").body("Two bumps.");
//! let pull_request = match forge.open_pull_request(&new).await? {
//!     OpenOutcome::Created(pull_request) | OpenOutcome::Exists(pull_request) => pull_request,
//! };
//! forge.set_status(&pull_request.head, None, "orchestrator/lock", StatusState::Pending, "the lock is being made").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Outcomes and errors
//!
//! An answer that a caller acts on is an outcome (`Created`, `Exists`, `Moved`, `Refused` with all reasons). A
//! [`ForgeError`] means that there is no answer; its [`kind`](ForgeError::kind) says why and its
//! [`class`](ForgeError::class) whether a retry can help. Every write can be repeated after a lost answer: the second one
//! finds what the first one made.
//!
//! # Runtime
//!
//! The port's functions are async and their futures are `Send`. The local forge needs no runtime: it answers from files
//! and short calls of `git`, and blocks its thread meanwhile. This crate reads neither the clock nor the environment.
//!
//! # Adding a forge
//!
//! 1. A module, such as `github`, with a type that has a method for each function of the port, by the same name and
//!    arguments; async where it waits for the network. The acting user and the address are given when it is opened.
//!    A forge with a clock of its own is given none.
//! 2. A variant of [`Forge`] and an arm in its one `match`.
//! 3. What the forge cannot refuse (branch rules, a compare-and-swap of a branch) is recomputed or answered as `Refused`,
//!    not left out. A lease's guard gives the environment back when it is dropped, and must end with its process too.
//! 4. A new [`ForgeErrorKind`] where a caller can act on the difference, for example a rate limit, with its class.
//! 5. The flow in `tests/it/port.rs`, run against the new forge.

mod error;
mod model;
mod port;

pub mod local;
pub mod simulator;

pub use error::{ForgeError, ForgeErrorKind};
pub use git;
pub use ledger;
pub use lock_model;
pub use model::{
    Asset, BranchRules, Comment, CommitOutcome, FileChange, LEDGER_BRANCH, Lease, LeaseHolder, LeaseOutcome, MergeInfo,
    MergeRef, NewAsset, NewPullRequest, NewRelease, OpenOutcome, PullRequest, PullRequestEdit, PullRequestState,
    Readiness, RefPattern, Release, ReleaseOutcome, RequiredStatus, Review, ReviewState, Role, Status, StatusState,
    UnmetStatus, User, WriteOutcome,
};
pub use port::Forge;
