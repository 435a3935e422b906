//! A temporary folder with real git, fixed identity and fixed times.

use std::path::Path;

use git::{CommitIdentity, Git, GitOptions, InitOptions, LocalProtocol, MODE_FILE, ObjectFormat, TreeChange};
use lock_model::{CommitId, Timestamp, TreeId};
use process::{EnvVars, Program};
use tempfile::TempDir;

pub(crate) const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

pub(crate) fn program(name: &str) -> Program {
    Program::find(name, SEARCH_PATH.as_ref()).unwrap()
}

pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn environment(&self) -> EnvVars {
        EnvVars::new().set("PATH", SEARCH_PATH).set("HOME", self.path())
    }

    pub(crate) fn options(&self) -> GitOptions {
        GitOptions { environment: self.environment(), local_protocol: LocalProtocol::Allowed, ..GitOptions::default() }
    }

    pub(crate) fn init(&self, name: &str, init: &InitOptions) -> Git {
        Git::init(&program("git"), &self.path().join(name), init, self.options()).unwrap()
    }

    pub(crate) fn bare(&self, name: &str) -> Git {
        self.init(name, &InitOptions::default())
    }

    /// A repository of the same format with nothing but a commit and what it leads to.
    pub(crate) fn copy(&self, git: &Git, name: &str, commit: Option<&str>) -> Git {
        let format = git.object_format().unwrap();
        let copy = self.init(name, &InitOptions { format, ..InitOptions::default() });
        if let Some(commit) = commit {
            let url = self.path().join(name).to_string_lossy().into_owned();
            let _done = git.checked(["push", "--quiet", &url, &format!("{commit}:refs/heads/base")]).unwrap();
        }
        copy
    }

    pub(crate) fn sha256(&self, name: &str) -> Git {
        self.init(name, &InitOptions { format: ObjectFormat::Sha256, ..InitOptions::default() })
    }
}

pub(crate) fn identity() -> CommitIdentity {
    CommitIdentity {
        name: "Tester".to_owned(),
        email: "tester@shop.example".to_owned(),
        time: Timestamp::from_unix_seconds(1_700_000_000),
    }
}

pub(crate) fn write(path: &str, text: &str) -> TreeChange {
    TreeChange::Write { path: path.to_owned(), mode: MODE_FILE, bytes: text.as_bytes().to_vec() }
}

pub(crate) fn tree(git: &Git, base: Option<&str>, changes: &[TreeChange]) -> TreeId {
    git.write_tree(base, changes).unwrap()
}

/// Commits changes on top of a parent.
pub(crate) fn commit(git: &Git, parent: Option<&CommitId>, message: &str, changes: &[TreeChange]) -> CommitId {
    let tree = tree(git, parent.map(CommitId::as_str), changes);
    let parents: Vec<CommitId> = parent.cloned().into_iter().collect();
    git.commit_tree(&tree, &parents, message, &identity()).unwrap()
}
