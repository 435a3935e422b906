//! What an object says of itself, and how it is named.

use cluster::{Kind, Object, ObjectKey};
use serde_json::json;

#[test]
fn a_document_without_identity_is_no_object() {
    let table = [
        (json!([]), "it has no `apiVersion`, `kind`, `metadata.name`"),
        (
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "a-" } }),
            "it has no `metadata.name`",
        ),
        (json!({ "apiVersion": "v1", "kind": 1, "metadata": { "name": "a" } }), "it has no `kind`"),
        (json!({ "apiVersion": "", "kind": "Pod", "metadata": { "name": "a" } }), "it has no `apiVersion`"),
    ];
    for (document, expected) in table {
        let error = Object::new(document).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn identity_does_not_depend_on_the_version_of_the_api() {
    let key = |version: &str, kind: &str| ObjectKey::namespaced(Kind::new(version, kind), "shop", "cart");
    assert!(
        key("autoscaling/v1", "HorizontalPodAutoscaler")
            .is_same_object(&key("autoscaling/v2", "HorizontalPodAutoscaler"))
    );
    assert!(!key("apps/v1", "Deployment").is_same_object(&key("extensions/v1beta1", "Deployment")));
    assert!(!key("v1", "Secret").is_same_object(&ObjectKey::of_cluster(Kind::new("v1", "Secret"), "cart")));
    assert_eq!(key("v1", "Secret").to_string(), "Secret/cart");
    assert_eq!(Kind::new("apps/v1", "Deployment").to_string(), "Deployment");
    assert_eq!(Kind::new("networking.k8s.io/v1", "Ingress").to_string(), "Ingress");
    assert_eq!(Kind::new("cert-manager.io/v1", "Certificate").to_string(), "Certificate.cert-manager.io");
    assert_eq!(Kind::new("v1", "Pod").api_version(), "v1");
}

#[test]
fn accessors_take_null_and_other_types_for_absent() {
    let object = Object::new(json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": "cart-1", "namespace": "shop", "uid": "u1", "generation": 3, "labels": { "app": "cart", "n": 1 },
            "ownerReferences": [{ "uid": "other" }, { "uid": "d1", "controller": true }], "deletionTimestamp": null,
        },
        "spec": { "replicas": "2", "paused": true },
        "status": {
            "observedGeneration": 2,
            "conditions": [{ "type": "Odd" }, { "status": "True" }, { "type": "Ready", "status": "False", "reason": "No" }],
        },
    }))
    .unwrap();
    assert_eq!(object.integer("/spec/replicas"), None);
    assert!(object.is_true("/spec/paused") && !object.is_true("/spec/replicas") && !object.is_terminating());
    assert_eq!((object.generation(), object.observed_generation()), (Some(3), Some(2)));
    assert_eq!(object.label("app"), Some("cart"));
    assert_eq!((object.label("n"), object.annotation("app")), (None, None));
    assert_eq!(object.controller(), Some("d1"));
    let ready = object.condition("Ready").unwrap();
    assert!(ready.is_false() && !ready.is_true() && ready.reason == "No" && ready.message.is_empty());
    assert!(object.condition("Odd").is_some_and(|odd| !odd.is_false() && !odd.is_true()));
}
