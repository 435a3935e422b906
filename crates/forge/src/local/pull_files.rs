use lock_model::CommitId;

use super::LocalForge;
use super::bypasses::BypassRecord;
use super::refs::{Refs, pull_head};
use super::store::Writer;
use super::wire::PullFile;
use crate::error::ForgeError;
use crate::model::PullRequestState;

impl LocalForge {
    /// The pull request with the present tips of its branches. The lock is taken only where its file has others.
    pub(crate) fn current_pull(&self, number: u64, refs: &Refs) -> Result<PullFile, ForgeError> {
        let file = self.read_pull(number)?;
        if file.pull.state != PullRequestState::Open || (file.merging.is_none() && is_current(&file, refs)) {
            return Ok(file);
        }
        // Other branches may have moved since `refs` was read, so look again.
        self.settle(&self.store.writer()?, number, &Refs::read(&self.git)?)
    }

    pub(crate) fn read_pull(&self, number: u64) -> Result<PullFile, ForgeError> {
        let file: Option<PullFile> = self.store.read_json(&path(number))?;
        file.ok_or_else(|| ForgeError::pull_request_not_found(number))
    }

    /// Brings file and `refs/pull/N/head` of an open pull request up to date, and ends a merge that was cut off.
    pub(crate) fn settle(&self, writer: &Writer<'_>, number: u64, refs: &Refs) -> Result<PullFile, ForgeError> {
        let mut file = self.read_pull(number)?;
        if file.pull.state != PullRequestState::Open {
            return Ok(file);
        }
        // An entry whose commit is not there stays: git may live longer than the process that started it, and move the
        // branch later.
        if let Some(merge) = &file.merging
            && let Some(base) = refs.branch(&file.pull.base_branch)
            && let Some(facts) = self.git.commit(merge.commit.as_str())?
            && let [before, merged] = facts.parents.as_slice()
            && self.git.is_ancestor(merge.commit.as_str(), base.id.as_str())?
        {
            (file.pull.base, file.pull.head) = (before.clone(), merged.clone());
            return self.finish_merge(writer, file);
        }
        if is_current(&file, refs) {
            return Ok(file);
        }
        let (head, base) = tips(&file, refs);
        if refs.pull_head(number).map(|commit| &commit.id) != Some(&head) {
            self.git.update_ref(&pull_head(number), head.as_str(), None)?;
        }
        if file.pull.head != head || file.pull.base != base {
            (file.pull.head, file.pull.base) = (head, base);
            writer.write_pull(&file)?;
        }
        Ok(file)
    }

    /// Marks a pull request as merged whose merge the base branch has already.
    pub(crate) fn finish_merge(&self, writer: &Writer<'_>, mut file: PullFile) -> Result<PullFile, ForgeError> {
        let Some(merge) = file.merging.take() else { return Ok(file) };
        if !merge.bypassed.is_empty() {
            let (before, after) = (Some(file.pull.base.clone()), merge.commit.clone());
            let record = BypassRecord::new(&file.pull.base_branch, before, after, &merge.by, merge.at, &merge.bypassed);
            self.record_bypass(writer, BypassRecord { pull_request: Some(file.pull.number), ..record })?;
        }
        file.pull.state = PullRequestState::Merged;
        file.pull.updated_at = merge.at;
        file.pull.merge = Some(merge);
        writer.write_pull(&file)?;
        Ok(file)
    }
}

impl Writer<'_> {
    pub(crate) fn write_pull(&self, file: &PullFile) -> Result<(), ForgeError> {
        self.write_json(&path(file.pull.number), file)
    }
}

pub(crate) fn require_open(file: &PullFile, action: impl FnOnce() -> String) -> Result<(), ForgeError> {
    match file.pull.state {
        PullRequestState::Open => Ok(()),
        state @ (PullRequestState::Merged | PullRequestState::Closed) => {
            Err(ForgeError::state(action(), vec![format!("it is {state}")]))
        }
    }
}

/// Tips of head and base; of a deleted branch, what was seen last.
fn tips(file: &PullFile, refs: &Refs) -> (CommitId, CommitId) {
    let head = refs.branch(&file.pull.head_branch).or_else(|| refs.pull_head(file.pull.number));
    let base = refs.branch(&file.pull.base_branch);
    (
        head.map_or_else(|| file.pull.head.clone(), |commit| commit.id.clone()),
        base.map_or_else(|| file.pull.base.clone(), |commit| commit.id.clone()),
    )
}

fn is_current(file: &PullFile, refs: &Refs) -> bool {
    let (head, base) = tips(file, refs);
    file.pull.head == head
        && file.pull.base == base
        && refs.pull_head(file.pull.number).is_some_and(|commit| commit.id == head)
}

fn path(number: u64) -> String {
    format!("pulls/{number}.json")
}
