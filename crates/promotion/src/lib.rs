//! Gates, approvals, promotion, release names and rollback targets, pure: functions of facts and a time.

pub mod approvals;
pub mod gates;
pub mod promotion;
pub mod release;

pub mod rollback;
