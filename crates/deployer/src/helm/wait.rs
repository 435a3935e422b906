//! Waiting until what was installed is ready.

use std::time::{Duration, Instant};

use cluster::{Condition, Kind, Object, ObjectKey};
use lock_model::ServiceName;
use serde_json::Value;

use super::plan::HelmPlan;
use super::target::{HelmTarget, subject_of};
use crate::error::DeployError;

/// The time between two looks at what is not ready yet.
const PAUSE: Duration = Duration::from_millis(500);

impl HelmTarget {
    /// Waits for the workloads of every release until the deadline; a Job that failed ends the wait.
    pub(super) async fn wait(&self, plan: &HelmPlan) -> Result<(), DeployError> {
        let mut waiting: Vec<(&ServiceName, ObjectKey)> = Vec::new();
        for release in &plan.releases {
            for (id, object) in &release.rendering.objects {
                let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
                let namespace = id.namespace.as_deref().unwrap_or(self.namespace());
                let key = ObjectKey::namespaced(Kind::new(api_version, &id.kind), namespace, &id.name);
                if is_awaited(&key.kind) {
                    waiting.push((&release.service, key));
                }
            }
        }
        loop {
            let mut not_ready = Vec::new();
            for (service, key) in waiting {
                let live = self.connection().get(&key).await?;
                match progress(&live) {
                    Progress::Ready => {}
                    Progress::Waiting(reason) => not_ready.push(((service, key), reason)),
                    Progress::Failed(reason) => return Err(not_deployed(service, &key, &reason)),
                }
            }
            let Some(((service, key), reason)) = not_ready.first() else { return Ok(()) };
            if Instant::now() >= self.deadline() {
                return Err(not_deployed(service, key, &format!("{reason}, when the deadline passed")));
            }
            waiting = not_ready.into_iter().map(|(one, _)| one).collect();
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn not_deployed(service: &ServiceName, key: &ObjectKey, reason: &str) -> DeployError {
    DeployError::NotDeployed { subject: subject_of(service), reason: format!("{key} {reason}") }
}

enum Progress {
    Ready,
    /// What is missing.
    Waiting(String),
    Failed(String),
}

fn is_awaited(kind: &Kind) -> bool {
    matches!(
        (kind.group.as_str(), kind.kind.as_str()),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet") | ("batch", "Job")
    )
}

/// The status counts only where the controller has seen the newest specification.
fn progress(live: &Object) -> Progress {
    let number = |pointer: &str| live.integer(pointer).unwrap_or_default();
    let holds = |condition: &str| live.condition(condition).is_some_and(|found| found.is_true());
    if live.key().kind.kind == "Job" {
        return if holds("Complete") {
            Progress::Ready
        } else if let Some(failed) = live.condition("Failed").filter(Condition::is_true) {
            Progress::Failed(format!("failed: {}", failed.reason))
        } else {
            Progress::Waiting("is not complete".to_owned())
        };
    }
    if live.generation() != live.observed_generation() {
        return Progress::Waiting("is not seen by its controller".to_owned());
    }
    let is_daemon = live.key().kind.kind == "DaemonSet";
    let (wanted, updated, ready) = if is_daemon {
        let wanted = number("/status/desiredNumberScheduled");
        (wanted, number("/status/updatedNumberScheduled"), number("/status/numberAvailable"))
    } else {
        let wanted = live.integer("/spec/replicas").unwrap_or(1);
        (wanted, number("/status/updatedReplicas"), number("/status/availableReplicas"))
    };
    if updated < wanted || ready < wanted {
        return Progress::Waiting(format!("has {updated} new and {ready} available pods of {wanted}"));
    }
    let all = number("/status/replicas");
    if !is_daemon && all > wanted {
        return Progress::Waiting(format!("has {} pods of before", all - wanted));
    }
    Progress::Ready
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(kind: &str, generation: u64, spec: &Value, status: &Value) -> String {
        let api_version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
        let object = json!({
            "apiVersion": api_version, "kind": kind, "metadata": { "name": "a", "generation": generation },
            "spec": spec, "status": status,
        });
        match progress(&Object::new(object).unwrap()) {
            Progress::Ready => "ready".to_owned(),
            Progress::Waiting(reason) => reason,
            Progress::Failed(reason) => reason,
        }
    }

    #[test]
    fn b17_a_status_of_before_is_no_readiness() {
        let two = json!({ "replicas": 2 });
        let full = json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 });
        assert_eq!(shown("Deployment", 2, &two, &full), "ready");
        assert_eq!(shown("Deployment", 3, &two, &full), "is not seen by its controller");
        let rolling = json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2 });
        assert_eq!(shown("StatefulSet", 2, &two, &rolling), "has 1 pods of before");
        let some = json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2 });
        assert_eq!(shown("Deployment", 2, &two, &some), "has 1 new and 2 available pods of 2");
        let daemon = json!({ "observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3 });
        assert_eq!(shown("DaemonSet", 1, &json!({}), &daemon), "has 3 new and 0 available pods of 3");
        let condition = |name: &str| json!({ "conditions": [{ "type": name, "status": "True", "reason": "Why" }] });
        assert_eq!(shown("Job", 1, &json!({}), &condition("Complete")), "ready");
        assert_eq!(shown("Job", 1, &json!({}), &condition("Failed")), "failed: Why");
    }
}
