//! The lock of a pull request, as artefact, comment and status.

use std::collections::BTreeSet;
use std::time::Duration;

use ::forge::{PullRequest, PullRequestState, StatusState};
use config::{Config, Environment};
use lock_model::{CommitId, LOCK_FILE, LOCK_FOLDER, TreeId};

use super::approvers::approver_warnings;
use super::files::lock_file_at;
use crate::context::{Context, git_error};
use crate::displayed_status::set_status;
use crate::engine::{LOCK_ARTEFACT, LOCK_STATUS, rows_of};
use crate::error::{Error, ErrorKind, Place, Problem, Result};
use crate::inputs::{Inputs, changes as input_changes};
use crate::labels::{diff_problems, short_id};
use crate::ledger_rights::needs_bot;
use crate::ledger_store::LedgerStore;
use crate::lock_builder::{self, Generated, Scope};
use crate::lock_folder::is_foreign;
use crate::merge_plan::{Merge, plan_merge};
use crate::policy_found::PolicyFound;
use crate::relaxed_rules::relaxed_rules;
use crate::report::markdown::{LockComment, LockFailure, LockProblemText, lock_comment, lock_failure_comment};
use crate::report::v1::{InputChanges, LockPublishReport, MergePlan, PlanVerdict, PublishedLock, locked_services};
use crate::revision::{is_of_another_tool, load_config};
use crate::submodules::{Changes, Declared, changes};
use crate::test_merge::{TestMerge, test_merge};

/// Marker of our comment on a pull request.
const COMMENT: &str = "orchestrator-lock";
/// How often a lock is made whose base moves each time.
const ATTEMPTS: u32 = 3;

/// Which pull request's lock is published.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockPublishRequest {
    /// The number of an open pull request into the staging branch.
    pub pull_request: u64,
    /// Ask the remotes whether the commits are pushed, also where no configuration wants it.
    pub check_pushed: bool,
    /// How long to wait for images that are still being built.
    pub wait: Duration,
}

impl LockPublishRequest {
    /// The lock of a pull request, without waiting for images.
    pub fn new(pull_request: u64) -> Self {
        Self { pull_request, check_pushed: false, wait: Duration::ZERO }
    }
}

/// Makes a pull request's lock and publishes it.
///
/// # Errors
///
/// As [`generate_lock`](super::generate_lock): the comment and the status say why, too.
pub async fn publish_lock(context: &Context, request: &LockPublishRequest) -> Result<LockPublishReport> {
    context.needs_history()?;
    needs_bot(context, "locks are published").await?;
    context.sync()?;
    let number = request.pull_request;
    let pull_request = context.forge.pull_request(number).await?;
    if pull_request.state != PullRequestState::Open {
        let message = format!("a lock is published for an open pull request, and {number} is {}", pull_request.state);
        return Err(Error::new(ErrorKind::Refused, message));
    }
    // Before anything is said on its head, which may be the commit of another branch's own run.
    let base = context.branch_head(pull_request.base_branch.as_str()).await?;
    // A configuration that cannot be read is said below, with the status and the comment.
    let readable = |revision: &str| load_config(context, revision).ok().flatten();
    let rules = readable(base.as_str()).or_else(|| readable(pull_request.head.as_str()));
    if let Some(rules) = &rules {
        goes_to_staging(&pull_request, rules)?;
    }
    LedgerStore::check(context).await?;
    let status = async |base: &CommitId, state: StatusState, text: &str| {
        let text = lock_model::escaping::shorten(text, 140);
        set_status(context, &pull_request.head, Some(base), LOCK_STATUS, state, &text).await
    };
    status(&base, StatusState::Pending, "the lock is being made").await?;
    let Some(made) = make_of_the_present(context, &pull_request, request, base.clone()).await? else {
        return Ok(LockPublishReport {
            pull_request: number,
            published: None,
            superseded: Some(format!("pull request {number} moved while its lock was made")),
            warnings: Vec::new(),
            comment: None,
        });
    };
    match made {
        Ok(made) => {
            context.forge.put_artefact(number, LOCK_ARTEFACT, &made.generated.bytes).await?;
            context.forge.upsert_comment(number, COMMENT, &made.comment).await?;
            let refusal = made.plans.iter().find_map(MergePlan::refusal);
            let (state, text) = match &refusal {
                None => (StatusState::Success, &made.line),
                Some(refusal) => (StatusState::Failure, refusal),
            };
            let kept = status(&made.base, state, text).await?;
            let generated = made.generated;
            Ok(LockPublishReport {
                pull_request: number,
                published: Some(PublishedLock {
                    lock: generated.lock.id().clone(),
                    release: made.release,
                    head: pull_request.head.clone(),
                    source: generated.lock.source().into(),
                    summary: made.line,
                    services: locked_services(&generated.lock),
                    inputs: made.inputs,
                    commits: made.changes.commit_documents(),
                    risks: made.changes.risk_lines(),
                    pushed: generated.pushed,
                    plans: made.plans,
                }),
                superseded: None,
                warnings: made.warnings.into_iter().chain(kept).collect(),
                comment: Some(made.comment),
            })
        }
        Err(error) => {
            let problems = problem_texts(&error);
            let comment = lock_failure_comment(&LockFailure {
                target_branch: pull_request.base_branch.as_str(),
                head: &pull_request.head,
                problems: &problems,
                hints: error.hints(),
            });
            context.forge.upsert_comment(number, COMMENT, &comment).await?;
            let kept = status(&base, StatusState::Failure, &in_one_line(&error)).await?;
            Err(kept.into_iter().fold(error, Error::hint))
        }
    }
}

