//! The lock commit: the images are resolved again, and the reviewed lock is committed only if the answer is the same.

use config::DirectPush;
use forge::{CommitOutcome, PullRequest, StatusState};
use ledger::{Ledger, LockFile as RecordedLock, RecordDraft, Step, StepResult, Unreviewed};
use lock_model::{CommitId, EnvironmentName, LOCK_FILE, Source, TreeId};

use super::merged_locks::{Arrivals, Compared};
use crate::branch_line::{PassOver, arrival};
use crate::context::{Context, branch_name};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::labels;
use crate::ledger_store::LedgerStore;
use crate::lock_builder::{self, Generated, Scope};
use crate::lock_folder::lock_files_on;
use crate::revision::{LockFile, Revision};

/// Status of the lock on a pull request's head, and on a commit that gets none.
pub(crate) const LOCK_STATUS: &str = "orchestrator/lock";
/// Name of the published lock among a pull request's artefacts.
pub(crate) const LOCK_ARTEFACT: &str = "lock.yaml";

/// What became of the lock commit.
#[derive(Debug)]
pub(crate) enum LockCommit {
    /// The commit with the lock, and a line about how it came to be.
    Ready {
        commit: CommitId,
        /// How the lock came to be there, in one line; absent where the environment commits no locks.
        note: Option<String>,
    },
    /// Something newer was pushed meanwhile; its own run goes on.
    Superseded { note: String },
}

/// What to do when the registry's answer is not the reviewed one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OnDifference<'a> {
    Refuse,
    /// Commit the new lock, recorded as unreviewed, for this reason.
    AcceptNew(&'a str),
}

/// Makes sure that the branch's newest commit carries its lock.
pub(crate) async fn lock_commit(
    context: &Context,
    store: &mut LedgerStore,
    environment: &EnvironmentName,
    branch: &str,
    tip: &Revision,
    on_difference: OnDifference<'_>,
) -> Result<LockCommit> {
    if let Some(lock) = tip.lock(context)?
        && tip.mismatches(&lock.lock).is_empty()
        && stays(context, store, branch, tip, &lock).await?
    {
        return already_there(context, store, environment, branch, tip, &lock).await;
    }
    tip.forge()?;
    // What another tool committed to `locks/` since the merge decides nothing.
    let merge = arrival(context, &tip.commit, PassOver::ForeignFiles)?.commit;
    let merged = merged_pull_request(context, branch, &merge).await?;
    let made = match merged {
        Some(pull_request) => {
            let merge = Merge { commit: &merge, pull_request: &pull_request };
            reviewed(context, store.ledger(), (environment, branch), tip, merge, on_difference).await?
        }
        None => match tip.forge()?.direct_push {
            DirectPush::Refuse => return Err(direct_push(context, branch, tip).await?),
            DirectPush::Relock => {
                let generated =
                    lock_builder::generate(context, tip, source(tip, None, &tip.commit, &tip.tree), Scope::default())
                        .await?;
                let reason = "the commit came without a pull request".to_owned();
                let unreviewed = Some(Unreviewed::DirectPush);
                ToCommit { lock: locked(generated)?, unreviewed, reason: Some(reason), pulls: Vec::new() }
            }
        },
    };
    commit(context, store, environment, branch, tip, &made).await
}

/// Whether the lock in the tree, whose gitlinks are the tree's, is also the lock of this commit.
///
/// It is if a run committed it for this commit. A later commit without new gitlinks keeps the lock if it came by a pull
/// request and its configuration makes the same lock. Two cases are left to the gates, which name them: a lock that no
/// run committed, and a lock whose reviewed commit is not in the history.
async fn stays(context: &Context, store: &LedgerStore, branch: &str, tip: &Revision, lock: &LockFile) -> Result<bool> {
    match store.ledger().lock_file(&lock.digest, lock.lock.id()) {
        // No run committed this file: the caller refuses it by name.
        RecordedLock::Unknown => return Ok(true),
        RecordedLock::Committed { .. } | RecordedLock::Started { .. } => {}
    }
    let arrived = arrival(context, &tip.commit, PassOver::ForeignFilesAndTheLock)?;
    let is_its = |commit: &CommitId| *commit == arrived.commit || arrived.above.contains(commit);
    let committed_for_it = store.ledger().records().iter().any(|record| {
        record.entry.step == Step::LockCommit
            && record.entry.lock_file.as_ref() == Some(&lock.digest)
            && record.entry.commit.as_ref().is_some_and(is_its)
    });
    if committed_for_it {
        return Ok(true);
    }
    let head = lock.lock.source().head.as_str();
    let reviewed = context.commit(head)?.is_some() && context.is_ancestor(head, tip.commit.as_str())?;
    if !reviewed {
        return Ok(true);
    }
    Ok(merged_pull_request(context, branch, &arrived.commit).await?.is_some()
        && lock_builder::would_make(tip, &lock.lock)?)
}

