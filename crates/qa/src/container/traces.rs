//! What the cluster remembers of a Job: its pod, the end of its log, and events of what is wrong.

use cluster::{Cause, ClusterError, Kind, LogTail, Object, Selection, Verdict as Readiness};

use super::ContainerSuite;
use super::job::{CONTAINER, pod_selector};

/// Which part of the log is reported.
const TAIL: LogTail = LogTail { previous: false, lines: 80, bytes: 1 << 20 };
/// Of how many causes events are reported.
const TRACED: usize = 2;
/// How many events of an object are reported, the newest.
const EVENTS: usize = 8;

impl ContainerSuite {
    /// The pod of a Job, and lines of what it printed and of what kept it from running.
    pub(super) async fn traces(
        &self,
        job: &Object,
        verdict: Option<&Readiness>,
    ) -> Result<(Option<Object>, Vec<String>), ClusterError> {
        let selection = Selection { labels: pod_selector(&self.identity), ..Selection::default() };
        let pods = self.connection.list(&Kind::new("v1", "Pod"), Some(&self.identity.namespace), &selection).await?;
        let own = pods.into_iter().filter(|pod| pod.controller() == job.uid());
        // A second one is made where the first was deleted.
        let pod = own.max_by_key(|pod| pod.text("/metadata/creationTimestamp").unwrap_or_default().to_owned());
        let mut lines = match &pod {
            Some(pod) => self.log(pod).await,
            None => Vec::new(),
        };
        for cause in verdict.map(Readiness::causes).unwrap_or_default().iter().take(TRACED) {
            lines.push(cause.to_string());
            lines.extend(self.events(cause).await);
        }
        Ok((pod, lines))
    }

    async fn log(&self, pod: &Object) -> Vec<String> {
        match self.connection.logs(pod.key(), CONTAINER, TAIL).await {
            Ok(text) => text.unwrap_or_default().lines().map(str::to_owned).collect(),
            Err(error) => vec![format!("its log could not be read: {error}")],
        }
    }

    async fn events(&self, cause: &Cause) -> Vec<String> {
        let uid = match self.connection.find(&cause.object).await {
            Ok(object) => object.and_then(|object| object.uid().map(str::to_owned)),
            Err(error) => return vec![error.to_string()],
        };
        let Some(uid) = uid else { return Vec::new() };
        match self.connection.events(&cause.object, &uid).await {
            Ok(events) => {
                let newest = events.get(events.len().saturating_sub(EVENTS)..).unwrap_or_default();
                newest.iter().map(|event| format!("{} {}: {}", event.last_seen, event.reason, event.message)).collect()
            }
            Err(error) => vec![format!("its events could not be read: {error}")],
        }
    }
}
