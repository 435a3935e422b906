//! `branches:` which branch plays which role.

use lock_model::BranchName;

lock_model::words! {
    /// What a branch is for.
    Role, "role of a branch" {
        /// Where developers' work comes together: `dev`.
        Integration = "integration",
        /// What staging runs.
        Staging = "staging",
        /// What production runs.
        Production = "production",
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
        Role::ALL.iter().copied().find(|role| self.of(*role).as_str() == branch)
    }
}
