//! Workloads of a chart whose replicas an autoscaler sets.

use test_support::Cluster;

use crate::clusters::{ClusterShop, DASHBOARDS, Deployment, SERVES, SERVICE};
use crate::shop::wait_until;

/// Without metrics its controller leaves the number as it is: `kubectl scale` sets it in its place.
const AUTOSCALER: &str = r#"{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "cart"},
"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-cart"}, "minReplicas": 1, "maxReplicas": 5}}"#;

fn scaled(cluster: &Cluster, helm: &str) {
    let namespace = cluster.fake_namespace("scaled");
    let target = r#"target: { kind: helm, chart: "{path}/chart" }"#;
    let staging = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], target, "");
    let Some(staging) = staging.and_then(|shop| shop.with_program_or_skip("helm", helm)) else { return };
    let replicas = || staging.kubectl(&["get", "deployment/shop-cart", "--output=jsonpath={.spec.replicas}"]);
    let scale = || staging.kubectl(&["scale", "deployment/shop-cart", "--replicas=3"]);
    let chart = Deployment::of_chart().spec("replicas: 1");
    staging.merge_chart(2, SERVES, chart.yaml());
    staging.ends("run staging", 0);
    scale();
    let edited = staging.ends("drift staging", 1);
    assert!(edited.text().contains("edited"), "{}", edited.text());

    let file = staging.shop.join("autoscaler.json");
    std::fs::write(&file, AUTOSCALER).unwrap();
    staging.kubectl(&["create", "--filename", file.to_str().unwrap()]);
    staging.ends("drift staging", 0);
    let plan = staging.ends("plan staging", 0);
    assert!(!plan.text().contains("edited") && !plan.text().contains("autoscaler"), "{}", plan.text());
    let again = staging.ends("deploy staging --again", 0);
    assert!(again.text().contains("no change in namespace"), "{}", again.text());
    assert_eq!(replicas(), "3");

    // What else changes is deployed, and helm sets the number of the chart with it, which the plan says.
    staging.merge_chart(3, SERVES, chart.yaml());
    let upgraded = staging.ends("run staging", 0);
    let told = "Deployment/shop-cart of service `shop-cart` has 3 replicas of its autoscaler, and helm sets the 1 of its chart";
    assert!(upgraded.text().contains(told), "{}", upgraded.text());
    assert_eq!(replicas(), "1", "{helm}");

    // A chart without the number leaves it as it is, but for the upgrade that takes it out.
    for (version, left) in [(4, "1"), (5, "3")] {
        scale();
        staging.merge_chart(version, SERVES, Deployment::of_chart().yaml());
        staging.ends("run staging", 0);
        assert_eq!(replicas(), left, "{helm}");
    }
}

#[test]
fn replicas_of_an_autoscaler_are_no_drift_and_no_reason_to_upgrade_a_release() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(1).is_none() {
        return;
    }
    std::thread::scope(|scope| {
        for helm in ["helm3", "helm4"] {
            scope.spawn(move || scaled(cluster, helm));
        }
    });
}

#[test]
fn an_autoscaler_that_leaves_the_manifests_leaves_their_replicas() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(1).is_none() {
        return;
    }
    let namespace = cluster.fake_namespace("unscaled");
    let target = r#"target: { kind: apply, source: "{path}/parts" }"#;
    let Some(staging) = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], target, "") else {
        return;
    };
    let replicas = || staging.kubectl(&["get", "deployment/shop-cart", "--output=jsonpath={.spec.replicas}"]);
    let merge = |version: u32, more: &str| {
        let app = Deployment::plain("shop-cart").spec("replicas: 1").yaml().to_owned() + more;
        staging.commit_files(SERVICE, version, SERVES, &[("parts/app.yaml", &app)]);
        staging.shop.merge_dev();
        staging.ends("run staging", 0)
    };
    merge(2, &format!("---\n{}\n", AUTOSCALER.replace("\"minReplicas\": 1", "\"minReplicas\": 2")));
    wait_until("the autoscaler sets its number", || replicas() == "2");
    let ran = merge(3, "");
    assert!(ran.text().contains("gets the replicas of its manifest, 1"), "{}", ran.text());
    assert_eq!(replicas(), "1");
    staging.ends("drift staging", 0);
}
