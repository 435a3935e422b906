//! The commits between two commits of a submodule.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lock_model::{CommitId, Timestamp, TreePath};

use crate::mirror_cache::object_format;
use crate::objects::Objects;
use crate::parallel::{AT_ONCE, in_parallel};
use crate::store::at_hand;
use crate::url::shown;
use crate::walk::between;
use crate::{HistoryError, ReadError, SubmoduleStore};

lock_model::words! {
    /// How a new commit lies to an old one in history.
    Direction, "direction" {
        /// They are the same commit.
        Same = "same",
        /// The new one is a descendant of the old one.
        Forward = "forward",
        /// The new one is an ancestor of the old one: commits go away.
        Backward = "backward",
        /// Each has commits that the other lacks.
        Diverged = "diverged",
        /// They have no common ancestor.
        Unrelated = "unrelated",
    }
}

/// The commits between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// From the old commit to the new one.
    pub direction: Direction,
    /// The commits that only the new one has in its history.
    pub added: Commits,
    /// The commits that only the old one has in its history.
    pub removed: Commits,
}

/// Some commits, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commits {
    /// The number of all of them.
    pub count: usize,
    /// The newest of them, newest first; at most as many as were asked for.
    pub newest: Vec<CommitLine>,
}

/// One commit in a list. The texts are not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitLine {
    /// Its id.
    pub id: CommitId,
    /// The first line of its message, cut at 300 characters.
    pub subject: String,
    /// The author's name, cut at 300 characters.
    pub author: String,
    /// When it was committed, by the clock of the committer.
    pub time: Timestamp,
    /// Whether it has several parents.
    pub is_merge: bool,
}

/// Asks for the commits of a submodule between two of its commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The path of the submodule: the key of the answer.
    pub path: TreePath,
    /// The name of its section in `.gitmodules`, by which its clone is found.
    pub name: String,
    /// Where git fetches it from: see [`fetch_url`](crate::fetch_url).
    pub url: String,
    /// The commit that the submodule was at.
    pub before: CommitId,
    /// The commit that the submodule is at.
    pub after: CommitId,
}

impl SubmoduleStore {
    /// The commits between two commits of a submodule, with at most `limit` lines in each direction.
    ///
    /// They are read from the submodule's clone, unless it is shallow, or from what was fetched earlier. Otherwise the
    /// history of the remote's branches is fetched, without files.
    pub fn history(&self, query: &HistoryQuery, limit: usize) -> Result<History, HistoryError> {
        let HistoryQuery { before, after, url, .. } = query;
        if before == after {
            return Ok(History { direction: Direction::Same, added: Commits::default(), removed: Commits::default() });
        }
        let format = object_format(after);
        let read = |objects: &Objects| {
            between(objects, before, after, limit)
                .map_err(|error| HistoryError::Read { url: shown(url), source: Arc::new(error) })
        };
        let whole =
            |objects: &Objects| !objects.is_shallow() && objects.has_commit(before) && objects.has_commit(after);
        let clone = at_hand(&self.modules, &query.name).filter(whole);
        if let Some(objects) = clone.or_else(|| self.cache.at_hand(url, format).filter(whole)) {
            // A clone that lost commits is no reason to give up.
            match between(&objects, before, after, limit) {
                Ok(history) => return Ok(history),
                Err(ReadError::NotFound { .. } | ReadError::Missing { .. } | ReadError::Unreadable { .. }) => {}
            }
        }
        let mut mirror = self.cache.open(url, format)?;
        mirror.bring(&["refs/heads/*".to_owned()], &[])?;
        for commit in [before, after] {
            // A branch that was rewritten or deleted since: hosts give such commits out for a while.
            if object_format(commit) != format
                || !mirror.objects()?.has_commit(commit) && !mirror.bring_commit(commit)?
            {
                return Err(HistoryError::NotPublished { commit: commit.clone(), url: shown(url) });
            }
        }
        read(&mirror.objects()?)
    }

    /// The histories of several submodules, by path, asking this many remotes at once (eight for none).
    pub fn histories(
        &self,
        queries: &[HistoryQuery],
        limit: usize,
        at_once: Option<NonZeroUsize>,
    ) -> BTreeMap<TreePath, Result<History, HistoryError>> {
        let answers = in_parallel(queries, at_once.unwrap_or(AT_ONCE), |one| self.history(one, limit));
        queries.iter().map(|one| one.path.clone()).zip(answers).collect()
    }
}
