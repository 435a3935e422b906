//! Waiting until what was installed is ready, or does not become so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cluster::{Awaited, Kind, LeaseState, ObjectKey, Verdict, WaitEnd, WaitOptions};
use lock_model::ServiceName;
use process::Interrupt;
use serde_json::Value;

use super::plan::HelmPlan;
use super::target::HelmTarget;
use crate::error::DeployError;

/// The time between two looks at whether the caller wants to stop.
const LOOK: Duration = Duration::from_millis(100);

impl HelmTarget {
    /// Waits for every object of every release until the deadline; one that does not become ready ends the wait.
    pub(super) async fn wait(&self, plan: &HelmPlan) -> Result<(), DeployError> {
        let mut services: BTreeMap<ObjectKey, &ServiceName> = BTreeMap::new();
        for release in &plan.releases {
            for (id, object) in &release.rendering.objects {
                let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
                let kind = Kind::new(api_version, &id.kind);
                let namespace = id.namespace.as_deref().unwrap_or(self.namespace());
                services.insert(ObjectKey::namespaced(kind, namespace, &id.name), &release.service);
            }
        }
        let awaited: Vec<Awaited> = services.keys().cloned().map(Awaited::named).collect();
        let time_limit = self.deadline().saturating_duration_since(Instant::now());
        let options = WaitOptions { time_limit, ..WaitOptions::default() };
        let outcome = self.connection().wait(&awaited, &options, requested(self.interrupt()), &|_| ()).await?;
        let why = match outcome.end {
            WaitEnd::Ready => return Ok(()),
            WaitEnd::Nothing => "there is nothing to wait for".to_owned(),
            WaitEnd::Failed => "it does not become ready".to_owned(),
            WaitEnd::Deadline => "it was not ready when the deadline passed".to_owned(),
            WaitEnd::Stopped => match self.lease_state() {
                LeaseState::Held => "the wait for it was interrupted".to_owned(),
                LeaseState::YieldTo(to) => format!("yielded to {to}"),
                LeaseState::Lost(reason) => format!("the lease of the environment was lost: {reason}"),
            },
        };
        let mut not_ready: Vec<(&ObjectKey, &Verdict)> =
            outcome.verdicts.iter().filter(|(_, verdict)| !verdict.is_settled()).collect();
        // What failed first.
        not_ready.sort_by_key(|(_, verdict)| !verdict.is_failed());
        let subject = match not_ready.first().and_then(|(key, _)| services.get(*key)) {
            Some(service) => super::target::subject_of(service),
            None => self.subject(),
        };
        let details = not_ready.into_iter().flat_map(|(key, verdict)| {
            let causes = verdict.causes().iter().map(|cause| format!("  {cause}"));
            std::iter::once(format!("{key}: {}", verdict.detail())).chain(causes)
        });
        let details = details.chain(outcome.unseen.into_iter().map(|unseen| format!("not seen: {unseen}"))).collect();
        Err(DeployError::NotReady { subject, reason: why, details })
    }
}

/// Ends when the interrupt is requested.
pub(super) async fn requested(interrupt: &Interrupt) {
    while !interrupt.is_requested() {
        tokio::time::sleep(LOOK).await;
    }
}
