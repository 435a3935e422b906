//! Settings that are gone from the namespace of a real cluster, or have other data there.

use test_support::Cluster;

use crate::clusters::{ClusterShop, DASHBOARDS, Deployment, SERVES, SERVICE};

const TARGET: &str = r#"target: { kind: apply, source: "{path}/cluster" }
  config: [{ env: CART_CONFIG, format: kubectl-env-file }]
  secret: [{ env: CART_SECRET, format: json }]"#;

const SECRET: &str = r#"{"LOGIN":"correct-horse-battery"}"#;

impl ClusterShop<'_> {
    /// The version of settings that the deployment names.
    fn named(&self, reference: &str) -> String {
        let path = format!("--output=jsonpath={{.spec.template.spec.containers[0].envFrom[*].{reference}.name}}");
        self.kubectl(&["get", "deployment/shop-cart", &path])
    }

    fn data_of(&self, kind: &str, name: &str) -> String {
        self.kubectl(&["get", kind, name, "--output=jsonpath={.data}"])
    }

    fn merge_manifest(&self, version: u32) {
        let reads =
            "envFrom: [{ configMapRef: { name: shop-cart-config } }, { secretRef: { name: shop-cart-secret } }]";
        let version_of = format!("annotations: {{ version: \"{version}\" }}");
        let manifest = Deployment::plain("shop-cart").container(reads).metadata(&version_of);
        self.commit_files(SERVICE, version, SERVES, &[("cluster/app.yaml", manifest.yaml())]);
        self.shop.merge_dev();
    }
}

fn variables<'a>(config: &'a str, secret: &'a str) -> [(&'a str, &'a str); 2] {
    [("CART_CONFIG", config), ("CART_SECRET", secret)]
}

#[test]
fn b34_settings_that_were_replaced_in_the_namespace_are_found_and_written_again() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], TARGET) else { return };
    staging.merge_manifest(2);
    let with = variables("A=1", SECRET);
    staging.ends_in(&with, "run staging", 0);
    let (config, secret) = (staging.named("configMapRef"), staging.named("secretRef"));
    let data = [staging.data_of("configmap", &config), staging.data_of("secret", &secret)];

    let gone = |kind: &str, name: &str| drop(staging.kubectl(&["delete", kind, name]));
    let evil = |kind: &[&str], name: &str| {
        drop(staging.kubectl(&[&["create"], kind, &[name, "--from-literal=A=evil"]].concat()));
    };
    let replace: [(&str, &dyn Fn()); 4] = [
        ("has other data", &|| {
            gone("configmap", &config);
            evil(&["configmap"], &config);
        }),
        ("is not in the cluster", &|| gone("configmap", &config)),
        ("has other data", &|| {
            gone("secret", &secret);
            evil(&["secret", "generic"], &secret);
        }),
        ("is not in the cluster", &|| gone("secret", &secret)),
    ];
    for (told, change) in replace {
        change();
        let verified = staging.ends_in(&with, "verify staging", 1);
        assert!(verified.text().contains(told), "`{told}` is not in:\n{}", verified.text());
        let drift = staging.ends_in(&with, "drift staging", 1);
        assert!(drift.text().contains(told) && !drift.text().contains("ZXZpbA"), "{}", drift.text());
        let again = staging.ends_in(&with, "run staging", 0);
        assert!(!again.text().contains("correct-horse-battery"), "{}", again.text());
        assert_eq!([staging.data_of("configmap", &config), staging.data_of("secret", &secret)], data);
        staging.ends_in(&with, "verify staging", 0);
    }
}

#[test]
fn b34_a_rollback_never_takes_the_configuration_of_today_for_the_one_of_the_release() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], TARGET) else { return };
    // No key at all, twice: the second write of a Secret without data is no change of it.
    for version in [2, 3] {
        staging.merge_manifest(version);
        staging.ends_in(&variables(&format!("A={version}"), "{}"), "run staging", 0);
    }
    staging.ends_in(&variables("A=3", "{}"), "deploy staging --again", 0);
    let today = variables("A=today", "{}");
    staging.ends_in(&today, "rollback staging --check", 0);
    let config = staging.named("configMapRef");
    let history = || staging.kubectl(&["get", "secret", "orchestrator-state", "--output=jsonpath={.data.history}"]);
    let whole = history();
    let write = |history: &str| {
        let patch = format!(r#"--patch={{"data":{{"history":"{history}"}}}}"#);
        staging.kubectl(&["patch", "secret", "orchestrator-state", "--type=merge", &patch]);
    };
    // `{` and the newest deployment alone.
    let decoded = staging.kubectl(&[
        "get",
        "secret",
        "orchestrator-state",
        "--output=go-template={{ .data.history | base64decode }}",
    ]);
    let mut deployments: Vec<serde_json::Value> = serde_json::from_str(&decoded).unwrap();
    deployments.truncate(1);
    let newest = test_support::base64(serde_json::to_string(&deployments).unwrap().as_bytes());
    for (broken, told) in [("ew==", "missing or damaged"), (newest.as_str(), "the last 1 deployments")] {
        write(broken);
        let check = staging.command(&today, "rollback staging --check").run();
        assert!(check.text().contains(told), "`{told}` is not in:\n{}", check.text());
        let refused = staging.ends_in(&today, "rollback staging --reason \"carts are empty\"", 12);
        assert!(refused.stderr().contains(told), "{}", refused.text());
        assert_eq!((staging.named("configMapRef"), history()), (config.clone(), broken.to_owned()));
    }
    write(&whole);
    staging.ends_in(&today, "rollback staging --reason \"carts are empty\"", 0);
    assert_eq!(staging.data_of("configmap", &staging.named("configMapRef")), r#"{"A":"2"}"#);
}
