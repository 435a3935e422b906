//! Who may do what, now.

use std::collections::BTreeMap;

use super::open::LocalForge;
use super::store;
use super::wire::{BranchesFile, UsersFile};
use crate::error::ForgeError;
use crate::model::{BranchRules, Role, User};
use lock_model::{BranchName, UserName};

/// The users as they are now: asked once for each operation.
pub(super) struct Users(UsersFile);

impl Users {
    /// Somebody who is no user has no role.
    pub(super) fn get(&self, name: &UserName) -> User {
        match self.0.users.get(name) {
            Some(entry) => User { name: name.clone(), role: entry.role, bot: entry.bot },
            None => User { name: name.clone(), role: Role::None, bot: false },
        }
    }
}

impl LocalForge {
    /// Everybody whom the forge knows, by name.
    pub fn users(&self) -> Result<Vec<User>, ForgeError> {
        let Users(file) = self.read_users()?;
        Ok(file.users.into_iter().map(|(name, entry)| User { name, role: entry.role, bot: entry.bot }).collect())
    }

    /// The protected branches with their rules, by name.
    pub fn protected_branches(&self) -> Result<Vec<(BranchName, BranchRules)>, ForgeError> {
        Ok(self.read_branches()?.into_iter().collect())
    }

    pub(super) fn read_users(&self) -> Result<Users, ForgeError> {
        let file = self.store.read_json("users.json")?;
        file.map(Users).ok_or_else(|| ForgeError::not_found("the forge's `users.json`"))
    }

    /// A missing file is an error: no answer is not "nothing is protected".
    pub(super) fn read_branches(&self) -> Result<BTreeMap<BranchName, BranchRules>, ForgeError> {
        let file: Option<BranchesFile> = self.store.read_json("branches.json")?;
        let file = file.ok_or_else(|| ForgeError::not_found("the forge's `branches.json`"))?;
        Ok(file.protected.into_iter().map(|(name, entry)| (name, BranchRules::from(entry))).collect())
    }

    /// The actor, or why they may not do what needs this role.
    pub(super) fn actor_with(&self, needed: Role) -> Result<Result<User, String>, ForgeError> {
        let Some(name) = &self.actor else {
            return Ok(Err("nobody said who acts".to_owned()));
        };
        let user = self.read_users()?.get(name);
        if user.role >= needed {
            return Ok(Ok(user));
        }
        let has = match user.role {
            Role::None => return Ok(Err(format!("`{name}` is no user of this forge"))),
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        };
        let needs = match needed {
            Role::None => "none",
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        };
        Ok(Err(format!("`{name}` has the role {has}, and this needs {needs}")))
    }

    /// The actor, or the refusal of this action.
    pub(super) fn require(&self, needed: Role, action: impl FnOnce() -> String) -> Result<User, ForgeError> {
        self.actor_with(needed)?.map_err(|reason| ForgeError::refused(action(), vec![reason]))
    }
}

/// Checks a text that is stored as it is.
pub(super) fn check_text(what: &str, text: &str, limit: usize) -> Result<(), ForgeError> {
    let length = text.chars().count();
    let problem = if length > limit {
        format!("it has {length} characters; at most {limit} are allowed")
    } else if text.contains('\0') {
        "it has a NUL character".to_owned()
    } else {
        return Ok(());
    };
    Err(ForgeError::invalid(what.to_owned(), problem))
}

/// Checks a text of one line that may not be empty.
pub(super) fn check_line(what: &str, text: &str, limit: usize) -> Result<(), ForgeError> {
    check_text(what, text, limit)?;
    let problem = if text.trim().is_empty() {
        "it is empty"
    } else if text.contains(['\n', '\r']) {
        "it has more than one line"
    } else {
        return Ok(());
    };
    Err(ForgeError::invalid(what.to_owned(), problem))
}

/// The folder of a commit's statuses.
pub(super) fn status_path(commit: &lock_model::CommitId, context: &str) -> Result<String, ForgeError> {
    Ok(format!("statuses/{commit}/{}.json", store::file_name("status context", context)?))
}
