//! The settings that an environment gives to its services: read where the configuration says that they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::{Deployment, Environment, SettingFormat, SettingOrigin, SettingSource, Target, Values};
use deployer::settings::{
    Configuration, PullSecret, ServiceSettings, parse_dotenv, parse_json, parse_kubectl_env_file, parse_yaml,
};
use lock_model::{ServiceName, TreePath};
use process::Invocation;
use secrecy::{ExposeSecret as _, SecretString};

use super::deploy::{Deployable, Destination};
use super::execution::{Workspace, expand};
use super::planning::Planning;
use super::setting_limits;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::Event;
use crate::revision::Revision;
use crate::secret_program;
use crate::secrets::{SHORTEST, stands_in_tree};

/// How long a program may take that prints settings.
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);
/// How much it may print.
const OUTPUT_LIMIT: usize = 1 << 20;

impl Planning<'_> {
    /// What the environment deploys, with the settings of each service. The variables and programs that they come from are
    /// looked at here and nowhere else: a proof needs none of them.
    pub(crate) async fn with_settings(&self, context: &Context, configuration: Configuration) -> Result<Deployable> {
        let mut deployable = self.deployable()?;
        match &deployable.destination {
            Destination::Render { .. } => return Ok(deployable),
            Destination::Helm(_) | Destination::Apply(..) => {}
        }
        deployable.request.configuration = configuration;
        let mut resolving = Resolving::new(context, self.revision, self.environment, Programs::Run);
        let today = context.now().date();
        for service in &mut deployable.request.services {
            let Some(entry) = self.lock.services().get(&service.name) else { continue };
            let Deployment::Deploy(settings) = self.environment.decide(&service.name, &entry.path, today) else {
                continue;
            };
            resolving.composed.clear();
            let config = resolving.list("config", &service.name, &entry.path, &settings.config).await?;
            let composed = std::mem::take(&mut resolving.composed);
            let secret = resolving.list("secret", &service.name, &entry.path, &settings.secret).await?;
            let secret = secret.map(|data| data.into_iter().map(|(key, value)| (key, value.into())).collect());
            service.settings = ServiceSettings { config, secret, composed };
        }
        deployable.request.pull_secret = resolving.pull_secret();
        if resolving.problems.is_empty() {
            for value in resolving.filled_in.into_values() {
                if value.len() >= SHORTEST && !stands_in_tree(context, self.revision, &value)? {
                    deployable.request.masked.push(value.into());
                }
            }
            let services = deployable.request.services.iter().filter_map(|service| service.settings.secret.as_ref());
            let secrets = services.flat_map(BTreeMap::values);
            let passwords = deployable.request.pull_secret.iter().map(|pull| &pull.password);
            let masked = deployable.request.masked.iter();
            for secret in
                secrets.chain(passwords).chain(masked).filter(|secret| secret.expose_secret().len() >= SHORTEST)
            {
                context.emit(Event::Secret(secret));
            }
            return Ok(deployable);
        }
        let message = format!("the settings of `{}` cannot be had, nothing was changed", self.environment.name);
        Err(Error::new(ErrorKind::Usage, message).problems(resolving.problems))
    }
}

/// The secrets of an environment's services that files hold, or that programs print. What cannot be had is said: a suite can
/// show it all the same.
pub(crate) async fn printed_secrets(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
) -> Result<BTreeSet<String>> {
    let services = revision.services();
    let today = context.now().date();
    let mut resolving = Resolving::new(context, revision, environment, Programs::Run);
    let mut found = BTreeSet::new();
    for service in &services {
        let Deployment::Deploy(settings) = environment.decide(&service.name, &service.path, today) else { continue };
        let values = environment.service_values(&service.name, &service.path);
        for source in &settings.secret {
            match &source.from {
                SettingOrigin::File { .. } | SettingOrigin::Command { .. } => {}
                SettingOrigin::Variable { .. } | SettingOrigin::Variables(_) | SettingOrigin::Set(_) => continue,
            }
            match resolving.source(source, &values).await? {
                Ok(data) => found.extend(data.into_values()),
                Err(reason) => context.note_once(format!(
                    "warning: secrets of `{}` are not masked in the output of suites, since they cannot be had: {reason}",
                    service.name
                )),
            }
        }
    }
    Ok(found)
}

