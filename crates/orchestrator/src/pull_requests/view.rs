use forge::{MergeRef, PullRequest, PullRequestState, Status, StatusState, UnmetStatus};
use lock_model::{BranchName, UserName};

use super::review::show_head;
use crate::context::Context;
use crate::error::Result;
use crate::report::v1::{
    PullRequestChecks, PullRequestList, PullRequestSummary, PullRequestView, ShownComment, ShownReview, ShownStatus,
};

/// A pull request with everything that a reviewer looks at, and with the command that approves the head that it shows.
///
/// # Errors
///
/// Where there is no such pull request.
pub async fn view_pull_request(context: &Context, number: u64) -> Result<PullRequestView> {
    let pull_request = context.forge.pull_request(number).await?;
    let approve = show_head(context, &pull_request).await?;
    let conflicts = match pull_request.state {
        PullRequestState::Open => match context.forge.merge_ref(number).await? {
            MergeRef::Conflict { paths, .. } => paths,
            MergeRef::Clean { .. } => Vec::new(),
        },
        PullRequestState::Merged | PullRequestState::Closed => Vec::new(),
    };
    let reviews = context.forge.reviews(number).await?;
    let comments = context.forge.comments(number).await?;
    Ok(PullRequestView {
        approve,
        conflicts,
        statuses: statuses(context, &pull_request).await?,
        reviews: reviews.into_iter().map(ShownReview::from).collect(),
        comments: comments.into_iter().map(ShownComment::from).collect(),
        bypassed: pull_request.merge.as_ref().map(|merge| merge.bypassed.clone()).unwrap_or_default(),
        pull_request: PullRequestSummary::from(&pull_request),
        body: pull_request.body,
    })
}

/// Which pull requests to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PullRequestFilter {
    /// Those in this state; `None`: in any.
    pub state: Option<PullRequestState>,
    /// Those from this branch.
    pub head: Option<BranchName>,
    /// Those into this branch.
    pub base: Option<BranchName>,
    /// Those that this user opened.
    pub author: Option<UserName>,
    /// At most this many, the newest.
    pub limit: Option<usize>,
}

/// The pull requests that a filter leaves.
///
/// # Errors
///
/// Where the forge cannot be read.
pub async fn list_pull_requests(context: &Context, filter: &PullRequestFilter) -> Result<PullRequestList> {
    fn is<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
        wanted.is_none_or(|wanted| wanted == found)
    }
    let mut left: Vec<PullRequestSummary> = context
        .forge
        .pull_requests(filter.state)
        .await?
        .iter()
        .filter(|one| is(filter.head.as_ref(), &one.head_branch) && is(filter.base.as_ref(), &one.base_branch))
        .filter(|one| is(filter.author.as_ref(), &one.author))
        .map(PullRequestSummary::from)
        .collect();
    if let Some(limit) = filter.limit {
        left = left.split_off(left.len().saturating_sub(limit));
    }
    Ok(PullRequestList { pull_requests: left })
}

/// The statuses of a pull request's head, with those that its base branch requires and that are missing; `required`
/// leaves the others out.
///
/// # Errors
///
/// Where there is no such pull request.
pub async fn check_pull_request(context: &Context, number: u64, required: bool) -> Result<PullRequestChecks> {
    let pull_request = context.forge.pull_request(number).await?;
    let mut checks = statuses(context, &pull_request).await?;
    if required {
        checks.retain(|status| status.required);
    }
    let good = checks.iter().filter(|status| status.counts).count();
    let summary = match checks.len() {
        0 => "no status is set, and none is required".to_owned(),
        all => format!("{good} of {all} statuses are successful"),
    };
    Ok(PullRequestChecks {
        pull_request: number,
        head: pull_request.head,
        base_branch: pull_request.base_branch.to_string(),
        passed: !checks.is_empty() && good == checks.len(),
        checks,
        summary,
    })
}

/// The statuses of the head by context, and those that are required and missing.
async fn statuses(context: &Context, pull_request: &PullRequest) -> Result<Vec<ShownStatus>> {
    let found = context.forge.statuses(&pull_request.head).await?;
    let protected = context.forge.protected_branches().await?;
    let rules = protected.get(&pull_request.base_branch);
    // What a merge needed is history once it is made.
    let unmet = match (rules, pull_request.state) {
        (Some(rules), PullRequestState::Open) => rules.unmet(&found, &pull_request.head, &pull_request.base),
        (Some(_), PullRequestState::Merged | PullRequestState::Closed) | (None, _) => Vec::new(),
    };
    let is_required = |context: &str| {
        rules.is_some_and(|rules| rules.required_statuses.iter().any(|status| status.context == context))
    };
    let problem = |context: &str| unmet.iter().find(|unmet| unmet.context() == context);
    let shown = |status: Status| {
        let ineffective = problem(&status.context).filter(|unmet| unmet.is_ineffective());
        ShownStatus {
            required: is_required(&status.context),
            counts: status.state == StatusState::Success && ineffective.is_none(),
            problem: ineffective.map(ToString::to_string),
            context: status.context,
            state: status.state.to_string(),
            description: status.description,
            by: Some(status.by.to_string()),
            at: Some(status.at),
        }
    };
    let missing: Vec<&UnmetStatus> =
        unmet.iter().filter(|unmet| found.iter().all(|status| status.context != unmet.context())).collect();
    let missing: Vec<ShownStatus> = missing.into_iter().map(ShownStatus::missing).collect();
    let mut all: Vec<ShownStatus> = found.into_iter().map(shown).chain(missing).collect();
    all.sort_by(|one, other| one.context.cmp(&other.context));
    Ok(all)
}
