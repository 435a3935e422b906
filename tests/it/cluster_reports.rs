//! What users of other tools reported, on a real cluster.

use serde_json::Value;
use test_support::{Cluster, Image};

use crate::clusters::{
    ClusterShop, DASHBOARDS, DEPLOYMENT, Deployment, SERVES, SERVICE, SERVICE_OF_CART, definition_of_kind, hook_job,
};
use crate::shop::wait_until;

#[test]
fn h1_a_stored_kind_that_is_served_no_more_is_refused_before_a_revision_is_made() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm3") else { return };
    // The definition belongs to the whole cluster, which other tests share: a name of its own.
    let singular = staging.namespace.replace('-', "");
    let plural = format!("{singular}s");
    let definition = staging.shop.join("definition.yaml");
    let text = definition_of_kind("shop.example", "Voucher", &singular);
    std::fs::write(&definition, text).unwrap();
    cluster.kubectl(&["apply", "--filename", definition.to_str().unwrap()]);
    cluster.kubectl(&["wait", "--for=condition=Established", &format!("crd/{plural}.shop.example"), "--timeout=60s"]);

    let voucher = "---\napiVersion: shop.example/v1\nkind: Voucher\nmetadata: { name: spring }\n";
    let with_voucher = format!("{DEPLOYMENT}{voucher}");
    staging.merge_chart(2, SERVES, &with_voucher);
    staging.ends("run staging", 0);
    let second = staging.merge_chart(3, SERVES, DEPLOYMENT);
    staging.ends("run staging", 0);
    let check = || staging.ends("rollback staging --check -o json", 1).stdout().to_owned();
    let answers = |text: &str| {
        let report: Value = serde_json::from_str(text).unwrap();
        let releases = report["result"]["releases"].as_array().unwrap().clone();
        releases.into_iter().map(|one| (one["possible"] == true, one["problems"].to_string())).collect::<Vec<_>>()
    };
    cluster.kubectl(&["delete", "crd", &format!("{plural}.shop.example")]);

    // The release in place has no such object, the one before has.
    let [present, before] = answers(&check()).try_into().unwrap();
    assert!(present.0 && !before.0 && before.1.contains("Voucher"), "{present:?} {before:?}");
    let revisions = staging.revisions();
    let refused = staging.ends("rollback staging --dry-run --reason \"carts are empty\"", 20);
    assert!(refused.stderr().contains("Voucher"), "{}", refused.text());
    assert_eq!((staging.revisions(), staging.running()), (revisions, vec![second]));
    // A machine without helm goes nowhere else.
    let without =
        staging.shop.orchestrator("rollback staging --check -o json").search_path(test_support::search_path());
    let without = without.env("SHOP_KUBECONFIG", cluster.kubeconfig()).run().expect_code(1);
    let [_, before] = answers(without.stdout()).try_into().unwrap();
    assert!(!before.0 && before.1.contains("helm"), "{before:?}");

    cluster.kubectl(&["apply", "--filename", definition.to_str().unwrap()]);
    cluster.kubectl(&["wait", "--for=condition=Established", &format!("crd/{plural}.shop.example"), "--timeout=60s"]);
    let third = staging.merge_chart(4, SERVES, &with_voucher);
    staging.ends("run staging", 0);
    cluster.kubectl(&["delete", "crd", &format!("{plural}.shop.example")]);

    let revisions = staging.revisions();
    staging.merge_chart(5, SERVES, DEPLOYMENT);
    let refused = staging.ends("run staging", 20);
    let revision = "helm cannot go on from revision 3 of its release";
    for told in ["shop-cart", "Voucher", "shop.example/v1", revision, "`helm mapkubeapis`"] {
        assert!(refused.stderr().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
    assert_eq!((staging.revisions(), staging.running()), (revisions, vec![third]));
    // helm goes nowhere from here, to no release.
    for (possible, problems) in answers(&check()) {
        assert!(!possible && problems.contains(revision), "{problems}");
    }
}

#[track_caller]
fn back_over_an_edit(helm: &str) {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, helm) else { return };
    let template = Deployment::of_chart().container("env: [{ name: MODE, value: calm }]");
    let first = staging.merge_chart(2, SERVES, template.yaml());
    staging.ends("run staging", 0);
    staging.merge_chart(3, SERVES, template.yaml());
    staging.ends("run staging", 0);
    let kubectl = |words: &[&str]| cluster.kubectl(&[words, &["--namespace", &staging.namespace]].concat());
    let repository = format!("{}/by-hand", staging.namespace);
    let by_hand = staging.node().push(&Image { repository: &repository, tag: "1", command: SERVES, labels: &[] });
    let image = format!("app={}/{repository}@{by_hand}", staging.node().registry());
    kubectl(&["set", "image", "deployment/shop-cart", &image]);
    kubectl(&["set", "env", "deployment/shop-cart", "DEBUG=1", "MODE=by-hand"]);
    kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);

    // What the release says comes back, and what it says nothing about is named with its writer.
    let back = staging.ends("rollback staging --reason \"carts are empty\"", 0);
    let kept = "Deployment/shop-cart keeps what `kubectl-set` wrote, which is not in the release: ";
    let line = back.stderr().lines().find(|line| line.contains(kept)).unwrap_or_else(|| panic!("{}", back.text()));
    assert!(line.contains("env[name=DEBUG]"), "{line}");
    assert!(!line.contains(".image") && !line.contains("name=MODE"), "{line}");
    assert_eq!(staging.running(), [first.as_str()]);
    let environment = "--output=jsonpath={..containers[0].env}";
    let environment = kubectl(&["get", "deployment/shop-cart", environment]);
    assert!(environment.contains("calm") && !environment.contains("by-hand"), "{environment}");
    let records = staging.shop.records();
    let proof = records.iter().rev().map(|record| &record.predicate).find(|one| one["step"] == "proof").unwrap();
    assert_eq!((&proof["result"], &proof["proof"]), (&"ok".into(), &"running".into()), "{proof}");
    let drift = staging.ends("drift staging", 1);
    assert!(drift.text().contains("`kubectl-set`") && drift.text().contains("env[name=DEBUG]"), "{}", drift.text());

    // helm has no flag that takes it away: a person does, and then nothing is left.
    let refused = staging.ends("rollback staging --take kubectl-set --reason late", 2);
    assert!(refused.text().contains("kubectl set env"), "{}", refused.text());
    kubectl(&["set", "env", "deployment/shop-cart", "DEBUG-"]);
    kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
    staging.ends("drift staging", 0);
}

