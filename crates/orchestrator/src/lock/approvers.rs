//! Who is left to approve the promotion, once a pull request into the staging branch is merged.

use ::forge::PullRequest;
use config::Config;
use ledger::Ledger;
use lock_model::CommitId;
use promotion::approvals::{ApprovalVerdict, FallbackUse};

use crate::context::Context;
use crate::engine::prospect;
use crate::error::Result;
use crate::policy_found::PolicyFound;

/// One sentence for each environment that asks for more approvals than there are people left to give them, and for each
/// whose fallback applies because of that.
pub(super) async fn approver_warnings(
    context: &Context,
    ledger: &Ledger,
    config: &Config,
    pull_request: &PullRequest,
    base: &CommitId,
) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for environment in config.environments.values() {
        let next = environment.promote.as_ref().and_then(|promote| config.environments.get(&promote.to));
        let (Some(branch), Some(next)) = (&environment.branch, next) else { continue };
        let Some(into) = next.branch.as_ref().filter(|_| *branch == pull_request.base_branch) else { continue };
        let Some(target) = context.find_branch_head(into.as_str()).await? else { continue };
        let found = PolicyFound::of_next(context, ledger, &next.name, into.as_str()).await;
        // Rules that cannot be read are said by the commands that judge by them.
        let Ok(found) = found else { continue };
        let Some(policy) = found.approvals(config)? else { continue };
        let since = found.passed().unwrap_or(target);
        let heads = [base, &pull_request.head];
        let approvals = prospect(context, &policy, &since, &heads, Some(pull_request)).await?;
        let is_low = approvals.verdict() == ApprovalVerdict::Impossible || approvals.fallback != FallbackUse::Unused;
        if is_low {
            let left = approvals.eligible.join(", ");
            said.push(format!(
                "once this is merged, too few people are left to approve the promotion to `{}`: {} (left: {}; not {})",
                next.name,
                approvals.summary(),
                if left.is_empty() { "nobody" } else { &left },
                approvals.exclusions().join("; not "),
            ));
        }
    }
    Ok(said)
}
