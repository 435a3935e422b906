use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::{ProcessError, ProcessErrorKind};

/// A program that was found once and is started by its full path from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: String,
    path: PathBuf,
}

impl Program {
    /// Finds a program in the folders of a search path.
    ///
    /// Relative and empty entries of the search path are skipped: they would find programs in whatever folder is
    /// current, such as a checkout.
    pub fn find(name: &str, path_variable: &OsStr) -> Result<Self, ProcessError> {
        let not_found = || ProcessError::new(ProcessErrorKind::NotFound, name);
        if name.is_empty() || name.contains('/') {
            return Err(not_found());
        }
        std::env::split_paths(path_variable)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(|path| is_executable(path))
            .map(|path| Self { name: name.to_owned(), path })
            .ok_or_else(not_found)
    }

    /// Takes a program at a known path; its name is the last part of the path. Nothing is looked up.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self { name, path }
    }

    /// Whether it is a file that can be started.
    pub fn is_executable(&self) -> bool {
        is_executable(&self.path)
    }

    /// The name that commands show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path that is started: absolute after [`find`](Self::find).
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
