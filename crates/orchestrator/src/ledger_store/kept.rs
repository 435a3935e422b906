//! What this clone keeps of the ledger: the newest record that it has seen, and the segments that it has checked.

use std::path::{Path, PathBuf};

use forge::git::FolderEntry;
use ledger::{Ledger, Seen, Segment};
use lock_model::Digest;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result, storage};

/// Checked segments, a file for each folder of the branch. The file names the tree that the folder had: the same tree
/// has the same records, so they need not be checked again. A file that is damaged, or of another tree, counts as none.
pub(super) struct KeptSegments {
    folder: PathBuf,
}

impl KeptSegments {
    pub(super) fn of(context: &Context) -> Self {
        Self { folder: clone_folder(context).join("ledger") }
    }

    /// What is kept of each of these folders, in their order.
    pub(super) fn read(&self, folders: &[FolderEntry]) -> Vec<Option<Segment>> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let share = folders.len().div_ceil(workers).max(1);
        std::thread::scope(|scope| {
            let read = |share: &[FolderEntry]| share.iter().map(|folder| self.read_one(folder)).collect::<Vec<_>>();
            let shares: Vec<_> = folders.chunks(share).map(|share| scope.spawn(move || read(share))).collect();
            // What a thread could not read counts as not kept.
            let or_none = |(read, share): (std::thread::Result<Vec<_>>, &[FolderEntry])| {
                read.unwrap_or_else(|_| share.iter().map(|_| None).collect())
            };
            let done = shares.into_iter().map(std::thread::ScopedJoinHandle::join);
            done.zip(folders.chunks(share)).flat_map(or_none).collect()
        })
    }

    fn read_one(&self, folder: &FolderEntry) -> Option<Segment> {
        let bytes = std::fs::read(self.folder.join(&folder.name)).ok()?;
        let end = bytes.iter().position(|&byte| byte == b'\n')?;
        let (first, rest) = bytes.split_at(end);
        let body = rest.get(1..)?;
        (first == Self::first_line(folder, body).as_bytes()).then(|| Segment::from_kept(body)).flatten()
    }

    /// Keeps a segment; whether that succeeded.
    pub(super) fn write(&self, folder: &FolderEntry, segment: &Segment) -> bool {
        let body = segment.to_kept();
        let mut bytes = Self::first_line(folder, &body).into_bytes();
        bytes.push(b'\n');
        bytes.extend(body);
        replace(&self.folder.join(&folder.name), &bytes).is_ok()
    }

    fn first_line(folder: &FolderEntry, body: &[u8]) -> String {
        format!("1 {} {}", folder.id, Digest::of(body).hex())
    }
}

/// Where this clone keeps what belongs to no branch.
fn clone_folder(context: &Context) -> PathBuf {
    context.git.common_dir().join("orchestrator")
}

/// The file in which this clone remembers the newest record that it has seen.
fn memory(context: &Context) -> PathBuf {
    clone_folder(context).join("ledger-seen.json")
}

pub(super) fn remembered(context: &Context) -> Result<Option<Seen>> {
    let path = memory(context);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(storage(ErrorKind::Repository, format!("`{}` cannot be read", path.display()), error));
        }
    };
    let unreadable = || {
        Error::new(ErrorKind::Refused, format!("`{}` does not say which record was seen last", path.display()))
            .hint("remove the file if you know that the ledger is whole")
    };
    let document: serde_json::Value = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    let seq = document.get("seq").and_then(serde_json::Value::as_u64).ok_or_else(unreadable)?;
    let digest = document.get("digest").and_then(serde_json::Value::as_str).ok_or_else(unreadable)?;
    Ok(Some(Seen { seq, digest: Digest::try_from(digest).map_err(|_| unreadable())? }))
}

/// Remembers the newest record, and never an older one. A clone that cannot be written to remembers nothing.
pub(super) fn remember(context: &Context, ledger: &Ledger, before: Option<&Seen>) {
    let Some(seen) = ledger.seen() else { return };
    if before.is_some_and(|before| before.seq >= seen.seq) {
        return;
    }
    let path = memory(context);
    let text = serde_json::json!({ "seq": seen.seq, "digest": seen.digest }).to_string();
    if let Err(error) = replace(&path, text.as_bytes()) {
        let path = path.display();
        context.note(format!("warning: this clone cannot remember the ledger's newest record in `{path}`: {error}"));
    }
}

/// Puts a whole file in place of the one that is there.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&beside, bytes)?;
    std::fs::rename(&beside, path)
}
