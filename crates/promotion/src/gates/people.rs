//! Gates about reviews: enough users approved exactly this content.

use lock_model::{CommitId, Date, TreeId};

use super::facts::{DeployFacts, PullRequestFound};
use super::finding::{Gate, GateFinding};
use crate::approvals::{ApprovalPolicy, ApprovalVerdict, PullRequestFacts, count};
use crate::attempts::Purpose;

pub(super) fn gates(facts: &DeployFacts<'_>) -> [GateFinding; 2] {
    match (&facts.policy.approvals, facts.purpose) {
        (None, Purpose::Run) => {
            let message = format!("`{}` requires no approvals", facts.environment);
            [
                GateFinding::not_asked(Gate::Approvals, message.clone()),
                GateFinding::not_asked(Gate::MergedTree, message),
            ]
        }
        (Some(_) | None, Purpose::Rollback) => {
            let message = "a rollback goes to what was approved before";
            [GateFinding::not_asked(Gate::Approvals, message), GateFinding::not_asked(Gate::MergedTree, message)]
        }
        (Some(policy), Purpose::Run) => match facts.pull_request {
            PullRequestFound::Found(pull_request) => {
                [approvals(policy, pull_request, facts.today), merged_tree(pull_request, facts.commit, facts.tree)]
            }
            PullRequestFound::Absent => {
                let message = format!("no merged pull request made {}", facts.commit.short(7));
                let hint = "changes arrive by the promotion pull request: `orchestrator promote`";
                [
                    GateFinding::refused(Gate::Approvals, message.clone(), hint),
                    GateFinding::refused(Gate::MergedTree, message, hint),
                ]
            }
        },
    }
}

/// What helps where too few people are left to approve.
pub const CANNOT_BE_MET: &str = "waiting does not help: give more people write access, declare `approvals.fallback` on the \
    target branch, or let an administrator accept other rules with `orchestrator policy accept`";

/// What helps where a pull request was merged past its missing approvals.
const MERGED_TOO_EARLY: &str = "a merged pull request takes no approvals: what it brought goes out with the next promotion \
    that enough people approve, or is reverted";

/// Did enough people approve the content of the pull request's head?
pub fn approvals(policy: &ApprovalPolicy, pull_request: &PullRequestFacts, today: Date) -> GateFinding {
    let approvals = count(policy, pull_request, today);
    let mut message = format!("#{}: {}", pull_request.number, approvals.summary());
    let explanations = approvals.explanations();
    if !explanations.is_empty() {
        message = format!("{message} (not counted: {})", explanations.join("; "));
    }
    match approvals.verdict() {
        ApprovalVerdict::Enough => GateFinding::passed(Gate::Approvals, message),
        ApprovalVerdict::Missing if pull_request.merged.is_some() => {
            GateFinding::refused(Gate::Approvals, message, MERGED_TOO_EARLY)
        }
        ApprovalVerdict::Missing => {
            GateFinding::refused(Gate::Approvals, message, "approve the pull request's present head")
        }
        ApprovalVerdict::Blocked if pull_request.merged.is_some() => {
            GateFinding::refused(Gate::Approvals, message, "the request for changes has to be dismissed")
        }
        ApprovalVerdict::Blocked => {
            GateFinding::refused(Gate::Approvals, message, "who requested changes has to approve, or be dismissed")
        }
        ApprovalVerdict::Impossible => GateFinding::refused(Gate::Approvals, message, CANNOT_BE_MET),
    }
}

/// Is what was merged, and what is deployed, the content that was approved?
pub fn merged_tree(pull_request: &PullRequestFacts, commit: &CommitId, tree: &TreeId) -> GateFinding {
    let number = pull_request.number;
    let hint = "merge the target branch into the source branch, prove and approve the result, and promote again";
    let Some(merged) = &pull_request.merged else {
        return GateFinding::refused(Gate::MergedTree, format!("#{number} is not merged"), "merge it");
    };
    if merged.tree != pull_request.head_tree {
        return GateFinding::refused(
            Gate::MergedTree,
            format!(
                "the merge of #{number} ({}) has another content than its approved head {}: the target branch held \
                 something that nobody saw",
                merged.commit.short(7),
                pull_request.head.short(7)
            ),
            hint,
        );
    }
    if *tree != merged.tree {
        return GateFinding::refused(
            Gate::MergedTree,
            format!("{} has another content than the merge of #{number} ({})", commit.short(7), merged.commit.short(7)),
            hint,
        );
    }
    GateFinding::passed(Gate::MergedTree, format!("the merge of #{number} is what was approved"))
}
