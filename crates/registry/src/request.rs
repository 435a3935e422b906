//! What is asked, and what is answered.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use lock_model::{
    CommitId, CreatedFrom, Digest, ErrorClass, ImageReference, ImageRepository, LockedImage, Platform, Revision, Tag,
    Timestamp,
};

use crate::error::{RegistryError, RegistryErrorKind};
use crate::text::joined;

/// An image that is looked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageRequest {
    /// Where the image may be, in order: the first that is there is taken. One with a digest is asked for by it, and its
    /// tag is never looked at; one with neither digest nor tag is refused.
    pub candidates: Vec<ImageReference>,
    /// The platforms that it must be there for. None means all that it is there for.
    pub platforms: Vec<Platform>,
    pub(crate) built_from: Option<(CommitId, RevisionPolicy)>,
}

impl ImageRequest {
    /// Looks for the first of these, for all its platforms and built from any commit.
    pub fn new(candidates: impl IntoIterator<Item = ImageReference>) -> Self {
        Self { candidates: candidates.into_iter().collect(), platforms: Vec::new(), built_from: None }
    }

    /// Sets the platforms that the image must be there for.
    #[must_use]
    pub fn platforms(mut self, platforms: impl IntoIterator<Item = Platform>) -> Self {
        self.platforms = platforms.into_iter().collect();
        self
    }

    /// Compares the commit that the image names in its [`REVISION_LABEL`](crate::REVISION_LABEL) with this one.
    #[must_use]
    pub fn built_from(mut self, commit: CommitId, policy: RevisionPolicy) -> Self {
        self.built_from = Some((commit, policy));
        self
    }

    /// Whether all candidates are asked for by tag, so that what an earlier command saw says something about them.
    pub(crate) fn is_by_tag(&self) -> bool {
        self.candidates.iter().all(|candidate| candidate.digest.is_none() && candidate.tag.is_some())
    }
}

/// What follows when an image does not say that it was built from the commit that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevisionPolicy {
    /// It is not taken.
    Require,
    /// It is taken when there is no better one, with a warning.
    Warn,
    /// Nothing is compared.
    Off,
}

/// An image that was found, confirmed at the end of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolution {
    /// What the tag or the digest stands for.
    pub image: ResolvedImage,
    /// Every candidate that was asked, in order.
    pub tried: Vec<Attempt>,
    /// What is odd about the image, or about candidates that were passed over.
    pub warnings: Vec<Warning>,
}

/// An image with everything that a lock says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedImage {
    /// The repository as it was asked for, also where a mirror answered.
    pub repository: ImageRepository,
    /// The tag of the candidate; absent when that named a digest alone.
    pub tag: Option<Tag>,
    /// Of the index where there is one, else of the manifest.
    pub digest: Digest,
    /// The manifest of each platform.
    pub platforms: BTreeMap<Platform, Digest>,
    /// When the image says it was made; absent when it does not say, or says 1970 or the year 1 as builders do that have
    /// no date.
    pub created: Option<ImageDate>,
    /// What the image says about the commit that it was built from.
    pub revision: Revision,
}

/// When an image was made, by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageDate {
    /// Of several platforms, the latest.
    pub time: Timestamp,
    /// Where it stands: configuration or annotation.
    pub from: CreatedFrom,
}

impl ResolvedImage {
    /// `repository:tag@digest`: a name for people, a digest for machines.
    pub fn reference(&self) -> ImageReference {
        ImageReference { repository: self.repository.clone(), tag: self.tag.clone(), digest: Some(self.digest.clone()) }
    }

    /// The entry of a lock, dated `commit_time` where the image has no date; `None` when there is no tag, which a lock
    /// needs.
    pub fn into_locked(self, commit_time: Timestamp) -> Option<LockedImage> {
        let Self { repository, tag, digest, platforms, created, revision } = self;
        let (created, created_from) = created.map_or((commit_time, CreatedFrom::Commit), |date| (date.time, date.from));
        let image = LockedImage::new(repository, tag?, digest, created, created_from);
        Some(image.with_platforms(platforms).with_revision(revision))
    }
}

/// An image that could not be found, or not be confirmed. Displayed is the reason and what was tried.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unresolved {
    /// Every candidate that was asked, in order.
    pub tried: Vec<Attempt>,
    /// Why there is no image.
    pub reason: UnresolvedReason,
}

impl Unresolved {
    /// What kind of failure this is: `NotFound` where no candidate exists, `Invalid` where the request names none or
    /// images name other commits, else the one of the [error](RegistryError::class).
    pub fn class(&self) -> ErrorClass {
        match &self.reason {
            UnresolvedReason::NoCandidates | UnresolvedReason::OtherRevision { .. } => ErrorClass::Invalid,
            UnresolvedReason::AllMissing => ErrorClass::NotFound,
            UnresolvedReason::Failed(error) => error.class(),
        }
    }

    /// The question that had no good answer.
    pub(crate) fn failure(&self) -> Option<&RegistryErrorKind> {
        let UnresolvedReason::Failed(error) = &self.reason else { return None };
        Some(error.kind())
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        // The last attempt of a failure is the failure.
        let told = usize::from(matches!(self.reason, UnresolvedReason::Failed(_)));
        match self.tried.split_at(self.tried.len().saturating_sub(told)) {
            ([], _) => Ok(()),
            (tried, _) => write!(f, " (tried {})", joined(tried)),
        }
    }
}

impl std::error::Error for Unresolved {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.reason)
    }
}

