use std::path::Path;

use ledger::{RecordDraft, Step, StepResult};
use lock_model::{LOCK_FILE, LockId};

use super::files::{STANDARD_INPUT, lock_file_at, read_file};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_store::LedgerStore;
use crate::report::v1::LockRejectReport;

/// Records that a lock must never be deployed. It is named by its id, by a file, or by a revision that holds it.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where there is no such lock.
pub async fn reject_lock(context: &Context, lock: &str, reason: &str) -> Result<LockRejectReport> {
    context.sync()?;
    let mut store = LedgerStore::read(context).await?;
    let (id, file, commit) = if let Ok(id) = LockId::try_from(lock) {
        let known = store.ledger().records().iter().rev().find(|record| record.entry.lock.as_ref() == Some(&id));
        let Some(known) = known else {
            return Err(Error::new(ErrorKind::Usage, format!("no record of the ledger names lock {id}"))
                .hint("`orchestrator history` shows the locks; a file or a revision works too"));
        };
        (id, known.entry.lock_file.clone(), known.entry.commit.clone())
    } else {
        let lock = if lock == STANDARD_INPUT || Path::new(lock).is_file() {
            read_file(Path::new(lock), &context.surroundings)?
        } else {
            let commit = context.resolve(lock)?;
            lock_file_at(context, commit.as_str())?
                .ok_or_else(|| Error::new(ErrorKind::Usage, format!("`{LOCK_FILE}` is not in {}", commit.short(12))))?
        };
        let head = lock.lock.source().head.clone();
        (lock.lock.id().clone(), Some(lock.digest), Some(head))
    };
    let mut draft = RecordDraft::new(Step::Reject, StepResult::Ok, context.run.clone(), context.now()).reason(reason);
    draft.lock = Some(id.clone());
    draft.lock_file = file;
    draft.commit = commit;
    let record = store.append(context, draft, &[], |_| Ok(())).await?;
    Ok(LockRejectReport { lock: id, reason: reason.to_owned(), record })
}
