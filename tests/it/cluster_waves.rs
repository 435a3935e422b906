//! The order in which services are changed, in runs that fail and are run again.

use std::time::Duration;

use test_support::{Cluster, Finished};

use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, Deployment, SERVES, SERVICE};
use crate::shop::wait_until;

const WEB: &str = "services/shop-web";

const WAVES: &str = "waves: [\"**\", { match: shop-web, at-once: 1, pause: 1s }]";

/// The image that the Deployment of the gateway names.
fn web(staging: &ClusterShop<'_>) -> String {
    staging.kubectl(&["get", "deployment/shop-web", "--output=jsonpath={.spec.template.spec.containers[0].image}"])
}

/// The log has each wave in its order: what is written, the wait, and what is there then.
#[track_caller]
fn says_its_waves(ran: &Finished, part: &str) {
    let lines = [
        "wave 1 of 2\n",
        &format!("writing {part} `shop-cart`"),
        "waiting until wave 1 of 2 is ready",
        &format!("{part} `shop-cart` is written"),
        "wave 2 of 2\n",
        &format!("writing {part} `shop-web`"),
        "waiting until wave 2 of 2 is ready",
        &format!("{part} `shop-web` is written"),
    ];
    let place = |line: &str| ran.stderr().find(line).unwrap_or_else(|| panic!("`{line}` is not in:\n{}", ran.text()));
    assert!(lines.map(place).is_sorted(), "{}", ran.text());
}

/// The gateway goes last: it is not touched where what it stands before does not come up, nor by the same command again.
#[test]
fn a_helm_wave_that_failed_stops_the_waves_behind_it_until_it_is_ready() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let keys = format!("\n  {WAVES}\n  tolerance: {{ restarts: 1 }}");
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm3", &[DASHBOARDS, SERVICE, WEB], &keys) else {
        return;
    };
    staging.commit(WEB, 2, SERVES, DEPLOYMENT);
    staging.merge(2, SERVES);
    let ran = staging.ends("run staging", 0);
    says_its_waves(&ran, "helm release");

    let before = web(&staging);
    staging.commit(WEB, 3, SERVES, DEPLOYMENT);
    staging.merge(3, &["sh", "-c", "exit 4"]);
    for _ in ["first", "again", "without the steps that are done"] {
        let failed = staging.ends("run staging", 21);
        assert!(failed.stderr().contains("shop-cart") && failed.stderr().contains("exit code 4"), "{}", failed.text());
        assert!(failed.stderr().contains("not touched: shop-web"), "{}", failed.text());
        assert_eq!(web(&staging), before);
    }
    staging.merge(4, SERVES);
    staging.ends("run staging", 0);
    assert_ne!(web(&staging), before);
}

/// Neither the wave before the pause is begun nor the one behind it.
#[test]
fn a_pause_that_ends_after_the_deadline_is_refused_before_anything_is_written() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = "target: { kind: apply, source: \"{path}/parts\" }\n  waves: [{ match: \"**\", pause: 1h }, shop-web]";
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE, WEB], target) else { return };
    for (path, name) in [(WEB, "shop-web"), (SERVICE, "shop-cart")] {
        staging.commit_files(path, 2, SERVES, &[("parts/app.yaml", Deployment::plain(name).yaml())]);
    }
    staging.shop.merge_dev();
    let refused = staging.ends("run staging --deadline 60s", 21);
    assert!(refused.stderr().contains("the pauses between waves would take 3600 s"), "{}", refused.text());
    assert_eq!(staging.kubectl(&["get", "deployments", "--output=name"]), "");
}

