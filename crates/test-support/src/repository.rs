//! Git repositories made by script: fixed identity, fixed dates, so that every run makes the same commits.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment;

/// The time of the first commit, in seconds since 1970: 2025-11-20T21:00:00Z. Each commit is a minute later.
pub const START: u64 = 1_763_672_400;

/// A git repository of a test, with or without a work tree.
#[derive(Debug)]
pub struct Repository {
    path: PathBuf,
    now: Cell<u64>,
}

impl Repository {
    /// Makes an empty repository with a work tree, on branch `main`.
    pub fn init(path: impl Into<PathBuf>) -> Self {
        Self::make(path.into(), &["init", "--quiet", "--template=", "--initial-branch=main", "."])
    }

    /// Makes an empty bare repository, as servers have them.
    pub fn init_bare(path: impl Into<PathBuf>) -> Self {
        Self::make(path.into(), &["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "."])
    }

    /// Uses a repository that is there already.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), now: Cell::new(START) }
    }

    /// Clones a repository; `from` may be a path.
    pub fn clone_from(from: impl AsRef<Path>, path: impl Into<PathBuf>) -> Self {
        let from = from.as_ref().to_str().expect("test paths are UTF-8").to_owned();
        Self::make(path.into(), &["clone", "--quiet", "--template=", &from, "."])
    }

    fn make(path: PathBuf, args: &[&str]) -> Self {
        fs::create_dir_all(&path).expect("the repository's folder can be made");
        let repository = Self::open(path);
        repository.git(args);
        repository
    }

    /// The folder: the work tree's top, or the bare repository itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs git and gives its standard output without the last line end; a failure is a panic that shows everything.
    pub fn git(&self, args: &[&str]) -> String {
        let answer = self.try_git(args);
        assert!(answer.success(), "`git {}` in {}: {answer:?}", args.join(" "), self.path.display());
        answer.stdout.trim_end_matches('\n').to_owned()
    }

    /// Runs git where a failure may be what the test is about.
    pub fn try_git(&self, args: &[&str]) -> GitAnswer {
        self.try_git_with(args, &[])
    }

    /// Runs git with more environment variables, for instance what a server's hook reads.
    pub fn try_git_with(&self, args: &[&str], environment: &[(&str, &str)]) -> GitAnswer {
        let mut command = self.command();
        command.envs(environment.iter().copied()).args(args);
        let output = environment::output(&mut command).expect("git is on PATH");
        GitAnswer {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn command(&self) -> Command {
        let mut command = environment::command("git");
        let date = format!("{} +0000", self.now.get());
        command.current_dir(&self.path);
        // No configuration of the machine or its user reaches a test; submodules and remotes are folders here.
        command.env("HOME", "/nonexistent").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Robin Builder");
            command.env(format!("GIT_{role}_EMAIL"), "robin@shop.example");
        }
        command.args(["-c", "protocol.file.allow=always", "-c", "gc.auto=0", "-c", "advice.detachedHead=false"]);
        command
    }

    /// Writes a file of the work tree.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> &Self {
        let file = self.path.join(path);
        fs::create_dir_all(file.parent().expect("a file lies in a folder")).expect("the folder can be made");
        fs::write(&file, contents).expect("the file can be written");
        self
    }

    /// Writes an executable file of the work tree.
    pub fn write_executable(&self, path: &str, contents: impl AsRef<[u8]>) -> &Self {
        self.write(path, contents);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path.join(path), mode).expect("the file can be made executable");
        self
    }

    /// Makes a symbolic link in the work tree.
    pub fn symlink(&self, path: &str, target: &str) -> &Self {
        let link = self.path.join(path);
        fs::create_dir_all(link.parent().expect("a link lies in a folder")).expect("the folder can be made");
        symlink(target, link).expect("the link can be made");
        self
    }

    /// Removes a file, a folder or a submodule, from the work tree and from the next commit.
    pub fn remove(&self, path: &str) -> &Self {
        self.git(&["rm", "-r", "--quiet", "--cached", "--ignore-unmatch", "--", path]);
        let full = self.path.join(path);
        if full.is_dir() {
            fs::remove_dir_all(full).expect("the folder can be removed");
        } else if full.symlink_metadata().is_ok() {
            fs::remove_file(full).expect("the file can be removed");
        }
        self
    }

    /// Adds a submodule named after its path: an entry in `.gitmodules` and a gitlink. Nothing is cloned.
    pub fn submodule(&self, path: &str, url: &str, commit: &str) -> &Self {
        self.git(&["config", "--file", ".gitmodules", &format!("submodule.{path}.path"), path]);
        self.git(&["config", "--file", ".gitmodules", &format!("submodule.{path}.url"), url]);
        self.gitlink(path, commit)
    }

    /// Moves a gitlink, or makes one without an entry in `.gitmodules`.
    pub fn gitlink(&self, path: &str, commit: &str) -> &Self {
        // The empty folder is what a submodule without a clone looks like; without it git sees a removal.
        fs::create_dir_all(self.path.join(path)).expect("the submodule's folder can be made");
        self.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},{path}")]);
        self
    }

    /// Commits the work tree as it is, also when nothing changed, and gives the new commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.tick();
        self.head()
    }

    /// The commit that is checked out.
    pub fn head(&self) -> String {
        self.rev("HEAD")
    }

    /// The object that a revision names.
    pub fn rev(&self, revision: &str) -> String {
        self.git(&["rev-parse", "--verify", "--end-of-options", revision])
    }

    /// The tree of a revision.
    pub fn tree(&self, revision: &str) -> String {
        self.rev(&format!("{revision}^{{tree}}"))
    }

    /// A file of a revision, or none.
    pub fn read(&self, revision: &str, path: &str) -> Option<String> {
        let answer = self.try_git(&["cat-file", "blob", &format!("{revision}:{path}")]);
        answer.success().then_some(answer.stdout)
    }

    /// Makes a branch at the commit that is checked out and goes to it.
    pub fn branch(&self, name: &str) -> &Self {
        self.git(&["switch", "--quiet", "--create", name]);
        self
    }

    /// Goes to a branch.
    pub fn switch(&self, name: &str) -> &Self {
        self.git(&["switch", "--quiet", name]);
        self
    }

    /// Merges into the branch that is checked out, with a merge commit even where none is needed, and gives it.
    pub fn merge(&self, revision: &str, message: &str) -> String {
        self.git(&["merge", "--quiet", "--no-ff", "--message", message, revision]);
        self.tick();
        self.head()
    }

    /// The next commit is made a minute later.
    fn tick(&self) {
        self.now.set(self.now.get() + 60);
    }
}

/// What git said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitAnswer {
    /// The exit status; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl GitAnswer {
    /// Whether git exited with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}
