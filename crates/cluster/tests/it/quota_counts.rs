//! What quotas count: growth, plurals, default classes, and pods of custom resources.

use std::collections::BTreeSet;

use cluster::Object;
use cluster::capacity::{Bounds, Demand, headroom, placement, uncounted};
use serde_json::{Value, json};

use crate::capacity::{definition, fits, needed, node, object, quota, unplaced};

#[test]
fn q2_what_grows_counts_like_what_is_new() {
    let storage = |amount: &str| json!({ "resources": { "requests": { "storage": amount } } });
    let set = |replicas: i64, when_scaled: &str| {
        let template = json!({ "spec": { "containers": [{ "image": "a:1" }] } });
        let claims = json!([{ "spec": storage("1Gi") }, { "spec": storage("2Gi") }]);
        object(
            "StatefulSet",
            "apps/v1",
            &json!({ "spec": { "replicas": replicas, "template": template, "volumeClaimTemplates": claims,
                "persistentVolumeClaimRetentionPolicy": { "whenScaled": when_scaled } } }),
        )
    };
    let service = |kind: &str| {
        object("Service", "v1", &json!({ "spec": { "type": kind, "ports": [{ "port": 80 }, { "port": 81 }] } }))
    };
    let claim = |amount: &str| object("PersistentVolumeClaim", "v1", &json!({ "spec": storage(amount) }));
    // As it is, as it is to be, what a quota counts, and by how much it grows.
    let table = [
        (set(2, "Retain"), set(4, "Retain"), "pods", "2"),
        (set(2, "Retain"), set(4, "Retain"), "persistentvolumeclaims", "4"),
        (set(2, "Retain"), set(4, "Retain"), "count/persistentvolumeclaims", "4"),
        (set(2, "Retain"), set(4, "Retain"), "requests.storage", "6Gi"),
        (set(4, "Retain"), set(2, "Retain"), "requests.storage", "0"),
        (set(4, "Delete"), set(2, "Delete"), "requests.storage", "-6Gi"),
        (service("ClusterIP"), service("LoadBalancer"), "services.loadbalancers", "1"),
        (service("ClusterIP"), service("NodePort"), "services.nodeports", "2"),
        (service("NodePort"), service("ClusterIP"), "services.nodeports", "-2"),
        (service("ClusterIP"), service("NodePort"), "services", "0"),
        (claim("1Gi"), claim("3Gi"), "requests.storage", "2Gi"),
        (claim("1Gi"), claim("3Gi"), "persistentvolumeclaims", "0"),
    ];
    for (live, wanted, resource, expected) in table {
        let name = format!("{} {resource}", wanted.key());
        let report = fits(&[demand(&wanted, Some(&live))], &[quota(&json!({ resource: "0" }), &json!({}))]);
        let after = report.effects.iter().map(|effect| effect.after.to_string()).next();
        assert_eq!(after.unwrap_or("0".to_owned()), expected, "{name}");
        let is_growth = expected != "0" && !expected.starts_with('-');
        assert_eq!(report.shortages.len(), usize::from(is_growth), "{name}: {report:?}");
    }
}

#[test]
fn q2_objects_are_counted_by_the_plural_that_the_api_server_has() {
    let of = |version: &str, kind: &str, resource: &str, more: &[Object]| {
        let wanted = object(kind, version, &json!({}));
        let demands: Vec<_> = more.iter().chain([&wanted]).map(|wanted| demand(wanted, None)).collect();
        fits(&demands, &[quota(&json!({ resource: "0" }), &json!({}))])
    };
    for (version, kind, resource, is_counted) in [
        ("networking.k8s.io/v1", "NetworkPolicy", "count/networkpolicies.networking.k8s.io", true),
        ("shop.example/v1", "Box", "count/boxen.shop.example", true),
        ("shop.example/v1", "Box", "count/boxs.shop.example", false),
        ("shop.example/v1", "Box", "count/boxen.other.example", false),
    ] {
        assert_eq!(needed(&of(version, kind, resource, &[])).len(), usize::from(is_counted), "{resource}");
    }
    // Kinds that the deployment itself brings.
    let defined = [definition("new.example", "Octopus", "octopodes")];
    let resource = "count/octopodes.new.example";
    assert_eq!(needed(&of("new.example/v1", "Octopus", resource, &defined)).len(), 1);
    let unknown = of("new.example/v1", "Octopus", resource, &[]).unknown;
    assert!(unknown.iter().any(|one| one.contains("whether `count/octopodes.new.example` counts")), "{unknown:?}");
    assert!(of("new.example/v1", "Octopus", "pods", &[]).is_enough());
}

