//! Well-known names in a superproject: files relative to its top folder, and one branch.

/// The configuration.
pub const CONFIG_FILE: &str = "orchestrator.yaml";

/// Where git keeps names and addresses of submodules.
pub const GITMODULES_FILE: &str = ".gitmodules";

/// The folder of the lock and its companions; the orchestrator alone writes it.
pub const LOCK_FOLDER: &str = "locks";

/// The lock, in [`LOCK_FOLDER`].
pub const LOCK_FILE: &str = "locks/lock.yaml";

/// The JSON Schema that the lock's first line names, for editors.
pub const LOCK_SCHEMA_FILE: &str = "locks/schema.json";

/// The attributes that keep git from changing the lock's line endings.
pub const GIT_ATTRIBUTES_FILE: &str = "locks/.gitattributes";

/// The content of [`GIT_ATTRIBUTES_FILE`].
pub const GIT_ATTRIBUTES: &str = "* -text\n";

/// The branch that holds the ledger; no history in common with the others.
pub const LEDGER_BRANCH: &str = "orchestrator/ledger";