#[test]
fn r1_a_rollback_names_what_another_program_set_and_it_leaves_with_helm_3() {
    back_over_an_edit("helm3");
}

#[test]
fn r1_a_rollback_names_what_another_program_set_and_it_leaves_with_helm_4() {
    back_over_an_edit("helm4");
}

/// A helm that keeps two revisions forgets the good one; what is gone back to is in the ledger, and goes forward.
#[test]
fn r2_more_failed_revisions_than_helm_keeps_leave_a_way_back_and_forward() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let keys = "\n  tolerance: { restarts: 1 }";
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm4", &[DASHBOARDS, SERVICE], keys) else { return };
    let started = staging.let_helm_keep(2);
    let volume = claim("data", "''");
    cluster.apply(&format!(
        "{{ apiVersion: v1, kind: PersistentVolume, metadata: {{ name: {namespace} }}, spec: {{ storageClassName: '', capacity: {{ \
         storage: 1Gi }}, accessModes: [ReadWriteOnce], hostPath: {{ path: /data }}, claimRef: {{ namespace: {namespace}, name: data \
         }} }} }}",
        namespace = staging.namespace
    ));
    let template = format!("{DEPLOYMENT}{volume}");
    let first = staging.merge_chart(2, SERVES, &template);
    staging.ends("run staging", 0);
    let claim = || staging.kubectl(&["get", "pvc/data", "--output=jsonpath={.metadata.uid}"]);
    let before = claim();
    staging.merge_chart(3, &["sh", "-c", "exit 3"], &template);
    staging.ends("run staging", 21);
    staging.merge_chart(4, SERVES, &format!("{template}{}", hook_job("pre-upgrade", "exit 3")));
    staging.ends("run staging", 21);
    let kept = staging.kubectl(&["get", "secrets", "--selector=owner=helm", "--output=jsonpath={..labels.version}"]);
    assert_eq!(kept, "2 3", "the good revision is gone");

    staging.ends("rollback staging --reason \"carts are broken\"", 0);
    assert_eq!(staging.running(), [first]);
    staging.ends("unhold staging --reason \"carts are mended\"", 0);
    let third = staging.merge_chart(5, SERVES, &template);
    staging.ends("run staging", 0);
    assert_eq!((staging.running(), claim()), (vec![third], before));
    let started = std::fs::read_to_string(started).unwrap();
    let changing: Vec<&str> = started.lines().filter(|word| !matches!(*word, "version" | "template")).collect();
    assert!(changing.iter().all(|word| *word == "upgrade"), "{changing:?}");
}

