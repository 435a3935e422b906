use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lock_model::ErrorClass;
use lock_model::escaping::excerpt;

use crate::kubeconfig::Risk;
use crate::object::{Kind, Object, ObjectKey};

type BoxError = Box<dyn Error + Send + Sync>;

/// What admission rules say when they refuse (403), apart from quotas, policies and what a pod names.
const BY_RULE: [&str; 5] =
    ["admission webhook", " usage per ", " ratio per ", "violates PodSecurity \"", "because it is being terminated"];

/// What the API server itself looks up when it makes a pod.
struct LookedUp {
    /// How it says that it is not there.
    words: &'static str,
    ends: &'static str,
    version: &'static str,
    kind: &'static str,
    /// The fields of a pod that name it; the first one that is set counts.
    fields: &'static [&'static str],
}

const LOOKED_UP: [LookedUp; 3] = [
    LookedUp {
        words: "error looking up service account ",
        ends: " not found",
        version: "v1",
        kind: "ServiceAccount",
        fields: &["/spec/serviceAccountName", "/spec/serviceAccount"],
    },
    LookedUp {
        words: "no PriorityClass with name ",
        ends: " was found",
        version: "scheduling.k8s.io/v1",
        kind: "PriorityClass",
        fields: &["/spec/priorityClassName"],
    },
    LookedUp {
        words: "pod rejected: RuntimeClass ",
        ends: " not found",
        version: "node.k8s.io/v1",
        kind: "RuntimeClass",
        fields: &["/spec/runtimeClassName"],
    },
];

/// A question to a cluster that has no answer, or a write that it did not accept.
#[derive(Debug)]
pub struct ClusterError {
    subject: String,
    kind: ClusterErrorKind,
    way: Option<Arc<Way>>,
}

/// What takes part in each request apart from the API server, each escaped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// The address of the proxy, without credentials; `None` for a direct connection.
    pub(crate) proxy: Option<String>,
    /// `command` of the kubeconfig's `exec`; `None` where the kubeconfig has none.
    pub(crate) program: Option<String>,
}

impl ClusterError {
    pub(crate) fn new(subject: impl fmt::Display, kind: ClusterErrorKind) -> Self {
        Self { subject: subject.to_string(), kind, way: None }
    }

    /// The same of a request that went this way, which decides where to look.
    pub(crate) fn on(self, way: &Arc<Way>) -> Self {
        Self { way: Some(Arc::clone(way)), ..self }
    }

    /// The same, of the API server at this address.
    pub(crate) fn at(self, server: &str) -> Self {
        let subject = format!("{} of {}", self.subject, excerpt(server));
        Self { subject, ..self }
    }

    /// The object, kind or kubeconfig that the request was about, as messages name it.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What the API server said, or why it could not be asked.
    pub fn kind(&self) -> &ClusterErrorKind {
        &self.kind
    }

    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        self.kind.class()
    }

    /// What fixes this cause; absent where the cause itself says it, or where it is not known.
    pub fn hint(&self) -> Option<String> {
        match (&self.kind, self.way.as_deref()) {
            (ClusterErrorKind::Unauthorized, Some(Way { program: Some(program), .. })) => Some(format!(
                "renew the session of the login program `{program}` of the kubeconfig, or see as whom it logs in: the API server \
                 does not accept what it gives"
            )),
            (ClusterErrorKind::Unreachable { .. }, Some(Way { proxy: Some(proxy), .. })) => Some(format!(
                "see whether this machine reaches `{proxy}`, the `proxy-url` of the kubeconfig, and that proxy its `server`, then \
                 run the same command again"
            )),
            (kind, _) => kind.hint(),
        }
    }

    /// The message with what the libraries below say, and what fixes a certificate that is not trusted.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            let said = excerpt(cause.to_string());
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            next = cause.source();
        }
        match (&self.kind, self.hint()) {
            (ClusterErrorKind::Untrusted { .. }, Some(hint)) => format!("{text}: {hint}"),
            _ => text,
        }
    }

    /// Whether an admission rule refuses what the user has the right to do: a quota, a limit range, a standard for pods, an object
    /// that a pod names and that is not there, a namespace that is being deleted, or a webhook.
    pub fn is_refused_by_admission(&self) -> bool {
        let by_rule =
            |message: &str| BY_RULE.iter().any(|words| message.contains(words)) || self.is_about_missing_reference();
        // Policies and webhooks choose the status of their refusal: 422 is that of a policy that does not.
        let denied = |message: &str| {
            (message.contains("ValidatingAdmissionPolicy '") && message.contains(" denied request"))
                || (message.contains("admission webhook \"") && message.contains("\" denied the request"))
        };
        match &self.kind {
            ClusterErrorKind::Forbidden { message } => by_rule(message) || denied(message) || self.is_over_quota(),
            ClusterErrorKind::Rejected { message, .. } => denied(message),
            _ => false,
        }
    }

    /// Whether a pod is refused since what it names is not there.
    pub fn is_about_missing_reference(&self) -> bool {
        self.looked_up().is_some()
    }

    /// What this pod names and the API server did not find, where it refuses to make the pod for that.
    pub fn missing_for(&self, pod: &Object) -> Option<ObjectKey> {
        let LookedUp { version, kind, fields, .. } = self.looked_up()?;
        let name = fields.iter().find_map(|field| pod.text(field))?;
        let namespace = pod.key().namespace.clone().filter(|_| *kind == "ServiceAccount");
        Some(ObjectKey { kind: Kind::new(version, kind), namespace, name: name.to_owned() })
    }

    fn looked_up(&self) -> Option<&'static LookedUp> {
        let ClusterErrorKind::Forbidden { message } = &self.kind else { return None };
        LOOKED_UP.iter().find(|one| message.contains(one.words) && message.contains(one.ends))
    }

    /// Whether a quota refuses it.
    pub fn is_over_quota(&self) -> bool {
        let by_quota = |message: &str| message.contains("exceeded quota: ") || message.contains("failed quota: ");
        matches!(&self.kind, ClusterErrorKind::Forbidden { message } if by_quota(message))
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self.kind, ClusterErrorKind::NotFound | ClusterErrorKind::UnknownKind)
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            ClusterErrorKind::Busy { retry_after, .. } => retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.kind)
    }
}

