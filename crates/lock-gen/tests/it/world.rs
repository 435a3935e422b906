//! A temporary folder with repositories, built object by object with fixed identity and times.

use std::path::{Path, PathBuf};

use git::{CommitIdentity, Git, GitOptions, InitOptions, LocalProtocol, MODE_FILE, ObjectFormat, TreeChange};
use lock_gen::{Scan, SubmoduleStore, Superproject};
use lock_model::{CommitId, RepositoryUrl, Timestamp, TreeId};
use process::{EnvVars, Program};
use tempfile::TempDir;

pub(crate) struct World {
    folder: TempDir,
}

pub(crate) fn git_program() -> Program {
    Program::find("git", "/usr/local/bin:/usr/bin:/bin".as_ref()).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn options(&self) -> GitOptions {
        GitOptions {
            environment: EnvVars::new().set("PATH", "/usr/local/bin:/usr/bin:/bin").set("HOME", self.path("home")),
            local_protocol: LocalProtocol::Allowed,
            ..GitOptions::default()
        }
    }

    pub(crate) fn init(&self, name: &str, init: &InitOptions) -> Git {
        Git::init(&git_program(), &self.path(name), init, self.options()).unwrap()
    }

    pub(crate) fn bare(&self, name: &str) -> Git {
        self.init(name, &InitOptions::default())
    }

    pub(crate) fn work(&self, name: &str) -> Git {
        self.init(name, &InitOptions { bare: false, ..InitOptions::default() })
    }

    pub(crate) fn sha256(&self, name: &str) -> Git {
        self.init(name, &InitOptions { format: ObjectFormat::Sha256, ..InitOptions::default() })
    }

    pub(crate) fn store(&self, superproject: &Path) -> SubmoduleStore {
        SubmoduleStore::new(&git_program(), self.options(), &self.path("cache"), superproject)
    }
}

pub(crate) fn file(path: &str, text: impl AsRef<[u8]>) -> TreeChange {
    TreeChange::Write { path: path.to_owned(), mode: MODE_FILE, bytes: text.as_ref().to_vec() }
}

pub(crate) fn link(path: &str, target: &str) -> TreeChange {
    TreeChange::Write { path: path.to_owned(), mode: 0o120_000, bytes: target.as_bytes().to_vec() }
}

pub(crate) fn gitlink(path: &str, commit: &CommitId) -> TreeChange {
    TreeChange::Gitlink { path: path.to_owned(), commit: commit.clone() }
}

/// A section of `.gitmodules`.
pub(crate) fn section(name: &str, path: &str, url: &str) -> String {
    format!("[submodule \"{name}\"]\n\tpath = {path}\n\turl = {url}\n")
}

pub(crate) fn id(digit: &str) -> CommitId {
    digit.repeat(40).parse().unwrap()
}

pub(crate) fn shop() -> RepositoryUrl {
    "https://forge.example/shop/shop".parse().unwrap()
}

pub(crate) fn tree(git: &Git, changes: &[TreeChange]) -> TreeId {
    git.write_tree(None, changes).unwrap()
}

pub(crate) fn identity() -> CommitIdentity {
    CommitIdentity {
        name: "Tester".to_owned(),
        email: "tester@shop.example".to_owned(),
        time: Timestamp::from_unix_seconds(1_700_000_000),
    }
}

/// A commit on top of another one, with its tree, on no branch.
pub(crate) fn child(git: &Git, parent: &CommitId, message: &str) -> CommitId {
    let tree = git.commit(parent.as_str()).unwrap().unwrap().tree;
    git.commit_tree(&tree, std::slice::from_ref(parent), message, &identity()).unwrap()
}

/// Commits on `main`.
pub(crate) fn commit(git: &Git, changes: &[TreeChange]) -> CommitId {
    let parent = git.rev_parse("refs/heads/main").unwrap();
    let tree = git.write_tree(parent.as_deref(), changes).unwrap();
    let parents: Vec<CommitId> = parent.iter().map(|parent| parent.parse().unwrap()).collect();
    let commit = git.commit_tree(&tree, &parents, "a commit", &identity()).unwrap();
    git.update_ref("refs/heads/main", commit.as_str(), parent.as_deref()).unwrap();
    commit
}

/// Writes a tree that git itself would not write.
pub(crate) fn raw_tree(git: &Git, entries: &[(&str, &[u8], &str)]) -> TreeId {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        let digits: Vec<u32> = id.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
        bytes.extend(digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()));
    }
    let arguments = ["hash-object", "-t", "tree", "--literally", "-w", "--stdin"];
    let output = git.invocation(arguments).stdin(bytes).run().unwrap().checked().unwrap();
    output.stdout_text().trim().parse().unwrap()
}

pub(crate) fn blob(git: &Git, text: &[u8]) -> String {
    let output = git.invocation(["hash-object", "-w", "--stdin"]).stdin(text).run().unwrap().checked().unwrap();
    output.stdout_text().trim().to_owned()
}

pub(crate) fn scan(git: &Git, tree: &TreeId) -> Scan {
    Superproject::open(git.git_dir()).unwrap().scan(tree, &shop()).unwrap()
}

/// The kinds and subjects of findings, each on a line.
pub(crate) fn kinds(findings: &[lock_gen::Finding]) -> Vec<String> {
    findings.iter().map(|finding| format!("{} {}", finding.kind, finding.subject)).collect()
}
