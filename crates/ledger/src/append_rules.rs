//! What a forge lets onto the ledger's branch, commit by commit: one valid record that continues the chain, the documents
//! that it names, and nothing else; and from a person only what a person decides.
//!
//! The forge looks at a commit ([`PathChange`]) and at what its parent holds ([`Seen`]); nothing here reads a repository.
//! [`Outline::of`] judges by names and sizes, so that nothing large is read; [`Outline::record`] judges the content;
//! [`permission`] says who may write it.

use std::collections::BTreeMap;
use std::error::Error as _;

use lock_model::{Digest, EnvironmentName};

use crate::{Evidence, Ledger, MAX_RECORD_BYTES, NewRecord, Record, RecordDraft, Seen, Step, StepResult, Unreviewed};

/// The largest document that is kept beside a record.
pub const MAX_DOCUMENT_BYTES: u64 = 4 * 1024 * 1024;
/// The most that one commit adds to the ledger's branch.
pub const MAX_COMMIT_BYTES: u64 = 16 * 1024 * 1024;

const RECORDS: &str = "records/";
const DOCUMENTS: &str = "evidence/sha256/";
/// How many reasons of one kind are listed.
const LISTED: usize = 5;

/// What a commit does to one path of the ledger's branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathChange {
    /// The path from the top of the tree.
    pub path: String,
    /// The size of a plain file that was not there before; `None` for everything else: a file that was edited or
    /// removed, a link, a submodule, an executable file.
    pub added_bytes: Option<u64>,
}

/// A commit that has the form of an append: which files it adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    record: String,
    documents: BTreeMap<String, String>,
}

impl Outline {
    /// Judges which paths a commit touches, and how large they are; the error has every reason.
    pub fn of(changes: &[PathChange]) -> Result<Self, Vec<String>> {
        let mut reasons = Vec::new();
        let mut records = Vec::new();
        let mut documents = BTreeMap::new();
        let mut total = 0_u64;
        let (mut touched, mut foreign) = (Vec::new(), Vec::new());
        for PathChange { path, added_bytes } in changes {
            let Some(bytes) = *added_bytes else {
                touched.push(path.as_str());
                continue;
            };
            total = total.saturating_add(bytes);
            let most = if path.starts_with(RECORDS) {
                records.push(path.clone());
                MAX_RECORD_BYTES as u64
            } else if let Some(digest) = path.strip_prefix(DOCUMENTS).filter(|hex| is_hex_digest(hex)) {
                documents.insert(digest.to_owned(), path.clone());
                MAX_DOCUMENT_BYTES
            } else {
                foreign.push(path.as_str());
                continue;
            };
            if bytes > most {
                reasons.push(format!("`{}` has {bytes} bytes; at most {most} are allowed", escaped(path)));
            }
        }
        list(&mut reasons, &touched, "was there before and is changed, or is no plain file: the ledger only grows");
        list(&mut reasons, &foreign, "is neither a record nor a document of the ledger");
        if total > MAX_COMMIT_BYTES {
            reasons.push(format!("it adds {total} bytes; at most {MAX_COMMIT_BYTES} are allowed"));
        }
        match (records.len(), records.pop()) {
            (1, Some(record)) if reasons.is_empty() => return Ok(Self { record, documents }),
            (1, _) => {}
            (count, _) => reasons.push(format!("it adds {count} records; each commit adds one")),
        }
        Err(reasons)
    }

    /// The path of the record.
    pub fn record_path(&self) -> &str {
        &self.record
    }

    /// The paths of the documents.
    pub fn document_paths(&self) -> impl Iterator<Item = &str> {
        self.documents.values().map(String::as_str)
    }

    /// Judges what the files hold: `read` gives the content of a path that this outline names, and `newest` is the newest
    /// record before the commit. Whether the branch has the documents that the commit does not bring is for the caller
    /// to find out ([`missing`](Self::missing)).
    pub fn record<B: AsRef<[u8]>>(
        &self,
        read: impl Fn(&str) -> B,
        newest: Option<&Seen>,
    ) -> Result<Record, Vec<String>> {
        let path = escaped(&self.record);
        let record = Record::parse(read(&self.record).as_ref()).map_err(|error| {
            let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            vec![format!("`{path}` is no record: {error}{why}")]
        })?;
        let mut reasons = Vec::new();
        let next = newest.map_or(1, |newest| newest.seq + 1);
        if record.seq != next {
            reasons.push(format!("`{path}` has the number {}, and {next} is the next", record.seq));
        } else if record.previous.as_ref() != newest.map(|newest| &newest.digest) {
            reasons.push(format!("`{path}` does not continue the record before it"));
        }
        if record.file_name() != self.record {
            reasons.push(format!("`{path}` should be named `{}`", record.file_name()));
        }
        for (hex, path) in &self.documents {
            if Digest::of(read(path).as_ref()).hex() != hex {
                reasons.push(format!("`{path}` has another content than its name says"));
            }
            if !record.entry.evidence.iter().any(|evidence| evidence.sha256.hex() == hex) {
                reasons.push(format!("the record does not name `{path}`"));
            }
        }
        if reasons.is_empty() { Ok(record) } else { Err(reasons) }
    }

