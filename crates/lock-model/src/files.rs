//! The files that a superproject keeps, relative to its top folder.

/// The lock.
pub const LOCK_FILE: &str = "locks/lock.yaml";

/// The JSON Schema that the lock's first line names, for editors.
pub const LOCK_SCHEMA_FILE: &str = "locks/schema.json";

/// The attributes that keep git from changing the lock's line endings.
pub const GIT_ATTRIBUTES_FILE: &str = "locks/.gitattributes";

/// The content of [`GIT_ATTRIBUTES_FILE`].
pub const GIT_ATTRIBUTES: &str = "* -text\n";
