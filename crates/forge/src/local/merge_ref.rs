use git::{ABSENT, CommitIdentity, MergeTree};
use lock_model::{CommitId, TreeId};

use super::LocalForge;
use super::pull_files::require_open;
use super::refs::{Refs, pull_merge};
use super::store::Writer;
use super::wire::PullFile;
use crate::error::ForgeError;
use crate::model::{MergeRef, PullRequestState};

impl LocalForge {
    /// The merge that an open pull request would make now, or that a merged one made.
    ///
    /// `refs/pull/N/merge` is made again when one of the branches has moved; its id depends on the two tips only.
    pub fn merge_ref(&self, number: u64) -> Result<MergeRef, ForgeError> {
        let refs = Refs::read(&self.git)?;
        let file = self.current_pull(number, &refs)?;
        match (file.pull.state, &file.pull.merge) {
            (PullRequestState::Open, _) => {}
            (PullRequestState::Merged, Some(merge)) => {
                let commit = self.commit_facts(&merge.commit)?;
                return Ok(clean(&file, commit.id, commit.tree));
            }
            (PullRequestState::Merged | PullRequestState::Closed, _) => {
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

    /// Makes `refs/pull/N/merge` for the tips that `file` names, or removes it when they do not merge.
    pub(crate) fn make_merge_ref(
        &self,
        _writer: &Writer<'_>,
        file: &PullFile,
        refs: &Refs,
    ) -> Result<MergeRef, ForgeError> {
        if let Some(fresh) = fresh_merge(file, refs) {
            return Ok(fresh);
        }
        let (number, head, base) = (file.pull.number, &file.pull.head, &file.pull.base);
        let tree = match self.git.merge_tree(base.as_str(), head.as_str())? {
            MergeTree::Clean(tree) => tree,
            MergeTree::Conflict { paths, .. } => {
                if refs.pull_merge(number).is_some() {
                    self.git.update_ref(&pull_merge(number), ABSENT, None)?;
                }
                return Ok(MergeRef::Conflict { base: base.clone(), head: head.clone(), paths });
            }
        };
        let facts = self.commit_facts(head)?;
        let identity = CommitIdentity::new("forge", "forge@forge.invalid", facts.committer_time);
        let message = format!("Merge {head} into {base}\n");
        let commit = self.git.commit_tree(&tree, &[base.clone(), head.clone()], &message, &identity)?;
        self.git.update_ref(&pull_merge(number), commit.as_str(), None)?;
        Ok(clean(file, commit, tree))
    }
}

/// The merge ref, if it is of exactly these two commits.
fn fresh_merge(file: &PullFile, refs: &Refs) -> Option<MergeRef> {
    let merge = refs.pull_merge(file.pull.number)?;
    let fresh = matches!(merge.parents.as_slice(), [base, head] if *base == file.pull.base && *head == file.pull.head);
    fresh.then(|| clean(file, merge.id.clone(), merge.tree.clone()))
}

fn clean(file: &PullFile, commit: CommitId, tree: TreeId) -> MergeRef {
    MergeRef::Clean { commit, tree, base: file.pull.base.clone(), head: file.pull.head.clone() }
}
