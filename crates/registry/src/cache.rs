//! What was fetched before, on disk: a digest never stands for anything else.
//!
//! ```text
//! DIR/v3/records   documents by repository and digest, and the digest that each tag had
//! DIR/v3/lock      held by the process that writes
//! ```
//!
//! All of it is one file, which a command reads when it needs the first document and adds to at its end, once: on many
//! disks, making a file takes longer than a request, and a lock needs two answers for each of its images.
//!
//! What one repository has says nothing about another, so that a record's key begins with the host that is asked and the
//! path. A document is hashed each time it is read. What a tag had is only ever a guess, which the registry confirms or
//! refutes with one answer. Any number of processes can share the folder. A command that cannot use it fetches everything
//! from the registry, and warns.
//!
//! Beyond the limit the records that were written first go, except for those that the present command used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use lock_model::{Digest, Tag};

use crate::document::Fetched;
use crate::records::Records;

/// Larger documents are rare, and not worth the room.
const LARGEST: usize = 512 << 10;
/// How often a process looks whether another one still writes.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// The first failure. Nothing more is written after it.
    problem: Mutex<Option<String>>,
    /// Most bytes of the file.
    limit: u64,
    known: Mutex<Option<Known>>,
}

/// What is on the disk, and what this process found out since.
#[derive(Debug, Default)]
struct Known {
    records: Records,
    /// The file that was read; absent where there was none.
    file: Option<FileState>,
    /// A document in it does not have its digest.
    is_damaged: bool,
    used: BTreeSet<String>,
    found: BTreeMap<String, Fetched>,
}

/// Tells whether a file is still the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileState {
    device: u64,
    inode: u64,
    length: u64,
}

/// The records that belong to one repository at one host.
#[derive(Clone, Debug)]
pub(crate) struct RepositoryCache {
    cache: Arc<Cache>,
    /// What their keys begin with.
    repository: Digest,
}

impl Cache {
    pub(crate) fn new(folder: &Path, limit: u64) -> Self {
        Self { folder: folder.join("v3"), problem: Mutex::default(), limit, known: Mutex::default() }
    }

    /// Why the folder could not be used.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn of(self: &Arc<Self>, host: &str, path: &str) -> RepositoryCache {
        RepositoryCache { cache: Arc::clone(self), repository: Digest::of(format!("{host}/{path}").as_bytes()) }
    }

    /// Writes what was found out since the last time.
    pub(crate) fn settle(&self) {
        let mut guard = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = guard.take_if(|known| known.is_damaged || !known.found.is_empty()) else { return };
        if self.problem().is_some() {
            return;
        }
        // The file is read again where this process asks for more.
        if let Err(error) = self.write(known) {
            self.failed(&self.folder, &error);
        }
    }

    fn failed(&self, path: &Path, error: &io::Error) {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.get_or_insert_with(|| format!("the cache `{}` cannot be used: {error}", path.display()));
    }

    /// Uses what is known; the first time, the file is read.
    fn with<T>(&self, what: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        what(known.get_or_insert_with(|| {
            let (records, file) = self.read().unwrap_or_else(|error| {
                self.failed(&self.folder, &error);
                (Records::default(), None)
            });
            Known { is_damaged: !records.is_whole(), records, file, ..Known::default() }
        }))
    }

    fn path(&self) -> PathBuf {
        self.folder.join("records")
    }

    fn read(&self) -> io::Result<(Records, Option<FileState>)> {
        let mut file = match File::open(self.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Records::default(), None)),
            Err(error) => return Err(error),
        };
        let state = FileState::of(&file)?;
        // This process wrote no such file: one byte is read, so that it counts as damaged.
        let length = if state.length > self.limit.saturating_mul(2) { 1 } else { state.length };
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        (&mut file).take(length).read_to_end(&mut bytes)?;
        Ok((Records::parse(bytes), Some(state)))
    }

    fn write(&self, mut known: Known) -> io::Result<()> {
        let lock = match self.lock() {
            // What is private in a registry is private here too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
                self.lock()?
            }
            lock => lock?,
        };
        // Another process still writes: this one keeps nothing, and the next command fetches it again.
        let Some(_lock) = lock else { return Ok(()) };
        let mut options = File::options();
        let mut file = options.create(true).append(true).mode(0o600).open(self.path())?;
        let state = FileState::of(&file)?;
        if known.file.map_or(state.length > 0, |read| read != state) {
            let (records, _) = self.read()?;
            known.is_damaged |= !records.is_whole();
            known.records = records;
        }
        let found = &known.found;
        let is_news = |(key, new): &(&String, &Fetched)| known.records.get(key).as_ref() != Some(*new);
        let news = found.iter().filter(is_news).map(|(key, new)| Records::pack(key, new)).collect::<Vec<_>>().concat();
        let total = state.length.saturating_add(u64::try_from(news.len()).unwrap_or(u64::MAX));
        if known.is_damaged || total > self.limit {
            let room = usize::try_from(self.limit / 4 * 3).unwrap_or(usize::MAX).saturating_sub(news.len());
            let is_new = |key: &str| found.get(key).is_some_and(|new| known.records.get(key).as_ref() != Some(new));
            let mut kept = known.records.newest(&known.used, is_new, room);
            kept.extend_from_slice(&news);
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(&kept)?;
            // Not flushed to the disk: after a crash the hashes tell what is left of it.
            file.persist(self.path()).map_err(|error| error.error)?;
        } else if let Err(error) = file.write_all(&news) {
            // Half a record hides those that come after it.
            file.set_len(state.length).ok();
            return Err(error);
        }
        Ok(())
    }

    /// Waits a little for its turn to write.
    fn lock(&self) -> io::Result<Option<File>> {
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(self.folder.join("lock"))?;
        for _ in 0..LOOKS {
            match lock.try_lock() {
                Ok(()) => return Ok(Some(lock)),
                Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_LOOKS),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl FileState {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino(), length: metadata.len() })
    }
}

