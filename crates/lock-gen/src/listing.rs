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
        let (names, mut folders) = (path.as_str().split('/').collect::<Vec<_>>(), vec![(0, root)]);
        while let Some((depth, folder)) = folders.pop() {
            let (Some(name), Some(here)) = (names.get(depth), names.get(..=depth)) else { continue };
            let here = here.join("/");
            // A broken tree may have two entries of one name: both are listed.
            let entries: Vec<Entry> = lookup.folder(folder)?.iter().filter(|it| it.name == *name).cloned().collect();
            for entry in entries {
                match entry.kind() {
                    EntryKind::Folder if depth + 1 < names.len() => folders.push((depth + 1, entry.id)),
                    EntryKind::Folder => below(&mut lookup, &here, entry.id, &mut found)?,
                    EntryKind::File | EntryKind::Link | EntryKind::Gitlink => {
                        found.push(listed(here.as_bytes().to_vec(), &entry));
                    }
                }
            }
        }
    }
    found.sort();
    // Paths may lie in one another.
    found.dedup();
    Ok(found)
}

/// The entries at a folder and below it, or of the whole tree.
pub(crate) fn list_folder(
    reader: &Reader,
    root: ObjectId,
    folder: Option<&TreePath>,
) -> Result<Vec<ListedEntry>, ReadError> {
    if folder.is_some() {
        return list(reader, root, folder);
    }
    let mut found = Vec::new();
    below(&mut Lookup::new(reader, root), "", root, &mut found)?;
    found.sort();
    Ok(found)
}

fn below(lookup: &mut Lookup<'_>, top: &str, id: ObjectId, found: &mut Vec<ListedEntry>) -> Result<(), ReadError> {
    let mut folders = vec![(top.as_bytes().to_vec(), id)];
    while let Some((folder, id)) = folders.pop() {
        for entry in lookup.folder(id)? {
            let separator: &[u8] = if folder.is_empty() { b"" } else { b"/" };
            let path = [folder.as_slice(), separator, entry.name.as_slice()].concat();
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
