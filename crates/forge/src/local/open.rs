use std::path::Path;

use git::Git;
use lock_model::UserName;

use super::Clock;
use super::store::Store;
use crate::error::ForgeError;

/// A forge that consists of a bare git repository and a folder `forge/` beside it.
///
/// Any number of processes and threads may use it at once. Reading takes no lock; writing takes one for the whole
/// forge and replaces whole files: a reader, also after a crash, finds the old file or the new one. What moves a
/// branch compares the branch's tip first.
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
    pub(crate) git: Git,
    pub(crate) store: Store,
    pub(crate) actor: Option<UserName>,
    pub(crate) clock: Clock,
}

impl LocalForge {
    /// Opens the forge in `root`, whose bare repository `git` works on, for a user who acts.
    ///
    /// Without an acting user everything can be read and nothing written. Everything that is written has the time of
    /// `clock`.
    pub fn open(root: &Path, git: Git, actor: Option<UserName>, clock: Clock) -> Result<Self, ForgeError> {
        let store = Store::new(root);
        if !store.path("users.json").is_file() {
            return Err(ForgeError::not_found(format!("a local forge at `{}`", store.path("").display())));
        }
        Ok(Self { git, store, actor, clock })
    }
}
