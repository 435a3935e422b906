//! The configuration as the rest of the program sees it: resolved and typed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use lock_model::{BranchName, EnvironmentName, Platform, RepositoryUrl, ServiceName, SuiteName, TreePath};

use super::environment::{Environment, SourceValue};
use super::problem::Source;
use super::submodules::Submodules;
use super::tree::{Node, Origin};
use super::values::EnvironmentVariable;
use crate::patterns::Pattern;
use crate::variables::Template;

/// `orchestrator.yaml`: merged, checked, typed.
#[derive(Clone, Debug)]
pub struct Config {
    /// `project:` what the services have in common.
    pub project: Project,
    /// `branches:` which branch plays which role.
    pub branches: Branches,
    /// `forge:` where pull requests and reviews are.
    pub forge: Forge,
    /// `registries:` settings by registry host, such as `ghcr.io` or `127.0.0.1:5000`.
    pub registries: BTreeMap<String, RegistrySettings>,
    /// `images:` how images are found unless a service's rule says otherwise.
    pub images: ImageRule,
    /// `services:` the rules, in file order; the first that matches a submodule decides.
    pub services: Vec<ServiceRule>,
    /// `submodules:` where they may come from.
    pub submodules: Submodules,
    /// `suites:` what can be run against an environment.
    pub suites: BTreeMap<SuiteName, Suite>,
    /// `environments:` each merged with defaults and base.
    pub environments: BTreeMap<EnvironmentName, Environment>,
    pub(super) tree: Node,
    pub(super) source: Source,
}

/// `project:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// What `{short}` leaves out of a service's name; may be empty.
    pub prefix: String,
}

/// What a branch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Where developers' work comes together: `dev`.
    Integration,
    /// What staging runs.
    Staging,
    /// What production runs.
    Production,
}

impl Role {
    /// All roles, in the order of the train.
    pub const ALL: [Self; 3] = [Self::Integration, Self::Staging, Self::Production];

    /// The key under `branches:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integration => "integration",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `branches:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branches {
    /// Branch of [`Role::Integration`].
    pub integration: BranchName,
    /// Branch of [`Role::Staging`].
    pub staging: BranchName,
    /// Branch of [`Role::Production`].
    pub production: BranchName,
}

impl Branches {
    /// The branch of a role.
    pub fn of(&self, role: Role) -> &BranchName {
        match role {
            Role::Integration => &self.integration,
            Role::Staging => &self.staging,
            Role::Production => &self.production,
        }
    }

    /// The role of a branch.
    pub fn role_of(&self, branch: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| self.of(*role).as_str() == branch)
    }
}

/// `forge:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forge {
    /// Which kind of forge it is.
    pub kind: ForgeKind,
    /// The superproject's address, as locks write it; relative submodule URLs resolve against it.
    pub repository: RepositoryUrl,
    /// What `lock commit` does with a commit that came without a pull request.
    pub direct_push: DirectPush,
}

/// Kinds of forges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForgeKind {
    /// Files in a folder beside a bare repository.
    Local,
}

/// `forge.direct-push`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DirectPush {
    /// The commit gets no lock.
    Refuse,
    /// A new lock is made and recorded as unreviewed.
    Relock,
}

/// `registries.HOST:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Where requests go instead; locks keep the real name.
    pub mirror: Option<Mirror>,
    /// `plain-http`: asked without TLS although it is another machine.
    pub plain_http: bool,
    /// `ca`: authorities that are trusted for it, in PEM.
    pub ca: Option<SourceValue>,
    /// `client-certificate`: what it is shown of us.
    pub client_certificate: Option<ClientCertificate>,
}

impl RegistrySettings {
    /// The files of the superproject that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &TreePath> {
        self.sources().filter_map(|source| match source {
            SourceValue::File(path) => Some(path),
            SourceValue::Value(_) | SourceValue::Env(_) => None,
        })
    }

    /// The environment variables that it names.
    pub fn variables(&self) -> impl Iterator<Item = &EnvironmentVariable> {
        let certificates = self.sources().filter_map(|source| match source {
            SourceValue::Env(name) => Some(name),
            SourceValue::Value(_) | SourceValue::File(_) => None,
        });
        certificates.chain(self.client_certificate.iter().map(|certificate| &certificate.key))
    }

    fn sources(&self) -> impl Iterator<Item = &SourceValue> {
        self.ca.iter().chain(self.client_certificate.iter().map(|certificate| &certificate.certificate))
    }
}

/// `registries.HOST.client-certificate`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, in PEM.
    pub certificate: SourceValue,
    /// Its key, in PEM: the environment variable that holds it.
    pub key: EnvironmentVariable,
}

/// `registries.HOST.mirror`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// `oci-layout:DIR`: an OCI image layout folder, relative to the superproject's top folder.
    OciLayout(String),
    /// `https://HOST`, or `http://` on this machine.
    Http(String),
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OciLayout(folder) => write!(f, "oci-layout:{folder}"),
            Self::Http(url) => f.write_str(url),
        }
    }
}

/// `images:`, and what a service's rule makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRule {
    /// The repository, with variables of the service.
    pub repository: Option<Template>,
    /// The tags to look for, in this order, with variables of the service and of its commit.
    pub tags: Vec<Template>,
    /// The platforms that each image must have.
    pub platforms: Vec<Platform>,
    /// What is asked of an image's revision label.
    pub revision: RevisionPolicy,
}

/// `images.revision`: the strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevisionPolicy {
    /// An image that does not say that it was built from the locked commit is refused.
    Require,
    /// It is locked, and said.
    Warn,
    /// The label is not looked at.
    Off,
}

impl RevisionPolicy {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Warn => "warn",
            Self::Off => "off",
        }
    }
}

/// One entry of `services:`
#[derive(Clone, Debug)]
pub struct ServiceRule {
    /// Which submodules are meant.
    pub pattern: Pattern,
    /// The service's name, where it is not the last segment of its path.
    pub name: Option<ServiceName>,
    /// What a service of this rule consists of.
    pub kind: ServiceKind,
    /// Where the rule stands.
    pub origin: Origin,
}

/// `services[].kind`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// An image, found by this rule.
    Image(ImageRule),
    /// Files only.
    Configuration,
}

/// One entry of `suites:`
#[derive(Clone, Debug, PartialEq, Eq)]
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
pub struct CommandLine {
    /// The program.
    pub program: ProgramName,
    /// Its arguments, with `{url}` and `{mode}`.
    pub arguments: Vec<Template>,
    /// Names of the environment variables that it is given.
    pub environment: Vec<EnvironmentVariable>,
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
