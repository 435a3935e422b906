use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::output::{self, BatchObject, batch_header, failed, take, take_until, unexpected};
use crate::{Git, GitError, operand};

/// The mode of a gitlink in a tree: the commit of a submodule.
pub const MODE_GITLINK: u32 = 0o160_000;
/// The mode of a symbolic link in a tree.
pub const MODE_SYMLINK: u32 = 0o120_000;
/// The mode of an executable file in a tree.
pub const MODE_EXECUTABLE: u32 = 0o100_755;
/// The mode of a folder in a tree.
pub const MODE_FOLDER: u32 = 0o040_000;
/// The mode of a plain file in a tree.
pub const MODE_FILE: u32 = 0o100_644;

/// One entry of a tree that is not a folder, without its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct TreeEntry {
    /// The path from the top of the tree, with U+FFFD for what is not UTF-8.
    pub path: String,
    /// One of [`MODE_FILE`], [`MODE_EXECUTABLE`], [`MODE_SYMLINK`] and [`MODE_GITLINK`].
    pub mode: u32,
    /// The id of the blob, or of the commit of a gitlink.
    pub id: String,
}

/// One entry of a tree, with its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct TreeFile {
    /// The path from the top of the tree.
    pub path: String,
    /// One of [`MODE_FILE`], [`MODE_EXECUTABLE`], [`MODE_SYMLINK`] and [`MODE_GITLINK`].
    pub mode: u32,
    /// The id of the blob, or of the commit of a gitlink.
    pub id: String,
    /// The content; the target of a symbolic link; empty for a gitlink.
    pub bytes: Vec<u8>,
}

/// A path that differs between two trees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct PathChange {
    /// `A` added, `D` deleted, `M` modified, `T` changed its type, such as from a file to a link.
    pub status: char,
    /// The path from the top of the tree, with U+FFFD for what is not UTF-8.
    pub path: String,
    /// The mode afterwards; 0 for what is deleted.
    pub mode: u32,
    /// The id of the blob, or of the commit of a gitlink, afterwards; zeros for what is deleted.
    pub id: String,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct FolderEntry {
    /// The name, without the folder.
    pub name: String,
    /// [`MODE_FOLDER`] or one of the modes of a [`TreeEntry`].
    pub mode: u32,
    /// The id of the tree, the blob, or the commit of a gitlink.
    pub id: String,
}

/// How many lines differ between two versions of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineCount {
    /// Lines that only the later version has.
    pub added: u64,
    /// Lines that only the earlier version has.
    pub removed: u64,
}

impl Git {
    /// The file at a path of a commit or tree; nothing where there is no file (a folder and a gitlink are none).
    ///
    /// A tree that does not exist is an error.
    pub fn read_file(&self, treeish: &str, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        operand::treeish(treeish)?;
        operand::tree_path(path)?;
        let tree = format!("{treeish}^{{tree}}");
        let blob = format!("{treeish}:{path}");
        let input = format!("info {tree}\0contents {blob}\0");
        let output = self.invocation(["cat-file", "--batch-command", "-z"]).stdin(input).run()?.checked()?;
        let mut rest = output.stdout.as_slice();
        if let BatchObject::Missing = batch_header(&mut rest, tree.as_bytes(), &output)? {
            return Err(GitError::not_found(treeish));
        }
        match batch_header(&mut rest, blob.as_bytes(), &output)? {
            BatchObject::Found { kind: "blob", size, .. } => {
                let content = take(&mut rest, size).ok_or_else(|| unexpected(&output, "a whole file"))?;
                Ok(Some(content.to_vec()))
            }
            BatchObject::Missing | BatchObject::Found { .. } => Ok(None),
        }
    }

