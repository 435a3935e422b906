use std::io::Write as _;
use std::path::Path;

use gix::hash::ObjectId;
use gix::objs::Kind;
use lock_model::{CommitId, Timestamp, TreeId};

use crate::output::{self, commit_id, missing_or_failed, tree_id, unexpected};
use crate::pack::Pack;
use crate::tree_edit::EditedFolder;
use crate::{Git, GitError, MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, ObjectFormat, operand};

/// One change of a tree; a later change of the same path wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeChange {
    /// Writes a file, in place of the entry that was there.
    Write {
        /// The path from the top of the tree.
        path: String,
        /// [`MODE_FILE`](crate::MODE_FILE), [`MODE_EXECUTABLE`](crate::MODE_EXECUTABLE) or [`MODE_SYMLINK`](crate::MODE_SYMLINK).
        mode: u32,
        /// The content; the target of a symbolic link.
        bytes: Vec<u8>,
    },
    /// Writes the commit of a submodule.
    Gitlink {
        /// The path from the top of the tree.
        path: String,
        /// The commit; it need not be in this repository.
        commit: CommitId,
    },
    /// Removes a file, where there is one.
    Remove {
        /// The path from the top of the tree.
        path: String,
    },
}

/// The author and committer of a commit, or the tagger of a tag, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitIdentity {
    /// The name, without `<`, `>` and control characters.
    pub name: String,
    /// The e-mail address, likewise.
    pub email: String,
    /// The time, written as UTC.
    pub time: Timestamp,
}

impl Git {
    /// Writes a tree: a base (a commit or tree; the empty tree if none) with changes. Refs and work tree stay.
    pub fn write_tree(&self, base: Option<&str>, changes: &[TreeChange]) -> Result<TreeId, GitError> {
        if let Some(base) = base {
            operand::treeish(base)?;
        }
        check_paths(changes)?;
        let objects = self.common_dir().join("objects");
        let cannot_write = |source| GitError::io(&objects, source);
        // `git prune` removes what starts like this, should this process be killed.
        let scratch =
            tempfile::Builder::new().prefix("tmp_orchestrator_").tempdir_in(&objects).map_err(cannot_write)?;
        let index = scratch.path().join("index");

        let mut blobs = self.write_blobs(changes, scratch.path())?.into_iter();
        let zero = "0".repeat(if self.is_sha256(base)? { 64 } else { 40 });
        let mut input = Vec::new();
        for change in changes {
            match change {
                TreeChange::Write { path, mode, .. } => {
                    let id = blobs.next().unwrap_or_default();
                    write!(input, "{mode:06o} {id}\t{path}\0").map_err(cannot_write)?;
                }
                TreeChange::Gitlink { path, commit } => {
                    write!(input, "{MODE_GITLINK:06o} {commit}\t{path}\0").map_err(cannot_write)?;
                }
                TreeChange::Remove { path } => write!(input, "0 {zero}\t{path}\0").map_err(cannot_write)?,
            }
        }

        if let Some(base) = base {
            let read = self.start(["read-tree", base])?.env("GIT_INDEX_FILE", &index).run()?;
            let _read = output::checked(read, &[base])?;
        }
        if !input.is_empty() {
            let output = self
                .start(["update-index", "--add", "--replace", "-z", "--index-info"])?
                .env("GIT_INDEX_FILE", &index)
                .stdin(input)
                .run()?
                .checked()?;
            if output.stderr_text().contains("Ignoring path") {
                return Err(GitError::operand("a tree", &output.stderr_text()));
            }
        }
        let output = self.start(["write-tree"])?.env("GIT_INDEX_FILE", &index).run()?.checked()?;
        tree_id(output::line(&output)?, &output)
    }

    /// Only removals without a base name need to know; ids are 40 digits but for the newer format.
    fn is_sha256(&self, base: Option<&str>) -> Result<bool, GitError> {
        match base {
            Some(id) if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(true),
            Some(id) if id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(false),
            _ => Ok(self.object_format()? == ObjectFormat::Sha256),
        }
    }

