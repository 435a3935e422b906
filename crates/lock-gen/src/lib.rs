//! Locks from git trees: the submodules of any tree, their content and publication, and the join with resolved images.
//!
//! - [`Superproject::scan`] joins the gitlinks of a tree with the `.gitmodules` *of that tree*, never of the work tree, the
//!   index, or a local configuration. All findings are reported at once, and what [`Scan::submodules`] holds is checked.
//! - [`LockDraft`] joins a scan with a decision for each submodule, such as its resolved image, to a lock.
//! - [`lock_drift`] says whether a lock belongs to a tree, and [`changes_to_review`] which changes a reviewer should look at.
//! - [`PublicationCheck`] asks the remotes on which branch a commit is, [`AllowedSources`] whether it can come from there.
//! - [`SubmoduleStore`] finds the files of a submodule at its commit, and the commits between two of its commits.
//!
//! Objects are read in the process. Only fetches start the `git` program, in bare repositories of a cache, so that no hook
//! and no configuration of a clone takes part. Nothing is taken from the environment or the current folder, and nothing
//! is printed.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use lock_gen::git::process::{EnvVars, Program};
//! use lock_gen::git::GitOptions;
//! use lock_gen::lock_model::{Content, Source};
//! use lock_gen::{AllowedSources, LockDraft, PublicationCheck, PublicationQuery, SubmoduleStore, Superproject, fetch_url};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The submodules of a commit: of its tree, whatever is checked out.
//! let repository = "https://github.com/shop/shop".parse()?;
//! let superproject = Superproject::open(Path::new("/src/shop"))?;
//! let commit = superproject.commit("HEAD")?;
//! let scan = superproject.scan(&commit.tree, &repository)?;
//! let allowed = AllowedSources::new(["github.com/shop"])?;
//! for finding in scan.problems.iter().chain(&allowed.findings(&scan)) {
//!     eprintln!("{finding}; {}", finding.hint);
//! }
//!
//! // Are their commits published? With `HOME`, git finds its credential helpers.
//! let git = Program::find("git", "/usr/bin:/bin".as_ref())?;
//! let options = GitOptions::new(EnvVars::new().set("PATH", "/usr/bin:/bin").set("HOME", "/home/me"));
//! let (remote, cache) = ("git@github.com:shop/shop.git", Path::new("/home/me/.cache/shop"));
//! let queries = scan.submodules.iter().map(|submodule| PublicationQuery::new(submodule, remote));
//! let report = PublicationCheck::new(&git, options.clone(), cache).check(&queries.collect::<Result<Vec<_>, _>>()?);
//! for finding in report.findings() {
//!     eprintln!("{finding}; {}", finding.hint);
//! }
//! for (path, error) in report.errors() {
//!     eprintln!("whether `{path}` is published is not known: {error}");
//! }
//!
//! // What is in them at that commit?
//! let store = SubmoduleStore::new(&git, options, cache, &superproject.common_dir());
//! for submodule in &scan.submodules {
//!     let content = store.content(submodule, &fetch_url(&submodule.declared_url, remote)?)?;
//!     for file in content.files(Some(&"deploy".parse()?))? {
//!         println!("{}/{}: {} bytes", submodule.path, file.path, file.bytes.len());
//!     }
//! }
//!
//! // The lock: here of services without images.
//! let (head, base) = (commit.id.clone(), commit.parents.first().unwrap_or(&commit.id).clone());
//! let mut draft = LockDraft::new(Source::new(repository, head, base, commit.tree));
//! for submodule in &scan.submodules {
//!     draft.add(submodule.path.file_name().parse()?, submodule.path.clone(), Content::Configuration, None);
//! }
//! println!("{}", draft.assemble(&scan)?.id());
//! # Ok(())
//! # }
//! ```
//!
//! # Runtime
//!
//! None is needed: every call blocks the calling thread. [`PublicationCheck::check`] and [`SubmoduleStore::histories`] ask
//! several remotes at once, on threads that end with the call.

mod assembly;
mod error;
mod finding;
mod gitmodules;
mod history;
mod links;
mod listing;
mod lock_drift;
mod mirror_cache;
mod objects;
mod parallel;
mod publication;
mod ref_policy;
mod scan;
mod sources;
mod store;
mod submodule_changes;
mod superproject;
mod tree;
mod url;
mod walk;

pub use assembly::{AssembleError, AssembleProblem, LockDraft};
pub use error::{ContentError, HistoryError, OpenError, ReadError};
pub use finding::{Finding, FindingKind};
pub use git;
pub use gitmodules::{Declared, Gitmodules};
pub use history::{CommitLine, Commits, Direction, History, HistoryQuery};
pub use listing::{ListedEntry, ListedKind};
pub use lock_drift::{LockDrift, lock_drift};
pub use lock_model;
pub use objects::CommitInfo;
pub use publication::{Publication, PublicationCheck, PublicationQuery, PublicationReport};
pub use ref_policy::{RefPolicy, RefPolicyError};
pub use scan::{Scan, Submodule};
pub use sources::{AllowedSources, AllowedSourcesError};
pub use store::{ContentOrigin, SubmoduleContent, SubmoduleStore};
pub use submodule_changes::{Pins, SubmoduleChange, changes_to_review, lock_pins};
pub use superproject::{Ownership, Superproject};
pub use tree::{ContentLimits, TreeFile};
pub use url::{UrlError, fetch_url, lock_url, source_url};