/// Goes on with a lock that is in the tree already: it must be one that a run committed.
async fn already_there(
    context: &Context,
    store: &mut LedgerStore,
    environment: &EnvironmentName,
    branch: &str,
    tip: &Revision,
    lock: &LockFile,
) -> Result<LockCommit> {
    let note = match store.ledger().lock_file(&lock.digest, lock.lock.id()) {
        RecordedLock::Committed { seq } => format!("already committed (record {seq})"),
        RecordedLock::Started { seq } => {
            // A run ended between the commit and its record. The forge finds the same commit on the branch, and the
            // missing record is written now.
            let message = lock_message(lock);
            let parent = tip.parents.first();
            let files = lock_files_on(context, &tip.tree, lock)?;
            context.forge.commit_files(&branch_name(branch)?, parent, &files, &message).await?;
            let mut done = tip.record(context, environment, Step::LockCommit, StepResult::Ok, lock);
            if let Some(started) = store.ledger().record(seq) {
                done.unreviewed = started.entry.unreviewed;
                done.reason.clone_from(&started.entry.reason);
                done.pulls.clone_from(&started.entry.pulls);
            }
            store.append(context, done, &[], |_| Ok(())).await?;
            format!("already committed; the record that was missing after {seq} is written")
        }
        RecordedLock::Unknown => {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("`{LOCK_FILE}` is not the file that orchestrator committed"),
            )
            .problems([Problem::new(
                tip.commit.short(12).to_owned(),
                format!("lock {} with these bytes is in no record of the ledger", lock.lock.id()),
            )])
            .hint("restore the file of the last lock commit through a pull request, or remove it and run again"));
        }
    };
    Ok(LockCommit::Ready { commit: tip.commit.clone(), note: Some(note) })
}

/// The pull request whose merge this commit is.
pub(crate) async fn merged_pull_request(
    context: &Context,
    branch: &str,
    commit: &CommitId,
) -> Result<Option<PullRequest>> {
    let candidates = context.forge.pull_requests_of_commit(commit).await?;
    Ok(candidates.into_iter().find(|candidate| {
        candidate.base_branch.as_str() == branch
            && candidate.merge.as_ref().is_some_and(|merge| merge.commit == *commit)
    }))
}

/// A lock that is ready to be committed, and what its record says about it.
struct ToCommit {
    lock: LockFile,
    unreviewed: Option<Unreviewed>,
    reason: Option<String>,
    /// The pull requests that came with it.
    pulls: Vec<u64>,
}

/// The command that commits what the registry says now.
fn accept_new(environment: &EnvironmentName) -> String {
    format!("`orchestrator lock commit {environment} --accept-new --reason …`, recorded as unreviewed")
}

/// A pull request and the commit that merged it: the tip of the branch, or below it.
struct Merge<'a> {
    commit: &'a CommitId,
    pull_request: &'a PullRequest,
}

