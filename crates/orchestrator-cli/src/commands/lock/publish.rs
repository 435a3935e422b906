//! `lock publish`: the lock of a pull request, as artefact, comment and status.

use ::forge::{PullRequest, PullRequestState, StatusState};
use config::{Config, weakenings};
use ledger::PolicySource;
use lock_model::CommitId;
use promotion::report::{LockComment, LockFailure, LockProblemText, lock_comment, lock_failure_comment};

use super::generate::{TestMerge, test_merge};
use super::{describe, lock_at, summary};
use crate::arguments::LockPublishArgs;
use crate::context::{Context, forge_error, git_error};
use crate::engine::{LOCK_ARTEFACT, LOCK_STATUS, diff_problems, rows_of, short_id};
use crate::error::{CliError, CliResult, Problem};
use crate::exit_code::ExitCode;
use crate::generation::{self, Generated, Scope};
use crate::ledger_store::LedgerStore;
use crate::output::Report;
use crate::snapshot::{LOCK_FOLDER, load_config};
use crate::submodules::{Changes, Declared, changes, pushed_table};

/// Marker of our comment on a pull request.
const COMMENT: &str = "orchestrator-lock";
/// How often a lock is made whose base moves each time.
const ATTEMPTS: u32 = 3;

/// Makes a pull request's lock and publishes it.
pub(crate) async fn publish(context: &Context, args: &LockPublishArgs) -> CliResult<Report> {
    context.sync()?;
    let number = args.pull_request;
    let pull_request = context.forge.pull_request(number).await.map_err(forge_error)?;
    if pull_request.state != PullRequestState::Open {
        return Err(CliError::new(ExitCode::Usage, format!("pull request {number} is not open")));
    }
    // Before anything is said on its head, which may be the commit of another branch's own run.
    let base = context.branch_head(pull_request.base_branch.as_str()).await?;
    // A configuration that cannot be read is said below, with the status and the comment.
    let readable = |revision: &str| load_config(context, revision).ok().flatten();
    let rules = readable(base.as_str()).or_else(|| readable(pull_request.head.as_str()));
    if let Some(rules) = &rules {
        goes_to_staging(&pull_request, rules)?;
    }
    let now = context.now(LedgerStore::read(context).await?.len());
    let status = async |state: StatusState, text: &str| -> CliResult<()> {
        let text = lock_model::escaping::shorten(text, 140);
        context.forge.set_status(&pull_request.head, LOCK_STATUS, state, &text, now).await.map_err(forge_error)?;
        Ok(())
    };
    status(StatusState::Pending, "the lock is being made").await?;
    let Some(made) = make_of_the_present(context, &pull_request, args, base).await? else {
        let note = format!("pull request {number} moved while its lock was made");
        return Ok(superseded_publish(number, &note));
    };
    match made {
        Ok(made) => {
            context.forge.put_artefact(number, LOCK_ARTEFACT, &made.generated.bytes).await.map_err(forge_error)?;
            context.forge.upsert_comment(number, COMMENT, &made.comment, now).await.map_err(forge_error)?;
            status(StatusState::Success, &made.line).await?;
            let mut report = describe(&made.generated.lock);
            let pushed = made.generated.pushed.as_ref();
            report.human = format!(
                "pull request {number}: {}\n\n{}{}\nartefact, comment and status `{LOCK_STATUS}` are published\n",
                made.line,
                report.human,
                pushed.map(|on| format!("\n{}", pushed_table(on))).unwrap_or_default(),
            );
            let (commits, risks) = made.changes.documents();
            report.document = serde_json::json!({
                "command": "lock publish", "pull_request": number, "lock": made.generated.lock.id(),
                "release": made.release, "head": pull_request.head, "services": summary(&made.generated.lock),
                "commits": commits, "risks": risks,
            });
            if let Some(pushed) = pushed {
                report.document["pushed"] = serde_json::json!(pushed);
            }
            Ok(report.warnings(made.warnings).markdown(made.comment))
        }
        Err(error) => {
            let problems = problem_texts(&error);
            let comment = lock_failure_comment(&LockFailure {
                target_branch: pull_request.base_branch.as_str(),
                head: &pull_request.head,
                problems: &problems,
                hints: &error.hints,
            });
            context.forge.upsert_comment(number, COMMENT, &comment, now).await.map_err(forge_error)?;
            status(StatusState::Failure, &error.message).await?;
            Err(error)
        }
    }
}

/// An error for the comment, which says "tried" itself.
fn problem_texts(error: &CliError) -> Vec<LockProblemText> {
    if error.problems.is_empty() {
        let (message, details) = (error.message.clone(), error.causes.clone());
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
    error.problems.iter().map(text).collect()
}

/// Makes the lock until it is the one of the present base: whoever merges something else meanwhile starts no run for this
/// pull request. Nothing where its head moved, whose own run speaks for the new state, and where the base does not rest.
async fn make_of_the_present(
    context: &Context,
    pull_request: &PullRequest,
    args: &LockPublishArgs,
    mut base: CommitId,
) -> CliResult<Option<CliResult<Made>>> {
    for attempt in 1..=ATTEMPTS {
        let scope = Scope { only: None, patience: args.wait.unwrap_or_default(), check_pushed: args.check_pushed };
        let made = make(context, pull_request, scope).await;
        let present = context.forge.pull_request(pull_request.number).await.map_err(forge_error)?;
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
            context.progress.line(&format!("`{branch}` moved meanwhile: the lock is made again"));
            context.sync()?;
        }
    }
    Ok(None)
}

