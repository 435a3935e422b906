use lock_model::{CommitId, Timestamp, TreeId};

use super::answer::{self, BatchObject, batch_header, not_understood, take, take_until};
use super::{Git, GitError, MODE_GITLINK};
use process::Output;

/// What a commit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitFacts {
    /// The commit.
    pub id: CommitId,
    /// Its tree.
    pub tree: TreeId,
    /// Its parents, in order.
    pub parents: Vec<CommitId>,
    /// The author, as `NAME <EMAIL>`.
    pub author: String,
    /// When it was committed.
    pub committer_time: Timestamp,
    /// The first line of the message.
    pub subject: String,
    /// The whole message.
    pub message: String,
}

/// One entry of a tree, without its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeEntry {
    /// The path from the top of the tree.
    pub path: String,
    /// The mode, such as `0o100644`.
    pub mode: u32,
    /// The id of the blob, or of the commit of a gitlink.
    pub id: String,
}

/// One file of a tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeFile {
    /// The path from the top of the tree.
    pub path: String,
    /// The mode, such as `0o100644`.
    pub mode: u32,
    /// The id of the blob, or of the commit of a gitlink.
    pub id: String,
    /// The content; the target of a symbolic link; nothing for a gitlink.
    pub bytes: Vec<u8>,
}

/// A path that differs between two trees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathChange {
    /// `A` added, `D` deleted, `M` modified, `T` became another type.
    pub status: char,
    /// The path.
    pub path: String,
}

impl Git {
    /// The full id of the object that a revision names.
    pub fn rev_parse(&self, revision: &str) -> Result<Option<String>, GitError> {
        revision_operand(revision)?;
        let output = self.run(["rev-parse", "--verify", "--quiet", "--end-of-options", revision])?;
        match output.code {
            Some(0) => Ok(Some(answer::line(&output)?.to_owned())),
            Some(1) => Ok(None),
            // Such as a revision with a `^{commit}` that is no commit.
            Some(128) if output.stderr.is_empty() => Ok(None),
            _ => Err(failed(output)),
        }
    }

    /// What the commit that a revision names says; a tag is followed.
    pub fn commit(&self, revision: &str) -> Result<Option<CommitFacts>, GitError> {
        revision_operand(revision)?;
        let name = format!("{revision}^{{commit}}");
        let output = self.batch(name.as_bytes())?;
        let mut rest = output.stdout.as_slice();
        match batch_header(&mut rest, name.as_bytes(), &output)? {
            BatchObject::Missing => Ok(None),
            BatchObject::Found { id, kind: "commit", size } => {
                let content = take(&mut rest, size).ok_or_else(|| not_understood(&output, "a whole commit"))?;
                parse_commit(id, content).map(Some).ok_or_else(|| not_understood(&output, "a commit object"))
            }
            BatchObject::Found { .. } => Err(not_understood(&output, "a commit")),
        }
    }

