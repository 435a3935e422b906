//! Reads the submodules of any tree of a superproject, without a checkout, and the files of a submodule at its
//! locked commit.
//!
//! [`Superproject::scan`] joins the gitlinks of a tree with the `.gitmodules` *of that tree*: never of the work tree,
//! the index, or a local configuration. Everything that is wrong with a tree is reported at once, each finding with
//! what to do about it, and nothing hostile leaves this crate: what [`Scan::submodules`] holds is safe to hand on.
//! [`SubmoduleStore`] finds the objects of a submodule, or fetches its one commit; [`compare`] says whether a lock
//! belongs to a tree.

mod accepted;
mod belongs;
mod error;
mod finding;
mod gitmodules;
mod history;
mod links;
mod mirrors;
mod objects;
mod parallel;
mod pushed;
mod risk;
mod scan;
mod sources;
mod store;
mod superproject;
mod tree;
mod url;
mod walk;

pub use accepted::{AcceptedRefs, AcceptedRefsError};
pub use belongs::{Mismatch, compare};
pub use error::{ContentError, HistoryError, OpenError, ReadError};
pub use finding::{Finding, FindingKind};
pub use history::{CommitLine, Commits, Direction, History, Moved};
pub use objects::CommitInfo;
pub use pushed::{Pushed, PushedCheck, PushedQuestion, PushedReport};
pub use risk::{Pin, Pins, Risk, lock_pins, risks};
pub use scan::{Scan, Submodule};
pub use sources::{AllowedSources, AllowedSourcesError};
pub use store::{ContentOrigin, SubmoduleContent, SubmoduleStore};
pub use superproject::{Ownership, Superproject};
pub use tree::{ContentLimits, TreeFile};
pub use url::{UrlError, fetch_url, lock_url};
