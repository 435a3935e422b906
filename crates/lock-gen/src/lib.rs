//! Reads the submodules of any tree of a superproject, without a checkout, and the files of a submodule at its
//! locked commit.
//!
//! [`Superproject::scan`] joins the gitlinks of a tree with the `.gitmodules` *of that tree*: never of the work tree,
//! the index, or a local configuration. Everything that is wrong with a tree is reported at once, each finding with
//! what to do about it, and nothing hostile leaves this crate: what [`Scan::submodules`] holds is safe to hand on.
//! [`SubmoduleStore`] finds the objects of a submodule, or fetches its one commit; [`compare`] says whether a lock
//! belongs to a tree.

mod belongs;
mod error;
mod finding;
mod gitmodules;
mod links;
mod objects;
mod scan;
mod store;
mod superproject;
mod tree;
mod url;

pub use belongs::{Mismatch, compare};
pub use error::{ContentError, OpenError, ReadError};
pub use finding::{Finding, FindingKind};
pub use objects::CommitInfo;
pub use scan::{Scan, Submodule};
pub use store::{ContentOrigin, SubmoduleContent, SubmoduleStore};
pub use superproject::{Ownership, Superproject};
pub use tree::{ContentLimits, TreeFile};
pub use url::{UrlError, fetch_url, lock_url};
