use std::collections::BTreeSet;
use std::path::Path;

use ledger::{Ledger, RecordDraft, Step, StepResult};
use lock_model::{LOCK_FILE, LockId};

use super::files::{is_file, lock_file_at, read_file};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_store::LedgerStore;
use crate::report::v1::LockRejectReport;

/// What an id of a lock is written with before its digits.
const ALGORITHM: &str = "sha256:";

/// The digits of an id that are enough to name its lock.
const ENOUGH_DIGITS: usize = 8;

/// Records that a lock must never be deployed. It is named by its id or at least eight digits of it, by a file, or by a
/// revision that holds it.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where there is no such lock, [`ErrorKind::Repository`] for a revision without one.
pub async fn reject_lock(context: &Context, lock: &str, reason: &str) -> Result<LockRejectReport> {
    context.sync()?;
    let mut store = LedgerStore::read(context).await?;
    let (id, file, commit) = if let Some(id) = known_lock(store.ledger(), lock)? {
        let known = store.ledger().records().iter().rev().find(|record| record.entry.lock.as_ref() == Some(&id));
        (id, known.and_then(|known| known.entry.lock_file.clone()), known.and_then(|known| known.entry.commit.clone()))
    } else {
        let lock = if is_file(lock) {
            read_file(Path::new(lock), &context.surroundings)?
        } else {
            let commit = context
                .resolve(lock)
                .map_err(|error| if digits(lock).is_some() { unknown_digits(lock) } else { error })?;
            lock_file_at(context, commit.as_str())?.ok_or_else(|| {
                Error::new(ErrorKind::Repository, format!("`{LOCK_FILE}` is not in {}", commit.short(12)))
            })?
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

/// The lock of the ledger that an id names, or its first digits; none where the text names something else.
fn known_lock(ledger: &Ledger, text: &str) -> Result<Option<LockId>> {
    let Some(digits) = digits(text) else { return Ok(None) };
    let known: BTreeSet<&LockId> = ledger
        .records()
        .iter()
        .filter_map(|record| record.entry.lock.as_ref())
        .filter(|lock| lock.as_str().strip_prefix(ALGORITHM).is_some_and(|id| id.starts_with(digits)))
        .collect();
    match known.into_iter().collect::<Vec<_>>().as_slice() {
        [one] => Ok(Some((*one).clone())),
        // Without the algorithm it may be a commit, or a branch of that name.
        [] if !text.starts_with(ALGORITHM) => Ok(None),
        [] => Err(unknown_digits(text)),
        several => {
            let ids: Vec<&str> = several.iter().map(|lock| lock.as_str()).collect();
            Err(Error::new(ErrorKind::Usage, format!("`{text}` names several locks: {}", ids.join(", "))))
        }
    }
}

/// The digits of a text that may be a lock's id, or the beginning of one.
fn digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix(ALGORITHM).unwrap_or(text);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (is_hex && (ENOUGH_DIGITS..=64).contains(&digits.len())).then_some(digits)
}

fn unknown_digits(text: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("no record of the ledger names a lock `{text}`, and no commit is called so"))
        .hint("`orchestrator releases` shows the locks; a file, a branch, a tag or a full commit id works too")
}