/// Resolves a merged pull request's tree again and compares the answer with what was published, also by the pull requests
/// that were merged since the last lock commit.
async fn reviewed(
    context: &Context,
    ledger: &Ledger,
    (environment, branch): (&EnvironmentName, &str),
    tip: &Revision,
    Merge { commit: merge, pull_request }: Merge<'_>,
    on_difference: OnDifference<'_>,
) -> Result<ToCommit> {
    let reachable = context.is_ancestor(pull_request.head.as_str(), tip.commit.as_str())?;
    if !reachable {
        return Err(not_a_merge(context, pull_request, tip).await?);
    }
    let missing = || Error::new(ErrorKind::Repository, format!("commit `{merge}` is not in this repository"));
    let merged = context.commit(merge.as_str())?.ok_or_else(missing)?;
    let base = merged.parents.first().unwrap_or(merge);
    let source = source(tip, Some((pull_request.number, &pull_request.head)), base, &merged.tree);
    let generated = lock_builder::generate(context, tip, source, Scope::default()).await?;
    let accepted = |generated: Generated, reason: &str, pulls: Vec<u64>| -> Result<ToCommit> {
        let unreviewed = Some(Unreviewed::AcceptedNew);
        Ok(ToCommit { lock: locked(generated)?, unreviewed, reason: Some(reason.to_owned()), pulls })
    };
    let arrivals = match (Arrivals::read(context, ledger, branch, tip).await, on_difference) {
        (Ok(arrivals), OnDifference::Refuse | OnDifference::AcceptNew(_)) => arrivals,
        // An artefact that cannot be read must not block the branch for good: users with write access can store one.
        (Err(error), OnDifference::AcceptNew(reason)) if error.kind() == ErrorKind::Lock => {
            return accepted(generated, reason, vec![pull_request.number]);
        }
        (Err(error), OnDifference::Refuse) if error.kind() == ErrorKind::Lock => {
            return Err(error.hint(format!("to take what the registry says now: {}", accept_new(environment))));
        }
        (Err(error), OnDifference::Refuse | OnDifference::AcceptNew(_)) => return Err(error),
    };
    let pulls = arrivals.numbers();
    let (unreviewed, reason) = match (arrivals.compare(&generated.lock)?, on_difference) {
        (Compared::Equal, OnDifference::Refuse | OnDifference::AcceptNew(_)) => (None, None),
        (Compared::Different(error), OnDifference::Refuse) => {
            return Err(error.hint(format!("to take the new images after all: {}", accept_new(environment))));
        }
        (Compared::Different(_) | Compared::Pushed(_), OnDifference::AcceptNew(reason)) => {
            return accepted(generated, reason, pulls);
        }
        (Compared::Pushed(commit), OnDifference::Refuse) => match tip.forge()?.direct_push {
            DirectPush::Refuse => return Err(moved_by_push(branch, &commit)),
            DirectPush::Relock => {
                (Some(Unreviewed::DirectPush), Some(format!("{} came without a pull request", commit.short(12))))
            }
        },
    };
    let same = arrivals.newest_published().filter(|published| {
        let (one, other) = (published.lock.source(), generated.lock.source());
        published.lock.id() == generated.lock.id() && one.tree == other.tree && one.head == other.head
    });
    let lock = match same {
        Some(published) => published.clone(),
        None => locked(generated)?,
    };
    Ok(ToCommit { lock, unreviewed, reason, pulls })
}

/// Refuses a commit below the merge that moved a service and that no pull request merged.
fn moved_by_push(branch: &str, commit: &CommitId) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("commit {} came to `{branch}` without a pull request, and moved services", commit.short(12)),
    )
    .hint("revert it with a pull request, or open one whose lock has these services: then they are reviewed")
    .hint("or set `forge.direct-push: relock`, which marks such locks as unreviewed")
}

async fn commit(
    context: &Context,
    store: &mut LedgerStore,
    environment: &EnvironmentName,
    branch: &str,
    tip: &Revision,
    made: &ToCommit,
) -> Result<LockCommit> {
    let ToCommit { lock, unreviewed, reason, pulls } = made;
    let about = |mut draft: RecordDraft| {
        draft.unreviewed = *unreviewed;
        draft.pulls.clone_from(pulls);
        match reason {
            Some(reason) => draft.reason(reason),
            None => draft,
        }
    };
    let still = |ledger: &Ledger| match ledger.rejected(lock.lock.id()) {
        Some(rejection) => Err(rejected(&lock.lock, &rejection.reason, &rejection.by)),
        None => Ok(()),
    };
    still(store.ledger())?;
    let started = tip.record(context, environment, Step::LockCommit, StepResult::Started, lock);
    store.append(context, about(started), &[], still).await?;
    let message = lock_message(lock);
    let files = lock_files_on(context, &tip.tree, lock)?;
    let outcome = context.forge.commit_files(&branch_name(branch)?, Some(&tip.commit), &files, &message).await?;
    let committed = match outcome {
        CommitOutcome::Committed(commit) | CommitOutcome::AlreadyThere(commit) => commit,
        CommitOutcome::Moved { .. } => {
            let end = tip.record(context, environment, Step::LockCommit, StepResult::Superseded, lock);
            store.append(context, end, &[], |_| Ok(())).await?;
            return Ok(LockCommit::Superseded {
                note: format!("`{branch}` moved while the lock was made: the newer commit has a run of its own"),
            });
        }
        CommitOutcome::Refused { reasons } => {
            return Err(Error::new(
                ErrorKind::Denied,
                format!("the forge refuses the lock commit: {}", reasons.join("; ")),
            )
            .hint(format!(
                "`{}` must be on the bypass list of `{branch}`: `orchestrator forge init --update --locks-on {branch} …`",
                context.run.actor
            )));
        }
    };
    context.sync()?;
    let with_lock = Revision::load(context, &committed)?;
    let done = with_lock.record(context, environment, Step::LockCommit, StepResult::Ok, lock);
    store.append(context, about(done), &[], |_| Ok(())).await?;
    let words = unreviewed.map(|why| format!(", unreviewed: {}", why.as_str())).unwrap_or_default();
    let note = format!("{} on {branch} at {}{words}", labels::short_id(lock.lock.id().as_str()), committed.short(12));
    Ok(LockCommit::Ready { commit: committed, note: Some(note) })
}

