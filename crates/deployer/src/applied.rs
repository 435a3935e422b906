//! What applying a plan takes, reports and answers: the same for every target, apart from the detail.

use std::fmt;

use lock_model::Timestamp;

use crate::apply::ApplyApplied;
use crate::helm::HelmApplied;
use crate::namespace::NotAwaited;
use crate::plan::Change;
use crate::render::RenderApplied;

/// Who applies a plan, and when: targets write both beside what they deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// Name of the person or bot.
    pub actor: String,
    /// The time of the deployment.
    pub time: Timestamp,
    /// The deployment's number, in whatever the caller counts them by. What is written names it, so that a later deployment
    /// can tell whether this one arrived.
    pub number: Option<u64>,
    /// What becomes of a target that holds the planned files already.
    pub same_files: SameFiles,
}

/// What becomes of a target that holds the planned files already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameFiles {
    /// It is left as it is.
    #[default]
    Keep,
    /// It is written all the same: what a deployment that was cut off still has under way cannot arrive after that.
    ///
    /// A target that the deployment with the number `unless` wrote is left as it is, since that one has arrived.
    Write {
        /// The number of the deployment that was cut off, where it asked for the same files.
        unless: Option<u64>,
    },
}

impl ApplyOptions {
    /// Without a number, and with files that are kept where they are the same.
    pub fn new(actor: impl Into<String>, time: Timestamp) -> Self {
        Self { actor: actor.into(), time, number: None, same_files: SameFiles::default() }
    }
}

/// What happens while a plan is applied, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeployEvent {
    /// A part of the target is about to be written.
    Started {
        /// The part, such as ``branch `deploy/staging` ``.
        subject: String,
    },
    /// The part is as planned.
    Finished {
        /// The part.
        subject: String,
        /// False where it was as planned before.
        changed: bool,
    },
    /// A wave begins, where there are several.
    Wave {
        /// Its place among the waves that change something, from 1.
        number: usize,
        /// The number of waves that change something.
        of: usize,
    },
    /// What an earlier run wrote, and this one leaves as it is, has to be ready before the next wave.
    WaitingForKept,
    /// A wave is written, and the target waits until it is ready. Not every target says so.
    Waiting {
        /// Its place among the waves that change something, from 1.
        number: usize,
        /// The number of waves that change something.
        of: usize,
    },
    /// The next wave begins although an object of this one may not be ready: nothing says when it is.
    NotAwaited(NotAwaited),
}

impl fmt::Display for DeployEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { subject } => write!(f, "writing {subject}"),
            Self::Finished { subject, changed: true } => write!(f, "{subject} is written"),
            Self::Finished { subject, changed: false } => write!(f, "{subject} is unchanged"),
            Self::Wave { number, of } => write!(f, "wave {number} of {of}"),
            Self::WaitingForKept => f.write_str("waiting until what is written already is ready"),
            Self::Waiting { of: 1, .. } => f.write_str("waiting until it is ready"),
            Self::Waiting { number, of } => write!(f, "waiting until wave {number} of {of} is ready"),
            Self::NotAwaited(object) => object.fmt(f),
        }
    }
}

/// What applying a plan did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Applied {
    /// The plan's changes; empty where all of it was deployed before.
    pub changes: Vec<Change>,
    /// Objects that were applied and not waited for, since nothing says when they are ready.
    pub not_awaited: Vec<NotAwaited>,
    /// What the target wrote.
    #[serde(flatten)]
    pub detail: AppliedDetail,
}

/// The part of the answer that belongs to its target.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "target", rename_all = "snake_case")]
pub enum AppliedDetail {
    /// Of [`Target::Render`](crate::Target::Render).
    Render(RenderApplied),
    /// Of [`Target::Helm`](crate::Target::Helm).
    Helm(HelmApplied),
    /// Of [`Target::Apply`](crate::Target::Apply).
    Apply(ApplyApplied),
}
