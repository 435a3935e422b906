//! One environment, merged and typed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use lock_model::{BranchName, Date, EnvironmentName, ServiceName, SuiteName, TreePath};

use super::tree::Origin;
use super::types::{CommandLine, Role};
use super::values::{EnvironmentVariable, Mode, Namespace};
use crate::patterns::Pattern;
use crate::variables::Template;

/// One entry of `environments:`, merged with defaults and base.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// The role whose branch it runs; `None`: it is no stop of the train.
    pub role: Option<Role>,
    /// The branch of that role.
    pub branch: Option<BranchName>,
    /// What suites and templates call it; its name unless the file says otherwise.
    pub mode: Mode,
    /// Where its objects live.
    pub namespace: Option<Namespace>,
    /// Its address: `{url}` in templates.
    pub url: Option<SourceValue>,
    /// How it is deployed to; `None`: nothing is.
    pub target: Option<Target>,
    /// Which services are deployed.
    pub deploy: Vec<Pattern>,
    /// Why services that `deploy` does not name are locked but not deployed.
    pub others: Option<String>,
    /// Services that are left out for a time.
    pub not_deployed: BTreeMap<ServiceName, NotDeployed>,
    /// Namespaces of objects other than the environment's own.
    pub namespaces: NamespaceRule,
    /// What is asked before anything is changed.
    pub health: Health,
    /// Suites to run, in this order.
    pub suites: Vec<SuiteName>,
    /// Where a proven release goes next.
    pub promote: Option<Promote>,
    /// What a release must show before it comes here.
    pub requires: Requires,
    /// How releases are tagged; `None`: they are not.
    pub release: Option<Release>,
    pub(super) overrides: Vec<Override>,
    /// What `{short}` leaves out of a service's name.
    pub(super) prefix: String,
    pub(super) origin: Origin,
}

/// A value, or where the command line finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceValue {
    /// `{ value: … }`
    Value(String),
    /// `{ env: NAME }`: an environment variable.
    Env(EnvironmentVariable),
    /// `{ file: PATH }`: the content of a file of the superproject.
    File(TreePath),
}

/// `target:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `kind: render`
    Render(RenderTarget),
}

/// `kind: render`: the pinned manifests are written to a branch, and to a folder where one is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderTarget {
    /// Where a service's manifests are, with variables of the service.
    pub source: Template,
    /// The branch they are written to.
    pub branch: BranchName,
    /// The folder they are written to, relative to the superproject's top folder.
    pub folder: Option<String>,
}

/// `not-deployed.NAME:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDeployed {
    /// Why.
    pub reason: String,
    /// Who decided it.
    pub owner: String,
    /// The last day on which it holds.
    pub until: Date,
}

/// `namespaces:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceRule {
    /// Other namespaces that objects may name.
    pub allow: BTreeSet<Namespace>,
    /// Whether a foreign namespace is replaced by the environment's.
    pub rewrite: bool,
}

/// `health:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Probes by name.
    pub probes: BTreeMap<String, Probe>,
    /// What the environment depends on, by name: an `http(s)://` or `tcp://` address.
    pub dependencies: BTreeMap<String, Dependency>,
}

/// `health.probes.NAME:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub kind: ProbeKind,
    /// What a failure means.
    pub severity: Severity,
    /// How long the answer may take.
    pub deadline: Duration,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// `kind: http`: GET answers with this status.
    Http {
        /// The address, with `{url}` and `{mode}`.
        url: Template,
        /// The status that means healthy.
        status: u16,
    },
    /// `kind: tcp`: a connection is accepted.
    Tcp {
        /// `HOST:PORT`
        address: String,
    },
    /// `kind: command`: the program ends with 0.
    Command(CommandLine),
}

/// `severity:` of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A failure stops the deployment.
    Block,
    /// A failure is said.
    Warn,
}

/// `health.dependencies.NAME`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// An `http(s)://` address, with `{url}` and `{mode}`: status 200 is healthy.
    Http(Template),
    /// `tcp://HOST:PORT`: this is the `HOST:PORT`.
    Tcp(String),
}

/// `promote:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promote {
    /// The next environment.
    pub to: EnvironmentName,
}

/// `requires:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requires {
    /// The environment that must have proven the same release.
    pub proven_in: Option<EnvironmentName>,
    /// How strong a proof must be.
    pub proof: ProofRequirement,
    /// The approvals that the promotion needs.
    pub approvals: Option<ApprovalRequirement>,
}

/// `requires.proof`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProofRequirement {
    /// What was written is what is locked.
    Stored,
    /// What runs is what is locked.
    Running,
}

/// `requires.approvals:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRequirement {
    /// How many.
    pub count: u32,
    /// Whose do not count.
    pub exclude: BTreeSet<Excluded>,
}

/// `requires.approvals.exclude`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excluded {
    /// Who opened the pull request.
    Author,
    /// Who merged it.
    Merger,
}

/// `release:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The tag, with `{date}`, `{id8}` and `{mode}`.
    pub tag: Template,
}

/// What becomes of a locked service in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// It is deployed.
    Deploy(ServiceSettings),
    /// It is left out for a time, by name.
    NotDeployed {
        /// Why.
        reason: String,
        /// Who decided it.
        owner: String,
        /// The last day on which it holds.
        until: Date,
        /// Whether that day has passed.
        expired: bool,
    },
    /// `deploy` does not name it.
    Other {
        /// What `others` says; empty where the environment has no target.
        reason: String,
    },
}

/// How one service is deployed to one environment, after overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Where its manifests are.
    pub source: SourceFolder,
    /// Namespaces that its objects may name.
    pub namespaces: NamespaceRule,
}

/// Where a service's manifests are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceFolder {
    /// In the service's own repository, at its locked commit; `None` is its top folder.
    InService(Option<TreePath>),
    /// In the superproject.
    InTree(TreePath),
}

/// One entry of `overrides:`, base's before the environment's.
#[derive(Clone, Debug)]
pub(super) struct Override {
    pub pattern: Pattern,
    pub source: Option<Template>,
    pub allow: Option<BTreeSet<Namespace>>,
    pub rewrite: Option<bool>,
    pub origin: Origin,
}

impl fmt::Display for SourceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "`{}`", lock_model::escaping::escape_terminal(value)),
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{path}`"),
        }
    }
}
