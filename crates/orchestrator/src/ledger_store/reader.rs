//! Reading the branch: record files folder by folder, documents only by name.

use std::collections::BTreeSet;

use forge::git::{FolderEntry, MODE_FILE, MODE_FOLDER};
use ledger::{Ledger, LedgerBroken, MAX_RECORD_BYTES, Segment};
use lock_model::{CommitId, Digest, TreePath};

use super::kept::KeptSegments;
use super::{broken, tree_path};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};

const RECORDS: &str = "records";
const DOCUMENTS: &str = "evidence/sha256";
/// How many missing documents are listed.
const LISTED: usize = 20;

/// The ledger at a commit of its branch, with an intact chain and every document that a record names.
pub(super) async fn ledger_at(context: &Context, head: &CommitId) -> Result<Ledger> {
    let mut folders = Vec::new();
    for folder in context.forge.list_folder(head, &tree_path(RECORDS)?).await? {
        match folder.name.parse::<u64>() {
            Ok(number) if folder.mode == MODE_FOLDER => folders.push((number, folder)),
            Ok(_) | Err(_) => return Err(broken(LedgerBroken::foreign(&format!("{RECORDS}/{}", folder.name)))),
        }
    }
    folders.sort_unstable();
    let folders: Vec<FolderEntry> = folders.into_iter().map(|(_, folder)| folder).collect();
    let kept = KeptSegments::of(context);
    let mut ledger = Ledger::empty();
    let mut could_keep = true;
    for (folder, segment) in folders.iter().zip(kept.read(&folders)) {
        let is_kept = segment.is_some();
        let segment = if is_kept { segment } else { segment_in(context, head, &folder.name).await? };
        let Some(segment) = segment else { continue };
        if !is_kept {
            could_keep &= kept.write(folder, &segment);
        }
        ledger.join(segment).map_err(broken)?;
    }
    if !could_keep {
        context.note("warning: this clone cannot keep what it has read of the ledger; the next command reads it again");
    }
    check_documents(context, head, &ledger).await?;
    Ok(ledger)
}

/// The records of one folder, checked.
async fn segment_in(context: &Context, head: &CommitId, folder: &str) -> Result<Option<Segment>> {
    let folder: TreePath = tree_path(&format!("{RECORDS}/{folder}"))?;
    let files = context.forge.list_folder(head, &folder).await?;
    let foreign = |file: &FolderEntry| broken(LedgerBroken::foreign(&format!("{folder}/{}", file.name)));
    if let Some(file) = files.iter().find(|file| file.mode != MODE_FILE) {
        return Err(foreign(file));
    }
    let ids: Vec<&str> = files.iter().map(|file| file.id.as_str()).collect();
    let sizes = context.forge.blob_sizes(&ids).await?;
    if let Some((file, _)) = files.iter().zip(sizes).find(|(_, size)| *size > MAX_RECORD_BYTES as u64) {
        return Err(foreign(file));
    }
    let names = files.iter().map(|file| format!("{folder}/{}", file.name));
    Segment::parse(names.zip(context.forge.blob_contents(&ids).await?)).map_err(broken)
}

/// A document by its digest, and with no other content.
pub(super) async fn document(context: &Context, head: &CommitId, digest: &Digest) -> Result<Vec<u8>> {
    let entries = context.forge.list_folder(head, &tree_path(DOCUMENTS)?).await?;
    let entry = entries.iter().find(|entry| entry.name == digest.hex() && entry.mode == MODE_FILE);
    let bytes = match entry {
        Some(entry) => context.forge.blob_contents(&[&entry.id]).await?.pop(),
        None => None,
    };
    bytes.filter(|bytes| Digest::of(bytes) == *digest).ok_or_else(|| {
        Error::new(ErrorKind::Refused, "the ledger is broken: a document has another content than its name")
            .problems([Problem::new(format!("{DOCUMENTS}/{}", digest.hex()), "is not what a record names")])
            .hint(rewritten())
    })
}

/// Refuses a ledger that names documents which are gone. Their content is not read: a document's name is its digest, and
/// who reads one compares the two.
async fn check_documents(context: &Context, head: &CommitId, ledger: &Ledger) -> Result<()> {
    let documents = context.forge.list_folder(head, &tree_path(DOCUMENTS)?).await?;
    let there: BTreeSet<&str> =
        documents.iter().filter(|entry| entry.mode == MODE_FILE).map(|entry| entry.name.as_str()).collect();
    let named = ledger.records().iter().flat_map(|record| record.entry.evidence.iter().map(move |one| (record, one)));
    let gone: Vec<Problem> = named
        .filter(|(_, evidence)| !there.contains(evidence.sha256.hex()))
        .take(LISTED)
        .map(|(record, evidence)| {
            Problem::new(evidence.path(), format!("is gone; record {} names it as `{}`", record.seq, evidence.name))
        })
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, "the ledger is broken: documents that records name are gone")
        .problems(gone)
        .hint(rewritten()))
}

fn rewritten() -> String {
    format!("look at the history of `{}`: it was rewritten on the server", lock_model::LEDGER_BRANCH)
}
