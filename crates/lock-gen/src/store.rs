use std::path::{Path, PathBuf};

use gix::hash::ObjectId;

use git::{Git, GitError, GitOptions, InitOptions};
use lock_model::{CommitId, TreePath};
use process::Program;

use crate::listing::{ListedEntry, list_folder};
use crate::mirror_cache::{MirrorCache, object_format, open_owned};
use crate::objects::{CommitInfo, Objects};
use crate::parallel::{AT_ONCE, in_parallel};
use crate::tree::{Allowance, ContentLimits, Gitlinks, TreeFile, read_file, read_files};
use crate::url::shown;
use crate::{ContentError, Finding, FindingKind, ReadError, Submodule};

/// Finds the objects of submodules: in the clone of the superproject, in a cache, or by fetching one commit.
///
/// A fetch goes into a bare repository in the cache, so that no configuration or hook of a clone takes part.
#[derive(Debug)]
pub struct SubmoduleStore {
    pub(crate) cache: MirrorCache,
    pub(crate) modules: PathBuf,
}

/// Where a submodule's objects were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentOrigin {
    /// In the clone of the superproject: they may never have been pushed.
    Clone,
    /// In the cache, where an earlier fetch put them.
    Cache,
    /// At the remote, from which this call fetched them.
    Fetched,
}

impl SubmoduleStore {
    /// A store for the submodules of one superproject; `superproject` is the
    /// [common folder](crate::Superproject::common_dir) of its clone. The cache folder is made when it is needed.
    pub fn new(program: &Program, options: GitOptions, cache: &Path, superproject: &Path) -> Self {
        Self { cache: MirrorCache::new(program, options, cache), modules: superproject.join("modules") }
    }

    /// The content of a submodule at the commit of its gitlink, whether that was pushed or not.
    pub fn content(&self, submodule: &Submodule, fetch_url: &str) -> Result<SubmoduleContent, ContentError> {
        match self.content_in_clone(submodule)? {
            Some(content) => Ok(content),
            None => self.published_content(submodule, fetch_url),
        }
    }

    /// The same where no remote need be asked: absent where neither the clone nor the cache has the commit.
    pub fn content_at_hand(
        &self,
        submodule: &Submodule,
        fetch_url: &str,
    ) -> Result<Option<SubmoduleContent>, ContentError> {
        match self.content_in_clone(submodule)? {
            Some(content) => Ok(Some(content)),
            None => self.content_in_cache(submodule, fetch_url),
        }
    }

    fn content_in_clone(&self, submodule: &Submodule) -> Result<Option<SubmoduleContent>, ContentError> {
        let clone = at_hand(&self.modules, &submodule.name);
        let objects = clone.and_then(|objects| having(objects, &submodule.commit));
        objects.map(|objects| SubmoduleContent::new(submodule, objects, ContentOrigin::Clone)).transpose()
    }

    fn content_in_cache(
        &self,
        submodule: &Submodule,
        fetch_url: &str,
    ) -> Result<Option<SubmoduleContent>, ContentError> {
        let folder = self.cache.folder_for(fetch_url, object_format(&submodule.commit), ".git");
        let objects = open_owned(&folder).and_then(|objects| having(objects, &submodule.commit));
        objects.map(|objects| SubmoduleContent::new(submodule, objects, ContentOrigin::Cache)).transpose()
    }

    /// The same for several submodules, each with the URL that it is fetched from, eight at once; in their order.
    pub fn contents(&self, wanted: &[(Submodule, String)]) -> Vec<Result<SubmoduleContent, ContentError>> {
        in_parallel(wanted, AT_ONCE, |(submodule, fetch_url)| self.content(submodule, fetch_url))
    }

