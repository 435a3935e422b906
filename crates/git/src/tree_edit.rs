//! Changes of a tree in memory; only folders that a change lies in are read.

use std::collections::BTreeMap;

use gix::hash::ObjectId;
use gix::objs::Kind;

use crate::pack::Pack;
use crate::reader::{Entry, Objects};
use crate::tree_reads::written;
use crate::{GitError, MODE_FOLDER};

/// A folder that is about to be written.
#[derive(Default)]
pub(crate) struct EditedFolder(BTreeMap<Vec<u8>, Node>);

enum Node {
    /// As it is: the mode and the id of an entry.
    Kept(u32, ObjectId),
    Edited(EditedFolder),
}

impl EditedFolder {
    pub(crate) fn read(objects: &Objects<'_>, id: ObjectId) -> Result<Self, GitError> {
        let entries = objects.tree(id)?.into_iter();
        Ok(Self(entries.map(|entry| (entry.name, Node::Kept(entry.mode, entry.id))).collect()))
    }

    /// Writes an entry at a path, in the place of all that stands in its way.
    pub(crate) fn put(&mut self, objects: &Objects<'_>, path: &str, mode: u32, id: ObjectId) -> Result<(), GitError> {
        let Some((folder, rest)) = path.split_once('/') else {
            self.0.insert(path.as_bytes().to_vec(), Node::Kept(mode, id));
            return Ok(());
        };
        if self.folder(objects, folder)?.is_none() {
            self.0.insert(folder.as_bytes().to_vec(), Node::Edited(Self::default()));
        }
        match self.folder(objects, folder)? {
            Some(inner) => inner.put(objects, rest, mode, id),
            None => Ok(()),
        }
    }

    /// Removes what is no folder at a path, where there is such a thing.
    pub(crate) fn remove(&mut self, objects: &Objects<'_>, path: &str) -> Result<(), GitError> {
        if let Some((folder, rest)) = path.split_once('/') {
            return match self.folder(objects, folder)? {
                Some(inner) => inner.remove(objects, rest),
                None => Ok(()),
            };
        }
        let is_file = |node: &Node| matches!(node, Node::Kept(mode, _) if *mode != MODE_FOLDER);
        if self.0.get(path.as_bytes()).is_some_and(is_file) {
            self.0.remove(path.as_bytes());
        }
        Ok(())
    }

    /// A folder in this one, which is read; `None` where there is none.
    fn folder(&mut self, objects: &Objects<'_>, name: &str) -> Result<Option<&mut Self>, GitError> {
        let Some(node) = self.0.get_mut(name.as_bytes()) else { return Ok(None) };
        if let Node::Kept(mode, id) = *node {
            if mode != MODE_FOLDER {
                return Ok(None);
            }
            *node = Node::Edited(Self::read(objects, id)?);
        }
        match node {
            Node::Edited(inner) => Ok(Some(inner)),
            Node::Kept(..) => Ok(None),
        }
    }

    /// Adds this folder and all within it that were edited; `None` where it holds nothing, which git has no folder for.
    pub(crate) fn add_to(self, pack: &mut Pack) -> Result<Option<ObjectId>, GitError> {
        let mut entries = Vec::new();
        for (name, node) in self.0 {
            match node {
                Node::Kept(mode, id) => entries.push(Entry { name, mode, id }),
                Node::Edited(inner) => {
                    if let Some(id) = inner.add_to(pack)? {
                        entries.push(Entry { name, mode: MODE_FOLDER, id });
                    }
                }
            }
        }
        if entries.is_empty() {
            return Ok(None);
        }
        entries.sort_by(|one, other| one.order().cmp(other.order()));
        pack.add(Kind::Tree, &written(&entries)).map(Some)
    }
}
