//! Questions about the histories of commits.
//!
//! No walk stops early because of a time in a commit: a wrong clock would make its answer wrong.

use std::collections::{BTreeSet, BinaryHeap};

use gix::hash::ObjectId;
use gix::hashtable::{HashMap as IdMap, HashSet as IdSet};
use gix::objs::Kind;
use lock_model::CommitId;

use crate::commits::{CommitFacts, parse_commit};
use crate::reader::Objects;
use crate::{Git, GitError, operand};

/// What walks need of a commit.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    time: i64,
    parents: Vec<ObjectId>,
}

/// A walk over one repository.
struct Walk<'a> {
    git: &'a Git,
    objects: Objects<'a>,
    /// The commits whose parents a shallow clone leaves out.
    cut: BTreeSet<ObjectId>,
}

impl<'a> Walk<'a> {
    fn new(git: &'a Git) -> Self {
        let file = std::fs::read_to_string(git.common_dir().join("shallow")).unwrap_or_default();
        let cut = file.lines().filter_map(|line| ObjectId::from_hex(line.as_bytes()).ok()).collect();
        Self { git, objects: git.objects(), cut }
    }

    fn commit(&self, revision: &str) -> Result<ObjectId, GitError> {
        operand::revision(revision)?;
        let missing = || GitError::not_found(revision);
        let id = self.objects.named(revision)?.ok_or_else(missing)?;
        self.objects.peel(id, Kind::Commit)?.map(|(id, _)| id).ok_or_else(missing)
    }

    fn node(&self, id: ObjectId) -> Result<Node, GitError> {
        let mut walked = self.git.reader.walked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut node = if let Some(node) = walked.get(&id) {
            node.clone()
        } else {
            let node = self.read(id)?;
            walked.insert(id, node.clone());
            node
        };
        if self.cut.contains(&id) {
            node.parents.clear();
        }
        Ok(node)
    }

    fn facts(&self, id: ObjectId) -> Result<CommitFacts, GitError> {
        let object = self.objects.find(id)?.filter(|object| object.kind == Kind::Commit);
        let object = object.ok_or_else(|| GitError::not_found(id.to_string()))?;
        parse_commit(id, &object.data).ok_or_else(|| GitError::unreadable(id.to_string(), "it is no whole commit"))
    }

    fn read(&self, id: ObjectId) -> Result<Node, GitError> {
        let facts = self.facts(id)?;
        let parents = facts.parents.iter().filter_map(|parent| self.objects.id(parent.as_str())).collect();
        Ok(Node { time: facts.committer_time.as_unix_seconds(), parents })
    }

    /// Everything that can be reached from some commits without a passed one, newest first as far as the times say;
    /// `visit` answers whether to go on.
    fn newest_first(
        &self,
        tips: &[ObjectId],
        passed: &IdSet<ObjectId>,
        mut visit: impl FnMut(ObjectId, &Node) -> bool,
    ) -> Result<IdSet<ObjectId>, GitError> {
        let mut seen: IdSet<ObjectId> = IdSet::default();
        let mut waiting = BinaryHeap::new();
        let mut next: Vec<ObjectId> = tips.to_vec();
        loop {
            for id in next.drain(..) {
                if !passed.contains(&id) && seen.insert(id) {
                    waiting.push((self.node(id)?.time, id));
                }
            }
            let Some((_, id)) = waiting.pop() else { return Ok(seen) };
            let node = self.node(id)?;
            if !visit(id, &node) {
                return Ok(seen);
            }
            next.extend(node.parents);
        }
    }

    fn history(&self, tip: ObjectId) -> Result<IdSet<ObjectId>, GitError> {
        self.newest_first(&[tip], &IdSet::default(), |_, _| true)
    }
}

impl Git {
    /// Whether `ancestor` is reachable from `descendant`; a commit is its own ancestor.
    pub fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool, GitError> {
        let walk = Walk::new(self);
        let (ancestor, descendant) = (walk.commit(ancestor)?, walk.commit(descendant)?);
        let mut is_found = false;
        walk.newest_first(&[descendant], &IdSet::default(), |id, _| {
            is_found |= id == ancestor;
            !is_found
        })?;
        Ok(is_found)
    }

    /// The best common ancestor of two commits, the newest where there are several; nothing for unrelated histories.
    pub fn merge_base(&self, one: &str, other: &str) -> Result<Option<CommitId>, GitError> {
        let walk = Walk::new(self);
        let (one, other) = (walk.commit(one)?, walk.commit(other)?);
        let (mut common, others) = (walk.history(one)?, walk.history(other)?);
        common.retain(|id| others.contains(id));
        // What another common ancestor has in its history is not the best.
        let mut best = common.clone();
        for id in &common {
            for parent in walk.node(*id)?.parents {
                best.remove(&parent);
            }
        }
        let mut newest = None;
        for id in best {
            newest = newest.max(Some((walk.node(id)?.time, id)));
        }
        Ok(newest.map(|(_, id)| commit_id(id)))
    }

    /// The line of first parents of a commit, itself first.
    pub fn first_parents(&self, tip: &str) -> Result<Vec<CommitId>, GitError> {
        let walk = Walk::new(self);
        let mut next = Some(walk.commit(tip)?);
        let mut line = Vec::new();
        while let Some(id) = next {
            line.push(commit_id(id));
            next = walk.node(id)?.parents.first().copied();
        }
        Ok(line)
    }

    /// Those of some tips that have a commit in their history, or are it.
    pub fn containing(&self, commit: &CommitId, tips: &[&CommitId]) -> Result<BTreeSet<CommitId>, GitError> {
        let walk = Walk::new(self);
        let commit = walk.commit(commit.as_str())?;
        let tips: Vec<ObjectId> = tips.iter().map(|tip| walk.commit(tip.as_str())).collect::<Result<_, _>>()?;
        let mut children: IdMap<ObjectId, Vec<ObjectId>> = IdMap::default();
        walk.newest_first(&tips, &IdSet::default(), |id, node| {
            for parent in &node.parents {
                children.entry(*parent).or_default().push(id);
            }
            true
        })?;
        let mut holders: IdSet<ObjectId> = IdSet::default();
        let mut waiting = vec![commit];
        while let Some(id) = waiting.pop() {
            if holders.insert(id) {
                waiting.extend(children.get(&id).into_iter().flatten());
            }
        }
        Ok(tips.into_iter().filter(|tip| holders.contains(tip)).map(commit_id).collect())
    }

    /// What some commits have in their history and another one has not, newest first.
    pub fn commits_without(&self, heads: &[&CommitId], without: &CommitId) -> Result<Vec<CommitFacts>, GitError> {
        let walk = Walk::new(self);
        let known = walk.history(walk.commit(without.as_str())?)?;
        let heads: Vec<ObjectId> = heads.iter().map(|head| walk.commit(head.as_str())).collect::<Result<_, _>>()?;
        let mut ids = Vec::new();
        walk.newest_first(&heads, &known, |id, _| {
            ids.push(id);
            true
        })?;
        ids.into_iter().map(|id| walk.facts(id)).collect()
    }
}

pub(crate) fn commit_id(id: ObjectId) -> CommitId {
    CommitId::try_from(id.to_string()).expect("an object id is 40 or 64 lower-case hexadecimal digits")
}