    /// The content of a submodule at the commit of its gitlink, from the cache or the remote: a commit that only the clone
    /// has is [not published](ContentError::NotPublished).
    pub fn published_content(&self, submodule: &Submodule, fetch_url: &str) -> Result<SubmoduleContent, ContentError> {
        if let Some(content) = self.content_in_cache(submodule, fetch_url)? {
            return Ok(content);
        }
        let format = object_format(&submodule.commit);
        let folder = self.cache.folder_for(fetch_url, format, ".git");
        let cache_error = |source: crate::error::Source| ContentError::Cache { folder: folder.clone(), source };
        let init = InitOptions { format, ..InitOptions::default() };
        let MirrorCache { program, options, folder: cache } = &self.cache;
        // It is the same for all submodules, and said once of all.
        std::fs::create_dir_all(cache)
            .map_err(|error| ContentError::Cache { folder: cache.clone(), source: Box::new(error) })?;
        let git = Git::init(program, &folder, &init, options.clone()).map_err(|error| cache_error(Box::new(error)))?;
        // A ref keeps the commit from being pruned; one a commit, so that two runs do not fight over it.
        let refspec = format!("+{commit}:refs/orchestrator/{commit}", commit = submodule.commit);
        let fetched = git.fetch(fetch_url, &[&refspec], Some(1));
        match (fetched, self.content_in_cache(submodule, fetch_url)?) {
            // Another run may have brought it while this one failed.
            (_, Some(content)) => Ok(SubmoduleContent { origin: ContentOrigin::Fetched, ..content }),
            (Err(error), None) => Err(fetch_error(submodule, fetch_url, error)),
            (Ok(()), None) => {
                Err(cache_error(format!("commit `{}` was fetched but is not there", submodule.commit).into()))
            }
        }
    }
}

/// The clone of a submodule inside of the superproject's clone.
pub(crate) fn at_hand(modules: &Path, name: &str) -> Option<Objects> {
    // Fields are public: the name is checked again before it becomes a path.
    let name = TreePath::try_from(name).ok()?;
    open_owned(&modules.join(name.as_str()))
}

/// A repository that has the commit and its tree.
fn having(objects: Objects, commit: &CommitId) -> Option<Objects> {
    let info = objects.commit(commit.as_str()).ok()?;
    (info.id == *commit && objects.tree_root(&info.tree).is_ok()).then_some(objects)
}

fn fetch_error(submodule: &Submodule, url: &str, error: GitError) -> ContentError {
    let (path, commit, source) = (submodule.path.clone(), submodule.commit.clone(), Box::new(error));
    if source.is_unknown_object() {
        ContentError::NotPublished { path, commit, url: shown(url), source }
    } else {
        ContentError::Fetch { path, commit, source }
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
        let commit = objects.commit(submodule.commit.as_str())?;
        let what = format!("{} at {}", submodule.path, submodule.commit.short(12));
        Ok(Self { what, objects, commit, origin, limits: ContentLimits::default() })
    }

    /// Replaces the default limits of [`files`](Self::files) and [`read`](Self::read).
    #[must_use]
    pub fn with_limits(mut self, limits: ContentLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The commit of the gitlink.
    pub fn commit(&self) -> &CommitInfo {
        &self.commit
    }

    /// Where the objects come from.
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

    /// What stands at a folder and below it, or in the whole repository, sorted; nothing is read. No link is followed; where
    /// something that is no folder stands in the way, it is listed itself.
    pub fn list(&self, folder: Option<&TreePath>) -> Result<Vec<ListedEntry>, ContentError> {
        let root = self.objects.tree_root(&self.commit.tree)?;
        Ok(list_folder(&self.objects.reader(), root, folder)?)
    }

    /// The bytes of listed files, in their order. Those that exceed the [limits](Self::with_limits) are an error, which
    /// names all of them; nothing else of the repository counts.
    pub fn read(&self, files: &[ListedEntry]) -> Result<Vec<Vec<u8>>, ContentError> {
        let reader = self.objects.reader();
        let mut allowance = Allowance::new(self.limits);
        let (mut ids, mut problems) = (Vec::new(), Vec::new());
        for (index, file) in files.iter().enumerate() {
            let id =
                ObjectId::from_hex(file.id.as_bytes()).map_err(|_| ReadError::NotFound { what: file.id.clone() })?;
            if index == self.limits.files {
                let message = format!("is one of more than {} files", self.limits.files);
                problems.push(Finding::new(FindingKind::TooLarge, &file.path, message, "name a smaller folder"));
                break;
            }
            match allowance.take(&file.path, reader.blob_size(id)?) {
                Ok(()) => ids.push(id),
                Err(finding) => problems.extend(finding),
            }
        }
        if !problems.is_empty() {
            return Err(ContentError::Unsafe { what: format!("`{}`", self.what), problems });
        }
        Ok(ids.into_iter().map(|id| reader.blob(id)).collect::<Result<_, _>>()?)
    }

    /// The file at a path; absent where there is none.
    pub fn file(&self, path: &TreePath) -> Result<Option<TreeFile>, ContentError> {
        let root = self.objects.tree_root(&self.commit.tree)?;
        read_file(&self.objects.reader(), root, path)
    }
}
