//! Doing what a plan says: objects by rank, the wait, and then the removal of what no manifest has.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{ApplyMode, Awaited, ClusterError, ClusterErrorKind, Connection, Object, ObjectKey, Propagation};
use lock_model::ServiceName;
use process::Interrupt;

use super::inventory::{Entry, Inventory};
use super::live::decided;
use super::order::{makes_room, rank};
use super::ownership::to_move;
use super::plan::{ApplyPlan, ObjectAction, PlannedObject, PlannedService};
use super::target::ApplyTarget;
use crate::applied::{Applied, AppliedDetail, DeployEvent};
use crate::error::DeployError;
use crate::manifest::ObjectId;
use crate::namespace::{
    AT_ONCE, EnvironmentNamespace, Expected, JobsByLabel, JobsOf, NotAwaited, at_most, at_once, ending_job, is_made_by,
};
use crate::plan::Plan;
use crate::problem::escaped;

/// What applying did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ApplyApplied {
    /// The namespace.
    pub namespace: String,
    /// How many objects the plan has.
    pub objects: usize,
    /// How many of them were written.
    pub written: usize,
    /// How many that no manifest has were removed.
    pub removed: usize,
}

/// What was written: the object as the API server has it, by what it was planned as.
type Written = BTreeMap<cluster::ObjectKey, Object>;

/// What a deployment did so far.
#[derive(Default)]
struct Done {
    written: Written,
    /// How many objects the API server took to delete, by service.
    removed: BTreeMap<ServiceName, usize>,
}

impl Done {
    fn has_begun(&self, planned: &PlannedService) -> bool {
        let mut objects = planned.objects.iter();
        self.removed.contains_key(&planned.service)
            || objects.any(|object| self.written.contains_key(object.manifest.key()))
    }
}

/// The request that the API server refused: an error names a refused deletion as such.
#[derive(Clone, Copy)]
enum Change {
    Write,
    Deletion,
}

