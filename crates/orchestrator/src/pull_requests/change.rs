use forge::simulator::{Bypass, MergeOutcome};
use forge::{
    ForgeError, ForgeErrorKind, NewPullRequest, OpenOutcome, PullRequest, PullRequestEdit, Readiness, WriteOutcome,
};
use lock_model::{BranchName, CommitPrefix};

use super::review::is_expected;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::labels::other_names;
use crate::ledger_store::LedgerStore;
use crate::report::v1::{MergeReport, PullRequestReport};

/// Marks the comment that a user closed a pull request with: closing it again changes no second one.
const CLOSING_COMMENT: &str = "closed";

/// Opens a pull request unless one between the same branches is open.
///
/// # Errors
///
/// Where the forge refuses, or a branch is not there.
pub async fn open_pull_request(context: &Context, new: &NewPullRequest) -> Result<PullRequestReport> {
    LedgerStore::check(context).await?;
    let opened = match context.forge.open_pull_request(new).await {
        Ok(opened) => opened,
        Err(error) => return Err(unopened(context, new, error).await),
    };
    let (words, pull_request) = match opened {
        OpenOutcome::Created(made) => ("opened", made),
        OpenOutcome::Exists(other) => ("is open already", other),
    };
    Ok(report(&pull_request, words))
}

/// Says what to push where this clone has a head that the forge has not, and which branches there are for the base.
async fn unopened(context: &Context, new: &NewPullRequest, error: ForgeError) -> Error {
    let is_state = matches!(error.kind(), ForgeErrorKind::NotFound | ForgeErrorKind::State);
    let error = Error::from(error);
    let Ok(branches) = context.forge.branches().await else { return error };
    if !is_state || context.git.work_tree().is_none() {
        return error;
    }
    let here = context.commit(&new.head.full()).ok().flatten().map(|facts| facts.id);
    let error = match here {
        Some(here) if branches.get(&new.head) != Some(&here) => error.hint(format!(
            "this clone has `{0}` at {1}, and the forge has not: `git push origin {0}`",
            new.head,
            here.short(12)
        )),
        _ => error,
    };
    if branches.contains_key(&new.base) {
        return error;
    }
    error.hint(other_names(new.base.as_str(), "the forge", branches.keys().map(BranchName::as_str)))
}

/// Takes a pull request out of draft.
///
/// # Errors
///
/// Where the forge refuses, or there is no such pull request.
pub async fn ready_pull_request(context: &Context, number: u64) -> Result<PullRequestReport> {
    LedgerStore::check(context).await?;
    let edit = PullRequestEdit::default().readiness(Readiness::Ready);
    context.forge.edit_pull_request(number, &edit).await?;
    Ok(report(&context.forge.pull_request(number).await?, "is ready"))
}

/// Closes a pull request without merging it, and says why in a comment where there is a text.
///
/// # Errors
///
/// Where the forge refuses, or there is no such pull request.
pub async fn close_pull_request(context: &Context, number: u64, comment: Option<&str>) -> Result<PullRequestReport> {
    LedgerStore::check(context).await?;
    let words = match context.local_forge().simulator().close_pull_request(number)? {
        WriteOutcome::Created | WriteOutcome::Updated => "closed",
        WriteOutcome::Unchanged => "is closed already",
    };
    if let Some(comment) = comment {
        context.forge.upsert_comment(number, CLOSING_COMMENT, comment).await?;
    }
    Ok(report(&context.forge.pull_request(number).await?, words))
}

/// Merges a pull request whose head is `expected_head`, or whatever it is now.
///
/// # Errors
///
/// [`ErrorKind::Refused`] with every rule that speaks against it.
pub async fn merge_pull_request(
    context: &Context,
    number: u64,
    expected_head: Option<CommitPrefix>,
    bypass: Bypass,
) -> Result<MergeReport> {
    let head = context.forge.pull_request(number).await?.head;
    if let Some(expected) = &expected_head {
        is_expected(context, number, &head, expected)?;
    }
    LedgerStore::check(context).await?;
    match context.local_forge().simulator().merge(number, &head, bypass)? {
        MergeOutcome::Merged(merge) | MergeOutcome::AlreadyMerged(merge) => Ok(MergeReport {
            pull_request: number,
            commit: merge.commit,
            by: merge.by.to_string(),
            bypassed: merge.bypassed,
        }),
        MergeOutcome::Refused { reasons } => {
            Err(Error::new(ErrorKind::Refused, format!("pull request {number} cannot be merged"))
                .problems(reasons.into_iter().map(|reason| Problem::new("rule", reason))))
        }
    }
}

fn report(pull_request: &PullRequest, words: &str) -> PullRequestReport {
    let summary = format!("pull request {} {words}", pull_request.number);
    PullRequestReport { pull_request: pull_request.into(), summary }
}
