//! The folder that helm works in: the chart, its values and the kubeconfig, for no other user to see.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::DeployError;
use crate::program_folder::ProgramFolder;

/// Names in the folder; helm is started there, so that no path of the machine is in its arguments.
pub(super) const CHART_FOLDER: &str = "chart";
pub(super) const VALUES_FILE: &str = "values.json";
pub(super) const KUBECONFIG_FILE: &str = "kubeconfig";

/// A folder of its own, removed when it is dropped.
#[derive(Debug)]
pub(super) struct ChartFolder {
    folder: ProgramFolder,
}

impl ChartFolder {
    /// Without a chart.
    pub(super) fn empty() -> Result<Self, DeployError> {
        Ok(Self { folder: ProgramFolder::empty()? })
    }

    /// With a chart, whose paths were [checked](super::plan::chart_problem), and what it is given.
    pub(super) fn write(files: &[(String, Vec<u8>)], values: &Map<String, Value>) -> Result<Self, DeployError> {
        let made = Self::empty()?;
        for (path, bytes) in files {
            made.folder.put(&Path::new(CHART_FOLDER).join(path), bytes)?;
        }
        let values = serde_json::to_vec(values).expect("JSON that was read can be written");
        made.folder.put(Path::new(VALUES_FILE), &values)?;
        Ok(made)
    }

    /// Adds what helm reaches the cluster with.
    pub(super) fn with_kubeconfig(self, kubeconfig: &str) -> Result<Self, DeployError> {
        self.folder.put(Path::new(KUBECONFIG_FILE), kubeconfig.as_bytes())?;
        Ok(self)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn home(&self) -> PathBuf {
        self.folder.home()
    }
}