struct Made {
    generated: Generated,
    changes: Changes,
    comment: String,
    line: String,
    release: lock_model::ReleaseId,
    base: CommitId,
    warnings: Vec<String>,
}

async fn make(context: &Context, pull_request: &PullRequest, scope: Scope<'_>) -> CliResult<Made> {
    let merge = test_merge(context, pull_request.number).await?;
    let config = &merge.snapshot.config;
    goes_to_staging(pull_request, config)?;
    own_lock_changes(context, &merge)?;
    let base = merge.source.base.clone();
    let before = lock_at(context, base.as_str())?;
    let generated = generation::generate(context, &merge.snapshot, merge.source.clone(), scope).await?;
    let declared = Declared::new(&merge.snapshot.scan);
    let changes = changes(context, before.as_ref(), &generated.lock, &declared).await?;
    let release = merge.snapshot.release(&generated.lock);
    let old = load_config(context, base.as_str())?;
    let source = if old.is_some() { PolicySource::Target } else { PolicySource::Bootstrap };
    let loosened: Vec<String> =
        old.iter().flat_map(|old| weakenings(old, config)).map(|weakening| weakening.to_string()).collect();
    let now = context.now(LedgerStore::read(context).await?.len());
    let mut rows = Vec::new();
    for environment in config.environments.values().filter(|environment| environment.target.is_some()) {
        rows.extend(rows_of(&merge.snapshot, &environment.name, &generated.lock, now)?);
    }
    let comment = lock_comment(&LockComment {
        lock: &generated.lock,
        before: before.as_ref(),
        release: &release,
        target_branch: pull_request.base_branch.as_str(),
        base: &base,
        head: &pull_request.head,
        policy: source,
        risks: &changes.risks,
        weakenings: &loosened,
        not_deployed: &rows,
        warnings: &generated.warnings,
        commits: &changes.commits,
    });
    let changed = before.as_ref().map_or(generated.lock.services().len(), |before| {
        diff_problems(&lock_model::diff(before, &generated.lock)).len()
    });
    let unusual = match changes.risks.len() {
        0 => String::new(),
        risks => format!(", {risks} to look at first"),
    };
    let line = format!(
        "lock {}: {changed} of {} services change{unusual}",
        short_id(generated.lock.id().as_str()),
        generated.lock.services().len()
    );
    let mut warnings: Vec<String> = changes.risks.iter().map(ToString::to_string).collect();
    warnings.extend(generated.warnings.iter().cloned());
    warnings.extend(loosened.iter().map(|weakening| format!("the pull request loosens a rule: {weakening}")));
    Ok(Made { generated, changes, comment, line, release, base, warnings })
}

fn goes_to_staging(pull_request: &PullRequest, config: &Config) -> CliResult<()> {
    let staging = config.branches.staging.as_str();
    if pull_request.base_branch.as_str() == staging {
        return Ok(());
    }
    Err(CliError::new(
        ExitCode::Usage,
        format!("pull request {} goes to `{}`", pull_request.number, pull_request.base_branch),
    )
    .hint(format!("locks are made for pull requests into `{staging}`; a promotion carries one already")))
}

/// Only `lock commit` writes locks: a pull request that edits them is refused, unless it brings exactly what the
/// production branch has (a hotfix merged back).
fn own_lock_changes(context: &Context, merge: &TestMerge) -> CliResult<()> {
    let (base, head) = (&merge.source.base, &merge.source.head);
    let cannot = |error: &git::GitError| git_error("the pull request's own changes cannot be read", error);
    let Some(fork) = context.git.merge_base(base.as_str(), head.as_str()).map_err(|error| cannot(&error))? else {
        return Ok(());
    };
    let changes = context.git.diff_names(fork.as_str(), head.as_str()).map_err(|error| cannot(&error))?;
    let prefix = format!("{LOCK_FOLDER}/");
    let touched: Vec<&str> =
        changes.iter().map(|change| change.path.as_str()).filter(|path| path.starts_with(&prefix)).collect();
    if touched.is_empty() {
        return Ok(());
    }
    let production = context.resolve(merge.snapshot.config.branches.production.as_str())?;
    let mut foreign = Vec::new();
    for path in touched {
        let of = |revision: &str| context.git.read_file(revision, path).map_err(|error| cannot(&error));
        if of(head.as_str())? != of(production.as_str())? {
            foreign.push(Problem {
                subject: path.to_owned(),
                message: "is changed by this pull request".to_owned(),
                details: Vec::new(),
            });
        }
    }
    if foreign.is_empty() {
        return Ok(());
    }
    Err(CliError::new(ExitCode::Refused, "locks are written by `lock commit` only")
        .problems(foreign)
        .hint(format!("take the changes of `{LOCK_FOLDER}/` out of the branch")))
}

fn superseded_publish(number: u64, note: &str) -> Report {
    let document = serde_json::json!({ "command": "lock publish", "pull_request": number, "superseded": note });
    Report::new(
        ExitCode::Done,
        format!("superseded: {note}; `lock publish` again makes the lock of what it is now\n"),
        document,
    )
}
