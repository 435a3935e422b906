//! What releases that a rollback goes back behind did to stored data.

use std::collections::{BTreeMap, BTreeSet};

use config::{Deployment, Environment};
use deployer::{DeployRequest, DeployService};
use ledger::Ledger;
use lock_model::{EnvironmentName, Lock, Service, ServiceName};
use promotion::rollback::{DeployedRelease, RollbackTarget, deployed_since};

use super::FailedDeployment;
use crate::context::Context;
use crate::engine::{Engine, Planning};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::report::v1::{NotRolledBack, PlannedMigration, StayCause};
use crate::revision::Revision;

/// How many services a record names.
const MAX_NAMED: usize = 10;

/// What becomes of a rollback behind migrations.
#[derive(Clone, Copy, Debug)]
pub(super) enum Behind<'a> {
    /// None behind one that is declared irreversible.
    Refuse,
    /// None behind any: nothing of what is replaced as a whole can stay.
    RefuseAny,
    /// The services behind one stay as they are; nothing goes back where no other is different.
    LeaveThere(&'a FailedDeployment),
    /// The operator accepts it: it is said, and recorded with the reason.
    Accept,
}

/// The migrations that a rollback does not undo.
#[derive(Debug, Default)]
pub(super) struct Migrations {
    /// Those that are declared irreversible, and releases of which that is not known.
    pub irreversible: Vec<Problem>,
    /// The others that are declared.
    pub reversible: Vec<Problem>,
    /// Those that the label of a Job tells, of services that declare none.
    pub labelled: Vec<Problem>,
}

impl Migrations {
    /// The declared migrations of the releases that were deployed since the environment had the target: of each service that
    /// has another commit there, as the configuration of that release declares it.
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
                found.irreversible.push(unknown(&deployed, &error));
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

    /// Adds those that the labels of Jobs tell: each release is rendered, and a service counts whose manifests, values or image
    /// are others than in the release that is gone back to.
    pub(super) async fn add_labelled(
        &mut self,
        context: &Context,
        engine: &Engine<'_>,
        target: &RollbackTarget,
    ) -> Result<()> {
        let (ledger, name) = (engine.store.ledger(), &engine.environment.name);
        let before = engine.deployable()?.request;
        let declared: BTreeSet<String> =
            self.irreversible.iter().chain(&self.reversible).map(|problem| problem.subject.clone()).collect();
        for deployed in deployed_since(ledger, name, &target.release) {
            match Box::pin(labelled(context, ledger, name, &deployed, &before)).await {
                Ok(found) => {
                    self.labelled.extend(found.into_iter().filter(|problem| !declared.contains(&problem.subject)));
                }
                Err(error) => self.irreversible.push(unknown(&deployed, &error)),
            }
        }
        Ok(())
    }

    /// Leaves out what the deployment did not begin to change.
    pub(super) fn leave_out(&mut self, untouched: &BTreeSet<ServiceName>) {
        for list in [&mut self.irreversible, &mut self.reversible, &mut self.labelled] {
            list.retain(|problem| untouched.iter().all(|service| service.as_str() != problem.subject));
        }
    }

    fn all(&self) -> impl Iterator<Item = &Problem> {
        self.irreversible.iter().chain(&self.reversible).chain(&self.labelled)
    }

    /// The reason of a rollback with what was accepted, or stays as it is, for its record.
    pub(super) fn with_reason(&self, reason: &str, staying: &BTreeSet<ServiceName>) -> String {
        let (how, mut subjects): (_, Vec<&str>) = if staying.is_empty() {
            let subjects = self.irreversible.iter().map(|problem| problem.subject.as_str());
            ("accepted behind irreversible migrations", subjects.collect())
        } else {
            ("not rolled back behind migrations", staying.iter().map(ServiceName::as_str).collect())
        };
        if subjects.is_empty() {
            return reason.to_owned();
        }
        subjects.sort_unstable();
        subjects.dedup();
        let more = subjects.len().saturating_sub(MAX_NAMED);
        subjects.truncate(MAX_NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{reason} ({how}: {}{more})", subjects.join(", "))
    }

    /// The services behind a migration; `None` where it is not known which they are.
    pub(super) fn services(&self) -> Option<BTreeSet<ServiceName>> {
        self.all().map(|problem| ServiceName::try_from(problem.subject.as_str()).ok()).collect()
    }

    /// Why services stay as they are.
    pub(super) fn not_rolled_back(&self) -> impl Iterator<Item = NotRolledBack> {
        let lists = [
            (StayCause::IrreversibleMigration, &self.irreversible),
            (StayCause::Migration, &self.reversible),
            (StayCause::Migration, &self.labelled),
        ];
        lists.into_iter().flat_map(|(cause, list)| {
            list.iter().filter_map(move |Problem { subject, message, .. }| {
                let service = ServiceName::try_from(subject.as_str()).ok()?;
                Some(NotRolledBack { service, cause, reason: message.clone() })
            })
        })
    }

    /// The same as the marks of a plan.
    pub(super) fn marks(&self) -> Vec<PlannedMigration> {
        let mut marks = BTreeMap::new();
        for NotRolledBack { service, cause, .. } in self.not_rolled_back() {
            *marks.entry(service).or_default() |= cause == StayCause::IrreversibleMigration;
        }
        marks.into_iter().map(|(service, irreversible)| PlannedMigration { service, irreversible }).collect()
    }

    /// What people should know before they go back.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.all().map(|problem| format!("{}: {}; its data stays as it is", problem.subject, problem.message))
    }
}

