//! The ledger as a table.

use lock_model::{CommitId, Digest, EnvironmentName, LockId, ReleaseId, Timestamp};

use ledger::{Ledger, Record, RecordDraft, StepResult};

/// `history`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct HistoryReport {
    /// The records, oldest first.
    pub records: Vec<HistoryRow>,
    /// How many records the ledger has.
    pub total: usize,
}

impl super::Report for HistoryReport {}

/// One record, as a row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct HistoryRow {
    /// Number of the record in the ledger.
    pub seq: u64,
    /// When its answer was there.
    pub at: Timestamp,
    /// The environment; absent for a record about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// What, with the suite's name where it is one.
    pub step: String,
    /// How it stands.
    pub result: StepResult,
    /// Id of the release: lock and configuration together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// Id of the lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockId>,
    /// The commit of the superproject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The user who wrote the record.
    pub by: String,
    /// How long it took; absent for what was only started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i64>,
    /// The tag, the proof level, why the lock was not reviewed, where rules were read that nothing passed by, and the reason, as far as there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `history show`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct RecordReport {
    /// Number of the record in the ledger.
    pub seq: u64,
    /// Path of its file on the ledger's branch.
    pub file: String,
    /// SHA-256 of that file.
    pub sha256: Digest,
    /// SHA-256 of the record before; absent in the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// SHA-256 of the lock file that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_file: Option<Digest>,
    /// What it says. Its documents lie at `evidence/sha256/HEX` on the ledger's branch; `history evidence` shows them.
    pub entry: RecordDraft,
}

impl super::Report for RecordReport {}

/// `history evidence`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct EvidenceReport {
    /// Number of the record that names it.
    pub seq: u64,
    /// What it is, such as `gates.json`.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// The document; bytes that are no UTF-8 are replaced.
    pub content: String,
}

impl super::Report for EvidenceReport {}

impl From<&Record> for RecordReport {
    fn from(record: &Record) -> Self {
        Self {
            seq: record.seq,
            file: record.file_name(),
            sha256: Digest::of(&record.to_json()),
            previous: record.previous.clone(),
            lock_file: record.entry.lock_file.clone(),
            entry: record.entry.clone(),
        }
    }
}

/// The rows of one environment, or of all of them with what concerns all; oldest first.
pub fn history(ledger: &Ledger, environment: Option<&EnvironmentName>) -> Vec<HistoryRow> {
    ledger
        .records()
        .iter()
        .filter(|record| match (environment, &record.entry.environment) {
            (None, _) | (Some(_), None) => true,
            (Some(wanted), Some(recorded)) => wanted == recorded,
        })
        .map(row)
        .collect()
}

fn row(record: &Record) -> HistoryRow {
    let entry = &record.entry;
    let notes: Vec<String> = [
        entry.tag.clone(),
        entry.proof.map(|level| level.as_str().to_owned()),
        entry.unreviewed.map(|unreviewed| format!("unreviewed: {}", unreviewed.as_str())),
        entry
            .policy
            .as_ref()
            .filter(|policy| policy.source != ledger::PolicySource::Passed)
            .map(|policy| policy.source.as_str().to_owned()),
        entry.reason.clone(),
    ]
    .into_iter()
    .flatten()
    .collect();
    HistoryRow {
        seq: record.seq,
        at: record.recorded_at(),
        environment: entry.environment.clone(),
        step: entry.key().to_string(),
        result: entry.result,
        release: entry.release.clone(),
        lock: entry.lock.clone(),
        commit: entry.commit.clone(),
        by: entry.run.actor.clone(),
        seconds: entry.finished.map(|finished| finished.as_unix_seconds() - entry.started.as_unix_seconds()),
        note: if notes.is_empty() { None } else { Some(notes.join("; ")) },
    }
}
