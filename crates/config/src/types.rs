//! The configuration as the rest of the program sees it: resolved and typed.

use std::collections::BTreeMap;
use std::fmt;

use lock_model::{EnvironmentName, Platform, RepositoryUrl, ServiceName, SuiteName, TreePath};

use super::branches::Branches;
use super::environment::Environment;
use super::problem::Source;
use super::submodules::Submodules;
use super::suites::Suite;
use super::tree::{Node, Origin};
use super::values::{EnvironmentVariable, SourceValue};
use crate::patterns::Pattern;
use crate::variables::Template;

/// `orchestrator.yaml`: merged, checked, typed.
#[derive(Clone, Debug)]
pub struct Config {
    /// `project:` what the services have in common.
    pub project: Project,
    /// `branches:` which branch plays which role.
    pub branches: Branches,
    /// `forge:` where pull requests and reviews are; absent where locks are only made and judged.
    pub forge: Option<Forge>,
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
#[non_exhaustive]
pub struct Project {
    /// What `{short}` leaves out of a service's name; may be empty.
    pub prefix: String,
}

/// `forge:`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forge {
    /// Which kind of forge it is.
    pub kind: ForgeKind,
    /// The superproject's address, as locks write it; relative submodule URLs resolve against it.
    pub repository: RepositoryUrl,
    /// What `lock commit` does with a commit that came without a pull request.
    pub direct_push: DirectPush,
}

lock_model::words! {
    /// Kinds of forges.
    ForgeKind, "kind of forge" {
        /// Files in a folder beside a bare repository.
        Local = "local",
    }
}

lock_model::words! {
    /// `forge.direct-push`
    DirectPush, "rule for direct pushes" {
        /// The commit gets no lock.
        Refuse = "refuse",
        /// A new lock is made and recorded as unreviewed.
        Relock = "relock",
    }
}

/// `registries.HOST:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrySettings {
    /// Where requests go instead; locks keep the real name.
    pub mirror: Option<Mirror>,
    /// `plain-http`: whether requests go without TLS. Absent: without TLS to a registry on this machine that has neither `ca`
    /// nor `client-certificate`, with TLS to all others.
    pub plain_http: Option<bool>,
    /// `ca`: authorities that are trusted for it, in PEM.
    pub ca: Option<SourceValue>,
    /// `client-certificate`: the certificate that is presented to it.
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
#[non_exhaustive]
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
    /// `https://HOST`, or `http://` on this machine; with a path where the repositories lie below one.
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
#[non_exhaustive]
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

lock_model::words! {
    /// `images.revision`: the strictest first.
    RevisionPolicy, "revision policy" {
        /// An image that does not say that it was built from the locked commit is refused.
        Require = "require",
        /// It is locked with a warning.
        Warn = "warn",
        /// The label is not looked at.
        Off = "off",
    }
}

/// One entry of `services:`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceRule {
    /// Which submodules are meant.
    pub pattern: Pattern,
    /// The service's name, where it is not the last segment of its path.
    pub name: Option<ServiceName>,
    /// What a service of this rule consists of.
    pub kind: ServiceKind,
    /// Where the rule stands.
    pub origin: Origin,
    pub(super) match_origin: Origin,
}

/// `services[].kind`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// An image, found by this rule.
    Image(ImageRule),
    /// Files only.
    Configuration,
}
