use std::collections::BTreeMap;

use git::Git;
use lock_model::{BranchName, CommitId, TreeId};

use crate::error::ForgeError;

/// A commit that a ref names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefCommit {
    pub(crate) id: CommitId,
    pub(crate) tree: TreeId,
    pub(crate) parents: Vec<CommitId>,
}

/// Branches and pull request refs at one moment.
#[derive(Debug)]
pub(crate) struct Refs(BTreeMap<String, RefCommit>);

impl Refs {
    pub(crate) fn read(git: &Git) -> Result<Self, ForgeError> {
        let mut refs = BTreeMap::new();
        for prefix in ["refs/heads", "refs/pull"] {
            for reference in git.refs(prefix)? {
                // A ref to something other than a commit is not a branch.
                let Some(facts) = git.commit(&reference.id)?.filter(|facts| facts.id.as_str() == reference.id) else {
                    continue;
                };
                let commit = RefCommit { id: facts.id, tree: facts.tree, parents: facts.parents };
                refs.insert(reference.name, commit);
            }
        }
        Ok(Self(refs))
    }

    pub(crate) fn branch(&self, branch: &BranchName) -> Option<&RefCommit> {
        self.0.get(&branch.full())
    }

    pub(crate) fn pull_head(&self, number: u64) -> Option<&RefCommit> {
        self.0.get(&pull_head(number))
    }

    pub(crate) fn pull_merge(&self, number: u64) -> Option<&RefCommit> {
        self.0.get(&pull_merge(number))
    }

    /// Every branch whose name is one that this forge accepts.
    pub(crate) fn branches(&self) -> impl Iterator<Item = (BranchName, &RefCommit)> {
        self.0
            .iter()
            .filter_map(|(name, commit)| Some((BranchName::try_from(name.strip_prefix("refs/heads/")?).ok()?, commit)))
    }
}

pub(crate) fn pull_head(number: u64) -> String {
    format!("refs/pull/{number}/head")
}

pub(crate) fn pull_merge(number: u64) -> String {
    format!("refs/pull/{number}/merge")
}