/// An error for the status, which has room for one problem.
fn in_one_line(error: &Error) -> String {
    match error.places() {
        [] => error.message().to_owned(),
        [only] => located(only),
        [first, others @ ..] => format!("{} (and {} more)", located(first), others.len()),
    }
}

fn located(place: &Place) -> String {
    let at = [place.line, place.column].into_iter().flatten().map(|number| format!(":{number}"));
    format!("{}{}: {}", place.file, at.collect::<Vec<_>>().concat(), place.message)
}

/// An error for the comment, which says "tried" itself.
fn problem_texts(error: &Error) -> Vec<LockProblemText> {
    // The message draws what the places say.
    if !error.places().is_empty() {
        let text = |place: &Place| LockProblemText {
            service: None,
            message: located(place),
            tried: Vec::new(),
            details: place.hint.iter().map(|hint| format!("hint: {hint}")).collect(),
        };
        return error.places().iter().map(text).collect();
    }
    if error.all_problems().is_empty() {
        let (message, details) = (error.message().to_owned(), error.causes());
        return vec![LockProblemText { service: None, message, tried: Vec::new(), details }];
    }
    let text = |problem: &Problem| {
        let tried = problem.details.iter().filter_map(|detail| detail.strip_prefix("tried ").map(str::to_owned));
        let others = problem.details.iter().filter(|detail| !detail.starts_with("tried "));
        LockProblemText {
            service: Some(problem.subject.clone()),
            message: problem.message.clone(),
            tried: tried.collect(),
            details: others.cloned().collect(),
        }
    };
    error.all_problems().iter().map(text).collect()
}

/// Makes the lock for the present base, again where the base moves meanwhile: a merge of another pull request starts no run
/// for this one. `None` where the head moved, which has a run of its own, and where the base moves each time.
async fn make_of_the_present(
    context: &Context,
    pull_request: &PullRequest,
    request: &LockPublishRequest,
    mut base: CommitId,
) -> Result<Option<Result<Made>>> {
    for attempt in 1..=ATTEMPTS {
        let scope = Scope { only: None, patience: request.wait, check_pushed: request.check_pushed };
        let made = make(context, pull_request, scope).await;
        let present = context.forge.pull_request(pull_request.number).await?;
        if present.head != pull_request.head {
            return Ok(None);
        }
        let before = made.as_ref().map_or(&base, |made| &made.base).clone();
        base = context.branch_head(pull_request.base_branch.as_str()).await?;
        if before == base {
            return Ok(Some(made));
        }
        if attempt < ATTEMPTS {
            let branch = pull_request.base_branch.as_str();
            context.note(format!("`{branch}` moved meanwhile: the lock is made again"));
            context.sync()?;
        }
    }
    Ok(None)
}

