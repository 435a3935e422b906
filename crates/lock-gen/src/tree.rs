//! Reads the files of a tree so that they can be written anywhere.

use std::collections::BTreeSet;

use gix::hash::ObjectId;
use lock_model::TreePath;

use crate::finding::{Finding, FindingKind, shown};
use crate::links::{Leads, Lookup};
use crate::objects::{EntryKind, Reader};
use crate::{ContentError, ReadError};

/// One file of a tree; a symbolic link stands for the file that it leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct TreeFile {
    /// The path from the top of the tree.
    pub path: TreePath,
    /// `0o100644` or `0o100755`.
    pub mode: u32,
    /// The content, at most [`ContentLimits::file_bytes`].
    pub bytes: Vec<u8>,
    /// For a symbolic link, the path of the file that it leads to.
    pub link: Option<TreePath>,
}

/// The most that is read of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLimits {
    /// Number of files: 10,000 by default.
    pub files: usize,
    /// Bytes of one file: 16 MiB by default.
    pub file_bytes: u64,
    /// Bytes of all files together: 128 MiB by default.
    pub total_bytes: u64,
}

impl Default for ContentLimits {
    fn default() -> Self {
        Self { files: 10_000, file_bytes: 16 * 1024 * 1024, total_bytes: 128 * 1024 * 1024 }
    }
}

/// What to do with gitlinks among the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gitlinks {
    /// They are not this tree's files: a superproject.
    Skip,
    /// They are files that would be missing: a service with submodules of its own.
    Refuse,
}

/// What may still be read within the limits.
pub(crate) struct Allowance {
    limits: ContentLimits,
    total: u64,
    is_exceeded: bool,
}

impl Allowance {
    pub(crate) fn new(limits: ContentLimits) -> Self {
        Self { limits, total: 0, is_exceeded: false }
    }

    /// Takes the bytes of one more file. It is not read where that is too much, which is said once of all files together.
    pub(crate) fn take(&mut self, path: &[u8], size: u64) -> Result<(), Option<Finding>> {
        let ContentLimits { files: _, file_bytes, total_bytes } = self.limits;
        let finding = |message, hint| Some(Finding::new(FindingKind::TooLarge, path, message, hint));
        if size > file_bytes {
            let message = format!("has {size} bytes, more than the {file_bytes} that are read");
            return Err(finding(message, "keep large files elsewhere"));
        }
        self.total = self.total.saturating_add(size);
        if self.total <= total_bytes {
            return Ok(());
        }
        let is_said = std::mem::replace(&mut self.is_exceeded, true);
        let message = format!("is where the files exceed {total_bytes} bytes together");
        Err(finding(message, "name a smaller folder").filter(|_| !is_said))
    }
}

pub(crate) fn read_file(reader: &Reader, root: ObjectId, path: &TreePath) -> Result<Option<TreeFile>, ContentError> {
    let mut lookup = Lookup::new(reader, root);
    match lookup.entry(path.as_str())?.map(|entry| entry.kind()) {
        Some(EntryKind::File | EntryKind::Link) => {}
        Some(EntryKind::Folder | EntryKind::Gitlink) | None => return Ok(None),
    }
    let files = read_files(reader, root, Some(path), Gitlinks::Skip, ContentLimits::default(), path.as_str())?;
    Ok(files.into_iter().next())
}

/// The files below a folder (or the one file of that name), sorted; none where there is no such folder.
pub(crate) fn read_files(
    reader: &Reader,
    root: ObjectId,
    prefix: Option<&TreePath>,
    gitlinks: Gitlinks,
    limits: ContentLimits,
    what: &str,
) -> Result<Vec<TreeFile>, ContentError> {
    let mut collector = Collector {
        reader,
        lookup: Lookup::new(reader, root),
        gitlinks,
        limits,
        allowance: Allowance::new(limits),
        files: Vec::new(),
        problems: Vec::new(),
    };
    match prefix {
        None => collector.folder("", root)?,
        Some(prefix) => match collector.lookup.entry(prefix.as_str())? {
            None => {}
            Some(entry) if entry.kind() == EntryKind::Folder => collector.folder(prefix.as_str(), entry.id)?,
            Some(entry) => collector.leaf(prefix.as_str(), entry.kind())?,
        },
    }
    let Collector { mut files, mut problems, .. } = collector;
    if problems.is_empty() {
        files.sort();
        Ok(files)
    } else {
        problems.sort();
        Err(ContentError::Unsafe { what: format!("`{what}`"), problems })
    }
}

