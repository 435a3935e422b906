//! Which paths of the superproject a release reads.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::{CONFIG_FILE, GITMODULES_FILE, LOCK_FOLDER, ServiceName, TreePath};

use super::environment::{Environment, SourceFiles, SourceFolder};
use super::problem::{ConfigErrors, Problems};
use super::service_rules::{SettingSources, source_folder};
use super::settings::SettingOrigin;
use super::suites::Suite;
use super::types::{Config, RegistrySettings};
use super::values::SourceValue;

/// How the content of a path becomes part of a release's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputCoverage {
    /// Path, mode and bytes are hashed into the configuration digest ([`lock_model::config_digest`]).
    Hashed,
    /// The lock stands for it: `locks/`, `.gitmodules` and the gitlinks.
    Lock,
}

/// What a release reads of the superproject, over all services of its tree and all environments. Nothing else of the tree
/// may decide anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseInputs {
    files: BTreeSet<TreePath>,
    folders: BTreeMap<TreePath, ManifestFolder>,
    submodules: BTreeSet<TreePath>,
}

/// A folder of the superproject with manifests, or with a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ManifestFolder {
    services: BTreeSet<ServiceName>,
    files: SourceFiles,
    /// Whether an environment's `deploy` names one of the services.
    deployed: bool,
}

impl ReleaseInputs {
    /// The files that the configuration names, and itself.
    pub fn files(&self) -> impl Iterator<Item = &TreePath> {
        self.files.iter()
    }

    /// The folders of the superproject that hold manifests.
    pub fn folders(&self) -> impl Iterator<Item = &TreePath> {
        self.folders.keys()
    }

    /// How a path is covered; `None` for what no release may read.
    pub fn coverage(&self, path: &TreePath) -> Option<InputCoverage> {
        if self.files.contains(path) || self.holds_manifest(path.as_str()) {
            Some(InputCoverage::Hashed)
        } else if is_of_the_lock(path) || path.as_str() == GITMODULES_FILE || self.submodules.contains(path) {
            Some(InputCoverage::Lock)
        } else {
            None
        }
    }

    /// Whether a path, which need not be a [`TreePath`], is a file that a target reads.
    pub fn holds_manifest(&self, path: &str) -> bool {
        self.folders_of(path).any(|folder| folder.files.include(path))
    }

    /// Whether a path lies in a folder that a target reads for a service that an environment deploys, or is such a folder.
    pub fn is_deployed_from(&self, path: &str) -> bool {
        self.folders_of(path).any(|folder| folder.deployed)
    }

