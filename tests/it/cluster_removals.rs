//! What has left manifests, services and releases goes from a real cluster, or is said to be there.

use test_support::{Act, Cluster, Image};

use crate::cluster_keys::{WEB, plain};
use crate::cluster_kill::helms;
use crate::clusters::{ClusterShop, DEPLOYMENT, Deployment, SERVES, SERVICE, hook_job};
use crate::shop::wait_until;

const PLAIN_TARGET: &str = r#"target: { kind: apply, source: "{path}/cluster" }"#;
const REMOVED: &str = r#"target: { kind: apply, source: "{path}/cluster" }
  removed: delete"#;
const SERVICES: [&str; 3] = ["ops/shop-dashboards", SERVICE, WEB];

impl ClusterShop<'_> {
    /// Puts a version of a service of one plain manifest onto the branch of the developers. `NAME` is the service.
    pub(crate) fn commit_manifest(&self, path: &str, version: u32, command: &[&str], manifest: &str) {
        let manifest = manifest.replace("NAME", path.rsplit('/').next().unwrap());
        self.commit_files(path, version, command, &[("cluster/app.yaml", &manifest)]);
    }

    /// What a workload of one container has in its environment.
    fn variables_of(&self, workload: &str) -> String {
        self.kubectl(&["get", workload, "--output=jsonpath={.spec.template.spec.containers[0].env[*].name}"])
    }
}

/// The wave of the second service is not reached, and then its manifest is what it was to become already.
#[test]
fn a1_a_field_that_left_a_manifest_goes_although_the_run_failed_that_was_to_take_it_away() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = format!("{PLAIN_TARGET}\n  waves: [shop-cart, shop-web]");
    let Some(staging) = ClusterShop::without_helm(cluster, &SERVICES, &target) else { return };
    let debug = plain().container("env: [{ name: DEBUG, value: \"1\" }]");
    staging.commit_manifest(WEB, 2, SERVES, debug.yaml());
    staging.commit_manifest(SERVICE, 2, SERVES, plain().yaml());
    staging.shop.merge_dev();
    staging.ends("run staging", 0);
    assert_eq!(staging.variables_of("deployment/shop-web"), "DEBUG");

    staging.commit_manifest(WEB, 3, SERVES, plain().yaml());
    staging.commit_manifest(SERVICE, 3, &["sh", "-c", "exit 4"], plain().yaml());
    staging.shop.merge_dev();
    let failed = staging.ends("run staging", 21);
    assert!(failed.stderr().contains("not touched: shop-web"), "{}", failed.text());
    staging.commit_manifest(SERVICE, 4, SERVES, plain().yaml());
    staging.shop.merge_dev();
    let repaired = staging.ends("run staging", 0);
    assert_eq!(staging.variables_of("deployment/shop-web"), "", "{}", repaired.text());

    // An apply in our name is no way around it either.
    let live = staging.kubectl(&["get", "deployment/shop-web", "--output=jsonpath={..containers[0].image}"]);
    let forged = staging.shop.join("forged.yaml");
    let manifest = debug.yaml().replace("NAME", "shop-web").replace("IMAGE:latest", &live);
    std::fs::write(&forged, manifest).unwrap();
    let file = format!("--filename={}", forged.display());
    staging.kubectl(&["apply", "--server-side", "--field-manager=orchestrator", &file]);
    assert_eq!(staging.variables_of("deployment/shop-web"), "DEBUG");
    let drift = staging.ends("drift staging", 1);
    assert!(drift.text().contains("DEBUG"), "{}", drift.text());
    staging.ends("deploy staging --again", 0);
    assert_eq!(staging.variables_of("deployment/shop-web"), "");
}

