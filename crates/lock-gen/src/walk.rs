//! Walks two histories at once.
//!
//! All of both is read: walks that stop early trust the times in commits, and a wrong clock makes their answer wrong.

use std::collections::BinaryHeap;

use gix::hash::ObjectId;
use gix::hashtable::HashMap as IdMap;
use lock_model::{CommitId, Timestamp};

use crate::objects::{Objects, commit_id, unreadable};
use crate::{CommitLine, Commits, Direction, History, ReadError};

const OLD: u8 = 1;
const NEW: u8 = 2;

/// A commit on the way: from which side it is reached, its time, and how many parents it has.
#[derive(Clone, Debug)]
struct Node {
    sides: u8,
    time: i64,
    parents: Vec<ObjectId>,
}

/// What one commit has and another has not, and the reverse. All of both histories must be here.
pub(crate) fn between(
    objects: &Objects,
    before: &CommitId,
    after: &CommitId,
    limit: usize,
) -> Result<History, ReadError> {
    let id = |commit: &CommitId| {
        objects.object_id(commit.as_str()).ok_or_else(|| ReadError::NotFound { what: commit.to_string() })
    };
    let (old, new) = (id(before)?, id(after)?);
    let mut repository = objects.repository();
    repository.object_cache_size_if_unset(4 * 1024 * 1024);
    let nodes = paint(&repository, old, new)?;
    let common = nodes.values().any(|node| node.sides == OLD | NEW);
    let added = side(&repository, &nodes, NEW, limit)?;
    let removed = side(&repository, &nodes, OLD, limit)?;
    let direction = match (added.count, removed.count) {
        (0, 0) => Direction::Same,
        (_, 0) => Direction::Forward,
        (0, _) => Direction::Backward,
        (_, _) if common => Direction::Diverged,
        (_, _) => Direction::Unrelated,
    };
    Ok(History { direction, added, removed })
}

fn paint(repository: &gix::Repository, old: ObjectId, new: ObjectId) -> Result<IdMap<ObjectId, Node>, ReadError> {
    let mut nodes: IdMap<ObjectId, Node> = IdMap::default();
    let mut pending = vec![(old, OLD), (new, NEW)];
    let mut buffer = Vec::new();
    while let Some((id, sides)) = pending.pop() {
        let node = match nodes.entry(id) {
            gix::hashtable::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            gix::hashtable::hash_map::Entry::Vacant(entry) => entry.insert(read(repository, id, &mut buffer)?),
        };
        // Seen from this side already, and so were its parents.
        if node.sides & sides == sides {
            continue;
        }
        node.sides |= sides;
        let sides = node.sides;
        pending.extend(node.parents.iter().map(|parent| (*parent, sides)));
    }
    Ok(nodes)
}

fn read(repository: &gix::Repository, id: ObjectId, buffer: &mut Vec<u8>) -> Result<Node, ReadError> {
    let commit = find(repository, id, buffer)?;
    let time =
        commit.committer().map_err(|error| unreadable(&id, error))?.time().map_err(|error| unreadable(&id, error))?;
    Ok(Node { sides: 0, time: time.seconds, parents: commit.parents().collect() })
}

fn find<'a>(
    repository: &gix::Repository,
    id: ObjectId,
    buffer: &'a mut Vec<u8>,
) -> Result<gix::objs::CommitRef<'a>, ReadError> {
    use gix::prelude::FindExt as _;
    repository.objects.find_commit(&id, buffer).map_err(|error| unreadable(&id, error))
}

fn side(
    repository: &gix::Repository,
    nodes: &IdMap<ObjectId, Node>,
    side: u8,
    limit: usize,
) -> Result<Commits, ReadError> {
    // How many children of each commit are still to come: none of them may follow its parent, whatever the times say.
    let mut children: IdMap<ObjectId, usize> = IdMap::default();
    let on_side = || nodes.iter().filter(|(_, node)| node.sides == side);
    for (_, node) in on_side() {
        for parent in &node.parents {
            *children.entry(*parent).or_default() += 1;
        }
    }
    let ready = on_side().filter(|(id, _)| !children.contains_key(*id)).map(|(id, node)| (node.time, *id));
    let mut ready: BinaryHeap<(i64, ObjectId)> = ready.collect();
    let mut newest = Vec::new();
    let mut buffer = Vec::new();
    while newest.len() < limit {
        let Some((_, id)) = ready.pop() else { break };
        let Some(node) = nodes.get(&id) else { continue };
        for parent in &node.parents {
            let waiting = children.entry(*parent).or_default();
            *waiting = waiting.saturating_sub(1);
            if let Some(above) = nodes.get(parent).filter(|above| *waiting == 0 && above.sides == side) {
                ready.push((above.time, *parent));
            }
        }
        let commit = find(repository, id, &mut buffer)?;
        let author = commit.author().map_err(|error| unreadable(&id, error))?;
        newest.push(CommitLine {
            id: commit_id(id),
            subject: first_line(commit.message),
            author: first_line(author.name),
            time: Timestamp::from_unix_seconds(node.time),
            is_merge: node.parents.len() > 1,
        });
    }
    Ok(Commits { count: on_side().count(), newest })
}

/// The first line that has something in it, as git takes it for the subject; never long.
fn first_line(text: &[u8]) -> String {
    let line = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    String::from_utf8_lossy(line.unwrap_or_default()).chars().take(300).collect()
}
