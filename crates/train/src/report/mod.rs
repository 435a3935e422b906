//! What people read: comments and pull request bodies in Markdown, the state of an environment, the ledger as a table.

mod changes;
mod history;
mod lock_comment;
mod markdown;
mod promotion_body;
mod status;

pub use history::{HISTORY_HEADERS, HistoryRow, history};
pub use lock_comment::{LockComment, LockFailure, LockProblemText, lock_comment, lock_failure_comment};
pub use markdown::{MAX_COMMENT_CHARACTERS, limited};
pub use promotion_body::{PromotionBody, promotion_body};
pub use status::{Deployed, EnvironmentStatus, LastStep, Next, ProofSummary, status};

pub use changes::NotDeployedRow;
