//! Whether the repository vouches for what the ledger names as a rollback target.
//!
//! Records can be made up where nobody judges what comes onto the ledger's branch. A commit that was on the branch of an
//! environment went through its pull request.

use std::collections::BTreeSet;

use ledger::{Ledger, Step, StepResult, Unreviewed};
use lock_model::{CommitId, EnvironmentName, LOCK_FOLDER, ReleaseTag, TreePath};
use promotion::rollback::RollbackTarget;

use crate::context::Context;
use crate::environment_policy::find_environment;
use crate::error::Result;
use crate::revision::Revision;

/// The commits that an environment can go back to.
pub(crate) struct RollbackGround {
    commits: BTreeSet<CommitId>,
}

impl RollbackGround {
    /// The first-parent line of the environment's branch, and the migrated releases on top of it.
    pub(crate) async fn of(context: &Context, environment: &EnvironmentName, ledger: &Ledger) -> Result<Self> {
        let found = find_environment(context, environment).await?;
        let Some(branch) = found.branch.map(|branch| branch.to_string()) else {
            return Ok(Self { commits: BTreeSet::new() });
        };
        let head = context.branch_head(&branch).await?;
        let line: BTreeSet<CommitId> = context.first_parents(head.as_str())?.into_iter().collect();
        let users = context.forge.users().await?;
        let bots: BTreeSet<&str> = users.iter().filter(|user| user.bot).map(|user| user.name.as_str()).collect();
        let mut commits = BTreeSet::new();
        for record in ledger.of(environment) {
            let entry = &record.entry;
            if let (true, Some(Unreviewed::Migrated), Some(commit), Some(tag)) =
                (record.is(Step::LockCommit, StepResult::Ok), entry.unreviewed, &entry.commit, &entry.tag)
                && bots.contains(entry.run.actor.as_str())
                && !commits.contains(commit)
                && is_migrated(context, &line, commit, tag)?
            {
                commits.insert(commit.clone());
            }
        }
        commits.extend(line);
        Ok(Self { commits })
    }

    pub(crate) fn holds(&self, target: &RollbackTarget) -> bool {
        self.commits.contains(&target.commit)
    }
}

/// Whether the tag names the commit, and the commit adds nothing to a commit of the line but its lock and the files that
/// its configuration names.
fn is_migrated(context: &Context, line: &BTreeSet<CommitId>, commit: &CommitId, tag: &str) -> Result<bool> {
    let Ok(tag) = ReleaseTag::try_from(tag) else { return Ok(false) };
    if context.tag_commit(&tag)?.as_ref() != Some(commit) {
        return Ok(false);
    }
    let Some(facts) = context.commit(commit.as_str())? else { return Ok(false) };
    let [parent] = facts.parents.as_slice() else { return Ok(false) };
    if !line.contains(parent) {
        return Ok(false);
    }
    // One that cannot be read cannot be gone back to.
    let Ok(revision) = Revision::load(context, commit) else { return Ok(false) };
    let locks = format!("{LOCK_FOLDER}/");
    let is_declared = |path: &str| TreePath::try_from(path).is_ok_and(|path| revision.inputs.covers(&path));
    Ok(context.changed_paths(parent, commit)?.iter().all(|path| path.starts_with(&locks) || is_declared(path)))
}
