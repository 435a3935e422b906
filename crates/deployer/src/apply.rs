//! Storing a rendered tree: one commit on the environment's branch, then the folder.

use std::path::PathBuf;

use git::{ABSENT, CommitIdentity, Git, GitError, MODE_EXECUTABLE, MODE_FILE, PushOutcome, TreeChange};
use lock_model::{CommitId, ErrorClass};

use crate::folder::{self, FolderError};
use crate::plan::Plan;
use crate::tree::RenderedTree;

/// Where an environment's rendered tree is stored.
#[derive(Clone, Debug)]
pub struct RenderTarget<'a> {
    /// The repository that new objects are written to, and from which they are pushed.
    pub git: &'a Git,
    /// The repository that has the branch, as git takes it: a URL or a path.
    pub remote: &'a str,
    /// Name of the branch, without `refs/heads/`.
    pub branch: &'a str,
    /// A folder that gets the same files.
    pub folder: Option<RenderFolder>,
}

/// A folder below a trusted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderFolder {
    /// The folder that is taken as it is: the top of a work tree.
    pub top: PathBuf,
    /// The way from there, `/`-separated. No part of it may be a symbolic link.
    pub path: String,
}

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Applied {
    /// The commit that holds the tree.
    pub commit: CommitId,
    /// What happened to the branch.
    pub branch: BranchChange,
    /// What happened to the folder; none without one.
    pub folder: Option<FolderChange>,
}

/// What happened to the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchChange {
    /// A commit was pushed.
    Pushed,
    /// It held these files already.
    Unchanged,
}

/// What happened to the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderChange {
    /// It was swapped for a new one.
    Swapped,
    /// It held these files already.
    Unchanged,
}

/// Why a tree could not be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The branch is not where it was when the plan was made.
    #[error("branch `{branch}` moved from {} to {}", shown_commit(expected.as_ref()), shown_commit(actual.as_ref()))]
    Moved {
        /// The branch.
        branch: String,
        /// Where the plan expects it.
        expected: Option<CommitId>,
        /// Where it was found, where that is known.
        actual: Option<CommitId>,
    },
    /// The remote took nothing.
    #[error("push to branch `{branch}` was refused: {message}")]
    Refused {
        /// The branch.
        branch: String,
        /// What the remote said.
        message: String,
    },
    /// Git could not answer.
    #[error("branch `{branch}` cannot be read or written")]
    Git {
        /// The branch.
        branch: String,
        /// Git's reason.
        source: Box<GitError>,
    },
    /// The branch is stored, but the folder could not be swapped.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl ApplyError {
    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Moved { .. } => ErrorClass::Temporary,
            Self::Refused { .. } => ErrorClass::Denied,
            Self::Git { source, .. } => source.class(),
            Self::Folder(error) => error.class(),
        }
    }
}

fn shown_commit(commit: Option<&CommitId>) -> &str {
    commit.map_or("nothing", |commit| commit.short(12))
}

impl RenderTarget<'_> {
    fn full_name(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    fn failed(&self, source: GitError) -> ApplyError {
        ApplyError::Git { branch: self.branch.to_owned(), source: Box::new(source) }
    }

    fn head(&self) -> Result<Option<CommitId>, ApplyError> {
        let name = self.full_name();
        let references = self.git.ls_remote(self.remote, &[&name]).map_err(|error| self.failed(error))?;
        // The pattern also matches the end of longer names.
        let id = references.into_iter().find(|reference| reference.name == name).map(|reference| reference.id);
        id.map(|id| {
            CommitId::try_from(id.as_str()).map_err(|_| {
                self.failed(GitError::Operand { what: "a commit", value: lock_model::escaping::escape_terminal(&id) })
            })
        })
        .transpose()
    }
}

/// Reads what the branch holds now; nothing where there is no branch.
pub fn read_stored(target: &RenderTarget<'_>) -> Result<Option<RenderedTree>, ApplyError> {
    let failed = |error| target.failed(error);
    let Some(head) = target.head()? else { return Ok(None) };
    if target.git.commit(head.as_str()).map_err(failed)?.is_none() {
        target.git.fetch(target.remote, &[&target.full_name()], None).map_err(failed)?;
    }
    let mut tree = RenderedTree { commit: Some(head.clone()), ..RenderedTree::default() };
    for file in target.git.read_files(head.as_str(), None).map_err(failed)? {
        if matches!(file.mode, MODE_FILE | MODE_EXECUTABLE) {
            tree.files.insert(file.path, file.bytes);
        } else {
            tree.irregular.push(file.path);
        }
    }
    tree.irregular.sort();
    Ok(Some(tree))
}

/// Stores a plan: the branch with one commit, expected to be where the plan saw it, and then the folder.
///
/// The same plan again pushes nothing. Killed at any point, the branch and the folder each hold the old tree or the
/// new one, and the next call finishes the work.
pub fn apply(
    plan: &Plan,
    target: &RenderTarget<'_>,
    identity: &CommitIdentity,
    message: &str,
) -> Result<Applied, ApplyError> {
    let (commit, branch) = store_branch(plan, target, identity, message)?;
    let folder = match &target.folder {
        None => None,
        Some(folder) if folder::swap(folder, &plan.files)? => Some(FolderChange::Swapped),
        Some(_) => Some(FolderChange::Unchanged),
    };
    Ok(Applied { commit, branch, folder })
}

fn store_branch(
    plan: &Plan,
    target: &RenderTarget<'_>,
    identity: &CommitIdentity,
    message: &str,
) -> Result<(CommitId, BranchChange), ApplyError> {
    let failed = |error| target.failed(error);
    let stored = read_stored(target)?;
    let head = stored.as_ref().and_then(|tree| tree.commit.clone());
    if let (Some(head), Some(stored)) = (&head, &stored)
        && stored.files == plan.files
        && stored.irregular.is_empty()
    {
        return Ok((head.clone(), BranchChange::Unchanged));
    }
    if head != plan.base {
        let branch = target.branch.to_owned();
        return Err(ApplyError::Moved { branch, expected: plan.base.clone(), actual: head });
    }
    let changes: Vec<TreeChange> = plan
        .files
        .iter()
        .map(|(path, bytes)| TreeChange::Write { path: path.clone(), mode: MODE_FILE, bytes: bytes.clone() })
        .collect();
    let tree = target.git.write_tree(None, &changes).map_err(failed)?;
    let parents: Vec<CommitId> = head.iter().cloned().collect();
    let commit = target.git.commit_tree(&tree, &parents, message, identity).map_err(failed)?;
    let expected = head.as_ref().map_or(ABSENT, CommitId::as_str);
    match target.git.push(target.remote, commit.as_str(), &target.full_name(), Some(expected)) {
        Ok(PushOutcome::Done) => Ok((commit, BranchChange::Pushed)),
        Ok(PushOutcome::Moved) => {
            let actual = target.head().ok().flatten();
            Err(ApplyError::Moved { branch: target.branch.to_owned(), expected: head, actual })
        }
        Ok(PushOutcome::Refused { message }) => Err(ApplyError::Refused { branch: target.branch.to_owned(), message }),
        // An answer that was lost says nothing: the branch knows whether the push arrived.
        Err(error) => match target.head() {
            Ok(Some(head)) if head == commit => Ok((commit, BranchChange::Pushed)),
            Ok(_) | Err(_) => Err(failed(error)),
        },
    }
}
