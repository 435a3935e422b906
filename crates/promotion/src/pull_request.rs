//! The pull request to the next environment: whether it is due, how it is found again, which statuses it needs.

use lock_model::{EnvironmentName, LockId, ReleaseId, TreeId};

use crate::approvals::{ApprovalVerdict, Approvals};
use crate::gates::{CANNOT_BE_MET, GateVerdict, ProvenIn, proof_in, suites_in};
use ledger::{Hold, Ledger, ProofVerdict, Rejection};

/// Whether the pull request to the next environment is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// The pull request is opened, or brought up to date.
    Yes,
    /// The pull request is opened, and says that the next environment takes nothing for the time being.
    YesButHeld(Hold),
    /// The next environment has this release, proven.
    AlreadyThere {
        /// Number of its proof's record.
        seq: u64,
    },
    /// Nothing to promote: an open pull request becomes a draft that says why.
    NotProven {
        /// One sentence for each requirement that is not met.
        reasons: Vec<String>,
    },
    /// The lock was rejected.
    Rejected(Rejection),
}

/// Decides whether a release goes from the environment that proves it to the next one.
pub fn due(ledger: &Ledger, required: &ProvenIn, to: &EnvironmentName, release: &ReleaseId, lock: &LockId) -> Due {
    if let Some(rejection) = ledger.rejected(lock) {
        return Due::Rejected(rejection);
    }
    let reasons: Vec<String> = [proof_in(ledger, required, release), suites_in(ledger, required, release, None)]
        .into_iter()
        .filter(|finding| finding.verdict > GateVerdict::Passed)
        .map(|finding| finding.message)
        .collect();
    if !reasons.is_empty() {
        return Due::NotProven { reasons };
    }
    let there = ledger.latest_touched(to).and_then(|record| record.entry.release.as_ref()) == Some(release);
    match ledger.proof_of(to, release) {
        ProofVerdict::Proven(proven) if there => return Due::AlreadyThere { seq: proven.seq },
        ProofVerdict::Proven(_) | ProofVerdict::Failed { .. } | ProofVerdict::Absent => {}
    }
    match ledger.held(to) {
        Some(hold) => Due::YesButHeld(hold),
        None => Due::Yes,
    }
}

lock_model::words! {
    /// A status that this program sets on a commit, and that the forge is told to require.
    StatusContext, "status" {
        /// The lock of the pull request could be made, and is up to date.
        Lock = "orchestrator/lock",
        /// The suites of the pull request.
        Suites = "orchestrator/suites",
        /// The environment before proved this release.
        StagingProof = "orchestrator/staging-proof",
        /// Enough people approved this content.
        Approvals = "orchestrator/approvals",
    }
}

/// The hidden line by which a comment or pull request of ours is found again. It counts only in what we wrote.
///
/// `kind` is a word of ours, such as `lock` or `promotion`; anything else in it is left out.
pub fn marker(kind: &str) -> String {
    let kind: String =
        kind.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').collect();
    format!("<!-- orchestrator:{kind} -->")
}

/// What merging a promotion would give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeResult {
    /// This content.
    Clean(TreeId),
    /// Nothing: these paths are in conflict.
    Conflict(Vec<String>),
}

/// Why the target environment must refuse a promotion whoever approves it, one sentence each; empty where nothing
/// stands against it. `ahead` names commits of the target branch that the head lacks.
pub fn obstacles(
    approvals: &Approvals,
    merge: &MergeResult,
    head_tree: &TreeId,
    base_branch: &str,
    head_branch: &str,
    ahead: &[String],
) -> Vec<String> {
    let lacks = || {
        let named = if ahead.is_empty() { String::new() } else { format!(" ({})", ahead.join(", ")) };
        format!("`{base_branch}` has content that `{head_branch}` lacks{named}")
    };
    let way_out = format!("bring `{base_branch}` to `{head_branch}` by a pull request, and prove the result");
    let mut found = Vec::new();
    match merge {
        MergeResult::Clean(tree) if tree == head_tree => {}
        MergeResult::Clean(_) => {
            found.push(format!("{}, so that the merge would not be what was proven and approved: {way_out}", lacks()));
        }
        MergeResult::Conflict(paths) => {
            let paths: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
            found.push(format!("{}, in conflict at {}: {way_out}", lacks(), paths.join(", ")));
        }
    }
    if approvals.verdict() == ApprovalVerdict::Impossible {
        let excluded = approvals.exclusions();
        let without = if excluded.is_empty() { String::new() } else { format!(" (not {})", excluded.join("; not ")) };
        found.push(format!("{}{without}: {CANNOT_BE_MET}", approvals.summary()));
    }
    found
}

/// The title of a promotion's pull request.
pub fn title(release: &ReleaseId, to: &EnvironmentName) -> String {
    format!("Promote release {} to {to}", release.id8())
}
