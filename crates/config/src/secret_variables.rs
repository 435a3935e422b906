//! Which environment variables a configuration reads, and which of them hold secrets.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::SuiteName;

use super::environment::Environment;
use super::kubeconfig::Kubeconfig;
use super::service_rules::{ServiceAssignment, SettingSources};
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
        let kubeconfigs = kubeconfigs.filter_map(Kubeconfig::variable);
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
        let logging_in = environments().filter_map(|environment| environment.kubeconfig.as_ref());
        named.extend(logging_in.flat_map(|kubeconfig| &kubeconfig.allow.variables));
        let commands = suites.chain(probes).chain(commands).flat_map(CommandLine::secret_variables);
        commands.chain(containers.flatten()).chain(kubeconfigs).chain(pulls).chain(logins).chain(named).collect()
    }

    /// The variables that some suite, probe or setting calls `plain`, and that none of them keeps secret.
    pub fn plain_variables(&self) -> BTreeSet<&EnvironmentVariable> {
        let suites = self.suites.values().filter_map(|suite| match &suite.kind {
            SuiteKind::Command(suite) => Some(&suite.command.plain),
            SuiteKind::Container(suite) => Some(&suite.plain),
            SuiteKind::Http { .. } => None,
        });
        let questions = self.environments.values().flat_map(|environment| environment.health.questions());
        let probes = questions.filter_map(|(_, probe)| Some(&probe.command()?.plain));
        let secret = self.secret_variables();
        suites.chain(probes).flatten().filter(|name| !secret.contains(name)).collect()
    }

    /// The variables by which orchestrator itself reaches clusters and registries: no program is given one of them.
    pub fn own_credentials(&self) -> BTreeSet<&EnvironmentVariable> {
        let kubeconfigs = self.environments.values().filter_map(|environment| environment.kubeconfig.as_ref());
        let pulls = self.environments.values().filter_map(|environment| environment.pull_secret.as_ref());
        let kubeconfigs = kubeconfigs.filter_map(Kubeconfig::variable);
        kubeconfigs.chain(pulls.map(|pull| &pull.password)).collect()
    }

    /// The variables that a suite is given.
    pub fn variables_of(&self, suite: &SuiteName) -> BTreeSet<&EnvironmentVariable> {
        match self.suites.get(suite).map(|suite| &suite.kind) {
            Some(SuiteKind::Command(suite)) => suite.command.environment.iter().collect(),
            Some(SuiteKind::Container(suite)) => suite.environment.iter().collect(),
            Some(SuiteKind::Http { .. }) | None => BTreeSet::new(),
        }
    }
}

impl Environment {
    /// The environment variables that the settings of deployed services and the pull secret are read from, each with what
    /// reads it. A program has its own from the same environment.
    pub fn setting_variables(&self, services: &[ServiceAssignment]) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut add = |name: String, reader: String| {
            found.entry(name).or_default().insert(reader);
        };
        for ServiceAssignment { name: service, path, .. } in services {
            if !self.deploys(service, path) || self.not_deployed.contains_key(service) {
                continue;
            }
            let values = self.service_values(service, path);
            let SettingSources { config, secret } = self.setting_sources(service, path);
            for (list, source) in
                config.iter().map(|one| ("config", one)).chain(secret.iter().map(|one| ("secret", one)))
            {
                let names: Vec<String> = match &source.from {
                    SettingOrigin::Variable { name, .. } => name.expand(&values).into_iter().collect(),
                    SettingOrigin::Variables(names) => names.iter().map(ToString::to_string).collect(),
                    SettingOrigin::Command { command, .. } => {
                        command.environment.iter().map(ToString::to_string).collect()
                    }
                    SettingOrigin::Set(settings) => {
                        settings.values().filter_map(|text| text.environment(&values).ok()).flatten().collect()
                    }
                    SettingOrigin::File { .. } => Vec::new(),
                };
                for name in names {
                    add(name, format!("`{list}` of {service}"));
                }
            }
        }
        for name in self.pull_secret.iter().flat_map(|pull| [&pull.username, &pull.password]) {
            add(name.to_string(), "`pull-secret`".to_owned());
        }
        found
    }

    /// The programs that print settings of deployed services, each with what reads it.
    pub fn setting_commands(&self, services: &[ServiceAssignment]) -> Vec<(String, &CommandLine)> {
        let mut found = Vec::new();
        for ServiceAssignment { name, path, .. } in services {
            if !self.deploys(name, path) || self.not_deployed.contains_key(name) {
                continue;
            }
            let SettingSources { config, secret } = self.setting_sources(name, path);
            for (list, sources) in [("config", config), ("secret", secret)] {
                for source in sources {
                    if let SettingOrigin::Command { command, .. } = &source.from {
                        found.push((format!("`{list}` of {name}"), command));
                    }
                }
            }
        }
        found
    }

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
