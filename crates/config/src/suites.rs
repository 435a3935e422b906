//! `suites:`, and programs that are run: by suites and by probes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use lock_model::{ImageReference, ServiceName, SuiteName, TreePath};

use crate::values::{EnvironmentVariable, ObjectName};
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
    /// An image that is run beside what it tests.
    Container(Box<ContainerSuite>),
}

/// A suite that is an image: it passes where its container exits with 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerSuite {
    /// Key `service` or `image`: always by digest.
    pub image: SuiteImage,
    /// Arguments in place of the image's own, with `{url}` and `{mode}`; empty: those of the image.
    pub arguments: Vec<Template>,
    /// Key `set-env`: variables with their values, with `{url}` and `{mode}`.
    pub set: BTreeMap<String, Template>,
    /// Names of the job's environment variables that it is given.
    pub environment: Vec<EnvironmentVariable>,
    /// Those of them whose value is no secret.
    pub plain: BTreeSet<EnvironmentVariable>,
    /// The service account of its pod; `None`: it can ask the API server nothing.
    pub service_account: Option<ObjectName>,
    /// What its node must have free for it, by resource.
    pub requests: BTreeMap<String, String>,
    /// What it may use at most, by resource.
    pub limits: BTreeMap<String, String>,
}

/// The image of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuiteImage {
    /// The locked image of a service.
    Service(ServiceName),
    /// Another one, which always has a digest.
    Pinned(ImageReference),
}

impl ContainerSuite {
    /// The variables whose values are secrets.
    pub fn secret_variables(&self) -> impl Iterator<Item = &EnvironmentVariable> {
        self.environment.iter().filter(|name| !self.plain.contains(*name))
    }

    /// Every text of it that holds variables.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.arguments.iter().chain(self.set.values())
    }
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
            SuiteKind::Container(_) => "container",
        }
    }

    /// The service whose locked image it runs; `None` where it runs none.
    pub fn service(&self) -> Option<&ServiceName> {
        match &self.kind {
            SuiteKind::Container(suite) => match &suite.image {
                SuiteImage::Service(name) => Some(name),
                SuiteImage::Pinned(_) => None,
            },
            SuiteKind::Command(_) | SuiteKind::Http { .. } => None,
        }
    }

    /// The names of the environment variables that it is given.
    pub fn environment(&self) -> &[EnvironmentVariable] {
        match &self.kind {
            SuiteKind::Command(suite) => &suite.command.environment,
            SuiteKind::Container(suite) => &suite.environment,
            SuiteKind::Http { .. } => &[],
        }
    }

    /// Files of the superproject that the suite consists of: the HTTP file, the program where it lies in the tree,
    /// declared files.
    pub fn files(&self) -> BTreeSet<TreePath> {
        match &self.kind {
            SuiteKind::Command(suite) => suite.files.iter().cloned().chain(suite.command.file().cloned()).collect(),
            SuiteKind::Http { file } => BTreeSet::from([file.clone()]),
            SuiteKind::Container(_) => BTreeSet::new(),
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
