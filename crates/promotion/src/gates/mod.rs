//! The questions before a deployment. Each is a function of the ledger, of what git and the forge say, and of the day.
//!
//! Production asks the questions of the merge button again: a merge that went round the button changes nothing.

mod environment;
mod facts;
mod finding;
mod lock;
mod people;
mod proof;

pub use facts::{Answer, DeployFacts, GatePolicy, ProvenIn, PullRequestFound};
pub use finding::{Gate, GateCode, GateFinding, GateReport, GateVerdict};
pub use people::{approvals, merged_tree};
pub use proof::{proof_in, suites_in};

use ledger::Ledger;

/// Asks every gate, also after one of them refused: people want to hear everything at once.
pub fn judge(ledger: &Ledger, facts: &DeployFacts<'_>) -> GateReport {
    let mut findings = vec![
        lock::belongs_to_tree(facts),
        lock::reviewed_head(facts),
        lock::recorded(ledger, facts),
        lock::not_rejected(ledger, facts),
        lock::resolved(facts),
        lock::exceptions(facts),
        environment::not_held(ledger, facts),
        environment::no_downgrade(ledger, facts),
    ];
    findings.extend(proof::gates(ledger, facts));
    findings.extend(people::gates(facts));
    GateReport { findings, policy: facts.policy.source }
}