    /// Whether a file is needed at a path or below it: what stands there instead, a link or a submodule, would hide it.
    pub fn needs_files_at(&self, path: &str) -> bool {
        let is_below = |input: &TreePath| {
            input.as_str().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.files.iter().any(is_below) || self.folders.iter().any(|(path, folder)| folder.deployed && is_below(path))
    }

    /// The services whose manifests a file holds; none for what concerns all of them.
    pub fn services(&self, path: &TreePath) -> BTreeSet<ServiceName> {
        if self.files.contains(path) {
            return BTreeSet::new();
        }
        let reading = self.folders_of(path.as_str()).filter(|folder| folder.files.include(path.as_str()));
        reading.flat_map(|folder| folder.services.iter().cloned()).collect()
    }

    /// The folders that a path lies in, and the one that it is itself.
    fn folders_of(&self, path: &str) -> impl Iterator<Item = &ManifestFolder> {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        ends.filter_map(|end| self.folders.get(&TreePath::try_from(path.get(..end)?).ok()?))
    }
}

/// Whether target `render` reads a file of this name, whatever the case of its ending. A `Kustomization` stops it.
pub fn is_manifest(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    matches!(extension.as_deref(), Some("yaml" | "yml" | "json")) || name == "Kustomization"
}

/// A path that the configuration names. A file in `locks/` is none: the lock stands for that folder, and not for whatever
/// else lies there.
pub(super) fn named_file(text: &str) -> Result<TreePath, String> {
    let path = TreePath::try_from(text).map_err(|error| error.to_string())?;
    if is_of_the_lock(&path) {
        return Err(format!(
            "`{path}` lies in `{LOCK_FOLDER}/`, where `lock commit` alone writes: keep the file elsewhere"
        ));
    }
    Ok(path)
}

/// Whether a path is the lock's folder or lies in it.
pub(super) fn is_of_the_lock(path: &TreePath) -> bool {
    path.as_str().strip_prefix(LOCK_FOLDER).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Config {
    /// The declared inputs of a release whose tree has submodules at these paths.
    ///
    /// Hashed are `orchestrator.yaml`, every file that it names (suites, programs of probes, addresses, certificates), and
    /// the manifests in the superproject ([`SourceFolder::InTree`]) of every service in every environment, deployed
    /// there or not.
    ///
    /// # Errors
    ///
    /// A source that cannot be one, where an environment deploys the service.
    pub fn release_inputs<'a>(
        &self,
        submodules: impl IntoIterator<Item = &'a TreePath>,
    ) -> Result<ReleaseInputs, ConfigErrors> {
        let mut inputs = ReleaseInputs { files: self.named_files(), ..ReleaseInputs::default() };
        let mut problems = Problems::new(self.source.clone());
        for path in submodules {
            if let Some(name) = self.service_name(path) {
                self.add_folders(&name, path, &mut inputs, &mut problems);
            }
            inputs.submodules.insert(path.clone());
        }
        if problems.is_empty() { Ok(inputs) } else { Err(problems.into_errors()) }
    }

    fn add_folders(&self, name: &ServiceName, path: &TreePath, inputs: &mut ReleaseInputs, problems: &mut Problems) {
        for environment in self.environments.values() {
            let Some(target) = &environment.target else { continue };
            add_setting_files(environment, name, path, inputs, problems);
            let deployed = environment.deploys(name, path);
            let files = environment.source_files(target, name, path);
            match source_folder(&environment.source(target, name, path), path) {
                Ok(SourceFolder::InService(_)) => {}
                Ok(SourceFolder::InTree(folder)) => {
                    let folder = inputs.folders.entry(folder).or_insert_with(|| ManifestFolder {
                        services: BTreeSet::new(),
                        files,
                        deployed: false,
                    });
                    folder.files = folder.files.max(files);
                    folder.services.insert(name.clone());
                    folder.deployed |= deployed;
                }
                Err(error) if deployed => {
                    let origin = environment.source_origin(target, name, path);
                    problems.add(origin, format!("service `{name}`: {error}"));
                }
                Err(_) => {}
            }
        }
    }

    /// The configuration and every file that it names.
    fn named_files(&self) -> BTreeSet<TreePath> {
        let environments = || self.environments.values();
        let addresses = environments().filter_map(|environment| match &environment.url {
            Some(SourceValue::File(path)) => Some(path),
            Some(SourceValue::Value(_) | SourceValue::Env(_)) | None => None,
        });
        let questions = || environments().flat_map(|environment| environment.health.questions());
        let programs = questions().filter_map(|(_, probe)| probe.command()?.file());
        let authorities = questions().filter_map(|(_, probe)| probe.certificate_file());
        let certificates = self.registries.values().flat_map(RegistrySettings::files);
        let own = TreePath::try_from(CONFIG_FILE).expect("the constant is a path");
        let suites = self.suites.values().flat_map(Suite::files);
        std::iter::once(own)
            .chain(suites)
            .chain(addresses.chain(programs).chain(authorities).chain(certificates).cloned())
            .collect()
    }
}

/// The files that settings of a service come from.
fn add_setting_files(
    environment: &Environment,
    name: &ServiceName,
    path: &TreePath,
    inputs: &mut ReleaseInputs,
    problems: &mut Problems,
) {
    let SettingSources { config, secret } = environment.setting_sources(name, path);
    for source in config.iter().chain(secret) {
        match &source.from {
            SettingOrigin::File { path: file, .. } => {
                let values = environment.service_values(name, path);
                let filled = file.expand(&values).expect("`Config::parse` has checked its variables");
                match named_file(&filled) {
                    Ok(file) => drop(inputs.files.insert(file)),
                    Err(error) => drop(problems.add(&environment.origin, format!("service `{name}`: {error}"))),
                }
            }
            SettingOrigin::Command { command, files, .. } => {
                inputs.files.extend(command.file().into_iter().chain(files).cloned());
            }
            SettingOrigin::Variable { .. } | SettingOrigin::Variables(_) | SettingOrigin::Set(_) => {}
        }
    }
}

/// Why a filled-in source cannot be a folder of manifests or a chart, or the folder.
pub(super) fn named_folder(filled: &str) -> Result<TreePath, String> {
    if matches!(filled, "." | "./") {
        return Err(format!(
            "the source is the top folder, which holds `{LOCK_FOLDER}/`: manifests lie in a folder of their own"
        ));
    }
    let folder = TreePath::try_from(filled).map_err(|error| error.to_string())?;
    if is_of_the_lock(&folder) {
        return Err(format!("the source lies in `{LOCK_FOLDER}/`, where `lock commit` alone writes"));
    }
    Ok(folder)
}
