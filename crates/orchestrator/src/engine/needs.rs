//! What the suites and probes of an environment need of the tree and of the machine. A run asks before its first effect, and
//! a pull request of what it would merge.

use std::collections::{BTreeMap, BTreeSet};

use config::{
    CommandLine, Environment, Kubeconfig, MachineFile, ProgramName, SourceValue, SuiteKind, Target, Template, Variable,
};
use lock_model::{SuiteName, TreePath};
use process::Program;
use qa::HttpSuite;

use super::settings::setting_problems;
use super::suites::suite;
use super::tree_program::TreeProgram;
use crate::cluster_target::{ClusterPlace, kubeconfig_place};
use crate::config_values;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::kubeconfig_file::path_of;
use crate::revision::Revision;

/// What is needed, as far as it can be known without starting anything.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// What is wrong with the suites, the probes and their files, each with what to do about it.
    pub problems: Vec<(Problem, String)>,
    /// The programs that this machine does not have.
    pub programs: Vec<Problem>,
    /// The environment variables of the job, and what reads each.
    pub variables: BTreeMap<String, BTreeSet<String>>,
    /// The files of the machine, and what reads each.
    pub files: BTreeMap<MachineFile, BTreeSet<String>>,
    /// The address is in a variable of this job, and is none.
    pub address: Option<Error>,
    /// What is wrong with the settings of services.
    pub settings: Vec<Problem>,
    /// Why the kubeconfig of this job cannot be used.
    pub kubeconfig: Option<Error>,
}

impl Needs {
    /// The variables that this job does not have.
    pub(crate) fn missing_variables(&self, context: &Context) -> Vec<Problem> {
        let missing = self.variables.iter().filter(|(name, _)| context.variable(name).is_none());
        missing
            .map(|(name, readers)| {
                let readers: Vec<&str> = readers.iter().map(String::as_str).collect();
                Problem::new(name, format!("is not set, and read by {}", readers.join(", ")))
            })
            .collect()
    }

    /// The files that this machine does not have. Who else can read those that it has is judged when they are read.
    pub(crate) fn missing_files(&self, context: &Context) -> Vec<Problem> {
        let home = context.surroundings.home.as_deref();
        let is_missing = |file| path_of(file, home).is_some_and(|path| matches!(path.try_exists(), Ok(false)));
        let missing = self.files.iter().filter(|(file, _)| is_missing(*file));
        missing
            .map(|(file, readers)| {
                let readers: Vec<&str> = readers.iter().map(String::as_str).collect();
                Problem::new(file.as_str(), format!("does not exist, and is read by {}", readers.join(", ")))
            })
            .collect()
    }

    fn address(&mut self, context: &Context, revision: &Revision, place: &str, source: &SourceValue) -> Result<()> {
        if let SourceValue::Env(name) = source {
            self.reads([name], place);
            if context.variable(name.as_str()).is_none() {
                return Ok(());
            }
        }
        match (config_values::address(context, &revision.inputs, place, source), source) {
            (Ok(_), _) => {}
            (Err(error), SourceValue::Env(_)) => self.address = Some(error),
            (Err(error), SourceValue::Value(_) | SourceValue::File(_)) if error.kind() == ErrorKind::Usage => {
                let hint = format!("correct `{place}` in a pull request: `{{ value: \"https://HOST\" }}`");
                self.problems.push((Problem::new(place, error.message()), hint));
            }
            (Err(error), SourceValue::Value(_) | SourceValue::File(_)) => return Err(error),
        }
        Ok(())
    }

