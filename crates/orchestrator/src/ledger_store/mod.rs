//! The ledger's branch: read folder by folder, and appended by compare-and-swap. A clone remembers the newest record that
//! it has seen, so that a ledger that was cut short is noticed, and keeps what it has checked.

mod kept;
mod reader;

use forge::CommitOutcome;
use ledger::{Evidence, Ledger, LedgerBroken, RecordDraft};
use lock_model::{CommitId, Digest, TreePath};

use crate::context::{Context, branch_name};
use crate::error::{Error, ErrorKind, Result};
use crate::refs_in_the_way::Branches;
use kept::{remember, remembered};

/// How often an append is tried while other writers win.
const ATTEMPTS: u32 = 64;

/// A document that is kept beside a record.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// What it is, such as `plan.json`.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// The ledger as it was read last.
#[derive(Debug, Default)]
pub(crate) struct LedgerStore {
    ledger: Ledger,
    head: Option<CommitId>,
}

impl LedgerStore {
    /// Reads the branch, checks the chain, and compares it with what was seen before.
    pub(crate) async fn read(context: &Context) -> Result<Self> {
        let seen = remembered(context)?;
        let branch = branch_name(lock_model::LEDGER_BRANCH)?;
        let head = context.forge.branch_head(&branch).await?;
        let ledger = match &head {
            Some(head) => reader::ledger_at(context, head).await?,
            None => Ledger::empty(),
        };
        ledger.check_seen(seen.as_ref()).map_err(broken)?;
        remember(context, &ledger, seen.as_ref());
        let store = Self { ledger, head };
        context.clock.ledger_holds(store.len());
        Ok(store)
    }

    /// As [`read`](Self::read), for a report: what reads git objects waits for nothing at which the caller's deadline could
    /// end it.
    pub(crate) async fn read_in_time(context: &Context) -> Result<Self> {
        let store = Self::read(context).await?;
        context.in_time()?;
        Ok(store)
    }

    /// Reads the ledger before something is written to the forge: its chain must hold, a clock that follows it advances,
    /// and it must be known who writes.
    pub(crate) async fn check(context: &Context) -> Result<()> {
        context.needs_actor()?;
        Self::read(context).await.map(drop)
    }

    /// A document that one of its records names.
    pub(crate) async fn document(&self, context: &Context, digest: &Digest) -> Result<Vec<u8>> {
        match &self.head {
            Some(head) => reader::document(context, head, digest).await,
            None => Err(Error::new(ErrorKind::Bug, "a ledger without a branch names no document")),
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> u64 {
        self.ledger.seen().map_or(0, |seen| seen.seq)
    }

    /// Appends a record, unless its newest records say the same already.
    ///
    /// Where another writer's record lands first, the ledger is read again, and `still` decides whether the record may be
    /// appended to it. Returns the record's number; `None` where nothing had to be appended.
    pub(crate) async fn append<F>(
        &mut self,
        context: &Context,
        draft: RecordDraft,
        documents: &[Document],
        still: F,
    ) -> Result<Option<u64>>
    where
        F: Fn(&Ledger) -> Result<()>,
    {
        context.needs_actor()?;
        let mut draft = draft;
        draft.evidence = documents
            .iter()
            .map(|document| Evidence { name: document.name.clone(), sha256: Digest::of(&document.bytes) })
            .collect();
        if self.head.is_none() {
            refuse_blocked(context).await?;
        }
        let contents: Vec<&[u8]> = documents.iter().map(|document| document.bytes.as_slice()).collect();
        for _attempt in 0..ATTEMPTS {
            if !self.ledger.changes(&draft) {
                return Ok(None);
            }
            let new = self
                .ledger
                .next(draft.clone())
                .map_err(|error| Error::from_source(ErrorKind::Bug, "a record of the ledger is incomplete", error))?;
            context.clock.ledger_holds(self.len() + 1);
            let outcome = context.forge.append_record(&self.ledger, self.head.as_ref(), &new, &contents).await;
            if !matches!(outcome, Ok(CommitOutcome::Committed(_) | CommitOutcome::AlreadyThere(_))) {
                context.clock.ledger_holds(self.len());
            }
            match outcome? {
                CommitOutcome::Committed(commit) | CommitOutcome::AlreadyThere(commit) => {
                    self.ledger.push(&new).map_err(broken)?;
                    self.head = Some(commit);
                    let seen = remembered(context)?;
                    remember(context, &self.ledger, seen.as_ref());
                    return Ok(Some(new.record.seq));
                }
                CommitOutcome::Moved { .. } => {
                    *self = Self::read(context).await?;
                    still(&self.ledger)?;
                }
                CommitOutcome::Refused { reasons } => {
                    return Err(Error::new(
                        ErrorKind::Denied,
                        format!("the forge refuses the ledger's record: {}", reasons.join("; ")),
                    ));
                }
            }
        }
        Err(Error::new(ErrorKind::Temporary, "the ledger has too many writers at once; the record was not written")
            .hint("run the same command again"))
    }
}

/// Refuses to begin a ledger whose branch git cannot make.
async fn refuse_blocked(context: &Context) -> Result<()> {
    let blocked = Branches::read(context).await?.in_the_way([lock_model::LEDGER_BRANCH]);
    if blocked.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Repository, "the ledger cannot be begun")
        .problems(blocked)
        .hint("delete the branch that is in the way, or give it another name"))
}

/// The error of a ledger whose chain does not hold.
fn broken(error: LedgerBroken) -> Error {
    Error::from_source(ErrorKind::Refused, "the ledger is broken; nothing that asks it goes on", error).hint(format!(
        "look at the history of `{}`: it was rewritten, or it was restored from an old copy",
        lock_model::LEDGER_BRANCH
    ))
}

fn tree_path(text: &str) -> Result<TreePath> {
    TreePath::try_from(text).map_err(|error| Error::from_source(ErrorKind::Bug, "a ledger path is no path", error))
}
