//! Taking over a migrated lock: an environment gets somewhere to go back to.

use std::time::Duration;

use forge::FileChange;
use git::{ABSENT, CommitIdentity, MODE_EXECUTABLE, MODE_FILE, PushOutcome, TreeChange};
use ledger::{Step, StepResult, Unreviewed};
use lock_model::{CommitId, EnvironmentName, FileMode, LOCK_FILE, Timestamp};
use promotion::rollback::known_good;

use crate::context::{Context, git_error};
use crate::environment_policy::{branch_of, find_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::inputs::Inputs;
use crate::labels::short_id;
use crate::lease::lease;
use crate::ledger_rights::may_record;
use crate::ledger_store::LedgerStore;
use crate::lock_folder::lock_files_on;
use crate::report::v1::AdoptedLock;
use crate::revision::{LockFile, Revision, load_config};
use crate::rollback::RollbackGround;

/// An environment that gets somewhere to go back to.
pub(super) struct Adopter<'a> {
    pub name: EnvironmentName,
    /// The branch that it runs.
    pub branch: String,
    reason: &'a str,
}

impl<'a> Adopter<'a> {
    pub(super) async fn find(context: &Context, name: &EnvironmentName, reason: &'a str) -> Result<Self> {
        may_record(context, Step::LockCommit, StepResult::Ok).await?;
        let environment = find_environment(context, name).await?;
        Ok(Self { branch: branch_of(&environment)?, name: name.clone(), reason })
    }

    /// Puts the lock beside the manifests of `base`, which it was made for, on a commit of its own that only a tag points
    /// to, and records that: a rollback takes lock, configuration and manifests from that commit. Run again, it finds its
    /// tag. `time` is that of the new commit.
    pub(super) async fn adopt(
        &self,
        context: &Context,
        base: &CommitId,
        time: Timestamp,
        lock: &LockFile,
        rules_at: Option<&CommitId>,
    ) -> Result<AdoptedLock> {
        let _lease = lease(context, &self.name, Duration::ZERO).await?;
        let commit = commit_of(context, base, time, lock, rules_at)?;
        let revision = Revision::load(context, &commit)?;
        revision.environment(&self.name)?;
        let release = revision.release(&lock.lock);
        let mut store = LedgerStore::read(context).await?;
        let ground = RollbackGround::of(context, &self.name, store.ledger()).await?;
        // The same content may have come this way since: then it is proven, and has its name.
        let known = known_good(store.ledger(), &self.name, &|target| ground.holds(target))
            .into_iter()
            .find(|target| target.release == release);
        if let Some(known) = known {
            let tag = known.tag.unwrap_or_else(|| release.id8().to_owned());
            return Ok(AdoptedLock { environment: self.name.clone(), tag, commit: known.commit, release });
        }
        let tag = format!("migrated-{}", release.id8());
        let full = format!("refs/tags/{tag}");
        let pushed = context
            .git
            .push(context.remote.url(), commit.as_str(), &full, Some(ABSENT))
            .map_err(|error| git_error("the tag cannot be pushed", error))?;
        let commit = match pushed {
            PushOutcome::Done => commit,
            PushOutcome::Moved => tagged(context, &tag, &release)?,
            PushOutcome::Refused { message } => {
                return Err(Error::new(ErrorKind::Denied, format!("the forge refuses the tag `{tag}`: {message}"))
                    .hint(format!("`{}` must be allowed to push tags", context.run.actor)));
            }
        };
        context.sync()?;
        let revision = Revision::load(context, &commit)?;
        // The tag may be from an earlier run, which described the same content a little differently.
        let lock = revision
            .lock(context)?
            .ok_or_else(|| Error::new(ErrorKind::Repository, format!("`{LOCK_FILE}` is not in the tag `{tag}`")))?;
        let mut draft =
            revision.record(context, &self.name, Step::LockCommit, StepResult::Ok, &lock).reason(self.reason);
        draft.tag = Some(tag.clone());
        draft.unreviewed = Some(Unreviewed::Migrated);
        store.append(context, draft, &[], |_| Ok(())).await?;
        Ok(AdoptedLock { environment: self.name.clone(), tag, commit, release })
    }
}

/// The commit: the tree of `base`, the lock, and the rules where `base` had none.
fn commit_of(
    context: &Context,
    base: &CommitId,
    time: Timestamp,
    lock: &LockFile,
    rules_at: Option<&CommitId>,
) -> Result<CommitId> {
    let mut changes = Vec::new();
    let facts = context.commit(base.as_str())?;
    let facts = facts.ok_or_else(|| Error::new(ErrorKind::Bug, "the commit was there a moment ago"))?;
    for change in lock_files_on(context, &facts.tree, lock)? {
        let FileChange::Write { path, bytes } = change else { continue };
        changes.push(TreeChange::Write { path: path.to_string(), mode: MODE_FILE, bytes });
    }
    if let Some(rules_at) = rules_at {
        let config = load_config(context, rules_at.as_str())?
            .ok_or_else(|| Error::new(ErrorKind::Bug, "the rules were there a moment ago"))?;
        for file in Inputs::named(context, rules_at, &config)?.read_all(context, |_| true)? {
            let mode = match file.mode {
                FileMode::Plain => MODE_FILE,
                FileMode::Executable => MODE_EXECUTABLE,
            };
            changes.push(TreeChange::Write { path: file.path.to_string(), mode, bytes: file.bytes });
        }
    }
    let unwritten = |error| git_error("the commit cannot be written", error);
    let tree = context.git.write_tree(Some(base.as_str()), &changes).map_err(unwritten)?;
    let identity = CommitIdentity {
        name: context.run.actor.clone(),
        email: format!("{}@orchestrator.invalid", context.run.actor),
        time,
    };
    let id = lock.lock.id();
    let message = format!("[lock] {}, migrated\n\nLock-Id: {id}\n", short_id(id.as_str()));
    let parents = [base.clone()];
    context.git.commit_tree(&tree, &parents, &message, &identity).map_err(unwritten)
}

/// What a tag that is there already points to: the same release, or something that is not ours.
fn tagged(context: &Context, tag: &str, release: &lock_model::ReleaseId) -> Result<CommitId> {
    context.sync()?;
    let commit = context.resolve(tag)?;
    let taken = || {
        Error::new(ErrorKind::Refused, format!("the tag `{tag}` is taken: it is not this release"))
            .hint("look at who made it; it is never moved")
    };
    let revision = Revision::load(context, &commit).map_err(|_| taken())?;
    let lock = revision.lock(context)?.ok_or_else(taken)?;
    if revision.release(&lock.lock) == *release { Ok(commit) } else { Err(taken()) }
}
