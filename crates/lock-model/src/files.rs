//! Well-known names in a superproject: files relative to its top folder, and one branch.

/// The configuration.
pub const CONFIG_FILE: &str = "orchestrator.yaml";

/// Where git keeps names and addresses of submodules.
pub const GITMODULES_FILE: &str = ".gitmodules";

/// The folder of the lock and its companions, beside which files of other tools may lie.
pub const LOCK_FOLDER: &str = "locks";

/// The lock, in [`LOCK_FOLDER`].
pub const LOCK_FILE: &str = "locks/lock.yaml";

/// The JSON Schema that the lock's first line names, for editors.
pub const LOCK_SCHEMA_FILE: &str = "locks/schema.json";

/// The same where [`LOCK_SCHEMA_FILE`] is a file of another tool.
pub const LOCK_SCHEMA_BESIDE_FILE: &str = "locks/lock.schema.json";

/// The attributes that keep git from changing the lock's line endings.
pub const GIT_ATTRIBUTES_FILE: &str = "locks/.gitattributes";

/// The content of [`GIT_ATTRIBUTES_FILE`].
pub const GIT_ATTRIBUTES: &str = "* -text\n";

/// The branch that holds the ledger; no history in common with the others.
pub const LEDGER_BRANCH: &str = "orchestrator/ledger";

/// Whether a path is one that the orchestrator writes in [`LOCK_FOLDER`].
pub fn is_lock_file(path: &str) -> bool {
    [LOCK_FILE, LOCK_SCHEMA_FILE, LOCK_SCHEMA_BESIDE_FILE, GIT_ATTRIBUTES_FILE].contains(&path)
}

/// Whether a path lies in [`LOCK_FOLDER`] and is a file of another tool.
pub fn is_foreign_lock_file(path: &str) -> bool {
    path.strip_prefix(LOCK_FOLDER).is_some_and(|rest| rest.starts_with('/')) && !is_lock_file(path)
}
