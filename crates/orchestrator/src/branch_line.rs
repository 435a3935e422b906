//! A branch's line of first parents: what was its tip at some time.

use config::Environment;
use git::PathChange;
use ledger::Ledger;
use lock_model::{CommitId, EnvironmentName, is_foreign_lock_file, is_lock_file};
use promotion::policy_commit::{Line, PolicyCommit, passed_beside, policy_commit};

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
    Ok(Line { after: line, change, before, ..Line::default() })
}

/// Whether a commit without a second parent changes nothing but `locks/` of the commit below it.
fn changes_only_the_lock(context: &Context, commit: &CommitId, parent: &CommitId) -> Result<bool> {
    Ok(match change_of(context, commit)? {
        Change::Lock { below } | Change::ForeignFiles { below } => below == *parent,
        Change::Other => false,
    })
}

/// The commit that brought a change to its branch, below those that decide nothing.
pub(crate) struct Arrival {
    pub commit: CommitId,
    /// What was passed over, newest first.
    pub above: Vec<CommitId>,
}

/// Which commits decide nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassOver {
    /// Those that only touch files of other tools in `locks/`, any number.
    ForeignFiles,
    /// These, and one that changes the lock alone.
    ForeignFilesAndTheLock,
}

/// Goes down a line of commits to the one that brought its change.
pub(crate) fn arrival(context: &Context, commit: &CommitId, passed: PassOver) -> Result<Arrival> {
    let mut arrival = Arrival { commit: commit.clone(), above: Vec::new() };
    let mut takes_lock = passed == PassOver::ForeignFilesAndTheLock;
    loop {
        let below = match change_of(context, &arrival.commit)? {
            Change::ForeignFiles { below } => below,
            Change::Lock { below } if takes_lock => {
                takes_lock = false;
                below
            }
            Change::Lock { .. } | Change::Other => return Ok(arrival),
        };
        arrival.above.push(std::mem::replace(&mut arrival.commit, below));
    }
}

/// What a commit changes, as far as it decides something.
enum Change {
    /// Files of other tools in `locks/`, and nothing else.
    ForeignFiles { below: CommitId },
    /// Files of `locks/`, the lock or its companions among them, and nothing else.
    Lock { below: CommitId },
    /// Anything else, nothing at all, or a merge.
    Other,
}

fn change_of(context: &Context, commit: &CommitId) -> Result<Change> {
    let facts = context.commit(commit.as_str())?;
    let Some([below]) = facts.as_ref().map(|facts| facts.parents.as_slice()) else { return Ok(Change::Other) };
    let changed = context
        .git
        .diff_names(below.as_str(), commit.as_str())
        .map_err(|error| git_error("a commit cannot be compared with its parent", error))?;
    let is_foreign = |change: &PathChange| is_foreign_lock_file(&change.path);
    let is_locks = |change: &PathChange| is_foreign(change) || is_lock_file(&change.path);
    let below = below.clone();
    Ok(match changed.as_slice() {
        [] => Change::Other,
        changed if changed.iter().all(is_foreign) => Change::ForeignFiles { below },
        changed if changed.iter().all(is_locks) => Change::Lock { below },
        _ => Change::Other,
    })
}

/// The policy commit of an environment for the change of a line. A merge whose first parent is the side that was merged
/// leaves the branch's own commits off the line; the newest of those that passed counts all the same.
pub(crate) fn policy_commit_of(
    context: &Context,
    ledger: &Ledger,
    environment: &EnvironmentName,
    line: &Line,
) -> Result<Option<PolicyCommit>> {
    let Some(tip) = line.change.first().or_else(|| line.before.first()) else {
        return Ok(policy_commit(ledger, environment, line));
    };
    for commit in passed_beside(ledger, environment, line) {
        let is_known = context.commit(commit.as_str())?.is_some();
        if is_known && context.is_ancestor(commit.as_str(), tip.as_str())? {
            return Ok(policy_commit(ledger, environment, &Line { beside: vec![commit], ..line.clone() }));
        }
    }
    Ok(policy_commit(ledger, environment, line))
}

/// The first parents of a commit, itself first.
pub(crate) fn first_parents(context: &Context, commit: &CommitId) -> Result<Vec<CommitId>> {
    context.first_parents(commit.as_str())
}
