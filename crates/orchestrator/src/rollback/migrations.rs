//! What releases that a rollback goes back behind did to stored data.

use config::{Deployment, Environment};
use ledger::Ledger;
use lock_model::{EnvironmentName, Lock, Service, ServiceName};
use promotion::rollback::{DeployedRelease, RollbackTarget, deployed_since};

use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::revision::Revision;

/// How many services a record names.
const MAX_NAMED: usize = 10;

/// What becomes of a rollback behind a migration that is declared irreversible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Irreversible {
    Refuse,
    /// Somebody answers for it: it is said, and recorded with the reason.
    Accept,
}

/// The migrations that a rollback does not undo.
#[derive(Debug, Default)]
pub(super) struct Migrations {
    /// Those behind which nothing may go back, and releases of which nobody knows.
    pub irreversible: Vec<Problem>,
    /// The others.
    pub reversible: Vec<Problem>,
}

impl Migrations {
    /// The migrations of the releases that were deployed since the environment had the target: of each service that has
    /// another commit there, as the configuration of that release declares it.
    pub(super) fn behind(
        context: &Context,
        ledger: &Ledger,
        name: &EnvironmentName,
        target: &RollbackTarget,
        lock: &Lock,
    ) -> Self {
        let mut found = Self::default();
        for deployed in deployed_since(ledger, name, &target.release) {
            if let Err(error) = found.add(context, name, &deployed, lock) {
                let message = format!("whether it changed stored data cannot be read: {error}");
                found.irreversible.push(Problem::new(format!("release {}", deployed.release.id8()), message));
            }
        }
        found
    }

    fn add(
        &mut self,
        context: &Context,
        name: &EnvironmentName,
        deployed: &DeployedRelease,
        lock: &Lock,
    ) -> Result<()> {
        let revision = Revision::load(context, &deployed.commit)?;
        let environment = revision.environment(name)?;
        if environment.migrations.is_empty() {
            return Ok(());
        }
        let Some(file) = revision.lock(context)? else { return Ok(()) };
        let id8 = deployed.release.id8();
        for (service, entry) in file.lock.services() {
            let before = lock.services().get(service).map(|before| &before.git.commit);
            let Some(before) = before.filter(|before| **before != entry.git.commit) else { continue };
            let Some(irreversible) = migration(context, environment, service, entry) else { continue };
            let list = if irreversible { &mut self.irreversible } else { &mut self.reversible };
            let (now, before) = (entry.git.commit.short(12), before.short(12));
            let message = format!("release {id8} has migrated its data to commit {now}, the rollback goes to {before}");
            list.push(Problem::new(service.to_string(), message));
        }
        Ok(())
    }

    /// The reason of a rollback with what was accepted, for its record.
    pub(super) fn with_reason(&self, reason: &str) -> String {
        if self.irreversible.is_empty() {
            return reason.to_owned();
        }
        let mut subjects: Vec<&str> = self.irreversible.iter().map(|problem| problem.subject.as_str()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let more = subjects.len().saturating_sub(MAX_NAMED);
        subjects.truncate(MAX_NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{reason} (accepted behind irreversible migrations: {}{more})", subjects.join(", "))
    }

    /// What people should know before they go back.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let shown = |problem: &Problem| format!("{}: {}; its data stays as it is", problem.subject, problem.message);
        self.irreversible.iter().chain(&self.reversible).map(shown)
    }
}

/// Whether a deployed service has a migration, and whether it is irreversible.
fn migration(context: &Context, environment: &Environment, name: &ServiceName, service: &Service) -> Option<bool> {
    match environment.decide(name, &service.path, context.now().date()) {
        // What is left out today may have been deployed on the day.
        Deployment::Deploy(_) | Deployment::NotDeployed { .. } => {}
        Deployment::LockedOnly { .. } => return None,
    }
    environment.migration_of(name, &service.path)
}

/// Refuses to go back behind an irreversible migration unless it is accepted. Gives what to warn of.
pub(super) fn judge_migrations(
    context: &Context,
    ledger: &Ledger,
    name: &EnvironmentName,
    target: &RollbackTarget,
    lock: &Lock,
    irreversible: Irreversible,
) -> Result<Migrations> {
    let found = Migrations::behind(context, ledger, name, target, lock);
    if found.irreversible.is_empty() || irreversible == Irreversible::Accept {
        return Ok(found);
    }
    let called = target.tag.clone().unwrap_or_else(|| target.release.id8().to_owned());
    Err(Error::new(
        ErrorKind::Refused,
        format!("`{name}` cannot go back to `{called}` behind an irreversible migration"),
    )
    .problems(found.irreversible)
    .hint("nothing was changed; repair it with a newer release")
    .hint("where the older code can work with the data all the same: `--accept-irreversible` with the reason"))
}
