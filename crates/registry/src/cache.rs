//! What was fetched before, on disk: a digest never stands for anything else.
//!
//! ```text
//! DIR/v2/REPOSITORY-sha256-HEX    an image: its index or manifest, which has this digest, and what was read below it
//! DIR/v2/REPOSITORY-tag-HEX       the digest that a tag had
//! ```
//!
//! An image's file holds its documents one after the other, each with a line before it that says the digest, the length
//! and the type that it was served as, and a line end after it. One file for all of them, since a lock reads either all
//! or none, and opening a file costs more than reading it. One folder for all repositories, since making a folder costs more
//! than making a file.
//!
//! `REPOSITORY` is made of the host that is asked and the path: what one repository has says nothing about another. A
//! document is hashed each time it is read. What a tag had is only ever a guess, which the registry confirms or refutes
//! with one answer. Files appear whole or not at all, so that any number of processes can share the folder; and when
//! the folder cannot be used, everything is asked for as if there were none. `prune` keeps it from growing for ever.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use lock_model::{Digest, Tag};

use crate::document::Fetched;
use crate::prune::{last_settled, mark_used, on_disk, settle};

/// Larger documents are rare, and not worth the room.
const LARGEST: usize = 512 << 10;
/// So are images with more of them.
const LARGEST_IMAGE: usize = 4 << 20;

#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// The first failure. Nothing more is written after it.
    problem: Mutex<Option<String>>,
    /// Most bytes on the disk.
    limit: u64,
    /// Bytes that were written and not counted yet.
    written: AtomicU64,
    last_settled: OnceLock<Option<SystemTime>>,
}

/// The files that belong to one repository at one host.
#[derive(Clone, Debug)]
pub(crate) struct RepositoryCache {
    cache: Arc<Cache>,
    /// What their names begin with.
    repository: Digest,
    shelf: Arc<Mutex<Shelf>>,
}

/// The documents of the image that is being read.
#[derive(Debug, Default)]
struct Shelf {
    documents: BTreeMap<Digest, Fetched>,
    /// Some of them are not on the disk.
    is_new: bool,
}

impl Cache {
    pub(crate) fn new(folder: &Path, limit: u64) -> Self {
        Self {
            folder: folder.join("v2"),
            problem: Mutex::default(),
            limit,
            written: AtomicU64::new(0),
            last_settled: OnceLock::new(),
        }
    }

    /// Counts what was written since the last time, and makes room where it is too much.
    pub(crate) fn settle(&self) {
        let written = self.written.swap(0, Ordering::Relaxed);
        if written == 0 || self.problem().is_some() {
            return;
        }
        if let Err(error) = settle(&self.folder, written, self.limit) {
            self.failed(&self.folder, &error);
        }
    }

    /// Why the folder could not be used.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn of(self: &Arc<Self>, host: &str, path: &str) -> RepositoryCache {
        let repository = Digest::of(format!("{host}/{path}").as_bytes());
        RepositoryCache { cache: Arc::clone(self), repository, shelf: Arc::default() }
    }

    fn failed(&self, path: &Path, error: &std::io::Error) {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.get_or_insert_with(|| format!("the cache `{}` cannot be used: {error}", path.display()));
    }
}

impl RepositoryCache {
    /// Reads what is kept of an image; where a document does not have its digest any more, all of it is thrown away.
    pub(crate) fn open(&self, image: &Digest) {
        let path = self.image_path(image);
        let Some(bytes) = self.read(&path) else { return };
        match unpack(&bytes) {
            Some(documents) => self.shelf().documents.extend(documents),
            None => self.remove(&path),
        }
    }

    /// A document of the image that is open, or that was fetched since.
    pub(crate) fn document(&self, digest: &Digest) -> Option<Fetched> {
        self.shelf().documents.get(digest).cloned()
    }

    /// Takes a document whose hash has been compared.
    pub(crate) fn add(&self, digest: &Digest, document: &Fetched) {
        let is_fit = !document.media_type.as_deref().unwrap_or_default().contains('\n');
        if is_fit && document.bytes.len() <= LARGEST {
            let mut shelf = self.shelf();
            shelf.documents.insert(digest.clone(), document.clone());
            shelf.is_new = true;
        }
    }

    /// Keeps the image that was read, if any of it is new.
    pub(crate) fn keep(&self, image: &Digest) {
        let packed = {
            let mut shelf = self.shelf();
            if !std::mem::take(&mut shelf.is_new) {
                return;
            }
            pack(&shelf.documents)
        };
        if packed.len() <= LARGEST_IMAGE {
            self.write(&self.image_path(image), &packed);
        }
    }

    /// The digest that a tag had when it was looked at last.
    pub(crate) fn tag(&self, tag: &Tag) -> Option<Digest> {
        let path = self.tag_path(tag);
        let digest = std::str::from_utf8(&self.read(&path)?).ok().and_then(|text| Digest::try_from(text).ok());
        if digest.is_none() {
            self.remove(&path);
        }
        digest
    }

    /// Keeps what a tag has now.
    pub(crate) fn keep_tag(&self, tag: &Tag, digest: &Digest) {
        let path = self.tag_path(tag);
        if self.read(&path).is_none_or(|known| known != digest.as_str().as_bytes()) {
            self.write(&path, digest.as_str().as_bytes());
        }
    }