struct Made {
    generated: Generated,
    plans: Vec<MergePlan>,
    inputs: InputChanges,
    changes: Changes,
    comment: String,
    line: String,
    release: lock_model::ReleaseId,
    base: CommitId,
    warnings: Vec<String>,
}

async fn make(context: &Context, pull_request: &PullRequest, scope: Scope<'_>) -> Result<Made> {
    let merge = test_merge(context, pull_request.number).await?;
    let config = &merge.revision.config;
    goes_to_staging(pull_request, config)?;
    own_lock_changes(context, &merge)?;
    let base = merge.source.base.clone();
    let before = match lock_file_at(context, base.as_str()) {
        // The pull request takes it away.
        Err(_) if !has_lock(context, &merge.revision.commit)? => None,
        before => before?.map(|file| file.lock),
    };
    let generated = lock_builder::generate(context, &merge.revision, merge.source.clone(), scope).await?;
    let declared = Declared::new(&merge.revision.scan);
    let changes = changes(context, before.as_ref(), &generated.lock, &declared).await?;
    let release = merge.revision.release(&generated.lock);
    let inputs = input_changes(context, Inputs::before(context, &base)?.as_ref(), &merge.revision.inputs)?;
    let branch = pull_request.base_branch.as_str();
    let store = LedgerStore::read(context).await?;
    let found = PolicyFound::of_branch(context, store.ledger(), config, branch).await?;
    let loosened = relaxed_rules(context, &found, &merge.revision)?;
    let rules: Vec<String> = found.iter().map(|found| found.report().sentence()).collect();
    let now = context.now();
    let mut planned: Vec<&Environment> = config.environments.values().filter(|one| one.target.is_some()).collect();
    // What decides comes first.
    planned.sort_by_key(|one| one.branch.as_ref() != Some(&pull_request.base_branch));
    let mut rows = Vec::new();
    for environment in &planned {
        rows.extend(rows_of(&merge.revision, &environment.name, &generated.lock, now)?);
    }
    let question = Merge {
        context,
        ledger: store.ledger(),
        revision: &merge.revision,
        lock: &generated.lock,
        release: &release,
        into: &pull_request.base_branch,
        must_be_pushed: generated.must_be_pushed,
    };
    let (mut plans, mut unpinned) = (Vec::new(), Vec::new());
    for planned in plan_merge(&question, &planned, &found).await? {
        plans.push(planned.report);
        unpinned.extend(planned.unpinned);
    }
    let mut to_look_at = generated.warnings.clone();
    to_look_at.extend(approver_warnings(context, store.ledger(), config, pull_request, &base).await?);
    let comment = lock_comment(&LockComment {
        lock: &generated.lock,
        before: before.as_ref(),
        release: &release,
        target_branch: branch,
        base: &base,
        head: &pull_request.head,
        rules: &rules,
        plans: &plans,
        risks: &changes.risks,
        policy_relaxations: &loosened,
        unpinned: &unpinned,
        not_deployed: &rows,
        warnings: &to_look_at,
        inputs: &inputs,
        commits: &changes.commits,
    });
    let changed = before.as_ref().map_or(generated.lock.services().len(), |before| {
        diff_problems(&lock_model::diff(before, &generated.lock)).len()
    });
    let unusual = match changes.risks.len() {
        0 => String::new(),
        risks => format!(", {risks} to look at first"),
    };
    let files = match inputs.count {
        0 => String::new(),
        1 => ", and 1 file that it reads".to_owned(),
        files => format!(", and {files} files that it reads"),
    };
    let refused: Vec<&str> = plans
        .iter()
        .filter(|plan| plan.verdict == PlanVerdict::Refused)
        .map(|plan| plan.environment.as_str())
        .collect();
    let refused = match refused.as_slice() {
        [] => String::new(),
        names => format!("; {} will refuse it", names.join(" and ")),
    };
    let line = format!(
        "lock {}: {changed} of {} services change{files}{unusual}{refused}",
        short_id(generated.lock.id().as_str()),
        generated.lock.services().len()
    );
    let mut warnings: Vec<String> = plans.iter().filter_map(MergePlan::warning).collect();
    warnings.extend(changes.risks.iter().map(ToString::to_string));
    warnings.extend(to_look_at);
    // The plan names those that are refused.
    warnings.extend(unpinned.iter().filter(|row| !row.is_refused).map(ToString::to_string));
    warnings.extend(loosened.iter().map(|relaxation| format!("the pull request loosens a rule: {relaxation}")));
    Ok(Made { generated, plans, inputs, changes, comment, line, release, base, warnings })
}

