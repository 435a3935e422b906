//! One environment, merged and typed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lock_model::{
    BranchName, Date, EnvironmentName, ImageReference, ImageRepository, ServiceName, SuiteName, TreePath,
};

use super::branches::Role;
use super::chart_values::ChartValues;
use super::kubeconfig::Kubeconfig;
use super::noise::Noise;
use super::probes::Probe;
use super::readiness::{AwaitedJobs, GroupKind, NamedObject, ReadyCondition, Tolerance};
use super::settings::{PullSecret, SettingSource};
use super::tree::Origin;
use super::values::{Mode, Namespace, SourceValue};
use crate::patterns::Pattern;
use crate::variables::Template;

/// One entry of `environments:`, merged with defaults and base.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// The role whose branch it runs; `None`: no release is promoted to it.
    pub role: Option<Role>,
    /// The branch of that role.
    pub branch: Option<BranchName>,
    /// What suites and templates call it; its name unless the file says otherwise.
    pub mode: Mode,
    /// Where its objects live.
    pub namespace: Option<Namespace>,
    /// Its address: `{url}` in templates.
    pub url: Option<SourceValue>,
    /// How its cluster is reached.
    pub kubeconfig: Option<Kubeconfig>,
    /// How it is deployed to; `None`: nothing is.
    pub target: Option<Target>,
    /// The field managers whose fields target `apply` takes over.
    pub conflicts: BTreeSet<String>,
    /// Which services are deployed.
    pub deploy: Vec<Pattern>,
    /// `locked-only`: why services that `deploy` does not name are locked but not deployed.
    pub locked_only: Option<String>,
    /// Services that are left out for a time.
    pub not_deployed: BTreeMap<ServiceName, NotDeployed>,
    /// Images that may be deployed although neither the lock nor a digest decides them.
    pub unpinned_images: BTreeMap<ImageReference, AllowedImage>,
    /// Containers that other programs may add to pods.
    pub sidecars: BTreeSet<Sidecar>,
    /// Namespaces of objects other than the environment's own.
    pub namespaces: NamespaceRule,
    /// Key `await-jobs`: Jobs that no manifest has, found by their label and awaited after the objects. None without it.
    pub await_jobs: Option<AwaitedJobs>,
    /// For kinds of objects, the condition that makes them ready.
    pub ready: BTreeMap<GroupKind, ReadyCondition>,
    /// What a wait takes for a disturbance that passes.
    pub tolerance: Tolerance,
    /// Fields that plans and comparisons leave out.
    pub noise: Vec<Noise>,
    /// Services whose new versions change stored data.
    pub migrations: Vec<Migration>,
    /// The order in which services are deployed; empty: all at once.
    pub waves: Vec<Wave>,
    /// What becomes of a service in a cluster that is not deployed any more.
    pub removed: Removed,
    /// Where the configuration of each service comes from.
    pub config: Vec<SettingSource>,
    /// Where the secrets of each service come from.
    pub secret: Vec<SettingSource>,
    /// The login by which the cluster pulls images.
    pub pull_secret: Option<PullSecret>,
    /// What is asked before anything is changed.
    pub health: Health,
    /// Suites to run, in this order.
    pub suites: Vec<SuiteName>,
    /// Where suites of kind `container` run; `None`: it has none.
    pub containers: Option<Containers>,
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

impl Environment {
    /// Whether the migration of a service is irreversible; `None` where no entry of `migrations:` names it.
    pub fn migration_of(&self, name: &ServiceName, path: &TreePath) -> Option<bool> {
        let entries = self.migrations.iter().filter(|entry| entry.pattern.matches(name, path));
        entries.map(|entry| entry.irreversible).reduce(|one, other| one || other)
    }

    /// The entries of `noise:` for a service.
    pub fn noise_of(&self, name: &ServiceName, path: &TreePath) -> impl Iterator<Item = &Noise> {
        self.noise.iter().filter(|entry| entry.pattern.matches(name, path))
    }

