//! What runs in a pod, as the container runtime reports it.

use cluster::{ContainerRole, Kind, Object, ObjectKey, RunningPod};
use serde_json::json;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn t19_every_container_of_a_pod_is_reported_by_its_digest() {
    let pod = Object::new(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "cart-1", "namespace": "shop", "uid": "u1",
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart", "uid": "r", "controller": true }],
        },
        "spec": {
            "initContainers": [{ "name": "init", "image": "r.io/init:1" }],
            "containers": [
                { "name": "app", "image": format!("r.io/shop/cart:1@{DIGEST}") }, { "name": "bare", "image": "a" },
                { "name": "tagged", "image": "a" }, { "name": "waiting", "image": "a" },
            ],
            "ephemeralContainers": [{ "name": "debug", "image": "busybox" }],
        },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "True" }],
            "initContainerStatuses": [{ "name": "init", "imageID": format!("docker-pullable://r.io/init@{DIGEST}"), "state": { "terminated": {} } }],
            "containerStatuses": [
                // Through a mirror: the content counts.
                { "name": "app", "imageID": format!("mirror:5000/shop/cart@{DIGEST}"), "ready": true, "restartCount": 2, "state": { "running": {} } },
                { "name": "bare", "imageID": DIGEST, "state": { "running": null } },
                { "name": "tagged", "imageID": "r.io/shop/cart:1" },
                { "name": "waiting", "imageID": "", "state": { "waiting": {} } },
            ],
        },
    }))
    .unwrap();
    let running = RunningPod::of(&pod);
    assert_eq!(running.uid, "u1");
    assert!(running.is_ready && !running.is_terminating);
    assert_eq!(running.owner, Some(ObjectKey::namespaced(Kind::new("apps/v1", "ReplicaSet"), "shop", "cart")));
    let digests: Vec<_> = running
        .containers
        .iter()
        .map(|container| (container.name.as_str(), container.role, container.digest.as_ref().map(ToString::to_string)))
        .collect();
    let known = Some(DIGEST.to_owned());
    assert_eq!(
        digests,
        [
            ("init", ContainerRole::Init, known.clone()),
            ("app", ContainerRole::Main, known.clone()),
            ("bare", ContainerRole::Main, known),
            ("tagged", ContainerRole::Main, None),
            ("waiting", ContainerRole::Main, None),
            ("debug", ContainerRole::Ephemeral, None),
        ]
    );
    assert!(!running.containers[0].is_complete, "nothing says how it ended");
    let app = &running.containers[1];
    assert!(app.is_ready && app.is_running && app.restarts == 2);
    assert!(!running.containers[2].is_running);
}
