use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::output::{self, take_until, unexpected};
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
    /// The paths of the gitlinks in the index, from the top of the work tree, with U+FFFD for what is not UTF-8; none in a
    /// bare repository.
    pub fn index_gitlinks(&self) -> Result<Vec<String>, GitError> {
        let Some(top) = self.work_tree() else { return Ok(Vec::new()) };
        let output = self.start(["ls-files", "--stage", "-z"])?.current_dir(top).run()?.checked()?;
        let entries = output.stdout.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        // `MODE ID STAGE<tab>PATH`
        let gitlinks = entries.filter(|entry| entry.starts_with(b"160000 "));
        let path = |entry: &[u8]| {
            let tab = entry.iter().position(|byte| *byte == b'\t')?;
            Some(String::from_utf8_lossy(entry.get(tab + 1..)?).into_owned())
        };
        Ok(gitlinks.filter_map(path).collect())
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
            .start([elsewhere.as_os_str()])?
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