impl ApplyTarget {
    /// Writes what changes, waits until all of it is ready, and removes what no manifest has any more.
    ///
    /// Killed at any point, the same call goes on: what is there already is kept, and an inventory names everything that may
    /// be there.
    pub(crate) async fn apply(
        &self,
        plan: &Plan,
        detail: &ApplyPlan,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<Applied, DeployError> {
        let namespace = self.namespace.watched().masking(&detail.settings.secrets);
        let watched = Self { namespace, ..self.clone() };
        self.namespace.until_ended(&watched.namespace, watched.write(plan, detail, events)).await
    }

    async fn write(
        &self,
        plan: &Plan,
        detail: &ApplyPlan,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<Applied, DeployError> {
        let EnvironmentNamespace { connection, name, .. } = &self.namespace;
        let state = self.namespace.begin(&detail.request, &detail.settings).await?;
        detail.settings.write(connection, detail.request.release.as_str()).await?;
        let is_changed = |service: &ServiceName| {
            detail.services.iter().any(|planned| planned.service == *service && planned.changes())
        };
        let (state, jobs) = self.namespace.begin_jobs(state, &detail.request, is_changed).await?;
        let mut inventories = BTreeMap::new();
        for planned in &detail.services {
            let inventory = if planned.changes() {
                let both = planned.inventory.with(&entries(planned, &Written::new()));
                planned.inventory.write(connection, name, planned.service.as_str(), both).await?
            } else {
                planned.inventory.clone()
            };
            inventories.insert(&planned.service, inventory);
        }
        let mut done = Done::default();
        let carried_out = self.carry_out(detail, &jobs, inventories, &mut done, events).await;
        let not_awaited = carried_out.map_err(|error| {
            let changing = detail.services.iter().filter(|planned| planned.changes());
            let (changed, untouched): (Vec<_>, Vec<_>) = changing.partition(|planned| done.has_begun(planned));
            let names =
                |list: Vec<&PlannedService>| list.iter().map(|planned| planned.service.clone()).collect::<Vec<_>>();
            error.with_progress(&names(changed), &names(untouched))
        })?;
        self.namespace.complete(&state, &detail.request, &detail.settings, &jobs, BTreeMap::new()).await?;
        let objects = detail.services.iter().map(|planned| planned.objects.len()).sum();
        let (written, removed) = (done.written.len(), done.removed.values().sum());
        let answer = ApplyApplied { namespace: name.clone(), objects, written, removed };
        Ok(Applied { changes: plan.changes.clone(), not_awaited, detail: AppliedDetail::Apply(answer) })
    }

    /// Writes wave after wave, and then removes what has left.
    async fn carry_out(
        &self,
        detail: &ApplyPlan,
        jobs: &JobsByLabel,
        mut inventories: BTreeMap<&ServiceName, Inventory>,
        done: &mut Done,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<Vec<NotAwaited>, DeployError> {
        let EnvironmentNamespace { connection, name, .. } = &self.namespace;
        let not_awaited = match self.write_waves(detail, jobs, &mut done.written, events).await {
            Ok(not_awaited) => not_awaited,
            Err(error) => {
                return Err(self.namespace.explain(error, &expected(&detail.services, &done.written)).await);
            }
        };
        for planned in &detail.services {
            if planned.has_left && planned.changes() {
                events(DeployEvent::Started { subject: subject_of(&planned.service) });
            }
            self.remove(planned, done).await?;
            let inventory = inventories.remove(&planned.service).unwrap_or_default();
            if planned.has_left && planned.kept.is_empty() {
                inventory.delete(connection).await?;
            } else {
                let mut entries = entries(planned, &done.written);
                entries.extend(planned.kept.iter().cloned());
                inventory.write(connection, name, planned.service.as_str(), entries).await?;
            }
            if planned.has_left || !planned.changes() {
                events(DeployEvent::Finished { subject: subject_of(&planned.service), changed: planned.changes() });
            }
        }
        self.give_replicas(detail, &mut done.written).await?;
        Ok(not_awaited)
    }

    /// What makes room for others first, then wave after wave, each once the one before is ready.
    async fn write_waves(
        &self,
        detail: &ApplyPlan,
        jobs: &JobsByLabel,
        written: &mut Written,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<Vec<NotAwaited>, DeployError> {
        let waves = detail.request.waves.iter().enumerate();
        let waves = waves.map(|(number, wave)| {
            let is_written =
                move |planned: &&PlannedService| planned.wave == number && planned.changes() && !planned.has_left;
            let services = detail.services.iter().filter(is_written);
            (number, wave, services.collect::<Vec<_>>())
        });
        let waves: Vec<_> = waves.filter(|(_, _, services)| !services.is_empty()).collect();
        self.namespace.has_time_for_pauses(waves.iter().map(|(_, wave, _)| wave.pause))?;
        let all: Vec<&PlannedService> = detail.services.iter().collect();
        self.write_ranks(&all, AT_ONCE, &makes_room, written).await?;
        if !written.is_empty() {
            let room = expected(&detail.services, written).into_iter();
            let room: Vec<Expected> = room.filter(|expected| written.contains_key(&expected.awaited.key)).collect();
            self.namespace.wait(&room).await?;
            self.namespace.connection.refresh_discovery().await?;
        }
        self.validate(detail).await?;
        let mut begun = 0;
        for (place, (number, wave, services)) in waves.iter().enumerate() {
            // A run that ended early left the waves before this one as planned, and perhaps not ready.
            let is_kept = |planned: &&PlannedService| {
                (begun..*number).contains(&planned.wave) && !planned.changes() && !planned.has_left
            };
            let kept: Vec<&PlannedService> = detail.services.iter().filter(is_kept).collect();
            if !kept.is_empty() {
                events(DeployEvent::WaitingForKept);
                self.namespace.wait(&expected(kept.iter().copied(), written)).await?;
                self.await_jobs(detail, kept.into_iter(), jobs).await?;
            }
            begun = *number;
            let (place_from_1, of) = (place + 1, waves.len());
            if of > 1 {
                events(DeployEvent::Wave { number: place_from_1, of });
            }
            for planned in services {
                events(DeployEvent::Started { subject: subject_of(&planned.service) });
            }
            self.write_ranks(services, wave.at_once, &|id| !makes_room(id), written).await?;
            let objects = expected(services.iter().copied(), written);
            events(DeployEvent::Waiting { number: place_from_1, of });
            let not_awaited = self.namespace.wait(&objects).await?;
            self.await_jobs(detail, services.iter().copied(), jobs).await?;
            for planned in services {
                events(DeployEvent::Finished { subject: subject_of(&planned.service), changed: true });
            }
            if place_from_1 < of {
                for object in not_awaited {
                    events(DeployEvent::NotAwaited(object));
                }
                self.namespace.pause(wave.pause).await?;
            }
        }
        // What is not changed has to be ready as well.
        let not_awaited = self.namespace.wait(&expected(&detail.services, written)).await?;
        self.await_jobs(detail, detail.services.iter().filter(|planned| !planned.changes()), jobs).await?;
        Ok(not_awaited)
    }

    async fn await_jobs<'a>(
        &self,
        detail: &ApplyPlan,
        services: impl Iterator<Item = &'a PlannedService> + Send,
        known: &JobsByLabel,
    ) -> Result<(), DeployError> {
        let of =
            |planned: &'a PlannedService| JobsOf { service: &planned.service, subject: subject_of(&planned.service) };
        let jobs: Vec<JobsOf<'_>> = services.map(of).collect();
        self.namespace.await_jobs(&jobs, &detail.request.jobs, known).await
    }

    /// Objects of one rank first, those of the next only after all of them; at most so many services at a time.
    async fn write_ranks(
        &self,
        services: &[&PlannedService],
        limit: usize,
        is_meant: &(dyn Fn(&ObjectId) -> bool + Sync),
        written: &mut Written,
    ) -> Result<(), DeployError> {
        let mut by_rank: BTreeMap<u8, Vec<(ServiceName, Vec<PlannedObject>)>> = BTreeMap::new();
        for planned in services {
            let mut own: BTreeMap<u8, Vec<PlannedObject>> = BTreeMap::new();
            let written = planned.objects.iter().filter(|object| object.action != ObjectAction::Keep);
            for object in written.filter(|object| is_meant(&object.id)) {
                own.entry(rank(&object.id)).or_default().push(object.clone());
            }
            for (rank, objects) in own {
                by_rank.entry(rank).or_default().push((planned.service.clone(), objects));
            }
        }
        for batch in by_rank.into_values() {
            self.write_batch(batch, limit, written).await?;
        }
        Ok(())
    }

    /// Asks about what could not be asked about before, and says what is refused before anything else is written.
    async fn validate(&self, detail: &ApplyPlan) -> Result<(), DeployError> {
        let all = detail.services.iter().flat_map(|planned| {
            let later = planned.objects.iter().filter(|object| object.action == ObjectAction::CreateLater);
            later.map(|object| (planned.service.clone(), object.clone())).collect::<Vec<_>>()
        });
        let later = all.filter(|(_, object)| !makes_room(&object.id)).collect();
        let objects = detail.services.iter().flat_map(|planned| &planned.objects);
        let batch: BTreeSet<ObjectKey> = objects.map(|object| object.manifest.key().clone()).collect();
        let mode = ApplyMode { dry_run: true, take_over: false, strict: true };
        let answers = at_once(later, |(service, object): (ServiceName, PlannedObject)| {
            let connection = self.namespace.connection.clone();
            async move {
                let answer = connection.apply(&object.manifest, mode).await;
                (service, object, answer)
            }
        });
        for (service, object, answer) in answers.await {
            match answer {
                Err(error) if !is_made_by(&batch, &object.manifest, &error) => {
                    return Err(not_taken(&service, Change::Write, error));
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Writes objects of several services at a time; after a failure no further one is begun, and those under way come to
    /// their end.
    async fn write_batch(
        &self,
        batch: Vec<(ServiceName, Vec<PlannedObject>)>,
        limit: usize,
        written: &mut Written,
    ) -> Result<(), DeployError> {
        let stop = Interrupt::new();
        let answers = at_most(limit.min(AT_ONCE), batch, |(service, objects)| {
            let (connection, ended, stop) =
                (self.namespace.connection.clone(), self.namespace.interrupt.clone(), stop.clone());
            async move {
                let mut answers = Vec::new();
                for object in objects {
                    if ended.is_requested() || stop.is_requested() {
                        answers.push(Ok(None));
                        continue;
                    }
                    let answer = write_one(&connection, &service, &object).await;
                    if answer.is_err() {
                        stop.request();
                    }
                    answers.push(answer.map(|live| Some((object.manifest.key().clone(), live))));
                }
                answers
            }
        });
        let mut is_complete = true;
        let mut failed = None;
        for answer in answers.await.into_iter().flatten() {
            match answer {
                Ok(Some((key, live))) => drop(written.insert(key, live)),
                Ok(None) => is_complete = false,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if is_complete {
            return Ok(());
        }
        let reason = self.namespace.stopped("it was interrupted");
        Err(DeployError::NotDeployed { subject: self.namespace.subject(), reason, dossier: None })
    }

    /// Writes the replicas of manifests whose autoscalers are removed: they set others until then.
    async fn give_replicas(&self, detail: &ApplyPlan, written: &mut Written) -> Result<(), DeployError> {
        let mut scaled = BTreeSet::new();
        for planned in &detail.services {
            for object in &planned.objects {
                let Some(manifest) = &object.after_removal else { continue };
                let object =
                    PlannedObject { manifest: manifest.clone(), take_over: true, moves: false, ..object.clone() };
                let live = write_one(&self.namespace.connection, &planned.service, &object).await?;
                scaled.insert(manifest.key().clone());
                written.insert(manifest.key().clone(), live);
            }
        }
        let expected = expected(&detail.services, written).into_iter();
        let expected: Vec<Expected> = expected.filter(|expected| scaled.contains(&expected.awaited.key)).collect();
        if expected.is_empty() { Ok(()) } else { self.namespace.wait(&expected).await.map(drop) }
    }

    /// Removes what no manifest has, if it is still the object that was planned, and waits until it is gone.
    async fn remove(&self, planned: &PlannedService, done: &mut Done) -> Result<(), DeployError> {
        let applied: BTreeSet<&str> = done.written.values().filter_map(Object::uid).collect();
        let mut removed = Vec::new();
        for (key, uid) in planned.removed.iter().filter(|(_, uid)| !applied.contains(uid.as_str())) {
            if self.namespace.interrupt.is_requested() {
                let reason = self.namespace.stopped("it was interrupted");
                return Err(DeployError::NotDeployed { subject: subject_of(&planned.service), reason, dossier: None });
            }
            // A workload is there until its pods are gone.
            let propagation = match key.kind.group.as_str() {
                "apps" | "batch" => Propagation::Foreground,
                _ => Propagation::Background,
            };
            let deleted = self.namespace.connection.delete(key, uid, propagation).await;
            match deleted.map_err(|error| not_taken(&planned.service, Change::Deletion, error))? {
                cluster::Deleted::Accepted => {
                    removed.push((key.clone(), uid.clone()));
                    *done.removed.entry(planned.service.clone()).or_default() += 1;
                }
                cluster::Deleted::WasGone | cluster::Deleted::WasAnother => {}
            }
        }
        self.namespace.until_gone(|| subject_of(&planned.service), &removed).await
    }
}

async fn write_one(
    connection: &Connection,
    service: &ServiceName,
    object: &PlannedObject,
) -> Result<Object, DeployError> {
    let manifest = &object.manifest;
    let mut moved = None;
    if object.moves
        && let Some(live) = connection.find(manifest.key()).await?
        && let Some(found) = to_move(&live, manifest.value())
    {
        let decided = decided(connection, found, &live, manifest).await?;
        connection.set_managed_fields(&live, decided.managed_fields()).await?;
        moved = Some(decided);
    }
    let mode = ApplyMode { dry_run: false, take_over: object.take_over, strict: true };
    let live = connection.apply(manifest, mode).await.map_err(|error| not_taken(service, Change::Write, error))?;
    let remaining = moved.map(|moved| moved.remaining(&live, manifest.value())).unwrap_or_default();
    if remaining.is_empty() {
        return Ok(live);
    }
    let fields = remaining.iter().map(|field| format!("`{}`", escaped(field))).collect::<Vec<_>>().join(", ");
    let reason = format!("{} keeps {fields}, which its manifest does not have", object.id);
    Err(DeployError::NotDeployed { subject: subject_of(service), reason, dossier: None })
}

/// A change that was planned, and that the cluster does not take now.
fn not_taken(service: &ServiceName, change: Change, error: ClusterError) -> DeployError {
    match error.kind() {
        ClusterErrorKind::Rejected { .. }
        | ClusterErrorKind::FieldConflicts { .. }
        | ClusterErrorKind::Forbidden { .. }
        | ClusterErrorKind::UnknownKind => {
            let what = match change {
                Change::Write => "",
                Change::Deletion => "it is not deleted: ",
            };
            let reason = format!("{what}{error}");
            DeployError::NotDeployed { subject: subject_of(service), reason, dossier: None }
        }
        _ => error.into(),
    }
}

/// What the service's inventory says of its objects: the digests of manifests that are applied, and of no other.
fn entries(planned: &PlannedService, written: &Written) -> Vec<Entry> {
    let entry = |object: &PlannedObject| {
        let key = object.manifest.key();
        let live = written.get(key);
        let is_applied = live.is_some() || object.action == ObjectAction::Keep;
        let uid = live.and_then(Object::uid).or(object.uid.as_deref());
        Entry::new(key, uid, object.digest.clone().filter(|_| is_applied))
    };
    planned.objects.iter().map(entry).collect()
}

fn expected<'a>(services: impl IntoIterator<Item = &'a PlannedService>, written: &Written) -> Vec<Expected> {
    let expected = |planned: &PlannedService| {
        let subject = subject_of(&planned.service);
        let there = planned.objects.iter().filter(|object| !object.has_run);
        let named = |object: &PlannedObject| {
            let mut awaited = Awaited::named(object.manifest.key().clone());
            awaited.job = object.live.as_ref().and_then(ending_job);
            awaited
        };
        let awaited =
            there.map(|object| written.get(object.manifest.key()).map_or_else(|| named(object), Awaited::applied));
        let service = &planned.service;
        awaited
            .map(|awaited| Expected { awaited, service: service.clone(), subject: subject.clone(), is_hook: false })
            .collect::<Vec<_>>()
    };
    services.into_iter().flat_map(expected).collect()
}

fn subject_of(service: &ServiceName) -> String {
    format!("service `{service}`")
}
