//! The ledger of the shop, as it is stored.

use lock_model::Digest;
use serde_json::Value;

use super::Shop;

impl Shop {
    /// The ledger's records, in their order: file name, bytes, predicate.
    pub(crate) fn records(&self) -> Vec<LedgerRecord> {
        let repository = self.superproject();
        let names = repository.try_git(&["ls-tree", "-r", "--name-only", "orchestrator/ledger", "records/"]);
        if !names.success() {
            return Vec::new();
        }
        // One child for all of them.
        let text = repository.git(&["grep", "--no-color", "-h", "", "orchestrator/ledger", "--", "records"]);
        let records: Vec<LedgerRecord> = names
            .stdout
            .lines()
            .zip(text.lines())
            .map(|(name, line)| {
                let statement: Value = serde_json::from_str(line).expect("a record is one line of JSON");
                LedgerRecord {
                    name: name.rsplit('/').next().unwrap_or(name).to_owned(),
                    digest: Digest::of(format!("{line}\n").as_bytes()).to_string(),
                    predicate: statement["predicate"].clone(),
                }
            })
            .collect();
        assert_eq!(records.len(), names.stdout.lines().count(), "each record is one line");
        records
    }
}

/// A record of the ledger, as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct LedgerRecord {
    /// Its file's name.
    pub name: String,
    /// The digest of its bytes.
    pub digest: String,
    /// What it says.
    pub predicate: Value,
}
