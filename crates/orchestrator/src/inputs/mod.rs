//! Everything that is read of a commit of the superproject: what a release declares, and nothing else.
//!
//! The release id covers what is hashed here, and the lock stands for the rest. Clippy refuses the functions that read a
//! tree everywhere else in this crate, so that nothing can decide about a deployment without being part of its identity.

mod changes;
mod service_folder;

use std::collections::BTreeMap;

use config::{Config, InputCoverage, ReleaseInputs};
use git::{Git, GitError, MODE_GITLINK};
use lock_gen::{ListedEntry, ListedKind, ReadError, Scan};
use lock_model::escaping::escape_terminal;
use lock_model::{
    CONFIG_FILE, CommitId, ConfigDigest, Digest, FileMode, LOCK_FILE, LOCK_FOLDER, RepositoryUrl, TreeId, TreePath,
    is_foreign_lock_file,
};

pub(crate) use changes::changes;
pub(crate) use service_folder::{Unreadable, files_of};

use crate::context::git_error;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::revision::load_config;
use crate::workspace::Workspace;

/// How many files are read by one child of git.
const BATCH: usize = 256;

/// What is wrong with an entry where a release reads files.
const LINK: &str = "is a symbolic link where a release reads a file: commit the file itself";
const GITLINK: &str = "is a submodule where a release reads files: keep them beside the submodules";
const NAME: &str = "has a name that cannot be used: UTF-8, no backslash, nothing hidden";
const TWICE: &str = "is in the tree twice";

/// The declared inputs of a release, as they are in one commit.
#[derive(Debug)]
pub(crate) struct Inputs {
    commit: CommitId,
    declared: ReleaseInputs,
    /// What is hashed.
    files: BTreeMap<TreePath, Input>,
    /// What stands where a file would be read, and cannot be read.
    unreadable: Vec<Problem>,
}

/// A hashed file without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Input {
    mode: FileMode,
    /// The id of the blob.
    id: String,
}

/// A hashed file.
#[derive(Clone, Debug)]
pub(crate) struct InputFile {
    pub path: TreePath,
    pub mode: FileMode,
    pub bytes: Vec<u8>,
}

/// What is read before the inputs are known. The lock stands for all of it but the configuration, which is hashed.
#[expect(clippy::disallowed_methods, reason = "the paths are declared reads of every release")]
impl Inputs {
    /// The bytes of `orchestrator.yaml`.
    pub(crate) fn config(git: &Git, revision: &str) -> Result<Option<Vec<u8>>, GitError> {
        git.read_file(revision, CONFIG_FILE)
    }

    /// The bytes of a file that the configuration names, to judge it together with the configuration.
    pub(crate) fn judged_file(git: &Git, revision: &str, path: &TreePath) -> Result<Option<Vec<u8>>, GitError> {
        git.read_file(revision, path.as_str())
    }

    /// The bytes of the lock.
    pub(crate) fn lock(git: &Git, revision: &str) -> Result<Option<Vec<u8>>, GitError> {
        git.read_file(revision, LOCK_FILE)
    }

    /// Mode and blob of every file in `locks/`.
    pub(crate) fn lock_folder(git: &Git, revision: &str) -> Result<BTreeMap<String, (u32, String)>, GitError> {
        let files = git.list_files(revision, Some(LOCK_FOLDER))?;
        Ok(files.into_iter().map(|entry| (entry.path, (entry.mode, entry.id))).collect())
    }

    /// The id of a tree without the files of other tools in `locks/`: no configuration can name one, so that no release
    /// reads them.
    pub(crate) fn content(git: &Git, tree: &TreeId) -> Result<TreeId, GitError> {
        let locks = Self::lock_folder(git, tree.as_str())?;
        let is_foreign = |path: &str, mode: u32| is_foreign_lock_file(path) && mode != MODE_GITLINK;
        let foreign: Vec<&str> =
            locks.iter().filter(|(path, (mode, _))| is_foreign(path, *mode)).map(|(path, _)| path.as_str()).collect();
        if foreign.is_empty() { Ok(tree.clone()) } else { git.tree_without(tree.as_str(), &foreign) }
    }

    /// The bytes of a file in `locks/` that lies where one of the lock's companions would; nothing is read of what is no
    /// plain file.
    pub(crate) fn lock_companion(context: &Workspace, tree: &TreeId, path: &TreePath) -> Option<Vec<u8>> {
        match context.superproject.read_file(tree, path) {
            Ok(Some(file)) if file.link.is_none() => Some(file.bytes),
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => Some(Vec::new()),
        }
    }