    /// Whether a file of a commit or tree holds a text. The text has one line.
    pub fn holds_text(&self, treeish: &str, text: &str) -> Result<bool, GitError> {
        operand::treeish(treeish)?;
        // By standard input: every user of the machine can read a program's arguments.
        let invocation = self.invocation(["grep", "--quiet", "--fixed-strings", "-f", "-", treeish]);
        let output = invocation.stdin(text).run()?;
        match output.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(failed(output)),
        }
    }

    /// The entries of a commit or tree below a folder (or the one file of that name), without their content.
    pub fn list_files(&self, treeish: &str, prefix: Option<&str>) -> Result<Vec<TreeEntry>, GitError> {
        operand::treeish(treeish)?;
        let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", treeish];
        if let Some(prefix) = prefix {
            operand::tree_path(prefix)?;
            arguments.extend(["--", prefix]);
        }
        let output = output::checked(self.run(&arguments)?, &[treeish])?;
        let mut entries = Vec::new();
        let mut rest = output.stdout.as_slice();
        while !rest.is_empty() {
            let entry = take_until(&mut rest, 0).and_then(parse_entry);
            let (mode, id, path) = entry.ok_or_else(|| unexpected(&output, "`MODE TYPE ID<tab>PATH`"))?;
            entries.push(TreeEntry { path: path_of(path), mode, id: id.to_owned() });
        }
        Ok(entries)
    }

    /// The entries of one folder of a commit or tree, in git's order; none where there is no such folder.
    pub fn list_folder(&self, treeish: &str, folder: &str) -> Result<Vec<FolderEntry>, GitError> {
        operand::treeish(treeish)?;
        operand::tree_path(folder)?;
        let folder = format!("{}/", folder.trim_end_matches('/'));
        let arguments = ["ls-tree", "-z", "--full-tree", treeish, "--", &folder];
        let output = output::checked(self.run(arguments)?, &[treeish])?;
        let mut entries = Vec::new();
        let mut rest = output.stdout.as_slice();
        while !rest.is_empty() {
            let entry = take_until(&mut rest, 0).and_then(parse_entry);
            let (mode, id, path) = entry.ok_or_else(|| unexpected(&output, "`MODE TYPE ID<tab>PATH`"))?;
            let name = path.strip_prefix(folder.as_bytes());
            let name = path_of(name.ok_or_else(|| unexpected(&output, "entries of the folder"))?);
            entries.push(FolderEntry { name, mode, id: id.to_owned() });
        }
        Ok(entries)
    }

    /// The sizes of blobs in bytes, in the order of the ids, without reading them. One child, none without ids.
    pub fn blob_sizes(&self, ids: &[&str]) -> Result<Vec<u64>, GitError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        ids.iter().try_for_each(|id| operand::revision(id))?;
        let input = ids.join("\n") + "\n";
        let output = self.invocation(["cat-file", "--batch-check"]).stdin(input).run()?.checked()?;
        let mut rest = output.stdout.as_slice();
        let mut sizes = Vec::with_capacity(ids.len());
        for id in ids {
            match batch_header(&mut rest, id.as_bytes(), &output)? {
                BatchObject::Found { size, kind: "blob", .. } => sizes.push(size as u64),
                BatchObject::Missing | BatchObject::Found { .. } => return Err(GitError::not_found(*id)),
            }
        }
        Ok(sizes)
    }

    /// The files of a commit or tree below a folder (or the one file of that name), with their content.
    ///
    /// Gitlinks are listed without bytes. Two children, however many files there are.
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

    /// The content of blobs, in the order of the ids. One child, none where there is nothing to read.
    pub fn read_blobs(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>, GitError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        ids.iter().try_for_each(|id| operand::revision(id))?;
        let output = self.batch(&(ids.join("\n") + "\n"))?;
        let mut rest = output.stdout.as_slice();
        let mut contents = Vec::with_capacity(ids.len());
        for id in ids {
            match batch_header(&mut rest, id.as_bytes(), &output)? {
                BatchObject::Found { size, kind: "blob", .. } => {
                    let content = take(&mut rest, size).ok_or_else(|| unexpected(&output, "a whole file"))?;
                    contents.push(content.to_vec());
                    take(&mut rest, 1);
                }
                BatchObject::Missing | BatchObject::Found { .. } => {
                    return Err(GitError::not_found(*id));
                }
            }
        }
        Ok(contents)
    }

    /// The paths that differ between two commits or trees; a rename is a deletion and an addition.
    pub fn diff_names(&self, before: &str, after: &str) -> Result<Vec<PathChange>, GitError> {
        operand::treeish(before)?;
        operand::treeish(after)?;
        // Git would leave out what the work tree's `.gitmodules` tells it to ignore, and fail where that file is hostile.
        let all = ["--no-renames", "--no-ext-diff", "--ignore-submodules=none"];
        let arguments = ["diff-tree", "-r", "-z", "--raw"].into_iter().chain(all).chain([before, after]);
        let output = output::checked(self.run(arguments)?, &[before, after])?;
        let mut changes = Vec::new();
        let mut rest = output.stdout.as_slice();
        while !rest.is_empty() {
            let facts = take_until(&mut rest, 0).and_then(parse_change);
            let (Some((mode, id, status)), Some(path)) = (facts, take_until(&mut rest, 0)) else {
                return Err(unexpected(&output, "modes, ids, status and path"));
            };
            changes.push(PathChange { status, path: path_of(path), mode, id: id.to_owned() });
        }
        Ok(changes)
    }

    /// Counts the lines that differ between two commits or trees in those of the paths that differ; `None` for a file that is
    /// binary by its first bytes. No attribute of a work tree, an index or the trees is asked.
    pub fn count_lines(
        &self,
        before: &str,
        after: &str,
        paths: &[&str],
    ) -> Result<BTreeMap<String, Option<LineCount>>, GitError> {
        operand::treeish(before)?;
        operand::treeish(after)?;
        paths.iter().try_for_each(|path| operand::tree_path(path))?;
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut elsewhere = OsString::from("--work-tree=");
        elsewhere.push(self.git_dir());
        let output = self
            .invocation([elsewhere.as_os_str()])
            .current_dir(self.git_dir())
            .env("GIT_INDEX_FILE", self.git_dir().join("no-index"))
            .args(["diff-tree", "-r", "-z", "--numstat", "--diff-algorithm=default"])
            .args(["--no-renames", "--no-ext-diff", "--no-textconv", before, after, "--"])
            .args(paths)
            .run()?;
        let output = output::checked(output, &[before, after])?;
        let mut counts = BTreeMap::new();
        let mut rest = output.stdout.as_slice();
        while !rest.is_empty() {
            let expected = "`ADDED<tab>REMOVED<tab>PATH`";
            let line = take_until(&mut rest, 0).ok_or_else(|| unexpected(&output, expected))?;
            let mut parts = output::text(line, &output)?.splitn(3, '\t');
            let (Some(added), Some(removed), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(unexpected(&output, expected));
            };
            let count = match (added.parse(), removed.parse()) {
                (Ok(added), Ok(removed)) => Some(LineCount { added, removed }),
                _ if added == "-" => None,
                _ => return Err(unexpected(&output, expected)),
            };
            counts.insert(path.to_owned(), count);
        }
        Ok(counts)
    }
}

/// A path as text. A name that is not UTF-8 is no name of ours: it must not keep the others from being read.
fn path_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `MODE TYPE ID<tab>PATH`
fn parse_entry(entry: &[u8]) -> Option<(u32, &str, &[u8])> {
    let tab = entry.iter().position(|&byte| byte == b'\t')?;
    let (facts, path) = entry.split_at(tab);
    let mut facts = std::str::from_utf8(facts).ok()?.split_ascii_whitespace();
    let mode = u32::from_str_radix(facts.next()?, 8).ok()?;
    let _kind = facts.next()?;
    Some((mode, facts.next()?, path.get(1..)?))
}

/// `:OLDMODE NEWMODE OLDID NEWID STATUS`: what comes afterwards.
fn parse_change(facts: &[u8]) -> Option<(u32, &str, char)> {
    let mut facts = std::str::from_utf8(facts).ok()?.split(' ');
    let (_old_mode, mode, _old_id, id) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
    Some((u32::from_str_radix(mode, 8).ok()?, id, facts.next()?.chars().next()?))
}
