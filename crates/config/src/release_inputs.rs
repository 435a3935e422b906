//! Which paths of the superproject a release reads.

use std::collections::BTreeMap;

use lock_model::{LOCK_FILE, TreePath};

use super::environment::ProbeKind;
use super::suites::Suite;
use super::types::{Config, RegistrySettings};
use super::values::SourceValue;

/// How the content of a path becomes part of a release's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputCoverage {
    /// The file's bytes are hashed into the configuration digest ([`lock_model::config_digest`]).
    Hashed,
    /// The lock's identity covers what the file says.
    Lock,
}

impl Config {
    /// The files of the superproject that a release with this configuration reads.
    ///
    /// Hashed are `orchestrator.yaml` and every file that it names: suites, probes, addresses and certificates of
    /// environments and registries. The lock covers itself and `.gitmodules`, as it covers the gitlinks.
    ///
    /// NOTE: manifests in the superproject ([`crate::SourceFolder::InTree`]) are not among them: a deployment reads
    /// them, and they are no part of the release id.
    pub fn release_inputs(&self) -> BTreeMap<TreePath, InputCoverage> {
        let path = |text: &str| TreePath::try_from(text).expect("the constant is a path");
        let mut inputs = BTreeMap::from([LOCK_FILE, ".gitmodules"].map(|text| (path(text), InputCoverage::Lock)));
        let environments = || self.environments.values();
        let addresses = environments().filter_map(|environment| match &environment.url {
            Some(SourceValue::File(path)) => Some(path),
            Some(SourceValue::Value(_) | SourceValue::Env(_)) | None => None,
        });
        let probes = environments().flat_map(|environment| environment.health.probes.values());
        let programs = probes.filter_map(|probe| match &probe.kind {
            ProbeKind::Command(command) => command.file(),
            ProbeKind::Http { .. } | ProbeKind::Tcp { .. } => None,
        });
        let certificates = self.registries.values().flat_map(RegistrySettings::files);
        let hashed = std::iter::once(path(lock_model::CONFIG_FILE))
            .chain(self.suites.values().flat_map(Suite::files))
            .chain(addresses.chain(programs).chain(certificates).cloned());
        inputs.extend(hashed.map(|path| (path, InputCoverage::Hashed)));
        inputs
    }

    /// The files of [`Config::release_inputs`] whose bytes are hashed into the configuration digest, sorted.
    pub fn hashed_files(&self) -> Vec<TreePath> {
        let inputs = self.release_inputs().into_iter();
        inputs.filter(|(_, coverage)| *coverage == InputCoverage::Hashed).map(|(path, _)| path).collect()
    }
}
