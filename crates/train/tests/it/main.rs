//! The ledger, the gates and what hangs on them, through the public interface.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod builders;
mod chain;
mod config;
mod config_rules;
mod cycles;
mod gate_questions;
mod going_back;
mod lock_comment;
mod model;
mod people;
mod readers;
