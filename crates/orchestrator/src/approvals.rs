//! Who approved a promotion, by the rules of the environment that it goes to.

use std::collections::BTreeSet;

use config::Environment;
use forge::{PullRequest, PullRequestState, Review, ReviewState, StatusState};
use lock_model::escaping::escape_short;
use lock_model::{Digest, EnvironmentName};
use promotion::approvals::{ApprovalVerdict, Approvals, CarriedPullRequest, Fallback, FallbackUse, NotCounted, count};

use crate::context::{Context, branch_name, git_error};
use crate::displayed_status::set_status;
use crate::engine::{APPROVALS_STATUS, gates_passed, promotion_obstacles, pull_request_facts, refused_by_next};
use crate::environment_policy::{branch_of, commits_locks, find_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::inputs::{Inputs, changes};
use crate::ledger_store::LedgerStore;
use crate::policy_found::PolicyFound;
use crate::relaxed_rules::relaxed_rules;
use crate::report::v1::{AppliedFallback, ApprovalsReport, CarriedReview, NotCountedReview, UnreviewedLock};
use crate::revision::Revision;
use crate::unreviewed_lock::unreviewed_lock;

/// Counts the approvals of a pull request, or of the one open promotion, and sets its status while it is open.
///
/// # Errors
///
/// [`ErrorKind::Refused`] where no pull request is open, [`ErrorKind::Usage`] where it goes elsewhere.
pub async fn approvals(
    context: &Context,
    name: &EnvironmentName,
    pull_request: Option<u64>,
) -> Result<ApprovalsReport> {
    context.needs_history()?;
    context.sync()?;
    let environment = find_environment(context, name).await?;
    let branch = branch_of(&environment)?;
    let pull_request = match pull_request {
        Some(number) => context.forge.pull_request(number).await?,
        None => open_promotion(context, &environment, &branch).await?,
    };
    if pull_request.base_branch.as_str() != branch {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "pull request {} goes to `{}`, `{name}` runs `{branch}`",
                pull_request.number, pull_request.base_branch
            ),
        ));
    }
    let revision = Revision::load(context, &pull_request.head)?;
    let store = LedgerStore::read(context).await?;
    let found = match &pull_request.merge {
        Some(merge) => PolicyFound::of_commit(context, store.ledger(), &environment, &branch, &merge.commit).await?,
        None => PolicyFound::of_next(context, store.ledger(), name, &branch).await?,
    };
    let policy = found.gates(context, &revision)?;
    let rules = found.report();
    let mut report = ApprovalsReport {
        pull_request: pull_request.number,
        environment: name.clone(),
        branch: branch.clone(),
        head: pull_request.head.clone(),
        needed: 0,
        missing: 0,
        counted: Vec::new(),
        not_counted: Vec::new(),
        eligible: Vec::new(),
        excluded: Vec::new(),
        fallback: None,
        carried: Vec::new(),
        unreviewed: None,
        hold: store.ledger().held(name),
        policy_relaxations: relaxed_rules(context, std::slice::from_ref(&found), &revision)?,
        inputs: changes(context, Inputs::before(context, &pull_request.base)?.as_ref(), &revision.inputs)?,
        obstacles: Vec::new(),
        policy: rules.clone(),
        summary: format!("`{name}` asks for no approvals"),
        approved: true,
        warnings: Vec::new(),
    };
    let mut state = StatusState::Success;
    if let Some(required) = &policy.approvals {
        let merge = pull_request.merge.as_ref();
        let passed = merge
            .and_then(|merge| gates_passed(store.ledger(), store.len(), name, &merge.commit, policy.policy.as_ref()));
        let facts = pull_request_facts(context, &pull_request, policy.passed(), passed).await?;
        let approvals = count(required, &facts, context.now().date());
        report.carried = carried_reviews(context, &facts.carried).await?;
        if pull_request.merge.is_none() {
            let target = context.branch_head(&branch).await?;
            let (into, from) = ((branch.as_str(), &target), (pull_request.head_branch.as_str(), &pull_request.head));
            report.obstacles = promotion_obstacles(context, &approvals, into, from)?;
            report.obstacles.extend(refused_by_next(context, &store, &pull_request.head, name).await?);
        }
        state = match approvals.verdict() {
            _ if !report.obstacles.is_empty() => StatusState::Failure,
            ApprovalVerdict::Enough => StatusState::Success,
            ApprovalVerdict::Missing => StatusState::Pending,
            ApprovalVerdict::Blocked | ApprovalVerdict::Impossible => StatusState::Failure,
        };
        report.approved = state == StatusState::Success;
        fill(&mut report, approvals);
    }
    if pull_request.base_branch != revision.config.branches.staging {
        let lock = Inputs::lock(&context.git, pull_request.head.as_str());
        let lock = lock.map_err(|error| git_error("the pull request's lock cannot be read", error))?;
        report.unreviewed = lock.and_then(|bytes| unreviewed_lock(store.ledger(), &Digest::of(&bytes)));
    }
    report.warnings.extend(to_look_at(&report));
    if pull_request.merge.is_none() {
        let said = report.obstacles.first().unwrap_or(&report.summary);
        let said = lock_model::escaping::shorten(said, 140);
        report.warnings.extend(set_status(context, &pull_request.head, None, APPROVALS_STATUS, state, &said).await?);
    }
    Ok(report)
}