impl Error for ClusterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

/// Why a cluster gave no good answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterErrorKind {
    /// A kubeconfig does not say how to reach a cluster.
    #[error("{reason}")]
    Kubeconfig {
        /// What is wrong with it; holds no value of the file.
        reason: String,
    },
    /// A kubeconfig asks for something that is refused unless it is allowed by name.
    #[error("{}", risks_text(risks, program.as_deref(), proxy.as_deref()))]
    Risk {
        /// Everything that is refused, in the order of [`Risk::ALL`].
        risks: Vec<Risk>,
        /// The login program, escaped.
        program: Option<String>,
        /// The proxy, escaped and without credentials.
        proxy: Option<String>,
    },
    /// The login program of a kubeconfig gives no credentials.
    #[error("its login program gives no credentials: {reason}")]
    Login {
        /// What is wrong; holds nothing of what it printed on standard output.
        reason: String,
    },
    /// The TLS client cannot be made.
    #[error("no client can be made: {reason}")]
    Client {
        /// What the library says.
        reason: String,
    },
    /// The API server does not accept the credentials (401).
    #[error("the API server does not accept the credentials of the kubeconfig (401)")]
    Unauthorized,
    /// The user of the kubeconfig lacks a right, or an admission rule refuses (403).
    #[error("the API server refuses (403): {message}")]
    Forbidden {
        /// What it says: cut and escaped.
        message: String,
    },
    /// There is no such object.
    #[error("does not exist")]
    NotFound,
    /// The API server has no such kind.
    #[error("the API server does not serve this kind")]
    UnknownKind,
    /// It was not asked to write: the Lease that the write needs is not held any more.
    #[error("is not written: the lease of the environment was lost: {reason}")]
    LeaseLost {
        /// How it was lost.
        reason: String,
    },
    /// The object was changed or replaced by another writer (409).
    #[error("was changed by another writer meanwhile (409): {message}")]
    Conflict {
        /// What the API server says: cut and escaped.
        message: String,
    },
    /// Other field managers own fields that were to be set.
    #[error("{}", conflicts_text(conflicts))]
    FieldConflicts {
        /// Each field with the manager that owns it.
        conflicts: Vec<FieldConflict>,
    },
    /// The object is not valid, or an admission rule refuses it (400, 422 and the like).
    #[error("the API server rejects it ({status}): {message}")]
    Rejected {
        /// As in 422.
        status: u16,
        /// What it says: cut and escaped.
        message: String,
    },
    /// The API server is busy, or starting: 408, 429, 5xx, also after the retries.
    #[error("the API server is busy ({status}): {message}")]
    Busy {
        /// As in 429.
        status: u16,
        /// What it says: cut and escaped.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// No connection, or one that broke, also after the retries.
    #[error("the API server cannot be reached")]
    Unreachable {
        /// What the HTTP client says.
        source: BoxError,
    },
    /// The API server did not answer in time, also after the retries.
    #[error("the API server did not answer within {} s", limit.as_secs_f32())]
    TimedOut {
        /// How long one request was waited for.
        limit: Duration,
    },
    /// The certificate of the API server is not the one that the kubeconfig trusts.
    #[error("the certificate of the API server is not trusted")]
    Untrusted {
        /// What the TLS library says.
        source: BoxError,
    },
    /// The answer cannot be read.
    #[error("the answer of the API server {reason}")]
    Answer {
        /// What is wrong with it.
        reason: String,
    },
    /// A document is not a Kubernetes object.
    #[error("is not a Kubernetes object: {reason}")]
    NotAnObject {
        /// What is missing.
        reason: String,
    },
}

