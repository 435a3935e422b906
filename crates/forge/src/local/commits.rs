use git::{ABSENT, CommitFacts, CommitIdentity, MODE_FILE, RefUpdate, TreeChange};
use ledger::append_rules::append_reasons;
use ledger::{Ledger, NewRecord};
use lock_model::{BranchName, CommitId, Timestamp, TreePath, UserName};

use super::LocalForge;
use super::branches::{Move, PushVerdict, judge_branch};
use super::bypasses::BypassRecord;
use crate::error::ForgeError;
use crate::model::{CommitOutcome, FileChange, LEDGER_BRANCH, Role, User};

impl LocalForge {
    /// Commits changes onto a branch whose tip must be `expected_head` (`None`: there must be no such branch).
    ///
    /// The branch's rules hold as for a push. A tip that has the wanted content already is success: an earlier
    /// attempt got through and its answer was lost. When the branch is elsewhere, nothing is written.
    pub fn commit_files(
        &self,
        branch: &BranchName,
        expected_head: Option<&CommitId>,
        changes: &[FileChange],
        message: &str,
    ) -> Result<CommitOutcome, ForgeError> {
        let judge = |user: &User, movement: Move, tip: Option<&CommitId>, commit: &CommitId| {
            self.judge_move(branch, user, movement, tip, Some(commit))
        };
        self.commit_judged(branch, expected_head, changes, message, judge)
    }

    /// Appends a record that continues `ledger`, which is what the branch holds at `expected_head`, with all documents
    /// that it names, in its order.
    ///
    /// The rules hold as for a push; they are asked of what is here in memory, without the children of git that a pushed
    /// commit takes.
    pub fn append_record(
        &self,
        ledger: &Ledger,
        expected_head: Option<&CommitId>,
        new: &NewRecord,
        documents: &[&[u8]],
    ) -> Result<CommitOutcome, ForgeError> {
        let path =
            |text: &str| TreePath::try_from(text).map_err(|error| ForgeError::invalid(format!("path `{text}`"), error));
        let branch = BranchName::try_from(LEDGER_BRANCH)
            .map_err(|error| ForgeError::invalid(format!("branch `{LEDGER_BRANCH}`"), error))?;
        let mut changes = vec![FileChange::Write { path: path(&new.file_name)?, bytes: new.bytes.clone() }];
        for (evidence, document) in new.record.entry.evidence.iter().zip(documents) {
            changes.push(FileChange::Write { path: path(&evidence.path())?, bytes: document.to_vec() });
        }
        let judge = |user: &User, _: Move, _: Option<&CommitId>, _: &CommitId| {
            Ok(PushVerdict::refused_for(append_reasons(ledger, new, documents, &user.as_pusher())))
        };
        let message = format!("[ledger] {}", new.record.title());
        self.commit_judged(&branch, expected_head, &changes, &message, judge)
    }

    /// `judge` is asked before the branch moves to a commit that has just been made, on top of the tip.
    fn commit_judged(
        &self,
        branch: &BranchName,
        expected_head: Option<&CommitId>,
        changes: &[FileChange],
        message: &str,
        judge: impl Fn(&User, Move, Option<&CommitId>, &CommitId) -> Result<PushVerdict, ForgeError>,
    ) -> Result<CommitOutcome, ForgeError> {
        let user = match self.actor_with(Role::Write)? {
            Ok(user) => user,
            Err(reason) => return Ok(CommitOutcome::Refused { reasons: vec![reason] }),
        };
        let movement = if expected_head.is_some() { Move::FastForward } else { Move::Create };
        let bypassed = match judge_branch(branch, self.protected_branches()?.get(branch), &user, movement) {
            PushVerdict::Allowed => None,
            PushVerdict::Bypassed { rules } => Some(rules),
            PushVerdict::Refused { reasons } => return Ok(CommitOutcome::Refused { reasons }),
        };
        let changes: Vec<TreeChange> = changes.iter().map(tree_change).collect();

        let now = self.clock.now();
        let identity = identity(&user.name, now);
        let author = format!("{} <{}>", identity.name, identity.email);
        let record = |before: Option<CommitId>, after: CommitId| {
            let Some(rules) = &bypassed else { return Ok(()) };
            let record = BypassRecord::new(branch, before, after, &user.name, now, rules);
            self.record_bypass(&self.store.writer()?, record)
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
            let made = self.git.commit_changes(tip, &changes, message, &identity)?;
            // Only on top of another commit can changes change nothing.
            let there =
                || tip.map_or(CommitOutcome::Moved { actual: None }, |tip| CommitOutcome::AlreadyThere(tip.clone()));
            let Some(commit) = made else { return Ok(there()) };
            match judge(&user, movement, tip, &commit)? {
                PushVerdict::Allowed | PushVerdict::Bypassed { .. } => {}
                PushVerdict::Refused { reasons } => return Ok(CommitOutcome::Refused { reasons }),
            }
            let expected = tip.map_or(ABSENT, CommitId::as_str);
            if self.git.update_ref(&branch.full(), commit.as_str(), Some(expected))? == RefUpdate::Done {
                record(tip.cloned(), commit.clone())?;
                return Ok(CommitOutcome::Committed(commit));
            }
        }
    }

    /// A commit that must be there.
    pub(crate) fn commit_facts(&self, commit: &CommitId) -> Result<CommitFacts, ForgeError> {
        let facts = self.git.commit(commit.as_str())?;
        facts.ok_or_else(|| ForgeError::not_found(format!("commit `{commit}`")))
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

/// Author and committer of what a user does through the forge.
pub(crate) fn identity(user: &UserName, now: Timestamp) -> CommitIdentity {
    CommitIdentity { name: user.to_string(), email: mail_of(user), time: now }
}

/// The address that commits of this forge carry for a user.
pub(crate) fn mail_of(user: &UserName) -> String {
    format!("{user}@users.forge.invalid")
}

fn tree_change(change: &FileChange) -> TreeChange {
    match change {
        FileChange::Write { path, bytes } => {
            TreeChange::Write { path: path.to_string(), mode: MODE_FILE, bytes: bytes.clone() }
        }
        FileChange::Remove { path } => TreeChange::Remove { path: path.to_string() },
    }
}
