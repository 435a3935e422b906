//! What is to be deployed: services, their files, their locked images, and the rules of the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lock_model::{CommitId, Digest, EnvironmentName, ImageReference, ImageRepository, LockId, ReleaseId, ServiceName};

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::image_pinning::ImagePin;
use crate::namespace::AwaitedJobs;
use crate::noise::NoiseRule;
use crate::settings::{Configuration, Part, PullSecret, ServiceSettings};

/// One deployment of one release to one environment. It is what a plan is made from and what a proof compares with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeployRequest {
    /// The environment.
    pub environment: EnvironmentName,
    /// Namespace that every object gets, unless a rule says otherwise.
    pub namespace: String,
    /// Which objects may leave the namespace.
    pub namespace_rule: NamespaceRule,
    /// What happens to images that are neither locked nor written with a digest.
    pub unpinned_images: UnpinnedImageRule,
    /// What happens to unpinned images of hooks that only `helm test` starts, which is never done here.
    pub test_hooks: UnpinnedImageRule,
    /// What happens to what a service made in a cluster that is not deployed any more.
    pub removed: RemovedServiceRule,
    /// Services that are left out for a time, or could not be read: what they made stays, and is no finding.
    pub paused: BTreeSet<ServiceName>,
    /// What happens to a place that holds something else than this environment's tree.
    pub occupied: OccupiedPlace,
    /// Lock and configuration together.
    pub release: ReleaseId,
    /// The lock.
    pub lock: LockId,
    /// Commit of the superproject that is deployed.
    pub commit: CommitId,
    /// The services that are deployed here.
    pub services: Vec<DeployService>,
    /// Images of the lock that belong to no deployed service: services that are not deployed here, third parties.
    pub other_images: Vec<ImagePin>,
    /// Services of the lock that are not deployed here.
    pub not_deployed: Vec<NotDeployed>,
    /// Values that a `ConfigMap` is composed of, and that no plan and no error shows.
    pub masked: Vec<SecretString>,
    /// The login by which the cluster pulls images; only targets of a cluster write it.
    pub pull_secret: Option<PullSecret>,
    /// Which configuration is deployed.
    pub configuration: Configuration,
    /// The manifests of the platforms of each locked index: what a container reports may be one of them.
    pub platform_digests: BTreeMap<Digest, BTreeSet<Digest>>,
    /// The digests of the configurations of locked images, where they were asked for: what a container reports of an image
    /// that was loaded without a registry.
    pub configuration_digests: BTreeMap<Digest, BTreeSet<Digest>>,
    /// Containers that other programs may add to pods; others are findings.
    pub sidecars: BTreeSet<AllowedSidecar>,
    /// The order in which services are changed in a cluster: those of a wave are ready before the next one begins. Empty:
    /// one wave.
    pub waves: Vec<Wave>,
}

/// A container that other programs may add to pods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedSidecar {
    /// Name of the container.
    pub name: String,
    /// Where its image comes from; `None`: from anywhere.
    pub image: Option<ImageRepository>,
}

/// How the services of one wave are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wave {
    /// How many at a time; 0 counts as 1.
    pub at_once: usize,
    /// How long to wait once all of them are ready, before the next wave.
    pub pause: Duration,
}

impl Default for Wave {
    /// Four services at a time, without a pause.
    fn default() -> Self {
        Self { at_once: 4, pause: Duration::ZERO }
    }
}

impl DeployRequest {
    /// A request without services: foreign namespaces and occupied places are refused, unpinned images listed.
    pub fn new(
        environment: EnvironmentName,
        namespace: impl Into<String>,
        release: ReleaseId,
        lock: LockId,
        commit: CommitId,
    ) -> Self {
        Self {
            environment,
            namespace: namespace.into(),
            namespace_rule: NamespaceRule::default(),
            unpinned_images: UnpinnedImageRule::default(),
            test_hooks: UnpinnedImageRule::default(),
            removed: RemovedServiceRule::default(),
            paused: BTreeSet::new(),
            occupied: OccupiedPlace::default(),
            release,
            lock,
            commit,
            services: Vec::new(),
            other_images: Vec::new(),
            not_deployed: Vec::new(),
            pull_secret: None,
            masked: Vec::new(),
            configuration: Configuration::default(),
            platform_digests: BTreeMap::new(),
            configuration_digests: BTreeMap::new(),
            sidecars: BTreeSet::new(),
            waves: Vec::new(),
        }
    }

    /// A request without services for `staging`, in namespace `shop`.
    #[cfg(test)]
    pub(crate) fn of_test() -> Self {
        let id = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let (release, lock) = (id("a").parse().unwrap(), id("b").parse().unwrap());
        Self::new("staging".parse().unwrap(), "shop", release, lock, "c".repeat(40).parse().unwrap())
    }

