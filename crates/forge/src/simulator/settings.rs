use std::collections::BTreeMap;
use std::path::Path;

use lock_model::BranchName;

use crate::error::ForgeError;
use crate::local::store::Store;
use crate::local::wire::{BranchesFile, UserEntry, UsersFile};
use crate::model::{BranchRules, User, WriteOutcome};

/// Users and branch rules of a new local forge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForgeSettings {
    /// Every user, in any order.
    pub users: Vec<User>,
    /// The protected branches.
    pub branches: BTreeMap<BranchName, BranchRules>,
}

/// Makes the files of a local forge in `root`, beside its bare repository.
///
/// The same settings again change nothing; a forge with other settings is refused and not changed.
pub fn init(root: &Path, settings: &ForgeSettings) -> Result<WriteOutcome, ForgeError> {
    let store = Store::new(root);
    let entry =
        |user: &User| (user.name.clone(), UserEntry { role: user.role, bot: user.bot, mail: user.mails.clone() });
    let users = UsersFile { users: settings.users.iter().map(entry).collect() };
    let branches = BranchesFile { protected: settings.branches.clone() };
    let writer = store.writer()?;
    let outcomes = [
        WriteOutcome::of(store.read_json("users.json")?.as_ref(), &users),
        WriteOutcome::of(store.read_json("branches.json")?.as_ref(), &branches),
    ];
    if outcomes.contains(&WriteOutcome::Updated) {
        let reasons = vec!["there is a forge with other users or branches".to_owned()];
        return Err(ForgeError::refused(format!("begin at `{}`", root.display()), reasons));
    }
    if outcomes == [WriteOutcome::Unchanged; 2] {
        return Ok(WriteOutcome::Unchanged);
    }
    writer.write_json("branches.json", &branches)?;
    writer.write_json("users.json", &users)?;
    Ok(WriteOutcome::Created)
}
