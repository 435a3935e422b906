//! Admission rules of a cluster that change pods on their way in.

use serde_json::{Value, json};
use test_support::{Cluster, Image};

use crate::clusters::{ClusterShop, SERVES};
use crate::shop::wait_until;

/// Lets the API server change each new pod of a namespace, once it does so: to this image, an expression of CEL.
#[track_caller]
fn change_images(staging: &ClusterShop<'_>, image: &str) {
    let expression = format!(r#"[JSONPatch{{op: "replace", path: "/spec/containers/0/image", value: {image}}}]"#);
    change_pods(staging, &expression);
}

/// The same by any patch.
#[track_caller]
fn change_pods(staging: &ClusterShop<'_>, patch: &str) {
    let namespace = &staging.namespace;
    let matched = json!({
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } },
        "resourceRules": [{ "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"] }],
    });
    let object = |kind: &str, spec: Value| {
        let version = "admissionregistration.k8s.io/v1beta1";
        json!({ "apiVersion": version, "kind": kind, "metadata": { "name": namespace }, "spec": spec }).to_string()
    };
    let policy = json!({
        "matchConstraints": matched,
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": patch } }],
    });
    let binding = json!({ "policyName": namespace, "matchResources": matched });
    let objects = [object("MutatingAdmissionPolicy", policy), object("MutatingAdmissionPolicyBinding", binding)];
    staging.cluster.apply(&objects.join("\n---\n"));
    wait_for_change(staging, true);
}

/// Waits until the API server changes pods, or no more.
#[track_caller]
fn wait_for_change(staging: &ClusterShop<'_>, is_changed: bool) {
    let probe = format!("127.0.0.1:1/probe:1@sha256:{}", "0".repeat(64));
    let image = format!("--image={probe}");
    let asked = ["run", "probe", &image, "--dry-run=server", "--output=jsonpath={.spec.containers[*].image}"];
    wait_until("the API server to know the rule", || (staging.kubectl(&asked) != probe) == is_changed);
}

/// What `verify` reports for programs.
#[track_caller]
fn proof_of(staging: &ClusterShop<'_>) -> Value {
    let report: Value = serde_json::from_str(staging.ends("verify staging -o json", 0).stdout()).unwrap();
    report["result"]["proof"].clone()
}

/// Pods are made as they are written again.
fn leave_pods(staging: &ClusterShop<'_>) {
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        staging.cluster.kubectl(&["delete", kind, &staging.namespace]);
    }
    wait_for_change(staging, false);
}

/// Makes the pods of the service anew, and waits for them.
fn renew(staging: &ClusterShop<'_>) {
    staging.kubectl(&["delete", "pod", "--selector=app=shop-cart", "--now"]);
    staging.kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
}