#[test]
fn q2_what_names_no_class_counts_by_the_default_class() {
    let class = |name: &str, made: &str, is_default: bool| {
        let annotations = json!({ "storageclass.kubernetes.io/is-default-class": is_default.to_string() });
        let metadata = json!({ "name": name, "creationTimestamp": made, "annotations": annotations });
        object("StorageClass", "storage.k8s.io/v1", &json!({ "metadata": metadata }))
    };
    let storage = [class("old", "2020-01-01T00:00:00Z", true), class("fast", "2024-01-01T00:00:00Z", true)]
        .into_iter()
        .chain([class("newest", "2025-01-01T00:00:00Z", false)])
        .collect::<Vec<_>>();
    let priority = |name: &str, is_default: bool| {
        let fields = json!({ "metadata": { "name": name }, "value": 1, "globalDefault": is_default });
        object("PriorityClass", "scheduling.k8s.io/v1", &fields)
    };
    let priority = [priority("usual", true), priority("high", false)];
    let set = |claim: &Value, pod: &str| {
        let template = json!({ "spec": { "priorityClassName": pod, "containers": [{ "image": "a:1" }] } });
        let template =
            if pod.is_empty() { json!({ "spec": { "containers": [{ "image": "a:1" }] } }) } else { template };
        let claims = json!([{ "spec": claim }]);
        object("StatefulSet", "apps/v1", &json!({ "spec": { "template": template, "volumeClaimTemplates": claims } }))
    };
    let by_storage = quota(&json!({ "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "0" }), &json!({}));
    let matching = json!([{ "scopeName": "PriorityClass", "operator": "In", "values": ["usual"] }]);
    let by_priority = object(
        "ResourceQuota",
        "v1",
        &json!({ "spec": { "hard": { "pods": "0" }, "scopeSelector": { "matchExpressions": matching } } }),
    );
    for (claim, pod, quota, is_counted, asks) in [
        (json!({}), "", &by_storage, true, "permit `list` on storageclasses"),
        (json!({ "storageClassName": "fast" }), "", &by_storage, true, ""),
        (json!({ "storageClassName": "" }), "", &by_storage, false, ""),
        (json!({ "storageClassName": "old" }), "", &by_storage, false, ""),
        (json!({}), "", &by_priority, true, "permit `list` on priorityclasses"),
        (json!({}), "high", &by_priority, false, ""),
        (json!({}), "usual", &by_priority, true, ""),
    ] {
        let wanted = set(&claim, pod);
        let demand = [demand(&wanted, None)];
        let quotas = std::slice::from_ref(quota);
        let bounds =
            Bounds { quotas, storage_classes: Some(&storage), priority_classes: Some(&priority), ..Bounds::default() };
        assert_eq!(needed(&headroom(&demand, &bounds)).len(), usize::from(is_counted), "{claim} {pod}");
        let unknown = headroom(&demand, &Bounds { quotas, ..Bounds::default() }).unknown;
        assert_eq!(unknown.is_empty(), asks.is_empty(), "{claim} {pod}: {unknown:?}");
        assert!(unknown.iter().all(|one| one.contains(asks)), "{claim} {pod}: {unknown:?}");
    }
}

fn demand<'a>(wanted: &'a Object, live: Option<&'a Object>) -> Demand<'a> {
    Demand { service: "cart", wave: 0, wanted, live, ends_with_wave: false }
}

#[test]
fn q2_pods_of_custom_resources_count_as_far_as_their_shape_tells() {
    let template = |image: &str| {
        let container = json!({ "image": image, "resources": { "requests": { "cpu": "1" } } });
        json!({ "metadata": { "labels": { "app": "cart" } }, "spec": { "containers": [container] } })
    };
    let rollout = |spec: &Value| object("Rollout", "argoproj.io/v1alpha1", &json!({ "spec": spec }));
    let of = |image: &str, strategy: &Value| {
        rollout(&json!({ "replicas": 4, "template": template(image), "strategy": strategy }))
    };
    let pods = |demands: &[Demand<'_>]| -> (String, BTreeSet<String>) {
        let report = fits(demands, &[quota(&json!({ "pods": "0" }), &json!({}))]);
        (report.shortages.first().map_or("0".to_owned(), |one| one.needed.to_string()), report.uncounted)
    };
    let canary = json!({ "canary": { "maxSurge": "50%", "maxUnavailable": 0 } });
    let routed = json!({ "canary": { "maxSurge": 1, "trafficRouting": {} } });
    for (strategy, expected) in [(canary, "2"), (json!({ "blueGreen": {} }), "4"), (routed, "4"), (json!({}), "2")] {
        let (live, wanted) = (of("a:1", &strategy), of("a:2", &strategy));
        assert_eq!(pods(&[demand(&wanted, None)]).0, "4");
        assert_eq!(pods(&[demand(&wanted, Some(&live))]).0, expected, "{strategy}");
        assert_eq!(pods(&[demand(&live, Some(&live))]).0, "0");
    }
    let wanted = of("a:1", &json!({}));
    let nodes = [node("a", "west", "3")];
    assert_eq!(unplaced(&wanted, None, &nodes, &[]), "1: the most free of `cpu` is 0, a pod needs 1 (1 node)");

    // One that takes its pods from a Deployment of the same deployment.
    let by_reference = rollout(&json!({ "replicas": 3, "workloadRef": { "kind": "Deployment", "name": "x" } }));
    let referred = object("Deployment", "apps/v1", &json!({ "spec": { "replicas": 0, "template": template("a:1") } }));
    let both = [demand(&by_reference, None), demand(&referred, None)];
    assert_eq!(pods(&both), ("3".to_owned(), [].into()));
    let placed = placement(&both, &Bounds::default(), &[node("a", "west", "2")], &[]);
    assert_eq!(placed.iter().map(|one| one.pods).collect::<Vec<_>>(), [1]);
    let alone = [demand(&by_reference, None)];
    assert_eq!(pods(&alone).0, "0");
    assert_eq!(pods(&alone).1, uncounted(&alone));

    // Those that do not say how many pods they make, or make them in another way.
    let knative = object("Service", "serving.knative.dev/v1", &json!({ "spec": { "template": template("a:1") } }));
    let set = json!({ "spec": { "replicatedJobs": [{ "template": { "spec": { "template": template("a:1") } } }] } });
    let set = object("JobSet", "jobset.x-k8s.io/v1alpha2", &set);
    let plain = object("Box", "shop.example/v1", &json!({ "spec": { "template": { "spec": {} } } }));
    for (wanted, is_named) in [(&knative, true), (&set, true), (&by_reference, true), (&plain, false)] {
        let named = uncounted(&[demand(wanted, None)]);
        assert_eq!(named.len(), usize::from(is_named), "{named:?}");
        assert!(named.iter().all(|one| one.contains("are not counted")), "{named:?}");
    }
}
