//! Objects that Kubernetes does not know, and Jobs that controllers make: waited for as the configuration says.

use test_support::{Cluster, Finished};

use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, Deployment, SERVES, SERVICE, definition_of_kind};
use crate::shop::wait_until;

const DEFINITION: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.shop.example }
spec:
  group: shop.example
  scope: Namespaced
  names: { plural: widgets, singular: widget, kind: Widget }
  versions:
  - name: v1
    served: true
    storage: true
    subresources: { status: {} }
    schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
";

const WIDGET: &str = "apiVersion: shop.example/v1\nkind: Widget\nmetadata: { name: cart }\n---\n";

const KEYS: &str = r#"    ready: { shop.example/Widget: { condition: Healthy } }
    await-jobs: { label: "job-of=cart", deadline: 30s }
"#;

#[track_caller]
fn tells(finished: &Finished, all: &[&str]) {
    for told in all {
        assert!(finished.stderr().contains(told), "`{told}` is not in:\n{}", finished.text());
    }
}

/// What a controller does once it has seen the objects of the service.
fn makes_job(staging: &ClusterShop<'_>, cluster: &Cluster, name: &str, command: &str) {
    let namespace = &staging.namespace;
    let image = "--output=jsonpath={.spec.template.spec.containers[0].image}";
    let image = staging.kubectl(&["get", "deployment/shop-cart", image]);
    cluster.apply(&format!(
        "{{ apiVersion: batch/v1, kind: Job, metadata: {{ name: {name}, namespace: {namespace}, labels: {{ job-of: cart }} }}, \
         spec: {{ backoffLimit: 0, template: {{ spec: {{ restartPolicy: Never, containers: [{{ name: migrate, image: \"{image}\", \
         command: [sh, -c, \"{command}\"] }}] }} }} }} }}"
    ));
}

#[test]
fn b18_b27_objects_and_jobs_of_controllers_are_waited_for_as_configured() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() {
        return;
    }
    cluster.apply(DEFINITION);
    cluster.kubectl(&["wait", "--for=condition=Established", "crd/widgets.shop.example", "--timeout=60s"]);
    let target = r#"target: { kind: apply, source: "{path}/parts" }"#;
    let namespace = cluster.namespace("shop-staging");
    let Some(staging) = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], target, KEYS) else {
        return;
    };
    let app = Deployment::plain("shop-cart").yaml().replace("IMAGE", &staging.image());
    staging.shop.service("shop-cart").write("parts/app.yaml", WIDGET.to_owned() + &app);
    let healthy = |status: &str| {
        let patch =
            format!(r#"{{"status":{{"conditions":[{{"type":"Healthy","status":"{status}","reason":"Full"}}]}}}}"#);
        let patch =
            ["patch", "widgets.shop.example", "cart", "--subresource=status", "--type=merge", "--patch", &patch];
        wait_until("the widget", || {
            cluster.try_kubectl(&[&patch[..], &["--namespace", &staging.namespace]].concat()).is_ok()
        });
    };

    staging.merge(2, SERVES);
    let run = staging.command(&[], "run staging --deadline 30s").start();
    healthy("False");
    let failed = run.wait().expect_code(21);
    tells(
        &failed,
        &["shop-cart: Widget/", "condition Healthy is False and has to be True", "condition: Widget/", "Full"],
    );
    healthy("True");
    // A controller makes a Job once it has seen the objects, of whichever run they are.
    makes_job(&staging, cluster, "first", "echo done");
    staging.ends("run staging", 0);

    staging.merge(3, SERVES);
    let run = staging.command(&[], "run staging").start();
    run.wait_for("writing ");
    makes_job(&staging, cluster, "second", "sleep 4; echo done");
    run.wait().expect_code(0);
    let succeeded = ["get", "job", "second", "--output=jsonpath={.status.succeeded}"];
    assert_eq!(staging.kubectl(&succeeded), "1", "it was waited for");

    // What has ended before proves nothing of this version.
    staging.merge(4, SERVES);
    let failed = staging.ends("run staging", 21);
    tells(&failed, &["no controller has made a Job with label `job-of=cart` in time", "changed: shop-cart"]);
    // Nor does it once there is nothing left to change.
    let failed = staging.ends("run staging", 21);
    tells(&failed, &["no controller has made a Job with label `job-of=cart` in time"]);

    staging.merge(5, SERVES);
    let run = staging.command(&[], "run staging").start();
    run.wait_for("writing ");
    makes_job(&staging, cluster, "fifth", "sleep 2; echo the schema is older than 7; exit 5");
    let failed = run.wait().expect_code(21);
    tells(&failed, &["shop-cart: Job/", "job: Job/", "the schema is older than 7", "exit code 5"]);
    let failed = staging.ends("run staging", 21);
    tells(&failed, &["shop-cart: Job/", "the schema is older than 7"]);
    // Its controller tries again.
    makes_job(&staging, cluster, "fifth-again", "echo done");
    staging.ends("run staging", 0);
    staging.ends("deploy staging --again", 0);
}

