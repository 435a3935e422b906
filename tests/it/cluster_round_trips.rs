//! A lock on its way to a real cluster, through a real helm or as plain manifests: there, proven, and back again.

use test_support::{Cluster, Image};

use crate::cluster_keys::ASKS_A_SERVICE;
use crate::clusters::{ClusterShop, SERVES, SERVICE, SERVICE_OF_CART, hook_job};

/// The names of the configurations that versions bring.
fn configurations(staging: &ClusterShop<'_>) -> Vec<String> {
    let maps = staging.cluster.kubectl(&["get", "configmap", "--output=name", "--namespace", &staging.namespace]);
    maps.lines().filter_map(|line| line.strip_prefix("configmap/of-")).map(str::to_owned).collect()
}

#[test]
fn b29_plain_manifests_carry_a_lock_to_a_cluster_and_back() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/cluster" }"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &["ops/shop-dashboards", SERVICE], target) else {
        return;
    };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    assert_eq!(staging.running(), [first.as_str()]);
    staging.ends("verify staging", 0);

    // The same lock again changes nothing.
    let words = ["get", "deployment/shop-cart", "--output=jsonpath={.metadata.resourceVersion}", "--namespace"];
    let version = || staging.cluster.kubectl(&[&words[..], &[&staging.namespace]].concat());
    let before = version();
    staging.ends("run staging", 0);
    staging.ends("deploy staging --again", 0);
    assert_eq!(version(), before);

    // What the next version does not have is removed, and comes back with the older one.
    let second = staging.merge(3, SERVES);
    staging.ends("run staging", 0);
    assert_eq!((staging.running(), configurations(&staging)), (vec![second], vec!["version-3".to_owned()]));
    staging.ends("rollback staging --reason \"carts are empty\"", 0);
    assert_eq!((staging.running(), configurations(&staging)), (vec![first.clone()], vec!["version-2".to_owned()]));
    staging.ends("verify staging", 0);

    // A field of another program refuses the deployment before anything is changed.
    staging.ends("unhold staging --reason \"carts are full\"", 0);
    staging.merge(4, SERVES);
    let patch =
        r#"--patch={"spec":{"template":{"spec":{"containers":[{"name":"app","image":"other.example/cart:1"}]}}}}"#;
    let by_hand = ["patch", "deployment/shop-cart", patch, "--field-manager=by-hand", "--namespace"];
    staging.cluster.kubectl(&[&by_hand[..], &[&staging.namespace]].concat());
    let refused = staging.ends("run staging", 20);
    assert!(refused.stderr().contains("`by-hand`") && refused.stderr().contains("conflicts"), "{}", refused.text());
    assert_eq!(configurations(&staging), ["version-2"]);
    // The status says so too, from the one record of it.
    let records = staging.shop.records().len();
    staging.ends("run staging", 20);
    let status = staging.ends("status staging", 0);
    for told in ["staging is blocked at", "health refused: the manifests of `staging` cannot be deployed", "`by-hand`"]
    {
        assert!(status.text().contains(told), "`{told}` is not in:\n{}", status.text());
    }
    assert_eq!(staging.shop.records().len(), records);
    let verified = staging.ends("verify staging", 1);
    assert!(verified.text().contains("no container of it runs"), "{}", verified.text());

    // To a look at what differs it is no refusal: the field and its writer are named.
    let drift = staging.ends("drift staging", 1);
    for told in ["edited", "Deployment/shop-cart", "`by-hand`", "containers[name=app].image", "other.example/cart:1"] {
        assert!(drift.text().contains(told), "`{told}` is not in:\n{}", drift.text());
    }
}

#[track_caller]
fn there_and_back(helm: &str) {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, helm) else { return };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    assert_eq!(staging.running(), [first.as_str()]);
    staging.ends("verify staging", 0);

    // The same lock again changes nothing.
    let revisions = staging.revisions();
    staging.ends("run staging", 0);
    assert_eq!(staging.revisions(), revisions);

    let second = staging.merge(3, SERVES);
    staging.ends("run staging", 0);
    assert_ne!(first, second);
    assert_eq!(staging.running(), [second]);

    staging.ends("rollback staging --reason \"carts are empty\"", 0);
    assert_eq!(staging.running(), [first]);
    staging.ends("verify staging", 0);
}

#[test]
fn helm_3_carries_a_lock_to_a_cluster_and_back() {
    there_and_back("helm3");
}

#[test]
fn helm_4_carries_a_lock_to_a_cluster_and_back() {
    there_and_back("helm4");
}

