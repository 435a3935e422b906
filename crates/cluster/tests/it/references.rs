//! What rendered objects name.

use cluster::{Object, references};
use serde_json::{Value, json};

fn named(kind: &str, version: &str, fields: &Value) -> Vec<String> {
    let mut object = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "x", "namespace": "shop" } });
    for (key, value) in fields.as_object().unwrap() {
        object[key] = value.clone();
    }
    let show = |reference: &cluster::Reference| {
        let keys: Vec<_> = reference.keys.iter().map(String::as_str).collect();
        format!("{} [{}]", reference.target, keys.join(" "))
    };
    references(&Object::new(object).unwrap()).iter().map(show).collect()
}

#[test]
fn everything_that_a_pod_needs_is_found_in_every_kind_that_makes_pods() {
    let spec = json!({
        "serviceAccountName": "runner", "priorityClassName": "high", "runtimeClassName": "kata",
        "imagePullSecrets": [{ "name": "pull" }],
        "resourceClaims": [
            { "name": "a", "resourceClaimName": "gpu" },
            { "name": "b", "resourceClaimTemplateName": "gpus" },
        ],
        "initContainers": [{ "name": "i", "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "s1", "key": "k1" } } }] }],
        "containers": [{ "name": "c",
            "env": [
                { "name": "A", "value": "1" },
                { "name": "B", "valueFrom": { "secretKeyRef": { "name": "s1", "key": "k2" } } },
                { "name": "C", "valueFrom": { "configMapKeyRef": { "name": "c1", "key": "k" } } },
                { "name": "D", "valueFrom": { "secretKeyRef": { "name": "maybe", "key": "k", "optional": true } } },
                { "name": "E", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            ],
            "envFrom": [{ "secretRef": { "name": "s2" } }, { "configMapRef": { "name": "c2" } }, { "configMapRef": { "name": "maybe", "optional": true } }],
        }],
        "volumes": [
            { "name": "a", "secret": { "secretName": "s3", "items": [{ "key": "tls.crt", "path": "p" }] } },
            { "name": "b", "configMap": { "name": "c3" } },
            { "name": "c", "projected": { "sources": [{ "secret": { "name": "s4" } }, { "configMap": { "name": "c4" } }] } },
            { "name": "d", "persistentVolumeClaim": { "claimName": "data" } },
            { "name": "e", "emptyDir": {} },
            { "name": "f", "csi": { "driver": "d.example", "nodePublishSecretRef": { "name": "s5" } } },
            { "name": "g", "azureFile": { "secretName": "s6", "shareName": "a" } },
            { "name": "h", "iscsi": { "secretRef": { "name": "s7" } } },
            { "name": "i", "ephemeral": { "volumeClaimTemplate": { "spec": { "storageClassName": "fast" } } } },
        ],
    });
    let expected = [
        "ConfigMap/c1 [k]",
        "ConfigMap/c2 []",
        "ConfigMap/c3 []",
        "ConfigMap/c4 []",
        "PersistentVolumeClaim/data []",
        "Secret/pull []",
        "Secret/s1 [k1 k2]",
        "Secret/s2 []",
        "Secret/s3 [tls.crt]",
        "Secret/s4 []",
        "Secret/s5 []",
        "Secret/s6 []",
        "Secret/s7 []",
        "ServiceAccount/runner []",
        "RuntimeClass/kata []",
        "ResourceClaim/gpu []",
        "ResourceClaimTemplate/gpus []",
        "PriorityClass/high []",
        "StorageClass/fast []",
    ];
    let template = json!({ "template": { "spec": spec } });
    for (kind, version, fields) in [
        ("Pod", "v1", json!({ "spec": spec })),
        ("Deployment", "apps/v1", json!({ "spec": template })),
        ("StatefulSet", "apps/v1", json!({ "spec": template })),
        ("DaemonSet", "apps/v1", json!({ "spec": template })),
        ("Job", "batch/v1", json!({ "spec": template })),
        ("CronJob", "batch/v1", json!({ "spec": { "jobTemplate": { "spec": template } } })),
    ] {
        assert_eq!(named(kind, version, &fields), expected, "{kind}");
    }
}

#[test]
fn classes_are_found_and_what_the_cluster_has_by_itself_is_not_asked_for() {
    let claim = json!({ "spec": { "storageClassName": "fast" } });
    assert_eq!(named("PersistentVolumeClaim", "v1", &claim), ["StorageClass/fast []"]);
    let bound = json!({ "spec": { "storageClassName": "fast", "volumeName": "v" } });
    assert!(named("PersistentVolumeClaim", "v1", &bound).is_empty());
    let set = json!({ "spec": {
        "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": { "storageClassName": "slow" } }],
        "template": { "spec": {
            "serviceAccountName": "default", "priorityClassName": "system-cluster-critical",
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }],
        } },
    } });
    assert_eq!(named("StatefulSet", "apps/v1", &set), ["StorageClass/slow []"]);
    let account = json!({ "imagePullSecrets": [{ "name": "pull" }] });
    assert_eq!(named("ServiceAccount", "v1", &account), ["Secret/pull []"]);
    let ingress = json!({ "spec": { "ingressClassName": "nginx", "tls": [{ "secretName": "made-by-a-controller" }] } });
    assert_eq!(named("Ingress", "networking.k8s.io/v1", &ingress), ["IngressClass/nginx []"]);
    assert!(named("ConfigMap", "v1", &json!({ "data": { "secretName": "no" } })).is_empty());
}
