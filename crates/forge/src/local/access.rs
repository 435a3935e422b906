use std::collections::BTreeMap;

use lock_model::{BranchName, UserName};

use super::LocalForge;
use super::commits::mail_of;
use super::wire::{BranchesFile, UsersFile};
use crate::error::ForgeError;
use crate::model::{BranchRules, RefPattern, Role, User};

impl LocalForge {
    /// Every user, by name.
    pub fn users(&self) -> Result<Vec<User>, ForgeError> {
        let file = self.read_users()?;
        Ok(file.users.keys().map(|name| file.user(name)).collect())
    }

    /// The protected branches with their rules.
    pub fn protected_branches(&self) -> Result<BTreeMap<BranchName, BranchRules>, ForgeError> {
        Ok(self.read_branch_rules()?.protected)
    }

    /// The branches and tags that only bots move.
    pub fn reserved_refs(&self) -> Result<Vec<RefPattern>, ForgeError> {
        Ok(self.read_branch_rules()?.reserved)
    }

    /// A missing file does not mean that nothing is protected.
    pub(crate) fn read_branch_rules(&self) -> Result<BranchesFile, ForgeError> {
        self.store.read_json("branches.json")?.ok_or_else(|| ForgeError::not_found("the forge's `branches.json`"))
    }

    pub(crate) fn read_users(&self) -> Result<UsersFile, ForgeError> {
        self.store.read_json("users.json")?.ok_or_else(|| ForgeError::not_found("the forge's `users.json`"))
    }

    /// The user for whom the forge was opened, with the role of now.
    pub fn acting_user(&self) -> Result<User, ForgeError> {
        match &self.actor {
            Some(name) => Ok(self.read_users()?.user(name)),
            None => Err(ForgeError::refused("act", vec!["no acting user is named".to_owned()])),
        }
    }

    /// The acting user, or why that user may not do what needs this role.
    pub(crate) fn actor_with(&self, needed: Role) -> Result<Result<User, String>, ForgeError> {
        let Some(name) = &self.actor else {
            return Ok(Err("no acting user is named".to_owned()));
        };
        let user = self.read_users()?.user(name);
        Ok(match user.role {
            role if role >= needed => Ok(user),
            Role::None => Err(format!("`{name}` is not a user of this forge")),
            role => Err(format!("`{name}` has the role {role}, and this needs {needed}")),
        })
    }

    /// The acting user, or the refusal of this action.
    pub(crate) fn require(&self, needed: Role, action: impl FnOnce() -> String) -> Result<User, ForgeError> {
        self.actor_with(needed)?.map_err(|reason| ForgeError::refused(action(), vec![reason]))
    }
}

impl UsersFile {
    /// A name that is not in the file has no role.
    pub(crate) fn user(&self, name: &UserName) -> User {
        let Some(entry) = self.users.get(name) else { return User::person(name.clone(), Role::None) };
        // Merges and commits of the forge itself carry an address of its own.
        let own = mail_of(name);
        let mails = entry.mail.iter().cloned().chain([own]).collect();
        User { name: name.clone(), role: entry.role, bot: entry.bot, mails }
    }
}

/// Checks a text that is stored as it is.
pub(crate) fn check_text(subject: &str, text: &str, limit: usize) -> Result<(), ForgeError> {
    let length = text.chars().count();
    if length > limit {
        let problem = format!("it has {length} characters; at most {limit} are allowed");
        return Err(ForgeError::invalid(subject, problem));
    }
    if text.contains('\0') { Err(ForgeError::invalid(subject, "it has a NUL character")) } else { Ok(()) }
}

/// Checks a text of one line that may not be empty.
pub(crate) fn check_line(subject: &str, text: &str, limit: usize) -> Result<(), ForgeError> {
    check_text(subject, text, limit)?;
    if text.trim().is_empty() {
        Err(ForgeError::invalid(subject, "it is empty"))
    } else if text.contains(['\n', '\r']) {
        Err(ForgeError::invalid(subject, "it has more than one line"))
    } else {
        Ok(())
    }
}
