use std::path::{Path, PathBuf};

use git::{Git, GitError, GitOptions, InitOptions};
use lock_model::{CommitId, Digest, TreePath};
use process::Program;

use crate::mirrors::object_format;
use crate::objects::{CommitInfo, Objects};
use crate::tree::{ContentLimits, Gitlinks, TreeFile, read_file, read_files};
use crate::url::shown_url;
use crate::{ContentError, Submodule};

/// Finds the objects of submodules: in the superproject's own clone, in a cache, or by fetching one commit.
///
/// A fetch goes into a bare repository of our own, so that no configuration or hook of a clone takes part.
#[derive(Debug)]
pub struct SubmoduleStore {
    program: Program,
    options: GitOptions,
    cache: PathBuf,
    modules: PathBuf,
}

/// Where a submodule's objects were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentOrigin {
    /// In the superproject's clone: they may never have been pushed.
    Clone,
    /// In the cache: they were fetched earlier.
    Cache,
    /// Just fetched.
    Fetched,
}

impl SubmoduleStore {
    /// Describes a store. `superproject` is the common folder of the superproject's clone; the cache is made when it
    /// is needed.
    pub fn new(program: &Program, options: GitOptions, cache: &Path, superproject: &Path) -> Self {
        Self { program: program.clone(), options, cache: cache.to_owned(), modules: superproject.join("modules") }
    }

    /// The content of a submodule at the commit that its gitlink names, from wherever it is at hand.
    pub fn content(&self, submodule: &Submodule, fetch_url: &str) -> Result<SubmoduleContent, ContentError> {
        let clone = at_hand(&self.modules, &submodule.name);
        if let Some(objects) = clone.and_then(|objects| having(objects, &submodule.sha)) {
            return SubmoduleContent::new(submodule, objects, ContentOrigin::Clone);
        }
        self.published_content(submodule, fetch_url)
    }

    /// The same, but what only this clone has does not count: others could not get it.
    pub fn published_content(&self, submodule: &Submodule, fetch_url: &str) -> Result<SubmoduleContent, ContentError> {
        let folder = self.cache_folder(fetch_url, &submodule.sha);
        let cached = || ours(&folder).and_then(|objects| having(objects, &submodule.sha));
        if let Some(objects) = cached() {
            return SubmoduleContent::new(submodule, objects, ContentOrigin::Cache);
        }
        let cache_error = |source: crate::error::Source| ContentError::Cache { folder: folder.clone(), source };
        let init = InitOptions { format: object_format(&submodule.sha), ..InitOptions::default() };
        std::fs::create_dir_all(&self.cache).map_err(|error| cache_error(Box::new(error)))?;
        let git = Git::init(&self.program, &folder, &init, self.options.clone())
            .map_err(|error| cache_error(Box::new(error)))?;
        // A ref keeps the commit from being pruned; one a commit, so that two runs do not fight over it.
        let refspec = format!("+{sha}:refs/orchestrator/{sha}", sha = submodule.sha);
        let fetched = git.fetch(fetch_url, &[&refspec], Some(1));
        match (fetched, cached()) {
            // Another run may have brought it while ours failed.
            (_, Some(objects)) => SubmoduleContent::new(submodule, objects, ContentOrigin::Fetched),
            (Err(error), None) => Err(fetch_error(submodule, fetch_url, error)),
            (Ok(()), None) => {
                Err(cache_error(format!("commit `{}` was fetched but is not there", submodule.sha).into()))
            }
        }
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    pub(crate) fn options(&self) -> &GitOptions {
        &self.options
    }

    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    pub(crate) fn modules(&self) -> &Path {
        &self.modules
    }

    fn cache_folder(&self, fetch_url: &str, sha: &CommitId) -> PathBuf {
        let digest = Digest::of(fetch_url.as_bytes());
        let format = if sha.as_str().len() == 64 { "-sha256" } else { "" };
        let (short, _) = digest.hex().split_at(32);
        self.cache.join(format!("{short}{format}.git"))
    }
}

/// The clone of a submodule inside of the superproject's clone.
pub(crate) fn at_hand(modules: &Path, name: &str) -> Option<Objects> {
    // Fields are public: the name is checked again before it becomes a path.
    let name = TreePath::try_from(name).ok()?;
    ours(&modules.join(name.as_str()))
}

/// The repository in a folder, if it belongs to us.
fn ours(folder: &Path) -> Option<Objects> {
    Objects::open(folder).ok().filter(Objects::is_ours)
}

/// A repository that has the commit and its tree.
fn having(objects: Objects, sha: &CommitId) -> Option<Objects> {
    let commit = objects.commit(sha.as_str()).ok()?;
    (commit.id == *sha && objects.tree_root(&commit.tree).is_ok()).then_some(objects)
}

fn fetch_error(submodule: &Submodule, url: &str, error: GitError) -> ContentError {
    let (path, sha, source) = (submodule.path.clone(), submodule.sha.clone(), Box::new(error));
    if source.is_unknown_object() {
        ContentError::NotPublished { path, sha, url: shown_url(url), source }
    } else {
        ContentError::Fetch { path, sha, source }
    }
}

/// The files of a submodule at its locked commit.
#[derive(Debug)]
pub struct SubmoduleContent {
    what: String,
    objects: Objects,
    commit: CommitInfo,
    origin: ContentOrigin,
    limits: ContentLimits,
}

impl SubmoduleContent {
    fn new(submodule: &Submodule, objects: Objects, origin: ContentOrigin) -> Result<Self, ContentError> {
        let commit = objects.commit(submodule.sha.as_str())?;
        let what = format!("{} at {}", submodule.path, submodule.sha.short(12));
        Ok(Self { what, objects, commit, origin, limits: ContentLimits::default() })
    }

    /// Reads at most this much.
    #[must_use]
    pub fn with_limits(mut self, limits: ContentLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The commit.
    pub fn commit(&self) -> &CommitInfo {
        &self.commit
    }

    /// Where the objects were found.
    pub fn origin(&self) -> ContentOrigin {
        self.origin
    }

    /// The files below a folder (or the one file of that name), sorted; none where there is no such folder.
    ///
    /// Symbolic links are replaced by what they lead to; one that leads out of the repository is an error, as is
    /// every entry that could not be written safely: all of them in one report.
    pub fn files(&self, prefix: Option<&TreePath>) -> Result<Vec<TreeFile>, ContentError> {
        let root = self.objects.tree_root(&self.commit.tree)?;
        read_files(&self.objects.reader(), root, prefix, Gitlinks::Refuse, self.limits, &self.what)
    }

    /// The file at a path; nothing where there is no file.
    pub fn file(&self, path: &TreePath) -> Result<Option<TreeFile>, ContentError> {
        let root = self.objects.tree_root(&self.commit.tree)?;
        read_file(&self.objects.reader(), root, path)
    }
}