/// The pause fits at the beginning: then the wave before it takes long, or the run is stopped in it.
#[test]
fn nothing_is_written_behind_a_pause_that_the_deadline_does_not_leave() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target =
        "target: { kind: apply, source: \"{path}/parts\" }\n  waves: [{ match: \"**\", pause: 14s }, shop-web]";
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE, WEB], target) else { return };
    let commit = |path: &str, version: u32, manifest: &Deployment| {
        staging.commit_files(path, version, SERVES, &[("parts/app.yaml", manifest.yaml())]);
    };
    let ends = |ended: &Finished, told: &[&str]| {
        for told in told.iter().copied().chain(["changed: shop-cart; not touched: shop-web"]) {
            assert!(ended.stderr().contains(told), "`{told}` is not in:\n{}", ended.text());
        }
        assert_eq!(staging.kubectl(&["get", "deployments", "--output=name"]).trim(), "deployment.apps/shop-cart");
    };
    let cart = Deployment::plain("shop-cart");
    commit(WEB, 2, &Deployment::plain("shop-web"));
    commit(SERVICE, 2, &cart.clone().spec("minReadySeconds: 17"));
    staging.shop.merge_dev();
    // The deadline leaves 30 seconds for the deployment, so that there is time to report.
    let slow = staging.ends("run staging --deadline 40s", 21);
    ends(&slow, &["the pause before the next wave would take 14 s, and the deadline leaves "]);

    let image = || {
        staging.kubectl(&["get", "deployment/shop-cart", "--output=jsonpath={.spec.template.spec.containers[0].image}"])
    };
    let before = image();
    commit(SERVICE, 3, &cart);
    staging.shop.merge_dev();
    let run = staging.command(&[], "run staging --deadline 40s").start();
    wait_until("the new version", || image() != before);
    staging.kubectl(&["rollout", "status", "deployment/shop-cart"]);
    std::thread::sleep(Duration::from_secs(2));
    run.stop();
    std::thread::sleep(Duration::from_secs(30));
    run.resume();
    ends(&run.wait().expect_code(21), &["the deadline passed in the pause before the next wave"]);
}

#[test]
fn a_wave_of_plain_manifests_that_failed_stops_the_waves_behind_it_until_it_is_ready() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = format!("target: {{ kind: apply, source: \"{{path}}/parts\" }}\n  {WAVES}");
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE, WEB], &target) else { return };
    let commit = |path: &str, version: u32, manifest: &Deployment| {
        staging.commit_files(path, version, SERVES, &[("parts/app.yaml", manifest.yaml())]);
    };
    let (cart, gateway) = (Deployment::plain("shop-cart"), Deployment::plain("shop-web"));
    commit(WEB, 2, &gateway);
    commit(SERVICE, 2, &cart);
    staging.shop.merge_dev();
    says_its_waves(&staging.ends("run staging", 0), "service");

    let before = web(&staging);
    commit(WEB, 3, &gateway);
    commit(
        SERVICE,
        3,
        &cart.clone().container("readinessProbe: { exec: { command: [test, -e, /is-ready] }, periodSeconds: 1 }"),
    );
    staging.shop.merge_dev();
    for changed in ["changed: shop-cart; not touched: shop-web", "not touched: shop-web"] {
        let failed = staging.ends("run staging --deadline 15s", 21);
        assert!(failed.stderr().contains(changed), "{}", failed.text());
        assert_eq!(web(&staging), before);
    }
    // Once it is ready, the same run goes on with the next wave.
    let run = staging.command(&[], "run staging").start();
    run.wait_for("waiting until what is written already is ready");
    let newest = "--sort-by=.metadata.creationTimestamp";
    let pods = staging.kubectl(&["get", "pods", "--selector=app=shop-cart", newest, "--output=name"]);
    let (pod, namespace) = (pods.lines().last().unwrap(), staging.namespace.as_str());
    cluster.kubectl(&["exec", "--namespace", namespace, pod, "--", "touch", "/is-ready"]);
    run.wait().expect_code(0);
    assert_ne!(web(&staging), before);
}

/// A pod that is not taken without its account, which another service brings.
const POD: &str = "---
apiVersion: v1
kind: Pod
metadata: { name: helper }
spec:
  serviceAccountName: helper
  terminationGracePeriodSeconds: 0
  containers: [{ name: app, image: \"IMAGE:latest\", command: [httpd, -f, -p, \"8080\"] }]
";

const ACCOUNT: &str = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: helper }\n";

#[test]
fn b29_a_pod_whose_account_comes_in_a_later_wave_is_refused_by_the_plan() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = format!("target: {{ kind: apply, source: \"{{path}}/parts\" }}\n  {WAVES}");
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE, WEB], &target) else { return };
    let commit = |path: &str, version: u32, more: &str| {
        let name = path.rsplit('/').next().unwrap();
        let manifest = format!("{}{more}", Deployment::plain(name).yaml());
        staging.commit_files(path, version, SERVES, &[("parts/app.yaml", &manifest)]);
    };
    commit(SERVICE, 2, POD);
    commit(WEB, 2, ACCOUNT);
    staging.shop.merge_dev();
    let refused = staging.ends("run staging", 20);
    let told = "Pod/helper needs ServiceAccount/helper, which comes with `shop-web` in a later wave";
    assert!(refused.stderr().contains(told), "{}", refused.text());
    assert_eq!(staging.kubectl(&["get", "deployment,pod", "--output=name"]), "");
    // In the same wave, or an earlier one, it is in order.
    commit(SERVICE, 3, &format!("{POD}{ACCOUNT}"));
    commit(WEB, 3, "");
    staging.shop.merge_dev();
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
}
