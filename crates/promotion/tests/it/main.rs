//! Gates, approvals, promotion and rollback, through the public interface.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod attempts;
#[path = "../../../ledger/tests/it/builders.rs"]
mod builders;
mod days;
mod gate_questions;
mod going_back;
mod model;
mod people;
mod places;
mod policy_commits;
mod pull_request;
