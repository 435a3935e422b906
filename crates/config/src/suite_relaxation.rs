//! Suites and variables of an environment, for the list of policy relaxations.

use std::collections::{BTreeMap, BTreeSet};

use super::environment::Environment;
use super::policy_relaxation::{ComparedTree, Found, RelaxationKind, quoted};
use super::probes::ProbeLogin;
use super::suites::{CommandLine, Suite};
use super::types::Config;
use super::values::EnvironmentVariable;

/// Compares the suites that an environment lists: their definitions, and the content of their files.
pub(super) fn compare_suites(
    old: &Config,
    new: &Config,
    before: &Environment,
    after: &Environment,
    tree: ComparedTree<'_>,
    found: &mut Found,
) {
    for name in &before.suites {
        if !after.suites.contains(name) {
            found.add(RelaxationKind::Suites, format!("suite `{name}` is not run any more"));
            continue;
        }
        let (Some(earlier), Some(later)) = (old.suites.get(name), new.suites.get(name)) else { continue };
        // The definition is all of it, as it is written.
        let Suite { name: _, kind: _, deadline: _, definition } = earlier;
        if *definition != later.definition {
            found.add(RelaxationKind::Suites, format!("suite `{name}` is defined differently"));
        }
        let files = later.files();
        if let Some(changed) = quoted(files.iter().filter(|file| tree.has_changed(file))) {
            found.add(RelaxationKind::Suites, format!("suite `{name}` has other content: {changed}"));
        }
    }
}

/// Compares which variables of the surroundings an environment's suites and probes are given.
pub(super) fn compare_variables(
    old: &Config,
    new: &Config,
    before: &Environment,
    after: &Environment,
    found: &mut Found,
) {
    let known: BTreeSet<EnvironmentVariable> = handed(old, before).into_values().flatten().collect();
    for (whom, variables) in handed(new, after) {
        if let Some(added) = quoted(variables.difference(&known)) {
            found.add(RelaxationKind::Suites, format!("{whom} is given {added}, which nothing was given here"));
        }
    }
}

/// Who is given which variables.
fn handed(config: &Config, environment: &Environment) -> BTreeMap<String, BTreeSet<EnvironmentVariable>> {
    let mut handed = BTreeMap::new();
    for name in &environment.suites {
        if let Some(suite) = config.suites.get(name) {
            // Everything else is compared with the suite's definition and files.
            let given: BTreeSet<EnvironmentVariable> = suite.environment().iter().cloned().collect();
            if !given.is_empty() {
                handed.insert(format!("suite `{name}`"), given);
            }
        }
    }
    for (name, probe) in environment.health.questions() {
        if let Some(command) = probe.command() {
            handed.insert(format!("probe `{name}`"), variables(command));
        }
        if let Some(ProbeLogin { user, password }) = probe.login() {
            handed.insert(format!("probe `{name}`"), BTreeSet::from([user.clone(), password.clone()]));
        }
    }
    handed
}

fn variables(command: &CommandLine) -> BTreeSet<EnvironmentVariable> {
    // Program, arguments and what is not masked are part of the definition.
    let CommandLine { program: _, arguments: _, environment, plain: _ } = command;
    environment.iter().cloned().collect()
}
