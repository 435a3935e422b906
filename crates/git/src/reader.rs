//! Objects, refs and settings of one repository, read in this process by gix; nothing of gix is visible outside of this
//! crate.
//!
//! What is read is what the git program reads, and less: no replacement objects, no grafts, no commit graph, no
//! configuration but the repository's own, no environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gix::hash::ObjectId;
use gix::hashtable::HashMap as IdMap;
use gix::objs::Kind;

use crate::history::Node;
use crate::output::{BatchObject, batch_header, take, unexpected};
use crate::{Git, GitError, Reference, operand};

/// The largest object that is read: what a child may print.
const MAX_OBJECT_BYTES: u64 = 64 * 1024 * 1024;
/// How many symbolic refs or tags may lead to each other.
const MAX_STEPS: usize = 10;
/// The largest object that is kept for another read.
const MAX_KEPT_OBJECT: usize = 256 * 1024;
/// How many bytes of objects are kept.
const MAX_KEPT: usize = 8 * 1024 * 1024;

pub(crate) struct Reader {
    repository: gix::ThreadSafeRepository,
    /// What was read: commits and trees are asked for again and again, and an id never stands for anything else.
    kept: Mutex<Kept>,
    /// What walks have read: commits do not change.
    pub(crate) walked: Mutex<IdMap<ObjectId, Node>>,
}

impl Reader {
    fn new(repository: gix::ThreadSafeRepository) -> Self {
        Self { repository, kept: Mutex::default(), walked: Mutex::default() }
    }

    fn kept(&self, id: ObjectId) -> Option<Arc<Object>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).objects.get(&id).cloned()
    }

    fn keep(&self, id: ObjectId, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        if object.data.len() <= MAX_KEPT_OBJECT {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.bytes + object.data.len() > MAX_KEPT {
                *kept = Kept::default();
            }
            kept.bytes += object.data.len();
            kept.objects.insert(id, Arc::clone(&object));
        }
        object
    }
}

#[derive(Default)]
struct Kept {
    objects: IdMap<ObjectId, Arc<Object>>,
    bytes: usize,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reader").field(&self.repository.refs.git_dir()).finish()
    }
}

/// A repository that a folder lies in.
pub(crate) struct Found {
    pub(crate) reader: Reader,
    pub(crate) git_dir: PathBuf,
    pub(crate) common_dir: PathBuf,
    pub(crate) work_tree: Option<PathBuf>,
    /// Whether all of it belongs to the user of this process.
    pub(crate) is_ours: bool,
}

/// The repository that is exactly a folder, if it belongs to the user of this process.
pub(crate) fn at(folder: &Path) -> Option<Found> {
    let found = discover(folder)?;
    let folder = folder.canonicalize().ok()?;
    (found.is_ours && [folder.join(".git"), folder].contains(&found.git_dir)).then_some(found)
}

fn options() -> gix::open::Options {
    gix::open::Options::isolated().config_overrides(["core.useReplaceRefs=false", "core.commitGraph=false"])
}

/// Looks for the repository as the git program does; nothing where that program should say what is in the way.
pub(crate) fn discover(folder: &Path) -> Option<Found> {
    let folder = folder.canonicalize().ok()?;
    let trust = gix::sec::trust::Mapping { full: options(), reduced: options() };
    let search = gix::discover::upwards::Options::default();
    let repository = gix::ThreadSafeRepository::discover_opts(&folder, search, trust).ok()?;
    found(repository, &folder)
}

/// Opens exactly this git folder.
pub(crate) fn open(git_dir: &Path) -> Result<Reader, GitError> {
    let opened = gix::ThreadSafeRepository::open_opts(git_dir, options().open_path_as_is(true));
    let repository = opened.map_err(|error| GitError::unreadable(git_dir.to_string_lossy(), error))?;
    Ok(Reader::new(repository))
}

