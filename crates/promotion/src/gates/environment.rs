//! Gates about the environment: it is not held, does not go back, and writes what is its own.

use super::facts::{Ancestry, DeployFacts};
use super::finding::{Gate, GateFinding};
use crate::attempts::Purpose;
use crate::places::{self, PlaceRefusal};
use ledger::{HoldOrigin, Ledger, RolledBack};

pub(super) fn not_held(ledger: &Ledger, facts: &DeployFacts<'_>) -> GateFinding {
    let environment = facts.environment;
    let Some(hold) = ledger.held(environment) else {
        return GateFinding::passed(Gate::NotHeld, format!("`{environment}` is not held"));
    };
    let origin = match hold.origin {
        HoldOrigin::Hand => "held",
        HoldOrigin::Rollback => "held by a rollback",
    };
    let message = format!("`{environment}` is {origin} since {}, by {}: {}", hold.since, hold.by, hold.reason);
    match facts.purpose {
        Purpose::Run => GateFinding::refused(
            Gate::NotHeld,
            message,
            format!("lift it when its reason is gone: `orchestrator unhold {environment} --reason …`"),
        ),
        Purpose::Rollback => GateFinding::not_asked(Gate::NotHeld, format!("{message}; a rollback goes on")),
    }
}

/// An old run that is started again must not take the environment back without a word.
pub(super) fn no_downgrade(ledger: &Ledger, facts: &DeployFacts<'_>) -> GateFinding {
    let environment = facts.environment;
    let Some(newest) = ledger.latest_touched(environment) else {
        return GateFinding::passed(Gate::NoDowngrade, format!("nothing was deployed to `{environment}` before"));
    };
    let release = newest.entry.release.as_ref();
    if release == Some(facts.release) {
        return GateFinding::passed(
            Gate::NoDowngrade,
            format!("`{environment}` has this release (record {})", newest.seq),
        );
    }
    let id8 = release.map_or("unknown", |release| release.id8());
    let commit = newest.entry.commit.as_ref();
    let shown = commit.map_or("unknown", |commit| commit.short(7));
    let what = format!("release {id8} at {shown}, of {} (record {})", newest.recorded_at(), newest.seq);
    match facts.purpose {
        Purpose::Rollback => {
            return GateFinding::not_asked(Gate::NoDowngrade, format!("`{environment}` goes back from {what}"));
        }
        Purpose::Run => {}
    }
    if commit == Some(facts.commit) {
        return GateFinding::passed(Gate::NoDowngrade, format!("the commit is that of {what}"));
    }
    match facts.older_than_newest {
        Ancestry::Unrelated => GateFinding::passed(Gate::NoDowngrade, format!("not older than {what}")),
        Ancestry::Ancestor => GateFinding::refused(
            Gate::NoDowngrade,
            format!("{} is older than {what}", facts.commit.short(7)),
            format!("going back is a decision of its own: `orchestrator rollback {environment} --reason …`"),
        ),
        Ancestry::Unknown => GateFinding::unknown(
            Gate::NoDowngrade,
            format!("whether {} is older than {what} cannot be told: history is missing", facts.commit.short(7)),
            format!(
                "`git fetch origin {}` brings that commit, unless the server has lost it",
                commit.map_or("COMMIT", |commit| commit.as_str())
            ),
        )
        .of_repository(),
    }
}

/// Asked of every deployment, also of a rollback: whatever is deployed, it must not replace what belongs to another.
pub(super) fn own_place(ledger: &Ledger, facts: &DeployFacts<'_>) -> GateFinding {
    let (gate, environment) = (Gate::OwnPlace, facts.environment);
    if facts.places.places.is_empty() {
        return GateFinding::not_asked(gate, format!("`{environment}` has no target"));
    }
    let refusals = places::refusals(ledger, environment, facts.places);
    if refusals.is_empty() {
        let own: Vec<String> = facts.places.places.iter().map(|found| found.place.quoted()).collect();
        return GateFinding::passed(gate, format!("`{environment}` writes what is its own: {}", own.join(", ")));
    }
    let messages: Vec<String> = refusals.iter().map(PlaceRefusal::message).collect();
    let mut hints: Vec<String> = refusals.iter().map(|refusal| refusal.hint(environment)).collect();
    hints.sort();
    hints.dedup();
    GateFinding::refused(gate, messages.join("; "), hints.join("; "))
}

/// What a rollback took out does not come back by itself, also not as the same release from another commit.
pub(super) fn not_rolled_back(ledger: &Ledger, facts: &DeployFacts<'_>) -> GateFinding {
    let (environment, release) = (facts.environment, facts.release);
    let found = ledger.rolled_back(environment).into_iter().find(|one| one.release == *release);
    let Some(RolledBack { reason, by, at, seq, .. }) = found else {
        return GateFinding::passed(
            Gate::NotRolledBack,
            format!("no rollback took this release out of `{environment}`"),
        );
    };
    let id8 = release.id8();
    let message =
        format!("a rollback took release {id8} out of `{environment}` on {at}, by {by}: {reason} (record {seq})");
    match facts.purpose {
        Purpose::Run => GateFinding::refused(
            Gate::NotRolledBack,
            message,
            format!(
                "merge what repairs it, or let it be deployed again: \
                 `orchestrator unhold {environment} --accept {id8} --reason …`"
            ),
        ),
        Purpose::Rollback => GateFinding::not_asked(Gate::NotRolledBack, format!("{message}; a rollback goes to it")),
    }
}

/// An image that nothing decides can be another one tomorrow, and nobody proved or approved that one.
pub(super) fn pinned_images(facts: &DeployFacts<'_>) -> GateFinding {
    let environment = facts.environment;
    match (facts.purpose, facts.unpinned_images) {
        (Purpose::Rollback, _) | (Purpose::Run, None) => {
            GateFinding::not_asked(Gate::PinnedImages, format!("`{environment}` lists such images, and deploys them"))
        }
        (Purpose::Run, Some([])) => {
            GateFinding::passed(Gate::PinnedImages, "the lock, a digest or an exception decides every image")
        }
        (Purpose::Run, Some(images)) => GateFinding::refused(
            Gate::PinnedImages,
            images.join("; "),
            format!(
                "write the digest, or let `environments.{environment}.unpinned-images` name the image with `owner`, \
                 `reason` and `until`, in a change that is reviewed"
            ),
        ),
    }
}