    /// Writes the content of every [`TreeChange::Write`] with one child, and returns the ids in order.
    fn write_blobs(&self, changes: &[TreeChange], scratch: &Path) -> Result<Vec<String>, GitError> {
        let cannot_write = |source| GitError::io(scratch, source);
        let mut names = Vec::new();
        let mut count = 0_usize;
        for change in changes {
            if let TreeChange::Write { bytes, .. } = change {
                let file = scratch.join(format!("blob-{count}"));
                std::fs::write(&file, bytes).map_err(cannot_write)?;
                names.extend_from_slice(file.as_os_str().as_encoded_bytes());
                names.push(b'\n');
                count += 1;
            }
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        let output =
            self.start(["hash-object", "-w", "--no-filters", "--stdin-paths"])?.stdin(names).run()?.checked()?;
        let ids: Vec<String> = output::line(&output)?.lines().map(str::to_owned).collect();
        if ids.len() != count {
            return Err(unexpected(&output, "one id for each file"));
        }
        Ok(ids)
    }

    /// Writes a commit object. Nothing points to it yet.
    pub fn commit_tree(
        &self,
        tree: &TreeId,
        parents: &[CommitId],
        message: &str,
        identity: &CommitIdentity,
    ) -> Result<CommitId, GitError> {
        let mut arguments = vec!["commit-tree", "--no-gpg-sign", "-F", "-"];
        for parent in parents {
            arguments.extend(["-p", parent.as_str()]);
        }
        arguments.push(tree.as_str());
        let mut invocation = self.start(arguments)?.stdin(message);
        let date = identity.date();
        for role in ["AUTHOR", "COMMITTER"] {
            invocation = invocation
                .env(format!("GIT_{role}_NAME"), &identity.name)
                .env(format!("GIT_{role}_EMAIL"), &identity.email)
                .env(format!("GIT_{role}_DATE"), &date);
        }
        let output = invocation.run()?;
        if !output.success() {
            let named: Vec<&str> = std::iter::once(tree.as_str()).chain(parents.iter().map(CommitId::as_str)).collect();
            return Err(missing_or_failed(output, &named));
        }
        commit_id(output::line(&output)?, &output)
    }

    /// Writes a commit of changes on top of another one, or the first one of a history: the same objects as by
    /// [`write_tree`](Self::write_tree) and [`commit_tree`](Self::commit_tree), for plain files by one child instead of five.
    /// `None` where the changes change nothing. Nothing points to the commit yet.
    pub fn commit_changes(
        &self,
        parent: Option<&CommitId>,
        changes: &[TreeChange],
        message: &str,
        identity: &CommitIdentity,
    ) -> Result<Option<CommitId>, GitError> {
        check_paths(changes)?;
        let objects = self.objects();
        let before = parent.map(|parent| objects.root(parent.as_str())).transpose()?;
        let parents: Vec<CommitId> = parent.cloned().into_iter().collect();
        if !changes.iter().all(is_plain_file) || !is_plain_message(message) || !identity.is_plain() {
            let tree = self.write_tree(parent.map(CommitId::as_str), changes)?;
            let is_same = before.is_some() && before == ObjectId::from_hex(tree.as_str().as_bytes()).ok();
            return if is_same { Ok(None) } else { self.commit_tree(&tree, &parents, message, identity).map(Some) };
        }
        let mut pack = Pack::new(objects.format());
        let mut root = match before {
            Some(before) => EditedFolder::read(&objects, before)?,
            None => EditedFolder::default(),
        };
        for change in changes {
            match change {
                TreeChange::Write { path, mode, bytes } => {
                    let id = pack.add(Kind::Blob, bytes)?;
                    root.put(&objects, path, *mode, id)?;
                }
                TreeChange::Remove { path } => root.remove(&objects, path)?,
                TreeChange::Gitlink { path, .. } => return Err(GitError::operand("a file", path)),
            }
        }
        let tree = match root.add_to(&mut pack)? {
            Some(tree) => tree,
            None => pack.add(Kind::Tree, &[])?,
        };
        if before == Some(tree) {
            return Ok(None);
        }
        let commit = pack.add(Kind::Commit, identity.commit(&tree, &parents, message).as_bytes())?;
        let output = self.start(["unpack-objects", "-q"])?.stdin(pack.finish()?).run()?.checked()?;
        if self.objects().header(commit)?.is_none() {
            return Err(unexpected(&output, "the objects of a commit in the repository"));
        }
        commit_id(&commit.to_string(), &output).map(Some)
    }

    /// Writes an annotated tag object and returns its id. Nothing points to it yet.
    pub fn write_tag(
        &self,
        name: &str,
        target: &CommitId,
        message: &str,
        identity: &CommitIdentity,
    ) -> Result<String, GitError> {
        operand::revision(name)?;
        let forbidden = |c: char| c.is_control() || matches!(c, '<' | '>');
        for part in [&identity.name, &identity.email] {
            if part.contains(forbidden) {
                return Err(GitError::operand("a tagger", part));
            }
        }
        let end = if message.ends_with('\n') { "" } else { "\n" };
        let tag = format!(
            "object {target}\ntype commit\ntag {name}\ntagger {} <{}> {}\n\n{message}{end}",
            identity.name,
            identity.email,
            identity.date().trim_start_matches('@'),
        );
        let output = output::checked(self.start(["mktag"])?.stdin(tag).run()?, &[target.as_str()])?;
        output::line(&output).map(str::to_owned)
    }
}

impl CommitIdentity {
    /// Takes name, e-mail address and time.
    pub fn new(name: impl Into<String>, email: impl Into<String>, time: Timestamp) -> Self {
        Self { name: name.into(), email: email.into(), time }
    }