/// What is wrong with the settings of an environment and its pull secret, as far as it shows without running the programs that
/// print some of them.
pub(super) async fn setting_problems(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
) -> Result<Vec<Problem>> {
    match &environment.target {
        Some(Target::Helm(_) | Target::Apply(_)) => {}
        Some(Target::Render(_)) | None => return Ok(Vec::new()),
    }
    let services = revision.services();
    let today = context.now().date();
    let mut resolving = Resolving::new(context, revision, environment, Programs::LeftOut);
    for service in &services {
        let Deployment::Deploy(settings) = environment.decide(&service.name, &service.path, today) else { continue };
        for (list, sources) in [("config", &settings.config), ("secret", &settings.secret)] {
            resolving.list(list, &service.name, &service.path, sources).await?;
        }
    }
    resolving.pull_secret();
    Ok(resolving.problems)
}

/// What happens with programs that print settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Programs {
    Run,
    /// They are taken to print nothing.
    LeftOut,
}

/// Reads settings, and collects what is wrong with them.
struct Resolving<'a> {
    context: &'a Context,
    revision: &'a Revision,
    environment: &'a Environment,
    workspace: Workspace<'a>,
    programs: Programs,
    problems: Vec<Problem>,
    /// The variables that `set` fills in, with their values.
    filled_in: BTreeMap<String, String>,
    /// The keys of the list that variables are filled into which are not `plain`.
    composed: BTreeSet<String>,
}

pub(crate) type Data = BTreeMap<String, String>;

impl<'a> Resolving<'a> {
    fn new(context: &'a Context, revision: &'a Revision, environment: &'a Environment, programs: Programs) -> Self {
        Self {
            context,
            revision,
            environment,
            workspace: Workspace::new(context, revision),
            programs,
            problems: Vec::new(),
            filled_in: BTreeMap::new(),
            composed: BTreeSet::new(),
        }
    }

    /// The settings of one list, merged in order; `None` where the list is empty.
    async fn list(
        &mut self,
        list: &str,
        service: &ServiceName,
        path: &TreePath,
        sources: &[SettingSource],
    ) -> Result<Option<Data>> {
        if sources.is_empty() {
            return Ok(None);
        }
        let values = self.environment.service_values(service, path);
        let mut merged: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (index, source) in sources.iter().enumerate() {
            let found = match self.source(source, &values).await? {
                Ok(found) => found,
                Err(reason) => {
                    self.wrong(service, format!("`{list}[{index}]`: {reason}"));
                    continue;
                }
            };
            for (key, value) in found {
                if let Some((earlier, _)) = merged.get(&key)
                    && !source.replace
                {
                    let message = format!(
                        "`{list}[{index}]`: key `{key}` is given by `{list}[{earlier}]` already; `replace: true` says that it \
                         is meant"
                    );
                    self.wrong(service, message);
                }
                merged.insert(key, (index, value));
            }
        }
        for problem in setting_limits::problems(list, &merged) {
            self.wrong(service, problem);
        }
        Ok(Some(merged.into_iter().map(|(key, (_, value))| (key, value)).collect()))
    }

    fn wrong(&mut self, service: &ServiceName, message: String) {
        self.problems.push(Problem::new(service.to_string(), message));
    }