    /// Adds what a deployment needs of the machine: settings, the programs that print some of them, helm or kustomize, and a
    /// kubeconfig that can be used.
    pub(super) async fn deployment(
        &mut self,
        context: &Context,
        revision: &Revision,
        environment: &Environment,
    ) -> Result<()> {
        self.settings = setting_problems(context, revision, environment).await?;
        let services = revision.services();
        let commands = environment.setting_commands(&services);
        let wanted: BTreeSet<TreePath> = commands.iter().filter_map(|(_, command)| command.file().cloned()).collect();
        let files = revision.inputs.read_all(context, |path| wanted.contains(path))?;
        let files: BTreeMap<TreePath, Vec<u8>> = files.into_iter().map(|file| (file.path, file.bytes)).collect();
        let mut looking = Looking { context, environment, files: &files, needs: std::mem::take(self) };
        for (reader, command) in commands {
            looking.needs.reads(&command.environment, &reader);
            looking.program(&reader, command);
        }
        *self = looking.needs;
        if environment.target.as_ref().is_some_and(Target::has_charts)
            && let Err(error) = program(context, "helm")
        {
            let subject = format!("environments.{}.target", environment.name);
            self.programs.push(Problem::new(subject, error.message()));
        }
        if environment.has_kustomizations(&services)
            && let (Err(error), Err(_)) = (program(context, "kustomize"), program(context, "kubectl"))
        {
            let subject = format!("environments.{}.target", environment.name);
            self.programs.push(Problem::new(subject, format!("{}, and neither is `kubectl`", error.message())));
        }
        // A variable or file that is missing is named with the others.
        if self.missing_variables(context).is_empty()
            && self.missing_files(context).is_empty()
            && let Some(place) = ClusterPlace::of(context, &revision.config, environment)
        {
            self.kubeconfig = place.kubeconfig(context).err();
        }
        Ok(())
    }

    /// Adds the variables that the settings of services are read from.
    pub(crate) fn read_settings(&mut self, revision: &Revision, environment: &Environment) {
        let services = revision.services();
        for (name, readers) in environment.setting_variables(&services) {
            self.variables.entry(name).or_default().extend(readers);
        }
    }

    fn login(&mut self, kubeconfig: &Kubeconfig, reader: &str) {
        self.reads(kubeconfig.variable(), reader);
        if let Some(path) = kubeconfig.file() {
            self.files.entry(path.clone()).or_default().insert(reader.to_owned());
        }
    }

    fn reads<'a>(&mut self, names: impl IntoIterator<Item = &'a config::EnvironmentVariable>, reader: &str) {
        for name in names {
            self.variables.entry(name.to_string()).or_default().insert(reader.to_owned());
        }
    }
}

/// Whether the environment's probes are asked as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probes {
    Asked,
    NotAsked,
}

/// What these suites of an environment need, and its probes.
pub(crate) fn needs(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
    suites: &[SuiteName],
    probes: Probes,
) -> Result<Needs> {
    let mut needs = Needs::default();
    if probes == Probes::Asked
        && let Some(kubeconfig) = &environment.kubeconfig
    {
        let place = kubeconfig_place(&revision.config, environment);
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        needs.login(kubeconfig, &format!("environments.{}.kubeconfig{place}", environment.name));
    }
    let none = config::Health::default();
    let health = if probes == Probes::Asked { &environment.health } else { &none };
    if suites.is_empty() && health.questions().next().is_none() {
        return Ok(needs);
    }
    if let Some(source) = &environment.url {
        needs.address(context, revision, &format!("environments.{}.url", environment.name), source)?;
    }
    let definitions = suites.iter().map(|name| suite(revision, name)).collect::<Result<Vec<_>>>()?;
    let programs = health.questions().filter_map(|(_, probe)| probe.command()?.file().cloned());
    let mut wanted: BTreeSet<TreePath> = programs.collect();
    for definition in &definitions {
        wanted.extend(match &definition.kind {
            SuiteKind::Command(command) => command.command.file().cloned(),
            SuiteKind::Http { file } => Some(file.clone()),
            SuiteKind::Container(_) => None,
        });
    }
    let files = revision.inputs.read_all(context, |path| wanted.contains(path))?;
    let files: BTreeMap<TreePath, Vec<u8>> = files.into_iter().map(|file| (file.path, file.bytes)).collect();
    // Rules that fit no service are refused with the lock.
    let paths: Vec<TreePath> = revision.scan.submodules.iter().map(|submodule| submodule.path.clone()).collect();
    let services = revision.config.assign_services(&paths).ok();
    let mut looking = Looking { context, environment, files: &files, needs };
    for definition in definitions {
        let subject = format!("suite {}", definition.name);
        match &definition.kind {
            SuiteKind::Command(command) => looking.command(&subject, &command.command),
            SuiteKind::Http { file } => looking.http_file(&subject, file),
            SuiteKind::Container(container) => {
                looking.needs.reads(&container.environment, &subject);
                looking.address(&subject, container.templates());
                if let Some(kubeconfig) = &environment.kubeconfig {
                    looking.needs.login(kubeconfig, &subject);
                }
                let problem = services.as_ref().and_then(|all| revision.config.suite_image_problem(definition, all));
                if let Some(problem) = problem {
                    let hint = format!("name another image or service in `suites.{}`", definition.name);
                    looking.needs.problems.push((Problem::new(&subject, problem), hint));
                }
            }
        }
    }
    for (name, probe) in health.questions() {
        let subject = format!("probe {name}");
        if let Some(command) = probe.command() {
            looking.command(&subject, command);
        }
        looking.address(&subject, probe.address());
        if let Some(login) = probe.login() {
            looking.needs.reads([&login.user, &login.password], &subject);
        }
        if let Some(SourceValue::Env(name)) = probe.authorities() {
            looking.needs.reads([name], &subject);
        }
    }
    Ok(looking.needs)
}

