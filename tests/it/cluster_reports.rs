//! What users of other tools reported, on a real cluster.

use test_support::{Cluster, Image};

use crate::clusters::{ClusterShop, DEPLOYMENT, SERVES};

/// The definition of a kind that a chart uses and the cluster stops serving.
const DEFINITION: &str = r"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: PLURAL.shop.example }
spec:
  group: shop.example
  scope: Namespaced
  names: { kind: KIND, plural: PLURAL, singular: SINGULAR }
  versions:
  - name: v1
    served: true
    storage: true
    schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
";

#[test]
fn h1_a_stored_kind_that_is_served_no_more_is_refused_before_a_revision_is_made() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm3") else { return };
    // The definition belongs to the whole cluster, which other tests share: a name of its own.
    let singular = staging.namespace.replace('-', "");
    let plural = format!("{singular}s");
    let definition = staging.shop.join("definition.yaml");
    let text = DEFINITION.replace("PLURAL", &plural).replace("SINGULAR", &singular).replace("KIND", "Voucher");
    std::fs::write(&definition, text).unwrap();
    cluster.kubectl(&["apply", "--filename", definition.to_str().unwrap()]);
    cluster.kubectl(&["wait", "--for=condition=Established", &format!("crd/{plural}.shop.example"), "--timeout=60s"]);

    let voucher = "---\napiVersion: shop.example/v1\nkind: Voucher\nmetadata: { name: spring }\n";
    let first = staging.merge_chart(2, SERVES, &format!("{DEPLOYMENT}{voucher}"));
    staging.ends("run staging", 0);
    cluster.kubectl(&["delete", "crd", &format!("{plural}.shop.example")]);

    let revisions = staging.revisions();
    staging.merge_chart(3, SERVES, DEPLOYMENT);
    let refused = staging.ends("run staging", 20);
    for told in ["shop-cart", "Voucher", "shop.example/v1"] {
        assert!(refused.stderr().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
    assert_eq!((staging.revisions(), staging.running()), (revisions, vec![first]));
}

#[track_caller]
fn back_over_an_edit(helm: &str) {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, helm) else { return };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    staging.merge(3, SERVES);
    staging.ends("run staging", 0);
    let kubectl = |words: &[&str]| cluster.kubectl(&[words, &["--namespace", &staging.namespace]].concat());
    let repository = format!("{}/by-hand", staging.namespace);
    let by_hand = staging.node().push(&Image { repository: &repository, tag: "1", command: SERVES, labels: &[] });
    let image = format!("app={}/{repository}@{by_hand}", staging.node().registry());
    kubectl(&["set", "image", "deployment/shop-cart", &image]);
    kubectl(&["set", "env", "deployment/shop-cart", "DEBUG=1"]);
    kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);

    // What the release says comes back, and what it says nothing about is named with its writer.
    let back = staging.ends("rollback staging --reason \"carts are empty\"", 0);
    let kept = "Deployment/shop-cart keeps what `kubectl-set` wrote, which is not in the release: ";
    let line = back.stderr().lines().find(|line| line.contains(kept)).unwrap_or_else(|| panic!("{}", back.text()));
    assert!(line.contains("env[name=DEBUG]") && !line.contains(".image"), "{line}");
    assert_eq!(staging.running(), [first.as_str()]);
    staging.ends("drift staging", 1);
}

#[test]
fn r1_a_rollback_names_what_another_program_set_and_it_leaves_with_helm_3() {
    back_over_an_edit("helm3");
}

#[test]
fn r1_a_rollback_names_what_another_program_set_and_it_leaves_with_helm_4() {
    back_over_an_edit("helm4");
}

/// Failed revisions push the last good one out of helm's history; what is gone back to is in the ledger.
#[test]
fn r2_more_failed_revisions_than_helm_keeps_leave_a_way_back_and_forward() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    staging.merge(3, &["sh", "-c", "exit 3"]);
    staging.ends("run staging", 21);
    // helm forgets all but the newest.
    let kubectl = |words: &[&str]| cluster.kubectl(&[words, &["--namespace", &staging.namespace]].concat());
    let secret = "secret/sh.helm.release.v1.shop-cart.v1";
    kubectl(&["delete", secret]);
    staging.ends("rollback staging --reason \"carts are broken\"", 0);
    assert_eq!(staging.running(), [first]);
    staging.ends("unhold staging --reason \"carts are mended\"", 0);
    let third = staging.merge(4, SERVES);
    staging.ends("run staging", 0);
    assert_eq!(staging.running(), [third]);
}
