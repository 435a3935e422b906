//! Where programs are looked for, and what each of them gets.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use process::{Interrupt, Launcher, Priority, Redactor};

/// Where a program such as helm or kustomize is looked for, and how it is started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProgramSearch {
    /// The folders, as `PATH` lists them.
    pub search_path: OsString,
    /// Ends a program when it is requested.
    pub interrupt: Interrupt,
    /// Masks secrets in what programs print.
    pub redactor: Redactor,
    /// Starts programs so that they end with this process also when that is killed. `None`: they go on alone then.
    pub launcher: Option<Launcher>,
    /// The versions that programs have said they have.
    pub versions: ProgramVersions,
    /// How much of the processors programs get that only render.
    pub priority: Priority,
}

impl ProgramSearch {
    /// Looks on a search path; nothing ends a program before its deadline, and nothing is masked.
    pub fn new(search_path: impl Into<OsString>) -> Self {
        Self {
            search_path: search_path.into(),
            interrupt: Interrupt::new(),
            redactor: Redactor::new(),
            launcher: None,
            versions: ProgramVersions::default(),
            priority: Priority::Usual,
        }
    }
}

/// The versions that programs have said they have, so that each is asked once. Clones are the same list.
///
/// A file that is replaced or written is asked again.
#[derive(Clone, Debug, Default)]
pub struct ProgramVersions(Arc<Mutex<BTreeMap<PathBuf, (Stamp, String)>>>);

/// What of a file changes when it is replaced or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// That of the file that a path leads to; `None` where there is none.
    fn of(path: &Path) -> Option<Self> {
        let found = path.metadata().ok()?;
        Some(Self {
            file: (found.dev(), found.ino()),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

impl ProgramVersions {
    /// What the program at a path has said, or what it answers when it is asked now; those who want to know meanwhile wait
    /// for the answer.
    pub(crate) fn of<E>(&self, path: &Path, ask: impl FnOnce() -> Result<String, E>) -> Result<String, E> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(path);
        if let Some((_, version)) = known.get(path).filter(|(known, _)| Some(*known) == stamp) {
            return Ok(version.clone());
        }
        let version = ask()?;
        if let Some(stamp) = stamp {
            known.insert(path.to_owned(), (stamp, version.clone()));
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_a_program_that_is_another_file_now_is_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("helm");
        std::fs::write(&path, "1").unwrap();
        let versions = ProgramVersions::default();
        let ask = |version: &str| versions.clone().of(&path, || Ok::<_, ()>(version.to_owned())).unwrap();
        assert_eq!((ask("v4.1.0"), ask("v4.2.0")), ("v4.1.0".to_owned(), "v4.1.0".to_owned()));
        std::fs::write(folder.path().join("other"), "1").unwrap();
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        assert_eq!(ask("v4.3.0"), "v4.3.0");
        assert_eq!(versions.of(&path, || Err(())), Ok("v4.3.0".to_owned()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(versions.of(&path, || Err(())), Err(()));
    }
}