fn unknown(deployed: &DeployedRelease, error: &Error) -> Problem {
    let message = format!("whether it changed stored data cannot be read: {error}");
    Problem::new(format!("release {}", deployed.release.id8()), message)
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

/// The services of a release with a Job that is labelled as a migration, and that are others than before.
async fn labelled(
    context: &Context,
    ledger: &Ledger,
    name: &EnvironmentName,
    deployed: &DeployedRelease,
    before: &DeployRequest,
) -> Result<Vec<Problem>> {
    let revision = Revision::load(context, &deployed.commit)?;
    let environment = revision.environment(name)?;
    let Some(file) = revision.lock(context)? else { return Ok(Vec::new()) };
    let (lock, release) = (&file.lock, &deployed.release);
    let planning = Planning { context, ledger, revision: &revision, environment, lock, release };
    let mut deployable = planning.deployable()?;
    let is_same = |one: &DeployService, other: &DeployService| {
        let content = |of: &DeployService| (of.image.clone(), of.kustomization.clone(), of.values.clone());
        content(one) == content(other) && one.files == other.files
    };
    let moved = deployable
        .request
        .services
        .iter()
        .filter(|one| before.services.iter().any(|earlier| earlier.name == one.name && !is_same(one, earlier)));
    let moved: BTreeSet<ServiceName> = moved.map(|service| service.name.clone()).collect();
    deployable.leave_out(|service| !moved.contains(service));
    let found = deployable.migrations(context).await?;
    let problem = |(service, job): (ServiceName, String)| {
        let message = format!("release {} has {job}, whose label calls it a migration", release.id8());
        Problem::new(service.to_string(), message)
    };
    Ok(found.into_iter().map(problem).collect())
}

/// Whether a service that does not stay goes back: it is another one in the newest release than in the lock that is gone back to,
/// or the deployment that failed has changed it all the same.
fn others_go_back(
    context: &Context,
    ledger: &Ledger,
    name: &EnvironmentName,
    target: &RollbackTarget,
    lock: &Lock,
    stay: &BTreeSet<ServiceName>,
    failed: &FailedDeployment,
) -> bool {
    let goes = |name: &&ServiceName| !stay.contains(*name) && !failed.untouched.contains(*name);
    if failed.changed.iter().any(|name| goes(&name)) {
        return true;
    }
    let newest = deployed_since(ledger, name, &target.release).pop();
    let newest = newest.and_then(|newest| Revision::load(context, &newest.commit).ok()?.lock(context).ok()?);
    let Some(newest) = newest else { return false };
    let commit = |lock: &Lock, name: &ServiceName| lock.services().get(name).map(|service| service.git.commit.clone());
    let mut names = lock.services().keys().chain(newest.lock.services().keys());
    names.any(|name| goes(&name) && commit(lock, name) != commit(&newest.lock, name))
}

/// Refuses to go back behind migrations where that may not be.
pub(super) fn judge_migrations(
    context: &Context,
    ledger: &Ledger,
    name: &EnvironmentName,
    target: &RollbackTarget,
    lock: &Lock,
    found: &Migrations,
    behind: Behind<'_>,
) -> Result<()> {
    let called = target.tag.clone().unwrap_or_else(|| target.release.id8().to_owned());
    let by_hand = || explicit_way(name, &called, !found.irreversible.is_empty());
    match behind {
        Behind::Accept => Ok(()),
        Behind::Refuse if found.irreversible.is_empty() => Ok(()),
        Behind::Refuse => Err(Error::new(
            ErrorKind::Refused,
            format!("`{name}` cannot go back to `{called}` behind an irreversible migration"),
        )
        .problems(found.irreversible.iter().cloned())
        .hint("nothing was changed; repair it with a newer release")
        .hint("where the older code can work with the data all the same: `--accept-irreversible` with the reason")),
        Behind::RefuseAny | Behind::LeaveThere(_) if found.all().next().is_none() => Ok(()),
        Behind::RefuseAny => Err(Error::new(
            ErrorKind::Refused,
            format!("`{name}` does not go back to `{called}` by itself: its tree is replaced as a whole"),
        )
        .problems(found.all().cloned())
        .hint(by_hand())),
        Behind::LeaveThere(failed) => {
            let goes = |stay| others_go_back(context, ledger, name, target, lock, &stay, failed);
            if found.services().is_some_and(goes) {
                return Ok(());
            }
            let message =
                format!("nothing of `{name}` goes back to `{called}` by itself: what is different has a migration");
            let error = Error::new(ErrorKind::Refused, message).problems(found.all().cloned()).hint(by_hand());
            Err(error.not_rolled_back(found.not_rolled_back().collect()))
        }
    }
}

/// How services with a migration go back.
pub(super) fn explicit_way(name: &EnvironmentName, called: &str, is_irreversible: bool) -> String {
    let accept = if is_irreversible { "--accept-irreversible " } else { "" };
    format!(
        "where the older code can work with the data, `orchestrator rollback {name} --to {called} {accept}--reason …` takes \
         services with a migration back as well"
    )
}
