//! What people read: comments and pull request bodies in Markdown, the state of an environment, the ledger as a table.

mod changes;
mod commits;
mod history;
mod lock_comment;
mod markdown;
mod promotion_body;
mod risks;
mod status;

pub use changes::NotDeployedRow;
pub use commits::{CommitEntry, CommitList, CommitRange, MAX_COMMITS_SHOWN, ServiceCommits};
pub use history::{HISTORY_HEADERS, HistoryRow, history};
pub use lock_comment::{LockComment, LockFailure, LockProblemText, lock_comment, lock_failure_comment};
pub use markdown::{MAX_COMMENT_CHARACTERS, limited};
pub use promotion_body::{PromotionBody, promotion_body};
pub use risks::{RiskKind, ServiceRisk, Step};
pub use status::{Deployed, EnvironmentStatus, LastStep, Next, ProofSummary, status};
