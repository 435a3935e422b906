//! What others did in the cluster to objects whose pods cannot be asked, and to where requests go.

use test_support::{Cluster, bench};

use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, Deployment, SERVES, SERVICE, SERVICE_OF_CART};

/// A `CronJob` and a Job of the service's image.
const JOBS: &str = r#"---
apiVersion: batch/v1
kind: CronJob
metadata: { name: shop-cart-tidy }
spec:
  schedule: "0 0 1 1 *"
  jobTemplate: { spec: { template: { spec: { restartPolicy: Never, containers: [{ name: tidy, image: "IMAGE_OF_CART" }] } } } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: shop-cart-once }
spec:
  template:
    spec: { restartPolicy: Never, containers: [{ name: once, image: "IMAGE_OF_CART", command: ["true"] }] }
---
"#;

const EVIL: &str = "evil.example/x:1";

impl ClusterShop<'_> {
    fn patch(&self, object: &str, patch: &str) {
        self.kubectl(&["patch", object, "--type=json", "--patch", patch]);
    }

    /// Both questions find it.
    #[track_caller]
    fn is_found(&self, told: &str) {
        for line in ["verify staging", "drift staging"] {
            let ended = self.ends(line, 1);
            assert!(ended.text().contains(told), "{line}: `{told}` is not in:\n{}", ended.text());
        }
    }

    /// The template of the `CronJob` gets another image and another container, one after the other.
    #[track_caller]
    fn edits_of_a_cron_job_are_found(&self) {
        let pods = "/spec/jobTemplate/spec/template/spec";
        let image = "--output=jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].image}";
        let locked = self.kubectl(&["get", "cronjob/shop-cart-tidy", image]);
        let set = |image: &str| {
            let set = format!(r#"[{{"op":"replace","path":"{pods}/containers/0/image","value":"{image}"}}]"#);
            self.patch("cronjob/shop-cart-tidy", &set);
        };
        set(EVIL);
        let run = self.command(&[], "run staging").run();
        assert_ne!(run.code(), Some(0), "{}", run.text());
        self.is_found(&format!("containers[tidy]` of CronJob/shop-cart-tidy is `{EVIL}`, the release has `"));
        set(&locked);
        let add =
            format!(r#"[{{"op":"add","path":"{pods}/initContainers","value":[{{"name":"i","image":"{EVIL}"}}]}}]"#);
        self.patch("cronjob/shop-cart-tidy", &add);
        self.is_found(&format!("CronJob/shop-cart-tidy has `{EVIL}` in container `i`"));
        self.patch("cronjob/shop-cart-tidy", &format!(r#"[{{"op":"remove","path":"{pods}/initContainers"}}]"#));
        self.ends("verify staging", 0);
    }
}

#[test]
fn b46_what_is_live_of_a_helm_release_is_proven_where_no_pod_can_be_asked() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let helm = bench::part("helm4").unwrap();
    let jobs = JOBS.replace("IMAGE_OF_CART", "{{ .Values.image.repository }}:{{ .Values.image.tag }}");
    staging.merge_chart(2, SERVES, &format!("{DEPLOYMENT}{jobs}{SERVICE_OF_CART}"));
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
    staging.edits_of_a_cron_job_are_found();

    // No pod is made anew by this: what is live is judged as what is installed.
    let network = r#"[{"op":"add","path":"/spec/paused","value":true},{"op":"add","path":"/spec/template/spec/hostNetwork","value":true}]"#;
    staging.patch("deployment/shop-cart", network);
    let found = staging.ends("verify staging", 1);
    assert!(found.text().contains("hostNetwork"), "{}", found.text());
    let back = r#"[{"op":"remove","path":"/spec/template/spec/hostNetwork"},{"op":"remove","path":"/spec/paused"}]"#;
    staging.patch("deployment/shop-cart", back);
    staging.ends("verify staging", 0);

    // A revision by hand is not the one that was deployed, though it holds the same.
    let installed = helm
        .command()
        .env("HOME", staging.shop.join("home"))
        .args(["rollback", "shop-cart", "1", "--namespace", &staging.namespace, "--kubeconfig"])
        .arg(cluster.kubeconfig_path())
        .output()
        .unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    staging.is_found("revision 2 of its helm release was made by another program");
    staging.ends("deploy staging --again", 0);
    staging.ends("verify staging", 0);

    // A Job of the same name cannot become what it was: that is an answer, not a question that cannot be asked.
    staging.kubectl(&["delete", "job/shop-cart-once"]);
    staging.kubectl(&["create", "job", "shop-cart-once", &format!("--image={EVIL}")]);
    staging.is_found("containers[once]` of Job/shop-cart-once is gone, the release has `");
    let drift = staging.ends("drift staging", 1);
    for told in ["deploying it again would be refused", "Job/shop-cart-once would get a field that cannot be changed"] {
        assert!(drift.text().contains(told), "`{told}` is not in:\n{}", drift.text());
    }
    assert!(!drift.text().contains("--again"), "{}", drift.text());
}

#[test]
fn b46_what_is_live_of_plain_manifests_is_proven_where_no_pod_can_be_asked() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/parts" }"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], target) else { return };
    let jobs = JOBS.replace("IMAGE_OF_CART", "IMAGE:latest");
    let service = SERVICE_OF_CART.replace("{{ .Release.Name }}", "shop-cart");
    let parts = format!("{}{jobs}{service}", Deployment::plain("shop-cart").yaml());
    staging.commit_files(SERVICE, 2, SERVES, &[("parts/app.yaml", &parts)]);
    staging.shop.merge_dev();
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
    staging.edits_of_a_cron_job_are_found();

    let select = |selector: &str| {
        let patch = format!(r#"[{{"op":"replace","path":"/spec/selector","value":{selector}}}]"#);
        staging.patch("service/shop-cart", &patch);
    };
    select(r#"{"app":"evil"}"#);
    staging.is_found("Service/shop-cart selects `app=evil`, the release has `app=shop-cart`");
    // The field belongs to kubectl now, and no rule lets a deployment take it.
    let drift = staging.ends("drift staging", 1);
    assert!(drift.text().contains("deploying it again would be refused"), "{}", drift.text());
    assert!(!drift.text().contains("--again"), "{}", drift.text());
    staging.ends("deploy staging --again", 20);
    // One that is gone belongs to no other program: it is put back.
    select("{}");
    staging.is_found("Service/shop-cart selects no pods, the release has `app=shop-cart`");
    let drift = staging.ends("drift staging", 1);
    assert!(drift.text().contains("`orchestrator deploy staging --again` puts back"), "{}", drift.text());
    staging.ends("deploy staging --again", 0);
    staging.ends("verify staging", 0);

    // An endpoint that no selector put there, with no pod behind it.
    cluster.apply(&format!(
        "{{ apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{ name: by-hand, namespace: {}, labels: {{ \
         kubernetes.io/service-name: shop-cart }} }}, addressType: IPv4, endpoints: [{{ addresses: [198.51.100.7] }}], ports: [{{ \
         port: 8080 }}] }}",
        staging.namespace
    ));
    staging.is_found("Service/shop-cart sends requests to addresses of no proven pod: `198.51.100.7`");
    staging.kubectl(&["delete", "endpointslice/by-hand"]);
    staging.ends("verify staging", 0);

    // One that was stopped is started, though its manifest names no number.
    staging.kubectl(&["scale", "deployment/shop-cart", "--replicas=0"]);
    let drift = staging.ends("drift staging", 1);
    assert!(drift.text().contains("`orchestrator deploy staging --again` puts back"), "{}", drift.text());
    staging.ends("deploy staging --again", 0);
    staging.ends("verify staging", 0);
}
