use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use config::{Template, Values, Variable};
use deployer::{ComposeError, ImagePin};
use lock_model::{CONFIG_FILE, Content, Lock};

use super::files::{STANDARD_INPUT, candidates, is_file, read_bytes, read_lock_file};
use crate::context::{Local, Surroundings, git_error};
use crate::error::{Error, ErrorKind, Result};
use crate::hints::of_uncommitted_configuration;
use crate::inputs::Inputs;
use crate::output_file::{check_output, write_output};
use crate::report::v1::LockComposeReport;
use crate::revision::parse_config;

/// Which compose file gets which lock's images.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ComposeRequest {
    /// The compose file, `-` for standard input: read, never changed.
    pub file: PathBuf,
    /// A lock file, or a revision that holds one.
    pub lock: String,
    /// What the compose file calls a service of the lock: `{name}`, `{short}`, `{short_}`, `{path}`.
    pub service: String,
    /// Write the override into this file.
    pub output: Option<PathBuf>,
}

impl ComposeRequest {
    /// The lock in `HEAD`, with the short names of its services.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), lock: "HEAD".to_owned(), service: "{short}".to_owned(), output: None }
    }
}

/// Makes an override file for `docker compose` with the images of a lock.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where the compose file cannot be used.
pub fn compose_override(
    repository: &Path,
    request: &ComposeRequest,
    surroundings: &Surroundings,
) -> Result<LockComposeReport> {
    if request.file == Path::new(STANDARD_INPUT) && request.lock == STANDARD_INPUT {
        return Err(Error::new(ErrorKind::Usage, "the compose file and the lock cannot both be standard input")
            .hint("name a file for one of them; without `--lock` it is the lock in `HEAD`"));
    }
    let local = Local::open(repository, surroundings).ok();
    let work_tree = local.as_ref().and_then(|local| local.git.work_tree());
    if let Some(output) = &request.output {
        check_output(work_tree, output)?;
    }
    let lock = read_lock_file(&request.lock, surroundings, || Local::open(repository, surroundings))?.lock;
    if let Some(output) = &request.output {
        for input in [request.file.as_path(), Path::new(&request.lock)] {
            keeps(input, output)?;
        }
    }
    let bytes = read_bytes(&request.file, surroundings)?;
    let (prefix, uncommitted) = prefix(repository, &request.lock, surroundings)?;
    let pins = pins(&lock, &request.service, &prefix)?;
    let made = deployer::compose_override(&bytes, &request.file.display().to_string(), &pins).map_err(|error| {
        let hint = hint_of(&error);
        Error::from_source(ErrorKind::Usage, "there is no override file to make", error).hint(hint)
    })?;
    if let Some(path) = &request.output {
        write_output(work_tree, path, made.text.as_bytes())?;
    }
    Ok(LockComposeReport {
        lock: lock.id().clone(),
        compose_file: request.file.display().to_string(),
        services: made.pinned.iter().map(|(name, pin)| (name.clone(), pin.to_string())).collect(),
        warnings: made.warnings.iter().map(ToString::to_string).chain(uncommitted).collect(),
        file: made.text,
        written: request.output.as_ref().map(|path| path.display().to_string()),
    })
}

/// What to do about a compose file that gives no override.
fn hint_of(error: &ComposeError) -> &'static str {
    match error {
        ComposeError::Unreadable { .. } => "correct the file: `docker compose config` reads it too",
        ComposeError::NoServices { .. } => "name the compose file that has the services",
        ComposeError::NothingLocked { .. } => {
            "`--service TEMPLATE` says what the file calls a service, such as `{name}` or `{short}`"
        }
    }
}

/// Refuses an output that is one of the inputs, by whatever name.
fn keeps(input: &Path, output: &Path) -> Result<()> {
    let (Ok(one), Ok(other)) = (input.metadata(), output.metadata()) else { return Ok(()) };
    if (one.dev(), one.ino()) != (other.dev(), other.ino()) {
        return Ok(());
    }
    let message = format!("`{}` would be written over, and it is read", output.display());
    Err(Error::new(ErrorKind::Usage, message).hint("an override is a file of its own: `-f compose.yml -f locked.yml`"))
}

/// What service names begin with, by the configuration of the lock's commit, and a warning where the work tree has another
/// one. Nothing where there is no configuration.
fn prefix(repository: &Path, lock: &str, surroundings: &Surroundings) -> Result<(String, Option<String>)> {
    let Ok(local) = Local::open(repository, surroundings) else { return Ok(Default::default()) };
    let revision = if is_file(lock) { "HEAD" } else { lock };
    let unreadable = |error| git_error("the configuration cannot be read", error);
    for candidate in &candidates(revision) {
        let Some(commit) = local.git.commit(candidate).map_err(unreadable)? else { continue };
        let bytes = Inputs::config(&local.git, candidate).map_err(unreadable)?;
        let Some(bytes) = bytes else { break };
        let prefix = parse_config(CONFIG_FILE, &bytes)?.project.prefix;
        return Ok((prefix, of_uncommitted_configuration(&local.git, &commit.id)));
    }
    Ok(Default::default())
}

/// The locked images, by the name that the compose file has for each service.
fn pins(lock: &Lock, template: &str, prefix: &str) -> Result<BTreeMap<String, ImagePin>> {
    let known = [Variable::Name, Variable::Short, Variable::ShortUnderscore, Variable::Path];
    let unusable = |error: &dyn std::error::Error| {
        Error::new(ErrorKind::Usage, format!("`--service {template}` cannot be used: {error}"))
    };
    let template = Template::new(template, &known).map_err(|error| unusable(&error))?;
    let mut pins = BTreeMap::new();
    for (name, service) in lock.services() {
        let Content::Image(image) = &service.content else { continue };
        let values = Values::new().service(name, &service.path, prefix);
        let called = template.expand(&values).map_err(|error| unusable(&error))?;
        if pins.insert(called.clone(), ImagePin::from(image)).is_some() {
            return Err(Error::new(ErrorKind::Usage, format!("two services of the lock would be `{called}`"))
                .hint("give `--service` a template that tells them apart, such as `{name}`"));
        }
    }
    Ok(pins)
}
