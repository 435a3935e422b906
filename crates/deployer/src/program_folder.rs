//! The folder that a program works in: files for no other user to see.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use lock_model::ErrorClass;
use tempfile::TempDir;

use crate::error::DeployError;

/// An empty home, for programs that want one.
const HOME_FOLDER: &str = "home";

/// What the folders' names begin with; the number of the process follows.
const PREFIX: &str = "orchestrator-deploy-";

/// A folder of its own, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct ProgramFolder {
    folder: TempDir,
}

impl ProgramFolder {
    /// With an empty home, and nothing else.
    pub(crate) fn empty() -> Result<Self, DeployError> {
        let prefix = format!("{PREFIX}{}-", std::process::id());
        // A program may write files of its own there, which others could read.
        let permissions = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(&prefix).permissions(permissions).tempdir();
        let folder = folder.map_err(|error| unwritten(Path::new(PREFIX), error))?;
        let home = folder.path().join(HOME_FOLDER);
        std::fs::create_dir(&home).map_err(|error| unwritten(&home, error))?;
        Ok(Self { folder })
    }

    /// Removes what processes of this user left that were killed.
    pub(crate) fn remove_leftovers() {
        let own = rustix::process::geteuid().as_raw();
        let entries = std::fs::read_dir(tempfile::env::temp_dir()).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
            let Some(process) = process.and_then(rustix::process::Pid::from_raw) else { continue };
            // The entry itself, not what a link leads to.
            let is_own = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == own);
            if is_own && rustix::process::test_kill_process(process) == Err(rustix::io::Errno::SRCH) {
                // What cannot be removed is another process's work.
                std::fs::remove_dir_all(entry.path()).unwrap_or_default();
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join(HOME_FOLDER)
    }

    /// Writes a new file that only this user can read. Its path was [checked](crate::pinned_manifests::check_path).
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), DeployError> {
        let target: PathBuf = self.folder.path().join(path);
        let written = target.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?;
            file.write_all(bytes)
        });
        written.map_err(|error| unwritten(&target, error))
    }
}

fn unwritten(path: &Path, error: std::io::Error) -> DeployError {
    DeployError::Failed {
        subject: format!("`{}`", path.display()),
        action: "write it".to_owned(),
        class: ErrorClass::Storage,
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn t23_what_a_killed_process_left_is_removed_and_files_are_for_this_user_alone() {
        let own = ProgramFolder::empty().unwrap();
        own.put(Path::new("below/kubeconfig"), b"token: secret").unwrap();
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(own.path().join("below/kubeconfig")), mode(own.path().to_owned())), (0o600, 0o700));

        let temporary = tempfile::env::temp_dir();
        let kept = tempfile::tempdir().unwrap();
        std::fs::write(kept.path().join("file"), "1").unwrap();
        // No process has such a number.
        let of_ended = |what: &str| temporary.join(format!("{PREFIX}{}-{what}-{}", i32::MAX, std::process::id()));
        let (left, link) = (of_ended("left"), of_ended("link"));
        // It is there as a whole: what else runs here may remove it first.
        std::fs::create_dir(kept.path().join("folder")).unwrap();
        std::fs::write(kept.path().join("folder/kubeconfig"), "token: secret").unwrap();
        std::fs::rename(kept.path().join("folder"), &left).unwrap();
        symlink(kept.path(), &link).unwrap();
        ProgramFolder::remove_leftovers();
        std::fs::remove_file(&link).unwrap();
        assert!(!left.exists(), "a process that has ended needs none");
        assert!(own.path().join("below/kubeconfig").exists() && kept.path().join("file").exists());
        let place = own.path().to_owned();
        drop(own);
        assert!(!place.exists());
    }
}