impl Known {
    fn get(&mut self, key: String) -> Option<Fetched> {
        if let Some(found) = self.found.get(&key) {
            return Some(found.clone());
        }
        let known = self.records.get(&key)?;
        self.used.insert(key);
        Some(known)
    }

    fn put(&mut self, key: String, new: Fetched) {
        if self.records.get(&key).as_ref() == Some(&new) {
            self.found.remove(&key);
        } else {
            self.found.insert(key, new);
        }
    }

    fn drop_damaged(&mut self, key: &str) {
        self.records.remove(key);
        self.is_damaged = true;
    }
}

impl RepositoryCache {
    /// A document that was fetched before, and has its digest.
    pub(crate) fn document(&self, digest: &Digest) -> Option<Fetched> {
        let key = self.document_key(digest);
        self.cache.with(|known| {
            let found = known.get(key.clone())?;
            if Digest::of(&found.bytes) == *digest {
                return Some(found);
            }
            known.drop_damaged(&key);
            None
        })
    }

    /// Takes a document whose hash has been compared.
    pub(crate) fn add(&self, digest: &Digest, document: &Fetched) {
        let is_fit = !document.media_type.as_deref().unwrap_or_default().contains('\n');
        if is_fit && document.bytes.len() <= LARGEST {
            self.cache.with(|known| known.put(self.document_key(digest), document.clone()));
        }
    }

    /// The digest that a tag had when it was looked at last.
    pub(crate) fn tag(&self, tag: &Tag) -> Option<Digest> {
        let known = self.cache.with(|known| known.get(self.tag_key(tag)))?;
        std::str::from_utf8(&known.bytes).ok().and_then(|text| Digest::try_from(text).ok())
    }

    /// Keeps what a tag has now.
    pub(crate) fn keep_tag(&self, tag: &Tag, digest: &Digest) {
        self.write_tag(tag, digest.as_str());
    }

    /// Forgets what a tag had.
    pub(crate) fn forget_tag(&self, tag: &Tag) {
        self.write_tag(tag, "");
    }

    fn write_tag(&self, tag: &Tag, digest: &str) {
        let now = Fetched { bytes: digest.as_bytes().into(), media_type: None };
        let key = self.tag_key(tag);
        self.cache.with(|known| known.put(key, now));
    }

    fn document_key(&self, digest: &Digest) -> String {
        format!("{}/{digest}", self.repository.hex())
    }

    fn tag_key(&self, tag: &Tag) -> String {
        format!("{}:{tag}", self.repository.hex())
    }
}
