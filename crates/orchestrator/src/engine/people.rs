//! The facts by which approvals are counted: reviews, what a pull request carries, and who made it.

use std::collections::BTreeSet;

use config::{ApprovalRequirement, Excluded};
use forge::{PullRequest, Role};
use git::MergeTree;
use ledger::{Ledger, Policy};
use lock_model::{CommitId, EnvironmentName, TreeId};
use promotion::approvals::{
    Access, ApprovalPolicy, Approvals, CarriedCommit, CarriedPullRequest, Fallback, GatesPassed, MergeFacts, Person,
    PersonKind, PullRequestFacts, ReviewFacts, ReviewState, count,
};
use promotion::pull_request::{MergeResult, obstacles};

use crate::context::{Context, git_error};
use crate::error::{Error, ErrorKind, Result};
use crate::inputs::Inputs;

/// How many commits of the target branch a message names.
const NAMED_COMMITS: usize = 5;

/// The approvals that a configuration asks for.
pub(crate) fn approval_policy(required: &ApprovalRequirement) -> ApprovalPolicy {
    let fallback = required.fallback.as_ref().map(|fallback| Fallback {
        count: fallback.count,
        owner: fallback.owner.clone(),
        reason: fallback.reason.clone(),
        until: fallback.until,
    });
    let mut policy = ApprovalPolicy { fallback, ..ApprovalPolicy::new(required.count) };
    for who in &required.exclude {
        match who {
            // Approvals of authors never count, with and without this entry.
            Excluded::Author => {}
            Excluded::Merger => policy.exclude_mergers = true,
            Excluded::Committer => policy.exclude_committers = true,
        }
    }
    policy
}

/// What a pull request brings to its base branch.
pub(crate) struct Carried {
    /// The pull requests, by number.
    pub pull_requests: Vec<CarriedPullRequest>,
    commits: Vec<CarriedCommit>,
}

/// What these heads bring that `base` lacks: pull requests that reached their own base branch with commits of that
/// range, at any depth (a feature merged to `dev`, `dev` merged to `staging`), by the button or by a push.
pub(crate) async fn carried(
    context: &Context,
    base: &CommitId,
    heads: &[&CommitId],
    own: Option<u64>,
) -> Result<Carried> {
    let commits =
        context.git.commits_without(heads, base).map_err(|error| git_error("history cannot be read", error))?;
    let ids: BTreeSet<&CommitId> = commits.iter().map(|commit| &commit.id).collect();
    let mut merges = BTreeSet::new();
    let mut pull_requests = Vec::new();
    for pull_request in context.forge.pull_requests(None).await? {
        let arrived = match &pull_request.merge {
            _ if Some(pull_request.number) == own => false,
            Some(merge) if ids.contains(&merge.commit) => true,
            // The branch may have been rewritten since, and the merge left out.
            Some(merge) => {
                ids.contains(&pull_request.head)
                    && base_has(context, &pull_request, &pull_request.head).await?
                    && !base_has(context, &pull_request, &merge.commit).await?
            }
            None => ids.contains(&pull_request.head) && base_has(context, &pull_request, &pull_request.head).await?,
        };
        if arrived {
            merges.extend(pull_request.merge.as_ref().map(|merge| merge.commit.clone()));
            pull_requests.push(carried_pull_request(&pull_request));
        }
    }
    let commits = commits
        .into_iter()
        .filter(|commit| !merges.contains(&commit.id))
        .map(|commit| CarriedCommit { mails: commit.mails().map(str::to_owned).into(), commit: commit.id })
        .collect();
    Ok(Carried { pull_requests, commits })
}

/// Whether the base branch of a pull request has a commit.
async fn base_has(context: &Context, pull_request: &PullRequest, commit: &CommitId) -> Result<bool> {
    match context.find_branch_head(pull_request.base_branch.as_str()).await? {
        Some(base) => context.is_ancestor(commit.as_str(), base.as_str()),
        None => Ok(false),
    }
}

fn carried_pull_request(pull_request: &PullRequest) -> CarriedPullRequest {
    CarriedPullRequest {
        number: pull_request.number,
        author: pull_request.author.to_string(),
        merged_by: pull_request.merge.as_ref().map(|merge| merge.by.to_string()),
    }
}

/// The facts of a pull request that approvals are counted by. What it carries is what `since` lacks, or its base where
/// that is absent; `passed` says that the gates passed at its merge before.
pub(crate) async fn pull_request_facts(
    context: &Context,
    pull_request: &PullRequest,
    since: Option<&CommitId>,
    passed: Option<GatesPassed>,
) -> Result<PullRequestFacts> {
    let base = match (since, &pull_request.merge) {
        (Some(since), _) => Some(since.clone()),
        (None, Some(merge)) => commit_facts(context, &merge.commit)?.parents.into_iter().next(),
        (None, None) => Some(context.branch_head(pull_request.base_branch.as_str()).await?),
    };
    let carried = match &base {
        Some(base) => carried(context, base, &[&pull_request.head], Some(pull_request.number)).await?,
        None => Carried { pull_requests: Vec::new(), commits: Vec::new() },
    };
    let merged = match &pull_request.merge {
        Some(merge) => Some(MergeFacts {
            tree: content(context, &commit_facts(context, &merge.commit)?.tree)?,
            commit: merge.commit.clone(),
            by: merge.by.to_string(),
            at: merge.at,
        }),
        None => None,
    };
    let reviews = context.forge.reviews(pull_request.number).await?;
    Ok(PullRequestFacts {
        number: pull_request.number,
        author: pull_request.author.to_string(),
        head: pull_request.head.clone(),
        head_tree: content(context, &commit_facts(context, &pull_request.head)?.tree)?,
        merged,
        carried: carried.pull_requests,
        commits: carried.commits,
        reviews: reviews.into_iter().map(|review| review_facts(context, review)).collect(),
        people: people(context).await?,
        passed,
    })
}