/// A list of what may be removed that a manifest would bring along, and one that another user wrote.
#[test]
fn a_forged_inventory_is_refused_and_nothing_is_removed_by_it() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &SERVICES[..2], REMOVED) else { return };
    staging.commit_manifest(SERVICE, 2, SERVES, plain().yaml());
    staging.shop.merge_dev();
    staging.ends("run staging", 0);
    staging.kubectl(&["create", "deployment", "victim", "--image=busybox", "--replicas=0"]);
    let uid = staging.kubectl(&["get", "deployment/victim", "--output=jsonpath={.metadata.uid}"]);
    let namespace = &staging.namespace;
    let forged = format!(
        r#"apiVersion: v1
kind: ConfigMap
metadata: {{ name: zz-evil, labels: {{ orchestrator.dev/inventory: shop-gone }} }}
data:
  objects: '[{{"group":"apps","version":"v1","kind":"Deployment","namespace":"{namespace}","name":"victim","uid":"{uid}","manifest":null}}]'
"#
    );
    let lease = "---\napiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: { name: orchestrator-staging }\n";
    staging.commit_manifest(SERVICE, 3, SERVES, &format!("{}---\n{forged}{lease}", plain().yaml()));
    staging.shop.merge_dev_past_rules();
    let refused = staging.ends("run staging", 20);
    for told in [
        "ConfigMap/zz-evil has the label `orchestrator.dev/inventory`",
        "Lease/orchestrator-staging would be",
        "take another name",
    ] {
        assert!(refused.text().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
    let file = staging.shop.join("forged.yaml");
    std::fs::write(&file, &forged).unwrap();
    staging.kubectl(&["apply", &format!("--filename={}", file.display())]);
    staging.commit_manifest(SERVICE, 4, SERVES, plain().yaml());
    staging.shop.merge_dev();
    staging.ends("run staging", 0);
    staging.kubectl(&["get", "deployment/victim"]);

    // One that is damaged is named with the way out, and is no reason for an error.
    let inventory = "configmap/orchestrator-inventory-shop-cart";
    staging.kubectl(&["patch", inventory, "--type=merge", r#"--patch={"data":{"objects":"x"}}"#]);
    let damaged = "ConfigMap/orchestrator-inventory-shop-cart, which lists its objects, cannot be read";
    assert!(staging.ends("verify staging", 1).text().contains(damaged));
    let refused = staging.ends("deploy staging --again", 20);
    assert!(refused.text().contains(damaged) && refused.text().contains("delete the ConfigMap"), "{}", refused.text());
    staging.kubectl(&["delete", inventory]);
    staging.ends("deploy staging --again", 0);
    staging.ends("verify staging", 0);
}

/// What stays is said, what cannot go yet is a failure, and claims are never deleted with their workload.
#[test]
fn what_has_left_and_does_not_go_is_no_success() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &SERVICES, REMOVED) else { return };
    let never = plain().metadata("annotations: { orchestrator.dev/prune: never }");
    staging.commit_manifest(WEB, 2, SERVES, never.yaml());
    let guarded = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: guarded, finalizers: [guard.example/x] }\n";
    let stateful = Deployment::plain("store")
        .spec("serviceName: store")
        .spec("persistentVolumeClaimRetentionPolicy: { whenDeleted: Delete }");
    let stateful = stateful.yaml().replace("kind: Deployment", "kind: StatefulSet");
    staging.commit_manifest(SERVICE, 2, SERVES, &format!("{}{guarded}---\n{stateful}", plain().yaml()));
    staging.shop.merge_dev();
    staging.ends("run staging", 0);

    staging.commit_manifest(SERVICE, 3, SERVES, &format!("{}{guarded}", plain().yaml()));
    staging.shop.merge_dev();
    let refused = staging.ends("run staging", 20);
    for told in ["StatefulSet/store would be deleted, and its volume claims with it", "whenDeleted: Retain"] {
        assert!(refused.text().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
    let retain = r#"--patch={"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain"}}}"#;
    staging.kubectl(&["patch", "statefulset/store", "--type=merge", retain]);
    staging.ends("run staging", 0);
    let gone = staging.kubectl(&["get", "statefulset,pod", "--selector=app=store", "--output=name"]);
    assert_eq!(gone, "", "the run ended once its pods were gone");

    staging.commit_manifest(SERVICE, 4, SERVES, plain().yaml());
    staging.shop.merge_dev();
    let stuck = staging.ends("--deadline 20s run staging", 21);
    assert!(stuck.text().contains("finalizer `guard.example/x` is not taken off"), "{}", stuck.text());
    for line in ["verify staging", "drift staging"] {
        let told = staging.ends(line, 1);
        let kept = "ConfigMap/guarded was deleted and is still there (finalizer `guard.example/x` is not taken off)";
        assert!(told.text().contains(kept) && !told.text().contains("deletionTimestamp"), "{}", told.text());
    }
    let again = staging.ends("--deadline 20s run staging", 21);
    assert!(again.text().contains("guard.example/x"), "{}", again.text());
    staging.kubectl(&["patch", "configmap/guarded", "--type=merge", r#"--patch={"metadata":{"finalizers":null}}"#]);
    staging.ends("run staging", 0);

    staging.reconfigure("deploy: [\"services/*\"]", "deploy: [services/shop-cart]");
    for line in ["run staging", "verify staging", "drift staging"] {
        let told = staging.ends(line, if line == "run staging" { 21 } else { 1 });
        assert!(told.text().contains("its objects are there: 1 (Deployment/shop-web)"), "{line}: {}", told.text());
    }
    staging.kubectl(&["annotate", "deployment/shop-web", "orchestrator.dev/prune-"]);
    staging.ends("deploy staging --again", 0);
    staging.ends("verify staging", 0);
    assert_eq!(staging.kubectl(&["get", "pod", "--selector=app=shop-web", "--output=name"]), "");

    // What is gone is told once, and no consequence of it.
    staging.kubectl(&["delete", "deployment/shop-cart"]);
    let gone = staging.ends("verify staging", 1);
    let found: Vec<&str> = gone.stdout().lines().filter(|line| line.starts_with("  ")).map(str::trim).collect();
    assert_eq!(found, ["`shop-cart`: Deployment/shop-cart is not in the cluster"]);
}

/// What the API server does not take to delete is there, and nothing of its service was changed.
#[test]
fn a_deletion_that_is_refused_is_no_change() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &SERVICES, REMOVED) else { return };
    for path in [SERVICE, WEB] {
        staging.commit_manifest(path, 2, SERVES, plain().yaml());
    }
    staging.shop.merge_dev();
    staging.ends("run staging", 0);
    staging.reconfigure("deploy: [\"services/*\"]", "deploy: [services/shop-cart]");
    let reason = "deployments.apps \\\"shop-web\\\" is forbidden: ValidatingAdmissionPolicy 'keep' with binding 'keep' denied request: \
                  it stays";
    let status = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"{reason}"}}"#
    );
    let refusal =
        format!("HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{status}\n");
    let gate = cluster.gate_or_skip(move |line| {
        let is_meant = line.starts_with("DELETE ") && line.contains("/deployments/shop-web");
        if is_meant { Act::Answer(refusal.clone()) } else { Act::Pass }
    });
    let Some(gate) = gate else { return };
    let refused = staging.ends_with(gate.kubeconfig(), "run staging", 21);
    for told in ["service `shop-web` is not as planned: it is not deleted: ", "it stays", "not touched: shop-web"] {
        assert!(refused.stderr().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
    assert!(!refused.text().contains("changed: shop-"), "{}", refused.text());
    staging.kubectl(&["get", "deployment/shop-web"]);
    staging.ends("run staging", 0);
    assert!(!staging.kubectl(&["get", "deployment", "--output=name"]).contains("shop-web"));
}

/// A hook that runs when its release is uninstalled, and that cannot start while a `ConfigMap` is missing.
const GUARD: &str = r#"apiVersion: v1
kind: Pod
metadata: { name: guard, annotations: { helm.sh/hook: pre-delete, helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded" } }
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: guard
    image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
    command: ["true"]
    envFrom: [{ configMapRef: { name: go } }]
"#;

/// Makes what the hook of the release waits for.
const GO: [&str; 4] = ["create", "configmap", "go", "--from-literal=A=1"];

/// A shop whose `shop-web` is deployed, and whose next hook does not start: what it needs is gone.
fn guarded(cluster: &Cluster) -> Option<ClusterShop<'_>> {
    let staging = ClusterShop::with_or_skip(cluster, "helm4", &SERVICES, "\n  removed: delete")?;
    staging.kubectl(&GO);
    staging.shop.service("shop-web").write("chart/templates/guard.yaml", GUARD);
    staging.commit(WEB, 2, SERVES, DEPLOYMENT);
    staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    staging.kubectl(&["delete", "configmap/go"]);
    Some(staging)
}

/// helm calls a release `uninstalling` in words of its own, and `uninstalled` while its objects are still there.
#[test]
fn f2_an_uninstall_that_was_cut_off_is_gone_on_with_until_everything_is_gone() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = guarded(cluster) else { return };
    let finalizers = |list: &str| {
        let patch = format!(r#"--patch={{"metadata":{{"finalizers":{list}}}}}"#);
        staging.kubectl(&["patch", "deployment/shop-web", "--type=merge", &patch]);
    };
    finalizers(r#"["guard.example/x"]"#);
    staging.reconfigure("deploy: [\"services/*\"]", "deploy: [services/shop-cart]");
    staging.ends("lock commit staging", 0);
    let plan = staging.ends("plan staging", 0);
    assert!(plan.text().contains("run Pod/guard before"), "{}", plan.text());
    let pods = || staging.kubectl(&["get", "pod", "--selector=app=shop-web", "--output=name"]);
    for _ in 0..2 {
        let cut = staging.ends("--deadline 20s run staging", 21);
        let hook = ["helm does not uninstall it", "shop-web: Pod/guard", "config: Pod/guard", "events:"];
        for told in hook.into_iter().chain(["changed: shop-web"]) {
            assert!(cut.text().contains(told), "`{told}` is not in:\n{}", cut.text());
        }
        assert!(!cut.text().contains("\\t"), "{}", cut.text());
        assert_ne!(pods(), "");
    }
    assert!(staging.ends("verify staging", 1).text().contains("not deployed here any more"));

    staging.kubectl(&GO);
    for _ in 0..2 {
        let stuck = staging.ends("--deadline 30s run staging", 21);
        assert!(stuck.text().contains("finalizer `guard.example/x` is not taken off"), "{}", stuck.text());
    }
    let there = staging.ends("verify staging", 1);
    assert!(there.text().contains("is uninstalled, and these of its objects are still there"), "{}", there.text());
    finalizers("null");
    staging.ends("run staging", 0);
    assert_eq!(pods(), "");
    staging.ends("verify staging", 0);
}

/// What the run started is gone at once, and what it says of that goes to a reader that is gone.
#[test]
fn f2_an_uninstall_that_is_terminated_without_a_reader_is_gone_on_with() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = guarded(cluster) else { return };
    end_an_uninstall_early(&staging);
    staging.kubectl(&GO);
    staging.ends("run staging", 0);
    assert_eq!(staging.kubectl(&["get", "pod", "--selector=app=shop-web", "--output=name"]), "");
    staging.ends("verify staging", 0);
}

/// helm upgrades no release that it calls `uninstalling`.
#[test]
fn f2_a_service_whose_uninstall_ended_early_can_come_back() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = guarded(cluster) else { return };
    end_an_uninstall_early(&staging);
    staging.kubectl(&GO);
    staging.reconfigure("deploy: [services/shop-cart]", "deploy: [\"services/*\"]");
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
    let statuses = "jsonpath={.items[*].metadata.labels.status}";
    let statuses = staging.kubectl(&["get", "secret", "-l", "owner=helm,name=shop-web", "--output", statuses]);
    assert!(statuses.contains("deployed") && !statuses.contains("uninstalling"), "{statuses}");
}

/// Ends a run while helm waits for a hook of what it uninstalls.
fn end_an_uninstall_early(staging: &ClusterShop<'_>) {
    staging.reconfigure("deploy: [\"services/*\"]", "deploy: [services/shop-cart]");
    let run = staging.command(&[], "run staging").with_closed_stdout().start();
    let uninstalls = || helms(&staging.namespace).iter().any(|words| words.contains(" uninstall shop-web "));
    wait_until("helm to uninstall", uninstalls);
    let guard = ["get", "pod", "guard", "--output=name", "--ignore-not-found"];
    wait_until("the hook", || !staging.kubectl(&guard).is_empty());
    run.terminate();
    let ended = run.wait().expect_code(130);
    assert!(ended.stderr().contains("interrupted"), "{}", ended.text());
    assert_eq!(helms(&staging.namespace), [""; 0]);
    assert!(staging.ends("verify staging", 1).text().contains("not deployed here any more"));
}

#[test]
fn t17_a_last_hook_whose_name_another_object_has_by_now_uninstalls_nothing() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm4", &SERVICES, "\n  removed: delete") else { return };
    let bye = GUARD.replace("name: guard", "name: bye").replace("    envFrom: [{ configMapRef: { name: go } }]\n", "");
    staging.shop.service("shop-web").write("chart/templates/bye.yaml", bye);
    staging.commit(WEB, 2, SERVES, DEPLOYMENT);
    staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    staging.reconfigure("deploy: [\"services/*\"]", "deploy: [services/shop-cart]");
    staging.ends("lock commit staging", 0);

    // A pod that kubectl made has the name of the hook: helm would delete it.
    let image = format!("--image={}/bench/pause:1", staging.node().registry());
    staging.kubectl(&["run", "bye", &image]);
    let told = "Pod/bye is a hook, and the cluster has an object of that name: no hook made it";
    for line in ["plan staging", "run staging"] {
        let refused = staging.ends(line, 20);
        assert!(refused.text().contains(told), "{line}: {}", refused.text());
    }
    staging.kubectl(&["delete", "pod", "bye", "--now"]);
    staging.ends("run staging", 0);
    assert_eq!(staging.kubectl(&["get", "pod", "--selector=app=shop-web", "--output=name"]), "");
}

