//! Which environment variables of suites and probes hold secrets.

use std::collections::BTreeSet;

use super::environment::ProbeKind;
use super::suites::{CommandLine, SuiteKind};
use super::types::Config;
use super::values::EnvironmentVariable;

impl Config {
    /// The variables that some suite or probe is given and does not call `plain`, and those that hold kubeconfigs, over all
    /// environments.
    pub fn secret_variables(&self) -> BTreeSet<&EnvironmentVariable> {
        let suites = self.suites.values().filter_map(|suite| match &suite.kind {
            SuiteKind::Command(suite) => Some(&suite.command),
            SuiteKind::Http { .. } => None,
        });
        let probes = self.environments.values().flat_map(|environment| environment.health.probes.values());
        let probes = probes.filter_map(|probe| match &probe.kind {
            ProbeKind::Command(command) => Some(command),
            ProbeKind::Http { .. } | ProbeKind::Tcp { .. } => None,
        });
        let kubeconfigs = self.environments.values().filter_map(|environment| environment.kubeconfig.as_ref());
        let kubeconfigs = kubeconfigs.map(|kubeconfig| &kubeconfig.env);
        suites.chain(probes).flat_map(CommandLine::secret_variables).chain(kubeconfigs).collect()
    }
}

impl CommandLine {
    fn secret_variables(&self) -> impl Iterator<Item = &EnvironmentVariable> {
        self.environment.iter().filter(|name| !self.plain.contains(*name))
    }
}
