//! What plans, answers and proofs of this target say beyond those of every target.

use lock_model::{CommitId, Digest, EnvironmentName, ServiceName};

use super::tree::RenderedTree;
use crate::request::OccupiedPlace;

/// What [`apply`](crate::Target::apply) stores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenderPlan {
    /// The tree, as it will be read back.
    pub tree: RenderedTree,
    /// Head of the branch that the plan was made for; none where there is no branch yet.
    pub base: Option<CommitId>,
    /// Message of the commit.
    pub message: String,
    /// Whose tree it is.
    pub environment: EnvironmentName,
    /// What happens to a folder that holds something else.
    pub occupied: OccupiedPlace,
    /// Files of services that are no manifests, and are not written: `(service, file)`.
    pub ignored: Vec<(ServiceName, String)>,
}

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RenderApplied {
    /// The commit that holds the tree.
    pub commit: CommitId,
    /// What happened to the branch.
    pub branch: BranchChange,
    /// What happened to the folder; none without one.
    pub folder: Option<FolderChange>,
}

/// What happened to the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchChange {
    /// A commit was pushed.
    Pushed,
    /// It held these files already.
    Unchanged,
}

/// What happened to the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderChange {
    /// It was swapped for a new one.
    Swapped,
    /// It held these files already.
    Unchanged,
}

/// What was read back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RenderProof {
    /// The commit that was read; none for a folder, a plan, or where there is no branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// Digest over every path and its bytes.
    pub tree: Digest,
}