    /// Forgets what a tag had.
    pub(crate) fn forget_tag(&self, tag: &Tag) {
        self.remove(&self.tag_path(tag));
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn image_path(&self, digest: &Digest) -> PathBuf {
        self.path("sha256", digest)
    }

    fn tag_path(&self, tag: &Tag) -> PathBuf {
        // Tags differ by case, and not every file system tells case apart.
        self.path("tag", &Digest::of(tag.as_str().as_bytes()))
    }

    fn path(&self, kind: &str, digest: &Digest) -> PathBuf {
        self.cache.folder.join(format!("{}-{kind}-{}", self.repository.hex(), digest.hex()))
    }

    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        // More than was ever written is read, so that it is found to be wrong.
        let limit = u64::try_from(LARGEST_IMAGE).unwrap_or(u64::MAX).saturating_add(1);
        let read = || -> std::io::Result<Vec<u8>> {
            let file = fs::File::open(path)?;
            let metadata = file.metadata()?;
            mark_used(&file, &metadata, *self.cache.last_settled.get_or_init(|| last_settled(&self.cache.folder)));
            // As much as there is, at once: a file here never grows.
            let length = metadata.len().min(limit);
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(LARGEST_IMAGE));
            file.take(length).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                self.cache.failed(path, &error);
                None
            }
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) {
        if self.cache.problem().is_some() {
            return;
        }
        let folder = &self.cache.folder;
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            // Not flushed to the disk: after a crash the hash tells what is left of it.
            file.persist(path).map_err(|error| error.error).map(drop)
        };
        let make_folder = || {
            // What is private in a registry is private here too.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
        };
        let is_missing = |outcome: &std::io::Result<()>| {
            outcome.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        };
        let mut written = write();
        // The first time; and another process that makes room may take what is not renamed yet.
        for _ in 0..3 {
            if is_missing(&written) {
                written = make_folder().and_then(|()| write());
            }
        }
        match written {
            Ok(()) => {
                self.cache.written.fetch_add(on_disk(bytes.len()), Ordering::Relaxed);
            }
            Err(error) => self.cache.failed(path, &error),
        }
    }

    fn remove(&self, path: &Path) {
        // Another process may have been faster.
        if let Err(error) = fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            self.cache.failed(path, &error);
        }
    }
}

/// The form in which an image's documents are on the disk.
fn pack(documents: &BTreeMap<Digest, Fetched>) -> Vec<u8> {
    let mut packed = Vec::with_capacity(documents.values().map(|document| document.bytes.len() + 256).sum());
    for (digest, Fetched { bytes, media_type }) in documents {
        let head = format!("{digest} {} {}\n", bytes.len(), media_type.as_deref().unwrap_or_default());
        packed.extend_from_slice(head.as_bytes());
        packed.extend_from_slice(bytes);
        packed.push(b'\n');
    }
    packed
}

/// The documents of an image; `None` when anything about them is wrong, their hashes too.
fn unpack(mut packed: &[u8]) -> Option<BTreeMap<Digest, Fetched>> {
    let mut documents = BTreeMap::new();
    while !packed.is_empty() {
        let end = packed.iter().position(|&byte| byte == b'\n')?;
        let head = std::str::from_utf8(packed.get(..end)?).ok()?;
        let mut parts = head.splitn(3, ' ');
        let digest = Digest::try_from(parts.next()?).ok()?;
        let length: usize = parts.next()?.parse().ok()?;
        let media_type = parts.next()?;
        let (bytes, rest) = packed.get(end + 1..)?.split_at_checked(length)?;
        if Digest::of(bytes) != digest {
            return None;
        }
        let media_type = (!media_type.is_empty()).then(|| media_type.to_owned());
        documents.insert(digest, Fetched { bytes: bytes.into(), media_type });
        packed = rest.strip_prefix(b"\n")?;
    }
    (!documents.is_empty()).then_some(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> BTreeMap<Digest, Fetched> {
        let document = |text: &str, media_type: Option<&str>| {
            let fetched = Fetched { bytes: text.as_bytes().into(), media_type: media_type.map(str::to_owned) };
            (Digest::of(text.as_bytes()), fetched)
        };
        [document("{}", Some("a/b; c=d e")), document("", None), document("two\nlines\n", Some("a/b"))].into()
    }

    #[test]
    fn f24_what_is_packed_is_unpacked_and_nothing_else_is() {
        let packed = pack(&documents());
        assert_eq!(unpack(&packed), Some(documents()));
        for at in 0..packed.len() {
            let mut flipped = packed.clone();
            flipped[at] ^= 1;
            // A type is no part of what is hashed: where it is another one, the reader of the document sees it.
            let same = |found: &BTreeMap<Digest, Fetched>| {
                found.iter().all(|(digest, document)| Digest::of(&document.bytes) == *digest)
            };
            assert!(unpack(&flipped).is_none_or(|found| same(&found)), "{at}");
            let whole = unpack(&packed[..at]);
            assert!(whole.is_none_or(|found| found.len() < 3 && same(&found)), "{at}");
        }
        for wrong in [&b""[..], b"\n", b"\xff\n", b"sha256:1 2\n", b"x 18446744073709551615 y\n"] {
            assert_eq!(unpack(wrong), None, "{wrong:?}");
        }
    }
}