    /// Whether git takes name, address and time over as they are: it leaves out signs that mean something in a commit, and
    /// some at the ends.
    fn is_plain(&self) -> bool {
        let is_crud =
            |c: char| c.is_control() || matches!(c, ' ' | '.' | ',' | ':' | ';' | '<' | '>' | '"' | '\\' | '\'');
        let is_plain = |text: &str| {
            let ends = [text.chars().next(), text.chars().next_back()];
            ends.into_iter().all(|end| end.is_some_and(|end| !is_crud(end)))
                && !text.contains(|c: char| c.is_control() || matches!(c, '<' | '>'))
        };
        is_plain(&self.name) && is_plain(&self.email) && self.time.as_unix_seconds() >= 0
    }

    /// The commit object.
    fn commit(&self, tree: &ObjectId, parents: &[CommitId], message: &str) -> String {
        let parents = parents.iter().map(|parent| format!("parent {parent}\n")).collect::<Vec<_>>().concat();
        let who = format!("{} <{}> {}", self.name, self.email, self.date().trim_start_matches('@'));
        format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{message}")
    }

    /// `@SECONDS +0000`: the `@` keeps small numbers from being taken for a year.
    fn date(&self) -> String {
        format!("@{} +0000", self.time.as_unix_seconds())
    }
}

fn check_paths(changes: &[TreeChange]) -> Result<(), GitError> {
    for change in changes {
        let (TreeChange::Write { path, .. } | TreeChange::Gitlink { path, .. } | TreeChange::Remove { path }) = change;
        operand::tree_path(path)?;
        // NOTE: git only warns and leaves such an entry out.
        if path.split('/').any(lock_model::is_git_folder) {
            return Err(GitError::operand("a path in a tree", path));
        }
    }
    Ok(())
}

/// Whether a change needs no judgement of git, as links and gitlinks do.
fn is_plain_file(change: &TreeChange) -> bool {
    match change {
        TreeChange::Write { path, mode, .. } => matches!(*mode, MODE_FILE | MODE_EXECUTABLE) && !path.ends_with('/'),
        TreeChange::Remove { path } => !path.ends_with('/'),
        TreeChange::Gitlink { .. } => false,
    }
}

/// Whether git takes a message over as it is.
fn is_plain_message(message: &str) -> bool {
    !message.is_empty() && !message.contains('\0')
}
