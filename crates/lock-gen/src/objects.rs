//! Objects of one repository, read by gix; nothing of gix is visible outside of this crate.

use std::path::{Path, PathBuf};

use gix::bstr::BString;
use gix::hash::ObjectId;
use lock_model::{CommitId, Timestamp, TreeId};

use crate::{OpenError, ReadError};

/// The content of a commit object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitInfo {
    /// Its own id.
    pub id: CommitId,
    /// The tree that it records.
    pub tree: TreeId,
    /// First the one that it was made on; in a shallow clone they can be missing.
    pub parents: Vec<CommitId>,
    /// When it was committed, by the clock of the committer.
    pub time: Timestamp,
}

/// One entry of one tree.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: BString,
    pub(crate) mode: u32,
    pub(crate) id: ObjectId,
}

/// What a tree's entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Folder,
    File,
    Link,
    Gitlink,
}

impl Entry {
    pub(crate) fn kind(&self) -> EntryKind {
        match self.mode & 0o170_000 {
            0o040_000 => EntryKind::Folder,
            0o120_000 => EntryKind::Link,
            0o160_000 => EntryKind::Gitlink,
            _ => EntryKind::File,
        }
    }
}

pub(crate) struct Objects {
    repository: gix::ThreadSafeRepository,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Objects").field(&self.repository.refs.git_dir()).finish()
    }
}

/// No configuration but the repository's own, no environment, no replacement objects, and no file beside the objects
/// that claims to know their ancestors.
fn options() -> gix::open::Options {
    gix::open::Options::isolated().config_overrides(["core.useReplaceRefs=false", "core.commitGraph=false"])
}

impl Objects {
    /// Opens the repository that a folder lies in.
    pub(crate) fn discover(folder: &Path) -> Result<Self, OpenError> {
        let trust = gix::sec::trust::Mapping { full: options(), reduced: options() };
        // gix takes no relative path with `..` to a bare repository.
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let repository =
            gix::ThreadSafeRepository::discover_opts(absolute, gix::discover::upwards::Options::default(), trust)
                .map_err(|error| OpenError::NotARepository { folder: folder.to_owned(), source: Box::new(error) })?;
        Ok(Self { repository })
    }

    /// Opens exactly this git directory.
    pub(crate) fn open(git_dir: &Path) -> Result<Self, OpenError> {
        let repository = gix::ThreadSafeRepository::open_opts(git_dir, options().open_path_as_is(true))
            .map_err(|error| OpenError::NotARepository { folder: git_dir.to_owned(), source: Box::new(error) })?;
        Ok(Self { repository })
    }

    /// Whether the repository belongs to us: git directory, common directory and work tree.
    pub(crate) fn is_ours(&self) -> bool {
        self.repository.to_thread_local().git_dir_trust() == gix::sec::Trust::Full
    }

    pub(crate) fn common_dir(&self) -> PathBuf {
        self.repository.to_thread_local().common_dir().to_owned()
    }

    pub(crate) fn git_dir(&self) -> PathBuf {
        self.repository.to_thread_local().git_dir().to_owned()
    }

    pub(crate) fn work_tree(&self) -> Option<PathBuf> {
        self.repository.work_dir().map(Path::to_owned)
    }

    pub(crate) fn is_shallow(&self) -> bool {
        // A file that cannot be read is there.
        self.repository.to_thread_local().is_shallow().unwrap_or(true)
    }

    /// Finds a commit by any revision that git's own language can name; tags are followed.
    pub(crate) fn commit(&self, revision: &str) -> Result<CommitInfo, ReadError> {
        let repository = self.repository.to_thread_local();
        let shown = crate::finding::shown(revision.as_bytes());
        let not_found = || ReadError::NotFound { what: shown.clone() };
        let id = repository.rev_parse_single(revision).map_err(|_| not_found())?;
        let object = repository.try_find_object(id.detach()).ok().flatten().ok_or_else(not_found)?;
        let commit = object.peel_to_commit().map_err(|error| unreadable(&shown, error))?;
        let decoded = commit.decode().map_err(|error| unreadable(&shown, error))?;
        let time = commit.time().map_err(|error| unreadable(&shown, error))?;
        Ok(CommitInfo {
            id: commit_id(commit.id),
            tree: tree_id(decoded.tree()),
            parents: decoded.parents().map(commit_id).collect(),
            time: Timestamp::from_unix_seconds(time.seconds),
        })
    }

    /// Whether an object is here and is a commit.
    pub(crate) fn has_commit(&self, id: &CommitId) -> bool {
        let repository = self.repository.to_thread_local();
        self.object_id(id.as_str())
            .and_then(|id| repository.try_find_header(id).ok().flatten())
            .is_some_and(|header| header.kind() == gix::objs::Kind::Commit)
    }

