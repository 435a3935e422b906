//! Suites: from the configuration and the tree to a run in a folder of its own, and its report.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use config::{CommandLine, Environment, ProgramName, Suite, SuiteKind, Values, Variable};
use ledger::{StepKey, SuiteRef};
use lock_model::{Digest, SuiteName, TreePath, suite_digest};
use process::{EnvVars, Program, Redactor};
use qa::{CommandSuite, HttpRun, HttpSuite, SuiteReport};

use super::Engine;
use super::evidence::Answer;
use super::health::{expand, http_client, values_of};
use crate::context::{Context, git_error};
use crate::environment;
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::output::count;
use crate::snapshot::Snapshot;

impl Engine<'_> {
    /// Runs one suite of the plan.
    pub(super) async fn suite(&self, key: &StepKey) -> CliResult<Answer> {
        let reference = key.suite().ok_or_else(|| CliError::new(ExitCode::Bug, format!("step `{key}` is no suite")))?;
        let report = run_suite(self.context, &self.snapshot, &self.environment, &reference.name).await?;
        let detail = summary(&report);
        let answer = if report.is_passed() { Answer::ok(detail) } else { Answer::failed(ExitCode::Negative, detail) };
        Ok(answer.document(&format!("suite-{}.json", reference.name), &report))
    }
}

/// One line for a passed suite; the failed cases for another.
pub(crate) fn summary(report: &SuiteReport) -> String {
    if report.is_passed() {
        return format!("{} passed", count(report.cases.len(), "case"));
    }
    let mut lines: Vec<String> = report.reason.iter().cloned().collect();
    lines.extend(
        report
            .cases
            .iter()
            .filter(|case| case.verdict != qa::Verdict::Passed)
            .map(|case| format!("{}: {} ({})", case.name, case.verdict.word(), case.message)),
    );
    lines.extend(report.log_tail.iter().map(|line| format!("  | {line}")));
    lines.join("\n")
}

/// A suite of the configuration.
fn suite<'a>(snapshot: &'a Snapshot, name: &SuiteName) -> CliResult<&'a Suite> {
    snapshot.config.suites.get(name).ok_or_else(|| {
        let known: Vec<&str> = snapshot.config.suites.keys().map(SuiteName::as_str).collect();
        CliError::new(ExitCode::Usage, format!("there is no suite `{name}`"))
            .hint(format!("the configuration has: {}", known.join(", ")))
    })
}

/// Name and digest of a suite: its definition and the content of its files.
pub(crate) fn suite_reference(context: &Context, snapshot: &Snapshot, name: &SuiteName) -> CliResult<SuiteRef> {
    let suite = suite(snapshot, name)?;
    let mut files = BTreeMap::new();
    for path in suite.files() {
        let bytes = file(context, snapshot, &path)?;
        files.insert(path, Digest::of(&bytes));
    }
    let digest = suite_digest(suite.kind_name(), &suite.definition, &files, None);
    Ok(SuiteRef { name: name.clone(), digest })
}

/// Runs a suite against an environment.
pub(crate) async fn run_suite(
    context: &Context,
    snapshot: &Snapshot,
    environment: &Environment,
    name: &SuiteName,
) -> CliResult<SuiteReport> {
    let definition = suite(snapshot, name)?;
    let values = values_of(context, snapshot, environment)?;
    let mut workspace = Workspace::new(context, snapshot);
    let runnable = match &definition.kind {
        SuiteKind::Command(command) => {
            let ready = workspace.command(&command.command, &command.files, &values)?;
            qa::Suite::Command(CommandSuite {
                program: ready.program,
                arguments: ready.arguments,
                folder: ready.folder,
                environment: ready.environment,
                deadline: definition.deadline,
                redactor: Redactor::new(),
                interrupt: crate::interruption::interrupt(),
            })
        }
        SuiteKind::Http { file: path } => {
            let bytes = file(context, snapshot, path)?;
            let suite = HttpSuite::parse(path.as_str(), &bytes)
                .map_err(|error| CliError::new(ExitCode::Usage, error.to_string().trim_end()))?;
            let client = http_client()?;
            let url = match &environment.url {
                Some(_) => Some(url_of(context, snapshot, environment)?),
                None => None,
            };
            let variables = qa::Variables { url, mode: Some(environment.mode.to_string()) };
            qa::Suite::Http(HttpRun {
                suite,
                variables,
                client,
                is_denied: healthcheck::is_denied,
                deadline: definition.deadline,
            })
        }
    };
    Ok(qa::run(name.as_str(), &runnable).await)
}