const WEB: &str = "services/shop-web";

pub(crate) fn claim(name: &str, class: &str) -> String {
    format!(
        "---\n{{ apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{ name: {name} }}, spec: {{ storageClassName: {class}, \
         accessModes: [ReadWriteOnce], resources: {{ requests: {{ storage: 1Gi }} }} }} }}\n"
    )
}

/// Makes a class of storage that makes no volumes, for the claims of one namespace; gives its name.
pub(crate) fn storage_class(cluster: &Cluster, namespace: &str, binding: &str) -> String {
    let class = format!("{}-{namespace}", binding.to_lowercase());
    cluster.apply(&format!(
        "{{ apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {{ name: {class} }}, provisioner: \
         kubernetes.io/no-provisioner, volumeBindingMode: {binding} }}"
    ));
    class
}

/// A claim that binds with its first pod is no reason to wait: its pod comes a wave later.
#[test]
fn w1_a_claim_that_binds_with_its_first_pod_is_not_waited_for_before_there_is_one() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(2).is_none() {
        return;
    }
    let namespace = cluster.fake_namespace("claims");
    let target = "target: { kind: apply, source: \"{path}/claims\" }\n  waves: [shop-web, shop-cart]";
    let services = [DASHBOARDS, SERVICE, WEB];
    let Some(staging) = ClusterShop::in_namespace(cluster, namespace.clone(), &services, target, "") else { return };
    let late = storage_class(cluster, &namespace, "WaitForFirstConsumer");
    let early = storage_class(cluster, &namespace, "Immediate");
    cluster.apply(&format!(
        "{{ apiVersion: v1, kind: PersistentVolume, metadata: {{ name: {late} }}, spec: {{ storageClassName: {late}, capacity: {{ \
         storage: 1Gi }}, accessModes: [ReadWriteOnce], hostPath: {{ path: /data }} }} }}"
    ));
    let web = Deployment::plain("shop-web").yaml().to_owned();
    let volumes = "volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]";
    let cart = Deployment::plain("shop-cart").pod(volumes);
    staging.commit_files(WEB, 2, SERVES, &[("claims/app.yaml", &(web.clone() + &claim("data", &late)))]);
    staging.commit_files(SERVICE, 2, SERVES, &[("claims/app.yaml", cart.yaml())]);
    staging.shop.merge_dev();
    let done = staging.ends("run staging", 0);
    let told = "shop-web: PersistentVolumeClaim/data is bound when the first pod uses it: it is not waited for";
    assert!(done.stderr().contains(told), "{}", done.text());
    let phase = "--output=jsonpath={.status.phase}";
    assert_eq!(
        staging.kubectl(&["get", "persistentvolumeclaim/data", phase]),
        "Bound",
        "by the pod of the second wave"
    );

    // One that should bind at once, and does not, is named.
    let more = web + &claim("data", &late) + &claim("more", &early);
    staging.commit_files(WEB, 3, SERVES, &[("claims/app.yaml", &more)]);
    staging.shop.merge_dev();
    let failed = staging.ends("run staging --deadline 20s", 21);
    let told = "PersistentVolumeClaim/more";
    assert!(failed.stderr().contains(told) && !failed.stderr().contains("/data: "), "{}", failed.text());
    assert_eq!(staging.kubectl(&["get", "persistentvolumeclaim/more", phase]), "Pending");
}

