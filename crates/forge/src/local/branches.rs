use std::collections::BTreeMap;
use std::fmt;

use git::FolderEntry;
use ledger::Record;
use lock_model::{BranchName, CommitId, EnvironmentName, ReleaseId, TreePath};

use super::LocalForge;
use super::refs::Refs;
use super::wire::BranchesFile;
use crate::error::ForgeError;
use crate::model::{BranchRules, LEDGER_BRANCH, User};

/// What a push does to a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Create,
    FastForward,
    Force,
    Delete,
}

/// Answer to a push, before it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushVerdict {
    /// It may happen.
    Allowed,
    /// It may happen only because the user is on the branch's bypass list; recorded.
    Bypassed {
        /// The rules that would have refused it.
        rules: Vec<String>,
    },
    /// It may not happen.
    Refused {
        /// Every reason, not the first.
        reasons: Vec<String>,
    },
}

impl PushVerdict {
    pub(crate) fn refused_for(reasons: Vec<String>) -> Self {
        if reasons.is_empty() { Self::Allowed } else { Self::Refused { reasons } }
    }
}

/// What the pusher sees: one line, and one for each rule or reason.
impl fmt::Display for PushVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = match self {
            Self::Allowed => return f.write_str("allowed"),
            Self::Bypassed { rules } => {
                f.write_str("allowed by the bypass list, and recorded:")?;
                rules
            }
            Self::Refused { reasons } => {
                f.write_str("refused:")?;
                reasons
            }
        };
        lines.iter().try_for_each(|line| write!(f, "\n- {line}"))
    }
}

impl LocalForge {
    /// Every branch with its tip.
    pub fn branches(&self) -> Result<BTreeMap<BranchName, CommitId>, ForgeError> {
        Ok(Refs::read(&self.git)?.branches().map(|(name, commit)| (name, commit.id.clone())).collect())
    }

    /// Tip of a branch; absent when there is no such branch.
    pub fn branch_head(&self, branch: &BranchName) -> Result<Option<CommitId>, ForgeError> {
        Ok(self.git.commit(&branch.full())?.map(|commit| commit.id))
    }

    /// The entries of a folder at a commit; none where there is no such folder.
    pub fn list_folder(&self, commit: &CommitId, folder: &TreePath) -> Result<Vec<FolderEntry>, ForgeError> {
        Ok(self.git.list_folder(commit.as_str(), folder.as_str())?)
    }

    /// The sizes of files in bytes, by the ids of their blobs, in that order.
    pub fn blob_sizes(&self, ids: &[&str]) -> Result<Vec<u64>, ForgeError> {
        Ok(self.git.blob_sizes(ids)?)
    }

