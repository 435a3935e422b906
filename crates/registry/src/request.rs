//! What is asked, and what is answered.

use std::fmt;
use std::time::Duration;

use lock_model::{CommitId, Digest, ErrorClass, ImageRepository, LockedImage, Platform, ServiceName, Tag, Timestamp};

use crate::error::RegistryError;

/// A service whose image is looked for.
#[derive(Clone, Debug)]
pub struct ImageRequest {
    /// The service.
    pub service: ServiceName,
    /// Where the image may be, in order: the first that is there is taken.
    pub candidates: Vec<Candidate>,
    /// The platforms that it must be there for, and that are locked. None means all that it is there for.
    pub platforms: Vec<Platform>,
    /// The commit that it must have been built from.
    pub commit: CommitId,
    /// What follows when the image does not say so.
    pub revision: RevisionPolicy,
    /// When the commit was made: the date of an image that has none itself.
    pub commit_time: Timestamp,
}

/// A place where an image may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The repository.
    pub repository: ImageRepository,
    /// The tag.
    pub tag: Tag,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// What follows when an image does not say that it was built from the commit that is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionPolicy {
    /// It is not taken.
    Require,
    /// It is taken when there is no better one, and that is said.
    Warn,
    /// Nobody looks.
    Off,
}

/// An image that was found, confirmed at the end of the command.
#[derive(Debug)]
pub struct Resolution {
    /// The image, as the lock writes it.
    pub image: LockedImage,
    /// Every candidate that was asked, in order; the last one that was found is the image.
    pub tried: Vec<Attempt>,
    /// What people should know about it.
    pub warnings: Vec<Warning>,
}

/// A service for which no image can be locked.
#[derive(Debug)]
pub struct Unresolved {
    /// Every candidate that was asked, in order.
    pub tried: Vec<Attempt>,
    /// Why there is no image.
    pub reason: UnresolvedReason,
}

impl Unresolved {
    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        match &self.reason {
            UnresolvedReason::NoCandidates | UnresolvedReason::OtherRevision { .. } => ErrorClass::Invalid,
            UnresolvedReason::AllMissing => ErrorClass::NotFound,
            UnresolvedReason::Failed(error) => error.class(),
        }
    }

    /// How long the registry asked to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match &self.reason {
            UnresolvedReason::Failed(error) => error.kind().retry_after(),
            UnresolvedReason::NoCandidates | UnresolvedReason::AllMissing | UnresolvedReason::OtherRevision { .. } => {
                None
            }
        }
    }
}

/// Why there is no image for a service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnresolvedReason {
    /// The request names no place to look at.
    #[error("no place is configured where its image could be")]
    NoCandidates,
    /// None of the candidates exists.
    #[error("none of its images exists")]
    AllMissing,
    /// There are images, but none says that it was built from the commit.
    #[error("{}", other_revision(wanted, found))]
    OtherRevision {
        /// The commit that the submodule is at.
        wanted: CommitId,
        /// What each image that is there says.
        found: Vec<FoundRevision>,
    },
    /// A question had no good answer, so that it is not known whether the image is there.
    #[error(transparent)]
    Failed(RegistryError),
}

/// What an image says about the commit that it was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRevision {
    /// The image, `repository:tag`.
    pub reference: String,
    /// The commit it names; absent when it names none. Foreign text: cut and escaped.
    pub revision: Option<String>,
}

/// A candidate that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The candidate, `repository:tag`.
    pub reference: String,
    /// What came of it.
    pub outcome: AttemptOutcome,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reference, self.outcome)
    }
}

/// What came of asking for a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// It is there, and it is the one.
    Found {
        /// Its digest.
        digest: Digest,
    },
    /// It does not exist.
    Missing,
    /// It is there and does not say that it was built from the commit.
    OtherRevision {
        /// Its digest.
        digest: Digest,
        /// The commit that it names; absent when it names none. Foreign text: cut and escaped.
        revision: Option<String>,
    },
    /// There was no good answer.
    Failed {
        /// What kind of failure it was.
        class: ErrorClass,
        /// What went wrong, with its causes.
        message: String,
    },
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { digest } => write!(f, "found, {digest}"),
            Self::Missing => f.write_str("does not exist"),
            Self::OtherRevision { revision: Some(revision), .. } => write!(f, "was built from commit {revision}"),
            Self::OtherRevision { revision: None, .. } => f.write_str("does not say which commit it was built from"),
            Self::Failed { message, .. } => f.write_str(message),
        }
    }
}

/// Something about a resolved image that people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// An image was passed over, or taken under the policy `warn`, although it does not name the commit.
    OtherRevision {
        /// The image.
        found: FoundRevision,
        /// The commit that the submodule is at.
        wanted: CommitId,
        /// Whether it was locked all the same.
        taken: bool,
    },
    /// A creation date cannot be read, and the next best was taken.
    UnreadableDate {
        /// The text that should be a date: cut and escaped.
        text: String,
    },
    /// The image names addresses elsewhere for its content; nobody went there.
    ForeignUrls,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherRevision { found, wanted, taken } => {
                let verdict = if *taken { "taken" } else { "passed over" };
                write!(f, "{verdict}: {}, the submodule is at {wanted}", revision_text(found))
            }
            Self::UnreadableDate { text } => write!(f, "`{text}` is not a creation date"),
            Self::ForeignUrls => f.write_str("the image names other addresses for its content, which are ignored"),
        }
    }
}

/// What happens while images are looked for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A candidate is asked for.
    Asking {
        /// The service.
        service: &'a ServiceName,
        /// The candidate.
        candidate: &'a Candidate,
    },
    /// A candidate has been asked for.
    Asked {
        /// The service.
        service: &'a ServiceName,
        /// What came of it.
        attempt: &'a Attempt,
    },
    /// A request is sent again after a wait.
    Retrying {
        /// The service.
        service: &'a ServiceName,
        /// The wait.
        wait: Duration,
        /// Why.
        reason: &'a str,
    },
    /// A service is done, but for the last look at its tag.
    Looked {
        /// The service.
        service: &'a ServiceName,
        /// Whether there is an image for it.
        found: bool,
    },
    /// Images that are not there yet are waited for.
    Waiting {
        /// The services whose images are waited for.
        missing: &'a [&'a ServiceName],
        /// How many services are resolved in all.
        of: usize,
        /// How long until the next look.
        wait: Duration,
    },
    /// The last look at a service's tag.
    Confirming {
        /// The service.
        service: &'a ServiceName,
    },
}

/// An image whose digests are looked for.
#[derive(Clone, Debug)]
pub struct DigestRequest {
    /// The service.
    pub service: ServiceName,
    /// The repository.
    pub repository: ImageRepository,
    /// The digest of the image.
    pub digest: Digest,
    /// The digest of each platform's manifest.
    pub platforms: std::collections::BTreeMap<Platform, Digest>,
}

/// Whether what a lock names is still there.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DigestAnswer {
    /// The digests that are gone, each with its platform; absent for the image's own.
    pub missing: Vec<(Option<Platform>, Digest)>,
}

impl DigestAnswer {
    /// Whether everything is there.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

fn revision_text(found: &FoundRevision) -> String {
    match &found.revision {
        Some(revision) => format!("`{}` was built from commit `{revision}`", found.reference),
        None => format!("`{}` does not say which commit it was built from", found.reference),
    }
}

fn other_revision(wanted: &CommitId, found: &[FoundRevision]) -> String {
    let found: Vec<String> = found.iter().map(revision_text).collect();
    format!("{}, the submodule is at `{wanted}`", found.join(", "))
}