    /// The mode of everything in the tree, by path: `config check` compares names with it, and reads no content.
    pub(crate) fn modes(git: &Git, revision: &str) -> Result<BTreeMap<String, u32>, GitError> {
        let files = git.list_files(revision, None)?;
        Ok(files.into_iter().map(|entry| (entry.path, entry.mode)).collect())
    }

    /// Whether any file holds a text: for what is no secret because it stands in the tree, and for nothing else.
    pub(crate) fn tree_holds(git: &Git, revision: &str, text: &str) -> Result<bool, GitError> {
        git.holds_text(revision, text)
    }

    /// The gitlinks, by `.gitmodules`.
    pub(crate) fn submodules(context: &Workspace, tree: &TreeId, own: &RepositoryUrl) -> Result<Scan, ReadError> {
        context.superproject.scan(tree, own)
    }
}

impl Inputs {
    /// Finds the inputs in a commit; nothing is read yet.
    pub(crate) fn open(context: &Workspace, commit: &CommitId, tree: &TreeId, declared: ReleaseInputs) -> Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "these paths alone are asked for")]
        let entries = context.superproject.list(tree, declared.files().chain(declared.folders())).map_err(|error| {
            Error::from_source(ErrorKind::Repository, "the files that a release reads cannot be listed", error)
        })?;
        let mut inputs = Self { commit: commit.clone(), declared, files: BTreeMap::new(), unreadable: Vec::new() };
        for entry in entries {
            inputs.take(entry);
        }
        Ok(inputs)
    }

    /// The files that a configuration names, without manifests.
    pub(crate) fn named(context: &Workspace, commit: &CommitId, config: &Config) -> Result<Self> {
        Self::open(context, commit, &tree_of(context, commit)?, declared(config, None)?)
    }

    /// The inputs of the commit that a change is compared with; `None` where it has no configuration that makes sense.
    pub(crate) fn before(context: &Workspace, commit: &CommitId) -> Result<Option<Self>> {
        let found = || -> Result<Option<Self>> {
            let Some(config) = load_config(context, commit.as_str())? else { return Ok(None) };
            let tree = tree_of(context, commit)?;
            let scan = Self::submodules(context, &tree, &context.address(&config))
                .map_err(|error| Error::from_source(ErrorKind::Repository, "the submodules cannot be read", error))?;
            Self::open(context, commit, &tree, declared(&config, Some(&scan))?).map(Some)
        };
        found().or_else(|error| if error.kind() == ErrorKind::Usage { Ok(None) } else { Err(error) })
    }

    /// Sorts an entry of the tree in: a file that is read, something that is in the way of one, or neither.
    fn take(&mut self, entry: ListedEntry) {
        let shown = String::from_utf8_lossy(&entry.path).into_owned();
        let in_folder = self.declared.is_deployed_from(&shown);
        let is_manifest = in_folder && self.declared.holds_manifest(&shown);
        let is_needed = self.declared.needs_files_at(&shown);
        let wrong = match entry.kind {
            ListedKind::File => self.take_file(entry, FileMode::Plain, is_manifest),
            ListedKind::Executable => self.take_file(entry, FileMode::Executable, is_manifest),
            ListedKind::Link if is_manifest || is_needed => Some(LINK),
            ListedKind::Gitlink if in_folder || is_needed => Some(GITLINK),
            ListedKind::Link | ListedKind::Gitlink => None,
        };
        if let Some(wrong) = wrong {
            self.unreadable.push(Problem::new(escape_terminal(&shown), wrong));
        }
    }

    /// Takes a file that is hashed; says what is wrong with one that would have to be.
    fn take_file(&mut self, entry: ListedEntry, mode: FileMode, is_manifest: bool) -> Option<&'static str> {
        let path = String::from_utf8(entry.path).ok().and_then(|path| TreePath::try_from(path).ok());
        let Some(path) = path else {
            return is_manifest.then_some(NAME);
        };
        if self.declared.coverage(&path) != Some(InputCoverage::Hashed) {
            return None;
        }
        self.files.insert(path, Input { mode, id: entry.id }).map(|_other| TWICE)
    }

    /// Refuses what cannot be read, all of it at once.
    fn check(&self) -> Result<()> {
        let commit = self.commit.short(12);
        if !self.unreadable.is_empty() {
            let message =
                format!("{} of the paths that a release reads in {commit} are no files", self.unreadable.len());
            return Err(Error::new(ErrorKind::Repository, message).problems(self.unreadable.clone()));
        }
        let missing: Vec<Problem> = self
            .declared
            .files()
            .filter(|path| !self.files.contains_key(*path))
            .map(|path| Problem::new(path.to_string(), "is named in the configuration, but not in the tree"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Usage, "the configuration names files that do not exist").problems(missing))
    }

    /// Whether a path is declared as an input that the release id covers, whether a file lies there or not.
    pub(crate) fn covers(&self, path: &TreePath) -> bool {
        self.declared.coverage(path) == Some(InputCoverage::Hashed)
    }

    /// The configuration digest: over path, mode and bytes of everything that is hashed.
    pub(crate) fn digest(&self, context: &Workspace) -> Result<ConfigDigest> {
        self.check()?;
        let mut known = context.digests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut unknown: Vec<&str> = self.files.values().map(|file| file.id.as_str()).collect();
        unknown.retain(|id| !known.contains_key(*id));
        unknown.sort_unstable();
        unknown.dedup();
        for ids in unknown.chunks(BATCH) {
            for (id, bytes) in ids.iter().zip(read(context, ids)?) {
                known.insert((*id).to_owned(), Digest::of(&bytes));
            }
        }
        let digests = self.files.iter().map(|(path, file)| {
            let digest = known.get(&file.id).expect("every blob that was not known was read");
            (path.clone(), (file.mode, digest.clone()))
        });
        Ok(lock_model::config_digest(&digests.collect()))
    }

    /// A file that the configuration names.
    pub(crate) fn file(&self, context: &Workspace, path: &TreePath) -> Result<InputFile> {
        if self.declared.coverage(path) != Some(InputCoverage::Hashed) {
            return Err(undeclared(path));
        }
        let Some(file) = self.files.get(path) else {
            let commit = self.commit.short(12);
            return Err(Error::new(ErrorKind::Usage, format!("`{path}` is not in the tree of {commit}")));
        };
        let bytes = read(context, &[&file.id])?.pop().unwrap_or_default();
        Ok(InputFile { path: path.clone(), mode: file.mode, bytes })
    }

    /// The files of a folder with manifests: those that its target reads.
    pub(crate) fn folder(&self, context: &Workspace, folder: &TreePath) -> Result<Vec<InputFile>> {
        if !self.declared.folders().any(|declared| declared == folder) {
            return Err(undeclared(folder));
        }
        let is_inside = |path: &TreePath| {
            path.as_str().strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.read_all(context, |path| is_inside(path) && self.declared.holds_manifest(path.as_str()))
    }

    /// Everything that is hashed, with its content.
    pub(crate) fn read_all(&self, context: &Workspace, wanted: impl Fn(&TreePath) -> bool) -> Result<Vec<InputFile>> {
        let found: Vec<(&TreePath, &Input)> = self.files.iter().filter(|(path, _)| wanted(path)).collect();
        let mut files = Vec::with_capacity(found.len());
        for found in found.chunks(BATCH) {
            let ids: Vec<&str> = found.iter().map(|(_, file)| file.id.as_str()).collect();
            files.extend(found.iter().zip(read(context, &ids)?).map(|((path, file), bytes)| InputFile {
                path: (*path).clone(),
                mode: file.mode,
                bytes,
            }));
        }
        Ok(files)
    }
}

/// What a configuration declares for a tree; without its submodules, the files that it names.
pub(crate) fn declared(config: &Config, scan: Option<&Scan>) -> Result<ReleaseInputs> {
    let submodules = scan.into_iter().flat_map(|scan| &scan.submodules).map(|submodule| &submodule.path);
    config.release_inputs(submodules).map_err(|error| Error::new(ErrorKind::Usage, error.to_string().trim_end()))
}

/// A read that is no part of the release's identity.
fn undeclared(path: &TreePath) -> Error {
    Error::new(ErrorKind::Bug, format!("`{path}` is read, and is no declared input of a release"))
}

fn tree_of(context: &Workspace, commit: &CommitId) -> Result<TreeId> {
    let facts = context.commit(commit.as_str())?;
    let missing = || Error::new(ErrorKind::Repository, format!("commit `{commit}` is not in this repository"));
    facts.map(|facts| facts.tree).ok_or_else(missing)
}

fn read(context: &Workspace, ids: &[&str]) -> Result<Vec<Vec<u8>>> {
    #[expect(clippy::disallowed_methods, reason = "the ids are those of declared files")]
    let contents = context.git.read_blobs(ids);
    contents.map_err(|error| git_error("files that a release reads cannot be read", error))
}