    /// The documents that the record names and the commit does not bring.
    pub fn missing<'a>(&self, record: &'a Record) -> impl Iterator<Item = &'a Evidence> {
        record.entry.evidence.iter().filter(|evidence| !self.documents.contains_key(evidence.sha256.hex()))
    }
}

/// Who brings a record to the ledger, by the forge's own data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pusher<'a> {
    /// The login.
    pub name: &'a str,
    /// Whether it is a program.
    pub bot: bool,
    /// Whether it administers the forge.
    pub admin: bool,
}

/// Whether a user may write a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Granted,
    /// It may begin a rollback to what the environment has proven or taken over: [`way_back`] looks at the record that
    /// [`decides_way_back`] finds.
    BeginsRollback,
    /// It may as a step of a rollback of this release that the same person began and that still holds the environment:
    /// [`is_step_of`] looks at the record that [`decides_rollback`] finds.
    InOwnRollback,
    /// It may not, for this reason.
    Denied(String),
}

/// Who may write a record: a bot everything but decisions about policies, an administrator those; a person a hold, the
/// end of one, a rejection, and a rollback with its steps. What is recorded carries the name of who brings it, unless a
/// bot does.
pub fn permission(entry: &RecordDraft, pusher: &Pusher<'_>) -> Permission {
    let (step, name) = (entry.step, pusher.name);
    if step == Step::Policy {
        return match (pusher.bot, pusher.admin) {
            (false, true) => under_own_name(entry, pusher),
            (false, false) => Permission::Denied(format!(
                "`{name}` is no administrator of the forge, and only an administrator records `{step}`"
            )),
            (true, _) => Permission::Denied(format!(
                "`{name}` is a bot: `{step}` is recorded by the administrator who decides it"
            )),
        };
    }
    if pusher.bot {
        return Permission::Granted;
    }
    match step {
        Step::Hold | Step::Unhold | Step::Reject | Step::BreakLease => under_own_name(entry, pusher),
        Step::Rollback if entry.result == StepResult::Started => match under_own_name(entry, pusher) {
            Permission::Granted => Permission::BeginsRollback,
            denied @ (Permission::BeginsRollback | Permission::InOwnRollback | Permission::Denied(_)) => denied,
        },
        Step::Rollback | Step::Gates | Step::Health | Step::Deploy | Step::Verify | Step::Suite | Step::Proof => {
            match under_own_name(entry, pusher) {
                Permission::Granted => Permission::InOwnRollback,
                denied @ (Permission::BeginsRollback | Permission::InOwnRollback | Permission::Denied(_)) => denied,
            }
        }
        Step::LockCommit | Step::Promote | Step::Release | Step::Policy => Permission::Denied(format!(
            "`{name}` is a person, and a person records `hold`, `unhold`, `reject` and a rollback; `{step}` comes from a bot"
        )),
    }
}

fn under_own_name(entry: &RecordDraft, pusher: &Pusher<'_>) -> Permission {
    let actor = entry.run.actor.as_str();
    if actor == pusher.name {
        return Permission::Granted;
    }
    Permission::Denied(format!("the record names `{}`, and `{}` brings it", escaped(actor), pusher.name))
}

/// Whether the record says if the rollback that `opener` begins can be: the environment proved this very commit of the
/// release with this lock, a bot took the release over from an older pipeline, or the lock was rejected. The newest such
/// record decides.
pub fn decides_way_back(record: &Record, opener: &RecordDraft) -> bool {
    rejects(record, opener) || can_be_gone_back_to(record, opener)
}

/// Whether a person may begin this rollback; the error says why not. `decider` is the newest record that
/// [`decides_way_back`].
pub fn way_back(decider: Option<&Record>, opener: &RecordDraft) -> Result<(), String> {
    let person = escaped(&opener.run.actor);
    match decider {
        Some(record) if rejects(record, opener) => {
            Err(format!("the lock of this release was rejected (record {}), and is never deployed again", record.seq))
        }
        Some(_) => Ok(()),
        None => Err(format!(
            "`{person}` is a person, and begins a rollback only to a release and commit that the environment has proven, \
             or that a bot migrated"
        )),
    }
}

fn rejects(record: &Record, opener: &RecordDraft) -> bool {
    record.is(Step::Reject, StepResult::Ok) && record.entry.lock == opener.lock
}

