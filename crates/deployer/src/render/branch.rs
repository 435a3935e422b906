//! The branch that holds a rendered tree: read and written as a whole, one commit a deployment.

use git::{ABSENT, CommitIdentity, Git, GitError, MODE_EXECUTABLE, MODE_FILE, PushOutcome, TreeChange};
use lock_model::{BranchName, CommitId};

use super::detail::{BranchChange, RenderPlan};
use super::tree::RenderedTree;
use crate::applied::{ApplyOptions, SameFiles};
use crate::error::DeployError;

/// Names the deployment in the message of a commit.
const NUMBER_TRAILER: &str = "Deployment: ";

/// A branch of a remote, and the repository that new objects are written to.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) git: Git,
    pub(super) remote: String,
    pub(super) name: BranchName,
}

impl Branch {
    pub(super) fn subject(&self) -> String {
        format!("branch `{}`", self.name)
    }

    fn full_name(&self) -> String {
        format!("refs/heads/{}", self.name)
    }

    fn failed(&self, action: &str) -> impl Fn(GitError) -> DeployError {
        let (subject, action) = (self.subject(), action.to_owned());
        move |error| DeployError::Failed {
            subject: subject.clone(),
            action: action.clone(),
            class: error.class(),
            source: Box::new(error),
        }
    }

    fn moved(&self, expected: Option<&CommitId>, actual: Option<&CommitId>) -> DeployError {
        let short = |commit: Option<&CommitId>| commit.map(|commit| commit.short(12).to_owned());
        DeployError::Moved { subject: self.subject(), expected: short(expected), actual: short(actual) }
    }

    fn head(&self) -> Result<Option<CommitId>, GitError> {
        let head = self.git.remote_ref(&self.remote, &self.full_name())?;
        head.map(|reference| reference.commit()).transpose()
    }

    /// What the branch holds now; nothing where there is no branch.
    pub(super) fn read(&self) -> Result<Option<RenderedTree>, DeployError> {
        let failed = self.failed("read it");
        let Some(head) = self.head().map_err(&failed)? else { return Ok(None) };
        if self.git.commit(head.as_str()).map_err(&failed)?.is_none() {
            self.git.fetch(&self.remote, &[&self.full_name()], None).map_err(self.failed("fetch it"))?;
        }
        let mut tree = RenderedTree { commit: Some(head.clone()), ..RenderedTree::default() };
        for file in self.git.read_files(head.as_str(), None).map_err(&failed)? {
            if matches!(file.mode, MODE_FILE | MODE_EXECUTABLE) {
                tree.files.insert(file.path, file.bytes);
            } else {
                tree.irregular.push(file.path);
            }
        }
        tree.irregular.sort();
        Ok(Some(tree))
    }

    /// Whether a branch that has the wanted tree gets no new commit: none is asked for, or the head is the one that the
    /// interrupted deployment itself pushed.
    fn may_stay(&self, head: &CommitId, same_files: SameFiles) -> Result<bool, DeployError> {
        let unless = match same_files {
            SameFiles::Keep => return Ok(true),
            SameFiles::Write { unless: None } => return Ok(false),
            SameFiles::Write { unless: Some(number) } => number.to_string(),
        };
        let facts = self.git.commit(head.as_str()).map_err(self.failed("read it"))?;
        let named = facts
            .as_ref()
            .and_then(|facts| facts.message.lines().rev().find_map(|line| line.strip_prefix(NUMBER_TRAILER)));
        Ok(named == Some(unless.as_str()))
    }

    /// Stores a plan with one commit, if the branch is where the plan saw it. The same plan again pushes nothing, unless
    /// the options ask for it.
    pub(super) fn store(
        &self,
        plan: &RenderPlan,
        options: &ApplyOptions,
    ) -> Result<(CommitId, BranchChange), DeployError> {
        let files = &plan.tree.files;
        let stored = self.read()?;
        let head = stored.as_ref().and_then(|tree| tree.commit.clone());
        if let (Some(head), Some(stored)) = (&head, &stored)
            && stored.holds(files)
            && self.may_stay(head, options.same_files)?
        {
            return Ok((head.clone(), BranchChange::Unchanged));
        }
        if head != plan.base {
            return Err(self.moved(plan.base.as_ref(), head.as_ref()));
        }
        let changes: Vec<TreeChange> = files
            .iter()
            .map(|(path, bytes)| TreeChange::Write { path: path.clone(), mode: MODE_FILE, bytes: bytes.clone() })
            .collect();
        let email = format!("{}@orchestrator.invalid", options.actor);
        let identity = CommitIdentity::new(&options.actor, email, options.time);
        let failed = self.failed("commit to it");
        let tree = self.git.write_tree(None, &changes).map_err(&failed)?;
        let parents: Vec<CommitId> = head.iter().cloned().collect();
        let number = options.number.map(|number| format!("{NUMBER_TRAILER}{number}\n")).unwrap_or_default();
        let message = format!("{}{number}", plan.message);
        let commit = self.git.commit_tree(&tree, &parents, &message, &identity).map_err(&failed)?;
        let expected = head.as_ref().map_or(ABSENT, CommitId::as_str);
        match self.git.push(&self.remote, commit.as_str(), &self.full_name(), Some(expected)) {
            Ok(PushOutcome::Done) => Ok((commit, BranchChange::Pushed)),
            Ok(PushOutcome::Moved) => Err(self.moved(head.as_ref(), self.head().ok().flatten().as_ref())),
            Ok(PushOutcome::Refused { message }) => {
                Err(DeployError::Refused { subject: self.subject(), reason: message })
            }
            // The answer was lost: the branch knows whether the push arrived.
            Err(error) => match self.head() {
                Ok(Some(head)) if head == commit => Ok((commit, BranchChange::Pushed)),
                Ok(_) | Err(_) => Err(self.failed("push to it")(error)),
            },
        }
    }
}
