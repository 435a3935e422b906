//! Commits made through the forge, under compare-and-swap of the branch.

use git::{ABSENT, MODE_FILE, RefUpdate, TreeChange};
use lock_model::{BranchName, CommitId, Timestamp};

use super::branches::Move;
use super::merge::identity;
use super::open::LocalForge;
use crate::error::ForgeError;
use crate::model::{CommitOutcome, FileChange, Role, Verdict};

impl LocalForge {
    /// Commits changes onto a branch whose tip must be `expected_head` (`None`: there must be no such branch).
    ///
    /// The branch's rules hold as for a push. When the tip has exactly the wanted content already, that is success:
    /// an earlier attempt got through though its answer was lost. When the branch is elsewhere, nothing is written
    /// and the caller looks and judges again.
    pub fn commit_files(
        &self,
        branch: &BranchName,
        expected_head: Option<&CommitId>,
        changes: &[FileChange],
        message: &str,
        now: Timestamp,
    ) -> Result<CommitOutcome, ForgeError> {
        let user = match self.actor_with(Role::Write)? {
            Ok(user) => user,
            Err(reason) => return Ok(CommitOutcome::Refused { reasons: vec![reason] }),
        };
        let movement = if expected_head.is_some() { Move::FastForward } else { Move::Create };
        let bypassed = match self.judge_own_move(branch, &user, movement)? {
            Verdict::Allowed => None,
            Verdict::Bypassed { rules } => Some(rules),
            Verdict::Refused { reasons } => return Ok(CommitOutcome::Refused { reasons }),
        };
        let changes: Vec<TreeChange> = changes.iter().map(tree_change).collect();

        let identity = identity(&user.name, now);
        let author = format!("{} <{}>", identity.name, identity.email);
        let record = |before: Option<CommitId>, after: CommitId| match &bypassed {
            Some(rules) => {
                let writer = self.store.writer()?;
                self.record_bypass(&writer, branch, before, after, None, &user.name, now, rules)
            }
            None => Ok(()),
        };
        // A second turn only when the branch moved under us: then it is elsewhere, or at our own content.
        loop {
            let actual = self.git.commit(&branch.full())?;
            let tip = actual.as_ref().map(|tip| &tip.id);
            if tip != expected_head {
                return match &actual {
                    Some(tip) if self.is_there(&tip.id, &changes)? => {
                        if tip.author == author {
                            record(tip.parents.first().cloned(), tip.id.clone())?;
                        }
                        Ok(CommitOutcome::AlreadyThere(tip.id.clone()))
                    }
                    Some(_) | None => Ok(CommitOutcome::Moved { actual: tip.cloned() }),
                };
            }
            let tree = self.git.write_tree(tip.map(CommitId::as_str), &changes)?;
            if let Some(tip) = &actual
                && tip.tree == tree
            {
                return Ok(CommitOutcome::AlreadyThere(tip.id.clone()));
            }
            let parents: Vec<CommitId> = tip.cloned().into_iter().collect();
            let commit = self.git.commit_tree(&tree, &parents, message, &identity)?;
            let expected = tip.map_or(ABSENT, CommitId::as_str);
            if self.git.update_ref(&branch.full(), commit.as_str(), Some(expected))? == RefUpdate::Done {
                record(tip.cloned(), commit.clone())?;
                return Ok(CommitOutcome::Committed(commit));
            }
        }
    }

    /// Whether a commit has all of this already. One child for each change, up to the first that it has not.
    fn is_there(&self, commit: &CommitId, changes: &[TreeChange]) -> Result<bool, ForgeError> {
        for change in changes {
            let there = match change {
                TreeChange::Write { path, bytes, .. } => {
                    self.git.read_file(commit.as_str(), path)?.as_ref() == Some(bytes)
                }
                TreeChange::Remove { path } => self.git.list_files(commit.as_str(), Some(path))?.is_empty(),
                TreeChange::Gitlink { .. } => false,
            };
            if !there {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn tree_change(change: &FileChange) -> TreeChange {
    match change {
        FileChange::Write { path, bytes } => {
            TreeChange::Write { path: path.to_string(), mode: MODE_FILE, bytes: bytes.clone() }
        }
        FileChange::Remove { path } => TreeChange::Remove { path: path.to_string() },
    }
}
