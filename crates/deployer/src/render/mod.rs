//! The target `render`: the manifests of a release, with every locked image by its digest, in a git branch and a
//! folder.
//!
//! [`plan`] and [`prove`] are pure and take manifests; [`RenderTarget`] reads and writes, and lets helm make manifests of
//! charts before.

mod branch;
mod changes;
mod charts;
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
pub use target::{RenderTarget, plan_from_nothing};
pub use tree::{Occupant, RenderedTree};
