//! What stands at paths of a tree, without its content.

use gix::hash::ObjectId;
use lock_model::TreePath;

use crate::ReadError;
use crate::links::Lookup;
use crate::objects::{Entry, EntryKind, Reader};

/// One entry of a tree that is not a folder. No link is followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ListedEntry {
    /// The path from the top of the tree, which may be no text and no [`TreePath`].
    pub path: Vec<u8>,
    /// What it is.
    pub kind: ListedKind,
    /// The id of the blob, or of the commit of a gitlink.
    pub id: String,
}

/// What a listed entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListedKind {
    /// A file.
    File,
    /// A file that can be executed.
    Executable,
    /// A symbolic link.
    Link,
    /// The commit of a submodule.
    Gitlink,
}

/// The entries at the paths and, where a folder is there, below it. Where something that is no folder stands in the way of
/// a path, it is listed itself.
pub(crate) fn list<'a>(
    reader: &Reader,
    root: ObjectId,
    paths: impl IntoIterator<Item = &'a TreePath>,
) -> Result<Vec<ListedEntry>, ReadError> {
    let mut lookup = Lookup::new(reader, root);
    let mut found = Vec::new();
    for path in paths {
        let ends = path.as_str().match_indices('/').map(|(end, _)| end).chain([path.as_str().len()]);
        for part in ends.filter_map(|end| path.as_str().get(..end)) {
            let Some(entry) = lookup.entry(part)? else { break };
            if entry.kind() != EntryKind::Folder {
                found.push(listed(part.as_bytes().to_vec(), &entry));
                break;
            }
            if part == path.as_str() {
                below(&mut lookup, part, entry.id, &mut found)?;
            }
        }
    }
    found.sort();
    // Paths may lie in one another; what a broken tree has twice stays twice where it is not the same.
    found.dedup();
    Ok(found)
}

fn below(lookup: &mut Lookup<'_>, top: &str, id: ObjectId, found: &mut Vec<ListedEntry>) -> Result<(), ReadError> {
    let mut folders = vec![(top.as_bytes().to_vec(), id)];
    while let Some((folder, id)) = folders.pop() {
        for entry in lookup.folder(id)? {
            let path = [folder.as_slice(), b"/", entry.name.as_slice()].concat();
            match entry.kind() {
                EntryKind::Folder => folders.push((path, entry.id)),
                EntryKind::File | EntryKind::Link | EntryKind::Gitlink => found.push(listed(path, entry)),
            }
        }
    }
    Ok(())
}

fn listed(path: Vec<u8>, entry: &Entry) -> ListedEntry {
    let kind = match entry.kind() {
        EntryKind::Link => ListedKind::Link,
        EntryKind::Gitlink => ListedKind::Gitlink,
        EntryKind::Folder | EntryKind::File if entry.mode & 0o111 != 0 => ListedKind::Executable,
        EntryKind::Folder | EntryKind::File => ListedKind::File,
    };
    ListedEntry { path, kind, id: entry.id.to_string() }
}
