//! The record of everything that went past a rule.

use lock_model::{BranchName, CommitId, Timestamp, UserName};

use super::open::LocalForge;
use super::store::Writer;
use super::wire::{BypassFile, FORMAT_VERSION};
use crate::error::ForgeError;
use crate::model::BypassRecord;

impl LocalForge {
    /// Every push and merge that went past a rule, in order.
    pub fn bypasses(&self) -> Result<Vec<BypassRecord>, ForgeError> {
        let mut records = Vec::new();
        for seq in self.store.numbers("bypasses")? {
            if let Some(file) = self.store.read_json::<BypassFile>(&path(seq))? {
                records.push(BypassRecord::from(file));
            }
        }
        Ok(records)
    }

    /// Adds a record; the same move of the same branch is recorded once.
    #[expect(clippy::too_many_arguments, reason = "one record, written in three places")]
    pub(super) fn record_bypass(
        &self,
        writer: &Writer<'_>,
        branch: &BranchName,
        before: Option<CommitId>,
        after: CommitId,
        pull_request: Option<u64>,
        by: &UserName,
        now: Timestamp,
        rules: &[String],
    ) -> Result<(), ForgeError> {
        let numbers = self.store.numbers("bypasses")?;
        for seq in numbers.iter().rev() {
            let known = self.store.read_json::<BypassFile>(&path(*seq))?;
            if known.is_some_and(|known| {
                known.branch == *branch && known.before == before && known.after == after && known.by == *by
            }) {
                return Ok(());
            }
        }
        let seq = numbers.last().map_or(1, |last| last + 1);
        let file = BypassFile {
            version: FORMAT_VERSION,
            seq,
            branch: branch.clone(),
            before,
            after,
            pull_request,
            by: by.clone(),
            at: now,
            rules: rules.to_vec(),
        };
        writer.write_json(&path(seq), &file)
    }
}

fn path(seq: u64) -> String {
    format!("bypasses/{seq}.json")
}
