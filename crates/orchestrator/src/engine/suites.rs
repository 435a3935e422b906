//! Suites: from the configuration and the tree to a run in a folder of its own, and its report.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use config::{CommandLine, Environment, ProgramName, Suite, SuiteKind, Values, Variable};
use ledger::{StepKey, SuiteRef};
use lock_model::{Digest, SuiteName, TreePath, suite_digest};
use process::{EnvVars, Program};
use qa::{CommandSuite, HttpClient, HttpRun, HttpSuite, SuiteReport};

use super::Engine;
use super::health::{CONNECT_DEADLINE, USER_AGENT, expand, values_of};
use super::step_outcome::StepOutcome;
use crate::context::{Context, git_error};
use crate::error::{Error, ErrorKind, Result};
use crate::revision::Revision;

impl Engine<'_> {
    /// Runs one suite of the plan.
    pub(super) async fn suite(&self, key: &StepKey) -> Result<StepOutcome> {
        let reference = key.suite().ok_or_else(|| Error::new(ErrorKind::Bug, format!("step `{key}` is no suite")))?;
        let report = run_suite(self.context, &self.revision, &self.environment, &reference.name).await?;
        let detail = report.summary();
        let answer =
            if report.is_passed() { StepOutcome::ok(detail) } else { StepOutcome::failed(ErrorKind::Negative, detail) };
        Ok(answer.document(&format!("suite-{}.json", reference.name), &report))
    }
}

/// A suite of the configuration.
fn suite<'a>(revision: &'a Revision, name: &SuiteName) -> Result<&'a Suite> {
    revision.config.suites.get(name).ok_or_else(|| {
        let known: Vec<&str> = revision.config.suites.keys().map(SuiteName::as_str).collect();
        Error::new(ErrorKind::Invalid, format!("there is no suite `{name}`"))
            .hint(format!("the configuration has: {}", known.join(", ")))
    })
}

/// Name and digest of a suite: its definition and the content of its files.
pub(crate) fn suite_reference(context: &Context, revision: &Revision, name: &SuiteName) -> Result<SuiteRef> {
    let suite = suite(revision, name)?;
    let mut files = BTreeMap::new();
    for path in suite.files() {
        let bytes = file(context, revision, &path)?;
        files.insert(path, Digest::of(&bytes));
    }
    let digest = suite_digest(suite.kind_name(), &suite.definition, &files, None);
    Ok(SuiteRef { name: name.clone(), digest })
}

/// Runs a suite against an environment.
pub(crate) async fn run_suite(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
    name: &SuiteName,
) -> Result<SuiteReport> {
    let definition = suite(revision, name)?;
    let values = values_of(context, revision, environment)?;
    let mut workspace = Workspace::new(context, revision);
    let runnable = match &definition.kind {
        SuiteKind::Command(command) => {
            let ready = workspace.command(&command.command, &command.files, &values)?;
            let mut suite = CommandSuite::new(ready.program, ready.folder, definition.deadline);
            (suite.args, suite.envs) = (ready.arguments, ready.environment);
            suite.interrupt = context.surroundings.interrupt.clone();
            qa::Suite::Command(suite)
        }
        SuiteKind::Http { file: path } => {
            let bytes = file(context, revision, path)?;
            let suite = HttpSuite::parse(path.as_str(), &bytes)
                .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string().trim_end()))?;
            let client = HttpClient::new(USER_AGENT, CONNECT_DEADLINE)
                .map_err(|error| Error::from_source(ErrorKind::Bug, "the HTTP client cannot be made", error))?;
            let mut run = HttpRun::new(suite, client, definition.deadline);
            run.variables.mode = Some(environment.mode.to_string());
            if environment.url.is_some() {
                run.variables.url = Some(url_of(context, revision, environment)?);
            }
            qa::Suite::Http(run)
        }
    };
    Ok(qa::run(name.as_str(), &runnable).await)
}

fn url_of(context: &Context, revision: &Revision, environment: &Environment) -> Result<String> {
    let values = values_of(context, revision, environment)?;
    let template = config::Template::new("{url}", &[Variable::Url])
        .map_err(|error| Error::from_source(ErrorKind::Bug, "the address template is wrong", error))?;
    Ok(expand(&template, &values)?.trim_end_matches('/').to_owned())
}

