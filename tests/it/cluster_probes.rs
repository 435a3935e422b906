//! Probes of Services through the API server of a real cluster: only the pods that count are asked.

use std::time::Duration;

use serde_json::Value;
use test_support::{Cluster, Image};

use crate::clusters::{ClusterShop, Deployment, SERVES};

const SERVICE: &str = "{ apiVersion: v1, kind: Service, metadata: { name: shop-cart, namespace: NAMESPACE }, spec: { selector: { app: \
                       shop-cart }, ports: [{ port: 80, targetPort: 8080 }] } }";

/// Nothing is served below `/`, which is an answer all the same.
const PROBES: &str = "    probes:
      cart: { kind: http, url: \"http://svc/shop-cart:80/\", status: 404, severity: warn }
      page: { kind: http, url: \"http://svc/shop-cart:80/old\", severity: warn }
      other: { kind: redis, address: \"svc/other:6379\", severity: warn }
";

/// Serves a page that later versions lack, and does not take the signal to end.
const SERVES_OLD_PAGE: &[&str] =
    &["sh", "-c", "mkdir /pages && echo old > /pages/old && trap '' TERM && httpd -f -p 8080 -h /pages"];

fn check(staging: &ClusterShop<'_>, kubeconfig: &str, name: &str) -> (String, String) {
    let asked = staging.ends_with(kubeconfig, "--format json health staging", 0);
    let report: Value = serde_json::from_str(asked.stdout()).unwrap();
    let checks = report["result"]["report"]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap();
    let text = |key: &str| check[key].as_str().unwrap().to_owned();
    (text("state"), text("detail"))
}

/// The same once the cluster has written who is ready: some moments after the pods are.
fn until(staging: &ClusterShop<'_>, name: &str, expected: impl Fn(&str, &str) -> bool) {
    let kubeconfig = staging.cluster.kubeconfig();
    let mut last = check(staging, kubeconfig, name);
    for _ in 0..40 {
        if expected(&last.0, &last.1) {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
        last = check(staging, kubeconfig, name);
    }
    panic!("{last:?}");
}

#[test]
fn q3_a_service_answers_only_through_ready_pods_that_run_what_is_locked() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let clone = staging.shop.work_on("dev");
    let configuration = clone.read("HEAD", "orchestrator.yaml").unwrap();
    clone.write("orchestrator.yaml", configuration.replace("    probes:\n", PROBES));
    staging.shop.commit_and_push("dev", "ask services");
    let namespace = staging.namespace.clone();
    let kubectl = |words: &[&str]| cluster.kubectl(&[words, &["--namespace", &namespace]].concat());
    cluster.apply(&SERVICE.replace("NAMESPACE", &namespace));
    let own = cluster.kubeconfig().to_owned();
    let template = Deployment::of_chart().pod("terminationGracePeriodSeconds: 300");
    staging.merge_chart(2, SERVES_OLD_PAGE, template.yaml());
    let before = check(&staging, &own, "cart");
    assert_eq!(before.0, "unhealthy");
    assert!(before.1.ends_with("the Service has no ready endpoint"), "{}", before.1);
    let absent = check(&staging, &own, "other");
    assert!(absent.0 == "unhealthy" && absent.1.contains("does not exist"), "{absent:?}");

    staging.ends("run staging", 0);
    until(&staging, "cart", |state, detail| (state, detail) == ("healthy", "status 404"));

    // A pod of the version before still answers, and is not asked: it is ending.
    until(&staging, "page", |state, detail| (state, detail) == ("healthy", "status 200"));
    staging.merge(3, SERVES);
    staging.ends("run staging", 0);
    until(&staging, "page", |state, detail| state == "unhealthy" && detail.contains("status 404, expected 200"));
    let ending = kubectl(&["get", "pods", "--output=jsonpath={.items[?(@.metadata.deletionTimestamp)].metadata.name}"]);
    let asks = ["--", "sh", "-c", "wget -q -O - http://127.0.0.1:8080/old"];
    let page = cluster.kubectl(&[&["exec", "--namespace", &namespace, ending.trim()], &asks[..]].concat());
    assert_eq!(page.trim(), "old");
    kubectl(&["delete", "pod", ending.trim(), "--force", "--grace-period=0"]);

    // The locked pods are gone, and another image of the same repository takes their requests.
    kubectl(&["scale", "deployment/shop-cart", "--replicas=0"]);
    kubectl(&["wait", "--for=delete", "pod", "--selector", "app=shop-cart", "--timeout=60s"]);
    let repository = format!("{namespace}/cart");
    let image =
        Image { repository: &repository, tag: "stranger", command: &["httpd", "-f", "-v", "-p", "8080"], labels: &[] };
    let digest = staging.node().push(&image);
    let reference = format!("{}/{repository}@{digest}", staging.node().registry());
    cluster.apply(&format!(
        "{{ apiVersion: v1, kind: Pod, metadata: {{ name: stranger, namespace: {namespace}, labels: {{ app: shop-cart }} }}, spec: \
         {{ terminationGracePeriodSeconds: 0, containers: [{{ name: app, image: \"{reference}\", readinessProbe: {{ tcpSocket: {{ \
         port: 8080 }}, periodSeconds: 1 }} }}] }} }}"
    ));
    kubectl(&["wait", "--for=condition=Ready", "pod/stranger", "--timeout=60s"]);
    let refused = "pod `stranger` does not run what is locked";
    until(&staging, "cart", |state, detail| state == "unhealthy" && detail.contains(refused));

    // Of a service that no lock has, every ready pod counts.
    kubectl(&["delete", "pod", "stranger", "--wait"]);
    let repository = format!("{namespace}/of-others");
    let image = Image { repository: &repository, tag: "1", command: SERVES, labels: &[] };
    let digest = staging.node().push(&image);
    let reference = format!("{}/{repository}@{digest}", staging.node().registry());
    cluster.apply(&format!(
        "{{ apiVersion: v1, kind: Pod, metadata: {{ name: other, namespace: {namespace}, labels: {{ app: shop-cart }} }}, spec: \
         {{ terminationGracePeriodSeconds: 0, containers: [{{ name: app, image: \"{reference}\", readinessProbe: {{ tcpSocket: {{ \
         port: 8080 }}, periodSeconds: 1 }} }}] }} }}"
    ));
    kubectl(&["wait", "--for=condition=Ready", "pod/other", "--timeout=60s"]);
    until(&staging, "cart", |state, _| state == "healthy");

    // Who may not forward is told the right.
    let user = format!("watcher-of-{namespace}");
    let kubeconfig = cluster.kubeconfig_as(&user, &[]);
    kubectl(&["create", "rolebinding", "watcher", "--clusterrole=view", "--user", &user]);
    let denied = check_of_denied(&staging, &kubeconfig);
    assert!(denied.contains("resources: [pods/portforward], verbs: [get, create]"), "{denied}");
}

/// Other checks block for this user.
fn check_of_denied(staging: &ClusterShop<'_>, kubeconfig: &str) -> String {
    let asked = staging.ends_with(kubeconfig, "--format json health staging", 1);
    let report: Value = serde_json::from_str(asked.stdout()).unwrap();
    let checks = report["result"]["report"]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "cart").unwrap();
    assert_eq!(check["state"], "unknown", "{check}");
    check["detail"].as_str().unwrap().to_owned()
}