#[test]
fn t19_a_container_that_an_admission_rule_adds_to_pods_is_a_finding_unless_its_name_is_allowed() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    let repository = format!("{}/proxy", staging.namespace);
    let push = |tag, command| staging.node().push(&Image { repository: &repository, tag, command, labels: &[] });
    push("init", &["true"]);
    let digest = push("1", &["sleep", "900"]);
    let image = format!("{}/{repository}", staging.node().registry());
    let added = format!(
        r#"[JSONPatch{{op: "add", path: "/spec/containers/-", value: {{"name": "proxy", "image": "{image}:1"}}}},
            JSONPatch{{op: "add", path: "/spec/initContainers", value: [{{"name": "prepare", "image": "{image}:init"}}]}}]"#
    );
    change_pods(&staging, &added);
    renew(&staging);

    // Ports are hidden where output is compared.
    let told = |name: &str, tag: &str| {
        format!(
            "/{repository}:{tag}` in container `{name}`, which Deployment/shop-cart does not have; \
             `environments.staging.sidecars` allows it by name"
        )
    };
    for line in ["verify staging", "drift staging"] {
        let found = staging.ends(line, 1);
        for (name, tag) in [("proxy", "1"), ("prepare", "init")] {
            assert!(found.text().contains(&told(name, tag)), "{line}: {}", found.text());
        }
        assert!(!found.text().contains("puts it back"), "{}", found.text());
        assert!(!found.text().contains("nothing was edited, deleted or added"), "{}", found.text());
    }
    staging.merge(3, SERVES);
    let failed = staging.ends("run staging", 21);
    assert!(failed.text().contains(&told("proxy", "1")), "{}", failed.text());

    // Allowed with another repository it stays a finding.
    let namespace = format!("namespace: {}", staging.namespace);
    let sidecars = |proxy: &str| format!("{namespace}\n    sidecars: [prepare, {{ name: proxy, image: {proxy} }}]");
    let other = "registry.example/proxy";
    staging.reconfigure(&format!("{namespace}\n"), &(sidecars(other) + "\n"));
    let failed = staging.ends("run staging", 21);
    assert!(failed.text().contains(&told("proxy", "1")) && !failed.text().contains("`prepare`"), "{}", failed.text());
    staging.reconfigure(&format!("image: {other} "), &format!("image: {image} "));
    staging.ends("run staging", 0);
    let verified = staging.ends("verify staging", 0);
    assert!(verified.text().contains("added by other programs, which `sidecars` allows"), "{}", verified.text());
    let proof = proof_of(&staging);
    let allowed = proof["sidecars"].as_array().unwrap();
    let named: Vec<_> = allowed.iter().map(|one| one["container"].as_str().unwrap()).collect();
    assert_eq!(named, ["prepare", "proxy"]);
    assert_eq!((&allowed[1]["digest"], &allowed[1]["object"]), (&json!(digest), &json!("Deployment/shop-cart")));
    // The evidence has them too.
    let evidence = staging.shop.superproject().git(&[
        "grep",
        "-h",
        "-A24",
        "sidecars\": ",
        "orchestrator/ledger",
        "--",
        "evidence",
    ]);
    assert!(evidence.contains("prepare") && evidence.contains(&digest), "{evidence}");
    staging.ends("drift staging", 0);

    // No list allows an ephemeral container; it is there until its pod is deleted.
    let pod =
        staging.kubectl(&["get", "pod", "--selector=app=shop-cart", "--output=jsonpath={.items[0].metadata.name}"]);
    staging.kubectl(&["debug", &pod, "--container=prepare-2", &format!("--image={image}:1"), "--profile=general"]);
    let told = format!("goes with the pod: `kubectl delete pod {pod} --namespace {}`", staging.namespace);
    for line in ["verify staging", "drift staging"] {
        let found = staging.ends(line, 1);
        assert!(found.text().contains(&told), "{line}: {}", found.text());
        assert!(!found.text().contains("take it out"), "{}", found.text());
    }
    renew(&staging);
    staging.ends("verify staging", 0);
    leave_pods(&staging);

    // In the object itself it is allowed as well, and in its pods only with that image.
    let patch =
        format!(r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"proxy","image":"{image}:1"}}]}}}}}}}}"#);
    staging.kubectl(&["patch", "deployment/shop-cart", "--patch", &patch]);
    staging.kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
    wait_until("the former pod to end", || {
        let pods = ["get", "pod", "--selector=app=shop-cart", "--output=jsonpath={.items[*].metadata.name}"];
        staging.kubectl(&pods).split_whitespace().count() == 1
    });
    staging.ends("verify staging", 0);
    staging.ends("drift staging", 0);
    let pod =
        staging.kubectl(&["get", "pod", "--selector=app=shop-cart", "--output=jsonpath={.items[0].metadata.name}"]);
    staging.kubectl(&["set", "image", &format!("pod/{pod}"), "proxy=registry.example/proxy:1"]);
    let told = "runs `registry.example/proxy:1` in container `proxy`, and Deployment/shop-cart has `";
    for line in ["verify staging", "drift staging"] {
        let found = staging.ends(line, 1);
        assert!(found.text().contains(told), "{line}: {}", found.text());
    }
}

