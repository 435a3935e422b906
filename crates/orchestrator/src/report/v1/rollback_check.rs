//! Which releases an environment could go back to.

use lock_model::{CommitId, EnvironmentName, LockId, ReleaseId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Report, Verdict};
use crate::error::Problem;

/// `rollback --check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RollbackCheckReport {
    /// The environment that was asked about.
    pub environment: EnvironmentName,
    /// The releases that were proven there or taken over for it, newest first.
    pub releases: Vec<CheckedRelease>,
}

/// A release, and whether a rollback could deploy it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct CheckedRelease {
    /// Id of the release: lock and configuration together.
    pub release: ReleaseId,
    /// The tag that it is archived under; absent where the environment makes no releases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Id of its lock.
    pub lock: LockId,
    /// The commit that lock, configuration and manifests are taken from.
    pub commit: CommitId,
    /// When it was proven or taken over, UTC.
    pub since: Timestamp,
    /// Whether the environment has it now.
    pub is_deployed: bool,
    /// Whether everything that a rollback to it needs is there.
    pub possible: bool,
    /// What stands against it; empty where it is possible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What a rollback to it does not undo.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for RollbackCheckReport {
    /// Positive where there is a release to go back to.
    fn verdict(&self) -> Verdict {
        Verdict::of(self.releases.iter().any(|release| release.possible && !release.is_deployed))
    }
}
