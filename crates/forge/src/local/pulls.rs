//! Pull requests: what their files say, and what the branches make of it.

use git::{ABSENT, CommitIdentity, MergeTree};
use lock_model::{BranchName, CommitId, Timestamp};

use super::access::{check_line, check_text};
use super::open::LocalForge;
use super::refs::{Refs, pull_head, pull_merge};
use super::store::Writer;
use super::wire::{FORMAT_VERSION, PullFile, PullState};
use crate::error::ForgeError;
use crate::model::{
    MergeRef, NewPullRequest, Opened, PullRequest, PullRequestEdit, PullRequestState, Readiness, Role, Written,
};

const TITLE_LIMIT: usize = 256;
/// What GitHub accepts as the text of a pull request or comment.
pub(super) const BODY_LIMIT: usize = 65_536;

impl LocalForge {
    /// One pull request, with the tips of its branches as they are now.
    pub fn pull_request(&self, number: u64) -> Result<PullRequest, ForgeError> {
        let refs = Refs::read(&self.git)?;
        self.current_pull(number, &refs).map(PullRequest::from)
    }

    /// All pull requests in this state, or in any, by number.
    pub fn pull_requests(&self, state: Option<PullRequestState>) -> Result<Vec<PullRequest>, ForgeError> {
        let refs = Refs::read(&self.git)?;
        let mut pulls = Vec::new();
        for number in self.store.numbers("pulls")? {
            let pull = PullRequest::from(self.current_pull(number, &refs)?);
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
        let contains = format!("--contains={commit}");
        let holders = self.git.text(["for-each-ref", "--format=%(refname)", &contains, "refs/pull"])?;
        let (mut merges, mut bringers) = (Vec::new(), Vec::new());
        for pull in pulls.into_iter().rev() {
            if pull.merge.as_ref().is_some_and(|merge| merge.commit == *commit) {
                merges.push(pull);
            } else if holders.lines().any(|name| name == pull_head(pull.number))
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
    pub fn open_pull_request(&self, new: &NewPullRequest, now: Timestamp) -> Result<Opened, ForgeError> {
        check_line("the title", &new.title, TITLE_LIMIT)?;
        check_text("the body", &new.body, BODY_LIMIT)?;
        let action = || format!("open a pull request from `{}` into `{}`", new.head, new.base);
        let author = self.require(Role::Write, action)?.name;

        let writer = self.store.writer()?;
        if let Some(pull) = self.find_open_under(&writer, &new.head, &new.base)? {
            return Ok(Opened::Exists(PullRequest::from(pull)));
        }
        let refs = Refs::read(&self.git)?;
        let (head, base) = match (refs.branch(&new.head), refs.branch(&new.base)) {
            (Some(head), Some(base)) => (head.id.clone(), base.id.clone()),
            (head, base) => {
                let missing = [(&new.head, head), (&new.base, base)].into_iter().filter(|(_, tip)| tip.is_none());
                let reasons = missing.map(|(branch, _)| format!("there is no branch `{branch}`")).collect();
                return Err(ForgeError::refused(action(), reasons));
            }
        };
        let reason = if self.git.is_ancestor(head.as_str(), base.as_str())? {
            Some(format!("`{}` has no commits that `{}` has not", new.head, new.base))
        } else if self.git.merge_base(base.as_str(), head.as_str())?.is_none() {
            Some(format!("`{}` and `{}` have no common history", new.head, new.base))
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(ForgeError::refused(action(), vec![reason]));
        }
        let number = self.store.numbers("pulls")?.last().map_or(1, |last| last + 1);
        let file = PullFile {
            version: FORMAT_VERSION,
            number,
            title: new.title.clone(),
            body: new.body.clone(),
            author,
            state: PullState::Open,
            draft: new.readiness == Readiness::Draft,
            head_branch: new.head.clone(),
            base_branch: new.base.clone(),
            head: head.clone(),
            base,
            merging: None,
            merge: None,
            created_at: now,
            updated_at: now,
        };
        // The file first: it is what gives the number. A ref that a crash left out is made by the next reader.
        write_pull(&writer, &file)?;
        self.git.update_ref(&pull_head(number), head.as_str(), None)?;
        Ok(Opened::Created(PullRequest::from(file)))
    }

    /// Changes title, text or readiness of an open pull request.
    pub fn edit_pull_request(
        &self,
        number: u64,
        edit: &PullRequestEdit,
        now: Timestamp,
    ) -> Result<Written, ForgeError> {
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
            after.title.clone_from(title);
        }
        if let Some(body) = &edit.body {
            after.body.clone_from(body);
        }
        if let Some(readiness) = edit.readiness {
            after.draft = readiness == Readiness::Draft;
        }
        if after == before {
            return Ok(Written::Unchanged);
        }
        after.updated_at = now;
        write_pull(&writer, &after)?;
        Ok(Written::Updated)
    }

    /// Closes an open pull request without merging it; a closed one stays closed.
    pub fn close_pull_request(&self, number: u64, now: Timestamp) -> Result<Written, ForgeError> {
        let action = || format!("close pull request {number}");
        self.require(Role::Write, action)?;
        let writer = self.store.writer()?;
        let mut file = self.settle(&writer, number, &Refs::read(&self.git)?)?;
        if file.state == PullState::Closed {
            return Ok(Written::Unchanged);
        }
        require_open(&file, action)?;
        file.state = PullState::Closed;
        file.updated_at = now;
        write_pull(&writer, &file)?;
        Ok(Written::Updated)
    }

    /// The merge that an open pull request would make now, or that a merged one made.
    ///
    /// `refs/pull/N/merge` is made anew when one of the branches has moved; its bytes depend on the two commits only.
    pub fn merge_ref(&self, number: u64) -> Result<MergeRef, ForgeError> {
        let refs = Refs::read(&self.git)?;
        let file = self.current_pull(number, &refs)?;
        match (file.state, &file.merge) {
            (PullState::Open, _) => {}
            (PullState::Merged, Some(merge)) => {
                let commit = self.git.commit(merge.commit.as_str())?;
                let commit = commit.ok_or_else(|| ForgeError::not_found(format!("commit `{}`", merge.commit)))?;
                return Ok(MergeRef::Clean { commit: commit.id, tree: commit.tree, base: file.base, head: file.head });
            }
            (PullState::Merged | PullState::Closed, _) => {
                return Err(ForgeError::not_found(format!("the merge of pull request {number}, which is closed,")));
            }
        }
        if let Some(fresh) = fresh_merge(&file, &refs) {
            return Ok(fresh);
        }
        let writer = self.store.writer()?;
        let refs = Refs::read(&self.git)?;
        let file = self.settle(&writer, number, &refs)?;
        require_open(&file, || format!("merge pull request {number} for a test"))?;
        self.make_merge_ref(&writer, &file, &refs)
    }

    /// The pull request with what the branches say now. Only where that is news, the lock is taken.
    pub(super) fn current_pull(&self, number: u64, refs: &Refs) -> Result<PullFile, ForgeError> {
        let file = self.read_pull(number)?;
        if file.state != PullState::Open || (file.merging.is_none() && is_current(&file, refs)) {
            return Ok(file);
        }
        // Other branches may have moved since `refs` was read, so look again.
        self.settle(&self.store.writer()?, number, &Refs::read(&self.git)?)
    }

    pub(super) fn read_pull(&self, number: u64) -> Result<PullFile, ForgeError> {
        let file: Option<PullFile> = self.store.read_json(&path(number))?;
        file.ok_or_else(|| ForgeError::not_found(format!("pull request {number}")))
    }

    /// Brings file and `refs/pull/N/head` of an open pull request up to date, and ends a merge that was cut off.
    pub(super) fn settle(&self, writer: &Writer<'_>, number: u64, refs: &Refs) -> Result<PullFile, ForgeError> {
        let mut file = self.read_pull(number)?;
        if file.state != PullState::Open {
            return Ok(file);
        }
        // An entry whose commit is not there stays: git may outlive us, and move the branch after we are gone.
        if let Some(merge) = &file.merging
            && let Some(base) = refs.branch(&file.base_branch)
            && let Some(facts) = self.git.commit(merge.commit.as_str())?
            && let [before, merged] = facts.parents.as_slice()
            && self.git.is_ancestor(merge.commit.as_str(), base.id.as_str())?
        {
            (file.base, file.head) = (before.clone(), merged.clone());
            return self.finish_merge(writer, file);
        }
        if is_current(&file, refs) {
            return Ok(file);
        }
        let (head, base) = tips(&file, refs);
        if refs.pull_head(number).map(|commit| &commit.id) != Some(&head) {
            self.git.update_ref(&pull_head(number), head.as_str(), None)?;
        }
        if file.head != head || file.base != base {
            (file.head, file.base) = (head, base);
            write_pull(writer, &file)?;
        }
        Ok(file)
    }

    /// Makes `refs/pull/N/merge` for the tips that `file` names, or removes it when they do not merge.
    pub(super) fn make_merge_ref(
        &self,
        _writer: &Writer<'_>,
        file: &PullFile,
        refs: &Refs,
    ) -> Result<MergeRef, ForgeError> {
        if let Some(fresh) = fresh_merge(file, refs) {
            return Ok(fresh);
        }
        let (number, head, base) = (file.number, &file.head, &file.base);
        let tree = match self.git.merge_tree(base.as_str(), head.as_str())? {
            MergeTree::Clean(tree) => tree,
            MergeTree::Conflict { paths, .. } => {
                if refs.pull_merge(number).is_some() {
                    self.git.update_ref(&pull_merge(number), ABSENT, None)?;
                }
                return Ok(MergeRef::Conflict { base: base.clone(), head: head.clone(), paths });
            }
        };
        let facts = self.git.commit(head.as_str())?;
        let facts = facts.ok_or_else(|| ForgeError::not_found(format!("commit `{head}`")))?;
        let identity = CommitIdentity {
            name: "forge".to_owned(),
            email: "forge@forge.invalid".to_owned(),
            time: facts.committer_time,
        };
        let message = format!("Merge {head} into {base}\n");
        let commit = self.git.commit_tree(&tree, &[base.clone(), head.clone()], &message, &identity)?;
        self.git.update_ref(&pull_merge(number), commit.as_str(), None)?;
        Ok(MergeRef::Clean { commit, tree, base: base.clone(), head: head.clone() })
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
            if file.state == PullState::Open && file.head_branch == *head && file.base_branch == *base {
                let file = self.settle(writer, number, &refs)?;
                if file.state == PullState::Open {
                    return Ok(Some(file));
                }
            }
        }
        Ok(None)
    }
}

pub(super) fn write_pull(writer: &Writer<'_>, file: &PullFile) -> Result<(), ForgeError> {
    writer.write_json(&path(file.number), file)
}

pub(super) fn require_open(file: &PullFile, action: impl FnOnce() -> String) -> Result<(), ForgeError> {
    let state = match file.state {
        PullState::Open => return Ok(()),
        PullState::Merged => "merged",
        PullState::Closed => "closed",
    };
    Err(ForgeError::refused(action(), vec![format!("it is {state}")]))
}

/// The merge ref, if it is of exactly these two commits.
fn fresh_merge(file: &PullFile, refs: &Refs) -> Option<MergeRef> {
    let merge = refs.pull_merge(file.number)?;
    let fresh = matches!(merge.parents.as_slice(), [base, head] if *base == file.base && *head == file.head);
    fresh.then(|| MergeRef::Clean {
        commit: merge.id.clone(),
        tree: merge.tree.clone(),
        base: file.base.clone(),
        head: file.head.clone(),
    })
}

/// Tips of head and base; of a deleted branch, what was seen last.
fn tips(file: &PullFile, refs: &Refs) -> (CommitId, CommitId) {
    let head = refs.branch(&file.head_branch).or_else(|| refs.pull_head(file.number));
    let base = refs.branch(&file.base_branch);
    (
        head.map_or_else(|| file.head.clone(), |commit| commit.id.clone()),
        base.map_or_else(|| file.base.clone(), |commit| commit.id.clone()),
    )
}

fn is_current(file: &PullFile, refs: &Refs) -> bool {
    let (head, base) = tips(file, refs);
    file.head == head && file.base == base && refs.pull_head(file.number).is_some_and(|commit| commit.id == head)
}

fn path(number: u64) -> String {
    format!("pulls/{number}.json")
}
