use lock_model::{CommitId, Digest, ReleaseTag, Timestamp, UserName};
use serde::{Deserialize, Serialize};

/// A release to make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewRelease {
    /// Name of the annotated tag.
    pub tag: ReleaseTag,
    /// The commit that the tag names.
    pub commit: CommitId,
    /// The tag's message.
    pub message: String,
    /// Files to attach, in any order.
    pub assets: Vec<NewAsset>,
}

impl NewRelease {
    /// A release without files.
    pub fn new(tag: ReleaseTag, commit: CommitId, message: impl Into<String>) -> Self {
        Self { tag, commit, message: message.into(), assets: Vec::new() }
    }

    /// Attaches a file; its name has no folder and starts with a letter, digit or `_`.
    #[must_use]
    pub fn asset(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.assets.push(NewAsset { name: name.into(), bytes: bytes.into() });
        self
    }
}

/// A file to attach to a release.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewAsset {
    /// File name without a folder.
    pub name: String,
    /// The whole content.
    pub bytes: Vec<u8>,
}

/// A release: an annotated tag and its files, which never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Release {
    /// Name of the annotated tag.
    pub tag: ReleaseTag,
    /// The commit that the tag names.
    pub commit: CommitId,
    /// The tag's message.
    pub message: String,
    /// The files, by name.
    pub assets: Vec<Asset>,
    /// The user who made it.
    pub by: UserName,
    /// When it was made.
    pub at: Timestamp,
}

/// A file that a release carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Asset {
    /// File name without a folder.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
}

/// Answer to a release that was to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// The new one.
    Created(Release),
    /// The same tag, commit, message and files are there already; nothing was written.
    Exists(Release),
    /// Not made, for example because the tag names another commit.
    Refused {
        /// Every reason, not the first.
        reasons: Vec<String>,
    },
}
