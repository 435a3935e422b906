use lock_model::{BranchName, CommitId, Timestamp, UserName};
use serde::{Deserialize, Serialize};

use super::LocalForge;
use super::store::Writer;
use crate::error::ForgeError;

/// A push or a merge that bypassed a rule, as `bypasses/SEQ.json` holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BypassRecord {
    /// Order of arrival, from 1.
    pub seq: u64,
    /// The branch that moved.
    pub branch: BranchName,
    /// Its tip before; absent when the branch was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<CommitId>,
    /// Its tip after.
    pub after: CommitId,
    /// Number of the pull request, when it was a merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
    /// The user who pushed or merged.
    pub by: UserName,
    /// When.
    pub at: Timestamp,
    /// The rules that were bypassed, in words.
    pub rules: Vec<String>,
}

impl BypassRecord {
    pub(crate) fn new(
        branch: &BranchName,
        before: Option<CommitId>,
        after: CommitId,
        by: &UserName,
        at: Timestamp,
        rules: &[String],
    ) -> Self {
        let (branch, by, rules) = (branch.clone(), by.clone(), rules.to_vec());
        Self { seq: 0, branch, before, after, pull_request: None, by, at, rules }
    }
}

impl LocalForge {
    /// Adds a record under the next number; the same move of the same branch is recorded once.
    pub(crate) fn record_bypass(&self, writer: &Writer<'_>, record: BypassRecord) -> Result<(), ForgeError> {
        let known: Vec<BypassRecord> = self.store.read_numbered(FOLDER)?;
        let same = |known: &BypassRecord| {
            (&known.branch, &known.before, &known.after, &known.by)
                == (&record.branch, &record.before, &record.after, &record.by)
        };
        if known.iter().any(same) {
            return Ok(());
        }
        let seq = self.store.next_number(FOLDER)?;
        writer.write_json(&format!("{FOLDER}/{seq}.json"), &BypassRecord { seq, ..record })
    }
}

pub(crate) const FOLDER: &str = "bypasses";