    /// The id, unless it is of the other hash function.
    pub(crate) fn object_id(&self, hex: &str) -> Option<ObjectId> {
        let id = ObjectId::from_hex(hex.as_bytes()).ok()?;
        (id.kind() == self.repository.to_thread_local().object_hash()).then_some(id)
    }

    pub(crate) fn tree_root(&self, tree: &TreeId) -> Result<ObjectId, ReadError> {
        let not_found = || ReadError::NotFound { what: tree.to_string() };
        let id = self.object_id(tree.as_str()).ok_or_else(not_found)?;
        let repository = self.repository.to_thread_local();
        match repository.try_find_header(id) {
            Ok(Some(header)) if header.kind() == gix::objs::Kind::Tree => Ok(id),
            Ok(None) if is_partial(&repository) => {
                Err(ReadError::Missing { kind: "tree", id: id.to_string(), partial: true })
            }
            Ok(_) => Err(not_found()),
            Err(error) => Err(unreadable(tree, error)),
        }
    }

    /// A reader with caches of its own; make one for each operation.
    pub(crate) fn reader(&self) -> Reader {
        let repository = self.repository.to_thread_local();
        let partial = is_partial(&repository);
        Reader { repository, partial }
    }

    /// A reader of commits only.
    pub(crate) fn repository(&self) -> gix::Repository {
        self.repository.to_thread_local()
    }
}

/// Whether objects were left out on purpose when the repository was cloned.
fn is_partial(repository: &gix::Repository) -> bool {
    let configuration = repository.config_snapshot();
    let promises = |section: gix::config::file::SectionRef<'_>| {
        section.value("promisor").is_some_and(|value| value.as_slice() != b"false")
    };
    configuration.string("extensions.partialClone").is_some()
        || configuration.plumbing().sections_by_name("remote").is_some_and(|mut sections| sections.any(promises))
}

/// Reads many objects in a row.
pub(crate) struct Reader {
    repository: gix::Repository,
    partial: bool,
}

impl Reader {
    /// The entries of one tree, as they are stored.
    pub(crate) fn tree(&self, id: ObjectId) -> Result<Vec<Entry>, ReadError> {
        let data = self.object(id, gix::objs::Kind::Tree)?;
        gix::objs::TreeRefIter::from_bytes(&data, self.repository.object_hash())
            .map(|entry| {
                let entry = entry.map_err(|error| unreadable(&id, error))?;
                Ok(Entry {
                    name: entry.filename.to_owned(),
                    mode: u32::from(entry.mode.value()),
                    id: entry.oid.to_owned(),
                })
            })
            .collect()
    }

    pub(crate) fn blob(&self, id: ObjectId) -> Result<Vec<u8>, ReadError> {
        self.object(id, gix::objs::Kind::Blob)
    }

    /// The size of a blob, without unpacking it.
    pub(crate) fn blob_size(&self, id: ObjectId) -> Result<u64, ReadError> {
        match self.repository.try_find_header(id) {
            Ok(Some(header)) => Ok(header.size()),
            Ok(None) => Err(self.missing("blob", id)),
            Err(error) => Err(unreadable(&id, error)),
        }
    }

    fn object(&self, id: ObjectId, kind: gix::objs::Kind) -> Result<Vec<u8>, ReadError> {
        match self.repository.try_find_object(id) {
            Ok(Some(object)) if object.kind == kind => Ok(object.detach().data),
            Ok(Some(object)) => {
                Err(unreadable(&id, std::io::Error::other(format!("it is a {}, not a {kind}", object.kind))))
            }
            Ok(None) => {
                let kind = if kind == gix::objs::Kind::Tree { "tree" } else { "blob" };
                Err(self.missing(kind, id))
            }
            Err(error) => Err(unreadable(&id, error)),
        }
    }

    fn missing(&self, kind: &'static str, id: ObjectId) -> ReadError {
        ReadError::Missing { kind, id: id.to_string(), partial: self.partial }
    }
}

pub(crate) fn unreadable(what: &impl ToString, error: impl std::error::Error + Send + Sync + 'static) -> ReadError {
    ReadError::Unreadable { what: what.to_string(), source: Box::new(error) }
}

pub(crate) fn commit_id(id: ObjectId) -> CommitId {
    CommitId::try_from(id.to_string()).expect("an object id is 40 or 64 lower-case hexadecimal digits")
}

fn tree_id(id: ObjectId) -> TreeId {
    TreeId::try_from(id.to_string()).expect("an object id is 40 or 64 lower-case hexadecimal digits")
}
