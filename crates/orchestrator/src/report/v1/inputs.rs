use deployer::ChangeKind;
use lock_model::{ServiceName, TreePath};
use schemars::JsonSchema;
use serde::Serialize;

/// The most files that [`InputChanges`] lists.
pub const MAX_INPUTS_LISTED: usize = 100;

/// The files of the superproject that a release reads and that a change changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InputChanges {
    /// The number of all of them.
    pub count: usize,
    /// The first 100 of them, by path.
    pub files: Vec<InputChange>,
}

/// One changed file that a release reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InputChange {
    /// Path in the superproject.
    pub path: TreePath,
    /// What happens to it; a file that a release begins to read is added.
    pub change: ChangeKind,
    /// The services whose manifests it holds; empty for what concerns all of them, such as the configuration.
    pub services: Vec<ServiceName>,
    /// How many lines differ; absent for a binary file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines>,
    /// Whether it can be executed now; absent where that does not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
}

/// How many lines differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Lines {
    /// Lines that are new.
    pub added: u64,
    /// Lines that are gone.
    pub removed: u64,
}

impl From<git::LineCount> for Lines {
    fn from(count: git::LineCount) -> Self {
        Self { added: count.added, removed: count.removed }
    }
}
