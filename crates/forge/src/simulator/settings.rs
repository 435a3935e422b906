use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use lock_model::{BranchName, UserName};

use crate::error::ForgeError;
use crate::local::store::Store;
use crate::local::wire::{BranchesFile, UserEntry, UsersFile};
use crate::model::{BranchRules, RefPattern, User, WriteOutcome};

/// Users and branch rules of a new local forge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForgeSettings {
    /// Every user, in any order.
    pub users: Vec<User>,
    /// The protected branches.
    pub branches: BTreeMap<BranchName, BranchRules>,
    /// The branches and tags that only bots move.
    pub reserved: Vec<RefPattern>,
}

impl ForgeSettings {
    fn files(&self) -> (UsersFile, BranchesFile) {
        let entry =
            |user: &User| (user.name.clone(), UserEntry { role: user.role, bot: user.bot, mail: user.mails.clone() });
        let users = UsersFile { users: self.users.iter().map(entry).collect() };
        (users, BranchesFile { protected: self.branches.clone(), reserved: self.reserved.clone() })
    }
}

/// Makes the files of a local forge in `root`, beside its bare repository.
///
/// The same settings again change nothing; a forge with other settings is refused and not changed.
pub fn init(root: &Path, settings: &ForgeSettings) -> Result<WriteOutcome, ForgeError> {
    let store = Store::new(root);
    let (users, branches) = settings.files();
    let writer = store.writer()?;
    let outcomes = [
        WriteOutcome::of(store.read_json("users.json")?.as_ref(), &users),
        WriteOutcome::of(store.read_json("branches.json")?.as_ref(), &branches),
    ];
    if outcomes.contains(&WriteOutcome::Updated) {
        let reasons = vec!["there is a forge with other users or branches".to_owned()];
        return Err(ForgeError::state(format!("begin at `{}`", root.display()), reasons));
    }
    if outcomes == [WriteOutcome::Unchanged; 2] {
        return Ok(WriteOutcome::Unchanged);
    }
    writer.write_json("branches.json", &branches)?;
    writer.write_json("users.json", &users)?;
    Ok(WriteOutcome::Created)
}

/// Gives an existing local forge these settings, and says what changed, a line each; no line where nothing did.
pub fn update(root: &Path, settings: &ForgeSettings) -> Result<Vec<String>, ForgeError> {
    let store = Store::new(root);
    let (users, branches) = settings.files();
    let writer = store.writer()?;
    let missing = |name: &str| ForgeError::not_found(format!("the forge's `{name}`"));
    let old_users: UsersFile = store.read_json("users.json")?.ok_or_else(|| missing("users.json"))?;
    let old_branches: BranchesFile = store.read_json("branches.json")?.ok_or_else(|| missing("branches.json"))?;
    let user = |entry: &UserEntry| {
        let bot = if entry.bot { ", bot" } else { "" };
        let mails: Vec<String> = entry.mail.iter().map(|mail| format!(", {mail}")).collect();
        format!("{}{bot}{}", entry.role, mails.concat())
    };
    let mut lines = differences("user", &old_users.users, &users.users, user);
    lines.extend(differences("branch", &old_branches.protected, &branches.protected, words));
    let patterns = |reserved: &[RefPattern]| reserved.iter().cloned().collect::<BTreeSet<_>>();
    let (old, new) = (patterns(&old_branches.reserved), patterns(&branches.reserved));
    lines.extend(old.difference(&new).map(|pattern| format!("- reserved {pattern}")));
    lines.extend(new.difference(&old).map(|pattern| format!("+ reserved {pattern}")));
    // The rules first: a person who is taken off must not outlive them.
    if old_branches != branches {
        writer.write_json("branches.json", &branches)?;
    }
    if old_users != users {
        writer.write_json("users.json", &users)?;
    }
    Ok(lines)
}

/// One line for each key that is new, gone or has another value.
fn differences<K: Ord + fmt::Display, V: PartialEq>(
    kind: &str,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    words: impl Fn(&V) -> String,
) -> Vec<String> {
    let said = |sign: char, key: &K, value: &str| format!("{sign} {kind} {key}: {value}");
    let gone = old.iter().filter(|(key, _)| !new.contains_key(key)).map(|(key, value)| said('-', key, &words(value)));
    let there = new.iter().filter_map(|(key, value)| match old.get(key) {
        None => Some(said('+', key, &words(value))),
        Some(before) if before != value => Some(said('~', key, &format!("{} → {}", words(before), words(value)))),
        Some(_) => None,
    });
    gone.chain(there).collect()
}

/// The rules of a branch in words.
fn words(rules: &BranchRules) -> String {
    let statuses: Vec<String> = rules
        .required_statuses
        .iter()
        .map(|status| match &status.source {
            Some(source) => format!("{} from {source}", status.context),
            None => status.context.clone(),
        })
        .collect();
    let bypass: Vec<&str> = rules.bypass.iter().map(UserName::as_str).collect();
    let or_none = |list: String| if list.is_empty() { "none".to_owned() } else { list };
    format!("statuses {}; bypass {}", or_none(statuses.join(", ")), or_none(bypass.join(", ")))
}
