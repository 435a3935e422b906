//! Branches, and who may move them.

use git::{ABSENT, MODE_EXECUTABLE, MODE_FILE};
use lock_model::{BranchName, CommitId, ReleaseTag, Timestamp, UserName};

use super::open::LocalForge;
use super::refs::{LEDGER_BRANCH, Refs};
use crate::error::ForgeError;
use crate::model::{BranchRules, BranchSnapshot, Role, StatusState, User, Verdict};

/// What a push does to a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Create,
    FastForward,
    Force,
    Delete,
}

impl LocalForge {
    /// Every branch with its tip, by name.
    pub fn branches(&self) -> Result<Vec<(BranchName, CommitId)>, ForgeError> {
        Ok(Refs::read(&self.git)?.branches().map(|(name, commit)| (name, commit.id.clone())).collect())
    }

    /// Tip of a branch, when there is such a branch.
    pub fn branch_head(&self, branch: &BranchName) -> Result<Option<CommitId>, ForgeError> {
        Ok(self.git.commit(&branch.full())?.map(|commit| commit.id))
    }

    /// Tip and regular files of a branch, read at one moment.
    pub fn read_branch(&self, branch: &BranchName) -> Result<Option<BranchSnapshot>, ForgeError> {
        let Some(head) = self.branch_head(branch)? else { return Ok(None) };
        let files = self
            .git
            .read_files(head.as_str(), None)?
            .into_iter()
            .filter(|file| matches!(file.mode, MODE_FILE | MODE_EXECUTABLE))
            .map(|file| (file.path, file.bytes))
            .collect();
        Ok(Some(BranchSnapshot { head, files }))
    }

    /// Judges one ref of a push, as the `update` hook is asked: full ref name, old and new object, zeros for none.
    ///
    /// Nothing has moved yet. A push that goes past a rule is recorded here, since nobody is asked again.
    pub fn judge_update(&self, reference: &str, old: &str, new: &str, now: Timestamp) -> Result<Verdict, ForgeError> {
        let user = match self.actor_with(Role::Write)? {
            Ok(user) => user,
            Err(reason) => return Ok(Verdict::Refused { reasons: vec![reason] }),
        };
        if let Some(branch) = reference.strip_prefix("refs/heads/") {
            let branch = match BranchName::try_from(branch) {
                Ok(branch) => branch,
                Err(error) => return Ok(Verdict::Refused { reasons: vec![error.to_string()] }),
            };
            let (old, new) = (object(old)?, object(new)?);
            let movement = match (&old, &new) {
                (_, None) => Move::Delete,
                (None, Some(_)) => Move::Create,
                (Some(old), Some(new)) if self.git.is_ancestor(old.as_str(), new.as_str())? => Move::FastForward,
                (Some(_), Some(_)) => Move::Force,
            };
            let verdict = judge_branch(&branch, self.read_branches()?.get(&branch), &user, movement);
            if let (Verdict::Bypassed { rules }, Some(new)) = (&verdict, new) {
                self.record_bypass(&self.store.writer()?, &branch, old, new, None, &user.name, now, rules)?;
            }
            return Ok(verdict);
        }
        let mut reasons = Vec::new();
        if reference.starts_with("refs/pull/") {
            reasons.push(format!("`{reference}` is made by the forge alone"));
        } else if let Some(tag) = reference.strip_prefix("refs/tags/") {
            match ReleaseTag::try_from(tag) {
                Ok(tag) if old != ABSENT && self.release(&tag)?.is_some() => {
                    reasons.push(format!("tag `{tag}` belongs to a release: it is neither moved nor deleted"));
                }
                Ok(_) => {}
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Ok(if reasons.is_empty() { Verdict::Allowed } else { Verdict::Refused { reasons } })
    }

    /// Who may move a protected branch in this way, for a user who may write at all.
    pub(super) fn judge_own_move(
        &self,
        branch: &BranchName,
        user: &User,
        movement: Move,
    ) -> Result<Verdict, ForgeError> {
        Ok(judge_branch(branch, self.read_branches()?.get(branch), user, movement))
    }
}

/// The rules of a branch, for a user with write access.
fn judge_branch(branch: &BranchName, rules: Option<&BranchRules>, user: &User, movement: Move) -> Verdict {
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
        return if reasons.is_empty() { Verdict::Allowed } else { Verdict::Refused { reasons } };
    };
    let rule = format!("`{branch}` is protected: changes come through a pull request");
    if !may_bypass(rules, &user.name) {
        reasons.push(format!("{rule}, and `{}` is not on its bypass list", user.name));
    }
    if reasons.is_empty() { Verdict::Bypassed { rules: vec![rule] } } else { Verdict::Refused { reasons } }
}

fn may_bypass(rules: &BranchRules, user: &UserName) -> bool {
    rules.bypass.contains(user)
}

/// An object id as git's hooks get it.
fn object(id: &str) -> Result<Option<CommitId>, ForgeError> {
    if !id.is_empty() && id.bytes().all(|byte| byte == b'0') {
        return Ok(None);
    }
    CommitId::try_from(id).map(Some).map_err(|error| ForgeError::invalid("the push", error.to_string()))
}

/// The rules of a pull request's base that its head does not meet yet, in words.
pub(super) fn unmet_statuses(
    forge: &LocalForge,
    rules: &BranchRules,
    head: &CommitId,
) -> Result<Vec<String>, ForgeError> {
    let statuses = forge.statuses(head)?;
    let mut unmet = Vec::new();
    for required in &rules.required_statuses {
        let context = &required.context;
        let Some(status) = statuses.iter().find(|status| status.context == *context) else {
            unmet.push(format!("required status `{context}` is missing on `{}`", head.short(12)));
            continue;
        };
        match &required.source {
            Some(source) if *source != status.by => unmet.push(format!(
                "required status `{context}` on `{}` comes from `{}`; only `{source}` counts",
                head.short(12),
                status.by
            )),
            Some(_) | None => {
                let state = match status.state {
                    StatusState::Success => continue,
                    StatusState::Pending => "pending",
                    StatusState::Failure => "failure",
                };
                unmet.push(format!("required status `{context}` is {state} on `{}`", head.short(12)));
            }
        }
    }
    Ok(unmet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(branch: &str, protected: bool, user: &str, movement: Move) -> &'static str {
        let branch = BranchName::try_from(branch).unwrap();
        let rules = BranchRules { required_statuses: Vec::new(), bypass: vec![UserName::try_from("train").unwrap()] };
        let user = User { name: UserName::try_from(user).unwrap(), role: Role::Write, bot: false };
        match judge_branch(&branch, protected.then_some(&rules), &user, movement) {
            Verdict::Allowed => "allowed",
            Verdict::Bypassed { .. } => "bypassed",
            Verdict::Refused { reasons } if reasons.len() == 2 => "refused twice",
            Verdict::Refused { .. } => "refused",
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
}
