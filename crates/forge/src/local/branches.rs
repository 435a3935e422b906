use std::collections::BTreeMap;
use std::fmt;

use git::{MODE_EXECUTABLE, MODE_FILE};
use lock_model::{BranchName, CommitId};

use super::LocalForge;
use super::refs::Refs;
use crate::error::ForgeError;
use crate::model::{BranchContent, BranchRules, LEDGER_BRANCH, User};

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

    /// Tip and regular files of a branch, read at one moment; absent when there is no such branch.
    pub fn read_branch(&self, branch: &BranchName) -> Result<Option<BranchContent>, ForgeError> {
        let Some(head) = self.branch_head(branch)? else { return Ok(None) };
        let files = self
            .git
            .read_files(head.as_str(), None)?
            .into_iter()
            .filter(|file| matches!(file.mode, MODE_FILE | MODE_EXECUTABLE))
            .map(|file| (file.path, file.bytes))
            .collect();
        Ok(Some(BranchContent { head, files }))
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
