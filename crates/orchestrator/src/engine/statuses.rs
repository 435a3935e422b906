//! Statuses on commits, and what a failed proof does to an open promotion.

use forge::{PullRequestEdit, PullRequestState, Readiness, StatusState};
use ledger::StepKey;
use lock_model::CommitId;
use promotion::attempts::Purpose;

use super::{Engine, LOCK_ARTEFACT, LOCK_STATUS};
use crate::context::branch_name;
use crate::environment_policy::branch_of;
use crate::error::{Error, ErrorKind, Result};
use crate::report::v1::StepResult as StepWord;
use crate::revision::{LockFile, Revision};

/// Status of a pull request's suites.
pub(crate) const SUITES_STATUS: &str = "orchestrator/suites";

/// Status of an environment's proof.
pub(super) fn proof_status(environment: &lock_model::EnvironmentName) -> String {
    format!("orchestrator/{environment}-proof")
}

impl Engine<'_> {
    /// Says on the commit that its proof is being made.
    pub(super) async fn status_pending(&self) -> Result<()> {
        self.set_proof(&self.revision.commit, StatusState::Pending, "the proof is being made").await
    }

    /// Says on the commit that the release is proven, be it by this run or by an earlier commit with the same release.
    pub(super) async fn status_success(&self) -> Result<()> {
        let text = format!("release {} is proven", self.release.id8());
        self.set_proof(&self.revision.commit, StatusState::Success, &text).await
    }

    /// Says on the commit, and on an open promotion, that there is no proof.
    pub(crate) async fn not_proven(&mut self, kind: ErrorKind) -> Result<()> {
        if !self.speaks_for_the_branch() || self.proof_stays(kind).await? {
            return Ok(());
        }
        let why = self
            .lines
            .iter()
            .rev()
            .find(|line| line.result == StepWord::Failed || line.result == StepWord::Refused)
            .map_or_else(|| kind.to_string(), |line| format!("{}: {}", line.step, first_line(&line.detail)));
        self.set_proof(&self.revision.commit, StatusState::Failure, &why).await?;
        let Some(pull_request) = self.open_promotion().await? else { return Ok(()) };
        if pull_request.head != self.revision.commit {
            if !self.is_this_release(&pull_request.head)? {
                return Ok(());
            }
            self.set_proof(&pull_request.head, StatusState::Failure, &why).await?;
        }
        let edit = PullRequestEdit::default().readiness(Readiness::Draft);
        context_edit(self, pull_request.number, &edit).await?;
        let body = format!(
            "Back to draft: `{}` did not prove {}.\n\n{}\n",
            self.environment.name,
            self.revision.commit.short(12),
            lock_model::escaping::code_block(&why)
        );
        self.context.forge.upsert_comment(pull_request.number, "orchestrator-not-proven", &body).await?;
        self.line(
            "draft",
            StepWord::Done,
            format!("pull request {} is a draft until the proof is there", pull_request.number),
        );
        Ok(())
    }

    /// Sets the statuses after a step that ended with an error. After a temporary failure the proof stays pending, since the
    /// same command may succeed later; any other error is a failure that the commit shows.
    pub(super) async fn gave_up(&mut self, key: &StepKey, error: &Error) {
        if matches!(error.kind(), ErrorKind::Temporary | ErrorKind::Interrupted) {
            return;
        }
        let step = key.to_string();
        if self.lines.last().is_none_or(|line| line.step != step) {
            self.line(&step, StepWord::Refused, error.message().to_owned());
        }
        // The caller gets the step's own error; the next run sets a status that cannot be set now.
        let _unsaid = self.not_proven(error.kind()).await;
    }

    /// Whether an existing proof stays: the run failed because of a newer commit or a hold, not because of the release.
    async fn proof_stays(&self, code: ErrorKind) -> Result<bool> {
        if !self.has_proof() {
            return Ok(false);
        }
        let ledger = self.store.ledger();
        let is_held = code == ErrorKind::Refused
            && ledger.held(&self.environment.name).is_some()
            && ledger.rejected(self.lock.lock.id()).is_none();
        Ok(is_held || self.context.branch_head(&branch_of(&self.environment)?).await? != self.revision.commit)
    }

    /// Whether another commit has this release, such as one that changed only a README.
    fn is_this_release(&self, commit: &CommitId) -> Result<bool> {
        let revision = Revision::load(self.context, commit)?;
        let lock = revision.lock(self.context)?;
        Ok(lock.is_some_and(|file| revision.release(&file.lock) == self.release))
    }

    /// Whether the promotion from this branch depends on this run.
    pub(super) fn speaks_for_the_branch(&self) -> bool {
        crate::environment_policy::commits_locks(&self.environment) && self.purpose == Purpose::Run
    }

    async fn set_proof(&self, commit: &CommitId, state: StatusState, text: &str) -> Result<()> {
        let context = proof_status(&self.environment.name);
        let text = lock_model::escaping::shorten(first_line(text), 140);
        self.context.forge.set_status(commit, None, &context, state, &text).await?;
        Ok(())
    }

    /// Sets the lock status of open pull requests to pending whose lock was made for an earlier commit of the branch. The base
    /// is read from the published locks, so this can be repeated at any time.
    pub(crate) async fn outdate_other_locks(&self) -> Result<()> {
        let name = branch_of(&self.environment)?;
        let branch = branch_name(&name)?;
        let forge = &self.context.forge;
        let open = forge.pull_requests(Some(PullRequestState::Open)).await?;
        for pull_request in open.into_iter().filter(|pull_request| pull_request.base_branch == branch) {
            let statuses = forge.statuses(&pull_request.head).await?;
            let is_published =
                statuses.iter().any(|status| status.context == LOCK_STATUS && status.state == StatusState::Success);
            if !is_published {
                continue;
            }
            let published = forge.artefact(pull_request.number, LOCK_ARTEFACT).await?;
            let lock = published.and_then(|bytes| LockFile::parse(bytes, LOCK_ARTEFACT).ok());
            let head = self.context.branch_head(&name).await?;
            if lock.is_some_and(|file| file.lock.source().base == head) {
                continue;
            }
            let text = format!("`{branch}` moved: the lock must be made again");
            forge.set_status(&pull_request.head, None, LOCK_STATUS, StatusState::Pending, &text).await?;
        }
        Ok(())
    }
}

async fn context_edit(engine: &Engine<'_>, number: u64, edit: &PullRequestEdit) -> Result<()> {
    engine.context.forge.edit_pull_request(number, edit).await?;
    Ok(())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