/// Why the acting user's approval of a pull request does not count, a sentence for each environment that asks for approvals.
pub(crate) async fn why_not_counted(context: &Context, number: u64) -> Result<Vec<String>> {
    context.sync()?;
    let pull_request = context.forge.pull_request(number).await?;
    let revision = Revision::load(context, &pull_request.head)?;
    let store = LedgerStore::read(context).await?;
    let branch = pull_request.base_branch.as_str();
    let mut reasons = Vec::new();
    for found in PolicyFound::of_branch(context, store.ledger(), &revision.config, branch).await? {
        let policy = found.gates(context, &revision)?;
        let Some(required) = &policy.approvals else { continue };
        let facts = pull_request_facts(context, &pull_request, policy.passed(), None).await?;
        let approvals = count(required, &facts, context.now().date());
        let mine = approvals.not_counted.iter().find(|one| one.user == context.run.actor);
        reasons.extend(mine.map(|NotCounted { user, reason, .. }| {
            format!("this approval does not count for `{}`: `{user}` {reason}", found.environment())
        }));
    }
    Ok(reasons)
}

/// What approvers must not overlook, a sentence each.
fn to_look_at(report: &ApprovalsReport) -> Vec<String> {
    let unreviewed = report.unreviewed.iter().map(UnreviewedLock::sentence);
    let hold = report
        .hold
        .iter()
        .map(|hold| format!("`{}` is held since {} by `{}`: {}", report.environment, hold.since, hold.by, hold.reason));
    let relaxed = report.policy_relaxations.iter().map(|rule| format!("the pull request loosens a rule: {rule}"));
    let rules = report.policy.is_unusual().then(|| report.policy.sentence());
    unreviewed.chain(hold).chain(relaxed).chain(rules).collect()
}

/// The people who approved what is carried, each pull request by its last head.
async fn carried_reviews(context: &Context, carried: &[CarriedPullRequest]) -> Result<Vec<CarriedReview>> {
    let mut rows = Vec::new();
    for one in carried {
        let pull_request = context.forge.pull_request(one.number).await?;
        let reviews = context.forge.reviews(one.number).await?;
        let accepts = |review: &&Review| {
            let is_of_head = review.state == ReviewState::Approved && review.commit == pull_request.head;
            is_of_head && !review.bot && review.user != pull_request.author
        };
        let people: BTreeSet<String> = reviews.iter().filter(accepts).map(|review| review.user.to_string()).collect();
        rows.push(CarriedReview {
            number: one.number,
            title: pull_request.title,
            author: one.author.clone(),
            merged_by: one.merged_by.clone(),
            approved_by: people.into_iter().collect(),
        });
    }
    Ok(rows)
}

/// Who approved, who could, and who cannot.
fn fill(report: &mut ApprovalsReport, approvals: Approvals) {
    let lines = |people: &[NotCounted]| -> Vec<NotCountedReview> {
        let line = |one: &NotCounted| NotCountedReview { user: one.user.clone(), reason: one.reason.to_string() };
        people.iter().map(line).collect()
    };
    report.needed = approvals.needed;
    report.missing = approvals.missing;
    report.summary = approvals.summary();
    report.not_counted = lines(&approvals.not_counted);
    report.excluded = lines(&approvals.excluded);
    report.fallback = match approvals.fallback {
        FallbackUse::Applies(Fallback { count, owner, reason, until }) => {
            Some(AppliedFallback { count, owner, reason, until })
        }
        FallbackUse::Unused | FallbackUse::Ended(_) => None,
    };
    let unknown = approvals.unknown_mails.iter();
    report.warnings.extend(unknown.map(|mail| {
        format!("the mail `{}` of a commit belongs to no user of the forge", escape_short(mail.as_bytes(), 100))
    }));
    report.eligible = approvals.eligible;
    report.counted = approvals.counted;
}

/// The one open pull request into a branch.
async fn open_promotion(context: &Context, environment: &Environment, branch: &str) -> Result<PullRequest> {
    let base = branch_name(branch)?;
    let open = context.forge.pull_requests(Some(PullRequestState::Open)).await?;
    let mut into: Vec<PullRequest> = open.into_iter().filter(|one| one.base_branch == base).collect();
    match (into.pop(), into.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => {
            Err(Error::new(ErrorKind::Usage, format!("several pull requests into `{branch}` are open"))
                .hint("name one with `--pr N`"))
        }
        (None, _) => {
            let error = Error::new(ErrorKind::Refused, format!("no pull request into `{branch}` is open"));
            Err(if commits_locks(environment) {
                let create = format!("orchestrator forge pr create --base {branch} --title …");
                error.hint(format!("no promotion goes there: who wants to bring a change opens it with `{create}`"))
            } else {
                error.hint("the run of the environment before opens the promotion once the release is proven there")
            })
        }
    }
}
