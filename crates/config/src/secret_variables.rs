//! Which environment variables of suites and probes hold secrets.

use std::collections::BTreeSet;

use super::environment::Environment;
use super::settings::{SettingOrigin, SettingSource};
use super::suites::{CommandLine, SuiteKind};
use super::types::Config;
use super::values::EnvironmentVariable;

impl Config {
    /// The variables that some suite or probe is given and does not call `plain`, and those that hold kubeconfigs, passwords
    /// of registries, of servers that are probed, and secrets of services, over all environments.
    pub fn secret_variables(&self) -> BTreeSet<&EnvironmentVariable> {
        let suites = self.suites.values().filter_map(|suite| match &suite.kind {
            SuiteKind::Command(suite) => Some(&suite.command),
            SuiteKind::Http { .. } | SuiteKind::Container(_) => None,
        });
        let containers = self.suites.values().filter_map(|suite| match &suite.kind {
            SuiteKind::Container(suite) => Some(suite.secret_variables()),
            SuiteKind::Http { .. } | SuiteKind::Command(_) => None,
        });
        let questions = || self.environments.values().flat_map(|environment| environment.health.questions());
        let probes = questions().filter_map(|(_, probe)| probe.command());
        let logins = questions().filter_map(|(_, probe)| Some(&probe.login()?.password));
        let kubeconfigs = self.environments.values().filter_map(|environment| environment.kubeconfig.as_ref());
        let kubeconfigs = kubeconfigs.map(|kubeconfig| &kubeconfig.env);
        let environments = || self.environments.values();
        let pulls = environments().filter_map(|environment| Some(&environment.pull_secret.as_ref()?.password));
        let lists = environments().flat_map(Environment::secret_sources);
        let (mut named, mut commands) = (Vec::new(), Vec::new());
        for source in lists {
            match &source.from {
                SettingOrigin::Variables(names) => named.extend(names),
                SettingOrigin::Command { command, .. } => commands.push(command),
                SettingOrigin::Variable { .. } | SettingOrigin::File { .. } | SettingOrigin::Set(_) => {}
            }
        }
        let commands = suites.chain(probes).chain(commands).flat_map(CommandLine::secret_variables);
        commands.chain(containers.flatten()).chain(kubeconfigs).chain(pulls).chain(logins).chain(named).collect()
    }
}

impl Environment {
    /// Every entry of `secret`, of the environment and of its overrides.
    fn secret_sources(&self) -> impl Iterator<Item = &SettingSource> {
        self.secret.iter().chain(self.overrides.iter().filter_map(|entry| entry.secret.as_ref()).flatten())
    }
}

impl CommandLine {
    fn secret_variables(&self) -> impl Iterator<Item = &EnvironmentVariable> {
        self.environment.iter().filter(|name| !self.plain.contains(*name))
    }
}
