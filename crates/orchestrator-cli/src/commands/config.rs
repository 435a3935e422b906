//! `config check` and `config show`.

use std::collections::BTreeSet;

use config::{Config, ProbeKind, ShowOrigin, SourceValue, SuiteKind};

use crate::arguments::{ConfigArgs, ConfigShowArgs, GlobalArgs};
use crate::context::{Local, git_error};
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::output::{Report, append, count};
use crate::snapshot::{CONFIGURATION_FILE, environment_name, parse_config};

/// Judges the configuration.
pub(crate) fn check(global: &GlobalArgs, args: &ConfigArgs) -> CliResult<Report> {
    let config = read(global, args)?;
    let environments: Vec<&str> = config.environments.keys().map(lock_model::EnvironmentName::as_str).collect();
    let variables = variables(&config);
    let mut human = format!(
        "{CONFIGURATION_FILE} is fine: {} for services, {}, {}\n",
        count(config.services.len(), "rule"),
        count(config.suites.len(), "suite"),
        if environments.is_empty() {
            "no environments".to_owned()
        } else {
            format!("environments {}", environments.join(", "))
        }
    );
    if !variables.is_empty() {
        append(&mut human, format!("it reads the environment variables {}\n", variables.join(", ")));
    }
    let document = serde_json::json!({
        "command": "config check",
        "environments": environments,
        "suites": config.suites.keys().collect::<Vec<_>>(),
        "environment_variables": variables,
    });
    Ok(Report::new(ExitCode::Done, human, document))
}

/// Shows the configuration after merging.
pub(crate) fn show(global: &GlobalArgs, args: &ConfigShowArgs) -> CliResult<Report> {
    let config = read(global, &args.config)?;
    let name = args.env.as_deref().map(environment_name).transpose()?;
    let origin = if args.origin { ShowOrigin::Shown } else { ShowOrigin::Hidden };
    let shown = config.show(name.as_ref()).ok_or_else(|| {
        let known: Vec<&str> = config.environments.keys().map(lock_model::EnvironmentName::as_str).collect();
        CliError::new(ExitCode::Usage, format!("there is no environment `{}`", args.env.as_deref().unwrap_or_default()))
            .hint(format!("the configuration has: {}", known.join(", ")))
    })?;
    let document = serde_json::json!({ "command": "config show", "config": shown.to_json(origin) });
    Ok(Report::new(ExitCode::Done, shown.to_yaml(origin), document))
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

/// Reads the work tree's file, or a revision's.
fn read(global: &GlobalArgs, args: &ConfigArgs) -> CliResult<Config> {
    if let Some(revision) = &args.rev {
        let local = Local::open(global)?;
        let bytes = local
            .git
            .read_file(revision, CONFIGURATION_FILE)
            .map_err(|error| git_error("the configuration cannot be read", &error))?
            .ok_or_else(|| CliError::new(ExitCode::Usage, format!("`{CONFIGURATION_FILE}` is not in `{revision}`")))?;
        return parse_config(CONFIGURATION_FILE, &bytes);
    }
    let path = global.repository.join(CONFIGURATION_FILE);
    let bytes = std::fs::read(&path).map_err(|error| {
        CliError::from_source(ExitCode::Usage, format!("`{}` cannot be read", path.display()), &error)
            .hint("name the superproject with `--repository DIR`, or a commit with `--rev REV`")
    })?;
    parse_config(CONFIGURATION_FILE, &bytes)
}
