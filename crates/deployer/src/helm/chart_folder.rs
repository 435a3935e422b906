//! The folder that helm works in: the chart, its values and the kubeconfig, for no other user to see.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use lock_model::ErrorClass;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::error::DeployError;

/// Names in the folder; helm is started there, so that no path of the machine is in its arguments.
pub(super) const CHART_FOLDER: &str = "chart";
pub(super) const VALUES_FILE: &str = "values.json";
pub(super) const KUBECONFIG_FILE: &str = "kubeconfig";
pub(super) const HOME_FOLDER: &str = "home";

/// What the folders' names begin with; the number of the process follows.
const PREFIX: &str = "orchestrator-helm-";

/// A folder of its own, removed when it is dropped.
#[derive(Debug)]
pub(super) struct ChartFolder {
    folder: TempDir,
}

impl ChartFolder {
    /// Without a chart.
    pub(super) fn empty() -> Result<Self, DeployError> {
        let folder = tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir();
        let folder = folder.map_err(|error| unwritten(Path::new("orchestrator-helm"), error))?;
        let home = folder.path().join(HOME_FOLDER);
        std::fs::create_dir(&home).map_err(|error| unwritten(&home, error))?;
        Ok(Self { folder })
    }

    /// Removes what processes of this user left that were killed.
    pub(super) fn remove_leftovers() {
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

    /// With a chart, whose paths were [checked](super::plan::chart_problem), and what it is given.
    pub(super) fn write(files: &[(String, Vec<u8>)], values: &Map<String, Value>) -> Result<Self, DeployError> {
        let made = Self::empty()?;
        for (path, bytes) in files {
            made.put(&Path::new(CHART_FOLDER).join(path), bytes)?;
        }
        let values = serde_json::to_vec(values).expect("JSON that was read can be written");
        made.put(Path::new(VALUES_FILE), &values)?;
        Ok(made)
    }

    /// Adds what helm reaches the cluster with.
    pub(super) fn with_kubeconfig(self, kubeconfig: &str) -> Result<Self, DeployError> {
        self.put(Path::new(KUBECONFIG_FILE), kubeconfig.as_bytes())?;
        Ok(self)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a new file that only this user can read.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), DeployError> {
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