#[test]
fn p16_b21_b28_a_version_that_ends_at_once_is_a_failed_deployment_and_what_ran_goes_on() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    staging.merge(3, &["sh", "-c", "echo the cart is broken; exit 3"]);
    let failed = staging.ends("run staging --on-failure rollback", 21);
    for told in [
        "shop-cart: Deployment/",
        "crash: Pod/",
        "container app: ",
        "exit code 3",
        "log:",
        "the cart is broken",
        "changed: shop-cart",
        "is back, and `staging` is held",
    ] {
        assert!(failed.stderr().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    // It does not, since the environment is held.
    assert!(!failed.text().contains("goes on from here"), "{}", failed.text());
    assert_eq!(staging.running(), [first]);
    staging.ends("verify staging", 0);
    assert!(staging.ends("run staging", 20).text().contains("is held by a rollback"));
}

/// A hook fails before anything of its chart is changed, and says why.
#[test]
fn b28_a_hook_that_fails_shows_its_log_and_what_ran_goes_on() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm3") else { return };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    let migration = hook_job("pre-upgrade", "echo the schema is older than 7; exit 5");
    staging.shop.service("shop-cart").write("chart/templates/migrate.yaml", migration);
    staging.merge(3, SERVES);
    let failed = staging.ends("run staging", 21);
    let back = "`orchestrator rollback staging --reason …` goes back to release";
    for told in ["shop-cart: Job/", "hook: ", "the schema is older than 7", "changed: shop-cart", back] {
        assert!(failed.stderr().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    assert_eq!(staging.running(), [first]);
}

/// A pod beside the service's own, with its labels: requests go there, and no lock knows it.
const STRANGER: &str = r#"apiVersion: v1
kind: Pod
metadata: { name: stranger, labels: { app: shop-cart } }
spec:
  terminationGracePeriodSeconds: 0
  containers: [{ name: app, image: "IMAGE", readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 } }]
"#;

fn let_a_stranger_in(staging: &ClusterShop<'_>) {
    let repository = format!("{}/stranger", staging.namespace);
    let image = Image { repository: &repository, tag: "1", command: SERVES, labels: &[] };
    let digest = staging.node.push(&image);
    let file = staging.shop.join("stranger.yaml");
    let reference = format!("{}/{repository}@{digest}", staging.node.registry());
    std::fs::write(&file, STRANGER.replace("IMAGE", &reference)).unwrap();
    staging.kubectl(&["apply", "--filename", file.to_str().unwrap()]);
    staging.kubectl(&["wait", "--for=condition=Ready", "pod/stranger", "--timeout=60s"]);
}

/// What a probe fails for can be what the first deployment brings, and what a rollback takes away.
#[test]
fn a_probe_that_fails_keeps_no_first_deployment_and_no_rollback() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let clone = staging.shop.work_on("dev");
    let configuration = clone.read("HEAD", "orchestrator.yaml").unwrap();
    let blocks = ASKS_A_SERVICE.replace(", severity: warn", "");
    clone.write("orchestrator.yaml", configuration.replace("    probes:\n", &blocks));
    staging.shop.service("shop-cart").write("chart/templates/service.yaml", SERVICE_OF_CART);
    let first = staging.merge(2, SERVES);
    let done = staging.ends("run staging", 0);
    assert!(done.stderr().contains("warning: cart: "), "{}", done.text());
    staging.merge(3, SERVES);
    staging.ends("run staging", 0);

    staging.shop.broken("staging", "platform", true);
    staging.merge(4, SERVES);
    staging.ends("run staging", 1);
    let back = staging.ends("rollback staging --reason \"the platform is broken\"", 0);
    assert!(back.stderr().contains("platform is broken in staging"), "{}", back.text());
    assert_eq!(staging.running(), [first]);
}

/// The first deployment that fails has nothing to go back to, and none is offered; one that was written, and of which something
/// else is asked than is locked, is taken back as well.
#[test]
fn a_release_that_is_not_what_is_locked_goes_back_too() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.merge(2, &["sh", "-c", "exit 3"]);
    let failed = staging.ends("run staging", 21);
    assert!(!failed.stderr().contains("orchestrator rollback"), "{}", failed.text());
    let first = staging.merge(3, SERVES);
    staging.ends("run staging", 0);
    let_a_stranger_in(&staging);
    staging.shop.service("shop-cart").write("chart/templates/service.yaml", SERVICE_OF_CART);
    staging.merge(4, SERVES);
    let failed = staging.ends("run staging --on-failure rollback", 21);
    for told in ["pods that are not proven: `stranger`", "is back, and `staging` is held"] {
        assert!(failed.text().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    assert!(!failed.text().contains("goes on from here"), "{}", failed.text());
    let status = staging.ends("status staging", 0);
    assert!(status.text().contains("a deployment failed: verify: "), "{}", status.text());
    assert!(status.text().contains('…') && !status.text().contains("\\n"), "{}", status.text());
    staging.kubectl(&["delete", "pod", "stranger"]);
    assert_eq!(staging.running(), [first]);
    staging.ends("verify staging", 0);
}

#[test]
fn q3_what_was_edited_or_added_since_is_drift_and_a_strangers_endpoint_is_no_proof() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.shop.service("shop-cart").write("chart/templates/service.yaml", SERVICE_OF_CART);
    staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    assert!(staging.ends("drift staging", 0).stdout().contains("nothing was edited"));

    let kubectl = |words: &[&str]| cluster.kubectl(&[words, &["--namespace", &staging.namespace]].concat());
    let drifts = |told: &[&str]| {
        kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
        staging.ends("verify staging", 0);
        let drift = staging.ends("drift staging", 1);
        for told in told {
            assert!(drift.text().contains(told), "`{told}` is not in:\n{}", drift.text());
        }
    };
    // What somebody added stays when it is deployed again, and is named.
    kubectl(&["set", "env", "deployment/shop-cart", "DEBUG=1"]);
    drifts(&["kubectl-set", "env[name=DEBUG]"]);
    kubectl(&["set", "env", "deployment/shop-cart", "DEBUG-"]);
    kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
    staging.ends("drift staging", 0);
    // What somebody changed comes back.
    kubectl(&["patch", "service", "shop-cart", "--patch", "spec: { ports: [{ port: 80, targetPort: 8081 }] }"]);
    drifts(&["edited", "Service/shop-cart", "deploy staging --again"]);
    staging.ends("deploy staging --again", 0);
    staging.ends("drift staging", 0);

    let_a_stranger_in(&staging);
    let verify = staging.ends("verify staging", 1);
    assert!(verify.text().contains("Service/shop-cart sends requests to pods that are not proven: `stranger`"));
}
