//! Volumes that go with an object that is removed.

use serde_json::{Map, Value};

use crate::manifest::ObjectId;

/// Whether an object is a volume, or a claim for one.
pub(crate) fn is_volume(id: &ObjectId) -> bool {
    id.group.is_empty() && matches!(id.kind.as_str(), "PersistentVolumeClaim" | "PersistentVolume")
}

/// Whether the deletion of an object deletes claims with it: a `StatefulSet` whose rule says so.
pub(crate) fn takes_volumes(object: &Map<String, Value>) -> bool {
    let policy = object.get("spec").and_then(|spec| spec.get("persistentVolumeClaimRetentionPolicy"));
    object.get("kind").and_then(Value::as_str) == Some("StatefulSet")
        && policy.and_then(|policy| policy.get("whenDeleted")).and_then(Value::as_str) == Some("Delete")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stateful_set_says_whether_its_claims_go_with_it() {
        for (kind, policy, takes) in [
            ("StatefulSet", json!({ "whenDeleted": "Delete" }), true),
            ("StatefulSet", json!({ "whenDeleted": "Retain", "whenScaled": "Delete" }), false),
            ("StatefulSet", json!(null), false),
            ("Database", json!({ "whenDeleted": "Delete" }), false),
        ] {
            let object = json!({ "kind": kind, "spec": { "persistentVolumeClaimRetentionPolicy": policy } });
            assert_eq!(takes_volumes(object.as_object().unwrap()), takes, "{object}");
        }
    }
}