    /// What is shown nowhere of it: settings of services, the login of the pull secret, and what else is masked.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let settings = self.services.iter().filter_map(|service| service.settings.secret.as_ref());
        settings
            .flat_map(BTreeMap::values)
            .chain(self.pull_secret.iter().map(|pull| &pull.password))
            .chain(&self.masked)
    }

    /// Every image of the request, those of deployed services first.
    pub(crate) fn images(&self) -> impl Iterator<Item = &ImagePin> {
        self.services.iter().filter_map(|service| service.image.as_ref()).chain(&self.other_images)
    }

    /// Whether a service of this name was deployed and is no more, for good.
    pub(crate) fn has_left(&self, name: &str) -> bool {
        !self.is_here(name)
    }

    /// Whether a service of this name is deployed, be it paused.
    pub(crate) fn is_here(&self, name: &str) -> bool {
        let mut here = self.services.iter().map(|service| &service.name).chain(&self.paused);
        here.any(|service| service.as_str() == name)
    }

    /// Whether a container that another program added is allowed.
    pub(crate) fn allows(&self, name: &str, image: &str) -> bool {
        let repository = || image.parse::<ImageReference>().ok().map(|reference| reference.repository);
        self.sidecars.iter().any(|one| one.name == name && (one.image.is_none() || one.image == repository()))
    }

    /// Which differences are left out, by service.
    pub(crate) fn noise(&self) -> BTreeMap<ServiceName, Vec<NoiseRule>> {
        self.services.iter().map(|service| (service.name.clone(), service.noise.clone())).collect()
    }

    /// The rule that holds for a service's objects.
    pub(crate) fn rule_of<'a>(&'a self, service: &'a DeployService) -> &'a NamespaceRule {
        service.namespace_rule.as_ref().unwrap_or(&self.namespace_rule)
    }
}

/// One service and its files, from the submodule at its locked commit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeployService {
    /// Name in the lock.
    pub name: ServiceName,
    /// Its locked image; none for a service of kind `configuration`.
    pub image: Option<ImagePin>,
    /// Files below the target's `source` folder, or of the chart: path relative to that folder, and bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// The folder of the kustomization among these files that makes the manifests, empty for their top folder; only the
    /// target `apply` renders it. `None`: the files are the manifests.
    pub kustomization: Option<String>,
    /// Whether the files are a chart, of which target `render` makes manifests; target `helm` takes every service for one.
    pub is_chart: bool,
    /// What a chart is given besides its own values.
    pub values: Map<String, Value>,
    /// What it is given besides its image; only targets of a cluster write it.
    pub settings: ServiceSettings,
    /// Jobs that controllers make for it; only targets of a cluster wait for them.
    pub await_jobs: Option<AwaitedJobs>,
    /// Which settings it has, also where they are not read: its plain manifests may name them.
    pub setting_parts: BTreeSet<Part>,
    /// Which of its objects may leave the namespace; without one, the request's rule holds.
    pub namespace_rule: Option<NamespaceRule>,
    /// Which differences of its objects are left out of plans and comparisons.
    pub noise: Vec<NoiseRule>,
    /// The place of its wave in the request's list.
    pub wave: usize,
}

impl DeployService {
    /// A service without image and files.
    pub fn new(name: ServiceName) -> Self {
        Self {
            name,
            image: None,
            files: Vec::new(),
            kustomization: None,
            is_chart: false,
            values: Map::new(),
            settings: ServiceSettings::default(),
            await_jobs: None,
            setting_parts: BTreeSet::new(),
            namespace_rule: None,
            noise: Vec::new(),
            wave: 0,
        }
    }
}

/// A service of the lock that this environment leaves out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotDeployed {
    /// Name in the lock.
    pub name: ServiceName,
    /// The declared reason.
    pub reason: String,
}

/// Which objects may lie outside the environment's namespace, and which reach beyond it.
///
/// The empty rule, which is the default, allows nothing of the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceRule {
    /// Other namespaces that objects may name.
    pub allow: BTreeSet<String>,
    /// What happens to an object that names yet another namespace.
    pub foreign: ForeignNamespace,
    /// Cluster-scoped objects that are accepted: `Kind`, or `Kind/name`.
    pub cluster_scoped: BTreeSet<String>,
    /// Objects that may ask for the node's privileges (privileged containers, host paths, host namespaces):
    /// `Kind`, or `Kind/name`.
    pub privileged: BTreeSet<String>,
}

/// What happens to an object that names a foreign namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignNamespace {
    /// The request is refused.
    #[default]
    Refuse,
    /// The object is moved into the environment's namespace.
    Rewrite,
}

/// What happens to an image that is neither locked nor written with a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnpinnedImageRule {
    /// Plan and proof list it.
    #[default]
    List,
    /// Plan and proof refuse it.
    Refuse,
}

/// What happens to what a service made in a cluster that is not deployed there any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemovedServiceRule {
    /// It stays; plan and proof name it.
    #[default]
    Keep,
    /// It is deleted once the deployment is ready; volumes stay.
    Delete,
}

impl RemovedServiceRule {
    /// How what has left gets out of the namespace.
    pub(crate) const fn way_out(self) -> &'static str {
        match self {
            Self::Keep => "with `removed: delete` in the environment the next deployment deletes it",
            Self::Delete => "the next deployment deletes it",
        }
    }
}

/// What happens to a branch or folder that holds something else than a tree of the request's environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OccupiedPlace {
    /// The request is refused.
    #[default]
    Refuse,
    /// The plan replaces it: an administrator of the forge gave the place to the environment.
    TakeOver,
}