struct Looking<'a> {
    context: &'a Context,
    environment: &'a Environment,
    files: &'a BTreeMap<TreePath, Vec<u8>>,
    needs: Needs,
}

impl Looking<'_> {
    /// A fault of a file.
    fn wrong(&mut self, subject: &str, message: impl Into<String>) {
        let hint = "correct the file in a change of its own, or take the suite or probe out";
        self.needs.problems.push((Problem::new(subject, message), hint.to_owned()));
    }

    fn command(&mut self, subject: &str, command: &CommandLine) {
        self.needs.reads(&command.environment, subject);
        self.address(subject, &command.arguments);
        self.program(subject, command);
    }

    fn program(&mut self, subject: &str, command: &CommandLine) {
        match &command.program {
            ProgramName::OnPath(name) => {
                if let Err(error) = program(self.context, name) {
                    self.needs.programs.push(Problem::new(subject, error.message()));
                }
            }
            ProgramName::InTree(path) => {
                let Some(bytes) = self.files.get(path) else { return };
                match TreeProgram::read(path, bytes) {
                    Err(wrong) => self.wrong(subject, wrong),
                    Ok(TreeProgram::Script(interpreter)) if !interpreter.is_there(self.context) => {
                        let message =
                            format!("`./{path}` is run by `{}`, which this machine has not", interpreter.name());
                        self.needs.programs.push(Problem::new(subject, message));
                    }
                    Ok(TreeProgram::Script(_) | TreeProgram::Binary) => {}
                }
            }
        }
    }

    fn http_file(&mut self, subject: &str, path: &TreePath) {
        let Some(bytes) = self.files.get(path) else { return };
        match HttpSuite::parse(path.as_str(), bytes) {
            Ok(suite) if suite.uses_url() && self.environment.url.is_none() => self.no_address(subject),
            Ok(_) => {}
            Err(error) => {
                for problem in error.problems {
                    self.wrong(subject, problem.to_string());
                }
            }
        }
    }

    /// Templates that need the environment's address, where it has none.
    fn address<'a>(&mut self, subject: &str, templates: impl IntoIterator<Item = &'a Template>) {
        if self.environment.url.is_none() && templates.into_iter().any(|template| template.uses(Variable::Url)) {
            self.no_address(subject);
        }
    }

    fn no_address(&mut self, subject: &str) {
        let name = &self.environment.name;
        let message = format!("uses `{{url}}`, and `environments.{name}` has no `url:`");
        let hint = format!(
            "say where `{name}` answers: `url: {{ value: \"https://HOST\" }}` in `environments.{name}`, or `{{ env: NAME }}` where a \
             variable of the job has it"
        );
        self.needs.problems.push((Problem::new(subject, message), hint));
    }
}

/// What to do about a program that is not there.
pub(crate) const PROGRAM_HINT: &str =
    "install the program where this command runs; a program of the tree is written `./PATH`";

/// Finds a program of the machine.
pub(super) fn program(context: &Context, name: &str) -> Result<Program> {
    Program::find(name, &context.surroundings.search_path).map_err(|error| {
        Error::from_source(ErrorKind::Usage, format!("program `{name}` is not on the search path of this job"), error)
            .hint(PROGRAM_HINT)
    })
}

/// Parses the file of an HTTP suite.
pub(super) fn http_suite(path: &TreePath, bytes: &[u8]) -> Result<HttpSuite> {
    HttpSuite::parse(path.as_str(), bytes).map_err(|error| Error::new(ErrorKind::Usage, error.to_string().trim_end()))
}