#[test]
fn w2_t17_what_belongs_to_no_namespace_is_deployed_where_a_key_names_it() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() {
        return;
    }
    let namespace = cluster.namespace("shop-staging");
    let (group, other) = (format!("{namespace}.example"), format!("{namespace}-jobs"));
    let rule = format!(
        "    namespaces: {{ allow: [{other}], cluster-scoped: [CustomResourceDefinition/widgets.{group}, Namespace/{other}] }}\n"
    );
    let target = r#"target: { kind: apply, source: "{path}/parts" }"#;
    let submodules = [DASHBOARDS, SERVICE];
    let Some(staging) = ClusterShop::in_namespace(cluster, namespace, &submodules, target, &rule) else { return };
    let widget = format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{ name: cart }}\n---\n");
    let space = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {other} }}\n---\n");
    let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: inside, namespace: {other} }}\n---\n");
    let definition = definition_of_kind(&group, "Widget", "widget");
    let app = Deployment::plain("shop-cart").yaml().to_owned();
    let parts = format!("{widget}{map}{space}{definition}---\n{app}");
    staging.commit_files(SERVICE, 2, SERVES, &[("parts/app.yaml", &parts)]);
    staging.shop.merge_dev();
    let role = staging.ends("lock commit staging", 0).text() + &staging.ends("permissions staging --role", 0).text();
    assert!(role.contains("resources: [widgets]") && role.contains("customresourcedefinitions"), "{role}");
    staging.ends("deploy staging", 0);
    staging.ends("verify staging", 0);
    staging.ends("drift staging", 0);
    cluster.kubectl(&["get", "configmap/inside", "--namespace", &other]);
    staging.kubectl(&["get", &format!("widgets.{group}/cart")]);

    // What no key names is refused, with the key.
    let more = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: { name: high }\nvalue: 1\n---\n";
    staging.commit_files(SERVICE, 3, SERVES, &[("parts/app.yaml", &format!("{more}{parts}"))]);
    staging.shop.merge_dev_past_rules();
    staging.ends("lock commit staging", 0);
    let refused = staging.ends("deploy staging", 20);
    tells(&refused, &["PriorityClass/high belongs to no namespace", "environments.staging.namespaces.cluster-scoped"]);
    cluster.kubectl(&["delete", "namespace", &other, "--wait=false"]);
    cluster.kubectl(&["delete", "customresourcedefinition", &format!("widgets.{group}")]);
}

#[test]
fn a_job_that_is_deleted_after_its_end_has_run_once_for_all() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/parts" }"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], target) else { return };
    let job = |name: &str, command: &str| {
        format!(
            "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{ name: {name} }}\nspec:\n  ttlSecondsAfterFinished: 5\n  \
             backoffLimit: 0\n  template: {{ spec: {{ restartPolicy: Never, containers: [{{ name: migrate, image: \
             \"IMAGE:latest\", command: [sh, -c, \"{command}\"] }}] }} }}\n"
        )
    };
    let merge = |version: u32, jobs: &str| {
        let app = Deployment::plain("shop-cart");
        staging.commit_files(SERVICE, version, SERVES, &[("parts/app.yaml", &(app.yaml().to_owned() + jobs))]);
        staging.shop.merge_dev();
    };
    let jobs = || staging.kubectl(&["get", "jobs", "--output=name"]);

    // What fails is deleted as well, and has not run.
    merge(2, &job("migrate-2", "exit 3"));
    staging.ends("lock commit staging", 0);
    let failed = staging.ends("deploy staging", 21);
    tells(&failed, &["Job/migrate-2"]);
    wait_until("the Job is gone", || jobs().is_empty());

    merge(3, &job("migrate-3", "true"));
    staging.ends("lock commit staging", 0);
    staging.ends("deploy staging", 0);
    wait_until("the Job is gone", || jobs().is_empty());
    staging.ends("verify staging", 0);
    staging.ends("drift staging", 0);
    let again = staging.ends("plan staging", 0);
    assert!(!again.text().contains("Job/"), "{}", again.text());
    // With another image it is another Job.
    merge(4, &job("migrate-3", "true"));
    staging.ends("lock commit staging", 0);
    let next = staging.ends("plan staging", 0);
    assert!(next.text().contains("Job/migrate-3"), "{}", next.text());
    // It is gone before the first look: an event says that it has completed.
    merge(5, &job("migrate-5", "true").replace("Finished: 5", "Finished: 0"));
    staging.ends("lock commit staging", 0);
    staging.ends("deploy staging", 0);
}

#[test]
fn a_job_of_a_chart_that_is_deleted_after_its_end_is_no_difference() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let job = |name: &str, seconds: u32| {
        format!(
            "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{ name: {name} }}\nspec:\n  ttlSecondsAfterFinished: {seconds}\n  \
             template: {{ spec: {{ restartPolicy: Never, containers: [{{ name: migrate, image: \"{{{{ .Values.image.repository \
             }}}}:{{{{ .Values.image.tag }}}}\", command: [\"true\"] }}] }} }}\n"
        )
    };
    let run = |version: u32, objects: &str| {
        staging.merge_chart(version, SERVES, &format!("{DEPLOYMENT}{objects}"));
        staging.ends("run staging", 0);
        wait_until("the Job is gone", || staging.kubectl(&["get", "jobs", "--output=name"]).is_empty());
        staging.ends("verify staging", 0);
        // What another upgrade would render is no drift.
        staging.ends("drift staging", 0);
    };
    let at_first =
        "---\n{{ if .Release.IsInstall }}\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: first }\n{{ end }}\n";
    run(2, &format!("{}{at_first}", job("migrate-2", 5)));
    run(3, &job("migrate-3", 5));
    let plan = staging.ends("plan staging", 0);
    assert!(!plan.text().contains("Job/"), "{}", plan.text());
    staging.ends("deploy staging --again", 0);
    assert_eq!(staging.revisions(), 2, "it has run once for all");
    run(4, &job("migrate-4", 0));
    // One that a person has deleted is a finding.
    staging.kubectl(&["delete", "deployment", "shop-cart"]);
    let drift = staging.ends("drift staging", 1);
    assert!(!drift.text().contains("Job/"), "{}", drift.text());
}