    /// Allows besides what its present rules allow of what other programs do in the cluster, and of what its kubeconfig asks for:
    /// a release that is brought back is judged by them, like by what the environment requires.
    pub fn allow_as(&mut self, present: &Self) {
        self.conflicts.extend(present.conflicts.iter().cloned());
        self.sidecars.extend(present.sidecars.iter().cloned());
        if let (Some(own), Some(present)) = (&mut self.kubeconfig, &present.kubeconfig) {
            own.allow.extend(&present.allow);
        }
    }

    /// Whether some service is given configuration or secrets, or the cluster a login.
    pub fn has_settings(&self) -> bool {
        let lists = self.overrides.iter().flat_map(|entry| [&entry.config, &entry.secret]).flatten();
        self.pull_secret.is_some() || lists.chain([&self.config, &self.secret]).any(|list| !list.is_empty())
    }
}

/// `target:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `kind: render`
    Render(RenderTarget),
    /// `kind: helm`
    Helm(HelmTarget),
    /// `kind: apply`
    Apply(ApplyTarget),
}

/// `kind: apply`: plain manifests are applied in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyTarget {
    /// Where a service's manifests are, with variables of the service.
    pub source: Template,
    /// The folder below it whose kustomization makes the manifests, with variables of the service; `None`: they are plain.
    pub kustomization: Option<Template>,
    pub(super) source_origin: Origin,
}

/// `kind: helm`: a release of helm for each service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HelmTarget {
    /// Where a service's chart is, with variables of the service.
    pub chart: Template,
    /// What becomes of hooks that `helm test` alone starts.
    pub test_hooks: TestHooks,
    pub(super) values: ChartValues,
    pub(super) chart_origin: Origin,
}

lock_model::words! {
    /// `target.test-hooks`, from the strictest.
    TestHooks, "rule of test hooks" {
        /// An image of theirs that no digest decides refuses the deployment.
        Refuse = "refuse",
        /// Such images are listed.
        List = "list",
    }
}

impl Target {
    /// Where a service's files are, with variables of the service; and where that is said.
    pub(super) fn source(&self) -> (&Template, &Origin) {
        match self {
            Self::Render(target) => (&target.source, &target.source_origin),
            Self::Helm(target) => (&target.chart, &target.chart_origin),
            Self::Apply(target) => (&target.source, &target.source_origin),
        }
    }

    /// As `kind:` says it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Render(_) => "render",
            Self::Helm(_) => "helm",
            Self::Apply(_) => "apply",
        }
    }

    /// Whether it makes manifests of charts.
    pub fn has_charts(&self) -> bool {
        self.charts().is_some()
    }

    /// What its charts are given; `None` where it reads plain manifests.
    pub(super) fn charts(&self) -> Option<&ChartValues> {
        match self {
            Self::Render(target) => target.charts.as_ref(),
            Self::Helm(target) => Some(&target.values),
            Self::Apply(_) => None,
        }
    }
}

lock_model::words! {
    /// `removed`
    Removed, "rule of removed services" {
        /// It stays, and is a finding.
        Keep = "keep",
        /// It is deleted; volumes stay.
        Delete = "delete",
    }
}

/// Which files a target reads in the folder of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceFiles {
    /// Those that [`is_manifest`](crate::is_manifest) names.
    Manifests,
    /// Every file: templates read files of any name.
    All,
}

impl SourceFiles {
    /// Whether a file of this name is one of them.
    pub fn include(self, path: &str) -> bool {
        match self {
            Self::Manifests => crate::is_manifest(path),
            Self::All => true,
        }
    }
}

/// `kind: render`: the pinned manifests are written to a branch, and to a folder where one is named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenderTarget {
    /// Where a service's manifests are, or its chart, with variables of the service.
    pub source: Template,
    /// What charts are given; `None`: the source is plain manifests.
    pub(super) charts: Option<ChartValues>,
    /// The branch they are written to.
    pub branch: BranchName,
    /// The folder they are written to, below the superproject's top folder.
    pub folder: Option<TreePath>,
    pub(super) source_origin: Origin,
}

/// `not-deployed.NAME:`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotDeployed {
    /// Why it is left out.
    pub reason: String,
    /// The person or team that decided it.
    pub owner: String,
    /// The last day on which it holds.
    pub until: Date,
}

