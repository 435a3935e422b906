//! Workloads that were scaled to 0, and whose manifest leaves their number to others.

use cluster::Object;
use serde_json::Value;

/// Whether a workload has no replicas and its manifest names no number: writing the manifest starts none.
pub(crate) fn stays_stopped(manifest: &Value, live: &Object) -> bool {
    let kind = &live.key().kind;
    kind.group == "apps"
        && matches!(kind.kind.as_str(), "Deployment" | "StatefulSet" | "ReplicaSet")
        && manifest.pointer("/spec/replicas").is_none_or(Value::is_null)
        && live.integer("/spec/replicas") == Some(0)
}
