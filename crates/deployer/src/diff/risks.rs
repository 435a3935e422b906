//! What of a change reviewers should look at twice.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{DiffedObject, FieldChange, Risk};
use crate::manifest::ObjectId;
use crate::plan::ChangeKind;

/// The label and its value that a Job has which migrates data.
const MIGRATION: (&str, &str) = ("app.kubernetes.io/component", "migration");

/// An object with this annotation, and the value `keep`, stays when helm removes what a chart lacks.
const HELM_POLICY: &str = "helm.sh/resource-policy";

pub(super) fn of_object(object: &DiffedObject<'_>, kind: ChangeKind, fields: &[FieldChange]) -> BTreeSet<Risk> {
    let DiffedObject { id, before, after } = *object;
    let mut risks = BTreeSet::new();
    let annotation = before.and_then(|before| before.get("metadata")?.get("annotations")?.get(HELM_POLICY));
    let stays = annotation.and_then(Value::as_str) == Some("keep");
    if kind == ChangeKind::Removed && !stays {
        risks.insert(Risk::Deletion);
    }
    let is_of = |group: &str, name: &str| id.group == group && id.kind == name;
    let is_claim = is_of("", "PersistentVolumeClaim") || is_of("", "PersistentVolume");
    let mounts = |field: &FieldChange| {
        [&field.before, &field.after].into_iter().flatten().any(|value| value.to_string().contains("claimName"))
            || field.path.contains("persistentVolumeClaim")
            || field.path.starts_with("spec.volumeClaimTemplates")
    };
    if (is_claim && kind != ChangeKind::Added) || fields.iter().any(mounts) {
        risks.insert(Risk::Volume);
    }
    if is_of("apiextensions.k8s.io", "CustomResourceDefinition") {
        risks.insert(Risk::Definition);
    }
    let workloads = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];
    let is_workload = id.group == "apps" && workloads.contains(&id.kind.as_str());
    if is_workload && fields.iter().any(|field| field.path.starts_with("spec.template")) {
        risks.insert(what_becomes_of_pods(id, after));
    }
    if after.and_then(Value::as_object).is_some_and(|after| is_migration(id, after)) {
        risks.insert(Risk::Migration);
    }
    risks
}

/// What becomes of the pods of a workload whose template is another one.
pub(crate) fn what_becomes_of_pods(id: &ObjectId, after: Option<&Value>) -> Risk {
    let strategy = |field: &str| after.and_then(|after| after.pointer(&format!("/spec/updateStrategy/{field}")));
    if id.kind == "ReplicaSet" {
        Risk::ReplicaSet
    } else if strategy("type").and_then(Value::as_str) == Some("OnDelete") {
        Risk::OnDelete
    } else if strategy("rollingUpdate/partition").and_then(Value::as_i64).is_some_and(|partition| partition > 0) {
        Risk::Partition
    } else {
        Risk::Rollout
    }
}

/// The same of a hook that runs, and whose object is deleted first where it is there. Jobs and pods of earlier runs are done.
pub(crate) fn hook_risks(id: &ObjectId, hook: &Map<String, Value>, is_replaced: bool) -> BTreeSet<Risk> {
    let is_done = matches!((id.group.as_str(), id.kind.as_str()), ("batch", "Job") | ("", "Pod"));
    let deletion = (is_replaced && !is_done).then_some(Risk::Deletion);
    is_migration(id, hook).then_some(Risk::Migration).into_iter().chain(deletion).collect()
}

