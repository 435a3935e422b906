//! Questions to a cluster before a deployment: each is seen to fail and to pass, on objects or on a real API server.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster::capacity::{Bounds, Demand, placement};
use cluster::health::{HealthAnswer, Permission, credentials_health, judge_nodes, references_health};
use cluster::lock_model::Timestamp;
use cluster::{Allowed, ApplyMode, Connection, Kind, Kubeconfig, Lifetime, Object, Patience};
use serde_json::{Value, json};

use crate::live::{connect, connection, deployment};

/// What is not well, in one text; empty where all is.
fn wrong(answer: &HealthAnswer) -> String {
    match answer {
        HealthAnswer::Healthy(_) => String::new(),
        HealthAnswer::Unhealthy(wrong) => wrong.join("; "),
        HealthAnswer::Unknown(unknown) => format!("unknown: {}", unknown.join("; ")),
    }
}

fn node(name: &str, conditions: &[(&str, &str)], spec: &Value, allocatable: &Value) -> Object {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(name, status)| json!({ "type": name, "status": status, "reason": "Because" }))
        .collect();
    Object::new(json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": { "disk": "ssd", "size": "8" } },
        "spec": spec, "status": { "conditions": conditions, "allocatable": allocatable },
    }))
    .unwrap()
}

#[test]
fn nodes_are_ready_schedulable_and_without_pressure() {
    let ready = [("Ready", "True"), ("MemoryPressure", "False")];
    let none = json!({});
    let good = node("a", &ready, &none, &none);
    let table = [
        (node("b", &[("Ready", "False")], &none, &none), "node `b` is not ready: Because"),
        (node("b", &[("Ready", "Unknown")], &none, &none), "node `b` is not ready: Because"),
        (node("b", &[], &none, &none), "node `b` does not say whether it is ready"),
        (
            node("b", &ready, &json!({ "unschedulable": true }), &none),
            "node `b` is cordoned: `kubectl uncordon b` lets pods in again",
        ),
        (
            node("b", &[("Ready", "True"), ("DiskPressure", "True")], &none, &none),
            "node `b` has the condition DiskPressure: Because",
        ),
        (node("b", &ready, &none, &none), ""),
    ];
    for (other, expected) in table {
        let nodes = [good.clone(), other];
        assert_eq!(wrong(&judge_nodes(&nodes, 100)), expected);
        assert_eq!(wrong(&judge_nodes(&nodes, 50)), "", "half of them is enough");
    }
    assert_eq!(wrong(&judge_nodes(&[], 1)), "the cluster has no nodes");
}

#[test]
fn credentials_live_a_week_longer() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let end = Lifetime { begin: Some(at("2026-03-01T00:00:00Z")), end: Some(at("2026-03-10T00:00:00Z")) };
    assert_eq!(wrong(&credentials_health(end, at("2026-03-01T00:00:00Z"))), "");
    let early = wrong(&credentials_health(end, at("2026-02-28T23:59:59Z")));
    assert!(
        early.starts_with("the credentials of the kubeconfig are accepted from 2026-03-01T00:00:00Z on"),
        "{early}"
    );
    let soon = wrong(&credentials_health(end, at("2026-03-05T00:00:00Z")));
    assert_eq!(soon, "the credentials of the kubeconfig end at 2026-03-10T00:00:00Z: make a new one before");
    let over = wrong(&credentials_health(end, at("2026-03-10T00:00:00Z")));
    assert_eq!(over, "the credentials of the kubeconfig ended at 2026-03-10T00:00:00Z: make a new one");
    assert_eq!(wrong(&credentials_health(Lifetime::default(), at("2026-03-01T00:00:00Z"))), "");
}

