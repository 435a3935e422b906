//! The rules of the ledger's branch: each commit that is to come onto it is looked at here and judged by
//! [`ledger::append_rules`].

use std::collections::{BTreeMap, BTreeSet};

use git::MODE_FILE;
use ledger::append_rules::{
    Outline, PathChange, Permission, Pusher, decides_rollback, decides_way_back, is_step_of, permission, way_back,
};
use ledger::{MAX_RECORD_BYTES, Record, Seen, Step, StepResult};
use lock_model::{CommitId, Digest};

use super::LocalForge;
use crate::error::ForgeError;
use crate::model::{LEDGER_BRANCH, Role, User};

/// The largest commit, without its files, on a branch that everybody reads.
const MAX_COMMIT_OBJECT_BYTES: u64 = 64 * 1024;

/// The answer, or the reason why the branch does not give one.
type Readable<T> = Result<T, String>;

impl User {
    /// The user as the ledger's rules look at it.
    pub fn as_pusher(&self) -> Pusher<'_> {
        Pusher { name: self.name.as_str(), bot: self.bot, admin: self.role == Role::Admin }
    }
}

impl LocalForge {
    /// Why the commits up to `new` may not come onto the ledger's branch; nothing where they may. `old` is the branch's
    /// tip, which `new` continues; absent where the branch begins.
    pub(crate) fn judge_ledger(
        &self,
        user: &User,
        old: Option<&CommitId>,
        new: &CommitId,
    ) -> Result<Vec<String>, ForgeError> {
        let one_further = match (self.commit_facts(new)?.parents.as_slice(), old) {
            ([parent], Some(old)) => parent == old,
            ([], None) => true,
            (_, _) => false,
        };
        if one_further {
            return self.judge_record(user, old, new);
        }
        let known = old.map(|old| format!("^{old}"));
        let range = || ["--reverse", "--topo-order", new.as_str()].into_iter().chain(known.as_deref());
        let merges: Vec<&str> = ["--min-parents=2"].into_iter().chain(range()).collect();
        if let Some(merge) = self.git.rev_list(&merges)?.first() {
            return Ok(vec![format!("commit {} is a merge: the ledger's branch has one line", merge.short(12))]);
        }
        // Without a merge each commit follows the one before it.
        let mut parent = old.cloned();
        for commit in self.git.rev_list(&range().collect::<Vec<_>>())? {
            let reasons = self.judge_record(user, parent.as_ref(), &commit)?;
            if !reasons.is_empty() {
                let of_commit = |reason| format!("commit {}: {reason}", commit.short(12));
                return Ok(reasons.into_iter().map(of_commit).collect());
            }
            parent = Some(commit);
        }
        Ok(Vec::new())
    }

    fn judge_record(
        &self,
        user: &User,
        parent: Option<&CommitId>,
        commit: &CommitId,
    ) -> Result<Vec<String>, ForgeError> {
        if let Some(reason) = self.is_too_large(commit)? {
            return Ok(vec![reason]);
        }
        if let Some(folder) = self.git.unusual_folder(commit.as_str(), parent.map(CommitId::as_str))? {
            let folder = match folder.as_str() {
                "" => "the top folder".to_owned(),
                path => format!("folder `{}`", lock_model::escaping::escape_short(path, 120)),
            };
            return Ok(vec![format!(
                "{folder} is not as git writes folders: a name twice, entries out of order, or nothing in it"
            )]);
        }
        let (changes, blobs) = self.changes(parent, commit)?;
        let outline = match Outline::of(&changes) {
            Ok(outline) => outline,
            Err(reasons) => return Ok(reasons),
        };
        let paths: Vec<&str> = [outline.record_path()].into_iter().chain(outline.document_paths()).collect();
        let ids: Vec<&str> = paths.iter().filter_map(|path| blobs.get(*path)).map(String::as_str).collect();
        let files: BTreeMap<&str, Vec<u8>> = paths.into_iter().zip(self.git.read_blobs(&ids)?).collect();
        let newest = match self.find_record(parent, |_| true)? {
            Ok(newest) => newest.map(|(record, digest)| Seen { seq: record.seq, digest }),
            Err(reason) => return Ok(vec![reason]),
        };
        let content = |path: &str| files.get(path).map(Vec::as_slice).unwrap_or_default();
        let record = match outline.record(content, newest.as_ref()) {
            Ok(record) => record,
            Err(reasons) => return Ok(reasons),
        };
        let mut reasons = Vec::new();
        for evidence in outline.missing(&record) {
            let there = match parent {
                Some(parent) => !self.git.list_files(parent.as_str(), Some(&evidence.path()))?.is_empty(),
                None => false,
            };
            if !there {
                reasons.push(format!("the record names `{}`, which is not there", evidence.path()));
            }
        }
        match permission(&record.entry, &user.as_pusher()) {
            Permission::Granted => {}
            Permission::Denied(reason) => reasons.push(reason),
            Permission::BeginsRollback => {
                let allowed = match self.find_record(parent, |other| decides_way_back(other, &record.entry))? {
                    Ok(decider) => way_back(decider.as_ref().map(|(decider, _)| decider), &record.entry),
                    Err(reason) => Err(reason),
                };
                reasons.extend(allowed.err());
            }
            Permission::InOwnRollback => {
                let decides = |other: &Record| {
                    record.entry.environment.as_ref().is_some_and(|environment| decides_rollback(other, environment))
                };
                let allowed = match self.find_record(parent, decides)? {
                    Ok(decider) => is_step_of(&record.entry, decider.as_ref().map(|(decider, _)| decider)),
                    Err(reason) => Err(reason),
                };
                reasons.extend(allowed.err());
            }
        }
        Ok(reasons)
    }