/// A deployment leaves what another program added, so that no deployment can prove such a pod.
#[test]
fn t19_a_container_that_another_program_added_is_no_part_of_what_is_locked() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &SERVICES[..2], PLAIN_TARGET) else { return };
    staging.commit_manifest(SERVICE, 2, SERVES, plain().yaml());
    staging.shop.merge_dev();
    staging.ends("run staging", 0);
    let repository = format!("{}/stranger", staging.namespace);
    let image = Image { repository: &repository, tag: "1", command: &["sleep", "900"], labels: &[] };
    staging.node().push(&image);
    let image = format!("{}/{repository}:1", staging.node().registry());
    let containers = "/spec/template/spec/containers";
    let add = format!(r#"[{{"op":"add","path":"{containers}/-","value":{{"name":"side","image":"{image}"}}}}]"#);
    let patch = |patch: &str| {
        staging.kubectl(&["patch", "deployment/shop-cart", "--type=json", &format!("--patch={patch}")]);
        staging.kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
    };
    patch(&add);
    // Ports are hidden where output is compared.
    let told = format!("/{repository}:1` in container `side`, which the release does not have");
    for (line, code) in [("verify staging", 1), ("run staging", 21), ("drift staging", 1)] {
        let ended = staging.ends(line, code);
        assert!(ended.text().contains(&told), "{line}: {}", ended.text());
        assert!(!ended.text().contains("puts it back"), "a deployment leaves it: {}", ended.text());
    }
    patch(&format!(r#"[{{"op":"remove","path":"{containers}/1"}}]"#));
    staging.ends("verify staging", 0);
}

impl ClusterShop<'_> {
    /// Changes the configuration, up to the merge.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let clone = self.shop.work_on("dev");
        let configuration = std::fs::read_to_string(self.shop.join("shop/orchestrator.yaml")).unwrap();
        assert!(configuration.contains(from), "{from}: {configuration}");
        clone.write("orchestrator.yaml", configuration.replace(from, to));
        self.shop.commit_and_push("dev", "another configuration");
        self.shop.merge_dev();
    }

    /// The workloads in the namespace.
    fn workloads(&self) -> String {
        self.kubectl(&["get", "deployments", "--output=jsonpath={.items[*].metadata.name}"])
    }

    /// A service that is deployed no more is a finding, and gone where the configuration says so; a rollback brings it back.
    #[track_caller]
    fn loses_a_service(&self) {
        self.ends("run staging", 0);
        assert_eq!(self.workloads(), "shop-cart shop-web");
        self.reconfigure("deploy: [\"services/*\"]", "deploy: [services/shop-cart]");
        let left = self.ends("run staging", 21);
        assert!(left.text().contains("not deployed here any more"), "{}", left.text());
        assert!(left.text().contains("with `removed: delete` in the environment"), "{}", left.text());
        assert!(self.ends("verify staging", 1).text().contains("not deployed here any more"));
        assert!(self.ends("drift staging", 1).text().contains("not deployed here any more"));
        assert_eq!(self.workloads(), "shop-cart shop-web");

        self.reconfigure("  deploy: [services/shop-cart]", "  removed: delete\n  deploy: [services/shop-cart]");
        let planned = self.ends("run staging", 0);
        assert_eq!(self.workloads(), "shop-cart", "{}", planned.text());
        self.ends("verify staging", 0);
        self.ends("drift staging", 0);
        self.ends("run staging", 0);

        self.reconfigure("deploy: [services/shop-cart]", "deploy: [\"services/*\"]");
        self.ends("run staging", 0);
        assert_eq!(self.workloads(), "shop-cart shop-web");
        self.ends("verify staging", 0);
    }
}

