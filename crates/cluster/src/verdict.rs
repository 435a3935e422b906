use std::fmt;
use std::time::Duration;

use lock_model::escaping::excerpt;
use process::Redactor;

use crate::object::ObjectKey;

lock_model::words! {
    /// Why a workload does not become ready.
    FailureClass, "failure class" {
        /// The registry has no such image, or does not show it to the cluster.
        PullMissing = "pull-missing",
        /// The image could not be pulled this time: the registry is away or busy.
        PullTemporary = "pull-temporary",
        /// A container ends again and again.
        Crash = "crash",
        /// A container was ended because it used more memory than its limit.
        OutOfMemory = "out-of-memory",
        /// The pod cannot be made as it is written: a missing Secret, an invalid command, a refused pod.
        Config = "config",
        /// No node takes the pod.
        Scheduling = "scheduling",
        /// A quota leaves no room for the pod.
        Quota = "quota",
        /// A container runs, and its probe says that it is not ready.
        Probe = "probe",
        /// A Job failed.
        Job = "job",
        /// A hook of a chart failed.
        Hook = "hook",
        /// The pod was evicted or preempted, or its node was shut down.
        Evicted = "evicted",
        /// A volume is lost, or is not bound.
        Volume = "volume",
        /// The object is being deleted, or is gone.
        Deleted = "deleted",
        /// The object's own conditions say that it failed or is not ready.
        Condition = "condition",
    }
}

/// Whether a cause can go away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permanence {
    /// It stays until a person changes something.
    Permanent,
    /// It counts as permanent once it has lasted this long without a break.
    After(Duration),
    /// It can go away at any time; only the deadline ends the wait.
    Temporary,
}

/// One reason why an object is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cause {
    /// What kind of reason it is.
    pub class: FailureClass,
    /// Whether it can go away by itself.
    pub permanence: Permanence,
    /// The object that shows it: mostly a pod of the object that is waited for.
    pub object: ObjectKey,
    /// The container of that pod, where one container is at fault.
    pub container: Option<String>,
    /// What the cluster says: masked, cut and escaped where a wait gives it, and as it is where the rules do.
    pub message: String,
}

impl Cause {
    /// `message` is foreign text, which [`shown`](Self::shown) makes fit for a report.
    pub fn new(class: FailureClass, permanence: Permanence, object: &ObjectKey, message: impl Into<String>) -> Self {
        Self { class, permanence, object: object.clone(), container: None, message: message.into() }
    }

    /// The same with a message that is masked, and then cut and escaped: a cut before would leave the beginning of a secret.
    #[must_use]
    pub fn shown(&self, secrets: &Redactor) -> Self {
        Self { message: excerpt(secrets.redact(&self.message)), ..self.clone() }
    }

    /// Names the container at fault.
    #[must_use]
    pub fn in_container(self, container: &str) -> Self {
        Self { container: Some(container.to_owned()), ..self }
    }

    /// Whether it stays until a person changes something.
    pub fn is_permanent(&self) -> bool {
        self.permanence == Permanence::Permanent
    }
}

/// `crash: Pod/cart-5d8-x2, container app: exit code 1`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.object)?;
        if let Some(container) = &self.container {
            write!(f, ", container {container}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Whether an object is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is ready.
    Ready {
        /// What the verdict rests on.
        detail: String,
    },
    /// It is applied, and nothing says when it is ready; it is listed and not waited for.
    Undefined {
        /// Why readiness is not defined.
        detail: String,
    },
    /// It is not ready yet.
    Waiting {
        /// What is missing.
        detail: String,
        /// What keeps it from being ready, as far as the cluster says it; empty while things take their course.
        causes: Vec<Cause>,
    },
    /// It does not become ready by itself.
    Failed {
        /// What failed.
        detail: String,
        /// Never empty.
        causes: Vec<Cause>,
    },
}

impl Verdict {
    /// It is ready.
    pub fn ready(detail: impl Into<String>) -> Self {
        Self::Ready { detail: detail.into() }
    }

    /// Nothing says when it is ready.
    pub fn undefined(detail: impl Into<String>) -> Self {
        Self::Undefined { detail: detail.into() }
    }

    /// Things take their course.
    pub fn waiting(detail: impl Into<String>) -> Self {
        Self::Waiting { detail: detail.into(), causes: Vec::new() }
    }

    /// Something keeps it from being ready.
    pub fn waiting_for(detail: impl Into<String>, causes: Vec<Cause>) -> Self {
        Self::Waiting { detail: detail.into(), causes }
    }

    /// It does not become ready by itself; `causes` is not empty.
    pub fn failed(detail: impl Into<String>, causes: Vec<Cause>) -> Self {
        debug_assert!(!causes.is_empty(), "a failure has a cause");
        Self::Failed { detail: detail.into(), causes }
    }

    /// The same with messages that are masked, cut and escaped.
    #[must_use]
    pub fn shown(&self, secrets: &Redactor) -> Self {
        // A detail can have words of a controller in it.
        let detail = secrets.redact(self.detail());
        let causes = || self.causes().iter().map(|cause| cause.shown(secrets)).collect();
        match self {
            Self::Ready { .. } => Self::Ready { detail },
            Self::Undefined { .. } => Self::Undefined { detail },
            Self::Waiting { .. } => Self::Waiting { detail, causes: causes() },
            Self::Failed { .. } => Self::Failed { detail, causes: causes() },
        }
    }

    /// Whether the object needs no more waiting.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Ready { .. } | Self::Undefined { .. } => true,
            Self::Waiting { .. } | Self::Failed { .. } => false,
        }
    }

    /// Whether waiting has no purpose.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// One sentence of what is the case.
    pub fn detail(&self) -> &str {
        match self {
            Self::Ready { detail }
            | Self::Undefined { detail }
            | Self::Waiting { detail, .. }
            | Self::Failed { detail, .. } => detail,
        }
    }

    /// What keeps the object from being ready.
    pub fn causes(&self) -> &[Cause] {
        match self {
            Self::Ready { .. } | Self::Undefined { .. } => &[],
            Self::Waiting { causes, .. } | Self::Failed { causes, .. } => causes,
        }
    }
}
