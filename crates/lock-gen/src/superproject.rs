use std::path::{Path, PathBuf};

use lock_model::{CommitId, RepositoryUrl, TreeId, TreePath};

use crate::listing::{ListedEntry, list};
use crate::objects::{CommitInfo, Objects};
use crate::tree::{ContentLimits, Gitlinks, TreeFile, read_file, read_files};
use crate::{ContentError, OpenError, ReadError, Scan, scan};

/// Whether a repository must belong to the user who reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// Refuse a repository of another user.
    #[default]
    Checked,
    /// Open it, because the caller knows that it is safe, such as by the user's `safe.directory`.
    Vouched,
}

/// The repository whose submodules are the services: bare, with a work tree, or with several.
///
/// Only objects are read: whatever is checked out, staged or configured locally changes no answer.
#[derive(Debug)]
pub struct Superproject {
    objects: Objects,
}

impl Superproject {
    /// Opens the repository that a folder lies in. Refuses one that belongs to another user.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_as(path, Ownership::Checked)
    }

    /// Opens the repository that a folder lies in, whose owner may be another user.
    pub fn open_as(path: &Path, ownership: Ownership) -> Result<Self, OpenError> {
        let objects = Objects::discover(path)?;
        if ownership == Ownership::Checked && !objects.is_ours() {
            return Err(OpenError::ForeignOwner { folder: objects.git_dir() });
        }
        Ok(Self { objects })
    }

    /// The folder with the objects, refs and `modules`: shared between the work trees of a repository.
    pub fn common_dir(&self) -> PathBuf {
        self.objects.common_dir()
    }

    /// The top of the work tree; absent for a bare repository.
    pub fn work_tree(&self) -> Option<PathBuf> {
        self.objects.work_tree()
    }

    /// Whether history is cut off, so that ancestors can be missing.
    pub fn is_shallow(&self) -> bool {
        self.objects.is_shallow()
    }

    /// The commit that a revision names; a tag is followed.
    pub fn commit(&self, revision: &str) -> Result<CommitInfo, ReadError> {
        self.objects.commit(revision)
    }

    /// Whether a commit is in this clone.
    pub fn has_commit(&self, id: &CommitId) -> bool {
        self.objects.has_commit(id)
    }

    /// Reads the submodules of a tree. `repository` is the superproject's own address, which relative URLs are
    /// relative to.
    pub fn scan(&self, tree: &TreeId, repository: &RepositoryUrl) -> Result<Scan, ReadError> {
        let root = self.objects.tree_root(tree)?;
        scan::scan(&self.objects.reader(), root, repository)
    }

    /// The entries at the paths of a tree and, where a folder is there, below it, sorted. No link is followed; where
    /// something that is no folder stands in the way of a path, it is listed itself.
    pub fn list<'a>(
        &self,
        tree: &TreeId,
        paths: impl IntoIterator<Item = &'a TreePath>,
    ) -> Result<Vec<ListedEntry>, ReadError> {
        list(&self.objects.reader(), self.objects.tree_root(tree)?, paths)
    }

    /// The file at a path of a tree; nothing where there is no file.
    pub fn read_file(&self, tree: &TreeId, path: &TreePath) -> Result<Option<TreeFile>, ContentError> {
        let root = self.objects.tree_root(tree)?;
        read_file(&self.objects.reader(), root, path)
    }

    /// The files of a tree below a folder, sorted; submodules are left out.
    pub fn files(&self, tree: &TreeId, prefix: Option<&TreePath>) -> Result<Vec<TreeFile>, ContentError> {
        let root = self.objects.tree_root(tree)?;
        let what = prefix.map_or(tree.as_str(), TreePath::as_str);
        read_files(&self.objects.reader(), root, prefix, Gitlinks::Skip, ContentLimits::default(), what)
    }
}
