use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::ProcessError;

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
        let not_found = || ProcessError::NotFound { name: name.to_owned() };
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

    /// Takes a program at a known path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self { name, path }
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path that is started.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The named list of environment variables that a child sees; nothing else is inherited.
///
/// The debug form shows names only, since values may be secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EnvVars(BTreeMap<OsString, OsString>);

impl EnvVars {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable and returns the list.
    #[must_use]
    pub fn set(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.insert(name, value);
        self
    }

    /// Sets a variable.
    pub fn insert(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: impl AsRef<OsStr>) {
        self.0.remove(name.as_ref());
    }

    /// The value of a variable.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// All variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Keeps the variables whose name passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&OsStr) -> bool) {
        self.0.retain(|name, _| keep(name));
    }
}

impl std::fmt::Debug for EnvVars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for EnvVars {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<OsString>, V: Into<OsString>> Extend<(N, V)> for EnvVars {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, variables: I) {
        self.0.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}