#[test]
fn d2_images_that_come_through_a_mirror_are_proven_by_their_digest_and_nothing_is_deployed_again() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let digest = staging.merge(2, SERVES);
    let through_a_mirror = r#"object.spec.containers[0].image.replace("127.0.0.1:", "localhost:")"#;
    change_images(&staging, through_a_mirror);
    staging.ends("run staging", 0);
    let in_pods = || {
        let words =
            ["get", "pod", "--selector=app=shop-cart", "--output=jsonpath={.items[*].spec.containers[*].image}"];
        staging.kubectl(&words)
    };
    assert!(in_pods().starts_with("localhost:"), "{}", in_pods());
    let verified = staging.ends("verify staging", 0);
    let told = "with the digest of the lock: shop-cart";
    assert!(verified.text().contains("pulled through localhost"), "{}", verified.text());
    assert!(verified.text().contains(told), "{}", verified.text());
    let proof = proof_of(&staging);
    assert!(proof["running"][0]["through"].as_str().is_some_and(|host| host.starts_with("localhost")), "{proof}");
    // There is no difference for ever.
    let revisions = staging.revisions();
    staging.ends("drift staging", 0);
    staging.ends("deploy staging", 0);
    staging.ends("run staging", 0);
    assert_eq!((staging.revisions(), staging.running()), (revisions, vec![digest.clone()]));
    leave_pods(&staging);

    // Without the digest on the way, the one that the node reports decides.
    change_images(&staging, &format!("{through_a_mirror}.split(\"@\")[0]"));
    renew(&staging);
    assert!(!in_pods().contains('@'), "{}", in_pods());
    staging.ends("verify staging", 0);
    let tag = in_pods().rsplit_once(':').unwrap().1.to_owned();
    let repository = format!("{}/cart", staging.namespace);
    staging.node().push(&Image {
        repository: &repository,
        tag: &tag,
        command: &["httpd", "-f", "-p", "8080", "-v"],
        labels: &[],
    });
    staging.kubectl(&[
        "patch",
        "deployment/shop-cart",
        "--patch",
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","imagePullPolicy":"Always"}]}}}}"#,
    ]);
    staging.kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
    let found = staging.ends("verify staging", 1);
    assert!(found.text().contains("locked is `") && found.text().contains(&digest), "{}", found.text());
    leave_pods(&staging);
}

/// As on nodes without a way to a registry, whose images are loaded by `ctr import` or `kind load`, under a tag.
#[test]
fn b46_an_image_that_was_loaded_without_a_registry_is_proven_by_the_digest_of_its_configuration() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let digest = staging.merge(2, SERVES);
    let tag = staging.shop.service("shop-cart").git(&["rev-parse", "HEAD"]);
    let locked = format!("{}:main-{}", staging.image(), &tag[..7]);
    staging.node().load(cluster, &locked, &locked);
    change_images(&staging, r#"object.spec.containers[0].image.split("@")[0]"#);
    staging.ends("run staging", 0);
    let reported = || {
        let id = "--output=jsonpath={.items[*].status.containerStatuses[*].imageID}";
        staging.kubectl(&["get", "pod", "--selector=app=shop-cart", id])
    };
    assert!(reported().starts_with("sha256:") && reported() != digest, "{}", reported());
    staging.ends("verify staging", 0);

    // Another image under the same tag is another configuration.
    let repository = format!("{}/other", staging.namespace);
    staging.node().push(&Image {
        repository: &repository,
        tag: "1",
        command: &["httpd", "-f", "-p", "8080", "-v"],
        labels: &[],
    });
    staging.node().load(cluster, &format!("{}/{repository}:1", staging.node().registry()), &locked);
    renew(&staging);
    let found = staging.ends("verify staging", 1);
    assert!(found.text().contains(&reported()) && found.text().contains(&digest), "{}", found.text());
    leave_pods(&staging);
}
