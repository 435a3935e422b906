//! What is to be rendered: services, their manifests, their locked images, and the rules of the environment.

use std::collections::BTreeSet;

use lock_model::{CommitId, LockId, ServiceName};

use crate::image::ImagePin;

/// One deployment of one release to one environment, as the `render` target needs it.
#[derive(Clone, Debug)]
pub struct RenderRequest {
    /// Name of the environment, such as `staging`.
    pub environment: String,
    /// Namespace that every object gets, unless a rule says otherwise.
    pub namespace: String,
    /// Which objects may leave the namespace.
    pub namespace_rule: NamespaceRule,
    /// What happens to images that nothing pins.
    pub leftovers: LeftoverRule,
    /// Release id.
    pub release: String,
    /// Id of the lock.
    pub lock: LockId,
    /// Commit of the superproject that is deployed.
    pub commit: CommitId,
    /// The services that are deployed here, each with its files.
    pub services: Vec<RenderService>,
    /// Images of the lock that belong to no deployed service: services that are not deployed here, third parties.
    pub other_images: Vec<ImagePin>,
    /// Services of the lock that are not deployed here, with the declared reason.
    pub not_deployed: Vec<NotDeployed>,
}

/// One service and its manifests, from the submodule at its locked commit.
#[derive(Clone, Debug)]
pub struct RenderService {
    /// Name of the service.
    pub name: ServiceName,
    /// Its locked image; none for a service of kind `configuration`.
    pub image: Option<ImagePin>,
    /// Files below the target's `source` folder: path relative to it, and bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// Which of its objects may leave the namespace, where the request's rule does not hold for it.
    pub namespace_rule: Option<NamespaceRule>,
}

/// A service of the lock that this environment leaves out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotDeployed {
    /// Name of the service.
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
    /// It is refused.
    #[default]
    Refuse,
    /// It is moved into the environment's namespace.
    Rewrite,
}

/// What happens to an image that is neither locked nor written with a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeftoverRule {
    /// It is listed.
    #[default]
    List,
    /// It is refused.
    Refuse,
}
