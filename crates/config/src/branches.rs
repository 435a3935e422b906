//! `branches:` which branch plays which role.

use lock_model::BranchName;

lock_model::words! {
    /// What a branch is for.
    Role, "role of a branch" {
        /// Developers merge their work here; promotions to staging start from it.
        Integration = "integration",
        /// The staging environment deploys its newest commit.
        Staging = "staging",
        /// The production environment deploys its newest commit.
        Production = "production",
    }
}

/// The branch of each [`Role`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branches {
    /// Where services are integrated; default `dev`.
    pub integration: BranchName,
    /// Where locks are committed; default `staging`.
    pub staging: BranchName,
    /// What production runs; default `main`.
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