/// An update without surge seems to fit, and the pods that are ending hold their quota until they are gone.
#[test]
fn q1_pods_that_are_ending_hold_their_quota_before_and_while_a_version_is_waited_for() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() {
        return;
    }
    let namespace = cluster.namespace("full");
    let target = "target: { kind: apply, source: \"{path}/full\" }";
    let keys = "    health: { checks: { quota: warn } }\n";
    let Some(staging) = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], target, keys) else {
        return;
    };
    staging.kubectl(&["create", "quota", "memory", "--hard=requests.memory=150Mi"]);
    // What runs as the first process of a container ends by no signal that it does not take.
    let full = Deployment::plain("shop-cart")
        .spec("replicas: 2")
        .spec("strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } }")
        .pod("terminationGracePeriodSeconds: 90")
        .container("resources: { requests: { memory: 75Mi } }");
    let files = [("full/app.yaml", full.yaml())];
    staging.commit_files(SERVICE, 2, &["sh", "-c", "trap '' TERM; httpd -f -p 8080"], &files);
    staging.shop.merge_dev();
    staging.ends("run staging", 0);

    staging.commit_files(SERVICE, 3, SERVES, &files);
    staging.shop.merge_dev();
    let failed = staging.ends("run staging --deadline 40s", 21);
    let told = "quota: quota `memory` has 0 of `requests.memory` free, the deployment needs 75Mi more";
    assert!(failed.stderr().contains(told), "{}", failed.text());
    let cause = failed.stderr().lines().find(|line| line.trim_start().starts_with("quota: Deployment/"));
    let backs_off = "backing off while pods are ending: ";
    assert!(cause.is_some_and(|line| line.contains(backs_off) && line.contains("exceeded quota")), "{}", failed.text());
    for other in ["crash: ", "timed out progressing"] {
        assert!(!failed.stderr().contains(other), "`{other}` is in:\n{}", failed.text());
    }
    staging.kubectl(&["delete", "deployment", "shop-cart", "--cascade=foreground", "--wait=false"]);
    staging.kubectl(&["delete", "pods", "--all", "--force", "--grace-period=0"]);
}

/// What was changed is said and recorded, whoever ends the run.
#[test]
fn f22_a_deployment_that_is_interrupted_says_what_it_has_changed() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.merge(2, &["sleep", "600"]);
    let run = staging.command(&[], "run staging").start();
    wait_until("the pod to run", || !staging.running().is_empty());
    run.interrupt();
    let ended = run.wait().expect_code(130);
    for told in ["interrupted, and the deployment is not complete", "shop-cart: Deployment/", "changed: shop-cart"] {
        assert!(ended.stderr().contains(told), "`{told}` is not in:\n{}", ended.text());
    }
    let records = staging.shop.records();
    let last = &records.last().unwrap().predicate;
    assert_eq!((&last["step"], &last["result"]), (&"deploy".into(), &"failed".into()), "{last}");
    staging.merge(3, SERVES);
    staging.ends("run staging", 0);
}

/// Where a Service asks pods until they have ended, the run waits for that before it calls anything wrong.
#[test]
fn w3_a_pod_that_takes_requests_until_it_has_ended_is_waited_for() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let until_the_end = SERVICE_OF_CART.replace("spec: { ", "spec: { publishNotReadyAddresses: true, ");
    staging.shop.service("shop-cart").write("chart/templates/service.yaml", until_the_end);
    let template = Deployment::of_chart().pod("terminationGracePeriodSeconds: 12");
    staging.merge_chart(2, &["sh", "-c", "trap '' TERM; httpd -f -p 8080"], template.yaml());
    staging.ends("run staging", 0);
    let second = staging.merge_chart(3, SERVES, template.yaml());
    let done = staging.ends("run staging", 0);
    let told = "Service/shop-cart sends requests to pods that have yet to end: `shop-cart-";
    assert!(done.stderr().contains(told), "{}", done.text());
    assert!(staging.running().contains(&second));
}

