//! Installing what was planned, and comparing what helm stored with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use cluster::{Awaited, EndingJob, Kind, Kubeconfig, ObjectKey};
use lock_model::ServiceName;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::hooks::HooksOf;
use super::plan::{HelmPlan, PlannedRelease, ReleaseAction};
use super::stored::{Status, StoredRelease, stored_releases};
use crate::applied::{Applied, AppliedDetail, DeployEvent};
use crate::error::DeployError;
use crate::manifest::ObjectId;
use crate::namespace::{EnvironmentNamespace, Expected, JobsByLabel, JobsOf, NotAwaited, removes_itself};
use crate::plan::Plan;
use crate::program_search::ProgramSearch;
use crate::request::Wave;
use crate::settings::PlannedSettings;

/// The releases of one environment, in one namespace of a cluster.
#[derive(Clone)]
pub struct HelmTarget {
    pub(super) search: ProgramSearch,
    pub(super) kubeconfig: Kubeconfig,
    pub(super) namespace: EnvironmentNamespace,
}

impl fmt::Debug for HelmTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelmTarget").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// What applying did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct HelmApplied {
    /// The namespace.
    pub namespace: String,
    /// Every release of the plan.
    pub releases: Vec<AppliedRelease>,
}

/// A release, as it is after applying.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AppliedRelease {
    /// The service.
    pub service: ServiceName,
    /// helm's number of the revision.
    pub revision: u64,
}

impl HelmTarget {
    /// A target whose releases are in a namespace, where the kubeconfig leads helm as well.
    pub fn new(mut search: ProgramSearch, kubeconfig: &Kubeconfig, namespace: EnvironmentNamespace) -> Self {
        for secret in kubeconfig.secrets() {
            search.redactor.add(secret.expose_secret());
        }
        search.interrupt = namespace.interrupt.clone();
        Self { search, kubeconfig: kubeconfig.clone(), namespace }
    }

    /// How helm is found and run, with secrets that it must not show although it is not given them.
    pub(super) fn search_without(&self, settings: &PlannedSettings) -> ProgramSearch {
        let mut search = self.search.clone();
        for secret in &settings.secrets {
            search.redactor.add(secret.expose_secret());
        }
        search
    }