fn lock_message(lock: &LockFile) -> String {
    let id = lock.lock.id();
    format!("[lock] {id}\n\nLock-Id: {id}\n")
}

fn source(tip: &Revision, reviewed: Option<(u64, &CommitId)>, base: &CommitId, tree: &TreeId) -> Source {
    let head = reviewed.map_or_else(|| tip.commit.clone(), |(_, head)| head.clone());
    let mut source = Source::new(tip.address.clone(), head, base.clone(), tree.clone());
    source.pull_request = reviewed.map(|(number, _)| number);
    source
}

fn locked(generated: Generated) -> Result<LockFile> {
    LockFile::parse(generated.bytes, LOCK_FILE)
}

/// Refuses a commit that no pull request merged, and sets its status.
async fn direct_push(context: &Context, branch: &str, tip: &Revision) -> Result<Error> {
    let text = "no pull request merged this commit: it gets no lock and is not deployed";
    gets_no_lock(context, tip, text).await?;
    Ok(no_pull_request(branch, tip).hint(
        "open a pull request for the change; or set `forge.direct-push: relock`, which marks such locks as unreviewed",
    ))
}

fn no_pull_request(branch: &str, tip: &Revision) -> Error {
    let text = format!("commit {} came to `{branch}` without a pull request", tip.commit.short(12));
    Error::new(ErrorKind::Refused, text)
}

/// Why the newest commit of a branch that locks are committed to gets none, as far as the way says by which it came.
pub(crate) async fn refused_arrival(context: &Context, branch: &str, tip: &Revision) -> Result<Option<Error>> {
    let has_lock = tip.lock(context)?.is_some_and(|lock| tip.mismatches(&lock.lock).is_empty());
    match tip.forge()?.direct_push {
        DirectPush::Relock => Ok(None),
        DirectPush::Refuse if has_lock || merged_pull_request(context, branch, &tip.commit).await?.is_some() => {
            Ok(None)
        }
        DirectPush::Refuse => Ok(Some(no_pull_request(branch, tip))),
    }
}

/// Refuses a commit that does not have the reviewed commit in its history, and sets its status.
async fn not_a_merge(context: &Context, pull_request: &PullRequest, tip: &Revision) -> Result<Error> {
    let text = "the reviewed commit is not part of this one: it gets no lock and is not deployed";
    gets_no_lock(context, tip, text).await?;
    Ok(Error::new(
        ErrorKind::Repository,
        format!("the reviewed commit {} is not part of {}", pull_request.head.short(12), tip.commit.short(12)),
    )
    .hint("merge pull requests with merge commits: a squash or rebase cuts the lock off from what was reviewed"))
}

async fn gets_no_lock(context: &Context, tip: &Revision, text: &str) -> Result<()> {
    context.forge.set_status(&tip.commit, None, LOCK_STATUS, StatusState::Failure, text).await?;
    Ok(())
}

fn rejected(lock: &lock_model::Lock, reason: &str, by: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("lock {} was rejected by {by}: {reason}", labels::short_id(lock.id().as_str())),
    )
    .hint("a rejected lock is never deployed: change what is wrong and make a new one")
}