    /// Whether `ancestor` is reachable from `descendant`; a commit is its own ancestor.
    pub fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool, GitError> {
        revision_operand(ancestor)?;
        revision_operand(descendant)?;
        let output = self.run(["merge-base", "--is-ancestor", ancestor, descendant])?;
        match output.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(missing_or_failed(output, &[ancestor, descendant])),
        }
    }

    /// The best common ancestor of two commits.
    pub fn merge_base(&self, one: &str, other: &str) -> Result<Option<CommitId>, GitError> {
        revision_operand(one)?;
        revision_operand(other)?;
        let output = self.run(["merge-base", one, other])?;
        match output.code {
            Some(0) => commit_id(answer::line(&output)?, &output).map(Some),
            Some(1) => Ok(None),
            _ => Err(missing_or_failed(output, &[one, other])),
        }
    }

    /// The file at a path of a commit or tree; nothing where there is no file (a folder and a gitlink are none).
    ///
    /// A tree that does not exist is an error.
    pub fn read_file(&self, treeish: &str, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        tree_operand(treeish)?;
        path_operand(path)?;
        let tree = format!("{treeish}^{{tree}}");
        let blob = format!("{treeish}:{path}");
        let input = format!("info {tree}\0contents {blob}\0");
        let output = self.invocation(["cat-file", "--batch-command", "-z"]).stdin(input).run()?.checked()?;
        let mut rest = output.stdout.as_slice();
        if let BatchObject::Missing = batch_header(&mut rest, tree.as_bytes(), &output)? {
            return Err(GitError::NotFound { what: treeish.to_owned() });
        }
        match batch_header(&mut rest, blob.as_bytes(), &output)? {
            BatchObject::Found { kind: "blob", size, .. } => {
                let content = take(&mut rest, size).ok_or_else(|| not_understood(&output, "a whole file"))?;
                Ok(Some(content.to_vec()))
            }
            BatchObject::Missing | BatchObject::Found { .. } => Ok(None),
        }
    }

    /// The entries of a commit or tree below a folder (or the one file of that name), without their content.
    pub fn list_files(&self, treeish: &str, prefix: Option<&str>) -> Result<Vec<TreeEntry>, GitError> {
        tree_operand(treeish)?;
        let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", treeish];
        if let Some(prefix) = prefix {
            path_operand(prefix)?;
            arguments.extend(["--", prefix]);
        }
        let output = self.run(&arguments)?;
        if !output.success() {
            return Err(missing_or_failed(output, &[treeish]));
        }
        let mut entries = Vec::new();
        let mut rest = output.stdout.as_slice();
        while !rest.is_empty() {
            let entry = take_until(&mut rest, 0).and_then(parse_entry);
            let (mode, id, path) = entry.ok_or_else(|| not_understood(&output, "`MODE TYPE ID<tab>PATH`"))?;
            let path = answer::text(path, &output)?;
            entries.push(TreeEntry { path: path.to_owned(), mode, id: id.to_owned() });
        }
        Ok(entries)
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
        let mut input = String::with_capacity(ids.len() * 41);
        for id in ids {
            revision_operand(id)?;
            input.push_str(id);
            input.push('\n');
        }
        let output = self.invocation(["cat-file", "--batch"]).stdin(input).run()?.checked()?;
        let mut rest = output.stdout.as_slice();
        let mut contents = Vec::with_capacity(ids.len());
        for id in ids {
            match batch_header(&mut rest, id.as_bytes(), &output)? {
                BatchObject::Found { size, kind: "blob", .. } => {
                    let content = take(&mut rest, size).ok_or_else(|| not_understood(&output, "a whole file"))?;
                    contents.push(content.to_vec());
                    take(&mut rest, 1);
                }
                BatchObject::Missing | BatchObject::Found { .. } => {
                    return Err(GitError::NotFound { what: (*id).to_owned() });
                }
            }
        }
        Ok(contents)
    }

    /// The paths that differ between two commits or trees; a rename is a deletion and an addition.
    pub fn diff_names(&self, before: &str, after: &str) -> Result<Vec<PathChange>, GitError> {
        tree_operand(before)?;
        tree_operand(after)?;
        // Git would leave out what the work tree's `.gitmodules` tells it to ignore, and fail where that file is hostile.
        let all = ["--no-renames", "--no-ext-diff", "--ignore-submodules=none"];
        let arguments = ["diff-tree", "-r", "-z", "--name-status"].into_iter().chain(all).chain([before, after]);
        let output = self.run(arguments)?;
        if !output.success() {
            return Err(missing_or_failed(output, &[before, after]));
        }
        let mut changes = Vec::new();
        let mut rest = output.stdout.as_slice();
        while !rest.is_empty() {
            let (Some([status, ..]), Some(path)) = (take_until(&mut rest, 0), take_until(&mut rest, 0)) else {
                return Err(not_understood(&output, "status and path"));
            };
            let path = answer::text(path, &output)?.to_owned();
            changes.push(PathChange { status: char::from(*status), path });
        }
        Ok(changes)
    }

    /// The commits of a range, newest first; `arguments` as `git rev-list` takes them, such as
    /// `["--first-parent", "A..B"]`.
    pub fn rev_list(&self, arguments: &[&str]) -> Result<Vec<CommitId>, GitError> {
        let mut all = vec!["rev-list"];
        all.extend(arguments);
        let output = self.run(all)?;
        if !output.success() {
            return Err(missing_or_failed(output, arguments));
        }
        answer::line(&output)?.lines().map(|line| commit_id(line, &output)).collect()
    }

    fn batch(&self, name: &[u8]) -> Result<Output, GitError> {
        let mut input = name.to_vec();
        input.push(b'\n');
        Ok(self.invocation(["cat-file", "--batch"]).stdin(input).run()?.checked()?)
    }
}

