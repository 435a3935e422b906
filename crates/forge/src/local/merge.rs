//! The merge button.

use git::{CommitIdentity, RefUpdate};
use lock_model::{CommitId, Timestamp, UserName};

use super::branches::unmet_statuses;
use super::open::LocalForge;
use super::pulls::write_pull;
use super::refs::Refs;
use super::store::Writer;
use super::wire::{MergeEntry, PullFile, PullState};
use crate::error::ForgeError;
use crate::model::{Bypass, MergeInfo, MergeOutcome, MergeRef, Role};

/// How often a base branch may move away under a merge. Every turn judges again.
const ATTEMPTS: usize = 10;

impl LocalForge {
    /// Merges a pull request whose head must be `expected_head`: a merge commit with the tree of the test merge.
    ///
    /// A bypass helps against missing statuses and nothing else, and only an admin has it.
    pub fn merge(
        &self,
        number: u64,
        expected_head: &CommitId,
        bypass: Bypass,
        now: Timestamp,
    ) -> Result<MergeOutcome, ForgeError> {
        let user = self.actor_with(Role::Write)?;
        let writer = self.store.writer()?;
        for _ in 0..ATTEMPTS {
            let refs = Refs::read(&self.git)?;
            let mut file = self.settle(&writer, number, &refs)?;
            let not_open = match (file.state, &file.merge) {
                (PullState::Open, _) => None,
                (PullState::Merged, Some(merge)) if file.head == *expected_head => {
                    return Ok(MergeOutcome::AlreadyMerged(MergeInfo::from(merge.clone())));
                }
                (PullState::Merged, _) => Some(format!("pull request {number} is merged, with head `{}`", file.head)),
                (PullState::Closed, _) => Some(format!("pull request {number} is closed")),
            };
            if let Some(reason) = not_open {
                return Ok(MergeOutcome::Refused { reasons: vec![reason] });
            }

            let mut reasons = Vec::new();
            if let Err(reason) = &user {
                reasons.push(reason.clone());
            }
            if file.head != *expected_head {
                reasons.push(format!("the head is `{}`, not the expected `{expected_head}`", file.head));
            }
            if refs.branch(&file.head_branch).is_none() {
                reasons.push(format!("the branch `{}` is gone", file.head_branch));
            }
            if refs.branch(&file.base_branch).is_none() {
                reasons.push(format!("the branch `{}` is gone", file.base_branch));
            }
            if file.draft {
                reasons.push("it is a draft".to_owned());
            }
            let mut merged_tree = None;
            if self.git.is_ancestor(file.head.as_str(), file.base.as_str())? {
                reasons.push(format!("`{}` has no commits that `{}` has not", file.head_branch, file.base_branch));
            } else {
                match self.make_merge_ref(&writer, &file, &refs)? {
                    MergeRef::Clean { tree, .. } => merged_tree = Some(tree),
                    MergeRef::Conflict { paths, .. } => {
                        let paths: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
                        reasons.push(format!("it conflicts with `{}` in {}", file.base_branch, paths.join(", ")));
                    }
                }
            }
            let branches = self.read_branches()?;
            let unmet = match branches.get(&file.base_branch) {
                Some(rules) => unmet_statuses(self, rules, &file.head)?,
                None => Vec::new(),
            };
            let bypassed = match (bypass, &user) {
                (Bypass::Yes, Ok(user)) if user.role == Role::Admin => unmet,
                (Bypass::Yes, _) => {
                    reasons.push("only an admin bypasses the rules".to_owned());
                    reasons.extend(unmet);
                    Vec::new()
                }
                (Bypass::No, _) => {
                    reasons.extend(unmet);
                    Vec::new()
                }
            };
            let (true, Some(tree), Ok(user)) = (reasons.is_empty(), merged_tree, &user) else {
                return Ok(MergeOutcome::Refused { reasons });
            };

            let parents = [file.base.clone(), file.head.clone()];
            let message = format!("Merge pull request #{number} from {}\n\n{}\n", file.head_branch, file.title);
            let commit = self.git.commit_tree(&tree, &parents, &message, &identity(&user.name, now))?;
            // Said before it is done: whoever comes after a crash looks whether it was done.
            file.merging = Some(MergeEntry { commit: commit.clone(), by: user.name.clone(), at: now, bypassed });
            write_pull(&writer, &file)?;
            match self.git.update_ref(&file.base_branch.full(), commit.as_str(), Some(file.base.as_str()))? {
                RefUpdate::Done => {
                    let file = self.finish_merge(&writer, file)?;
                    let merge = file.merge.expect("a finished merge has its facts");
                    return Ok(MergeOutcome::Merged(MergeInfo::from(merge)));
                }
                // A push came first. The next turn settles the file and judges the new base.
                RefUpdate::Moved { .. } => {}
            }
        }
        self.settle(&writer, number, &Refs::read(&self.git)?)?;
        Ok(MergeOutcome::Refused { reasons: vec!["the base branch moved again and again".to_owned()] })
    }

    /// Turns a merge that the base branch has into one that the pull request says.
    pub(super) fn finish_merge(&self, writer: &Writer<'_>, mut file: PullFile) -> Result<PullFile, ForgeError> {
        let Some(merge) = file.merging.take() else { return Ok(file) };
        if !merge.bypassed.is_empty() {
            self.record_bypass(
                writer,
                &file.base_branch,
                Some(file.base.clone()),
                merge.commit.clone(),
                Some(file.number),
                &merge.by,
                merge.at,
                &merge.bypassed,
            )?;
        }
        file.state = PullState::Merged;
        file.updated_at = merge.at;
        file.merge = Some(merge);
        write_pull(writer, &file)?;
        Ok(file)
    }
}

/// Author and committer of what a user does through the forge.
pub(super) fn identity(user: &UserName, now: Timestamp) -> CommitIdentity {
    CommitIdentity { name: user.to_string(), email: format!("{user}@users.forge.invalid"), time: now }
}
