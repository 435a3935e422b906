//! Locks that reached a branch without a pull request that shows them.

use ledger::{Ledger, Step, StepResult};
use lock_model::Digest;

use crate::report::v1::UnreviewedLock;

/// Why the lock file with this digest was committed unreviewed; `None` where a pull request shows it.
pub(crate) fn unreviewed_lock(ledger: &Ledger, file: &Digest) -> Option<UnreviewedLock> {
    ledger
        .records()
        .iter()
        .filter(|record| record.is(Step::LockCommit, StepResult::Ok) && record.entry.lock_file.as_ref() == Some(file))
        .find_map(|record| {
            let entry = &record.entry;
            Some(UnreviewedLock {
                kind: entry.unreviewed?,
                reason: entry.reason.clone().unwrap_or_default(),
                pull_requests: entry.pulls.clone(),
                by: entry.run.actor.clone(),
                record: record.seq,
            })
        })
}