/// An exception for an image without a digest, in force up to and including `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllowedImage {
    /// Why it has no digest.
    pub reason: String,
    /// The person or team that decided it.
    pub owner: String,
    /// The last day on which it holds.
    pub until: Date,
}

/// A container that other programs may add to pods of the environment (`sidecars:`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Sidecar {
    /// Name of the container.
    pub name: String,
    /// Where its image comes from; `None`: from anywhere.
    pub image: Option<ImageRepository>,
}

/// One entry of `waves:`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Wave {
    /// The services that belong to it, as far as no later wave names them.
    pub pattern: Pattern,
    /// How many services are changed at a time.
    pub at_once: u32,
    /// How long to wait once it is ready.
    pub pause: Duration,
    pub(super) match_origin: Origin,
}

/// One entry of `migrations:`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Migration {
    /// The services that it concerns.
    pub pattern: Pattern,
    /// Whether code from before the change cannot work with the data.
    pub irreversible: bool,
    pub(super) match_origin: Origin,
}

/// `namespaces:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceRule {
    /// Other namespaces that objects may name.
    pub allow: BTreeSet<Namespace>,
    /// Whether a foreign namespace is replaced by the environment's.
    pub rewrite: bool,
    /// Objects without a namespace that may be deployed.
    pub cluster_scoped: BTreeSet<NamedObject>,
    /// Objects that may ask for privileges of the node, or give rights to others than accounts of the namespace.
    pub privileged: BTreeSet<NamedObject>,
}

/// `health:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Probes by name.
    pub probes: BTreeMap<String, Probe>,
    /// What the environment depends on, by name.
    pub dependencies: BTreeMap<String, Probe>,
    /// What its cluster is asked.
    pub checks: ClusterChecks,
}

impl Health {
    /// Probes and dependencies that are asked, with what messages call each.
    pub fn questions(&self) -> impl Iterator<Item = (&String, &Probe)> {
        self.probes.iter().chain(&self.dependencies).filter(|(_, probe)| probe.severity != CheckSeverity::Off)
    }
}

/// `health.checks:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterChecks {
    /// How each check is asked.
    pub rules: BTreeMap<ClusterCheck, CheckRule>,
    /// How many percent of the nodes must be ready.
    pub ready_nodes: u8,
}

/// How a check is asked, and what its answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckRule {
    /// What a finding means.
    pub severity: CheckSeverity,
    /// How long each answer may take.
    pub deadline: Duration,
    /// How often it is asked again before a finding counts.
    pub retries: u32,
}

lock_model::words! {
    /// A key of `health.checks`: one question to a cluster.
    ClusterCheck, "check of a cluster" {
        /// Whether the API server is ready, and of a version that is supported.
        Api = "api",
        /// Whether the namespace can be deployed to.
        Namespace = "namespace",
        /// Whether everything that is planned is permitted.
        Permissions = "permissions",
        /// Whether what planned objects name is there.
        References = "references",
        /// Whether the quotas have room.
        Quota = "quota",
        /// Whether no workload was scaled to nothing.
        Replicas = "replicas",
        /// Whether the nodes are ready.
        Nodes = "nodes",
        /// Whether the nodes have room.
        Capacity = "capacity",
        /// Whether the credentials live on.
        Certificate = "certificate",
        /// Whether the clocks agree.
        Clock = "clock",
    }
}

lock_model::words! {
    /// What a finding of a check means, from the strictest.
    CheckSeverity, "severity of a check" {
        /// It stops the deployment.
        Block = "block",
        /// It is a warning.
        Warn = "warn",
        /// The check is not asked.
        Off = "off",
    }
}

lock_model::words! {
    /// Key `containers`: where the suites of kind `container` of an environment run.
    Containers, "place of containers" {
        /// As a Job in the environment's namespace.
        Job = "job",
    }
}

/// `promote:`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promote {
    /// The next environment.
    pub to: EnvironmentName,
}

/// `requires:`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requires {
    /// The environment that must have proven the same release.
    pub proven_in: Option<EnvironmentName>,
    /// The environment whose suites a pull request must pass before its lock is deployed.
    pub pull_request: Option<EnvironmentName>,
    /// How strong a proof must be.
    pub proof: ProofRequirement,
    /// The approvals that the promotion needs.
    pub approvals: Option<ApprovalRequirement>,
}

