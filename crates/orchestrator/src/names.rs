//! Names that a work tree knows, for completions.

use std::path::Path;

use config::Config;
use lock_gen::Gitmodules;
use lock_model::{CONFIG_FILE, TreePath};

use crate::input_file::read_input;

/// Names in the files of a work tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownNames {
    /// Environments of `orchestrator.yaml`.
    pub environments: Vec<String>,
    /// Suites of `orchestrator.yaml`.
    pub suites: Vec<String>,
    /// Services: what the rules of `orchestrator.yaml` make of the submodules in `.gitmodules`.
    pub services: Vec<String>,
}

/// What the work tree around a folder knows, as its files are now; nothing where they are missing or cannot be read.
pub fn known_names(folder: &Path) -> KnownNames {
    let root = folder.ancestors().find(|folder| folder.join(CONFIG_FILE).is_file());
    let read = |name: &str| root.and_then(|root| read_input(&root.join(name)).ok()).unwrap_or_default();
    let Ok(config) = Config::parse(CONFIG_FILE, &read(CONFIG_FILE)) else { return KnownNames::default() };
    let declared = Gitmodules::parse(&read(".gitmodules")).declared;
    let paths: Vec<TreePath> = declared.into_iter().map(|submodule| submodule.path).collect();
    let services = config.assign_services(&paths).unwrap_or_default();
    KnownNames {
        environments: config.environments.keys().map(ToString::to_string).collect(),
        suites: config.suites.keys().map(ToString::to_string).collect(),
        services: services.into_iter().map(|service| service.name.to_string()).collect(),
    }
}
