//! `branches:` which branch plays which role.

use std::fmt;

use lock_model::BranchName;

/// What a branch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Where developers' work comes together: `dev`.
    Integration,
    /// What staging runs.
    Staging,
    /// What production runs.
    Production,
}

impl Role {
    /// All roles, in the order of the train.
    pub const ALL: [Self; 3] = [Self::Integration, Self::Staging, Self::Production];

    /// The key under `branches:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integration => "integration",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `branches:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branches {
    /// Branch of [`Role::Integration`].
    pub integration: BranchName,
    /// Branch of [`Role::Staging`].
    pub staging: BranchName,
    /// Branch of [`Role::Production`].
    pub production: BranchName,
}

impl Branches {
    /// The branch of a role.
    pub fn of(&self, role: Role) -> &BranchName {
        match role {
            Role::Integration => &self.integration,
            Role::Staging => &self.staging,
            Role::Production => &self.production,
        }
    }

    /// The role of a branch.
    pub fn role_of(&self, branch: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| self.of(*role).as_str() == branch)
    }
}