fn found(repository: gix::ThreadSafeRepository, folder: &Path) -> Option<Found> {
    let local = repository.to_thread_local();
    let git_dir = local.git_dir().canonicalize().ok()?;
    let common_dir = local.common_dir().canonicalize().ok()?;
    let work_tree = match local.workdir() {
        Some(top) => Some(top.canonicalize().ok()?),
        None => None,
    };
    // In the git folder itself there is no work tree around, and the configuration may name one that lies elsewhere.
    let work_tree = work_tree.filter(|top| folder.starts_with(top) && !folder.starts_with(&git_dir));
    let is_ours = local.git_dir_trust() == gix::sec::Trust::Full;
    Some(Found { reader: Reader::new(repository), git_dir, common_dir, work_tree, is_ours })
}

/// An object without its id.
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) data: Vec<u8>,
}

/// One entry of one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) id: ObjectId,
}

/// Reads of one call.
pub(crate) struct Objects<'a> {
    git: &'a Git,
    repository: gix::Repository,
}

impl Git {
    pub(crate) fn objects(&self) -> Objects<'_> {
        Objects { git: self, repository: self.reader.repository.to_thread_local() }
    }
}

impl Objects<'_> {
    /// The id that a text is in full; nothing for one of the other hash function.
    pub(crate) fn id(&self, text: &str) -> Option<ObjectId> {
        let id = ObjectId::from_hex(text.as_bytes()).ok()?;
        // Git takes capitals too, and nothing of ours writes them.
        let is_lower = !text.contains(|c: char| c.is_ascii_uppercase());
        (id.kind() == self.repository.object_hash() && is_lower).then_some(id)
    }

    /// The object that a revision names; a tag is not followed. Ids and full names of refs are looked up here, and only git
    /// knows what else can name a commit.
    pub(crate) fn named(&self, revision: &str) -> Result<Option<ObjectId>, GitError> {
        if let Some(id) = self.id(revision) {
            return Ok(self.header(id)?.map(|_| id));
        }
        if revision == "HEAD" || operand::ref_name(revision).is_ok() {
            return self.reference(revision);
        }
        let Some(text) = self.git.ask_rev_parse(revision)? else { return Ok(None) };
        // Git gives a full id as it is, whether there is such an object or not.
        match self.id(&text) {
            Some(id) => Ok(self.header(id)?.map(|_| id)),
            None => Err(GitError::not_found(revision)),
        }
    }

    /// Kind and size of an object.
    pub(crate) fn header(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, GitError> {
        if let Some(object) = self.git.reader.kept(id) {
            return Ok(Some((object.kind, object.data.len() as u64)));
        }
        match self.repository.try_find_header(id) {
            Ok(Some(header)) => Ok(Some((header.kind(), header.size()))),
            Ok(None) => Ok(self.left_out(id)?.map(|object| (object.kind, object.data.len() as u64))),
            Err(error) => Err(GitError::unreadable(id.to_string(), error)),
        }
    }

    pub(crate) fn find(&self, id: ObjectId) -> Result<Option<Arc<Object>>, GitError> {
        if let Some(object) = self.git.reader.kept(id) {
            return Ok(Some(object));
        }
        let unreadable = |error| GitError::unreadable(id.to_string(), error);
        match self.repository.try_find_header(id).map_err(unreadable)? {
            Some(header) if header.size() > MAX_OBJECT_BYTES => {
                let error = format!("it has {} bytes, more than {MAX_OBJECT_BYTES}", header.size());
                return Err(GitError::unreadable(id.to_string(), error));
            }
            Some(_) => {}
            None => return Ok(self.left_out(id)?.map(Arc::new)),
        }
        let object = self.repository.try_find_object(id).map_err(unreadable)?;
        let object = object.map(|object| Object { kind: object.kind, data: object.detach().data });
        Ok(object.map(|object| self.git.reader.keep(id, object)))
    }

    /// An object that is not here: in a partial clone git may bring it.
    fn left_out(&self, id: ObjectId) -> Result<Option<Object>, GitError> {
        if id.is_null() || !self.is_partial() {
            return Ok(None);
        }
        let name = id.to_string();
        let output = self.git.start(["cat-file", "--batch"])?.stdin(format!("{name}\n")).run()?.checked()?;
        let mut rest = output.stdout.as_slice();
        match batch_header(&mut rest, name.as_bytes(), &output)? {
            BatchObject::Missing => Ok(None),
            BatchObject::Found { kind, size } => {
                let kind =
                    Kind::from_bytes(kind.as_bytes()).map_err(|_| unexpected(&output, "the kind of an object"))?;
                let data = take(&mut rest, size).ok_or_else(|| unexpected(&output, "a whole object"))?;
                Ok(Some(Object { kind, data: data.to_vec() }))
            }
        }
    }

    /// Whether objects were left out on purpose when the repository was cloned.
    fn is_partial(&self) -> bool {
        let configuration = self.repository.config_snapshot();
        let promises = |section: gix::config::file::SectionRef<'_>| {
            section.value("promisor").is_some_and(|value| value.as_slice() != b"false")
        };
        configuration.string("extensions.partialClone").is_some()
            || configuration.plumbing().sections_by_name("remote").is_some_and(|mut remotes| remotes.any(promises))
    }

    /// The object of a kind that an object leads to: a tag to what it names, a commit to its tree.
    pub(crate) fn peel(&self, mut id: ObjectId, wanted: Kind) -> Result<Option<(ObjectId, Arc<Object>)>, GitError> {
        for _ in 0..MAX_STEPS {
            let Some(object) = self.find(id)? else { return Ok(None) };
            let field: &[u8] = match object.kind {
                kind if kind == wanted => return Ok(Some((id, object))),
                Kind::Tag => b"object ",
                Kind::Commit if wanted == Kind::Tree => b"tree ",
                Kind::Commit | Kind::Tree | Kind::Blob => return Ok(None),
            };
            let line = object.data.split(|&byte| byte == b'\n').next().unwrap_or_default();
            let next = line.strip_prefix(field).and_then(|hex| ObjectId::from_hex(hex).ok());
            id = next.ok_or_else(|| GitError::unreadable(id.to_string(), "its first line names no object"))?;
        }
        Ok(None)
    }

    /// The tree of a commit, tag or tree.
    pub(crate) fn root(&self, treeish: &str) -> Result<ObjectId, GitError> {
        let missing = || GitError::not_found(treeish);
        let id = self.named(treeish)?.ok_or_else(missing)?;
        self.peel(id, Kind::Tree)?.map(|(id, _)| id).ok_or_else(missing)
    }

    /// The entries of one tree, in git's order.
    pub(crate) fn tree(&self, id: ObjectId) -> Result<Vec<Entry>, GitError> {
        let object = self.find(id)?.ok_or_else(|| GitError::not_found(id.to_string()))?;
        if object.kind != Kind::Tree {
            return Err(GitError::unreadable(id.to_string(), format!("it is a {}, not a tree", object.kind)));
        }
        let entries = gix::objs::TreeRefIter::from_bytes(&object.data, self.repository.object_hash());
        let entry = |entry: gix::objs::tree::EntryRef<'_>| Entry {
            name: entry.filename.to_vec(),
            mode: u32::from(entry.mode.value()),
            id: entry.oid.to_owned(),
        };
        entries
            .map(|one| one.map(entry))
            .collect::<Result<_, _>>()
            .map_err(|error| GitError::unreadable(id.to_string(), error))
    }

    pub(crate) fn format(&self) -> gix::hash::Kind {
        self.repository.object_hash()
    }

    pub(crate) fn null_id(&self) -> String {
        self.format().null().to_string()
    }

    /// Refs as they are now: nothing is kept between two questions, since children of ours change them.
    fn refs(&self) -> gix::refs::file::Store {
        let (git_dir, common_dir) = (self.git.git_dir().to_owned(), self.git.common_dir().to_owned());
        let hash = self.repository.object_hash();
        if git_dir == common_dir {
            gix::refs::file::Store::at(git_dir, hash)
        } else {
            gix::refs::file::Store::for_linked_worktree(git_dir, common_dir, hash)
        }
    }

    /// The object of a ref of exactly this name; symbolic refs are followed.
    pub(crate) fn reference(&self, name: &str) -> Result<Option<ObjectId>, GitError> {
        let mut name = name.to_owned();
        for _ in 0..MAX_STEPS {
            let unreadable = |error: gix::Error| GitError::unreadable(&name, error);
            let store = self.refs();
            // Loose ones first: a ref that is packed meanwhile is then found in the other place.
            let loose = store.try_find_loose(name.as_str()).map_err(unreadable)?;
            // Of a ref that is not there, gix looks for others whose names end alike.
            let Some(loose) = loose.filter(|found| found.name.as_bstr() == name.as_str()) else {
                let Some(packed) = store.open_packed_buffer().map_err(unreadable)? else { return Ok(None) };
                let found = packed.try_find(name.as_str()).map_err(unreadable)?;
                let found = found.filter(|found| found.name.as_bstr() == name.as_str());
                return Ok(found.map(|found| found.target()));
            };
            match loose.target {
                gix::refs::Target::Object(id) => return Ok(Some(id)),
                gix::refs::Target::Symbolic(next) => name = next.to_string(),
            }
        }
        Ok(None)
    }

    /// The refs below a prefix, or the one of that name, sorted by name.
    pub(crate) fn references(&self, prefix: &str) -> Result<Vec<Reference>, GitError> {
        let mut references = Vec::new();
        for (name, id) in self.ids(prefix)? {
            let peeled = match self.header(id)? {
                Some((Kind::Tag, _)) => self.tagged(id)?.map(|id| id.to_string()),
                Some((Kind::Commit | Kind::Tree | Kind::Blob, _)) | None => None,
            };
            references.push(Reference { name, id: id.to_string(), peeled });
        }
        Ok(references)
    }

    /// What a tag leads to, of whatever kind.
    fn tagged(&self, id: ObjectId) -> Result<Option<ObjectId>, GitError> {
        for wanted in [Kind::Commit, Kind::Tree, Kind::Blob] {
            if let Some((id, _)) = self.peel(id, wanted)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The objects of the refs below a prefix, or of the one of that name.
    pub(crate) fn ids(&self, prefix: &str) -> Result<BTreeMap<String, ObjectId>, GitError> {
        let prefix = prefix.trim_end_matches('/');
        // A file that another process removes between listing and reading is not there the next time.
        self.list(prefix).or_else(|_| self.list(prefix)).or_else(|_| self.list(prefix))
    }

    fn list(&self, prefix: &str) -> Result<BTreeMap<String, ObjectId>, GitError> {
        let unreadable = |error: gix::Error| GitError::unreadable(prefix, error);
        let below = format!("{prefix}/");
        let store = self.refs();
        let path = <&gix::path::RelativePath>::try_from(below.as_str());
        let path = path.map_err(|_| GitError::operand("a ref", prefix))?;
        let mut ids = BTreeMap::new();
        if operand::ref_name(prefix).is_ok() {
            ids.insert(prefix.to_owned(), self.reference(prefix)?);
        }
        for loose in store.loose_iter_prefixed(path).map_err(|error| GitError::unreadable(prefix, error))? {
            let loose = loose.map_err(unreadable)?;
            let id = match loose.target {
                gix::refs::Target::Object(id) => Some(id),
                gix::refs::Target::Symbolic(next) => self.reference(&next.to_string())?,
            };
            ids.insert(loose.name.to_string(), id);
        }
        if let Some(packed) = store.open_packed_buffer().map_err(unreadable)? {
            for packed in packed.iter_prefixed(below.as_str().into()).map_err(unreadable)? {
                let packed = packed.map_err(unreadable)?;
                ids.entry(packed.name.to_string()).or_insert_with(|| Some(packed.target()));
            }
        }
        // A symbolic ref can lead nowhere.
        Ok(ids.into_iter().filter_map(|(name, id)| Some((name, id?))).collect())
    }

    /// The remotes of the repository's own file with their addresses; nothing where another file may have some.
    pub(crate) fn remotes(&self) -> Option<Vec<(String, String)>> {
        let configuration = self.repository.config_snapshot();
        let own = configuration.plumbing();
        let mut included = ["include", "includeIf"].into_iter().filter_map(|name| own.sections_by_name(name)).flatten();
        if included.next().is_some() {
            return None;
        }
        let remote = |section: gix::config::file::SectionRef<'_>| {
            let name = section.header().subsection_name()?.to_string();
            Some((name, section.value("url")?.to_string()))
        };
        Some(own.sections_by_name("remote")?.filter_map(remote).collect())
            .filter(|remotes: &Vec<_>| !remotes.is_empty())
    }
}
