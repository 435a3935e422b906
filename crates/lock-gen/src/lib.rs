//! Reads the submodules of any tree of a superproject, without a checkout, and what a submodule holds at its locked
//! commit.
//!
//! [`Superproject::scan`] joins the gitlinks of a tree with the `.gitmodules` *of that tree*: never of the work tree,
//! the index, or a local configuration. Everything that is wrong with a tree is reported at once, each finding with
//! what to do about it, and nothing hostile leaves this crate: what [`Scan::submodules`] holds is safe to hand on.
//!
//! [`PushedCheck`] asks the remotes on which branch a commit is, [`AllowedSources`] whether it may come from there.
//! [`SubmoduleStore`] finds the files of a submodule, or fetches its one commit, and says which commits lie between
//! two; [`risks`] names the changes that a person should look at. [`compare`] says whether a lock belongs to a tree.
//!
//! Objects are read in the process; only what must be fetched starts the `git` program, in bare repositories of our
//! own, so that no hook and no configuration of a clone takes part. Nothing is taken from the environment or the
//! current folder, and nothing is printed.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use lock_gen::{AllowedSources, Pushed, PushedCheck, PushedQuestion, SubmoduleStore, Superproject, fetch_url};
//! use git::GitOptions;
//! use process::{EnvVars, Program};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What git may know of us: its own configuration and credential helpers are found by `HOME`.
//! let environment = EnvVars::new().set("PATH", "/usr/bin:/bin").set("HOME", "/home/me");
//! let git = Program::find("git", "/usr/bin:/bin".as_ref())?;
//! let options = GitOptions { environment, ..GitOptions::default() };
//!
//! // The submodules of a commit: of its tree, whatever is checked out.
//! let superproject = Superproject::open(Path::new("/src/shop"))?;
//! let commit = superproject.commit("HEAD")?;
//! let scan = superproject.scan(&commit.tree, &"https://github.com/shop/shop".parse()?)?;
//! let allowed = AllowedSources::new(["github.com/shop"])?;
//! for problem in scan.problems.iter().chain(&allowed.problems(&scan)) {
//!     eprintln!("{problem}; {}", problem.hint);
//! }
//!
//! // Can everybody else get them, too?
//! let remote = "git@github.com:shop/shop.git";
//! let questions = scan.submodules.iter().map(|submodule| PushedQuestion::new(submodule, remote));
//! let cache = Path::new("/home/me/.cache/shop");
//! let report = PushedCheck::new(&git, options.clone(), cache).check(&questions.collect::<Result<Vec<_>, _>>()?);
//! for (path, answer) in &report.answers {
//!     match answer {
//!         Ok(Pushed::On { branches, .. }) => println!("{path} is on {}", branches.join(", ")),
//!         Ok(Pushed::Nowhere { sha, .. }) => println!("{path}: nobody else has {sha}"),
//!         Err(error) => println!("{path}: not known, {error}"),
//!     }
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
//! # Ok(())
//! # }
//! ```

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
pub use gitmodules::{Declared, Gitmodules};
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
