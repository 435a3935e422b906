//! What was fetched before, on disk: a digest never stands for anything else.
//!
//! ```text
//! DIR/v1/REPOSITORY/sha256-HEX    the media type, a line end, the bytes
//! DIR/v1/REPOSITORY/tag-HEX       the digest that a tag had
//! ```
//!
//! `REPOSITORY` is made of the host that is asked and the path: what one repository has says nothing about another. A
//! document is hashed each time it is read. What a tag had is only ever a guess, which the registry confirms or refutes
//! with one answer. Files appear whole or not at all, so that any number of processes can share the folder; and when
//! the folder cannot be used, everything is asked for as if there were none. `prune` keeps it from growing for ever.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use lock_model::{Digest, Tag};

use crate::prune::{last_settled, mark_used, on_disk, settle};
use crate::source::Fetched;

/// Larger documents are rare, and not worth the room.
const LARGEST: usize = 512 << 10;

/// The folder.
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

/// The part of the folder that belongs to one repository at one host.
#[derive(Clone, Debug)]
pub(crate) struct RepositoryCache {
    cache: Arc<Cache>,
    folder: PathBuf,
}

impl Cache {
    pub(crate) fn new(folder: &Path, limit: u64) -> Self {
        Self {
            folder: folder.join("v1"),
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
        match settle(&self.folder, written, self.limit) {
            Ok(true) => {}
            Ok(false) => {
                self.written.fetch_add(written, Ordering::Relaxed);
            }
            Err(error) => self.failed(&self.folder, &error),
        }
    }

    /// Why the folder could not be used.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn of(self: &Arc<Self>, host: &str, path: &str) -> RepositoryCache {
        let name = Digest::of(format!("{host}/{path}").as_bytes());
        RepositoryCache { cache: Arc::clone(self), folder: self.folder.join(name.hex()) }
    }

    fn failed(&self, path: &Path, error: &std::io::Error) {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.get_or_insert_with(|| format!("the cache `{}` cannot be used: {error}", path.display()));
    }
}

impl RepositoryCache {
    /// A document; one that does not have its digest any more is thrown away.
    pub(crate) fn document(&self, digest: &Digest) -> Option<Fetched> {
        let path = self.document_path(digest);
        let bytes = self.read(&path)?;
        let split = bytes.iter().position(|&byte| byte == b'\n');
        let parts = split.and_then(|at| Some((bytes.get(..at)?, bytes.get(at + 1..)?)));
        if let Some((media_type, content)) = parts
            && Digest::of(content) == *digest
            && let Ok(media_type) = std::str::from_utf8(media_type)
        {
            let media_type = (!media_type.is_empty()).then(|| media_type.to_owned());
            return Some(Fetched { bytes: content.to_vec(), media_type });
        }
        self.remove(&path);
        None
    }

    /// Keeps a document whose hash has been compared.
    pub(crate) fn keep(&self, digest: &Digest, document: &Fetched) {
        let media_type = document.media_type.as_deref().unwrap_or_default();
        if document.bytes.len() <= LARGEST && !media_type.contains('\n') {
            self.write(&self.document_path(digest), &[media_type.as_bytes(), b"\n", &document.bytes]);
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
            self.write(&path, &[digest.as_str().as_bytes()]);
        }
    }

    /// Forgets what a tag had.
    pub(crate) fn forget_tag(&self, tag: &Tag) {
        self.remove(&self.tag_path(tag));
    }

    fn document_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("sha256-{}", digest.hex()))
    }

    fn tag_path(&self, tag: &Tag) -> PathBuf {
        // Tags differ by case, and not every file system tells case apart.
        self.folder.join(format!("tag-{}", Digest::of(tag.as_str().as_bytes()).hex()))
    }

    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_mul(2);
        let read = || -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let file = fs::File::open(path)?;
            mark_used(&file, *self.cache.last_settled.get_or_init(|| last_settled(&self.cache.folder)));
            file.take(limit).read_to_end(&mut bytes)?;
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

    fn write(&self, path: &Path, parts: &[&[u8]]) {
        if self.cache.problem().is_some() {
            return;
        }
        let write = || -> std::io::Result<()> {
            // What is private in a registry is nobody else's here either.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            for part in parts {
                file.write_all(part)?;
            }
            // Not flushed to the disk: after a crash the hash tells what is left of it.
            file.persist(path).map_err(|error| error.error).map(drop)
        };
        let written = match write() {
            // Another process made room, and took the folder that had just become empty.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => write(),
            written => written,
        };
        match written {
            Ok(()) => {
                let bytes = on_disk(parts.iter().map(|part| part.len()).sum());
                self.cache.written.fetch_add(bytes, Ordering::Relaxed);
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