    /// Installs what changes, compares what helm stored with the plan, and waits until all of it is ready.
    ///
    /// Killed at any point, the same call goes on: a revision that no helm works on any more is called failed, and the
    /// next one is made of the same plan.
    pub(crate) async fn apply(
        &self,
        plan: &Plan,
        detail: &HelmPlan,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<Applied, DeployError> {
        let namespace = self.namespace.watched().masking(&detail.settings.secrets);
        let search = ProgramSearch { interrupt: namespace.interrupt.clone(), ..self.search_without(&detail.settings) };
        let watched = Self { search, namespace, ..self.clone() };
        self.namespace.until_ended(&watched.namespace, watched.write(plan, detail, events)).await
    }

    async fn write(
        &self,
        plan: &Plan,
        detail: &HelmPlan,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<Applied, DeployError> {
        let state = self.namespace.begin(&detail.request, &detail.settings).await?;
        detail.settings.write(&self.namespace.connection, detail.request.release.as_str()).await?;
        let changing: Vec<PlannedRelease> =
            detail.releases.iter().filter(|release| release.action != ReleaseAction::Keep).cloned().collect();
        let is_changed = |service: &ServiceName| changing.iter().any(|release| release.service == *service);
        let (state, jobs) = self.namespace.begin_jobs(state, &detail.request, is_changed).await?;
        self.call_unfinished_failed(&changing).await?;
        let mut progress = Progress::new(names(&changing), detail);
        let deployed = self.deploy_waves(detail, &changing, &jobs, &mut progress, events).await;
        let (releases, not_awaited) = deployed.map_err(|error| progress.add_to(error))?;
        let has_ending = |release: &&PlannedRelease| release.rendering.objects.values().any(removes_itself);
        let revisions = detail.releases.iter().zip(&releases).filter(|(planned, _)| has_ending(planned));
        let revisions = revisions.map(|(_, applied)| (applied.service.to_string(), applied.revision)).collect();
        self.namespace.complete(&state, &detail.request, &detail.settings, &jobs, revisions).await?;
        let namespace = self.namespace.name.clone();
        let detail = AppliedDetail::Helm(HelmApplied { namespace, releases });
        Ok(Applied { changes: plan.changes.clone(), not_awaited, detail })
    }

    /// Wave after wave, each once the one before is ready; then what has left is uninstalled.
    async fn deploy_waves(
        &self,
        detail: &HelmPlan,
        changing: &[PlannedRelease],
        jobs: &JobsByLabel,
        progress: &mut Progress,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<(Vec<AppliedRelease>, Vec<NotAwaited>), DeployError> {
        let ended = self.completed_jobs(changing).await?;
        let waves = detail.request.waves.iter().enumerate();
        let waves = waves.map(|(number, wave)| {
            (number, wave, changing.iter().filter(|one| one.wave == number).cloned().collect::<Vec<_>>())
        });
        let waves: Vec<(usize, &Wave, Vec<PlannedRelease>)> =
            waves.filter(|(_, _, releases)| !releases.is_empty()).collect();
        self.namespace.has_time_for_pauses(waves.iter().map(|(_, wave, _)| wave.pause))?;
        let of = waves.len();
        let mut begun = 0;
        for (place, (number, wave, releases)) in waves.into_iter().enumerate() {
            self.await_kept(detail, begun..number, jobs, &ended, events).await?;
            begun = number;
            self.refuse_hooks_of_others(&releases).await?;
            if of > 1 {
                events(DeployEvent::Wave { number: place + 1, of });
            }
            for release in &releases {
                events(DeployEvent::Started { subject: subject_of(&release.service) });
            }
            let services = names(&releases);
            let waiting = || events(DeployEvent::Waiting { number: place + 1, of });
            let not_awaited = self.deploy_wave(detail, wave, releases, progress, (&waiting, &ended)).await?;
            self.await_jobs(detail, &services, jobs).await?;
            for service in &services {
                events(DeployEvent::Finished { subject: subject_of(service), changed: true });
            }
            if place + 1 < of {
                for object in not_awaited {
                    events(DeployEvent::NotAwaited(object));
                }
                self.namespace.pause(wave.pause).await?;
            }
        }
        let stored = self.stored(&detail.releases).await?;
        let mut releases = Vec::new();
        for release in &detail.releases {
            let revision = as_planned(release, stored.get(release.service.as_str()))?;
            releases.push(AppliedRelease { service: release.service.clone(), revision });
            if release.action == ReleaseAction::Keep {
                events(DeployEvent::Finished { subject: subject_of(&release.service), changed: false });
            }
        }
        let not_awaited = self.namespace.wait(&self.expected(detail.releases.iter(), Part::Objects, &ended)).await?;
        let kept = detail.releases.iter().filter(|release| release.action == ReleaseAction::Keep).cloned();
        self.await_jobs(detail, &names(&kept.collect::<Vec<_>>()), jobs).await?;
        self.uninstall(detail, progress, events).await?;
        Ok((releases, not_awaited))
    }

    /// Waits for what is kept in some waves: a run that ended early left it as planned, and perhaps not ready.
    async fn await_kept(
        &self,
        detail: &HelmPlan,
        waves: Range<usize>,
        jobs: &JobsByLabel,
        ended: &EndedJobs,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<(), DeployError> {
        let is_meant = |one: &&PlannedRelease| waves.contains(&one.wave) && one.action == ReleaseAction::Keep;
        let kept: Vec<PlannedRelease> = detail.releases.iter().filter(is_meant).cloned().collect();
        if kept.is_empty() {
            return Ok(());
        }
        events(DeployEvent::WaitingForKept);
        self.namespace.wait(&self.expected(kept.iter(), Part::Objects, ended)).await?;
        self.await_jobs(detail, &names(&kept), jobs).await
    }

    /// The cluster may have got an object with the name of a hook since it was planned, which helm would delete.
    async fn refuse_hooks_of_others(&self, releases: &[PlannedRelease]) -> Result<(), DeployError> {
        let hooks = releases.iter().map(|release| HooksOf {
            service: &release.service,
            rendering: &release.rendering,
            newest: None,
            doing: release.action.doing(),
        });
        let facts = self.look_at_hooks(&hooks.collect::<Vec<_>>()).await?;
        match facts.problems.into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(DeployError::HookMoved {
                subject: problem.service.as_ref().map_or_else(String::new, subject_of),
                reason: problem.message,
                dossier: None,
            }),
        }
    }

    async fn await_jobs(
        &self,
        detail: &HelmPlan,
        services: &[ServiceName],
        known: &JobsByLabel,
    ) -> Result<(), DeployError> {
        let jobs: Vec<JobsOf> =
            services.iter().map(|service| JobsOf { service, subject: subject_of(service) }).collect();
        self.namespace.await_jobs(&jobs, &detail.request.jobs, known).await
    }

    /// Changes the releases of one wave, compares what helm stored with the plan, and waits until their objects are ready, but
    /// for those that it gives.
    async fn deploy_wave(
        &self,
        plan: &HelmPlan,
        wave: &Wave,
        releases: Vec<PlannedRelease>,
        progress: &mut Progress,
        (waiting, ended): (&(dyn Fn() + Sync), &EndedJobs),
    ) -> Result<Vec<NotAwaited>, DeployError> {
        let expected = |part| self.expected(releases.iter(), part, ended);
        let (objects, with_hooks) = (expected(Part::Objects), expected(Part::WithHooks));
        let all = names(&releases);
        let upgraded = match self.unmoved(plan, &releases).await {
            Ok(unmoved) => self.upgrade(plan, releases.clone(), wave.at_once, unmoved).await,
            Err(error) => Err((error, Vec::new())),
        };
        match upgraded {
            Ok(()) => progress.begun(&all),
            Err((error, begun)) => {
                progress.begun(&self.revised(&releases, begun).await);
                return Err(self.namespace.explain(error, &with_hooks).await);
            }
        }
        let stored = self.stored(&releases).await?;
        for release in &releases {
            as_planned(release, stored.get(release.service.as_str()))?;
        }
        waiting();
        self.namespace.wait(&objects).await
    }

    /// Those of some services whose releases have a new revision: helm stores it before it changes anything, so that one which the
    /// cluster does not take has changed nothing.
    async fn revised(&self, releases: &[PlannedRelease], mut services: Vec<ServiceName>) -> Vec<ServiceName> {
        // What cannot be read may have been changed.
        if let Ok(stored) = self.stored(releases).await {
            let planned = |service: &ServiceName| releases.iter().find(|one| one.service == *service)?.revision;
            let newest = |service: &ServiceName| Some(stored.get(service.as_str())?.revision);
            services.retain(|service| newest(service) != planned(service));
        }
        services
    }

    /// What helm has stored in the namespace; all of some releases has to be readable.
    async fn stored(&self, releases: &[PlannedRelease]) -> Result<BTreeMap<String, StoredRelease>, DeployError> {
        let EnvironmentNamespace { connection, name, .. } = &self.namespace;
        stored_releases(connection, name, |name| releases.iter().any(|one| one.service.as_str() == name)).await
    }

    /// Which Jobs completed before releases change, in each namespace where these have Jobs that are deleted after their end.
    async fn completed_jobs(&self, changing: &[PlannedRelease]) -> Result<EndedJobs, DeployError> {
        let objects = changing.iter().flat_map(|release| &release.rendering.objects);
        let jobs = objects.filter(|(_, object)| removes_itself(object));
        let namespaces: BTreeSet<&str> = jobs.map(|(id, _)| self.namespace_of(id)).collect();
        let mut ended = EndedJobs::new();
        for namespace in namespaces {
            let completed = self.namespace.connection.completed_jobs(namespace).await?;
            ended.insert(namespace.to_owned(), completed);
        }
        Ok(ended)
    }

    fn namespace_of<'a>(&'a self, id: &'a ObjectId) -> &'a str {
        id.namespace.as_deref().unwrap_or(&self.namespace.name)
    }

    /// Every object of some releases.
    fn expected<'a>(
        &self,
        releases: impl Iterator<Item = &'a PlannedRelease>,
        part: Part,
        ended: &EndedJobs,
    ) -> Vec<Expected> {
        let objects = |release: &PlannedRelease| {
            let rendering = &release.rendering;
            let hooks = rendering.hooks.iter().filter(|_| part == Part::WithHooks).map(|entry| (entry, true));
            let there = rendering.objects.iter().filter(|(id, _)| !release.has_run.contains(*id));
            let all = there.map(|entry| (entry, false)).chain(hooks);
            let expected = all.map(|((id, object), is_hook)| {
                let mut expected = self.expected_of(&release.service, (id, object), is_hook);
                if !is_hook && removes_itself(object) {
                    expected.awaited.job = ending(release.jobs.get(id), ended.get(self.namespace_of(id)));
                }
                expected
            });
            expected.collect::<Vec<_>>()
        };
        releases.flat_map(objects).collect()
    }

    /// One object or hook of a release.
    pub(super) fn expected_of(
        &self,
        service: &ServiceName,
        (id, object): (&ObjectId, &Map<String, Value>),
        is_hook: bool,
    ) -> Expected {
        let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let key = ObjectKey::namespaced(Kind::new(api_version, &id.kind), self.namespace_of(id), &id.name);
        Expected { awaited: Awaited::named(key), service: service.clone(), subject: subject_of(service), is_hook }
    }

    /// The environment has one deployment at a time, so a helm that works on a revision is one that was killed.
    async fn call_unfinished_failed(&self, changing: &[PlannedRelease]) -> Result<(), DeployError> {
        let stored = self.stored(changing).await?;
        for release in changing {
            let Some(stored) = stored.get(release.service.as_str()) else { continue };
            if matches!(stored.status, Status::Unfinished(_)) {
                self.namespace.connection.replace(&stored.called_failed()?).await?;
            }
        }
        Ok(())
    }
}

/// By namespace, UIDs of Jobs whose completion was told before the deployment changed anything.
type EndedJobs = BTreeMap<String, BTreeSet<String>>;

/// How the end of a Job is known, from the one that was there when it was planned and those that ended before.
fn ending(there: Option<&EndingJob>, ended: Option<&BTreeSet<String>>) -> Option<EndingJob> {
    match (there, ended) {
        // helm leaves it as it is, or makes another one in its place.
        (Some(EndingJob::Uid(uid)), Some(ended)) => {
            Some(EndingJob::NoneOf(ended.iter().filter(|other| *other != uid).cloned().collect()))
        }
        (Some(there), _) => Some(there.clone()),
        (None, ended) => ended.cloned().map(EndingJob::NoneOf),
    }
}

/// Which services were changed so far.
pub(super) struct Progress {
    changed: Vec<ServiceName>,
    untouched: Vec<ServiceName>,
}

impl Progress {
    fn new(mut untouched: Vec<ServiceName>, plan: &HelmPlan) -> Self {
        untouched.extend(plan.removed.iter().map(|left| left.service.clone()));
        Self { changed: Vec::new(), untouched }
    }

    pub(super) fn begun(&mut self, services: &[ServiceName]) {
        self.untouched.retain(|service| !services.contains(service));
        self.changed.extend_from_slice(services);
    }

    fn add_to(&self, error: DeployError) -> DeployError {
        error.with_progress(&self.changed, &self.untouched)
    }
}

fn names(releases: &[PlannedRelease]) -> Vec<ServiceName> {
    releases.iter().map(|release| release.service.clone()).collect()
}

/// Which objects of a release are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Those that stay; helm has waited for hooks.
    Objects,
    WithHooks,
}

/// Compares a stored revision with the plan; gives its number.
fn as_planned(planned: &PlannedRelease, stored: Option<&StoredRelease>) -> Result<u64, DeployError> {
    let not =
        |reason: String| DeployError::NotDeployed { subject: subject_of(&planned.service), reason, dossier: None };
    let Some(stored) = stored else { return Err(not("helm has stored no revision".to_owned())) };
    if stored.status != Status::Deployed {
        return Err(not(format!("its revision {} is {}", stored.revision, stored.status)));
    }
    match planned.rendering.difference(&stored.rendering) {
        None => Ok(stored.revision),
        Some(difference) => Err(not(format!("what helm stored is not what was planned: {difference}"))),
    }
}

pub(super) fn subject_of(service: &ServiceName) -> String {
    format!("helm release `{service}`")
}
