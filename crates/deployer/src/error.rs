use lock_model::{ErrorClass, ServiceName};

use crate::namespace::Dossier;
use crate::problem::DeployProblems;

/// Why a target could not plan, apply or prove.
///
/// `subject` names the part of the target that failed, such as ``branch `deploy/staging` ``.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The request cannot be deployed; nothing was changed.
    #[error(transparent)]
    Problems(#[from] DeployProblems),
    /// The target changed after the plan was made: plan again.
    #[error("{subject} moved from {} to {}", or_nothing(expected.as_ref()), or_nothing(actual.as_ref()))]
    Moved {
        /// The part.
        subject: String,
        /// Where the plan expects it; none where it does not exist yet.
        expected: Option<String>,
        /// Where it was found; none where it is gone.
        actual: Option<String>,
    },
    /// Another run or program wrote it after it was read: plan again.
    #[error("{subject} was written meanwhile, by another run or program")]
    Written {
        /// Kind and name of the object.
        subject: String,
    },
    /// A server does not permit the change.
    #[error("{subject} refused the change: {reason}")]
    Refused {
        /// The part.
        subject: String,
        /// The server's own words.
        reason: String,
    },
    /// The target must not be written to as it is: a symbolic link on the way to a folder, files of other origin.
    #[error("{subject} is not used: {reason}")]
    Unusable {
        /// The part.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A program that the target needs is missing, or of a version that is not known.
    #[error("`{program}` cannot be used: {reason}")]
    Program {
        /// The program.
        program: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A cluster gives no answer, or does not take a change.
    #[error(transparent)]
    Cluster(#[from] cluster::ClusterError),
    /// A chart is rendered to something else than when it was planned; nothing of it was changed.
    #[error("{subject} would be another than planned: {difference} differs")]
    PlanMoved {
        /// The part.
        subject: String,
        /// What differs.
        difference: String,
        /// Which services were changed before; absent where none was.
        dossier: Option<Box<Dossier>>,
    },
    /// A hook would delete what the cluster did not have when it was planned; nothing of the release was changed.
    #[error("{subject} is not installed: {reason}")]
    HookMoved {
        /// `helm release`, and its name in backticks.
        subject: String,
        /// Which object, and whose it is.
        reason: String,
        /// Which services were changed before; absent where none was.
        dossier: Option<Box<Dossier>>,
    },
    /// What was installed does not become ready, or was not in time.
    #[error("{subject} is not ready: {reason}")]
    NotReady {
        /// The part.
        subject: String,
        /// How the wait ended.
        reason: String,
        /// What is not ready, and why.
        dossier: Box<Dossier>,
    },
    /// What was installed is failing, and a newer release waits for the environment.
    #[error("{subject} is not ready, and superseded by {newer}")]
    Superseded {
        /// The part.
        subject: String,
        /// The newer release.
        newer: String,
        /// What is not ready, and why.
        dossier: Box<Dossier>,
    },
    /// What helm has stored of a service's release cannot be read; nothing was changed.
    #[error("{subject}: cannot read its revision {revision}: {reason}")]
    UnreadableRelease {
        /// `helm release`, and its name in backticks.
        subject: String,
        /// helm's number of the revision.
        revision: u64,
        /// The Secret that holds it.
        secret: String,
        /// What the reader says of it, in one line.
        reason: String,
    },
    /// The configuration that a release had is gone; nothing was changed.
    #[error("{subject} {reason}")]
    ConfigurationGone {
        /// The object, or the release.
        subject: String,
        /// The rest of the sentence.
        reason: String,
    },
    /// A change was begun and is not as planned.
    #[error("{subject} is not as planned: {reason}")]
    NotDeployed {
        /// The part.
        subject: String,
        /// What is wrong.
        reason: String,
        /// What the cluster says of its objects; absent where it was not asked, or says that they are ready.
        dossier: Option<Box<Dossier>>,
    },
    /// Reading or writing failed.
    #[error("{subject}: cannot {action}")]
    Failed {
        /// The part.
        subject: String,
        /// What was tried.
        action: String,
        /// Class of the source.
        class: ErrorClass,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DeployError {
    /// What is known of a deployment that did not come through.
    pub fn dossier(&self) -> Option<&Dossier> {
        match self {
            Self::NotReady { dossier, .. } | Self::Superseded { dossier, .. } => Some(dossier),
            Self::NotDeployed { dossier, .. } | Self::PlanMoved { dossier, .. } | Self::HookMoved { dossier, .. } => {
                dossier.as_deref()
            }
            Self::Problems(_)
            | Self::Moved { .. }
            | Self::Written { .. }
            | Self::Refused { .. }
            | Self::Unusable { .. }
            | Self::Program { .. }
            | Self::Cluster(_)
            | Self::UnreadableRelease { .. }
            | Self::ConfigurationGone { .. }
            | Self::Failed { .. } => None,
        }
    }

    /// Adds which services were changed and which were not, where there is a dossier.
    pub(crate) fn with_progress(mut self, changed: &[ServiceName], untouched: &[ServiceName]) -> Self {
        let dossier = match &mut self {
            Self::NotReady { dossier, .. } | Self::Superseded { dossier, .. } => Some(dossier),
            Self::NotDeployed { dossier, .. } => Some(dossier.get_or_insert_default()),
            // Where nothing was changed, the plan is refused as a whole.
            Self::PlanMoved { dossier, .. } | Self::HookMoved { dossier, .. } => {
                (!changed.is_empty()).then(|| dossier.get_or_insert_default())
            }
            _ => None,
        };
        if let Some(dossier) = dossier {
            dossier.changed = changed.to_vec();
            dossier.untouched = untouched.to_vec();
        }
        self
    }

    /// `Invalid` for problems (`Bug` for a fault of this program) and unusable targets, `Temporary` after a move,
    /// `Denied` after a refusal, else the class of the source.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Problems(problems) => problems.class(),
            Self::Moved { .. } | Self::Written { .. } => ErrorClass::Temporary,
            Self::Cluster(error) => error.class(),
            Self::ConfigurationGone { .. } => ErrorClass::NotFound,
            Self::Refused { .. } => ErrorClass::Denied,
            Self::Unusable { .. }
            | Self::Program { .. }
            | Self::PlanMoved { .. }
            | Self::HookMoved { .. }
            | Self::UnreadableRelease { .. }
            | Self::NotDeployed { .. }
            | Self::NotReady { .. }
            | Self::Superseded { .. } => ErrorClass::Invalid,
            Self::Failed { class, .. } => *class,
        }
    }
}

fn or_nothing(id: Option<&String>) -> &str {
    id.map_or("nothing", String::as_str)
}