struct Collector<'a> {
    reader: &'a Reader,
    lookup: Lookup<'a>,
    gitlinks: Gitlinks,
    limits: ContentLimits,
    allowance: Allowance,
    files: Vec<TreeFile>,
    problems: Vec<Finding>,
}

impl Collector<'_> {
    fn problem(&mut self, kind: FindingKind, path: impl AsRef<[u8]>, message: impl Into<String>, hint: &str) {
        self.problems.push(Finding::new(kind, path, message, hint));
    }

    fn folder(&mut self, top: &str, id: ObjectId) -> Result<(), ReadError> {
        let mut folders = vec![(top.to_owned(), id)];
        while let Some((folder, id)) = folders.pop() {
            let mut names = BTreeSet::new();
            for entry in self.lookup.folder(id)?.to_vec() {
                let separator = if folder.is_empty() { "" } else { "/" };
                let path = [folder.as_bytes(), separator.as_bytes(), entry.name.as_slice()].concat();
                if !names.insert(entry.name.to_ascii_lowercase()) {
                    self.problem(
                        FindingKind::Duplicate,
                        &path,
                        "is there twice, or differs from another entry only in capitals",
                        "rename one of the two; on some systems they are one file",
                    );
                    continue;
                }
                // One entry is one name: what a name hides in itself, such as `../x`, is refused with the path.
                let plain = !entry.name.contains(&b'/');
                let path = match String::from_utf8(path) {
                    Ok(path) if plain && TreePath::try_from(path.as_str()).is_ok() => path,
                    Ok(path) => {
                        self.unsafe_path(path.as_bytes());
                        continue;
                    }
                    Err(error) => {
                        self.unsafe_path(error.as_bytes());
                        continue;
                    }
                };
                if entry.kind() == EntryKind::Folder {
                    folders.push((path, entry.id));
                } else {
                    self.leaf(&path, entry.kind())?;
                }
                if self.files.len() > self.limits.files {
                    let message = format!("holds more than {} files", self.limits.files);
                    self.problem(FindingKind::TooLarge, top, message, "name a smaller folder");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn unsafe_path(&mut self, path: &[u8]) {
        self.problem(
            FindingKind::UnsafePath,
            path,
            "is not a path that can be written safely",
            "rename it: UTF-8, no `.git`, no control characters, no backslash, no leading `-`",
        );
    }

    fn leaf(&mut self, path: &str, kind: EntryKind) -> Result<(), ReadError> {
        let Ok(tree_path) = TreePath::try_from(path) else {
            self.unsafe_path(path.as_bytes());
            return Ok(());
        };
        if kind == EntryKind::Gitlink {
            if self.gitlinks == Gitlinks::Refuse {
                self.problem(
                    FindingKind::NestedSubmodule,
                    path,
                    "is a submodule of a submodule, whose files are not read",
                    "keep the files in the service's own repository",
                );
            }
            return Ok(());
        }
        let (target, entry) = match self.lookup.follow(path)? {
            Leads::ToFile(target, entry) => (target, entry),
            Leads::Elsewhere(leads) => {
                self.problem(
                    FindingKind::UnsafeLink,
                    path,
                    format!("is a symbolic link that leads {leads}"),
                    "commit the file itself, or a link to a file of the same repository",
                );
                return Ok(());
            }
        };
        if let Err(finding) = self.allowance.take(path.as_bytes(), self.reader.blob_size(entry.id)?) {
            self.problems.extend(finding);
            return Ok(());
        }
        let link = if target == path {
            None
        } else {
            let link = TreePath::try_from(target.as_str());
            let Ok(link) = link else {
                self.unsafe_path(shown(target.as_bytes()).as_bytes());
                return Ok(());
            };
            Some(link)
        };
        let mode = if entry.mode & 0o111 == 0 { 0o100_644 } else { 0o100_755 };
        self.files.push(TreeFile { path: tree_path, mode, bytes: self.reader.blob(entry.id)?, link });
        Ok(())
    }
}
