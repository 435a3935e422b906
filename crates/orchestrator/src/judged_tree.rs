//! The trees that `config check` compares a configuration with.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::PathBuf;

use config::{SuperprojectTree, TreeEntry};
use git::{MODE_GITLINK, MODE_SYMLINK};
use lock_model::TreePath;

/// A commit's tree: the mode of everything in it.
#[derive(Debug)]
pub(crate) struct CommitTree(pub BTreeMap<String, u32>);

impl SuperprojectTree for CommitTree {
    fn submodules(&self) -> Vec<TreePath> {
        let gitlinks = self.0.iter().filter(|(_, mode)| **mode == MODE_GITLINK);
        gitlinks.filter_map(|(path, _)| TreePath::try_from(path.as_str()).ok()).collect()
    }

    fn entry(&self, path: &TreePath) -> TreeEntry {
        for ancestor in ancestors(path) {
            match self.0.get(ancestor) {
                Some(&MODE_GITLINK) => return TreeEntry::Submodule,
                Some(&MODE_SYMLINK) => return TreeEntry::Link,
                Some(_) if ancestor == path.as_str() => return TreeEntry::File,
                Some(_) => return TreeEntry::Missing,
                None => {}
            }
        }
        let inside = format!("{path}/");
        let first = self.0.range(inside.clone()..).next();
        if first.is_some_and(|(name, _)| name.starts_with(&inside)) { TreeEntry::Folder } else { TreeEntry::Missing }
    }
}

/// The work tree as it lies there, committed or not, with the submodules of the index.
#[derive(Debug)]
pub(crate) struct WorkTree {
    pub top: PathBuf,
    pub gitlinks: BTreeSet<String>,
}

impl SuperprojectTree for WorkTree {
    fn submodules(&self) -> Vec<TreePath> {
        self.gitlinks.iter().filter_map(|path| TreePath::try_from(path.as_str()).ok()).collect()
    }

    fn entry(&self, path: &TreePath) -> TreeEntry {
        for ancestor in ancestors(path) {
            if self.gitlinks.contains(ancestor) {
                return TreeEntry::Submodule;
            }
            let found = match self.top.join(ancestor).symlink_metadata() {
                Ok(found) => found,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => return TreeEntry::Unreadable,
                Err(_) => return TreeEntry::Missing,
            };
            if found.is_symlink() {
                return TreeEntry::Link;
            }
            if ancestor == path.as_str() {
                return if found.is_dir() { TreeEntry::Folder } else { TreeEntry::File };
            }
        }
        TreeEntry::Missing
    }
}

/// The folders that a path lies in, outermost first, and the path itself.
fn ancestors(path: &TreePath) -> impl Iterator<Item = &str> {
    let text = path.as_str();
    let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
    ends.filter_map(move |end| text.get(..end))
}
