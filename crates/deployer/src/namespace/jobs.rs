//! Jobs that controllers make once the objects of a service are there: no plan names them, and they have to end well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cluster::health::Permission;
use cluster::{Awaited, Kind, Object, Selection};
use lock_model::ServiceName;

use super::dossier::Dossier;
use super::environment::EnvironmentNamespace;
use super::wait::{Expected, requested};
use crate::error::DeployError;

/// The time between two looks for Jobs that are not there yet.
const LOOK: Duration = Duration::from_secs(2);

/// Which Jobs of controllers belong to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedJobs {
    /// The label that they have: `KEY=VALUE`.
    pub label: String,
    /// How long they may take once the objects of the service are ready.
    pub deadline: Duration,
}

/// Jobs that had ended before anything was changed: they are of an earlier deployment, however they ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct EarlierJobs(BTreeSet<String>);

/// A service whose objects are ready, and what messages call its part of the deployment.
pub(crate) struct JobsOf<'a> {
    pub(crate) service: &'a ServiceName,
    pub(crate) subject: String,
    /// Whether its objects were changed, so that a controller makes at least one Job.
    pub(crate) is_changed: bool,
}

/// What has to be permitted to wait for them.
pub(crate) fn permissions_for_jobs(namespace: &str) -> Vec<Permission> {
    let permission = |(version, kind, verb): (&str, &str, &'static str)| Permission {
        kind: Kind::new(version, kind),
        namespace: Some(namespace.to_owned()),
        verb,
        names: BTreeSet::new(),
    };
    let needed =
        [("batch/v1", "Job", "list"), ("batch/v1", "Job", "watch"), ("v1", "Pod", "list"), ("v1", "Pod", "watch")];
    needed.into_iter().map(permission).collect()
}

impl EnvironmentNamespace {
    /// The Jobs that have ended already; to be asked before the first change.
    pub(crate) async fn earlier_jobs(
        &self,
        awaited: &BTreeMap<ServiceName, AwaitedJobs>,
    ) -> Result<EarlierJobs, DeployError> {
        let labels: BTreeSet<&str> = awaited.values().map(|jobs| jobs.label.as_str()).collect();
        let mut earlier = EarlierJobs::default();
        for label in labels {
            let jobs = self.jobs(label).await?;
            let ended = jobs.iter().filter(|job| has_completed(job) || job.true_condition("Failed").is_some());
            earlier.0.extend(ended.filter_map(Object::uid).map(str::to_owned));
        }
        Ok(earlier)
    }

    /// Waits until the Jobs of the services have completed.
    pub(crate) async fn await_jobs(
        &self,
        services: &[JobsOf<'_>],
        awaited: &BTreeMap<ServiceName, AwaitedJobs>,
        earlier: &EarlierJobs,
    ) -> Result<(), DeployError> {
        // Services with the same label share the Jobs: the controller says for whom they are nowhere.
        let mut by_label: BTreeMap<&str, (&AwaitedJobs, Vec<&JobsOf<'_>>)> = BTreeMap::new();
        for service in services {
            let Some(jobs) = awaited.get(service.service) else { continue };
            let (longest, all) = by_label.entry(&jobs.label).or_insert((jobs, Vec::new()));
            if jobs.deadline > longest.deadline {
                *longest = jobs;
            }
            all.push(service);
        }
        for (jobs, services) in by_label.into_values() {
            self.await_label(jobs, &services, earlier).await?;
        }
        Ok(())
    }

    async fn await_label(
        &self,
        jobs: &AwaitedJobs,
        services: &[&JobsOf<'_>],
        earlier: &EarlierJobs,
    ) -> Result<(), DeployError> {
        let Some(first) = services.iter().find(|service| service.is_changed).or(services.first()) else {
            return Ok(());
        };
        let end = self.deadline.min(Instant::now() + jobs.deadline);
        loop {
            let found = self.jobs(&jobs.label).await?;
            let found: Vec<&Object> =
                found.iter().filter(|job| job.uid().is_none_or(|uid| !earlier.0.contains(uid))).collect();
            if found.is_empty() && first.is_changed {
                let failed = |reason: String| DeployError::NotReady {
                    subject: first.subject.clone(),
                    reason,
                    dossier: Box::<Dossier>::default(),
                };
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(failed(format!("no controller has made a Job with label `{}` in time", jobs.label)));
                }
                tokio::select! {
                    () = tokio::time::sleep(LOOK.min(left)) => {}
                    () = requested(&self.interrupt) => {
                        return Err(failed(self.stopped("the wait for its Jobs was interrupted")));
                    }
                }
                continue;
            }
            let open: Vec<Expected> =
                found.iter().filter(|job| !has_completed(job)).map(|job| expected(job, first)).collect();
            if open.is_empty() {
                return Ok(());
            }
            // While these run, the controller may make more.
            self.wait_until(&open, end).await?;
        }
    }

    async fn jobs(&self, label: &str) -> Result<Vec<Object>, DeployError> {
        let selection = Selection { labels: label.to_owned(), ..Selection::default() };
        Ok(self.connection.list(&Kind::new("batch/v1", "Job"), Some(&self.name), &selection).await?)
    }
}

fn has_completed(job: &Object) -> bool {
    job.true_condition("Complete").is_some()
}

fn expected(job: &Object, of: &JobsOf<'_>) -> Expected {
    let (service, subject) = (of.service.clone(), of.subject.clone());
    Expected { awaited: Awaited::named(job.key().clone()), service, subject, is_hook: false }
}
