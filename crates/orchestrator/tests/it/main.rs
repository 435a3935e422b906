//! The library through its public interface.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

#[path = "../../../ledger/tests/it/builders.rs"]
#[expect(dead_code, reason = "the ledger's own tests use more of them")]
mod builders;
#[path = "../../../promotion/tests/it/days.rs"]
mod days;
mod ledger_reports;
mod lock_comment;
mod pages;
