use git::RefUpdate;
use lock_model::CommitId;

use super::Simulator;
use crate::error::ForgeError;
use crate::local::commits::identity;
use crate::local::refs::Refs;
use crate::model::{MergeInfo, MergeRef, PullRequestState, Role};

/// Whether required statuses that are not met stop a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// They do.
    No,
    /// They do not, if the user is an admin; recorded.
    Yes,
}

/// Answer to a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// Merged now.
    Merged(MergeInfo),
    /// The same head was merged before; nothing was done.
    AlreadyMerged(MergeInfo),
    /// Not merged.
    Refused {
        /// Every reason, not the first.
        reasons: Vec<String>,
    },
}

/// How often a base branch may move during a merge. Every turn judges again.
const ATTEMPTS: usize = 10;

impl Simulator<'_> {
    /// Merges a pull request whose head must be `expected_head`: a merge commit with the tree of the test merge.
    ///
    /// Only an admin can bypass, and only required statuses.
    pub fn merge(&self, number: u64, expected_head: &CommitId, bypass: Bypass) -> Result<MergeOutcome, ForgeError> {
        let forge = self.forge;
        let user = forge.actor_with(Role::Write)?;
        let writer = forge.store.writer()?;
        for _ in 0..ATTEMPTS {
            let refs = Refs::read(&forge.git)?;
            let mut file = forge.settle(&writer, number, &refs)?;
            let pull = &file.pull;
            let not_open = match (pull.state, &pull.merge) {
                (PullRequestState::Open, _) => None,
                (PullRequestState::Merged, Some(merge)) if pull.head == *expected_head => {
                    return Ok(MergeOutcome::AlreadyMerged(merge.clone()));
                }
                (PullRequestState::Merged, _) => {
                    Some(format!("pull request {number} is merged, with head `{}`", pull.head))
                }
                (PullRequestState::Closed, _) => Some(format!("pull request {number} is closed")),
            };
            if let Some(reason) = not_open {
                return Ok(MergeOutcome::Refused { reasons: vec![reason] });
            }

            let mut reasons = Vec::new();
            if let Err(reason) = &user {
                reasons.push(reason.clone());
            }
            if pull.head != *expected_head {
                reasons.push(format!("the head is `{}`, not the expected `{expected_head}`", pull.head));
            }
            let gone = [&pull.head_branch, &pull.base_branch].into_iter().filter(|name| refs.branch(name).is_none());
            reasons.extend(gone.map(|name| format!("the branch `{name}` is gone")));
            if pull.draft {
                reasons.push("it is a draft".to_owned());
            }
            reasons.extend(forge.takes_no_pull_request(&pull.base_branch)?);
            let mut merged_tree = None;
            if forge.git.is_ancestor(pull.head.as_str(), pull.base.as_str())? {
                reasons.push(format!("`{}` has no commits that `{}` has not", pull.head_branch, pull.base_branch));
            } else {
                match forge.make_merge_ref(&writer, &file, &refs)? {
                    MergeRef::Clean { tree, .. } => merged_tree = Some(tree),
                    MergeRef::Conflict { paths, .. } => {
                        let paths: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
                        reasons.push(format!("it conflicts with `{}` in {}", pull.base_branch, paths.join(", ")));
                    }
                }
            }
            let branches = forge.protected_branches()?;
            let unmet = match branches.get(&pull.base_branch) {
                Some(rules) => {
                    let unmet = rules.unmet(&forge.statuses(&pull.head)?, &pull.head, &pull.base);
                    unmet.iter().map(ToString::to_string).collect()
                }
                None => Vec::new(),
            };
            let is_admin = user.as_ref().is_ok_and(|user| user.role == Role::Admin);
            let bypassed = if bypass == Bypass::Yes && is_admin {
                unmet
            } else {
                if bypass == Bypass::Yes {
                    reasons.push("only an admin bypasses the rules".to_owned());
                }
                reasons.extend(unmet);
                Vec::new()
            };
            let (true, Some(tree), Ok(user)) = (reasons.is_empty(), merged_tree, &user) else {
                return Ok(MergeOutcome::Refused { reasons });
            };

            let parents = [pull.base.clone(), pull.head.clone()];
            // Whoever merges may have set the clock back: the day of a merge decides whether an exception still applies.
            let now = forge.clock.now().max(file.pull.updated_at);
            let message = format!("Merge pull request #{number} from {}\n\n{}\n", pull.head_branch, pull.title);
            let commit = forge.git.commit_tree(&tree, &parents, &message, &identity(&user.name, now))?;
            // Written before the branch moves: the next reader after a crash finds out whether it moved.
            file.merging = Some(MergeInfo { commit: commit.clone(), by: user.name.clone(), at: now, bypassed });
            writer.write_pull(&file)?;
            match forge.git.update_ref(&file.pull.base_branch.full(), commit.as_str(), Some(file.pull.base.as_str()))? {
                RefUpdate::Done => {
                    let file = forge.finish_merge(&writer, file)?;
                    let merge = file.pull.merge.expect("a finished merge has its facts");
                    return Ok(MergeOutcome::Merged(merge));
                }
                // A push came first. The next turn settles the file and judges the new base.
                RefUpdate::Moved { .. } => {}
            }
        }
        forge.settle(&writer, number, &Refs::read(&forge.git)?)?;
        Ok(MergeOutcome::Refused { reasons: vec!["the base branch moved again and again".to_owned()] })
    }
}