fn file(context: &Context, revision: &Revision, path: &TreePath) -> Result<Vec<u8>> {
    context
        .git
        .read_file(revision.commit.as_str(), path.as_str())
        .map_err(|error| git_error(&format!("`{path}` cannot be read"), error))?
        .ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("`{path}` is not in the tree of {}", revision.commit.short(12)))
        })
}

/// The mode of an executable file in a tree.
const MODE_EXECUTABLE: u32 = 0o100_755;

/// A file of the tree with its mode.
fn file_with_mode(context: &Context, revision: &Revision, path: &TreePath) -> Result<(Vec<u8>, u32)> {
    let files = context
        .git
        .read_files(revision.commit.as_str(), Some(path.as_str()))
        .map_err(|error| git_error(&format!("`{path}` cannot be read"), error))?;
    let found = files.into_iter().find(|file| file.path == path.as_str());
    found.map(|file| (file.bytes, file.mode)).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("`{path}` is not in the tree of {}", revision.commit.short(12)))
    })
}

/// A folder with exactly the files that a program declares, taken from the tree; removed when it is dropped.
///
/// A suite's digest covers these files, so a suite sees nothing else.
#[derive(Debug)]
pub(super) struct Workspace<'a> {
    context: &'a Context,
    revision: &'a Revision,
    folder: Option<tempfile::TempDir>,
}

/// A program that can be started.
#[derive(Debug)]
pub(super) struct Ready {
    pub program: Program,
    pub arguments: Vec<String>,
    pub folder: PathBuf,
    /// The variables that it sees.
    pub environment: EnvVars,
}

impl<'a> Workspace<'a> {
    pub(super) fn new(context: &'a Context, revision: &'a Revision) -> Self {
        Self { context, revision, folder: None }
    }

    /// Puts a program and its files in place.
    pub(super) fn command(&mut self, command: &CommandLine, files: &[TreePath], values: &Values) -> Result<Ready> {
        let folder = self.folder()?;
        for path in files.iter().chain(command.file()) {
            let (bytes, mode) = file_with_mode(self.context, self.revision, path)?;
            let executable = mode == MODE_EXECUTABLE || command.file() == Some(path);
            write(&folder, path, &bytes, executable)?;
        }
        let program = match &command.program {
            ProgramName::InTree(path) => Program::at(folder.join(path.as_str())),
            ProgramName::OnPath(name) => {
                Program::find(name, &self.context.surroundings.search_path).map_err(|error| {
                    Error::from_source(ErrorKind::Invalid, format!("program `{name}` cannot be started"), error)
                })?
            }
        };
        let arguments =
            command.arguments.iter().map(|argument| expand(argument, values)).collect::<Result<Vec<String>>>()?;
        let mut variables = EnvVars::new();
        // The user's home holds credentials; what a suite needs of them is named in `env:`.
        variables.insert("HOME", self.home()?);
        for name in ["LANG", "LC_ALL", "PATH", "TMPDIR"] {
            if let Some(value) = self.context.surroundings.children.get(name) {
                variables.insert(name, value);
            }
        }
        for name in &command.environment {
            if let Some(value) = self.context.variable(name.as_str()) {
                variables.insert(name.as_str(), value);
            }
        }
        Ok(Ready { program, arguments, folder, environment: variables })
    }

    fn folder(&mut self) -> Result<PathBuf> {
        self.made("files")
    }

    fn home(&mut self) -> Result<PathBuf> {
        self.made("home")
    }

    fn made(&mut self, name: &str) -> Result<PathBuf> {
        let failed = |error: std::io::Error| {
            Error::from_source(ErrorKind::Repository, "a temporary folder for the suite cannot be made", error)
        };
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => tempfile::Builder::new().prefix("orchestrator-suite-").tempdir().map_err(failed)?,
        };
        let path = folder.path().join(name);
        self.folder = Some(folder);
        std::fs::create_dir_all(&path).map_err(failed)?;
        Ok(path)
    }
}

fn write(folder: &Path, path: &TreePath, bytes: &[u8], executable: bool) -> Result<()> {
    let target = folder.join(path.as_str());
    let written =
        target.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&target, bytes)).and_then(
            |()| {
                let mode = if executable { 0o755 } else { 0o644 };
                std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode))
            },
        );
    written
        .map_err(|error| Error::from_source(ErrorKind::Repository, format!("`{path}` cannot be put in place"), error))
}
