//! Gates, approvals, attempts, promotion, release names and rollback targets: functions of facts and a time.
//!
//! Nothing here does IO or reads a clock. The caller gathers what git and the forge say, and hands in the ledger.
//!
//! ```
//! use promotion::approvals::*;
//! use promotion::lock_model::{CommitId, TreeId};
//!
//! let commit: CommitId = "1111111111111111111111111111111111111111".parse()?;
//! let tree: TreeId = "2222222222222222222222222222222222222222".parse()?;
//! let review = ReviewFacts {
//!     seq: 1,
//!     user: "ben".to_owned(),
//!     state: ReviewState::Approved,
//!     commit: commit.clone(),
//!     tree: Some(tree.clone()),
//!     at: "2025-11-20T21:14:07Z".parse()?,
//! };
//! let person = |name: &str| Person { name: name.to_owned(), kind: PersonKind::Human, access: Access::Write, mails: Vec::new() };
//! let pull_request = PullRequestFacts {
//!     passed: None,
//!     number: 7,
//!     author: "ana".to_owned(),
//!     head: commit,
//!     head_tree: tree,
//!     merged: None,
//!     carried: Vec::new(),
//!     commits: Vec::new(),
//!     reviews: vec![review],
//!     people: vec![person("ana"), person("ben")],
//! };
//! let approvals = count(&ApprovalPolicy::new(1), &pull_request, "2025-11-21".parse()?);
//! assert_eq!(approvals.verdict(), ApprovalVerdict::Enough);
//! assert_eq!(approvals.counted, ["ben"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod approvals;
pub mod attempts;
pub mod gates;
pub mod interruption;
pub mod places;
pub mod policy_commit;
pub mod pull_request;
pub mod release_names;
pub mod rollback;

pub use config;
pub use ledger;
pub use lock_model;