/// That the gates passed at a commit by these rules, among the first `count` records.
pub(crate) fn gates_passed(
    ledger: &Ledger,
    count: u64,
    environment: &EnvironmentName,
    commit: &CommitId,
    policy: Option<&Policy>,
) -> Option<GatesPassed> {
    let record = ledger.gates_passed(count, environment, commit, policy?)?;
    // What was said while the gates were asked may have come too late for them.
    Some(GatesPassed { seq: record.seq, at: record.entry.started })
}

/// Who would be left to approve the promotion of these heads, before it is opened; `joining` is a pull request that
/// would be merged first.
pub(crate) async fn prospect(
    context: &Context,
    policy: &ApprovalPolicy,
    base: &CommitId,
    heads: &[&CommitId],
    joining: Option<&PullRequest>,
) -> Result<Approvals> {
    let mut carried = carried(context, base, heads, joining.map(|one| one.number)).await?;
    carried.pull_requests.extend(joining.map(carried_pull_request));
    let head = heads.last().copied().unwrap_or(base);
    let facts = PullRequestFacts {
        number: 0,
        // Promotions are opened by the bot.
        author: context.bots().await?.into_iter().next().unwrap_or_default(),
        head: head.clone(),
        head_tree: content(context, &commit_facts(context, head)?.tree)?,
        merged: None,
        carried: carried.pull_requests,
        commits: carried.commits,
        reviews: Vec::new(),
        people: people(context).await?,
        passed: None,
    };
    Ok(count(policy, &facts, context.now().date()))
}

/// Why the environment must refuse this head once it is merged into its branch, whoever approves it: one sentence each.
pub(crate) fn promotion_obstacles(
    context: &Context,
    approvals: &Approvals,
    (base_branch, base): (&str, &CommitId),
    (head_branch, head): (&str, &CommitId),
) -> Result<Vec<String>> {
    let merged = context.git.merge_tree(base.as_str(), head.as_str());
    let result = match merged.map_err(|error| git_error("the merge cannot be computed", error))? {
        MergeTree::Clean(tree) => MergeResult::Clean(content(context, &tree)?),
        MergeTree::Conflict { paths, .. } => MergeResult::Conflict(paths),
    };
    let tree = content(context, &commit_facts(context, head)?.tree)?;
    let ahead = context.git.commits_without(&[base], head);
    let ahead = ahead.map_err(|error| git_error("history cannot be read", error))?;
    let named = ahead.iter().filter(|commit| commit.parents.len() < 2).take(NAMED_COMMITS);
    let ahead: Vec<String> = named
        .map(|commit| {
            let subject = lock_model::escaping::escape_short(commit.subject.as_bytes(), 60);
            format!("{} {subject}", commit.id.short(7))
        })
        .collect();
    Ok(obstacles(approvals, &result, &tree, base_branch, head_branch, &ahead))
}

fn commit_facts(context: &Context, commit: &CommitId) -> Result<git::CommitFacts> {
    context.commit(commit.as_str())?.ok_or_else(|| {
        Error::new(ErrorKind::Repository, format!("commit {} is not in this repository", commit.short(12)))
            .hint(format!("`git fetch origin {commit}` brings it, unless the server has lost it"))
    })
}

/// The tree that people approve and that a deployment is compared with: files of other tools in `locks/` are no content.
pub(super) fn content(context: &Context, tree: &TreeId) -> Result<TreeId> {
    Inputs::content(&context.git, tree).map_err(|error| git_error("the files in `locks/` cannot be listed", error))
}

fn review_facts(context: &Context, review: forge::Review) -> ReviewFacts {
    // A tree that this clone has not is none that is merged.
    let tree = content(context, &review.tree).unwrap_or(review.tree);
    ReviewFacts {
        seq: review.seq,
        user: review.user.to_string(),
        state: match review.state {
            forge::ReviewState::Approved => ReviewState::Approved,
            forge::ReviewState::ChangesRequested => ReviewState::ChangesRequested,
            forge::ReviewState::Commented => ReviewState::Commented,
            forge::ReviewState::Dismissed => ReviewState::Dismissed,
        },
        tree: Some(tree),
        commit: review.commit,
        at: review.dismissed_at.unwrap_or(review.at),
    }
}

/// Everybody who has access to the forge now.
async fn people(context: &Context) -> Result<Vec<Person>> {
    let users = context.forge.users().await?;
    Ok(users.into_iter().map(person).collect())
}

pub(crate) fn person(user: forge::User) -> Person {
    Person {
        name: user.name.to_string(),
        kind: if user.bot { PersonKind::Bot } else { PersonKind::Human },
        access: if user.role >= Role::Write { Access::Write } else { Access::Read },
        mails: user.mails,
    }
}
