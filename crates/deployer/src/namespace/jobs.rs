//! Jobs that controllers make once the objects of a service are there: no plan names them, and they have to end well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cluster::health::Permission;
use cluster::{Awaited, EndingJob, Kind, KnownJobs, NamespaceState, Object, Selection};
use lock_model::ServiceName;
use serde_json::Value;

use super::dossier::Dossier;
use super::environment::{EnvironmentNamespace, PlannedRequest};
use super::objects::removes_itself;
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

/// What is known of the Jobs that a deployment waits for, by label.
pub(crate) type JobsByLabel = BTreeMap<String, KnownJobs>;

/// A service whose objects are ready, and what messages call its part of the deployment.
pub(crate) struct JobsOf<'a> {
    pub(crate) service: &'a ServiceName,
    pub(crate) subject: String,
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
    /// Writes down, before the first change, which Jobs say nothing of this release: a run that ends early or is killed leaves
    /// the next one the same question, also where that finds nothing to change.
    pub(crate) async fn begin_jobs(
        &self,
        state: NamespaceState,
        request: &PlannedRequest,
        is_changed: impl Fn(&ServiceName) -> bool,
    ) -> Result<(NamespaceState, JobsByLabel), DeployError> {
        let mut known = JobsByLabel::new();
        let labels: BTreeSet<&str> = request.jobs.values().map(|jobs| jobs.label.as_str()).collect();
        for label in labels {
            let found = self.jobs(label).await?;
            let mut services = request.jobs.iter().filter(|(_, jobs)| jobs.label == label);
            let is_changed = services.any(|(service, _)| is_changed(service));
            let (before, release) = (state.jobs.get(label), request.release.as_str());
            known.insert(label.to_owned(), begun(before, &found, release, is_changed));
        }
        let state = self.connection.record_jobs(&state, &known).await?;
        Ok((state, known))
    }

    /// Writes down that the Jobs have ended well.
    pub(super) async fn complete_jobs(
        &self,
        state: &NamespaceState,
        request: &PlannedRequest,
        known: &JobsByLabel,
    ) -> Result<NamespaceState, DeployError> {
        let mut ended = JobsByLabel::new();
        for (label, known) in known {
            let found = self.jobs(label).await?;
            ended.insert(label.clone(), completed(known, &found, request.release.as_str()));
        }
        Ok(self.connection.record_jobs(state, &ended).await?)
    }

    /// Waits until the Jobs of the services have completed.
    pub(crate) async fn await_jobs(
        &self,
        services: &[JobsOf<'_>],
        awaited: &BTreeMap<ServiceName, AwaitedJobs>,
        known: &JobsByLabel,
    ) -> Result<(), DeployError> {
        // Services with the same label share the Jobs: the controller says for whom they are nowhere.
        let mut by_label: BTreeMap<&str, (&AwaitedJobs, &JobsOf<'_>)> = BTreeMap::new();
        for service in services {
            let Some(jobs) = awaited.get(service.service) else { continue };
            let (longest, _) = by_label.entry(&jobs.label).or_insert((jobs, service));
            if jobs.deadline > longest.deadline {
                *longest = jobs;
            }
        }
        for (label, (jobs, first)) in by_label {
            let known = known.get(label).cloned().unwrap_or_default();
            self.await_label(jobs, first, &known).await?;
        }
        Ok(())
    }

    async fn await_label(&self, jobs: &AwaitedJobs, of: &JobsOf<'_>, known: &KnownJobs) -> Result<(), DeployError> {
        let end = self.deadline.min(Instant::now() + jobs.deadline);
        loop {
            let found = self.jobs(&jobs.label).await?;
            let judged = judged(known, &found);
            if judged.is_empty() && known.is_open {
                let failed = |reason: String| DeployError::NotReady {
                    subject: of.subject.clone(),
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
                judged.into_iter().filter(|job| !has_completed(job)).map(|job| expected(job, of)).collect();
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

/// What a deployment that begins knows of the Jobs that are there.
fn begun(before: Option<&KnownJobs>, found: &[Object], release: &str, is_changed: bool) -> KnownJobs {
    let uids = |is_meant: fn(&Object) -> bool| {
        let jobs = found.iter().filter(|job| is_meant(job));
        jobs.filter_map(Object::uid).map(str::to_owned).collect::<BTreeSet<String>>()
    };
    match before {
        Some(before) if !is_changed => before.clone(),
        // The same release goes on: what has completed since it began is of it.
        Some(before) if before.is_open && before.release == release => {
            KnownJobs { ended: &before.ended | &uids(|job| failed_at(job).is_some()), ..before.clone() }
        }
        Some(_) | None => {
            let ended = uids(|job| has_completed(job) || failed_at(job).is_some());
            KnownJobs { release: release.to_owned(), is_open: is_changed, ended }
        }
    }
}

/// The Jobs that say whether a release is there. One that failed says nothing any more once another was made after that.
fn judged<'a>(known: &KnownJobs, found: &'a [Object]) -> Vec<&'a Object> {
    let is_known = |job: &Object| job.uid().is_some_and(|uid| known.ended.contains(uid));
    found.iter().filter(|job| !is_known(job) && !is_tried_again(job, found)).collect()
}

/// What is known once all of them have ended well; those that are gone are forgotten.
fn completed(known: &KnownJobs, found: &[Object], release: &str) -> KnownJobs {
    let is_done = |job: &&Object| {
        let is_known = job.uid().is_some_and(|uid| known.ended.contains(uid));
        is_known || has_completed(job) || is_tried_again(job, found)
    };
    let ended = found.iter().filter(is_done).filter_map(Object::uid).map(str::to_owned).collect();
    KnownJobs { release: release.to_owned(), is_open: false, ended }
}

/// Whether a Job failed, and another was made since.
fn is_tried_again(job: &Object, found: &[Object]) -> bool {
    let Some(failed) = failed_at(job) else { return false };
    // Times of the API server: UTC in whole seconds, whose texts have their order.
    let made = |other: &Object| other.text("/metadata/creationTimestamp").is_some_and(|made| made > failed);
    found.iter().any(|other| other.uid() != job.uid() && made(other))
}

/// When a Job failed.
fn failed_at(job: &Object) -> Option<&str> {
    job.true_condition("Failed")?;
    let mut conditions = job.list("/status/conditions").iter();
    let failed = conditions.find(|condition| condition.get("type").and_then(Value::as_str) == Some("Failed"))?;
    // Without a time nothing is known to be newer.
    Some(failed.get("lastTransitionTime").and_then(Value::as_str).unwrap_or("9999"))
}

/// How the end of a Job is known that is there, and that Kubernetes deletes after it.
pub(crate) fn ending_job(live: &Object) -> Option<EndingJob> {
    live.value().as_object().filter(|object| removes_itself(object))?;
    if has_completed(live) {
        return Some(EndingJob::HasCompleted);
    }
    live.uid().map(|uid| EndingJob::Uid(uid.to_owned()))
}

fn has_completed(job: &Object) -> bool {
    job.true_condition("Complete").is_some()
}

fn expected(job: &Object, of: &JobsOf<'_>) -> Expected {
    let (service, subject) = (of.service.clone(), of.subject.clone());
    Expected { awaited: Awaited::named(job.key().clone()), service, subject, is_hook: false }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A Job with its number as UID and second of its creation, and how it has ended at which second.
    fn job(number: u8, end: Option<(&str, u8)>) -> Object {
        let time = |second: u8| format!("2026-01-01T00:00:{second:02}Z");
        let conditions =
            end.map(|(word, second)| json!([{ "type": word, "status": "True", "lastTransitionTime": time(second) }]));
        Object::new(json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": format!("job-{number}"), "namespace": "shop", "uid": number.to_string(),
                "creationTimestamp": time(number),
            },
            "status": { "conditions": conditions.unwrap_or_default() },
        }))
        .unwrap()
    }

    fn uids(jobs: &[&Object]) -> Vec<String> {
        jobs.iter().filter_map(|job| job.uid()).map(str::to_owned).collect()
    }

    #[test]
    fn b18_what_no_job_has_proven_stays_a_question_for_the_next_run() {
        let old = [job(1, Some(("Complete", 2)))];
        let first = begun(None, &old, "r1", true);
        assert_eq!((first.is_open, judged(&first, &old).len()), (true, 0), "an earlier Job proves nothing");
        // The next run of the release has nothing to change, and the same question.
        let next = begun(Some(&first), &old, "r1", false);
        assert_eq!(next, first);
        // A Job that failed meanwhile answers it, and stays the answer.
        let failed = [old[0].clone(), job(5, Some(("Failed", 7)))];
        assert_eq!(uids(&judged(&next, &failed)), ["5"]);
        assert_eq!(uids(&judged(&begun(Some(&next), &failed, "r1", false), &failed)), ["5"]);
        // Unless its controller tried again; Jobs that ran side by side are none.
        let again = [failed[0].clone(), failed[1].clone(), job(8, None)];
        assert_eq!(uids(&judged(&next, &again)), ["8"]);
        let beside = [failed[0].clone(), failed[1].clone(), job(6, Some(("Complete", 9)))];
        assert_eq!(uids(&judged(&next, &beside)), ["5", "6"]);

        let done = completed(&next, &again, "r1");
        assert_eq!((done.is_open, done.ended.len()), (false, 2), "what still runs is not forgotten: {done:?}");
        let later = [job(8, Some(("Failed", 11)))];
        assert_eq!(uids(&judged(&begun(Some(&done), &later, "r1", false), &later)), ["8"]);
        assert!(completed(&next, &later, "r1").ended.is_empty());
    }

    #[test]
    fn b18_a_release_that_goes_on_counts_what_completed_since_it_began() {
        let old = [job(1, Some(("Complete", 2)))];
        let first = begun(None, &old, "r1", true);
        let since = [old[0].clone(), job(3, Some(("Complete", 4))), job(5, Some(("Failed", 6)))];
        let next = begun(Some(&first), &since, "r1", true);
        assert_eq!(uids(&judged(&next, &since)), ["3"]);
        // Another release asks anew.
        let other = begun(Some(&first), &since, "r2", true);
        assert_eq!((judged(&other, &since).len(), other.is_open, other.release.as_str()), (0, true, "r2"));
    }
}
