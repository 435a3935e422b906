//! The target `render`: the manifests of a release, with every locked image by its digest, in a git branch and a
//! folder.
//!
//! [`plan`] and [`prove`] are pure; [`RenderTarget`] reads and writes.

mod branch;
mod changes;
mod detail;
mod folder;
mod plan;
mod proof;
mod record;
mod target;
mod tree;

pub use detail::{BranchChange, FolderChange, RenderApplied, RenderPlan, RenderProof};
pub use folder::RenderFolder;
pub use plan::plan;
pub use proof::prove;
pub use record::{RELEASE_FILE, ReleaseRecord};
pub use target::RenderTarget;
pub use tree::{Occupant, RenderedTree};