pub(super) fn commit_id(text: &str, output: &Output) -> Result<CommitId, GitError> {
    CommitId::try_from(text).map_err(|_| not_understood(output, "a commit id"))
}

pub(super) fn tree_id(text: &str, output: &Output) -> Result<TreeId, GitError> {
    TreeId::try_from(text).map_err(|_| not_understood(output, "a tree id"))
}

/// A revision that cannot pass for an option or for several lines.
pub(super) fn revision_operand(revision: &str) -> Result<(), GitError> {
    if revision.is_empty() || revision.starts_with('-') || revision.contains(char::is_control) {
        return Err(operand("a revision", revision));
    }
    Ok(())
}

/// A revision that a path can follow.
pub(super) fn tree_operand(treeish: &str) -> Result<(), GitError> {
    revision_operand(treeish)?;
    if treeish.contains([':', '?', '*', '[']) {
        return Err(operand("a tree", treeish));
    }
    Ok(())
}

/// A path from the top of a tree.
pub(super) fn path_operand(path: &str) -> Result<(), GitError> {
    let bad = |segment: &str| matches!(segment, "." | ".." | "");
    if path.contains('\0') || path.trim_end_matches('/').split('/').any(bad) {
        return Err(operand("a path in a tree", path));
    }
    Ok(())
}

pub(super) fn operand(what: &'static str, value: &str) -> GitError {
    GitError::Operand { what, value: lock_model::escaping::escape_short(value, 200) }
}

pub(super) fn failed(output: Output) -> GitError {
    match output.checked() {
        Err(error) => error.into(),
        Ok(output) => not_understood(&output, "a failure"),
    }
}

/// Tells "no such revision" from other failures.
pub(super) fn missing_or_failed(output: Output, revisions: &[&str]) -> GitError {
    const SAID: [&str; 9] = [
        "malformed object name",
        "no such commit",
        "Not a valid",
        "not a tree object",
        "bad object",
        "unknown revision",
        "bad revision",
        "not a valid object",
        "not something we can merge",
    ];
    let said = output.stderr_text();
    if SAID.iter().any(|words| said.contains(words)) {
        let named: Vec<&str> = revisions.iter().copied().filter(|revision| said.contains(revision)).collect();
        let what = if named.is_empty() { revisions.join(", ") } else { named.join(", ") };
        return GitError::NotFound { what };
    }
    failed(output)
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

fn parse_commit(id: &str, content: &[u8]) -> Option<CommitFacts> {
    let text = String::from_utf8_lossy(content);
    let (headers, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut tree = None;
    let mut parents = Vec::new();
    let mut author = String::new();
    let mut committer_time = None;
    for line in headers.lines() {
        match line.split_once(' ') {
            Some(("tree", value)) => tree = TreeId::try_from(value).ok(),
            Some(("parent", value)) => parents.push(CommitId::try_from(value).ok()?),
            Some(("author", value)) => value.rsplitn(3, ' ').nth(2)?.clone_into(&mut author),
            Some(("committer", value)) => {
                let seconds = value.rsplit(' ').nth(1)?.parse().ok()?;
                committer_time = Some(Timestamp::from_unix_seconds(seconds));
            }
            _ => {}
        }
    }
    Some(CommitFacts {
        id: CommitId::try_from(id).ok()?,
        tree: tree?,
        parents,
        author,
        committer_time: committer_time?,
        subject: message.lines().next().unwrap_or_default().to_owned(),
        message: message.to_owned(),
    })
}
