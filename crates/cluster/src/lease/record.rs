use std::time::Duration;

use lock_model::Timestamp;
use serde_json::{Value, json};

use crate::error::ClusterError;
use crate::lease::{LEASE_DURATION, LeaseHolder, LeasePlace};
use crate::object::Object;

const REPOSITORY: &str = "orchestrator.dev/repository";
const ENVIRONMENT: &str = "orchestrator.dev/environment";
const RUN: &str = "orchestrator.dev/run";
const ATTEMPT: &str = "orchestrator.dev/attempt";
const LINK: &str = "orchestrator.dev/link";
const YIELD_TO: &str = "orchestrator.dev/yield-to";
/// The number, where it is larger than `leaseTransitions` can be, which is a number of 32 bits with a sign.
const NUMBER: &str = "orchestrator.dev/lease-number";
const MOST_TRANSITIONS: u64 = i32::MAX as u64;

/// A Lease as it is written.
pub(super) struct Record {
    pub(super) holder: Option<LeaseHolder>,
    pub(super) number: u64,
    pub(super) duration: Duration,
    /// Changes with each renewal.
    pub(super) renewal: String,
    pub(super) yield_to: Option<String>,
}

impl Record {
    pub(super) fn of(live: &Object) -> Self {
        let note = |name: &str| live.annotation(name).unwrap_or_default().to_owned();
        let nonce = live.text("/spec/holderIdentity").filter(|nonce| !nonce.is_empty());
        let holder = nonce.map(|nonce| LeaseHolder {
            repository: note(REPOSITORY),
            run: note(RUN),
            attempt: note(ATTEMPT).parse().unwrap_or_default(),
            nonce: nonce.to_owned(),
            link: live.annotation(LINK).map(str::to_owned),
        });
        let seconds = live.integer("/spec/leaseDurationSeconds").and_then(|seconds| u64::try_from(seconds).ok());
        let transitions = live.integer("/spec/leaseTransitions").and_then(|number| u64::try_from(number).ok());
        let larger = live.annotation(NUMBER).and_then(|number| number.parse().ok());
        let larger = larger.filter(|number: &u64| transitions == Some(MOST_TRANSITIONS) && *number > MOST_TRANSITIONS);
        Self {
            holder,
            number: larger.or(transitions).unwrap_or_default(),
            duration: seconds.map_or(LEASE_DURATION, Duration::from_secs),
            renewal: format!("{} {}", live.uid().unwrap_or_default(), live.text("/spec/renewTime").unwrap_or_default()),
            yield_to: live.annotation(YIELD_TO).map(str::to_owned),
        }
    }

    pub(super) fn object(
        place: &LeasePlace,
        holder: &LeaseHolder,
        number: u64,
        now: Timestamp,
        live: Option<&Object>,
    ) -> Result<Object, ClusterError> {
        let key = place.key();
        let mut notes = json!({
            REPOSITORY: holder.repository,
            ENVIRONMENT: place.environment,
            RUN: holder.run,
            ATTEMPT: holder.attempt.to_string(),
        });
        if let Some(link) = &holder.link {
            notes[LINK] = json!(link);
        }
        if number > MOST_TRANSITIONS {
            notes[NUMBER] = json!(number.to_string());
        }
        let mut lease = json!({
            "apiVersion": key.kind.api_version(),
            "kind": key.kind.kind,
            "metadata": { "name": key.name, "namespace": place.namespace, "annotations": notes },
            "spec": {
                "holderIdentity": holder.nonce,
                "leaseDurationSeconds": LEASE_DURATION.as_secs(),
                "leaseTransitions": number.min(MOST_TRANSITIONS),
                "acquireTime": micro_time(now),
                "renewTime": micro_time(now),
            },
        });
        if let Some(version) = live.and_then(Object::resource_version) {
            lease["metadata"]["resourceVersion"] = json!(version);
        }
        Object::new(lease)
    }

    pub(super) fn renewed(live: &Object, now: Timestamp) -> Result<Object, ClusterError> {
        changed(live, |lease| lease["spec"]["renewTime"] = json!(micro_time(now)))
    }

    pub(super) fn released(live: &Object) -> Result<Object, ClusterError> {
        changed(live, |lease| {
            lease["spec"]["holderIdentity"] = Value::Null;
            if let Some(notes) = lease.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
                notes.remove(YIELD_TO);
            }
        })
    }

    pub(super) fn with_yield(live: &Object, to: &str) -> Result<Object, ClusterError> {
        changed(live, |lease| lease["metadata"]["annotations"][YIELD_TO] = json!(to))
    }
}

fn changed(live: &Object, change: impl FnOnce(&mut Value)) -> Result<Object, ClusterError> {
    let mut lease = live.value().clone();
    if let Some(metadata) = lease.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    change(&mut lease);
    Object::new(lease)
}

/// The API server takes times of a Lease only with fractions.
fn micro_time(now: Timestamp) -> String {
    now.to_string().replace('Z', ".000000Z")
}