#[test]
fn b29_a_service_of_plain_manifests_that_left_is_a_finding_and_is_deleted_on_request() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &SERVICES, PLAIN_TARGET) else { return };
    staging.merge_readers(2, &plain());
    staging.loses_a_service();
    let inventories = staging.kubectl(&["get", "configmap", "--output=name"]);
    assert!(inventories.contains("orchestrator-inventory-shop-web"), "{inventories}");
}

#[track_caller]
fn a_release_that_left_is_uninstalled(helm: &str) {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::with_or_skip(cluster, helm, &SERVICES, "") else { return };
    let calls = staging.warn_and_check_flags_of_helm();
    staging.commit(WEB, 2, SERVES, DEPLOYMENT);
    staging.merge(2, SERVES);
    staging.loses_a_service();
    // A first version and its update, the plans of both, and the end of a release.
    let calls = std::fs::read_to_string(calls).unwrap();
    for command in ["version ", "template ", "upgrade ", "uninstall "] {
        assert!(calls.lines().any(|call| call.starts_with(command)), "no `{command}` in:\n{calls}");
    }
}

#[test]
fn h2_a_release_whose_service_left_is_uninstalled_by_helm_3_and_comes_back() {
    a_release_that_left_is_uninstalled("helm3");
}

#[test]
fn h2_a_release_whose_service_left_is_uninstalled_by_helm_4_and_comes_back() {
    a_release_that_left_is_uninstalled("helm4");
}

/// helm writes words of its own over the description of a revision that failed.
#[test]
fn a_release_whose_newest_revision_failed_is_known_as_made_here() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm3", &SERVICES, "") else { return };
    // A migration that fails before its chart changes anything.
    let fails = DEPLOYMENT.to_owned() + &hook_job("pre-install,pre-upgrade", "exit 5");
    staging.commit(WEB, 2, SERVES, &fails);
    staging.merge(2, SERVES);
    staging.ends("run staging", 21);
    let plan = staging.ends("plan staging", 0);
    assert!(!plan.text().contains("taken over"), "{}", plan.text());

    staging.reconfigure("deploy: [\"services/*\"]", "deploy: [services/shop-cart]");
    let left = staging.ends("run staging", 21);
    assert!(left.text().contains("revision 1 of its helm release is there"), "{}", left.text());
    staging.reconfigure("  deploy: [services/shop-cart]", "  removed: delete\n  deploy: [services/shop-cart]");
    staging.ends("run staging", 0);
    let label = "--output=jsonpath={.items[*].metadata.labels.status}";
    let status = staging.kubectl(&["get", "secret", "--selector=owner=helm,name=shop-web", label]);
    assert_eq!(status, "uninstalled");
    staging.ends("verify staging", 0);
}
