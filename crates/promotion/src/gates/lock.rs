//! Gates about the lock: it belongs to the tree, was recorded, is not rejected and not expired.

use lock_model::Origin;

use super::facts::{Ancestry, DeployFacts};
use super::finding::{Gate, GateFinding};
use crate::attempts::Purpose;
use ledger::{Ledger, LockFile};

pub(super) fn belongs_to_tree(facts: &DeployFacts<'_>) -> GateFinding {
    if facts.mismatches.is_empty() {
        return GateFinding::passed(Gate::BelongsToTree, "the lock describes the gitlinks of this tree");
    }
    GateFinding::refused(
        Gate::BelongsToTree,
        format!("the lock does not belong to the tree of {}: {}", facts.commit.short(7), facts.mismatches.join(", ")),
        "a lock is made for a pull request and committed at its merge: `orchestrator lock commit`",
    )
    .of_repository()
}

/// A squash, a rebase or a forced push leaves the reviewed commit outside history.
pub(super) fn reviewed_head(facts: &DeployFacts<'_>) -> GateFinding {
    let head = facts.lock.source().head.short(7);
    match facts.head_in_history {
        Ancestry::Ancestor => {
            GateFinding::passed(Gate::ReviewedHead, format!("{head}, which was reviewed, is in history"))
        }
        Ancestry::Unrelated => GateFinding::refused(
            Gate::ReviewedHead,
            format!("{head}, which was reviewed, is not an ancestor of {}", facts.commit.short(7)),
            "merge pull requests with a merge commit: not squashed, not rebased",
        )
        .of_repository(),
        Ancestry::Unknown => GateFinding::unknown(
            Gate::ReviewedHead,
            format!("{head}, which was reviewed, is not in this clone"),
            format!("`git fetch origin {}` brings it, unless the server has lost it", facts.lock.source().head),
        )
        .of_repository(),
    }
}

pub(super) fn recorded(ledger: &Ledger, facts: &DeployFacts<'_>) -> GateFinding {
    match ledger.lock_file(facts.lock_file, facts.lock.id()) {
        LockFile::Committed { seq } => {
            GateFinding::passed(Gate::RecordedLock, format!("the lock file is the one of record {seq}"))
        }
        LockFile::Started { seq } => GateFinding::passed(
            Gate::RecordedLock,
            format!("the lock file is the one that record {seq} began to commit"),
        ),
        LockFile::Unknown => GateFinding::refused(
            Gate::RecordedLock,
            format!("no lock commit in the ledger wrote this file ({})", facts.lock_file),
            "the file was edited, or committed by hand: only `orchestrator lock commit` writes it",
        ),
    }
}

pub(super) fn not_rejected(ledger: &Ledger, facts: &DeployFacts<'_>) -> GateFinding {
    match ledger.rejected(facts.lock.id()) {
        None => GateFinding::passed(Gate::NotRejected, "nobody rejected this lock"),
        Some(rejection) => GateFinding::refused(
            Gate::NotRejected,
            format!(
                "rejected by {} at {} (record {}): {}",
                rejection.by, rejection.at, rejection.seq, rejection.reason
            ),
            "a rejected lock stays rejected: make a new one",
        ),
    }
}

/// What was taken over from an older pipeline was never tested as a whole: it is somewhere to go back to, nothing more.
pub(super) fn resolved(facts: &DeployFacts<'_>) -> GateFinding {
    let migrated = facts.lock.services().iter().filter(|(_, service)| match service.origin {
        Origin::Migrated => true,
        Origin::Resolved => false,
    });
    let migrated: Vec<&str> = migrated.map(|(name, _)| name.as_str()).collect();
    if migrated.is_empty() {
        return GateFinding::passed(Gate::Resolved, "every entry was resolved for this lock");
    }
    let message = format!("taken over from an older pipeline: {}", migrated.join(", "));
    match facts.purpose {
        Purpose::Run => GateFinding::refused(
            Gate::Resolved,
            message,
            "such a lock is for `orchestrator rollback` only: make a new one with a pull request",
        ),
        Purpose::Rollback => GateFinding::not_asked(Gate::Resolved, format!("{message}; a rollback may use it")),
    }
}

pub(super) fn exceptions(facts: &DeployFacts<'_>) -> GateFinding {
    let expired: Vec<String> = facts
        .lock
        .exceptions()
        .iter()
        .filter(|exception| exception.until < facts.today)
        .map(|exception| {
            format!("{} {} ended on {} (owner {})", exception.kind, exception.subject, exception.until, exception.owner)
        })
        .collect();
    if expired.is_empty() {
        let count = facts.lock.exceptions().len();
        return GateFinding::passed(Gate::Exceptions, format!("{count} exceptions, none of them expired"));
    }
    let message = format!("expired: {}", expired.join(", "));
    match facts.purpose {
        Purpose::Run => GateFinding::refused(
            Gate::Exceptions,
            message,
            "remove the exception, or declare it anew with a later day, and lock again",
        ),
        Purpose::Rollback => {
            GateFinding::not_asked(Gate::Exceptions, format!("{message}; no reason to stop a rollback"))
        }
    }
}