fn has_lock(context: &Context, commit: &CommitId) -> Result<bool> {
    let bytes = Inputs::lock(&context.git, commit.as_str());
    Ok(bytes.map_err(|error| git_error("the lock cannot be read", error))?.is_some())
}

/// Whether another tool's file lies in the place of the lock. A newer version's lock is one.
fn is_no_lock(context: &Context, commit: &CommitId) -> Result<bool> {
    let bytes = Inputs::lock(&context.git, commit.as_str());
    let bytes = bytes.map_err(|error| git_error("the lock cannot be read", error))?;
    Ok(bytes.is_some_and(|bytes| is_of_another_tool(&bytes)))
}

fn goes_to_staging(pull_request: &PullRequest, config: &Config) -> Result<()> {
    let staging = config.branches.staging.as_str();
    if pull_request.base_branch.as_str() == staging {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!("pull request {} goes to `{}`", pull_request.number, pull_request.base_branch),
    )
    .hint(format!("locks are made for pull requests into `{staging}`; a promotion carries one already")))
}

/// Only `lock commit` writes locks: a pull request that edits them or their companions is refused, unless it brings exactly
/// what the production branch has (a hotfix merged back). Files of other tools beside them are theirs.
pub(crate) fn own_lock_changes(context: &Context, merge: &TestMerge) -> Result<()> {
    let (base, head) = (&merge.source.base, &merge.source.head);
    let cannot = |error| git_error("the pull request's own changes cannot be read", error);
    let Some(fork) = context.git.merge_base(base.as_str(), head.as_str()).map_err(cannot)? else {
        return Ok(());
    };
    let locks = |commit: &CommitId| Inputs::lock_folder(&context.git, commit.as_str()).map_err(cannot);
    let (before, after) = (locks(&fork)?, locks(head)?);
    if before == after {
        return Ok(());
    }
    // What was never a lock of ours may go.
    let takes_away = !after.contains_key(LOCK_FILE) && is_no_lock(context, &fork)?;
    let production = locks(&context.resolve(merge.revision.config.branches.production.as_str())?)?;
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed: Vec<&String> = paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path) && after.get(*path) != production.get(*path))
        .filter(|path| !takes_away || *path != LOCK_FILE)
        .collect();
    let tree =
        |commit: &CommitId| -> Result<Option<TreeId>> { Ok(context.commit(commit.as_str())?.map(|facts| facts.tree)) };
    let sides: Vec<TreeId> = [tree(&fork)?, tree(head)?].into_iter().flatten().collect();
    let mut edited: Vec<Problem> = Vec::new();
    for path in changed {
        if !is_foreign(context, &sides, path)? {
            edited.push(Problem::new(path, "is changed by this pull request"));
        }
    }
    if edited.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, "locks are written by `lock commit` only")
        .problems(edited)
        .hint(format!("take the changes of these files out of the branch; other files of `{LOCK_FOLDER}/` may change")))
}