#[test]
fn p15_pods_find_room_by_amount_label_and_taint() {
    let ready = [("Ready", "True")];
    let allocatable = json!({ "cpu": "2", "memory": "4Gi", "pods": "10" });
    let tainted = json!({ "taints": [{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }] });
    let nodes = [
        node("a", &ready, &json!({}), &allocatable),
        node("b", &ready, &tainted, &allocatable),
        node("c", &[("Ready", "False")], &json!({}), &allocatable),
        node("d", &ready, &json!({ "unschedulable": true }), &allocatable),
    ];
    let pod = |node: &str, cpu: &str, phase: &str| {
        Object::new(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "namespace": "shop", "labels": { "app": "cart" } },
            "spec": { "nodeName": node, "containers": [{ "name": "c", "resources": { "requests": { "cpu": cpu } } }] },
            "status": { "phase": phase },
        }))
        .unwrap()
    };
    let of = |replicas: i64, cpu: &str, image: &str, strategy: &str, more: &Value| {
        let mut spec =
            json!({ "containers": [{ "name": "c", "image": image, "resources": { "requests": { "cpu": cpu } } }] });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        Object::new(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "cart", "namespace": "shop" },
            "spec": {
                "replicas": replicas, "strategy": { "type": strategy },
                "selector": { "matchLabels": { "app": "cart" } }, "template": { "spec": spec },
            },
        }))
        .unwrap()
    };
    let rolling = |replicas, cpu: &str, image: &str| of(replicas, cpu, image, "RollingUpdate", &json!({}));
    let running = [pod("a", "1", "Running"), pod("a", "1", "Succeeded"), pod("b", "1", "Running")];
    let taint = "the pod does not tolerate the taint `gpu` (1 node)";
    let tolerates = json!({ "tolerations": [{ "key": "gpu", "operator": "Exists" }] });
    let selects = |label: &str| json!({ "nodeSelector": { "disk": label } });
    let requires = |operator: &str, value: &str| {
        json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
            { "matchExpressions": [{ "key": "size", "operator": operator, "values": [value] }] },
        ] } } } })
    };
    let live = rolling(1, "1", "a:1");
    let table: Vec<(&str, Object, Option<&Object>, String)> = vec![
        ("a finished pod takes nothing", rolling(1, "1", "a:1"), None, String::new()),
        (
            "the largest pod decides",
            rolling(1, "1500m", "a:1"),
            None,
            format!("1: the most free of `cpu` is 1, a pod needs 1500m (1 node), {taint}"),
        ),
        (
            "two do not fit beside what runs",
            rolling(2, "600m", "a:1"),
            None,
            format!("1: the most free of `cpu` is 400m, a pod needs 600m (1 node), {taint}"),
        ),
        ("a taint is tolerated", of(2, "600m", "a:1", "RollingUpdate", &tolerates), None, String::new()),
        ("a label is selected", of(1, "1", "a:1", "RollingUpdate", &selects("ssd")), None, String::new()),
        (
            "no node has the label",
            of(1, "1", "a:1", "RollingUpdate", &selects("tape")),
            None,
            "1: the node's label `disk` is not what the pod selects (2 nodes)".to_owned(),
        ),
        ("affinity is met", of(1, "1", "a:1", "RollingUpdate", &requires("Gt", "7")), None, String::new()),
        (
            "affinity is not met",
            of(1, "1", "a:1", "RollingUpdate", &requires("NotIn", "8")),
            None,
            "1: the node's labels are not what the pod's affinity requires (2 nodes)".to_owned(),
        ),
        ("what stays the same needs no room", rolling(1, "1", "a:1"), Some(&live), String::new()),
        ("the new pod comes beside the old one", rolling(1, "1", "a:2"), Some(&live), String::new()),
        (
            "and a larger one does not fit beside it",
            rolling(1, "1100m", "a:2"),
            Some(&live),
            format!("1: the most free of `cpu` is 1, a pod needs 1100m (1 node), {taint}"),
        ),
        ("but in its place", of(1, "1100m", "a:2", "Recreate", &json!({})), Some(&live), String::new()),
    ];
    for (name, wanted, live, expected) in table {
        let demand = Demand { service: "cart", wave: 0, wanted: &wanted, live, ends_with_wave: false };
        let found = placement(&[demand], &Bounds::default(), &nodes, &running);
        let found: Vec<_> = found.iter().map(|one| format!("{}: {}", one.pods, one.reasons.join(", "))).collect();
        assert_eq!(found.join("; "), expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_not_there_is_not_healthy() {
    let kubeconfig = "{ current-context: a, contexts: [{ name: a, context: { cluster: c, user: u } }], clusters: [{ name: c, \
                      cluster: { server: \"https://127.0.0.1:1\" } }], users: [{ name: u, user: { token: secret } }] }";
    let kubeconfig = Kubeconfig::parse(kubeconfig.as_bytes(), None, &Allowed::default()).unwrap();
    let patience = Patience { request: Duration::from_secs(2), retries: Duration::ZERO };
    let connection = Connection::new(&kubeconfig, patience).await.unwrap();
    for answer in [
        connection.api_health().await,
        connection.namespace_health("shop").await,
        connection.nodes_health(1).await,
        connection.clock_health(|| Timestamp::from_unix_seconds(0)).await,
        connection.quota_health("shop", &[]).await,
        connection.capacity_health("shop", &[]).await,
    ] {
        let wrong = wrong(&answer);
        assert!(wrong.contains("the API server cannot be reached") && !wrong.contains("secret"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_does_not_answer_is_named_once_before_it_is_asked_again() {
    let kubeconfig = "{ current-context: a, contexts: [{ name: a, context: { cluster: c, user: u } }], clusters: [{ name: c, \
                      cluster: { server: \"https://127.0.0.1:1\" } }], users: [{ name: u, user: { token: secret } }] }";
    let kubeconfig = Kubeconfig::parse(kubeconfig.as_bytes(), None, &Allowed::default()).unwrap();
    let patience = Patience { request: Duration::from_secs(2), retries: Duration::from_secs(1) };
    let told = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&told);
    let tell = Arc::new(move |line: &str| lines.lock().unwrap().push(line.to_owned()));
    let connection = Connection::new(&kubeconfig, patience).await.unwrap().telling(tell);
    for _ in 0..2 {
        let wrong = wrong(&connection.namespace_health("shop").await);
        assert!(wrong.contains("of https://127.0.0.1:1: the API server cannot be reached"), "{wrong}");
    }
    let told = told.lock().unwrap();
    let [line] = told.as_slice() else { panic!("one line: {told:?}") };
    for part in
        ["of https://127.0.0.1:1: the API server cannot be reached", "refused", "it is asked again for up to 1 s"]
    {
        assert!(line.contains(part), "`{part}`: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_cluster_says_what_is_wrong_with_it() {
    let Some((cluster, admin)) = connection().await else { return };
    assert_eq!(wrong(&admin.api_health().await), "");
    let now = admin.server_time().await.unwrap().unwrap();
    assert_eq!(wrong(&admin.clock_health(|| now).await), "");
    let other = Timestamp::from_unix_seconds(now.as_unix_seconds() - 3600);
    assert!(wrong(&admin.clock_health(|| other).await).contains("differ by more than 30 seconds"));

    // A certificate that is no authority of the server: it is said at once.
    let (own, asked) = (cluster.kubeconfig(), Instant::now());
    let between = |from: &str, to: &str| own.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let other = own.replace(between("authority-data: ", "}"), between("client-certificate-data: ", ","));
    let untrusted = wrong(&connect(&other).await.api_health().await);
    for told in ["is not trusted", "UnknownIssuer", "`certificate-authority-data`"] {
        assert!(untrusted.contains(told), "{untrusted}");
    }
    assert!(asked.elapsed() < Duration::from_secs(20), "{untrusted}");

    let shop = cluster.namespace("health");
    assert_eq!(wrong(&admin.namespace_health(&shop).await), "");
    let gone = wrong(&admin.namespace_health("health-none").await);
    assert_eq!(gone, "namespace `health-none` does not exist: `kubectl create namespace health-none` makes it");
    let ending = cluster.namespace("ending");
    // A finalizer keeps the namespace in its last state.
    cluster.apply(&format!(
        "{{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: a, namespace: {ending}, finalizers: [bench/keep] }} }}"
    ));
    cluster.kubectl(&["delete", "namespace", &ending, "--wait=false"]);
    assert_eq!(wrong(&admin.namespace_health(&ending).await), format!("namespace `{ending}` is being deleted"));

    let unprivileged = connect(&cluster.kubeconfig_as("without-rights", &[])).await;
    let unknown = wrong(&unprivileged.namespace_health(&shop).await);
    assert_eq!(
        unknown,
        format!("unknown: the user of the kubeconfig may not get namespace `{shop}`, so this is not known")
    );
    assert!(wrong(&unprivileged.nodes_health(100).await).contains("may not list nodes"));
    assert!(wrong(&unprivileged.quota_health(&shop, &[]).await).contains("may not list resourcequotas"));
    assert!(wrong(&unprivileged.capacity_health(&shop, &[]).await).contains("may not list nodes"));
    let cart =
        deployment(&shop, "cart", json!({ "image": "r.io/a:1", "envFrom": [{ "secretRef": { "name": "login" } }] }));
    let report = unprivileged.missing_references(std::slice::from_ref(&cart)).await.unwrap();
    assert!(wrong(&references_health(&report)).starts_with("unknown: whether each Secret that is named exists"));

    let report = admin.missing_references(std::slice::from_ref(&cart)).await.unwrap();
    let missing = wrong(&references_health(&report));
    assert_eq!(missing, "Deployment/cart needs Secret/login, which does not exist");
    cluster.kubectl(&["create", "secret", "generic", "login", "--namespace", &shop]);
    let report = admin.missing_references(std::slice::from_ref(&cart)).await.unwrap();
    assert_eq!(wrong(&references_health(&report)), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn b33_every_missing_permission_is_named_with_the_rule_that_gives_it() {
    let Some((cluster, admin)) = connection().await else { return };
    let shop = cluster.namespace("permissions");
    let role = format!("{{ apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{ name: deployer, namespace: {shop} }}, rules: [
      {{ apiGroups: [apps], resources: [deployments], verbs: [get, create] }},
      {{ apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get], resourceNames: [orchestrator-staging] }}] }}");
    cluster.apply(&role);
    cluster.kubectl(&["create", "rolebinding", "deployer", "--namespace", &shop, "--role=deployer", "--user=deployer"]);
    let user = connect(&cluster.kubeconfig_as("deployer", &[])).await;
    let permission = |version: &str, kind: &str, verb: &'static str, names: &[&str]| Permission {
        kind: Kind::new(version, kind),
        namespace: Some(shop.clone()),
        verb,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let given = [
        permission("apps/v1", "Deployment", "create", &["cart"]),
        permission("coordination.k8s.io/v1", "Lease", "get", &["orchestrator-staging"]),
    ];
    assert_eq!(
        wrong(&user.permissions_health(&given, &[]).await),
        "",
        "a right on one object is enough for that object"
    );
    let more = [
        permission("apps/v1", "Deployment", "patch", &["cart", "pay"]),
        permission("apps/v1", "Deployment", "delete", &[]),
        permission("coordination.k8s.io/v1", "Lease", "get", &["orchestrator-staging", "orchestrator-other"]),
        permission("v1", "Node", "list", &[]),
        permission("v1", "Secret", "get", &["orchestrator-state"]),
        permission("v1", "Secret", "update", &["orchestrator-state"]),
        permission("shop.example/v1", "Basket", "get", &[]),
    ];
    let asked: Vec<_> = given.iter().chain(&more).cloned().collect();
    let said = wrong(&user.permissions_health(&asked, &[]).await);
    let expected = [
        "the user of the kubeconfig may not list nodes; rule of a ClusterRole: { apiGroups: [\"\"], resources: [nodes], verbs: \
         [list] }"
            .to_owned(),
        // A right on its own Secret alone, as the printed Role gives it.
        format!(
            "the user of the kubeconfig may not get, update secrets `orchestrator-state` in namespace `{shop}`; rule of a Role: {{ \
             apiGroups: [\"\"], resources: [secrets], verbs: [get, update], resourceNames: [orchestrator-state] }}"
        ),
        format!(
            "the user of the kubeconfig may not delete, patch deployments in namespace `{shop}`; rule of a Role: {{ apiGroups: \
             [\"apps\"], resources: [deployments], verbs: [delete, patch] }}"
        ),
        format!(
            "the user of the kubeconfig may not get leases `orchestrator-other` in namespace `{shop}`; rule of a Role: {{ \
             apiGroups: [\"coordination.k8s.io\"], resources: [leases], verbs: [get], resourceNames: [orchestrator-other] }}"
        ),
        "Basket (shop.example/v1): the API server does not serve this kind".to_owned(),
    ];
    assert_eq!(said, expected.join("; "));
    assert!(wrong(&admin.permissions_health(&asked, &[]).await).starts_with("unknown: Basket"));
    // A kind that the same deployment defines.
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "baskets.shop.example" },
        "spec": { "group": "shop.example", "scope": "Namespaced", "versions": [{ "name": "v1" }],
            "names": { "kind": "Basket", "plural": "baskets" } },
    });
    let defined = cluster::defined_resources(&[Object::new(definition).unwrap()]);
    let basket = [permission("shop.example/v1", "Basket", "get", &[])];
    assert_eq!(wrong(&admin.permissions_health(&basket, &defined).await), "");
    let said = wrong(&user.permissions_health(&basket, &defined).await);
    assert!(said.contains("may not get baskets") && said.contains("apiGroups: [\"shop.example\"]"), "{said}");
    let roles = admin.roles(&shop, &basket, &defined, false).await.unwrap();
    assert!(roles.namespaced[&shop].iter().any(|rule| rule.resources.contains("baskets")), "{roles:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p15_a_quota_says_before_the_deployment_what_is_missing_and_what_would_fix_it() {
    let Some((cluster, admin)) = connection().await else { return };
    let shop = cluster.namespace("quota");
    let container = json!({ "image": "r.io/a:1", "resources": { "limits": { "memory": "60Mi" } } });
    let dry = ApplyMode { dry_run: true, ..ApplyMode::default() };
    let wanted = admin.apply(&deployment(&shop, "cart", container), dry).await.unwrap();
    let demand = Demand { service: "shop-cart", wave: 1, wanted: &wanted, live: None, ends_with_wave: false };
    assert_eq!(wrong(&admin.quota_health(&shop, &[demand]).await), "");

    let quota = |memory: &str| {
        cluster.apply(&format!(
            "{{ apiVersion: v1, kind: ResourceQuota, metadata: {{ name: small, namespace: {shop} }}, spec: {{ hard: {{ \
             limits.memory: {memory} }} }} }}"
        ));
    };
    quota("50Mi");
    let said = wrong(&admin.quota_health(&shop, &[demand]).await);
    assert_eq!(
        said,
        "quota `small` has 50Mi of `limits.memory` free, the deployment needs 60Mi more, 10Mi missing: shop-cart 60Mi; raise it \
         to 60Mi, ask for less"
    );
    quota("60Mi");
    assert_eq!(wrong(&admin.quota_health(&shop, &[demand]).await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn p15_pods_that_no_node_has_room_for_are_counted_before_the_deployment() {
    let Some((cluster, admin)) = connection().await else { return };
    if cluster.fake_nodes_or_skip(1).is_none() {
        return;
    }
    let shop = cluster.namespace("room");
    let of = |cpu: &str| {
        let mut object =
            deployment(&shop, "cart", json!({ "image": "r.io/a:1", "resources": { "requests": { "cpu": cpu } } }))
                .into_value();
        let spec = object.pointer_mut("/spec/template/spec").unwrap();
        spec["nodeSelector"] = json!({ "bench/node": "fake" });
        spec["tolerations"] = json!([{ "key": "bench/node", "operator": "Exists" }]);
        Object::new(object).unwrap()
    };
    let (small, large) = (of("10m"), of("100000"));
    let demand = |wanted| Demand { service: "cart", wave: 1, wanted, live: None, ends_with_wave: false };
    assert_eq!(wrong(&admin.capacity_health(&shop, &[demand(&small)]).await), "");
    let said = wrong(&admin.capacity_health(&shop, &[demand(&large)]).await);
    assert!(
        said.starts_with("cart: 1 pod of Deployment/cart finds no room on any node: the most free of `cpu` is"),
        "{said}"
    );
}
