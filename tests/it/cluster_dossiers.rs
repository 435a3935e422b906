//! What is known of a deployment that failed, for programs, for the step summary and for later.

use serde_json::Value;
use test_support::Cluster;

use crate::clusters::{ClusterShop, DASHBOARDS, Deployment, SERVES, SERVICE, hook_job};
use crate::stops::follows_the_schema;

const TARGET: &str = r#"target: { kind: apply, source: "{path}/cluster" }
  secret: [{ keys-from-env: [CART_LOGIN] }]"#;

const LOGIN: &str = "zqzqzqzq-horse-battery-staple";

/// A log that would end a code block of three backticks, and go on as Markdown.
const SPEAKS: &str = "echo '```'; echo '### a heading of the log'; echo \"no login for $CART_LOGIN\"; exit 3";

#[test]
fn b25_t25_the_dossier_of_a_failed_deployment_is_data_markdown_and_evidence() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], TARGET) else { return };
    let reads = "envFrom: [{ secretRef: { name: shop-cart-secret } }]";
    let app = Deployment::plain("shop-cart").container(reads);
    staging.commit_files(SERVICE, 2, &["sh", "-c", SPEAKS], &[("cluster/app.yaml", app.yaml())]);
    staging.shop.merge_dev();
    let login = ("CART_LOGIN", LOGIN);
    let json = |line: &str, code: i32| -> Value {
        let finished = staging.ends_in(&[login], &format!("--format json {line}"), code);
        assert!(!finished.text().contains("zq"), "{}", finished.text());
        let document = serde_json::from_str(finished.stdout()).unwrap();
        follows_the_schema(&document);
        document
    };
    staging.ends("lock commit staging", 0);
    let plan = json("plan staging", 0)["result"].clone();
    assert_eq!((&plan["has_changes"], &plan["services"][0]["reasons"][0]), (&true.into(), &"new".into()), "{plan:#}");

    let summary = staging.shop.join("summary.md");
    let written = summary.to_str().unwrap().to_owned();
    staging.ends_in(&[login, ("GITHUB_STEP_SUMMARY", &written)], "--format github run staging", 21);
    let markdown = std::fs::read_to_string(&summary).unwrap();
    for part in [
        "## the deployment is not complete\n",
        "| gates | ok |",
        "| deploy | failed |",
        "\n### shop-cart: Deployment/shop-cart\n",
        "| crash | ",
        "\n#### Events",
        "\n````text\n```\n### a heading of the log\nno login for ***\n````\n",
        "- changed: shop-cart\n",
        "\n### What to do\n",
    ] {
        assert!(markdown.contains(part), "`{part}` is not in:\n{markdown}");
    }
    assert!(!markdown.contains("zq"), "{markdown}");

    staging.commit_files(SERVICE, 3, &["sh", "-c", SPEAKS], &[("cluster/app.yaml", app.yaml())]);
    staging.shop.merge_dev();
    let error = json("run staging", 21)["error"].clone();
    let steps = error["steps"].as_array().unwrap();
    assert_eq!((&steps[1]["step"], &steps.last().unwrap()["result"]), (&"gates".into(), &"failed".into()), "{error:#}");
    let first = error["dossier"]["failures"][0].clone();
    let cause = &first["causes"][0];
    assert_eq!(
        (&first["service"], &cause["class"], &cause["container"]),
        (&"shop-cart".into(), &"crash".into(), &"app".into())
    );
    assert!(cause["permanent"].is_boolean() && !cause["events"].as_array().unwrap().is_empty(), "{first:#}");
    let logs = format!("{}{}", cause["log"], cause["previous_log"]);
    assert!(logs.contains("no login for ***"), "{first:#}");
    assert_eq!(error["dossier"]["changed"], serde_json::json!(["shop-cart"]), "{error:#}");

    let history = json("history staging", 0)["result"].clone();
    let failed = history["records"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&failed["step"], &failed["result"]), (&"deploy".into(), &"failed".into()), "{failed:#}");
    assert!(failed["note"].as_str().unwrap().contains("crash: "), "{failed:#}");
    let seq = &failed["seq"];
    assert!(staging.ends(&format!("history show {seq}"), 0).text().contains("dossier.json"));
    let evidence = json(&format!("history evidence {seq} dossier.json"), 0)["result"]["content"].clone();
    let evidence: Value = serde_json::from_str(evidence.as_str().unwrap()).unwrap();
    assert_eq!((&evidence["version"], &evidence["failures"][0]["service"]), (&1.into(), &"shop-cart".into()));
}

/// Nothing ends a Job that helm has waited for, once helm has ended.
#[test]
fn b28_a_hook_that_goes_on_after_its_deployment_is_named() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    staging.shop.service("shop-cart").write("chart/templates/migrate.yaml", hook_job("pre-upgrade", "sleep 600"));
    staging.merge(3, SERVES);
    let failed = staging.ends("--deadline 45s run staging", 21);
    let named = format!(
        "still running: Job/shop-cart-migrate (`kubectl delete job shop-cart-migrate --namespace {}` ends it)",
        staging.namespace
    );
    assert!(failed.text().contains(&named), "`{named}` is not in:\n{}", failed.text());
}

const SUSPENDED: &str = r#"---
apiVersion: batch/v1
kind: Job
metadata: { name: shop-report }
spec:
  suspend: true
  template: { spec: { restartPolicy: Never, containers: [{ name: app, image: "IMAGE:latest" }] } }
"#;

#[test]
fn b27_what_is_not_waited_for_is_in_the_result() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/cluster" }"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], target) else { return };
    let manifests = Deployment::plain("shop-cart").yaml().to_owned() + SUSPENDED;
    staging.commit_files(SERVICE, 2, SERVES, &[("cluster/app.yaml", &manifests)]);
    staging.shop.merge_dev();
    let ran = staging.ends("--format json run staging", 0);
    let document: Value = serde_json::from_str(ran.stdout()).unwrap();
    follows_the_schema(&document);
    let named = &document["result"]["not_awaited"][0];
    assert_eq!((&named["service"], &named["object"]), (&"shop-cart".into(), &"Job/shop-report".into()), "{document:#}");
    let told = "Job/shop-report is suspended (`spec.suspend`), so that nothing runs: it is not waited for; resume it";
    assert!(document["result"]["warnings"].to_string().contains(told), "{document:#}");
}