    /// Why a commit object is too large, apart from its files: every reader of the branch loads it.
    pub(crate) fn is_too_large(&self, commit: &CommitId) -> Result<Option<String>, ForgeError> {
        let size = self.git.object_size(commit.as_str())?;
        let reason =
            || format!("its message and headers have {size} bytes; at most {MAX_COMMIT_OBJECT_BYTES} are allowed");
        Ok((size > MAX_COMMIT_OBJECT_BYTES).then(reason))
    }

    /// What a commit does, and the blobs that it adds, by path.
    fn changes(
        &self,
        parent: Option<&CommitId>,
        commit: &CommitId,
    ) -> Result<(Vec<PathChange>, BTreeMap<String, String>), ForgeError> {
        let mut changes = Vec::new();
        let mut blobs = BTreeMap::new();
        let mut look = |path: String, is_new: bool, mode: u32, id: String| {
            let added_bytes = (is_new && mode == MODE_FILE).then_some(0);
            if added_bytes.is_some() {
                blobs.insert(path.clone(), id);
            }
            changes.push(PathChange { path, added_bytes });
        };
        match parent {
            Some(parent) => {
                for change in self.git.diff_names(parent.as_str(), commit.as_str())? {
                    look(change.path, change.status == 'A', change.mode, change.id);
                }
            }
            None => {
                for entry in self.git.list_files(commit.as_str(), None)? {
                    look(entry.path, true, entry.mode, entry.id);
                }
            }
        }
        let ids: Vec<&str> = blobs.values().map(String::as_str).collect();
        let sizes: BTreeMap<&str, u64> = blobs.keys().map(String::as_str).zip(self.git.blob_sizes(&ids)?).collect();
        for change in &mut changes {
            change.added_bytes = change.added_bytes.and(sizes.get(change.path.as_str()).copied());
        }
        Ok((changes, blobs))
    }

    /// The newest record at a commit of the ledger's branch that is `wanted`, with the digest of its bytes. Older records
    /// are read only as far as that takes; that the chain holds is for the readers of the ledger to find out.
    fn find_record(
        &self,
        commit: Option<&CommitId>,
        mut wanted: impl FnMut(&Record) -> bool,
    ) -> Result<Readable<Option<(Record, Digest)>>, ForgeError> {
        let Some(commit) = commit else { return Ok(Ok(None)) };
        let unreadable = |what: &str| Ok(Err(format!("`{LEDGER_BRANCH}` is broken: `{what}` is no record")));
        let mut folders = Vec::new();
        for folder in self.git.list_folder(commit.as_str(), "records")? {
            let Ok(number) = folder.name.parse::<u64>() else { return unreadable(&format!("records/{}", folder.name)) };
            folders.push((number, folder.name));
        }
        folders.sort_unstable();
        for (_, folder) in folders.into_iter().rev() {
            let folder = format!("records/{folder}");
            let mut files = self.git.list_folder(commit.as_str(), &folder)?;
            files.sort_unstable();
            files.reverse();
            // Most questions are answered by the newest.
            let (newest, older) = files.split_at(1.min(files.len()));
            for files in [newest, older] {
                if let Some(other) = files.iter().find(|file| file.mode != MODE_FILE) {
                    return unreadable(&format!("{folder}/{}", other.name));
                }
                let ids: Vec<&str> = files.iter().map(|file| file.id.as_str()).collect();
                let sizes = self.git.blob_sizes(&ids)?;
                if let Some(large) = sizes.iter().position(|size| *size > MAX_RECORD_BYTES as u64) {
                    return unreadable(&format!("{folder}/{}", files[large].name));
                }
                for (file, bytes) in files.iter().zip(self.git.read_blobs(&ids)?) {
                    let Ok(record) = Record::parse(&bytes) else {
                        return unreadable(&format!("{folder}/{}", file.name));
                    };
                    if wanted(&record) {
                        return Ok(Ok(Some((record, Digest::of(&bytes)))));
                    }
                }
            }
        }
        Ok(Ok(None))
    }

    /// The rollbacks that this user began and that still hold their environments, newest first; without those to a lock
    /// that was rejected since.
    pub(crate) fn own_rollbacks(&self, user: &User) -> Result<Readable<Vec<Record>>, ForgeError> {
        let ledger = self.git.commit(&format!("refs/heads/{LEDGER_BRANCH}"))?.map(|commit| commit.id);
        let (mut own, mut decided, mut rejected) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let mut look = |record: &Record| {
            if record.is(Step::Reject, StepResult::Ok) {
                rejected.extend(record.entry.lock.clone());
            }
            let Some(environment) = &record.entry.environment else { return };
            let decides = decides_rollback(record, environment) && decided.insert(environment.clone());
            let is_rejected = record.entry.lock.as_ref().is_some_and(|lock| rejected.contains(lock));
            if decides && record.opens_rollback() && record.entry.run.actor == user.name.as_str() && !is_rejected {
                own.push(record.clone());
            }
        };
        let read = self.find_record(ledger.as_ref(), |record| {
            look(record);
            false
        })?;
        Ok(read.map(|_| own))
    }
}
