//! Whether a cluster can take a deployment: one question each, which a caller asks side by side and weighs.
//!
//! What could not be found out is an answer of its own, which names the right that is missing where one is.

mod nodes;
mod permissions;
mod replicas;
mod roles;
mod room;

use lock_model::Timestamp;

use crate::certificate::Lifetime;
use crate::connection::Connection;
use crate::error::{ClusterError, ClusterErrorKind};
use crate::object::{Kind, ObjectKey};
use crate::references::ReferenceReport;
pub use nodes::judge_nodes;
pub use permissions::Permission;
pub use replicas::replicas_health;
pub use roles::{RoleRule, Roles};

/// The oldest minor version of Kubernetes 1 that is supported: it is the first that serves the discovery document that is
/// read.
pub const OLDEST_MINOR: u32 = 30;
/// How long credentials must live on, in days.
const DAYS_LEFT: i64 = 7;
/// How far two clocks may be apart, in seconds.
const CLOCK_DIFFERENCE: i64 = 30;

/// The answer to one question about a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthAnswer {
    /// All is well; a few words about what was found.
    Healthy(String),
    /// What is wrong, a sentence each.
    Unhealthy(Vec<String>),
    /// What could not be found out, a sentence each.
    Unknown(Vec<String>),
}

impl HealthAnswer {
    fn unhealthy(sentence: impl Into<String>) -> Self {
        Self::Unhealthy(vec![sentence.into()])
    }

    fn unknown(sentence: impl Into<String>) -> Self {
        Self::Unknown(vec![sentence.into()])
    }

    /// A question that has no answer; `right` is what is needed to ask it.
    fn of_error(error: &ClusterError, right: &str) -> Self {
        match error.kind() {
            ClusterErrorKind::Forbidden { .. } => {
                Self::unknown(format!("the user of the kubeconfig may not {right}, so this is not known"))
            }
            _ => Self::unknown(error.with_causes()),
        }
    }

    /// Sentences about what is wrong, else about what is not known, else that all is well.
    fn of(wrong: Vec<String>, unknown: Vec<String>, well: impl Into<String>) -> Self {
        match (wrong.is_empty(), unknown.is_empty()) {
            (false, _) => Self::Unhealthy(wrong.into_iter().chain(unknown).collect()),
            (true, false) => Self::Unknown(unknown),
            (true, true) => Self::Healthy(well.into()),
        }
    }
}

impl Connection {
    /// Whether the API server says that it is ready, and is of a version that is supported.
    pub async fn api_health(&self) -> HealthAnswer {
        if let Err(error) = self.ready().await {
            return match error.kind() {
                ClusterErrorKind::Unauthorized | ClusterErrorKind::Untrusted { .. } | ClusterErrorKind::Busy { .. } => {
                    HealthAnswer::unhealthy(error.with_causes())
                }
                _ => HealthAnswer::of_error(&error, "read `/readyz`"),
            };
        }
        match self.server_version().await {
            Ok(version) if version.major == 1 && version.minor >= OLDEST_MINOR => {
                HealthAnswer::Healthy(format!("ready, {}", version.text))
            }
            Ok(version) => HealthAnswer::unhealthy(format!(
                "Kubernetes {} is not supported: 1.{OLDEST_MINOR} is the oldest version that is",
                version.text
            )),
            Err(error) => HealthAnswer::of_error(&error, "read `/version`"),
        }
    }

    /// Whether a namespace is there, and stays.
    pub async fn namespace_health(&self, namespace: &str) -> HealthAnswer {
        let key = ObjectKey::of_cluster(Kind::new("v1", "Namespace"), namespace);
        match self.find(&key).await {
            Ok(Some(found)) if found.is_terminating() => {
                HealthAnswer::unhealthy(format!("namespace `{namespace}` is being deleted"))
            }
            Ok(Some(_)) => HealthAnswer::Healthy(format!("namespace `{namespace}` is there")),
            Ok(None) => HealthAnswer::unhealthy(format!(
                "namespace `{namespace}` does not exist: `kubectl create namespace {namespace}` makes it"
            )),
            Err(error) => HealthAnswer::of_error(&error, &format!("get namespace `{namespace}`")),
        }
    }

    /// Whether enough nodes are ready, in percent.
    pub async fn nodes_health(&self, percent: u8) -> HealthAnswer {
        match self.list(&Kind::new("v1", "Node"), None, &crate::Selection::default()).await {
            Ok(nodes) => judge_nodes(&nodes, percent),
            Err(error) => HealthAnswer::of_error(&error, "list nodes"),
        }
    }

    /// Whether the clock of the API server shows about the same time.
    pub async fn clock_health(&self, now: impl Fn() -> Timestamp + Send) -> HealthAnswer {
        match self.server_time().await {
            Ok(Some(time)) if (time.as_unix_seconds() - now().as_unix_seconds()).abs() <= CLOCK_DIFFERENCE => {
                HealthAnswer::Healthy("the clocks agree".to_owned())
            }
            Ok(Some(_)) => HealthAnswer::unhealthy(format!(
                "the clocks of this machine and of the API server differ by more than {CLOCK_DIFFERENCE} seconds: leases \
                 and certificates are judged by them"
            )),
            Ok(None) => HealthAnswer::unknown("the API server does not say its time"),
            Err(error) => HealthAnswer::of_error(&error, "read `/version`"),
        }
    }
}

/// Whether credentials that end at a time, as a kubeconfig says, can be used for long enough.
pub fn credentials_health(lifetime: Lifetime, now: Timestamp) -> HealthAnswer {
    let Lifetime { begin, end } = lifetime;
    if let Some(begin) = begin.filter(|begin| begin.as_unix_seconds() > now.as_unix_seconds()) {
        return HealthAnswer::unhealthy(format!(
            "the credentials of the kubeconfig are accepted from {begin} on: make new ones, or correct the clock of who makes them"
        ));
    }
    let Some(expiry) = end else {
        return HealthAnswer::Healthy("the kubeconfig names no end of its credentials".to_owned());
    };
    let left = expiry.as_unix_seconds() - now.as_unix_seconds();
    if left <= 0 {
        HealthAnswer::unhealthy(format!("the credentials of the kubeconfig ended at {expiry}: make a new one"))
    } else if left < DAYS_LEFT * 24 * 3600 {
        HealthAnswer::unhealthy(format!("the credentials of the kubeconfig end at {expiry}: make a new one before"))
    } else {
        HealthAnswer::Healthy(format!("the credentials live until {expiry}"))
    }
}

/// Whether what objects name is there.
pub fn references_health(report: &ReferenceReport) -> HealthAnswer {
    let unknown = report.unknown.iter();
    HealthAnswer::of(
        report.missing.iter().map(ToString::to_string).collect(),
        unknown.map(|(kind, why)| format!("whether each {kind} that is named exists is not known: {why}")).collect(),
        "everything that is named is there or planned",
    )
}
