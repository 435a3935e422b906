//! Charts that would reach beyond their release on a real cluster, and objects of a release that are gone.

use std::fs;

use test_support::{Cluster, bench};

use crate::clusters::{ClusterShop, DEPLOYMENT, SERVES, SERVICE, hook_job};

/// A claim and a map that another program has in the namespace.
const CLAIM: &str = "apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data-redis-0ANNOTATIONS }
spec: { storageClassName: '', accessModes: [ReadWriteOnce], resources: { requests: { storage: 2Mi } } }
";
const MAP: &str = "apiVersion: v1
kind: ConfigMap
metadata: { name: NAME, annotations: { helm.sh/hook: EVENTS } }
data: { of: cart }
";

/// What helm 4 takes of another program, and the reader here does not.
const ODD: &str = "apiVersion: v1
kind: ConfigMap
metadata: { name: odd }
data:
  A: '1'
  A: '2'
---
apiVersion: v1
kind: Pod
metadata: { generateName: odd-, annotations: { helm.sh/hook: test } }
";

/// helm deletes what has the name of a hook before it makes the hook: a claim with its data, or a map that kubectl made.
#[test]
fn t17_t18_a_hook_that_would_delete_what_it_did_not_make_is_refused_and_the_object_stays() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let helm = bench::part("helm4").unwrap();
    let hook = |name: &str, events: &str| MAP.replace("NAME", name).replace("EVENTS", events);
    let write = |version, files: &[(&str, &str)]| {
        let migration = hook_job("pre-install,pre-upgrade", "true");
        let hooks = [("chart/templates/app.yaml", DEPLOYMENT), ("chart/templates/migrate.yaml", migration.as_str())];
        staging.shop.service("shop-cart").write("chart/Chart.yaml", "apiVersion: v2\nname: cart\nversion: 0.1.0\n");
        staging.commit_files(SERVICE, version, SERVES, &[&hooks, files].concat());
        staging.shop.merge_dev();
    };
    let uid = |object: &str| staging.kubectl(&["get", object, "--output=jsonpath={.metadata.uid}"]);
    write(2, &[("chart/templates/map.yaml", &hook("shop-cart-map", "'pre-install,pre-upgrade'"))]);
    staging.ends("run staging", 0);
    let map = uid("configmap/shop-cart-map");

    let redis = staging.shop.join("redis");
    fs::create_dir_all(redis.join("templates")).unwrap();
    fs::write(redis.join("Chart.yaml"), "apiVersion: v2\nname: redis\nversion: 0.1.0\n").unwrap();
    fs::write(redis.join("templates/claim.yaml"), CLAIM.replace("ANNOTATIONS", "")).unwrap();
    fs::write(redis.join("templates/odd.yaml"), ODD).unwrap();
    let installed = helm
        .command()
        .env("HOME", staging.shop.join("home"))
        .args(["install", "redis"])
        .arg(&redis)
        .args(["--namespace", &staging.namespace, "--kubeconfig"])
        .arg(cluster.kubeconfig_path())
        .output()
        .unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    staging.kubectl(&["create", "configmap", "made-by-hand", "--from-literal=of=ana"]);
    let (claim, by_hand) = (uid("pvc/data-redis-0"), uid("configmap/made-by-hand"));

    let claim_as_hook = CLAIM.replace("ANNOTATIONS", ", annotations: { helm.sh/hook: pre-upgrade }");
    let others = [
        ("chart/templates/claim.yaml", claim_as_hook.as_str()),
        ("chart/templates/by-hand.yaml", &hook("made-by-hand", "'pre-install,post-delete'")),
    ];
    write(3, &others);
    for line in ["lock commit staging", "plan staging", "run staging"] {
        let code = if line.starts_with("lock") { 0 } else { 20 };
        let ended = staging.ends(line, code);
        for told in [
            "PersistentVolumeClaim/data-redis-0 is a hook, and the cluster has an object of that name: it belongs to the helm \
             release `redis`",
            "ConfigMap/made-by-hand is a hook, and the cluster has an object of that name: no hook made it; it was written by \
             `kubectl-create`",
            "give the hook another name",
        ] {
            assert!(code == 0 || ended.text().contains(told), "`{told}` is not in:\n{}", ended.text());
        }
    }
    assert_eq!((uid("pvc/data-redis-0"), uid("configmap/made-by-hand")), (claim, by_hand));

    // Its own hooks are made anew, as helm does: that of a map is marked. A claim that its policy deletes is none of them.
    let own = CLAIM.replace("data-redis-0", "data-cart").replace(
        "ANNOTATIONS",
        ", annotations: { helm.sh/hook: post-upgrade, helm.sh/hook-delete-policy: hook-succeeded }",
    );
    write(4, &[("chart/templates/claim.yaml", &own), ("chart/templates/by-hand.yaml", "")]);
    let lost = staging.ends("run staging", 20);
    let told = "PersistentVolumeClaim/data-cart is a hook with the policy `hook-succeeded`";
    assert!(lost.text().contains(told) && lost.text().contains("in place of a hook"), "{}", lost.text());
    write(5, &[("chart/templates/claim.yaml", "")]);
    staging.ends("lock commit staging", 0);
    let plan = staging.ends("plan staging", 0);
    for told in [
        "run ConfigMap/shop-cart-map before (is deleted)",
        "run Job/shop-cart-migrate before",
        "helm release `redis` of another program is not judged, since it cannot be read: ",
    ] {
        assert!(plan.text().contains(told), "`{told}` is not in:\n{}", plan.text());
    }
    assert!(!plan.text().contains("shop-cart-migrate before (is deleted)"), "{}", plan.text());
    staging.ends("run staging", 0);
    assert_ne!(uid("configmap/shop-cart-map"), map);
}

/// Objects without pods of a release, which nothing else looks at.
const MORE: &str = r"---
apiVersion: v1
kind: Service
metadata: { name: {{ .Release.Name }} }
spec: { selector: { app: {{ .Release.Name }} }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: {{ .Release.Name }}-map }
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: {{ .Release.Name }} }
spec: { maxUnavailable: 1, selector: { matchLabels: { app: {{ .Release.Name }} } } }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: {{ .Release.Name }} }
spec: { podSelector: { matchLabels: { app: {{ .Release.Name }} } }, ingress: [{}] }
";

#[test]
fn every_object_of_a_release_that_is_gone_is_found_and_deployed_again() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.merge_chart(2, SERVES, &format!("{DEPLOYMENT}{MORE}"));
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
    for (kind, name) in [
        ("Service", "shop-cart"),
        ("ConfigMap", "shop-cart-map"),
        ("PodDisruptionBudget", "shop-cart"),
        ("NetworkPolicy", "shop-cart"),
    ] {
        staging.kubectl(&["delete", kind, name]);
        let told = format!("`shop-cart`: {kind}/{name} is not in the cluster");
        let found = staging.ends("verify staging", 1);
        assert!(found.text().contains(&told), "`{told}` is not in:\n{}", found.text());
    }
    let drift = staging.ends("drift staging", 1);
    assert!(drift.text().contains("NetworkPolicy/shop-cart"), "{}", drift.text());
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
    staging.kubectl(&["get", "service/shop-cart", "configmap/shop-cart-map", "networkpolicy/shop-cart"]);
}
