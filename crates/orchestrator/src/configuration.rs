//! Judging and showing the configuration.

use std::collections::BTreeSet;
use std::path::Path;

use ::forge::{RefPattern, Role, User};
use config::{Config, ProbeKind, ShowOrigin, SourceValue, SuiteKind, Target};
use lock_model::{CONFIG_FILE, EnvironmentName};

use crate::context::{Local, Surroundings, find_forge, git_error};
use crate::environment_policy::unknown_environment;
use crate::error::{Error, ErrorKind, Result};
use crate::hints;
use crate::inputs::Inputs;
use crate::report::v1::{Approvers, ConfigCheckReport, ConfigShowReport};
use crate::revision::parse_config;

/// Judges the configuration of a revision, or of the work tree in `repository`. Where a forge is named or found, its
/// users are compared with the approvals that are asked for.
///
/// # Errors
///
/// [`ErrorKind::Usage`] with every mistake and its place.
pub fn check_config(
    repository: &Path,
    revision: Option<&str>,
    forge: Option<&Path>,
    surroundings: &Surroundings,
) -> Result<ConfigCheckReport> {
    let config = read(repository, revision, surroundings)?;
    let forge = find_forge(repository, forge, surroundings)?;
    let (approvers, unreserved) = match &forge {
        Some(forge) => (approvers(&config, &forge.users()?), unreserved(&config, &forge.reserved_refs()?)),
        None => (Vec::new(), Vec::new()),
    };
    Ok(ConfigCheckReport {
        warnings: approvers.iter().filter_map(too_few).collect(),
        approvers,
        unreserved,
        service_rules: config.services.len(),
        environments: config.environments.keys().cloned().collect(),
        suites: config.suites.keys().cloned().collect(),
        environment_variables: variables(&config),
    })
}

/// Shows the configuration after merging: of one environment, or all of it.
///
/// # Errors
///
/// As [`check_config`], and for an environment that it has not.
pub fn show_config(
    repository: &Path,
    revision: Option<&str>,
    environment: Option<&EnvironmentName>,
    origin: ShowOrigin,
    surroundings: &Surroundings,
) -> Result<ConfigShowReport> {
    let config = read(repository, revision, surroundings)?;
    let shown = match (config.show(environment), environment) {
        (Some(shown), _) => shown,
        (None, Some(name)) => return Err(unknown_environment(&config, name)),
        (None, None) => return Err(Error::new(ErrorKind::Bug, "the configuration cannot be shown")),
    };
    Ok(ConfigShowReport { config: shown.to_json(origin), yaml: shown.to_yaml(origin) })
}

/// Who could approve what goes to each environment that asks for approvals.
fn approvers(config: &Config, users: &[User]) -> Vec<Approvers> {
    let may_approve = |user: &&User| !user.bot && user.role >= Role::Write;
    let people: Vec<String> = users.iter().filter(may_approve).map(|user| user.name.to_string()).collect();
    let required = config.environments.values().filter_map(|environment| {
        let required = environment.requires.approvals.as_ref().filter(|required| required.count > 0)?;
        Some(Approvers {
            environment: environment.name.clone(),
            needed: required.count,
            // Somebody opened what is promoted.
            left: u32::try_from(people.len().saturating_sub(1)).unwrap_or(u32::MAX),
            people: people.clone(),
            fallback: required.fallback.as_ref().map(|fallback| fallback.count),
        })
    });
    required.collect()
}

/// What is wrong where more approvals are asked for than a change of one person could get.
fn too_few(approvers: &Approvers) -> Option<String> {
    let Approvers { environment, needed, people, left, fallback } = approvers;
    if left >= needed {
        return None;
    }
    let way_out = match fallback {
        Some(count) => format!("the fallback of {count} decides"),
        None => "give more people write access, or declare `approvals.fallback`".to_owned(),
    };
    Some(format!(
        "`{environment}` asks for {needed} approvals, and at most {left} people are left when one of {} opened the \
         change: {way_out}",
        if people.is_empty() { "nobody".to_owned() } else { people.join(", ") }
    ))
}

/// What the configuration lets orchestrator write, and the forge does not reserve for bots: anybody with write access
/// could change it.
fn unreserved(config: &Config, reserved: &[RefPattern]) -> Vec<String> {
    let mut lines = BTreeSet::new();
    for environment in config.environments.values() {
        let name = &environment.name;
        if let Some(Target::Render(target)) = &environment.target
            && !reserved.iter().any(|pattern| pattern.covers_branch(target.branch.as_str()))
        {
            lines.insert(format!("branch `{}`, which `{name}` is rendered to: `--reserve {0}`", target.branch));
        }
        if let Some(release) = &environment.release {
            let pattern = tag_pattern(release.tag.as_str());
            if !reserved.iter().any(|reserved| reserved.covers_tag(&pattern.replace('*', "x"))) {
                lines.insert(format!("tags `{}` of `{name}`: `--reserve tag:{pattern}`", release.tag));
            }
        }
    }
    lines.into_iter().collect()
}

/// The pattern of the tags that a template gives: `release-{date}-{id8}` is `release-*-*`.
fn tag_pattern(template: &str) -> String {
    let mut pattern = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        pattern.push_str(before);
        pattern.push('*');
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    pattern + rest
}

/// The environment variables that the configuration names, sorted.
fn variables(config: &Config) -> Vec<String> {
    let mut names = BTreeSet::new();
    for environment in config.environments.values() {
        if let Some(SourceValue::Env(name)) = &environment.url {
            names.insert(name.to_string());
        }
        for probe in environment.health.probes.values() {
            if let ProbeKind::Command(command) = &probe.kind {
                names.extend(command.environment.iter().map(ToString::to_string));
            }
        }
    }
    for settings in config.registries.values() {
        names.extend(settings.variables().map(ToString::to_string));
    }
    for suite in config.suites.values() {
        if let SuiteKind::Command(suite) = &suite.kind {
            names.extend(suite.command.environment.iter().map(ToString::to_string));
        }
    }
    names.into_iter().collect()
}

fn read(repository: &Path, revision: Option<&str>, surroundings: &Surroundings) -> Result<Config> {
    if let Some(revision) = revision {
        let local = Local::open(repository, surroundings)?;
        let bytes = Inputs::config(&local.git, revision)
            .map_err(|error| git_error("the configuration cannot be read", error))?
            .ok_or_else(|| {
                let hint = hints::of_configuration_elsewhere(&local.git);
                let error = Error::new(ErrorKind::Usage, format!("`{CONFIG_FILE}` is not in `{revision}`"));
                hint.into_iter().fold(error, Error::hint)
            })?;
        return parse_config(CONFIG_FILE, &bytes);
    }
    let path = repository.join(CONFIG_FILE);
    let bytes = std::fs::read(&path).map_err(|error| {
        Error::from_source(ErrorKind::Usage, format!("`{}` cannot be read", path.display()), error)
            .hint("name the superproject with `--repository DIR`, or a commit with `--rev REV`")
    })?;
    parse_config(CONFIG_FILE, &bytes)
}