impl ClusterErrorKind {
    /// What kind of failure this is, and so whether asking again can help.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unauthorized | Self::Forbidden { .. } | Self::Untrusted { .. } | Self::Login { .. } => {
                ErrorClass::Denied
            }
            Self::NotFound | Self::UnknownKind => ErrorClass::NotFound,
            Self::Conflict { .. } | Self::Busy { .. } | Self::Unreachable { .. } | Self::TimedOut { .. } => {
                ErrorClass::Temporary
            }
            Self::Kubeconfig { .. }
            | Self::Risk { .. }
            | Self::Client { .. }
            | Self::FieldConflicts { .. }
            | Self::LeaseLost { .. }
            | Self::Rejected { .. }
            | Self::Answer { .. }
            | Self::NotAnObject { .. } => ErrorClass::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unauthorized => {
                Some("make a new kubeconfig: its token or client certificate has expired or was revoked".to_owned())
            }
            Self::Risk { risks, .. } => {
                let words: Vec<_> = risks.iter().map(|risk| risk.as_str()).collect();
                Some(format!(
                    "use a kubeconfig with a token or inline certificates, or allow it by name: {}",
                    words.join(", ")
                ))
            }
            Self::Untrusted { .. } => Some(
                "put the certificate authority of the cluster into `certificate-authority-data` of the kubeconfig"
                    .to_owned(),
            ),
            Self::Unreachable { .. } => Some(
                "see whether this machine reaches the `server` of the kubeconfig, then run the same command again"
                    .to_owned(),
            ),
            Self::Login { .. } => Some("start the login program of the kubeconfig by hand, as this user".to_owned()),
            Self::UnknownKind => {
                Some("install the definition of the kind (CRD), or use a version that the cluster serves".to_owned())
            }
            Self::FieldConflicts { conflicts } => {
                let mut managers: Vec<_> = conflicts.iter().map(|conflict| conflict.manager.as_str()).collect();
                managers.sort_unstable();
                managers.dedup();
                Some(format!(
                    "leave these fields out of the manifest, or take them over with `conflicts: {{ take: [{}] }}`",
                    managers.join(", ")
                ))
            }
            Self::Kubeconfig { .. }
            | Self::Client { .. }
            | Self::Forbidden { .. }
            | Self::NotFound
            | Self::LeaseLost { .. }
            | Self::Conflict { .. }
            | Self::Rejected { .. }
            | Self::Busy { .. }
            | Self::TimedOut { .. }
            | Self::Answer { .. }
            | Self::NotAnObject { .. } => None,
        }
    }
}

/// A field that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldConflict {
    /// The name of the field manager, such as `kubectl-client-side-apply`.
    pub manager: String,
    /// The part of the API that it was written through, such as `scale`; absent for the object itself.
    pub subresource: Option<String>,
    /// The field, as the API server names it: `.spec.replicas`.
    pub field: String,
}

fn conflicts_text(conflicts: &[FieldConflict]) -> String {
    let fields: Vec<_> =
        conflicts.iter().map(|conflict| format!("`{}` by `{}`", conflict.field, conflict.manager)).collect();
    format!("other field managers own {}", fields.join(", "))
}

fn risks_text(risks: &[Risk], program: Option<&str>, proxy: Option<&str>) -> String {
    let text = |risk: &Risk| {
        let named = match risk {
            Risk::Program => program,
            Risk::Proxy => proxy,
            Risk::Files | Risk::PlainHttp | Risk::InsecureTls | Risk::Variables => None,
        };
        named.map_or_else(|| risk.refusal().to_owned(), |named| format!("{}, `{named}`", risk.refusal()))
    };
    risks.iter().map(text).collect::<Vec<_>>().join("; ")
}