/// Why no image was resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnresolvedReason {
    /// The request has no candidates.
    #[error("no place is configured where its image could be")]
    NoCandidates,
    /// None of the candidates exists.
    #[error("none of its images exists")]
    AllMissing,
    /// There are images, but none says that it was built from the commit.
    #[error("{}", other_revision(wanted, found))]
    OtherRevision {
        /// The commit that the request names.
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
#[non_exhaustive]
pub struct FoundRevision {
    /// As it was asked for.
    pub reference: ImageReference,
    /// The commit it names; absent when it names none. Foreign text: cut and escaped.
    pub revision: Option<String>,
}

/// A candidate that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// As it was asked for.
    pub reference: ImageReference,
    /// The repository that a mirror was asked for, where it has another name there.
    pub asked: Option<String>,
    /// What came of it.
    pub outcome: AttemptOutcome,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.asked {
            None => write!(f, "{}: {}", self.reference, self.outcome),
            Some(asked) => write!(f, "{} (asked for as {asked}): {}", self.reference, self.outcome),
        }
    }
}

/// What came of asking for a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// It is there, and it is the one.
    Found {
        /// Of the index, or of the manifest.
        digest: Digest,
    },
    /// It does not exist.
    Missing,
    /// Its repository has no tag at all, or does not exist.
    RepositoryMissing,
    /// It does not exist, and a web page says so, as no registry does.
    PageMissing,
    /// It is there and does not say that it was built from the commit.
    OtherRevision {
        /// Of the index, or of the manifest.
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
            Self::RepositoryMissing => f.write_str("there is no such repository, or nothing in it"),
            Self::PageMissing => f.write_str("does not exist, says a web page"),
            Self::OtherRevision { revision, .. } => f.write_str(&revision_words(revision.as_deref())),
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
        /// The image and the commit that it names.
        found: FoundRevision,
        /// The commit that the request names.
        wanted: CommitId,
        /// Whether it was taken all the same.
        taken: bool,
    },
    /// A creation date cannot be read, and the next best was taken.
    UnreadableDate {
        /// The text that should be a date: cut and escaped.
        text: String,
    },
    /// The image names addresses elsewhere for its content, which are ignored.
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

/// What happens while images are looked for. `request` is the position among the requests of the call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A candidate is asked for.
    Asking {
        /// Position of the request, from 0.
        request: usize,
        /// What is asked for.
        candidate: &'a ImageReference,
    },
    /// A candidate has been asked for.
    Asked {
        /// Position of the request, from 0.
        request: usize,
        /// What came of it.
        attempt: &'a Attempt,
    },
    /// An HTTP request is sent again after a wait.
    Retrying {
        /// Position of the request, from 0.
        request: usize,
        /// How long until then.
        wait: Duration,
        /// What failed, with its causes.
        reason: &'a str,
    },
    /// All candidates of a request were asked; the last look at the tag is still to come.
    Looked {
        /// Position of the request, from 0.
        request: usize,
        /// Whether there is an image for it.
        found: bool,
    },
    /// Images that are not there yet are waited for.
    Waiting {
        /// Positions of the requests whose images are waited for.
        missing: &'a [usize],
        /// Number of requests of the call.
        of: usize,
        /// How long until the next look.
        wait: Duration,
    },
    /// The tag of an image is looked at a second time, perhaps while its configuration is still being read.
    Confirming {
        /// Position of the request, from 0.
        request: usize,
    },
}

/// An image of which every digest is asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DigestRequest {
    /// Where the image is.
    pub repository: ImageRepository,
    /// Of the index where there is one, else of the manifest.
    pub digest: Digest,
    /// The manifest of each platform; may be empty.
    pub platforms: BTreeMap<Platform, Digest>,
}

impl DigestRequest {
    /// Asks for one digest, and for no platform.
    pub fn new(repository: ImageRepository, digest: Digest) -> Self {
        Self { repository, digest, platforms: BTreeMap::new() }
    }

    /// Asks for the manifests of these platforms too.
    #[must_use]
    pub fn platforms(mut self, platforms: impl IntoIterator<Item = (Platform, Digest)>) -> Self {
        self.platforms = platforms.into_iter().collect();
        self
    }
}

impl From<&LockedImage> for DigestRequest {
    fn from(image: &LockedImage) -> Self {
        Self::new(image.repository.clone(), image.digest.clone()).platforms(image.platforms.clone())
    }
}

impl From<&ResolvedImage> for DigestRequest {
    fn from(image: &ResolvedImage) -> Self {
        Self::new(image.repository.clone(), image.digest.clone()).platforms(image.platforms.clone())
    }
}

/// Whether the digests of an image are still there.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DigestAnswer {
    /// The digests that are gone, each with its platform; absent for the image's own.
    pub missing: Vec<(Option<Platform>, Digest)>,
}

impl DigestAnswer {
    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

fn revision_text(found: &FoundRevision) -> String {
    format!("`{}` {}", found.reference, revision_words(found.revision.as_deref()))
}

/// What an image says about its commit. A short id may be anybody's: commits that share one are made in hours.
fn revision_words(revision: Option<&str>) -> String {
    match revision {
        None => "does not say which commit it was built from".to_owned(),
        Some(revision) if CommitId::try_from(revision).is_ok() => format!("was built from commit `{revision}`"),
        Some(revision) if revision.len() >= 4 && revision.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("names only `{revision}`, which is too short to prove a commit")
        }
        Some(revision) => format!("names `{revision}`, which is no commit"),
    }
}

fn other_revision(wanted: &CommitId, found: &[FoundRevision]) -> String {
    let found: Vec<String> = found.iter().map(revision_text).collect();
    format!("{}, the submodule is at `{wanted}`", found.join(", "))
}
