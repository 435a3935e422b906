//! A git repository as a typed interface: trees, commits, refs, merges, fetch and push.
//!
//! Trees, commits and refs are read in this process; what writes, merges or asks a remote is one or a few short-lived
//! children of the `git` program. None of them sees a `GIT_*` variable of the caller but for what a [`Transport`] takes,
//! runs a hook of the repository, or speaks a protocol that was not allowed; operands never pass for options. Settings of a user that would change an answer
//! or stop a command (`safe.bareRepository`, signatures, merge drivers, …) are overridden. Nothing reads or changes a work
//! tree or an index.
//!
//! ```
//! use git::{ABSENT, CommitIdentity, Git, GitOptions, InitOptions, MODE_FILE, RefUpdate, TreeChange};
//! use process::{EnvVars, Program};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let search_path = "/usr/local/bin:/usr/bin:/bin";
//! let program = Program::find("git", search_path.as_ref())?;
//! let options = GitOptions::new(EnvVars::new().set("PATH", search_path));
//! let git = Git::init(&program, folder.path(), &InitOptions::default(), options)?;
//!
//! let file = TreeChange::Write { path: "a.txt".to_owned(), mode: MODE_FILE, bytes: b"a".to_vec() };
//! let tree = git.write_tree(None, &[file])?;
//! let robot = CommitIdentity::new("robot", "robot@shop.example", "2025-11-20T21:14:07Z".parse()?);
//! let commit = git.commit_tree(&tree, &[], "add a.txt", &robot)?;
//!
//! assert_eq!(git.update_ref("refs/heads/main", commit.as_str(), Some(ABSENT))?, RefUpdate::Done);
//! assert_eq!(git.read_file("main", "a.txt")?.as_deref(), Some(&b"a"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Runtime
//!
//! None is needed: every call blocks the calling thread until its children have ended.

mod address;
mod commits;
mod error;
mod history;
mod merge;
mod operand;
mod options;
mod output;
mod pack;
mod reader;
mod refs;
mod remote;
mod repository;
mod transport;
mod tree_edit;
mod tree_reads;
mod trees;
mod write;

pub use commits::CommitFacts;
pub use error::{GitError, GitErrorKind, RemoteFault};
pub use lock_model;
pub use merge::MergeTree;
pub use options::{GitOptions, InitOptions, LocalProtocol, MINIMUM_VERSION, ObjectFormat, PlainHttp};
pub use process;
pub use refs::{ABSENT, RefChange, RefUpdate, Reference};
pub use remote::PushOutcome;
pub use repository::Git;
pub use transport::Transport;
pub use trees::{
    FolderEntry, LineCount, MODE_EXECUTABLE, MODE_FILE, MODE_FOLDER, MODE_GITLINK, MODE_SYMLINK, PathChange, TreeEntry,
    TreeFile,
};
pub use write::{CommitIdentity, TreeChange};
