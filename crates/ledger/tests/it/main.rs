//! The ledger through its public interface.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod append_rules;
mod builders;
mod chain;
mod cycles;
mod drafts;
mod queries;
