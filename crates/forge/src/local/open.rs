use std::collections::BTreeMap;
use std::path::Path;

use git::Git;

use super::store::Store;
use super::wire::{BranchEntry, BranchesFile, FORMAT_VERSION, UserEntry, UsersFile};
use crate::error::ForgeError;
use crate::model::{BranchRules, User, Written};
use lock_model::{BranchName, UserName};

/// A forge that consists of a bare git repository and a folder `forge/` beside it.
///
/// Any number of processes and threads may use it at once. Reading takes no lock; writing takes one for the whole
/// forge and replaces whole files, so that a reader, and whoever comes after a crash, finds the old file or the new
/// one. What moves a branch compares the branch's tip first.
///
/// ```text
/// ROOT/shop.git/                          refs/pull/N/head, refs/pull/N/merge, hooks/update
/// ROOT/forge/users.json                   roles
///            branches.json                protected branches
///            pulls/N.json
///            pulls/N/comments/MARKER.json
///            pulls/N/reviews/SEQ.json
///            statuses/COMMIT/CONTEXT.json
///            artefacts/pull-N/NAME
///            releases/TAG/release.json, releases/TAG/assets/NAME
///            bypasses/SEQ.json
///            leases/ENVIRONMENT.json, leases/ENVIRONMENT.lock
///            lock
/// ```
#[derive(Debug)]
pub struct LocalForge {
    pub(super) git: Git,
    pub(super) store: Store,
    pub(super) actor: Option<UserName>,
}

/// Who and what a new forge knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForgeSettings {
    /// Everybody, in any order.
    pub users: Vec<User>,
    /// The protected branches.
    pub branches: BTreeMap<BranchName, BranchRules>,
}

impl LocalForge {
    /// Makes the files of a forge in `root`, beside its bare repository.
    ///
    /// The same settings again change nothing; a forge with other settings is left alone and that is an error.
    pub fn init(root: &Path, settings: &ForgeSettings) -> Result<Written, ForgeError> {
        let store = Store::new(root.join("forge"));
        let entry = |user: &User| (user.name.clone(), UserEntry { role: user.role, bot: user.bot });
        let users = UsersFile { version: FORMAT_VERSION, users: settings.users.iter().map(entry).collect() };
        let branches = BranchesFile {
            version: FORMAT_VERSION,
            protected: settings.branches.iter().map(|(name, rules)| (name.clone(), BranchEntry::from(rules))).collect(),
        };
        let writer = store.writer()?;
        let (old_users, old_branches) =
            (store.read_json::<UsersFile>("users.json")?, store.read_json::<BranchesFile>("branches.json")?);
        if old_users.as_ref().is_some_and(|old| *old != users)
            || old_branches.as_ref().is_some_and(|old| *old != branches)
        {
            return Err(ForgeError::refused(
                format!("begin at `{}`", root.display()),
                vec!["there is a forge with other users or branches".to_owned()],
            ));
        }
        if old_users.is_some() && old_branches.is_some() {
            return Ok(Written::Unchanged);
        }
        writer.write_json("branches.json", &branches)?;
        writer.write_json("users.json", &users)?;
        Ok(Written::Created)
    }

    /// Opens the forge in `root`, whose bare repository `git` works on, for `actor`.
    ///
    /// Without an actor everything can be read and nothing written.
    pub fn open(root: &Path, git: Git, actor: Option<UserName>) -> Result<Self, ForgeError> {
        let store = Store::new(root.join("forge"));
        if !store.path("users.json").is_file() {
            return Err(ForgeError::not_found(format!("a local forge at `{}`", store.path("").display())));
        }
        Ok(Self { git, store, actor })
    }

    /// The repository that the forge keeps.
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// Who acts.
    pub fn actor(&self) -> Option<&UserName> {
        self.actor.as_ref()
    }
}
