//! `suites:`, and programs that are run: by suites and by probes.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use lock_model::{SuiteName, TreePath};

use crate::values::EnvironmentVariable;
use crate::variables::Template;

/// One entry of `suites:`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suite {
    /// Its name.
    pub name: SuiteName,
    /// What it runs.
    pub kind: SuiteKind,
    /// How long it may take.
    pub deadline: Duration,
    /// The definition before variables are filled in, for the suite's digest.
    pub definition: serde_json::Value,
}

/// What a suite runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuiteKind {
    /// A program with arguments.
    Command(CommandSuite),
    /// A file of HTTP requests and expectations in the superproject.
    Http {
        /// The file.
        file: TreePath,
    },
}

/// `kind: command`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandSuite {
    /// The program and its arguments.
    pub command: CommandLine,
    /// Files of the superproject that the program needs besides itself.
    pub files: Vec<TreePath>,
}

impl Suite {
    /// The kind as the file calls it.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            SuiteKind::Command(_) => "command",
            SuiteKind::Http { .. } => "http",
        }
    }

    /// Files of the superproject that the suite consists of: the HTTP file, the program where it lies in the tree,
    /// declared files.
    pub fn files(&self) -> BTreeSet<TreePath> {
        match &self.kind {
            SuiteKind::Command(suite) => suite.files.iter().cloned().chain(suite.command.file().cloned()).collect(),
            SuiteKind::Http { file } => BTreeSet::from([file.clone()]),
        }
    }
}

/// A program with arguments and the environment variables that it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandLine {
    /// The program.
    pub program: ProgramName,
    /// Its arguments, with `{url}` and `{mode}`.
    pub arguments: Vec<Template>,
    /// Names of the environment variables that it is given.
    pub environment: Vec<EnvironmentVariable>,
    /// Those of them whose value is no secret.
    pub plain: BTreeSet<EnvironmentVariable>,
}

impl CommandLine {
    /// The program's file, where it lies in the superproject.
    pub fn file(&self) -> Option<&TreePath> {
        match &self.program {
            ProgramName::InTree(path) => Some(path),
            ProgramName::OnPath(_) => None,
        }
    }
}

/// The first word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramName {
    /// `./tests/system`: a file of the superproject.
    InTree(TreePath),
    /// `curl`: a program of the machine, found by its name.
    OnPath(String),
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InTree(path) => write!(f, "./{path}"),
            Self::OnPath(name) => f.write_str(name),
        }
    }
}
