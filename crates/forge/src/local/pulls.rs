use lock_model::{BranchName, CommitId};

use super::LocalForge;
use super::access::{check_line, check_text};
use super::pull_files::require_open;
use super::refs::{Refs, pull_head};
use super::store::Writer;
use super::wire::PullFile;
use crate::error::ForgeError;
use crate::model::{
    NewPullRequest, OpenOutcome, PullRequest, PullRequestEdit, PullRequestState, Readiness, Role, WriteOutcome,
};

const TITLE_LIMIT: usize = 256;
/// What GitHub accepts as the text of a pull request or comment.
pub(crate) const BODY_LIMIT: usize = 65_536;

impl LocalForge {
    /// One pull request, with the tips of its branches as they are now.
    pub fn pull_request(&self, number: u64) -> Result<PullRequest, ForgeError> {
        let refs = Refs::read(&self.git)?;
        Ok(self.current_pull(number, &refs)?.pull)
    }

    /// The pull requests in this state, or all, by number.
    pub fn pull_requests(&self, state: Option<PullRequestState>) -> Result<Vec<PullRequest>, ForgeError> {
        let refs = Refs::read(&self.git)?;
        let mut pulls = Vec::new();
        for number in self.store.numbers("pulls")? {
            let pull = self.current_pull(number, &refs)?.pull;
            if state.is_none_or(|state| state == pull.state) {
                pulls.push(pull);
            }
        }
        Ok(pulls)
    }

    /// The pull requests that a commit belongs to: first those whose merge it is, then those that bring it, newest
    /// first. An unknown commit belongs to none.
    pub fn pull_requests_of_commit(&self, commit: &CommitId) -> Result<Vec<PullRequest>, ForgeError> {
        let pulls = self.pull_requests(None)?;
        if self.git.commit(commit.as_str())?.is_none() {
            return Ok(Vec::new());
        }
        let refs = Refs::read(&self.git)?;
        let heads: Vec<&CommitId> = pulls.iter().filter_map(|pull| Some(&refs.pull_head(pull.number)?.id)).collect();
        let holders = self.git.containing(commit, &heads)?;
        let (mut merges, mut bringers) = (Vec::new(), Vec::new());
        for pull in pulls.into_iter().rev() {
            if pull.merge.as_ref().is_some_and(|merge| merge.commit == *commit) {
                merges.push(pull);
            } else if refs.pull_head(pull.number).is_some_and(|head| holders.contains(&head.id))
                && !self.git.is_ancestor(commit.as_str(), pull.base.as_str())?
            {
                bringers.push(pull);
            }
        }
        merges.append(&mut bringers);
        Ok(merges)
    }

    /// The open pull request from one branch into another.
    pub fn find_open(&self, head: &BranchName, base: &BranchName) -> Result<Option<PullRequest>, ForgeError> {
        let open = self.pull_requests(Some(PullRequestState::Open))?;
        Ok(open.into_iter().find(|pull| pull.head_branch == *head && pull.base_branch == *base))
    }

    /// Opens a pull request unless one between the same branches is open.
    pub fn open_pull_request(&self, new: &NewPullRequest) -> Result<OpenOutcome, ForgeError> {
        check_line("the title", &new.title, TITLE_LIMIT)?;
        check_text("the body", &new.body, BODY_LIMIT)?;
        let action = || format!("open a pull request from `{}` into `{}`", new.head, new.base);
        let author = self.require(Role::Write, action)?.name;

        let writer = self.store.writer()?;
        if let Some(file) = self.find_open_under(&writer, &new.head, &new.base)? {
            return Ok(OpenOutcome::Exists(file.pull));
        }
        let refs = Refs::read(&self.git)?;
        let (head, base) = match (refs.branch(&new.head), refs.branch(&new.base)) {
            (Some(head), Some(base)) => (head.id.clone(), base.id.clone()),
            (head, base) => {
                let missing = [(&new.head, head), (&new.base, base)].into_iter().filter(|(_, tip)| tip.is_none());
                let reasons = missing.map(|(branch, _)| format!("there is no branch `{branch}`")).collect();
                return Err(ForgeError::missing(action(), reasons));
            }
        };
        if let Some(reason) = self.takes_no_pull_request(&new.base)? {
            return Err(ForgeError::refused(action(), vec![reason]));
        }
        let reason = if self.git.is_ancestor(head.as_str(), base.as_str())? {
            Some(format!("`{}` has no commits that `{}` has not", new.head, new.base))
        } else if self.git.merge_base(base.as_str(), head.as_str())?.is_none() {
            Some(format!("`{}` and `{}` have no common history", new.head, new.base))
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(ForgeError::state(action(), vec![reason]));
        }
        let now = self.clock.now();
        let number = self.store.next_number("pulls")?;
        let pull = PullRequest {
            number,
            title: new.title.clone(),
            body: new.body.clone(),
            author,
            state: PullRequestState::Open,
            draft: new.readiness == Readiness::Draft,
            head_branch: new.head.clone(),
            base_branch: new.base.clone(),
            head: head.clone(),
            base,
            merge: None,
            created_at: now,
            updated_at: now,
        };
        let file = PullFile { pull, merging: None };
        // The file first: it is what gives the number. A ref that a crash left out is made by the next reader.
        writer.write_pull(&file)?;
        self.git.update_ref(&pull_head(number), head.as_str(), None)?;
        Ok(OpenOutcome::Created(file.pull))
    }

    /// Changes title, text or readiness of an open pull request.
    pub fn edit_pull_request(&self, number: u64, edit: &PullRequestEdit) -> Result<WriteOutcome, ForgeError> {
        if let Some(title) = &edit.title {
            check_line("the title", title, TITLE_LIMIT)?;
        }
        if let Some(body) = &edit.body {
            check_text("the body", body, BODY_LIMIT)?;
        }
        let action = || format!("edit pull request {number}");
        self.require(Role::Write, action)?;
        let writer = self.store.writer()?;
        let before = self.settle(&writer, number, &Refs::read(&self.git)?)?;
        require_open(&before, action)?;
        let mut after = before.clone();
        if let Some(title) = &edit.title {
            after.pull.title.clone_from(title);
        }
        if let Some(body) = &edit.body {
            after.pull.body.clone_from(body);
        }
        if let Some(readiness) = edit.readiness {
            after.pull.draft = readiness == Readiness::Draft;
        }
        if after == before {
            return Ok(WriteOutcome::Unchanged);
        }
        after.pull.updated_at = self.clock.now();
        writer.write_pull(&after)?;
        Ok(WriteOutcome::Updated)
    }

    fn find_open_under(
        &self,
        writer: &Writer<'_>,
        head: &BranchName,
        base: &BranchName,
    ) -> Result<Option<PullFile>, ForgeError> {
        let refs = Refs::read(&self.git)?;
        for number in self.store.numbers("pulls")? {
            let file = self.read_pull(number)?;
            if file.pull.state == PullRequestState::Open
                && file.pull.head_branch == *head
                && file.pull.base_branch == *base
            {
                let file = self.settle(writer, number, &refs)?;
                if file.pull.state == PullRequestState::Open {
                    return Ok(Some(file));
                }
            }
        }
        Ok(None)
    }
}
