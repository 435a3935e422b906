//! `orchestrator.yaml` through the public interface.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod config_rules;
mod fixtures;
mod health_rules;
mod relaxed_rules;
mod tree_rules;
