//! Releases that were proven or archived.

use ledger::{Ledger, ProofLevel, Record};
use lock_model::{CommitId, EnvironmentName, LockId, ReleaseId, Timestamp};
use promotion::rollback::RollbackTarget;
use schemars::JsonSchema;
use serde::Serialize;

use super::Report;

/// `releases`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ReleasesReport {
    /// The releases, newest first.
    pub releases: Vec<ReleaseRow>,
}

impl Report for ReleasesReport {}

/// A release that an environment proved, or that was archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReleaseRow {
    /// Id of the release: lock and configuration together.
    pub release: ReleaseId,
    /// Id of its lock.
    pub lock: LockId,
    /// The commit that has its lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The tag that it is archived under; absent where no environment archived it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// When it was archived, UTC; where it was not, when it was first proven or taken over.
    pub at: Timestamp,
    /// The environments where its proof holds.
    pub proven: Vec<ProvenIn>,
    /// Who rejected its lock and why; absent where it was not rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The environments that have it now.
    pub deployed: Vec<EnvironmentName>,
    /// Of the environments that had it, those that do not have it now, and whether they can go back to it. Whether its
    /// images still exist is not asked.
    pub rollback: Vec<RollbackChoice>,
}

impl ReleaseRow {
    pub(crate) fn new(target: &RollbackTarget) -> Self {
        Self {
            release: target.release.clone(),
            lock: target.lock.clone(),
            commit: Some(target.commit.clone()),
            tag: None,
            at: target.since,
            proven: Vec::new(),
            rejected: None,
            deployed: Vec::new(),
            rollback: Vec::new(),
        }
    }

    /// A release of which the record of its tag alone is left.
    pub(crate) fn archived(record: &Record) -> Option<Self> {
        let entry = &record.entry;
        Some(Self {
            release: entry.release.clone()?,
            lock: entry.lock.clone()?,
            commit: entry.commit.clone(),
            tag: entry.tag.clone(),
            at: record.recorded_at(),
            proven: Vec::new(),
            rejected: None,
            deployed: Vec::new(),
            rollback: Vec::new(),
        })
    }
}

/// Who rejected a lock, why, and in which record.
pub(crate) fn rejected(ledger: &Ledger, lock: &LockId) -> Option<String> {
    let rejection = ledger.rejected(lock)?;
    Some(format!("`{}` rejected its lock: {} (record {})", rejection.by, rejection.reason, rejection.seq))
}

/// A proof that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProvenIn {
    /// The environment.
    pub environment: EnvironmentName,
    /// What the proof rests on.
    pub level: ProofLevel,
    /// When it was proven, UTC.
    pub at: Timestamp,
    /// Number of the record in the ledger.
    pub seq: u64,
}

/// Whether an environment can go back to a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RollbackChoice {
    /// The environment.
    pub environment: EnvironmentName,
    /// Whether `rollback` would take it.
    pub possible: bool,
    /// Why not; absent where it is possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
