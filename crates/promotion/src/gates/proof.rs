//! Gates about proof: the environment before proved exactly this release.

use super::facts::{DeployFacts, ProvenIn};
use super::finding::{Gate, GateFinding};
use crate::approvals::ApprovalPolicy;
use crate::attempts::Purpose;
use ledger::{Ledger, ProofVerdict};
use lock_model::ReleaseId;

pub(super) fn gates(ledger: &Ledger, facts: &DeployFacts<'_>) -> [GateFinding; 2] {
    let not_asked = |message: String| {
        [GateFinding::not_asked(Gate::StagingProof, message.clone()), GateFinding::not_asked(Gate::Suites, message)]
    };
    let required = &facts.policy.proven_in;
    match facts.purpose {
        Purpose::Rollback => not_asked(format!("this release was proven in `{}` itself", facts.environment)),
        Purpose::Run if required.is_empty() => {
            not_asked(format!("`{}` requires no other environment's proof", facts.environment))
        }
        Purpose::Run => {
            let approvals = facts.policy.approvals.as_ref();
            let proofs = required.iter().map(|one| proof_in(ledger, one, facts.release)).collect();
            let suites = required.iter().map(|one| suites_in(ledger, one, facts.release, approvals)).collect();
            [GateFinding::worst(Gate::StagingProof, proofs), GateFinding::worst(Gate::Suites, suites)]
        }
    }
}

/// Is there a proof of this release, and is it strong enough?
pub fn proof_in(ledger: &Ledger, proven_in: &ProvenIn, release: &ReleaseId) -> GateFinding {
    let environment = &proven_in.environment;
    let id8 = release.id8();
    let hint = format!("`orchestrator run {environment}` deploys it there and proves it");
    match ledger.proof_of(environment, release) {
        ProofVerdict::Proven(proven) if proven.level >= proven_in.level => GateFinding::passed(
            Gate::StagingProof,
            format!("release {id8} was proven in `{environment}` at {} (record {})", proven.at, proven.seq),
        ),
        ProofVerdict::Proven(proven) => GateFinding::refused(
            Gate::StagingProof,
            format!(
                "the proof of release {id8} in `{environment}` is `{}`, required is `{}`",
                proven.level, proven_in.level
            ),
            format!("`{environment}` proves no more than its target can: ask for `proof: {}`", proven.level),
        ),
        ProofVerdict::Failed { seq, reason, withdrawn } => {
            let what = match withdrawn {
                Some(proof) => {
                    format!(
                        "the proof of release {id8} in `{environment}` (record {proof}) was withdrawn by record {seq}"
                    )
                }
                None => format!("release {id8} failed in `{environment}` (record {seq})"),
            };
            GateFinding::refused(Gate::StagingProof, format!("{what}: {reason}"), hint)
        }
        ProofVerdict::Absent => {
            GateFinding::refused(Gate::StagingProof, format!("release {id8} was never proven in `{environment}`"), hint)
        }
    }
}

/// Are the suites of that proof green, and are they the required ones?
///
/// A suite that the release's own configuration leaves out is a relaxation: people see it on the promotion, so the
/// approvals of the target branch's number cover it. Where no approvals are required, it is refused.
pub fn suites_in(
    ledger: &Ledger,
    proven_in: &ProvenIn,
    release: &ReleaseId,
    approvals: Option<&ApprovalPolicy>,
) -> GateFinding {
    let environment = &proven_in.environment;
    let run = format!("`orchestrator run {environment}` runs what is missing");
    let proven = match ledger.proof_of(environment, release) {
        ProofVerdict::Proven(proven) => proven,
        ProofVerdict::Failed { .. } | ProofVerdict::Absent => {
            return GateFinding::refused(Gate::Suites, format!("no proof in `{environment}` to look at"), run);
        }
    };
    let covered = approvals.is_some_and(|policy| policy.count > 0);
    let mut problems = Vec::new();
    let (mut left_out, mut removed) = (Vec::new(), Vec::new());
    for (name, digest) in &proven_in.suites {
        match (digest, proven.suites.get(name)) {
            (Some(wanted), Some(green)) if wanted == green => {}
            (Some(_), Some(_)) => problems.push(format!("`{name}` was green with other content")),
            (Some(_), None) => problems.push(format!("`{name}` is not green")),
            (None, Some(_) | None) if covered => left_out.push(format!("`{name}`")),
            (None, Some(_) | None) => removed.push(format!("`{name}` is required and the release left it out")),
        }
    }
    if !removed.is_empty() {
        problems.extend(removed);
        let hint = format!("list these suites again in `environments.{environment}.suites`, with their definitions");
        return GateFinding::refused(Gate::Suites, format!("in `{environment}`: {}", problems.join(", ")), hint);
    }
    if !problems.is_empty() {
        return GateFinding::refused(Gate::Suites, format!("in `{environment}`: {}", problems.join(", ")), run);
    }
    let count = proven_in.suites.len() - left_out.len();
    let mut message = format!("{count} required suites are green in `{environment}`");
    if !left_out.is_empty() {
        message =
            format!("{message}; left out by this release, under the eyes of its approvers: {}", left_out.join(", "));
    }
    GateFinding::passed(Gate::Suites, message)
}
