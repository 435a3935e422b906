//! Comments and pull request bodies in Markdown. Foreign text is escaped, and a page never exceeds what a forge takes.

mod blocks;
mod changes;
mod commits;
mod inputs;
mod lock_comment;
mod merge_plan;
mod promotion_body;
mod risks;

pub use blocks::{MAX_COMMENT_CHARACTERS, limited};
pub use changes::{NotDeployedRow, UnpinnedRow};
pub use commits::{MAX_COMMITS_SHOWN, ServiceCommits};
pub use lock_comment::{LockComment, LockFailure, LockProblemText, lock_comment, lock_failure_comment};
pub use promotion_body::{PromotionBody, promotion_body};
pub use risks::{RiskKind, ServiceRisk, Step};
