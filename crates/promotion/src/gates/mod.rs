//! The gates before a deployment. Each is a function of the ledger, of what git and the forge say, and of the day.
//!
//! Production asks what the merge button asked again: a merge that went past the button opens no gate.

mod environment;
mod facts;
mod finding;
mod lock;
mod people;
mod proof;
mod pull_request_suites;

pub use facts::{Ancestry, DeployFacts, GatePolicy, ProvenIn, PullRequestFound};
pub use finding::{Gate, GateCode, GateFinding, GateReport, GateVerdict};
pub use people::{CANNOT_BE_MET, approvals, merged_tree};
pub use proof::{proof_in, suites_in};
pub use pull_request_suites::PullRequestSuites;

use ledger::Ledger;

/// Asks every gate, also after one of them refused: the report names every refusal at once.
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
        environment::not_rolled_back(ledger, facts),
        environment::pinned_images(facts),
        environment::own_place(ledger, facts),
        pull_request_suites::pull_request_suites(ledger, facts),
    ];
    findings.extend(proof::gates(ledger, facts));
    findings.extend(people::gates(facts));
    GateReport { findings, policy: facts.policy.policy.clone() }
}
