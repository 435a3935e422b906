//! Settings of services: a versioned `ConfigMap` and Secret for each, which a workload names, so that a change restarts
//! exactly the pods that use it.
//!
//! A version's name ends in eight digits of an HMAC over its data, under a key that only the namespace knows: equal data
//! has one name, and nothing can be learned of a secret from it.

mod changes;
mod earlier;
mod formats;
mod prune;
mod references;
mod stored;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use secrecy::SecretString;

pub use formats::{FormatError, parse_dotenv, parse_json, parse_kubectl_env_file, parse_yaml};
pub(crate) use references::{logical_name, name_versions, setting_references};
pub(crate) use stored::prove_versions;
pub(crate) use versions::{PlannedSettings, is_unkeyed, is_version_name, keyed_digest, own_object, rename};

/// What a service is given besides its image.
#[derive(Clone, Default)]
pub struct ServiceSettings {
    /// For its `ConfigMap`; `None` where it has none.
    pub config: Option<BTreeMap<String, String>>,
    /// For its Secret; `None` where it has none.
    pub secret: Option<BTreeMap<String, SecretString>>,
    /// Keys of `config` whose values are composed of variables: markers stand for them, also for the values of before.
    pub composed: BTreeSet<String>,
}

/// The keys alone.
impl fmt::Debug for ServiceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config.as_ref().map(|data| data.keys().collect::<Vec<_>>());
        let secret = self.secret.as_ref().map(|data| data.keys().collect::<Vec<_>>());
        let mut shown = f.debug_struct("ServiceSettings");
        shown.field("config", &config).field("secret", &secret).field("composed", &self.composed).finish()
    }
}

/// A login by which a cluster pulls images.
#[derive(Clone)]
pub struct PullSecret {
    /// The name of its Secret.
    pub name: String,
    /// The registry's host.
    pub registry: String,
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: SecretString,
}

/// Without the login.
impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSecret").field("name", &self.name).field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// Which configuration is deployed; secrets are always those of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Configuration {
    /// That of the request.
    #[default]
    Present,
    /// The one that the release had when it was deployed here last, where the namespace still has it.
    OfRelease,
    /// That of the last deployment, and its secrets too, for a look at what was edited since; what the namespace does not have
    /// any more is taken from the request.
    AsDeployed,
}

/// Which settings of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Its configuration: a `ConfigMap`.
    Config,
    /// Its secrets.
    Secret,
}

impl Part {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Secret => "secret",
        }
    }

    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Config => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// The name by which values of a chart call a service's configuration before the namespace is known: `{config}`.
pub fn config_name(service: &str) -> String {
    versions::unkeyed(service, Part::Config)
}

/// The same for its secrets: `{secret}`.
pub fn secret_name(service: &str) -> String {
    versions::unkeyed(service, Part::Secret)
}