/// Pods of an earlier version that do not take the signal to end: they are named, and the suites ask the new version.
#[test]
fn w3_pods_that_still_end_are_named_and_are_no_endpoint_once_suites_begin() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.shop.service("shop-cart").write("chart/templates/service.yaml", SERVICE_OF_CART);
    let template = Deployment::of_chart().pod("terminationGracePeriodSeconds: 60");
    let first = staging.merge_chart(2, &["sh", "-c", "trap '' TERM; httpd -f -p 8080"], template.yaml());
    staging.ends("run staging", 0);

    let second = staging.merge_chart(3, SERVES, template.yaml());
    let paused = staging.shop.pause("staging", "system");
    let run = staging.command(&[], "run staging").start();
    paused.reached();
    // The suite has begun; the old process is still there, and requests do not reach it.
    let running = staging.running();
    assert!(running.contains(&first) && running.contains(&second), "{running:?}");
    let ready = "--output=jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].targetRef.name}";
    let ready = staging.kubectl(&["get", "endpointslices", "--selector=kubernetes.io/service-name=shop-cart", ready]);
    assert_eq!(ready.split_whitespace().count(), 1, "{ready}");
    let ended = ["get", "pod", ready.trim(), "--output=jsonpath={.metadata.deletionTimestamp}"];
    assert_eq!(staging.kubectl(&ended), "", "it is the new one");
    paused.release();
    let done = run.wait().expect_code(0);
    let told = done.stderr().lines().find(|line| line.contains("still works until it has ended"));
    assert!(told.is_some_and(|line| line.contains(&first) && line.contains("shop-cart")), "{}", done.text());
    staging.kubectl(&["delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false"]);
}

/// What people do in an emergency is taken back with a word, once; an edit that they took back themselves needs none.
#[test]
fn r1_a_field_that_another_program_set_is_taken_over_by_a_flag_and_recorded() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/cluster" }"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], target) else { return };
    let merge = |version: u32| {
        staging.merge(version, SERVES);
        staging.ends("run staging", 0);
        staging.kubectl(&["get", "deployment/shop-cart", "--output=jsonpath={..containers[0].image}"])
    };
    let set = |image: &str| {
        let container = staging.kubectl(&["get", "deployment/shop-cart", "--output=jsonpath={..containers[0].name}"]);
        staging.kubectl(&["set", "image", "deployment/shop-cart", &format!("{container}={image}")]);
        staging.kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
    };
    let first = merge(2);
    let second = merge(3);
    set(&first);
    // Set back by hand, it is the release's again once it was deployed again.
    set(&second);
    staging.ends("deploy staging --again", 0);
    staging.ends("drift staging", 0);
    staging.ends("rollback staging --reason \"carts are empty\"", 0);
    staging.ends("unhold staging --reason \"it was the database\"", 0);

    let third = merge(4);
    set(&second);
    let back = "deploy staging --again";
    let refused = staging.ends(back, 20);
    assert!(refused.text().contains("`--take MANAGER --reason …` of `deploy` and `rollback`"), "{}", refused.text());
    staging.ends(&format!("{back} --take kubectl-set"), 2);
    let taken = staging.ends(&format!("{back} --take kubectl-set --reason \"the edit was for a test\""), 0);
    assert!(taken.text().contains("takes over `.spec.template"), "{}", taken.text());
    staging.ends("drift staging", 0);

    let rollback = |flags: &str, code: i32| staging.ends(&format!("rollback staging --reason late {flags}"), code);
    set(&second);
    rollback("", 20);
    rollback("--take kubectl-set", 0);
    let history = staging.ends("history staging -o json", 0);
    for reason in
        ["the edit was for a test", "late"].map(|reason| format!("{reason} (takes over fields of `kubectl-set`)"))
    {
        assert!(history.text().contains(&reason), "{}", history.text());
    }

    // The rule of the release that is left counts, which the other release lacked.
    staging.ends("unhold staging --reason \"it was the database\"", 0);
    staging.reconfigure(target, &format!("{target}\n  conflicts: {{ take: [kubectl-set] }}"));
    staging.ends("run staging", 0);
    set(&third);
    rollback("", 0);
}