fn can_be_gone_back_to(record: &Record, opener: &RecordDraft) -> bool {
    let entry = &record.entry;
    let is_reason = record.is(Step::Proof, StepResult::Ok)
        || record.is(Step::LockCommit, StepResult::Ok) && entry.unreviewed == Some(Unreviewed::Migrated);
    is_reason && entry.release.is_some() && entry.environment == opener.environment && is_same_content(entry, opener)
}

/// Whether both are about the same release, lock and commit.
fn is_same_content(one: &RecordDraft, other: &RecordDraft) -> bool {
    (&one.release, &one.commit, &one.lock, &one.lock_file)
        == (&other.release, &other.commit, &other.lock, &other.lock_file)
}

/// Why a record that [`Ledger::next`] made may not be appended: what the rules above say of the commit that would bring
/// it, from memory. Nothing where it may. `documents` are all that the record names, in its order.
pub fn append_reasons(
    ledger: &Ledger,
    new: &NewRecord,
    documents: &[impl AsRef<[u8]>],
    pusher: &Pusher<'_>,
) -> Vec<String> {
    let mut files = BTreeMap::from([(new.file_name.clone(), new.bytes.as_slice())]);
    for (evidence, document) in new.record.entry.evidence.iter().zip(documents) {
        files.insert(evidence.path(), document.as_ref());
    }
    let added =
        |(path, bytes): (&String, &&[u8])| PathChange { path: path.clone(), added_bytes: Some(bytes.len() as u64) };
    let content = |path: &str| files.get(path).copied().unwrap_or_default();
    let judged = Outline::of(&files.iter().map(added).collect::<Vec<_>>()).and_then(|outline| {
        let record = outline.record(content, ledger.seen().as_ref())?;
        let missing = |evidence: &Evidence| format!("the record names `{}`, which is not there", evidence.path());
        Ok((outline.missing(&record).map(missing).collect::<Vec<_>>(), record))
    });
    let (mut reasons, record) = match judged {
        Ok(judged) => judged,
        Err(reasons) => return reasons,
    };
    match permission(&record.entry, pusher) {
        Permission::Granted => {}
        Permission::Denied(reason) => reasons.push(reason),
        Permission::BeginsRollback => {
            let decider = ledger.records().iter().rfind(|other| decides_way_back(other, &record.entry));
            reasons.extend(way_back(decider, &record.entry).err());
        }
        Permission::InOwnRollback => {
            let decides = |environment| ledger.of(environment).rfind(|other| decides_rollback(other, environment));
            reasons.extend(is_step_of(&record.entry, record.entry.environment.as_ref().and_then(decides)).err());
        }
    }
    reasons
}

/// Whether the record says if a rollback holds the environment: it began one, or it ended a hold. The newest such record
/// of the environment decides.
pub fn decides_rollback(record: &Record, environment: &EnvironmentName) -> bool {
    record.entry.environment.as_ref() == Some(environment)
        && (record.opens_rollback() || record.is(Step::Unhold, StepResult::Ok))
}

/// Whether the entry is a step of the rollback that `decider` began; the error says why not. `decider` is the newest
/// record of the environment that [`decides_rollback`].
pub fn is_step_of(entry: &RecordDraft, decider: Option<&Record>) -> Result<(), String> {
    let (step, actor) = (entry.step, escaped(&entry.run.actor));
    let denied = |why: String| {
        Err(format!("`{actor}` is a person, and `{step}` comes from a bot, except in a rollback of one's own: {why}"))
    };
    let Some(opened) = decider.filter(|record| record.opens_rollback()) else {
        return denied("no rollback holds the environment".to_owned());
    };
    if opened.entry.run.actor != entry.run.actor {
        return denied(format!("`{}` began the one of record {}", escaped(&opened.entry.run.actor), opened.seq));
    }
    if opened.entry.release != entry.release {
        return denied(format!("the one of record {} is to another release", opened.seq));
    }
    if opened.entry.commit != entry.commit {
        return denied(format!("the one of record {} is to that release at another commit", opened.seq));
    }
    if !is_same_content(&opened.entry, entry) {
        return denied(format!("the one of record {} is to another lock", opened.seq));
    }
    if entry.policy.is_some() {
        return denied("no rules judge it, so that its records name none".to_owned());
    }
    Ok(())
}

fn is_hex_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn escaped(text: &str) -> String {
    lock_model::escaping::escape_short(text, 120)
}

/// One reason for each of the first paths, and one for the rest.
fn list(reasons: &mut Vec<String>, paths: &[&str], what: &str) {
    reasons.extend(paths.iter().take(LISTED).map(|path| format!("`{}` {what}", escaped(path))));
    if let Some(more) = paths.len().checked_sub(LISTED).filter(|more| *more > 0) {
        reasons.push(format!("{more} more such paths"));
    }
}
