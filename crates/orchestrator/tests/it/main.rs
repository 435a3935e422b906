//! The library through its public interface.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests look at what was stored")]

mod any_clone;
mod approvers;
#[path = "../../../ledger/tests/it/builders.rs"]
mod builders;
mod config_check;
#[path = "../../../promotion/tests/it/days.rs"]
mod days;
mod fencing;
mod gates;
mod history;
mod inputs;
mod ledger;
mod ledger_reports;
mod lock_comment;
mod locks;
mod merge_plans;
mod merges_at_random;
mod older_pipeline;
mod output_files;
mod pages;
mod parallel_merges;
mod people;
mod places;
mod policy;
mod preflight;
mod pull_request_evidence;
mod resume;
mod reviewing;
mod rollbacks;
mod secrets;
mod send;
mod shallow;
mod shop;
mod unpinned;
mod withdrawn_proofs;
