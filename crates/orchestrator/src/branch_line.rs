//! A branch's line of first parents: what was its tip at some time.

use config::Environment;
use lock_model::CommitId;
use promotion::policy_commit::Line;

use crate::context::{Context, git_error};
use crate::environment_policy::commits_locks;
use crate::error::Result;

/// The branch's line around a commit of it; of a commit that is on no branch any more, what it came from.
pub(crate) fn line_around(
    context: &Context,
    environment: &Environment,
    head: Option<&CommitId>,
    commit: &CommitId,
) -> Result<Line> {
    let mut line = match head {
        Some(head) => first_parents(context, head)?,
        None => Vec::new(),
    };
    if !line.contains(commit) {
        line = first_parents(context, commit)?;
    }
    let at = line.iter().position(|other| other == commit).unwrap_or(0);
    let (mut top, mut bottom) = (at, at);
    if commits_locks(environment) {
        while let (Some(above), Some(below)) = (line.get(bottom), line.get(bottom + 1))
            && changes_only_the_lock(context, above, below)?
        {
            bottom += 1;
        }
        while let Some(above) = top.checked_sub(1)
            && let (Some(lock), Some(below)) = (line.get(above), line.get(top))
            && changes_only_the_lock(context, lock, below)?
        {
            top = above;
        }
    }
    let before = line.split_off((bottom + 1).min(line.len()));
    let change = line.split_off(top);
    Ok(Line { after: line, change, before })
}

/// Whether a commit without a second parent changes nothing but the lock of the commit below it.
pub(crate) fn changes_only_the_lock(context: &Context, commit: &CommitId, parent: &CommitId) -> Result<bool> {
    let facts = context.commit(commit.as_str())?;
    if facts.is_none_or(|facts| facts.parents != [parent.clone()]) {
        return Ok(false);
    }
    let changed = context
        .git
        .diff_names(parent.as_str(), commit.as_str())
        .map_err(|error| git_error("the lock commit cannot be compared with its parent", error))?;
    let folder = format!("{}/", lock_model::LOCK_FOLDER);
    Ok(!changed.is_empty() && changed.iter().all(|change| change.path.starts_with(&folder)))
}

/// The first parents of a commit, itself first.
pub(crate) fn first_parents(context: &Context, commit: &CommitId) -> Result<Vec<CommitId>> {
    context.first_parents(commit.as_str())
}
