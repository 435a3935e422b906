//! What happened between two commits of a submodule.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lock_model::{CommitId, Timestamp, TreePath};

use crate::mirrors::{Mirrors, object_format};
use crate::objects::Objects;
use crate::parallel::{AT_ONCE, in_parallel};
use crate::store::at_hand;
use crate::url::shown_url;
use crate::walk::between;
use crate::{HistoryError, ReadError, SubmoduleStore};

/// How one commit lies to another in history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// They are one.
    Same,
    /// The new one is a descendant of the old one.
    Forward,
    /// The new one is an ancestor of the old one: commits go away.
    Backward,
    /// Each has commits that the other lacks.
    Diverged,
    /// They have no common ancestor.
    Unrelated,
}

impl Direction {
    /// A stable word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Diverged => "diverged",
            Self::Unrelated => "unrelated",
        }
    }
}

/// What happened between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// From the old commit to the new one.
    pub direction: Direction,
    /// What the new commit has and the old one has not.
    pub added: Commits,
    /// What the old commit had and the new one has not.
    pub removed: Commits,
}

/// Some commits, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// All of them.
    pub count: usize,
    /// The newest of them, newest first: as many as were asked for.
    pub newest: Vec<CommitLine>,
}

/// One commit in a list. The texts are the commit's own: escape them where they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitLine {
    /// The commit.
    pub id: CommitId,
    /// The first line of its message, cut at 300 characters.
    pub subject: String,
    /// The author's name, likewise.
    pub author: String,
    /// When it was committed.
    pub time: Timestamp,
    /// Whether it has several parents.
    pub is_merge: bool,
}

/// A submodule that was at one commit and is at another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its path: the answer comes under it.
    pub path: TreePath,
    /// The name of its section in `.gitmodules`: its clone is found by it.
    pub name: String,
    /// Where git fetches it from: see [`fetch_url`](crate::fetch_url).
    pub url: String,
    /// The old commit.
    pub before: CommitId,
    /// The new commit.
    pub after: CommitId,
}

impl SubmoduleStore {
    /// The commits between two commits of a submodule, with at most `limit` lines in each direction.
    ///
    /// They are read where they are at hand: in the submodule's clone, unless it is shallow, or from what was fetched
    /// earlier. Otherwise the history of the remote's branches is fetched, commits only.
    pub fn history(&self, moved: &Moved, limit: usize) -> Result<History, HistoryError> {
        let Moved { before, after, url, .. } = moved;
        if before == after {
            return Ok(History { direction: Direction::Same, added: Commits::default(), removed: Commits::default() });
        }
        let format = object_format(after);
        let read = |objects: &Objects| {
            between(objects, before, after, limit)
                .map_err(|error| HistoryError::Read { url: shown_url(url), source: Arc::new(error) })
        };
        let whole =
            |objects: &Objects| !objects.is_shallow() && objects.has_commit(before) && objects.has_commit(after);
        let clone = at_hand(self.modules(), &moved.name).filter(whole);
        let mirrors = Mirrors::new(self.program(), self.options().clone(), self.cache());
        if let Some(objects) = clone.or_else(|| mirrors.at_hand(url, format).filter(whole)) {
            // A clone that lost commits is no reason to give up.
            match between(&objects, before, after, limit) {
                Ok(history) => return Ok(history),
                Err(ReadError::NotFound { .. } | ReadError::Missing { .. } | ReadError::Unreadable { .. }) => {}
            }
        }
        let mut mirror = mirrors.open(url, format)?;
        mirror.bring(&["refs/heads/*".to_owned()], &[])?;
        for commit in [before, after] {
            // A branch that was rewritten or deleted since: hosts give such commits out for a while.
            if object_format(commit) != format
                || !mirror.objects()?.has_commit(commit) && !mirror.bring_commit(commit)?
            {
                return Err(HistoryError::NotPublished { sha: commit.clone(), url: shown_url(url) });
            }
        }
        read(&mirror.objects()?)
    }

    /// The histories of several submodules, by path, a few at once (eight, unless said otherwise).
    pub fn histories(
        &self,
        moved: &[Moved],
        limit: usize,
        at_once: Option<NonZeroUsize>,
    ) -> BTreeMap<TreePath, Result<History, HistoryError>> {
        let answers = in_parallel(moved, at_once.unwrap_or(AT_ONCE), |one| self.history(one, limit));
        moved.iter().map(|one| one.path.clone()).zip(answers).collect()
    }
}
