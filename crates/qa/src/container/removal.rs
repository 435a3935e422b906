//! Taking Jobs of suites away, pods included: what runs on would work beside the next suite.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cluster::{ClusterError, Kind, LeaseState, Object, ObjectKey, Propagation, Selection};

use super::job::{pod_selector, selector};
use super::{AFTERWARDS, ContainerSuite, LOOK};
use crate::text::in_words;

/// How long what an earlier run left behind may take to end.
const EARLIER: Duration = Duration::from_secs(90);
/// How long a pod may take to end where the caller has to end.
const STOPPED: Duration = Duration::from_secs(5);

impl ContainerSuite {
    /// Ends what earlier runs left behind: they were killed, or their pods took their time, and this one has the
    /// environment's lease. Gives what has not ended in time.
    pub(super) async fn remove_earlier(&self) -> Result<Option<ObjectKey>, ClusterError> {
        let end = Instant::now() + EARLIER.min(self.deadline);
        let mut is_asked = BTreeSet::new();
        loop {
            let jobs = self.found("batch/v1", "Job", selector(&self.identity)).await?;
            for job in &jobs {
                let uid = job.uid().unwrap_or_default();
                // In the foreground the Job is there until its pods have ended.
                if is_asked.insert(uid.to_owned()) {
                    self.connection.delete(job.key(), uid, Propagation::Foreground).await?;
                }
            }
            // The garbage collector takes the pods of a Job that is gone.
            let pods = self.found("v1", "Pod", selector(&self.identity)).await?;
            let Some(first) = jobs.iter().chain(&pods).next() else { return Ok(None) };
            if Instant::now() > end {
                return Ok(Some(first.key().clone()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Removes the Job with its pod, and its Secret, and waits until the pod is gone. Gives a sentence for each object that
    /// is left.
    pub(super) async fn remove(&self, job: &Object, secret: Option<&Object>) -> Vec<String> {
        let is_held = self.lease.as_ref().is_none_or(|lease| lease.state() == LeaseState::Held);
        let patience = if self.interrupt.is_requested() || !is_held { STOPPED } else { AFTERWARDS };
        let mut left = BTreeSet::from([job.key().clone()]);
        let why = match tokio::time::timeout(patience, self.removed(job, secret, &mut left)).await {
            Ok(Ok(())) => return Vec::new(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it has not gone within {}", in_words(patience)),
        };
        left.iter().map(|key| format!("{key} is left: {why}")).collect()
    }

    /// Ends once nothing is there any more; `left` is what is there until then.
    async fn removed(
        &self,
        job: &Object,
        secret: Option<&Object>,
        left: &mut BTreeSet<ObjectKey>,
    ) -> Result<(), ClusterError> {
        for (object, propagation) in
            secret.map(|secret| (secret, Propagation::Background)).into_iter().chain([(job, Propagation::Foreground)])
        {
            let uid = object.uid().unwrap_or_default();
            self.connection.delete(object.key(), uid, propagation).await?;
        }
        loop {
            let jobs = self.found("batch/v1", "Job", pod_selector(&self.identity)).await?;
            let pods = self.found("v1", "Pod", pod_selector(&self.identity)).await?;
            // A Job that waits for its pods goes with them.
            let there = if pods.is_empty() { jobs } else { pods };
            *left = there.iter().map(|object| object.key().clone()).collect();
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn found(&self, version: &str, kind: &str, labels: String) -> Result<Vec<Object>, ClusterError> {
        let selection = Selection { labels, ..Selection::default() };
        self.connection.list(&Kind::new(version, kind), Some(&self.identity.namespace), &selection).await
    }
}