    /// The settings of one source, or why there are none; without any value of them.
    async fn source(&mut self, source: &SettingSource, values: &Values) -> Result<Result<Data, String>> {
        Ok(match &source.from {
            SettingOrigin::Variable { name, format } => {
                let name = expand(name, values)?;
                self.variable(&name).and_then(|text| {
                    parse(*format, &text).map_err(|reason| format!("environment variable `{name}`: {reason}"))
                })
            }
            SettingOrigin::File { path, format } => {
                let path = expand(path, values)?;
                let file = TreePath::try_from(path.as_str()).map_err(|error| error.to_string());
                match file.map(|file| self.revision.inputs.file(self.context, &file)) {
                    Ok(file) => text_of(file?.bytes)
                        .and_then(|text| parse(*format, &text))
                        .map_err(|reason| format!("`{path}`: {reason}")),
                    Err(reason) => Err(reason),
                }
            }
            SettingOrigin::Command { .. } if self.programs == Programs::LeftOut => Ok(Data::new()),
            SettingOrigin::Command { command, files, format } => {
                let ready = self.workspace.command(command, files, values)?;
                let name = command.program.to_string();
                let invocation = Invocation::new(&ready.program)
                    .args(&ready.arguments)
                    .envs(&ready.environment)
                    .current_dir(&ready.folder)
                    .deadline(COMMAND_DEADLINE)
                    .output_limit(OUTPUT_LIMIT);
                match secret_program::run(&self.context.surroundings, invocation).await {
                    Ok(output) if output.success() => text_of(output.stdout).and_then(|text| parse(*format, &text)),
                    // What it printed can be the secrets themselves.
                    Ok(output) => Err(format!("it ended with {}", output.status())),
                    Err(reason) => Err(reason),
                }
                .map_err(|reason| format!("program `{name}`: {reason}"))
            }
            SettingOrigin::Variables(names) => {
                names.iter().map(|name| Ok((name.to_string(), self.variable(name.as_str())?))).collect()
            }
            SettingOrigin::Set(settings) => {
                let mut data = Data::new();
                for (key, template) in settings {
                    let mut values = values.clone();
                    for name in template.environment(&values).map_err(bug)? {
                        match self.variable(&name) {
                            Ok(value) => {
                                if !self.is_plain(&name) {
                                    self.composed.insert(key.clone());
                                    self.filled_in.insert(name.clone(), value.clone());
                                }
                                values = values.with_environment(&name, value);
                            }
                            Err(reason) => return Ok(Err(format!("key `{key}`: {reason}"))),
                        }
                    }
                    data.insert(key.clone(), template.expand(&values).map_err(bug)?);
                }
                Ok(data)
            }
        })
    }

    fn is_plain(&self, name: &str) -> bool {
        self.revision.config.plain_variables().iter().any(|plain| plain.as_str() == name)
    }

    fn variable(&self, name: &str) -> std::result::Result<String, String> {
        // An empty variable counts as none.
        self.context.variable(name).ok_or_else(|| {
            format!(
                "environment variable `{name}` is not set, or empty, which is how a forge gives a secret that it lacks"
            )
        })
    }

    fn pull_secret(&mut self) -> Option<PullSecret> {
        let pull = self.environment.pull_secret.as_ref()?;
        let (username, password) = (self.variable(pull.username.as_str()), self.variable(pull.password.as_str()));
        for reason in [username.as_ref().err(), password.as_ref().err()].into_iter().flatten() {
            self.problems.push(Problem::new("pull-secret", reason.clone()));
        }
        let password = password.ok()?;
        // Whatever the variable is called.
        if self.context.variable("GITHUB_TOKEN").is_some_and(|token| token == password) {
            let message =
                "its password is the job's `GITHUB_TOKEN`, which ends with the job: the cluster pulls later too";
            self.problems.push(Problem::new("pull-secret", message));
        }
        Some(PullSecret {
            name: pull.name.to_string(),
            registry: pull.registry.clone(),
            username: username.ok()?,
            password: SecretString::from(password),
        })
    }
}

/// The settings in a text.
pub(crate) fn parse(format: SettingFormat, text: &str) -> std::result::Result<Data, String> {
    let data = match format {
        SettingFormat::KubectlEnvFile => parse_kubectl_env_file(text),
        SettingFormat::Dotenv => parse_dotenv(text),
        SettingFormat::Yaml => parse_yaml(text),
        SettingFormat::Json => parse_json(text),
    };
    data.map_err(|error| error.to_string())
}

fn text_of(bytes: Vec<u8>) -> std::result::Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn bug(error: config::MissingValue) -> Error {
    Error::from_source(ErrorKind::Bug, "a template of a setting was not filled in", error)
}
