//! Follows paths inside one tree, through symbolic links, never out of it.

use std::collections::{BTreeMap, VecDeque};

use gix::bstr::{BStr, ByteSlice as _};
use gix::hash::ObjectId;

use crate::ReadError;
use crate::objects::{Entry, EntryKind, Reader};

const MOST_HOPS: usize = 40;
const LONGEST_TARGET: u64 = 4096;

/// Looks up entries of one tree, and remembers the folders that it read.
pub(crate) struct Lookup<'a> {
    reader: &'a Reader,
    root: ObjectId,
    folders: BTreeMap<ObjectId, Vec<Entry>>,
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) enum Leads {
    /// To a file, which lies at this path.
    ToFile(String, Entry),
    /// Elsewhere; the text is read after "leads".
    Elsewhere(&'static str),
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(reader: &'a Reader, root: ObjectId) -> Self {
        Self { reader, root, folders: BTreeMap::new() }
    }

    pub(crate) fn folder(&mut self, id: ObjectId) -> Result<&[Entry], ReadError> {
        if !self.folders.contains_key(&id) {
            self.folders.insert(id, self.reader.tree(id)?);
        }
        Ok(self.folders.get(&id).map_or(&[], Vec::as_slice))
    }

    /// The entry at a path, without following links. The first of two entries with one name.
    pub(crate) fn entry(&mut self, path: &str) -> Result<Option<Entry>, ReadError> {
        let mut folder = self.root;
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            let found = self.folder(folder)?.iter().find(|entry| entry.name == segment).cloned();
            match found {
                Some(entry) if segments.peek().is_none() => return Ok(Some(entry)),
                Some(entry) if entry.kind() == EntryKind::Folder => folder = entry.id,
                Some(_) | None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Follows the links of a path to the end.
    pub(crate) fn follow(&mut self, path: &str) -> Result<Leads, ReadError> {
        let mut at: Vec<String> = Vec::new();
        let mut pending: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let mut hops = 0;
        while let Some(segment) = pending.pop_front() {
            match segment.as_str() {
                "" | "." => continue,
                ".." => {
                    if at.pop().is_none() {
                        return Ok(Leads::Elsewhere("out of the tree"));
                    }
                    continue;
                }
                _ => at.push(segment),
            }
            let here = at.join("/");
            let Some(entry) = self.entry(&here)? else { return Ok(Leads::Elsewhere("nowhere")) };
            match entry.kind() {
                EntryKind::Folder => {}
                EntryKind::Gitlink => return Ok(Leads::Elsewhere("into a submodule")),
                EntryKind::File if pending.iter().all(|segment| segment == ".") => {
                    return Ok(Leads::ToFile(here, entry));
                }
                EntryKind::File => return Ok(Leads::Elsewhere("nowhere")),
                EntryKind::Link => {
                    hops += 1;
                    if hops > MOST_HOPS {
                        return Ok(Leads::Elsewhere("in a circle"));
                    }
                    if self.reader.blob_size(entry.id)? > LONGEST_TARGET {
                        return Ok(Leads::Elsewhere("nowhere"));
                    }
                    let target = self.reader.blob(entry.id)?;
                    let Some(target) = plain_target(target.as_bstr()) else {
                        return Ok(Leads::Elsewhere("out of the tree"));
                    };
                    at.pop();
                    for segment in target.split('/').rev() {
                        pending.push_front(segment.to_owned());
                    }
                }
            }
        }
        Ok(Leads::Elsewhere("to a folder"))
    }
}

/// A relative target in text; anything else leaves the tree on some system.
fn plain_target(target: &BStr) -> Option<&str> {
    let target = std::str::from_utf8(target).ok()?;
    let bad = target.is_empty() || target.starts_with('/') || target.contains(|c: char| c.is_control() || c == '\\');
    (!bad).then_some(target)
}
