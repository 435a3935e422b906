//! Reading trees and files.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use gix::hash::ObjectId;
use gix::objs::Kind;
use lock_model::TreeId;

use crate::reader::{Entry, Objects};
use crate::{
    FolderEntry, Git, GitError, MODE_EXECUTABLE, MODE_FILE, MODE_FOLDER, MODE_GITLINK, MODE_SYMLINK, PathChange,
    TreeEntry, TreeFile, operand,
};

/// What tells files, links, folders and gitlinks apart.
const TYPE: u32 = 0o170_000;
/// How many folders may lie in each other. No file system takes more.
const MAX_DEPTH: usize = 1_000;

impl Entry {
    fn is_folder(&self) -> bool {
        self.mode & TYPE == MODE_FOLDER
    }

    /// The name as git sorts it: a folder as if a slash followed.
    pub(crate) fn order(&self) -> impl Iterator<Item = u8> {
        self.name.iter().copied().chain(self.is_folder().then_some(b'/'))
    }
}

impl Objects<'_> {
    /// The entry at a path below a tree; no link is followed.
    fn entry(&self, root: ObjectId, path: &str) -> Result<Option<Entry>, GitError> {
        let mut found: Option<Entry> = None;
        for name in path.split('/') {
            let folder = match found {
                None => root,
                Some(entry) if entry.is_folder() => entry.id,
                Some(_) => return Ok(None),
            };
            found = self.tree(folder)?.into_iter().find(|entry| entry.name == name.as_bytes());
            if found.is_none() {
                return Ok(None);
            }
        }
        Ok(found)
    }

    /// The entries of a folder that stands at a path.
    fn folder(&self, folder: ObjectId, path: &[u8]) -> Result<Vec<Entry>, GitError> {
        if path.split(|&byte| byte == b'/').count() > MAX_DEPTH {
            return Err(GitError::unreadable(folder.to_string(), "it lies below too many folders"));
        }
        self.tree(folder)
    }

    /// Everything below a folder that is no folder itself, in git's order.
    fn below(&self, folder: ObjectId, path: &[u8], all: &mut Vec<TreeEntry>) -> Result<(), GitError> {
        for entry in self.folder(folder, path)? {
            let path = join(path, &entry.name);
            if entry.is_folder() {
                self.below(entry.id, &path, all)?;
            } else {
                all.push(listed(&path, &entry));
            }
        }
        Ok(())
    }

    /// A file's content; `None` where there is no file of that id.
    fn blob(&self, id: ObjectId) -> Result<Option<Vec<u8>>, GitError> {
        Ok(self.find(id)?.filter(|object| object.kind == Kind::Blob).map(|object| object.data.clone()))
    }

    fn blob_id(&self, id: &str) -> Result<ObjectId, GitError> {
        operand::revision(id)?;
        self.named(id)?.ok_or_else(|| GitError::not_found(id))
    }

    /// What differs between two folders that stand at the same path; a folder that is not there is `None`.
    fn differences(
        &self,
        folders: [Option<ObjectId>; 2],
        path: &[u8],
        changes: &mut Vec<PathChange>,
    ) -> Result<(), GitError> {
        if folders[0] == folders[1] {
            return Ok(());
        }
        let entries =
            |folder: Option<ObjectId>| folder.map_or_else(|| Ok(Vec::new()), |folder| self.folder(folder, path));
        let (mut old, mut new) =
            (entries(folders[0])?.into_iter().peekable(), entries(folders[1])?.into_iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.order().cmp(new.order()),
            };
            let before = if order == Ordering::Greater { None } else { old.next() };
            let after = if order == Ordering::Less { None } else { new.next() };
            let Some(name) = before.as_ref().or(after.as_ref()).map(|entry| join(path, &entry.name)) else { continue };
            if before.as_ref().or(after.as_ref()).is_some_and(Entry::is_folder) {
                self.differences([before, after].map(|entry| entry.map(|entry| entry.id)), &name, changes)?;
            } else {
                changes.extend(self.change(before.as_ref(), after.as_ref(), &name));
            }
        }
    }

    /// The id that a folder has without some of its files, at paths below it; `None` where nothing is left.
    fn without(&self, folder: ObjectId, path: &[u8], removed: &BTreeSet<&[u8]>) -> Result<Option<ObjectId>, GitError> {
        let mut left = Vec::new();
        for mut entry in self.folder(folder, path)? {
            let path = join(path, &entry.name);
            let inside = [path.as_slice(), b"/"].concat();
            if entry.is_folder() {
                if removed.range(inside.as_slice()..).next().is_some_and(|one| one.starts_with(&inside)) {
                    let Some(id) = self.without(entry.id, &path, removed)? else { continue };
                    entry.id = id;
                }
            } else if removed.contains(path.as_slice()) {
                continue;
            }
            left.push(entry);
        }
        if left.is_empty() { Ok(None) } else { self.hash(&written(&left)).map(Some) }
    }

    /// The first folder, of those that `known` has not at the same path, that is not as git writes folders.
    fn unusual(&self, folder: ObjectId, known: Option<ObjectId>, path: &[u8]) -> Result<Option<Vec<u8>>, GitError> {
        if known == Some(folder) {
            return Ok(None);
        }
        let entries = self.folder(folder, path)?;
        let names: BTreeSet<&[u8]> = entries.iter().map(|entry| entry.name.as_slice()).collect();
        let is_usual = names.len() == entries.len()
            && !entries.is_empty()
            && entries.is_sorted_by(|one, next| one.order().lt(next.order()))
            && self.hash(&written(&entries))? == folder;
        if !is_usual {
            return Ok(Some(path.to_vec()));
        }
        let known = known.map_or_else(|| Ok(Vec::new()), |known| self.folder(known, path))?;
        for entry in entries.iter().filter(|entry| entry.is_folder()) {
            let before = known.iter().find(|known| known.name == entry.name && known.is_folder());
            let path = join(path, &entry.name);
            if let Some(found) = self.unusual(entry.id, before.map(|before| before.id), &path)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn hash(&self, tree: &[u8]) -> Result<ObjectId, GitError> {
        let hashed = gix::objs::compute_hash(self.format(), Kind::Tree, tree);
        hashed.map_err(|error| GitError::unreadable("a tree without files", error))
    }

    fn change(&self, before: Option<&Entry>, after: Option<&Entry>, path: &[u8]) -> Option<PathChange> {
        let status = match (before, after) {
            (Some(before), Some(after)) if before == after => return None,
            (Some(before), Some(after)) if before.mode & TYPE == after.mode & TYPE => 'M',
            (Some(_), Some(_)) => 'T',
            (Some(_), None) => 'D',
            (None, _) => 'A',
        };
        let (mode, id) = after.map_or_else(|| (0, self.null_id()), |after| (after.mode, after.id.to_string()));
        Some(PathChange { status, path: text(path), mode, id })
    }
}

impl Git {
    /// The file at a path of a commit or tree; nothing where there is no file (a folder and a gitlink are none).
    ///
    /// A tree that does not exist is an error.
    pub fn read_file(&self, treeish: &str, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        operand::treeish(treeish)?;
        operand::tree_path(path)?;
        let objects = self.objects();
        match objects.entry(objects.root(treeish)?, path)? {
            Some(entry) if entry.mode & TYPE != MODE_GITLINK && !entry.is_folder() => {
                objects.blob(entry.id)?.map(Some).ok_or_else(|| GitError::not_found(entry.id.to_string()))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// The entries of a commit or tree below a folder (or the one file of that name), without their content.
    pub fn list_files(&self, treeish: &str, prefix: Option<&str>) -> Result<Vec<TreeEntry>, GitError> {
        operand::treeish(treeish)?;
        let objects = self.objects();
        let root = objects.root(treeish)?;
        let mut all = Vec::new();
        let Some(prefix) = prefix else {
            objects.below(root, b"", &mut all)?;
            return Ok(all);
        };
        operand::tree_path(prefix)?;
        let path = prefix.trim_end_matches('/');
        match objects.entry(root, path)? {
            Some(entry) if entry.is_folder() => objects.below(entry.id, path.as_bytes(), &mut all)?,
            Some(entry) if path == prefix => all.push(listed(path.as_bytes(), &entry)),
            Some(_) | None => {}
        }
        Ok(all)
    }

    /// The entries of one folder of a commit or tree, in git's order; none where there is no such folder.
    pub fn list_folder(&self, treeish: &str, folder: &str) -> Result<Vec<FolderEntry>, GitError> {
        operand::treeish(treeish)?;
        operand::tree_path(folder)?;
        let objects = self.objects();
        let entry = objects.entry(objects.root(treeish)?, folder.trim_end_matches('/'))?;
        let Some(entry) = entry.filter(Entry::is_folder) else { return Ok(Vec::new()) };
        let entries = objects.tree(entry.id)?.into_iter();
        let shown = |Entry { name, mode, id }: Entry| FolderEntry { name: text(&name), mode, id: id.to_string() };
        Ok(entries.map(shown).collect())
    }

    /// The id of the tree that a commit or tree would be without some files. It is not written.
    pub fn tree_without(&self, treeish: &str, paths: &[&str]) -> Result<TreeId, GitError> {
        operand::treeish(treeish)?;
        let objects = self.objects();
        let removed = paths.iter().map(|path| path.as_bytes()).collect();
        let id = match objects.without(objects.root(treeish)?, b"", &removed)? {
            Some(id) => id,
            None => objects.hash(b"")?,
        };
        Ok(TreeId::try_from(id.to_string()).expect("an object id is 40 or 64 lower-case hexadecimal digits"))
    }

    /// The path of a folder that is not as git writes folders: a name stands there twice, entries are out of order, modes
    /// are written differently, or nothing is in it. Readers do not agree what such a folder holds. Folders that `known`, a
    /// commit or tree, has at the same path are not looked at. The top folder's path is empty.
    pub fn unusual_folder(&self, treeish: &str, known: Option<&str>) -> Result<Option<String>, GitError> {
        operand::treeish(treeish)?;
        let objects = self.objects();
        let known = match known {
            Some(known) => {
                operand::treeish(known)?;
                Some(objects.root(known)?)
            }
            None => None,
        };
        Ok(objects.unusual(objects.root(treeish)?, known, b"")?.map(|path| text(&path)))
    }

    /// The sizes of blobs in bytes, in the order of the ids, without reading them.
    pub fn blob_sizes(&self, ids: &[&str]) -> Result<Vec<u64>, GitError> {
        let objects = self.objects();
        let size = |id: &&str| match objects.header(objects.blob_id(id)?)? {
            Some((Kind::Blob, size)) => Ok(size),
            Some((Kind::Commit | Kind::Tree | Kind::Tag, _)) | None => Err(GitError::not_found(*id)),
        };
        ids.iter().map(size).collect()
    }

    /// The files of a commit or tree below a folder (or the one file of that name), with their content.
    ///
    /// Gitlinks are listed without bytes.
    pub fn read_files(&self, treeish: &str, prefix: Option<&str>) -> Result<Vec<TreeFile>, GitError> {
        let entries = self.list_files(treeish, prefix)?;
        let ids: Vec<&str> =
            entries.iter().filter(|entry| entry.mode != MODE_GITLINK).map(|entry| entry.id.as_str()).collect();
        let mut contents = self.read_blobs(&ids)?.into_iter();
        let files = entries.into_iter().map(|TreeEntry { path, mode, id }| {
            let bytes = if mode == MODE_GITLINK { Vec::new() } else { contents.next().unwrap_or_default() };
            TreeFile { path, mode, id, bytes }
        });
        Ok(files.collect())
    }

    /// The content of blobs, in the order of the ids.
    pub fn read_blobs(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>, GitError> {
        let objects = self.objects();
        let content = |id: &&str| objects.blob(objects.blob_id(id)?)?.ok_or_else(|| GitError::not_found(*id));
        ids.iter().map(content).collect()
    }

    /// Whether a file of a commit or tree holds a text.
    pub fn holds_text(&self, treeish: &str, text: &str) -> Result<bool, GitError> {
        operand::treeish(treeish)?;
        let objects = self.objects();
        let mut files = Vec::new();
        objects.below(objects.root(treeish)?, b"", &mut files)?;
        files.retain(|file| !matches!(file.mode & TYPE, MODE_GITLINK | MODE_SYMLINK));
        for file in files {
            let content = objects.blob(objects.blob_id(&file.id)?)?.ok_or_else(|| GitError::not_found(&file.id))?;
            if gix::bstr::ByteSlice::contains_str(content.as_slice(), text) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The paths that differ between two commits or trees; a rename is a deletion and an addition.
    pub fn diff_names(&self, before: &str, after: &str) -> Result<Vec<PathChange>, GitError> {
        operand::treeish(before)?;
        operand::treeish(after)?;
        let objects = self.objects();
        let roots = [Some(objects.root(before)?), Some(objects.root(after)?)];
        let mut changes = Vec::new();
        objects.differences(roots, b"", &mut changes)?;
        Ok(changes)
    }
}

/// The mode as git writes it today: older trees have other permissions.
fn canonical(mode: u32) -> u32 {
    match mode & TYPE {
        0o100_000 if mode & 0o100 == 0 => MODE_FILE,
        0o100_000 => MODE_EXECUTABLE,
        _ => mode,
    }
}

/// A folder's object as git writes it.
pub(crate) fn written(entries: &[Entry]) -> Vec<u8> {
    let mut data = Vec::new();
    for entry in entries {
        data.extend_from_slice(format!("{:o} ", canonical(entry.mode)).as_bytes());
        data.extend_from_slice(&entry.name);
        data.push(0);
        data.extend_from_slice(entry.id.as_bytes());
    }
    data
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn listed(path: &[u8], entry: &Entry) -> TreeEntry {
    TreeEntry { path: text(path), mode: entry.mode, id: entry.id.to_string() }
}

/// A path as text. A name that is not UTF-8 is no name of ours: it must not keep the others from being read.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
