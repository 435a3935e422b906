//! An environment that is deployed elsewhere, or by another target: what it leaves is not forgotten.

use test_support::Cluster;

use crate::clusters::{ClusterShop, SERVES};

const HELM: &str = r#"target: { kind: helm, chart: "{path}/chart" }"#;
const APPLY: &str = r#"target: { kind: apply, source: "{path}/cluster" }"#;

#[test]
fn b29_what_another_target_or_another_namespace_left_is_refused_or_a_finding_until_it_is_gone() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm3") else { return };
    let ends = |line: &str, code: i32, told: &[&str]| {
        let ended = staging.ends(line, code);
        for told in told {
            assert!(ended.text().contains(told), "`{told}` is not in:\n{}", ended.text());
        }
    };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);

    // The releases would run beside what the other target writes.
    staging.reconfigure(HELM, APPLY);
    let uninstall = format!("`helm uninstall shop-cart --namespace {}` removes it", staging.namespace);
    ends("run staging", 20, &["helm release `shop-cart` (objects: ", "made with target `helm`", &uninstall]);
    assert_eq!(staging.running(), [first.as_str()]);
    staging.kubectl(&["delete", "secret", "--selector=owner=helm"]);
    staging.kubectl(&["delete", "deployment/shop-cart"]);
    staging.ends("run staging", 0);
    let back = "rollback staging --reason \"carts are empty\"";
    ends(
        back,
        20,
        &["it was deployed to namespace", "(target `helm`)", "(target `apply`) and would go on running there"],
    );

    // The namespace before goes on running.
    let elsewhere = cluster.namespace("shop-staging");
    staging.reconfigure(&format!("namespace: {}", staging.namespace), &format!("namespace: {elsewhere}"));
    let left = format!("goes on running in namespace `{} of SHOP_KUBECONFIG`", staging.namespace);
    let left = ["`shop-cart` (", "Deployment/shop-cart", left.as_str(), "kubectl delete --namespace"];
    ends("run staging", 21, &left);
    ends("verify staging", 1, &left);
    ends("drift staging", 1, &left);
    ends(back, 20, &["cannot go back to release", &elsewhere]);
    ends("rollback staging --check", 1, &["cannot go back to release"]);
    assert_eq!(staging.running(), [first.as_str()]);
    staging.kubectl(&["delete", "deployment/shop-cart", "configmap/of-version-2"]);
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
}