fn url_of(context: &Context, snapshot: &Snapshot, environment: &Environment) -> CliResult<String> {
    let values = values_of(context, snapshot, environment)?;
    let template = config::Template::new("{url}", &[Variable::Url])
        .map_err(|error| CliError::from_source(ExitCode::Bug, "the address template is wrong", &error))?;
    Ok(expand(&template, &values)?.trim_end_matches('/').to_owned())
}

fn file(context: &Context, snapshot: &Snapshot, path: &TreePath) -> CliResult<Vec<u8>> {
    context
        .git
        .read_file(snapshot.commit.as_str(), path.as_str())
        .map_err(|error| git_error(&format!("`{path}` cannot be read"), &error))?
        .ok_or_else(|| {
            CliError::new(ExitCode::Usage, format!("`{path}` is not in the tree of {}", snapshot.commit.short(12)))
        })
}

/// The mode of an executable file in a tree.
const MODE_EXECUTABLE: u32 = 0o100_755;

/// A file of the tree with its mode.
fn file_with_mode(context: &Context, snapshot: &Snapshot, path: &TreePath) -> CliResult<(Vec<u8>, u32)> {
    let files = context
        .git
        .read_files(snapshot.commit.as_str(), Some(path.as_str()))
        .map_err(|error| git_error(&format!("`{path}` cannot be read"), &error))?;
    let found = files.into_iter().find(|file| file.path == path.as_str());
    found.map(|file| (file.bytes, file.mode)).ok_or_else(|| {
        CliError::new(ExitCode::Usage, format!("`{path}` is not in the tree of {}", snapshot.commit.short(12)))
    })
}

/// A folder with exactly the files that a program declares, taken from the tree; removed when it is dropped.
///
/// A suite's digest covers these files, so a suite sees nothing else.
#[derive(Debug)]
pub(super) struct Workspace<'a> {
    context: &'a Context,
    snapshot: &'a Snapshot,
    folder: Option<tempfile::TempDir>,
}

/// A program that can be started.
#[derive(Debug)]
pub(super) struct Ready {
    /// The program.
    pub program: Program,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// The variables that it sees.
    pub environment: EnvVars,
}

impl<'a> Workspace<'a> {
    /// A workspace without files.
    pub(super) fn new(context: &'a Context, snapshot: &'a Snapshot) -> Self {
        Self { context, snapshot, folder: None }
    }

    /// Puts a program and its files in place.
    pub(super) fn command(&mut self, command: &CommandLine, files: &[TreePath], values: &Values) -> CliResult<Ready> {
        let folder = self.folder()?;
        for path in files.iter().chain(command.file()) {
            let (bytes, mode) = file_with_mode(self.context, self.snapshot, path)?;
            let executable = mode == MODE_EXECUTABLE || command.file() == Some(path);
            write(&folder, path, &bytes, executable)?;
        }
        let program = match &command.program {
            ProgramName::InTree(path) => Program::at(folder.join(path.as_str())),
            ProgramName::OnPath(name) => Program::find(name, &environment::search_path()).map_err(|error| {
                CliError::from_source(ExitCode::Usage, format!("program `{name}` cannot be started"), &error)
            })?,
        };
        let arguments =
            command.arguments.iter().map(|argument| expand(argument, values)).collect::<CliResult<Vec<String>>>()?;
        let mut variables = EnvVars::new();
        // The user's home holds credentials; what a suite needs of them is named in `env:`.
        variables.insert("HOME", self.home()?);
        for name in ["LANG", "LC_ALL", "PATH", "TMPDIR"] {
            if let Some(value) = self.context.children.get(name) {
                variables.insert(name, value);
            }
        }
        for name in &command.environment {
            if let Some(value) = environment::read_named(name.as_str()) {
                variables.insert(name.as_str(), value);
            }
        }
        Ok(Ready { program, arguments, folder, environment: variables })
    }

    /// Where the files lie.
    fn folder(&mut self) -> CliResult<PathBuf> {
        self.made("files")
    }

    /// An empty home.
    fn home(&mut self) -> CliResult<PathBuf> {
        self.made("home")
    }

    fn made(&mut self, name: &str) -> CliResult<PathBuf> {
        let failed = |error: std::io::Error| {
            CliError::from_source(ExitCode::Repository, "a temporary folder for the suite cannot be made", &error)
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

fn write(folder: &Path, path: &TreePath, bytes: &[u8], executable: bool) -> CliResult<()> {
    let target = folder.join(path.as_str());
    let written =
        target.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&target, bytes)).and_then(
            |()| {
                let mode = if executable { 0o755 } else { 0o644 };
                std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode))
            },
        );
    written.map_err(|error| {
        CliError::from_source(ExitCode::Repository, format!("`{path}` cannot be put in place"), &error)
    })
}
