//! Fields that other programs write, and that an environment calls noise.

use serde_json::Value;
use test_support::Cluster;

use crate::clusters::{ClusterShop, DASHBOARDS, Deployment, SERVES, SERVICE};

const NOISE: &str = "
  noise:
  - match: shop-cart
    object: Deployment/shop-cart
    fields: [spec.revisionHistoryLimit, spec.template.spec.terminationGracePeriodSeconds]";

fn is_left_out(staging: &ClusterShop<'_>) {
    let patch = |patch: &str| {
        staging.kubectl(&["patch", "deployment/shop-cart", "--patch", patch]);
        staging.kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
    };
    staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    // One field that the release has with another value, and one that it lacks.
    patch(r#"{"spec": {"revisionHistoryLimit": 3, "template": {"spec": {"terminationGracePeriodSeconds": 5}}}}"#);
    let drift = staging.ends("drift staging", 0);
    assert!(
        drift.text().contains("2 fields differ and are left out as noise (shop-cart: Deployment/shop-cart"),
        "{drift}"
    );
    let report: Value = serde_json::from_str(staging.ends("-o json drift staging", 0).stdout()).unwrap();
    let noise = report["result"]["noise"].as_array().unwrap();
    let fields: Vec<&str> = noise.iter().map(|field| field["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["spec.revisionHistoryLimit", "spec.template.spec.terminationGracePeriodSeconds"], "{report}");
    let plan = staging.ends("plan staging", 0);
    assert!(plan.text().contains("nothing would change"), "{plan}");
    assert!(plan.text().contains("1 field differs and is left out as noise"), "{plan}");
    let again = staging.ends("deploy staging --again", 0);
    assert!(again.text().contains("no change in namespace"), "{again}");
    let grace = ["get", "deployment/shop-cart", "--output=jsonpath={..terminationGracePeriodSeconds}"];
    assert_eq!(staging.kubectl(&grace), "5", "it is left as it is");

    // What is not named is a finding all the same, and so is an image.
    patch(r#"{"spec": {"minReadySeconds": 1}}"#);
    let drift = staging.ends("drift staging", 1);
    assert!(drift.text().contains("spec.minReadySeconds") && drift.text().contains("2 fields differ"), "{drift}");
}

#[test]
fn declared_noise_is_left_out_of_plan_and_drift_of_plain_manifests() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = format!(r#"target: {{ kind: apply, source: "{{path}}/cluster" }}{NOISE}"#);
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], &target) else { return };
    is_left_out(&staging);
}

#[test]
fn declared_noise_is_left_out_of_plan_and_drift_of_charts() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = format!(r#"target: {{ kind: helm, chart: "{{path}}/chart" }}{NOISE}"#);
    let shop = ClusterShop::with_target_or_skip(cluster, "helm4", &[DASHBOARDS, SERVICE], &target);
    let Some(staging) = shop else { return };
    is_left_out(&staging);
    // An upgrade for another reason writes what the chart has, so that the plan shows it.
    staging.merge(3, SERVES);
    staging.ends("lock commit staging", 0);
    let plan = staging.ends("plan staging", 0);
    let written = "spec.template.spec.terminationGracePeriodSeconds\n      - 5\n      + 0";
    assert!(plan.text().contains(written), "{plan}");
    assert!(!plan.text().contains("left out as noise"), "{plan}");
}

const INGRESS: &str = "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop-cart }
spec:
  tls: [{ hosts: [cart.example], secretName: one }]
  defaultBackend: { service: { name: shop-cart, port: { number: 80 } } }
";

#[test]
fn noise_is_what_another_program_wrote_and_the_rest_is_the_manifests_own() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/cluster" }
  noise: [{ match: shop-cart, fields: [spec.revisionHistoryLimit, "spec.tls[*].secretName", metadata.annotations.seen] }]"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], target) else { return };
    let merge = |version, limit: &str| {
        let manifest = Deployment::plain("shop-cart").spec(limit).yaml().to_owned() + INGRESS;
        staging.commit_files(SERVICE, version, SERVES, &[("cluster/app.yaml", &manifest)]);
        staging.shop.merge_dev();
    };
    let limit = || staging.kubectl(&["get", "deployment/shop-cart", "--output=jsonpath={.spec.revisionHistoryLimit}"]);
    merge(2, "revisionHistoryLimit: 3");
    staging.ends("run staging", 0);
    merge(3, "revisionHistoryLimit: 5");
    staging.ends("lock commit staging", 0);
    let plan = staging.ends("plan staging --save ../plan.json", 0);
    assert!(plan.text().contains("spec.revisionHistoryLimit: 3 → 5"), "{plan}");
    // What is written all the time is no change of a plan.
    staging.kubectl(&["annotate", "deployment/shop-cart", "seen=now"]);
    staging.ends("deploy staging --plan ../plan.json", 0);
    assert_eq!(limit(), "5");
    staging.ends("run staging", 0);

    // A list that the API server gives to one program as a whole.
    staging.kubectl(&[
        "patch",
        "ingress/shop-cart",
        "--type=merge",
        "--patch",
        r#"{"spec":{"tls":[{"hosts":["cart.example"],"secretName":"two"}]}}"#,
    ]);
    let plan = staging.ends("plan staging", 0);
    assert!(plan.text().contains("nothing would change"), "{plan}");
    assert!(plan.text().contains("Ingress/shop-cart spec.tls[0].secretName"), "{plan}");
    staging.ends("drift staging", 0);
    staging.ends("deploy staging --again", 0);
    let secret = ["get", "ingress/shop-cart", "--output=jsonpath={.spec.tls[0].secretName}"];
    assert_eq!(staging.kubectl(&secret), "two");
}