    /// The content of files, by the ids of their blobs, in that order.
    pub fn blob_contents(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>, ForgeError> {
        Ok(self.git.read_blobs(ids)?)
    }

    /// Why a pull request into this branch is not taken; `None` where it is.
    pub(crate) fn takes_no_pull_request(&self, base: &BranchName) -> Result<Option<String>, ForgeError> {
        if base.as_str() == LEDGER_BRANCH {
            return Ok(Some(format!("`{base}` is the ledger: records are appended, not merged")));
        }
        let reserved = self.read_branch_rules()?.is_reserved(base);
        Ok(reserved.then(|| format!("`{base}` is reserved: only bots move it, and no pull request does")))
    }

    /// What the rules say to a user with write access who moves a branch: by a push, or with commits that the forge has
    /// just made. `new` continues `old` where this is a [`Move::FastForward`].
    pub(crate) fn judge_move(
        &self,
        branch: &BranchName,
        user: &User,
        movement: Move,
        old: Option<&CommitId>,
        new: Option<&CommitId>,
    ) -> Result<PushVerdict, ForgeError> {
        let rules = self.read_branch_rules()?;
        let mut verdict = judge_branch(branch, rules.protected.get(branch), user, movement);
        let new = match movement {
            Move::Create | Move::FastForward => new,
            Move::Force | Move::Delete => None,
        };
        let reasons = match new {
            Some(new) if branch.as_str() == LEDGER_BRANCH => self.judge_ledger(user, old, new)?,
            Some(new) if rules.is_reserved(branch) && !user.bot => {
                let reason = |why| format!("`{branch}` is reserved for bots, and for a rollback of one's own: {why}");
                self.judge_own_rollback(user, old, new)?.map(reason).into_iter().collect()
            }
            Some(_) | None => {
                let guarded = rules.is_reserved(branch) && branch.as_str() != LEDGER_BRANCH;
                match movement {
                    Move::Force if guarded => vec![format!("`{branch}` is reserved: its history is not rewritten")],
                    Move::Delete if guarded => vec![format!("`{branch}` is reserved: it is not deleted")],
                    Move::Create | Move::FastForward | Move::Force | Move::Delete => Vec::new(),
                }
            }
        };
        if !reasons.is_empty() {
            verdict = match verdict {
                PushVerdict::Refused { reasons: more } => PushVerdict::Refused { reasons: [more, reasons].concat() },
                PushVerdict::Allowed | PushVerdict::Bypassed { .. } => PushVerdict::Refused { reasons },
            };
        }
        Ok(verdict)
    }

    /// Why a person may not set a reserved branch to this commit: it may only be a step of a rollback of one's own, back
    /// to what the branch has held. `None` where it is.
    fn judge_own_rollback(
        &self,
        user: &User,
        old: Option<&CommitId>,
        new: &CommitId,
    ) -> Result<Option<String>, ForgeError> {
        let rollbacks = match self.own_rollbacks(user)? {
            Ok(rollbacks) if rollbacks.is_empty() => {
                return Ok(Some(format!("`{}` has begun none that is in force", user.name)));
            }
            Ok(rollbacks) => rollbacks,
            Err(reason) => return Ok(Some(reason)),
        };
        let facts = self.commit_facts(new)?;
        let one_further = old.is_some_and(|old| matches!(facts.parents.as_slice(), [parent] if parent == old));
        let Some(old) = old.filter(|_| one_further) else {
            return Ok(Some("it must be one commit on top of the branch".to_owned()));
        };
        if let Some(reason) = self.is_too_large(new)? {
            return Ok(Some(reason));
        }
        if !self.git.tree_history(old.as_str())?.contains(&facts.tree) {
            return Ok(Some("the branch has never held this tree".to_owned()));
        }
        let release_file = self.git.read_file(new.as_str(), "release.yaml")?.unwrap_or_default();
        if rollbacks.iter().any(|rollback| is_tree_of(&release_file, rollback)) {
            return Ok(None);
        }
        let begun: Vec<String> = rollbacks.iter().map(|rollback| rollback.seq.to_string()).collect();
        Ok(Some(format!("this tree is not of the environment and release of record {}", begun.join(" or "))))
    }
}

/// Whether the file that names environment and release of a rendered tree names those of a rollback. The branch has held
/// the tree, so that a bot wrote the file.
fn is_tree_of(release_file: &[u8], rollback: &Record) -> bool {
    let text = String::from_utf8_lossy(release_file);
    let names = |key: &str, value: Option<&str>| {
        let values = text.lines().filter_map(|line| line.trim_start().strip_prefix(key));
        value.is_some() && values.map(|text| text.trim().trim_matches(['"', '\''])).any(|text| Some(text) == value)
    };
    names("environment:", rollback.entry.environment.as_ref().map(EnvironmentName::as_str))
        && names("release:", rollback.entry.release.as_ref().map(ReleaseId::as_str))
}

impl BranchesFile {
    /// Whether only bots move this branch.
    pub(crate) fn is_reserved(&self, branch: &BranchName) -> bool {
        self.reserved.iter().any(|pattern| pattern.covers_branch(branch.as_str()))
    }
}

/// What the rules of a branch say to a user with write access.
pub(crate) fn judge_branch(
    branch: &BranchName,
    rules: Option<&BranchRules>,
    user: &User,
    movement: Move,
) -> PushVerdict {
    let mut reasons = Vec::new();
    let guard = match (rules, branch.as_str()) {
        (Some(_), _) => Some("a protected branch"),
        (None, LEDGER_BRANCH) => Some("the ledger"),
        (None, _) => None,
    };
    if let Some(guard) = guard {
        match movement {
            Move::Create | Move::FastForward => {}
            Move::Force => reasons.push(format!("`{branch}` is {guard}: its history is not rewritten")),
            Move::Delete => reasons.push(format!("`{branch}` is {guard}: it is not deleted")),
        }
    }
    let Some(rules) = rules else {
        return PushVerdict::refused_for(reasons);
    };
    let rule = format!("`{branch}` is protected: changes come through a pull request");
    if !rules.bypass.contains(&user.name) {
        reasons.push(format!("{rule}, and `{}` is not on its bypass list", user.name));
    }
    if reasons.is_empty() { PushVerdict::Bypassed { rules: vec![rule] } } else { PushVerdict::Refused { reasons } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn judge(branch: &str, protected: bool, user: &str, movement: Move) -> &'static str {
        let branch = BranchName::try_from(branch).unwrap();
        let rules = BranchRules::new(Vec::new(), vec!["train".parse().unwrap()]);
        let user = User::person(user.parse().unwrap(), Role::Write);
        match judge_branch(&branch, protected.then_some(&rules), &user, movement) {
            PushVerdict::Allowed => "allowed",
            PushVerdict::Bypassed { .. } => "bypassed",
            PushVerdict::Refused { reasons } if reasons.len() == 2 => "refused twice",
            PushVerdict::Refused { .. } => "refused",
        }
    }

    #[test]
    fn t10_protected_branches_and_the_ledger_only_go_forward() {
        for (branch, protected, user, movement, expected) in [
            ("dev", false, "ana", Move::FastForward, "allowed"),
            ("dev", false, "ana", Move::Force, "allowed"),
            ("dev", false, "ana", Move::Delete, "allowed"),
            ("staging", true, "ana", Move::FastForward, "refused"),
            ("staging", true, "ana", Move::Force, "refused twice"),
            ("staging", true, "ana", Move::Delete, "refused twice"),
            ("staging", true, "train", Move::FastForward, "bypassed"),
            ("staging", true, "train", Move::Create, "bypassed"),
            ("staging", true, "train", Move::Force, "refused"),
            ("staging", true, "train", Move::Delete, "refused"),
            (LEDGER_BRANCH, false, "ana", Move::Create, "allowed"),
            (LEDGER_BRANCH, false, "ana", Move::FastForward, "allowed"),
            (LEDGER_BRANCH, false, "train", Move::Force, "refused"),
            (LEDGER_BRANCH, false, "train", Move::Delete, "refused"),
            (LEDGER_BRANCH, true, "ana", Move::FastForward, "refused"),
            (LEDGER_BRANCH, true, "train", Move::FastForward, "bypassed"),
        ] {
            assert_eq!(judge(branch, protected, user, movement), expected, "{branch} {user} {movement:?}");
        }
    }

    #[test]
    fn a_verdict_lists_every_reason() {
        let verdict = PushVerdict::Refused { reasons: vec!["one".to_owned(), "two".to_owned()] };
        assert_eq!(verdict.to_string(), "refused:\n- one\n- two");
    }
}
