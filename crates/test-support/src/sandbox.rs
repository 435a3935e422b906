//! A temporary folder with a home of its own, in which repositories lie and the binary runs.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::filters::Filters;
use crate::orchestrator::{Invocation, built_binary};
use crate::repository::Repository;
use crate::test_times;

/// Everything of one test that lies on disk; removed when dropped.
#[derive(Debug)]
pub struct Sandbox {
    path: PathBuf,
    // Held for its drop.
    _folder: TempDir,
}

impl Sandbox {
    /// Makes an empty one.
    #[expect(clippy::new_without_default, reason = "it makes a folder: nothing that `default` should do")]
    pub fn new() -> Self {
        test_times::measure();
        let folder =
            tempfile::Builder::new().prefix("orchestrator-").tempdir().expect("a temporary folder can be made");
        // Resolved, so that what a program prints as its real path is the path that the filters know.
        let path = folder.path().canonicalize().expect("the temporary folder is there");
        fs::create_dir(path.join("home")).expect("the home folder can be made");
        Self { path, _folder: folder }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside it.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path.join(path)
    }

    /// The home folder that programs see: empty at first.
    pub fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Makes a repository with a work tree.
    pub fn repository(&self, name: &str) -> Repository {
        Repository::init(self.path.join(name))
    }

    /// Makes a bare repository.
    pub fn bare_repository(&self, name: &str) -> Repository {
        Repository::init_bare(self.path.join(name))
    }

    /// The `orchestrator` that the workspace built, to be run in this sandbox; arguments and more follow.
    pub fn orchestrator(&self) -> Invocation {
        self.orchestrator_at(built_binary())
    }

    /// The same with a given binary: tests of the CLI crate have its path at compile time.
    pub fn orchestrator_at(&self, binary: impl Into<PathBuf>) -> Invocation {
        Invocation::new(binary.into(), &self.path, &self.home(), self.filters())
    }

    /// What differs between two sandboxes.
    pub fn filters(&self) -> Filters {
        let mut filters = Filters::default();
        filters.path(&self.path, "[SANDBOX]").path(&self.home(), "[HOME]");
        filters
    }
}
