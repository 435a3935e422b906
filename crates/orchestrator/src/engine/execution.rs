//! What health checks and suites share: values of templates, files of the tree, programs in a folder of their own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{CommandLine, Environment, ProgramName, Template, Values, Variable};
use lock_model::{FileMode, TreePath};
use process::{EnvVars, Program};

use super::needs::program;
use super::tree_program::TreeProgram;
use crate::config_values;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result, storage};
use crate::revision::Revision;

/// What probes and suites say they are.
pub(super) const USER_AGENT: &str = concat!("orchestrator/", env!("CARGO_PKG_VERSION"));
/// How long a connection may take.
pub(super) const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// The variables of an environment's templates.
pub(super) fn values_of(context: &Context, revision: &Revision, environment: &Environment) -> Result<Values> {
    let values = Values::new().with(Variable::Mode, environment.mode.to_string());
    Ok(match &environment.url {
        Some(source) => {
            let place = format!("environments.{}.url", environment.name);
            values.with(Variable::Url, config_values::address(context, &revision.inputs, &place, source)?)
        }
        None => values,
    })
}

/// Fills in a template of the configuration.
pub(super) fn expand(template: &Template, values: &Values) -> Result<String> {
    template.expand(values).map_err(|error| {
        Error::from_source(ErrorKind::Usage, "a template of the configuration has no value for a variable", error)
            .hint("`{url}` needs the environment's `url:`")
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
    /// The program.
    pub program: Program,
    /// What follows the program's name, with all templates filled in.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// The variables that it sees.
    pub environment: EnvVars,
}

impl<'a> Workspace<'a> {
    /// A workspace without files.
    pub(super) fn new(context: &'a Context, revision: &'a Revision) -> Self {
        Self { context, revision, folder: None }
    }

    /// Puts a program and its files in place.
    pub(super) fn command(&mut self, command: &CommandLine, files: &[TreePath], values: &Values) -> Result<Ready> {
        let folder = self.folder()?;
        for path in files.iter().chain(command.file()) {
            let file = self.revision.inputs.file(self.context, path)?;
            if command.file() == Some(path) {
                TreeProgram::read(path, &file.bytes).map_err(|wrong| Error::new(ErrorKind::Usage, wrong))?;
            }
            let executable = file.mode == FileMode::Executable || command.file() == Some(path);
            write(&folder, path, &file.bytes, executable)?;
        }
        let program = match &command.program {
            ProgramName::InTree(path) => Program::at(folder.join(path.as_str())),
            ProgramName::OnPath(name) => program(self.context, name)?,
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

    /// Where the files lie.
    fn folder(&mut self) -> Result<PathBuf> {
        self.made("files")
    }

    /// An empty home.
    fn home(&mut self) -> Result<PathBuf> {
        self.made("home")
    }

    fn made(&mut self, name: &str) -> Result<PathBuf> {
        let failed = |error: std::io::Error| {
            // The error names the place.
            storage(ErrorKind::Repository, "a temporary folder for the suite cannot be made", error)
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
    written.map_err(|error| storage(ErrorKind::Repository, format!("`{}` cannot be written", target.display()), error))
}