lock_model::words! {
    /// `requires.proof`
    ProofRequirement, "requirement of a proof" {
        /// What was written is what is locked.
        Stored = "stored",
        /// What runs is what is locked.
        Running = "running",
    }
}

/// `requires.approvals:`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalRequirement {
    /// How many users must approve.
    pub count: u32,
    /// Users whose approvals do not count.
    pub exclude: BTreeSet<Excluded>,
    /// What applies where fewer people than `count` are left.
    pub fallback: Option<ApprovalFallback>,
}

/// A lower number of approvals, which applies while too few users are left who may approve.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalFallback {
    /// How many users must approve then: at least 1, fewer than the requirement's count.
    pub count: u32,
    /// The person or team that decided it.
    pub owner: String,
    /// The reason, shown on promotion and release.
    pub reason: String,
    /// The last day on which it applies.
    pub until: Date,
}

lock_model::words! {
    /// `requires.approvals.exclude`
    Excluded, "user whose approval does not count" {
        /// Who opened the pull request, or one that it carries.
        Author = "author",
        /// Who merged a pull request that it carries.
        Merger = "merger",
        /// Whose mail stands in a commit that it carries.
        Committer = "committer",
    }
}

/// `release:`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Release {
    /// The tag, with `{date}`, `{id8}` and `{mode}`.
    pub tag: Template,
}

/// What becomes of a locked service in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// It is deployed with these settings.
    Deploy(ServiceSettings),
    /// It is left out for a time, by name.
    NotDeployed {
        /// Why it is left out.
        reason: String,
        /// The person or team that decided it.
        owner: String,
        /// The last day on which it holds.
        until: Date,
        /// Whether that day has passed.
        expired: bool,
    },
    /// It is locked; `deploy` does not name it.
    LockedOnly {
        /// What `locked-only` says; empty where the environment has no target.
        reason: String,
    },
}

/// How one service is deployed to one environment, after overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Where its manifests are.
    pub source: SourceFolder,
    /// Which files are read there.
    pub files: SourceFiles,
    /// The folder of the kustomization that makes the manifests, below `source`.
    pub kustomization: Option<KustomizationFolder>,
    /// Namespaces that its objects may name, and objects that reach beyond them.
    pub namespaces: Box<NamespaceRule>,
    /// What its chart is given; empty where the target reads no charts.
    pub values: ChartValues,
    /// Where its configuration comes from.
    pub config: Vec<SettingSource>,
    /// Where its secrets come from.
    pub secret: Vec<SettingSource>,
    /// Key `await-jobs` of the override; the environment's holds without it.
    pub await_jobs: Option<AwaitedJobs>,
}

/// Where a service's manifests are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceFolder {
    /// In the service's own repository, at its locked commit; `None` is its top folder.
    InService(Option<TreePath>),
    /// In the superproject.
    InTree(TreePath),
}

/// Where a kustomization is among the files of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KustomizationFolder {
    /// In the top folder.
    Top,
    /// Below it.
    Below(TreePath),
}

impl KustomizationFolder {
    /// `.` is the top folder.
    pub(super) fn parse(filled: &str) -> Result<Self, String> {
        if matches!(filled, "." | "./") {
            return Ok(Self::Top);
        }
        TreePath::try_from(filled).map(Self::Below).map_err(|error| error.to_string())
    }

    /// The folder, empty for the top one.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Top => "",
            Self::Below(folder) => folder.as_str(),
        }
    }
}

/// One entry of `overrides:`, base's before the environment's.
#[derive(Clone, Debug)]
pub(super) struct Override {
    pub pattern: Pattern,
    pub source: Option<(Template, Origin)>,
    pub kustomization: Option<Template>,
    pub values: ChartValues,
    pub allow: Option<BTreeSet<Namespace>>,
    pub rewrite: Option<bool>,
    pub cluster_scoped: Option<BTreeSet<NamedObject>>,
    pub privileged: Option<BTreeSet<NamedObject>>,
    pub config: Option<Vec<SettingSource>>,
    pub secret: Option<Vec<SettingSource>>,
    pub await_jobs: Option<AwaitedJobs>,
    pub match_origin: Origin,
}
