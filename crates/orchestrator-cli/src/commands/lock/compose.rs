//! `lock compose`: the locked images for `docker compose`.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Template, Values, Variable};
use deployer::{ImagePin, compose_override};
use lock_model::{Content, Lock};

use super::{candidates, read_lock, write_file};
use crate::arguments::{GlobalArgs, LockComposeArgs};
use crate::context::{Local, git_error};
use crate::engine::short_id;
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::output::{Report, count};
use crate::snapshot::{CONFIGURATION_FILE, parse_config};

/// Writes an override file with the images of a lock.
pub(crate) fn compose(global: &GlobalArgs, args: &LockComposeArgs) -> CliResult<Report> {
    let lock = read_lock(global, &args.lock)?.lock;
    let bytes = std::fs::read(&args.file).map_err(|error| {
        CliError::from_source(ExitCode::Usage, format!("`{}` cannot be read", args.file.display()), &error)
    })?;
    let pins = pins(&lock, &args.service, &prefix(global, &args.lock)?)?;
    let made = compose_override(&bytes, &args.file.display().to_string(), &pins).map_err(|error| {
        CliError::from_source(ExitCode::Usage, "there is no override file to make", &error)
            .hint("`--service TEMPLATE` says what the file calls a service, such as `{name}` or `{short}`")
    })?;
    let document = serde_json::json!({
        "command": "lock compose", "lock": lock.id(),
        "services": made.pinned.iter().map(|(name, pin)| (name, pin.to_string())).collect::<BTreeMap<_, _>>(),
        "override": made.text,
    });
    let human = match &args.output {
        None => made.text,
        Some(path) => {
            write_file(path, made.text.as_bytes())?;
            let images = count(made.pinned.len(), "image");
            let id = short_id(lock.id().as_str());
            format!(
                "{images} of lock {id} in {output}: `docker compose -f {} -f {output} up` runs them\n",
                args.file.display(),
                output = path.display()
            )
        }
    };
    let warnings: Vec<String> = made.warnings.iter().map(ToString::to_string).collect();
    Ok(Report::new(ExitCode::Done, human, document).warnings(warnings))
}

/// What service names begin with, by the configuration beside the lock; nothing where there is none.
fn prefix(global: &GlobalArgs, lock: &str) -> CliResult<String> {
    let Ok(local) = Local::open(global) else { return Ok(String::new()) };
    let revision = if Path::new(lock).is_file() { "HEAD" } else { lock };
    let unreadable = |error: &git::GitError| git_error("the configuration cannot be read", error);
    for candidate in &candidates(revision) {
        if local.git.commit(candidate).map_err(|error| unreadable(&error))?.is_none() {
            continue;
        }
        let bytes = local.git.read_file(candidate, CONFIGURATION_FILE).map_err(|error| unreadable(&error))?;
        let Some(bytes) = bytes else { break };
        return Ok(parse_config(CONFIGURATION_FILE, &bytes)?.project.prefix);
    }
    Ok(String::new())
}

/// The locked images, by the name that the compose file has for each service.
fn pins(lock: &Lock, template: &str, prefix: &str) -> CliResult<BTreeMap<String, ImagePin>> {
    let known = [Variable::Name, Variable::Short, Variable::ShortUnderscore, Variable::Path];
    let unusable = |error: &dyn std::error::Error| {
        CliError::new(ExitCode::Usage, format!("`--service {template}` cannot be used: {error}"))
    };
    let template = Template::new(template, &known).map_err(|error| unusable(&error))?;
    let mut pins = BTreeMap::new();
    for (name, service) in lock.services() {
        let Content::Image(image) = &service.content else { continue };
        let values = Values::new().service(name, &service.path, prefix);
        let called = template.expand(&values).map_err(|error| unusable(&error))?;
        if pins.insert(called.clone(), ImagePin::from(image)).is_some() {
            return Err(CliError::new(ExitCode::Usage, format!("two services of the lock would be `{called}`"))
                .hint("give `--service` a template that tells them apart, such as `{name}`"));
        }
    }
    Ok(pins)
}
