use ledger::RolledBack;
use lock_model::{CommitId, EnvironmentName, ReleaseId};
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::Report;

/// `hold` and `unhold`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct HoldReport {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// Whether it is held now.
    pub held: bool,
    /// The reason that was given.
    pub reason: String,
    /// Number of the record; absent where nothing had to be recorded.
    pub record: Option<u64>,
    /// The release that may be deployed again although a rollback took it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<ReleaseId>,
    /// What the next run would take up, after an unhold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextRun>,
}

/// What the next run of an environment would take up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct NextRun {
    /// The newest commit of its branch.
    pub commit: CommitId,
    /// The release of that commit; absent while its lock is not committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// Whether the environment has that release.
    pub is_deployed: bool,
    /// The rollback that took that release out; the run is refused then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RolledBack>,
}

impl Report for HoldReport {}