/// Whether an object is a Job that is labelled as one that migrates data; the label may be that of its pods.
pub(crate) fn is_migration(id: &ObjectId, object: &Map<String, Value>) -> bool {
    let (label, value) = MIGRATION;
    let at = |metadata: Option<&Value>| metadata.and_then(|all| all.get("labels")?.get(label)?.as_str()) == Some(value);
    let of_pods = || object.get("spec").and_then(|spec| spec.pointer("/template/metadata"));
    id.group == "batch" && id.kind == "Job" && (at(object.get("metadata")) || at(of_pods()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::{Masking, object_change};

    fn risks(before: Option<&Value>, after: Option<&Value>) -> Vec<&'static str> {
        let id = ObjectId::of(after.or(before).unwrap().as_object().unwrap()).unwrap();
        let change = object_change(&DiffedObject { id: &id, before, after }, &Masking::new(None, []));
        change.map(|change| change.risks.into_iter().map(Risk::text).collect()).unwrap_or_default()
    }

    #[test]
    fn what_deletes_moves_volumes_or_migrates_is_marked() {
        let object = |version: &str, kind: &str, more: &Value| {
            let mut object = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "a" } });
            object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            object
        };
        let none = json!({});
        let map = object("v1", "ConfigMap", &none);
        assert_eq!(risks(Some(&map), None), ["is deleted"]);
        let kept =
            object("v1", "ConfigMap", &json!({ "metadata": { "name": "a", "annotations": { HELM_POLICY: "keep" } } }));
        assert!(risks(Some(&kept), None).is_empty() && risks(None, Some(&map)).is_empty());

        let claim = object("v1", "PersistentVolumeClaim", &json!({ "spec": { "size": 1 } }));
        let larger = object("v1", "PersistentVolumeClaim", &json!({ "spec": { "size": 2 } }));
        assert_eq!(risks(Some(&claim), Some(&larger)), ["concerns a volume"]);
        assert_eq!(risks(Some(&claim), None), ["is deleted", "concerns a volume"]);

        let pods = |spec: &Value| object("apps/v1", "Deployment", &json!({ "spec": { "template": { "spec": spec } } }));
        let (one, other) = (
            pods(&json!({ "a": 1 })),
            pods(&json!({ "a": 1, "volumes": [{ "name": "v", "persistentVolumeClaim": { "claimName": "c" } }] })),
        );
        assert_eq!(risks(Some(&one), Some(&other)), ["concerns a volume", "pods are replaced"]);
        assert!(risks(Some(&one), Some(&one)).is_empty());

        let by_hand = |image: &str| {
            let spec = json!({ "updateStrategy": { "type": "OnDelete" }, "template": { "spec": { "image": image } } });
            object("apps/v1", "StatefulSet", &json!({ "spec": spec }))
        };
        let told = "pods stay until they are deleted by hand (`OnDelete`)";
        assert_eq!(risks(Some(&by_hand("a")), Some(&by_hand("b"))), [told]);
        let in_part = |kind: &str, image: &str, partition: u8| {
            let strategy = json!({ "rollingUpdate": { "partition": partition } });
            let spec = json!({ "updateStrategy": strategy, "template": { "spec": { "image": image } } });
            object("apps/v1", kind, &json!({ "spec": spec }))
        };
        for (kind, partition, told) in [
            ("StatefulSet", 0, "pods are replaced"),
            ("StatefulSet", 2, "pods with numbers below the `partition` stay"),
            ("ReplicaSet", 0, "pods stay until they are deleted by hand (a `ReplicaSet` replaces none)"),
        ] {
            let (before, after) = (in_part(kind, "a", partition), in_part(kind, "b", partition));
            assert_eq!(risks(Some(&before), Some(&after)), [told]);
        }

        let definition = object("apiextensions.k8s.io/v1", "CustomResourceDefinition", &none);
        assert_eq!(risks(None, Some(&definition)), ["defines a kind"]);
        let labels = json!({ "metadata": { "name": "a", "labels": { MIGRATION.0: MIGRATION.1 } } });
        assert_eq!(risks(None, Some(&object("batch/v1", "Job", &labels))), ["migrates data"]);
        assert!(risks(None, Some(&object("v1", "Pod", &labels))).is_empty());

        for (version, kind, is_replaced, marks) in [
            ("v1", "ConfigMap", true, 1),
            ("v1", "ConfigMap", false, 0),
            ("v1", "Pod", true, 0),
            ("batch/v1", "Job", true, 0),
        ] {
            let hook = object(version, kind, &none);
            let id = ObjectId::of(hook.as_object().unwrap()).unwrap();
            assert_eq!(hook_risks(&id, hook.as_object().unwrap(), is_replaced).len(), marks, "{kind}");
        }
    }
}
