//! Configuration and secrets of an environment, on their way to a real cluster and back.

use serde_json::Value;
use test_support::{Cluster, Peer};

use crate::clusters::{ClusterShop, DEPLOYMENT, Deployment, SERVES, SERVICE};

const TARGET: &str = r#"target:
    kind: helm
    chart: "{path}/chart"
    values: { envFrom: [{ configMapRef: { name: "{config}" } }, { secretRef: { name: "{secret}" } }], pull: "{pull-secret}", seen: "{image:shop-cart.tag}" }
  config: [{ env: "{NAME}_CONFIG", format: kubectl-env-file }, { set: { GREETING: "hello {short} of {env:GREETER}" } }, { env: "{NAME}_MORE", format: json }]
  secret: [{ keys-from-env: [CART_LOGIN] }, { set: { DATABASE_URL: "postgres://{short_}:{env:DB_PASSWORD_{SHORT}}@db/{short}" } }]
  pull-secret: { name: pull, registry: registry.example, username: { env: PULL_USER }, password: { env: PULL_PASSWORD } }"#;

const PASSWORD: &str = "correct-horse-battery";
const GREETER: &str = "zqzqzqzq-greets";

/// The variables of a job.
fn variables<'a>(config: &'a str, login: &'a str) -> [(&'a str, &'a str); 7] {
    [
        ("SHOP_CART_MORE", "{}"),
        ("SHOP_CART_CONFIG", config),
        ("CART_LOGIN", login),
        ("DB_PASSWORD_CART", PASSWORD),
        ("PULL_USER", "puller"),
        ("PULL_PASSWORD", "pull-me-if-you-can"),
        ("GREETER", GREETER),
    ]
}

/// What the pods of the service read, and which pods there are.
#[derive(Debug, PartialEq)]
struct Seen {
    config: String,
    secret: String,
    pods: String,
}

impl ClusterShop<'_> {
    fn get(&self, words: &[&str]) -> String {
        self.cluster.kubectl(&[&["get", "--namespace", &self.namespace], words].concat())
    }

    fn seen(&self) -> Seen {
        let source = |kind: &str| {
            let path = format!("jsonpath={{.spec.template.spec.containers[0].envFrom[*].{kind}.name}}");
            self.get(&["deployment", "shop-cart", "--output", &path])
        };
        let running = ["pods", "--selector=app=shop-cart", "--field-selector=status.phase=Running"];
        let pods = self.get(&[&running[..], &["--output=jsonpath={.items[*].metadata.uid}"]].concat());
        Seen { config: source("configMapRef"), secret: source("secretRef"), pods }
    }

    fn data(&self, kind: &str, name: &str) -> Value {
        serde_json::from_str(&self.get(&[kind, name, "--output=json"])).unwrap()
    }
}

#[test]
fn p20_p22_b34_a_change_restarts_the_pods_that_use_it_and_a_rollback_brings_configuration_back() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::with_target_or_skip(cluster, "helm4", &["ops/shop-dashboards", SERVICE], TARGET)
    else {
        return;
    };
    let reads = "imagePullPolicy: IfNotPresent\n        envFrom: {{ .Values.envFrom | toJson }}\n        env: [{ name: SEEN, value: {{ .Values.seen | quote }} }]";
    let template = DEPLOYMENT.replace("imagePullPolicy: IfNotPresent", reads).replace(
        "terminationGracePeriodSeconds: 0",
        "terminationGracePeriodSeconds: 0\n      imagePullSecrets: [{ name: {{ .Values.pull }} }]",
    );
    staging.merge_chart(2, SERVES, &template);

    // What is missing is named, all at once, before anything is changed.
    let refused =
        staging.ends_in(&[("SHOP_CART_CONFIG", "A"), ("CART_LOGIN", ""), ("PULL_USER", "puller")], "run staging", 2);
    for reason in [
        "`config[0]`: environment variable `SHOP_CART_CONFIG`: line 1: it has no `=`",
        "`secret[0]`: environment variable `CART_LOGIN` is not set, or empty",
        "`secret[1]`: key `DATABASE_URL`: environment variable `DB_PASSWORD_CART` is not set",
        "environment variable `PULL_PASSWORD` is not set",
    ] {
        assert!(refused.stderr().contains(reason), "{reason}\n{}", refused.text());
    }
    let twice = staging.ends_in(&variables("GREETING=x", "login-1"), "run staging", 2);
    assert!(twice.stderr().contains("key `GREETING` is given by `config[0]` already"), "{}", twice.text());
    // What the API server or a container would not take.
    let mut unusable = variables("A=1", "login-1");
    unusable[0].1 = r#"{"N": "hunter2\u0000"}"#;
    let nul = staging.ends_in(&unusable, "run staging", 2);
    assert!(nul.stderr().contains("`config[2]`: the value of `N` holds a NUL byte"), "{}", nul.text());
    assert!(!nul.text().contains("hunter2"), "{}", nul.text());
    unusable[0].1 = r#"{"..x": "1"}"#;
    let key = staging.ends_in(&unusable, "run staging", 2);
    assert!(key.stderr().contains("neither a digit nor `..` first"), "{}", key.text());
    assert_eq!(staging.revisions(), 0);

    // Who fills a variable into a configuration does not say that everybody may read it.
    staging.ends("lock commit staging", 0);
    let plan = staging.ends_in(&variables("A=1", "login-1"), "plan staging", 0);
    assert!(plan.text().contains("GREETING") && plan.text().contains("(secret "), "{}", plan.text());
    assert!(!plan.text().contains("hello cart of"), "{}", plan.text());
    let first = staging.ends_in(&variables("A=1\nQ=\"x\" ", "login-1"), "run staging", 0);
    let one = staging.seen();
    let config = staging.data("configmap", &one.config);
    assert_eq!(
        config["data"],
        serde_json::json!({ "A": "1", "Q": "\"x\" ", "GREETING": format!("hello cart of {GREETER}") })
    );
    assert_eq!(config["immutable"], true);
    let database = ["secret", &one.secret, "--output=go-template={{ index .data \"DATABASE_URL\" | base64decode }}"];
    assert_eq!(staging.get(&database), format!("postgres://cart:{PASSWORD}@db/cart"));
    assert_eq!(staging.data("secret", "pull")["type"], "kubernetes.io/dockerconfigjson");

    // Secrets are in no output and no record; helm is given their names alone.
    for secret in [PASSWORD, GREETER] {
        let ledger = staging.shop.superproject().try_git(&["grep", "-q", secret, "orchestrator/ledger"]);
        assert!(!ledger.success() && !first.text().contains(secret), "{}", first.text());
    }
    let kubeconfig = format!("--kubeconfig={}", cluster.kubeconfig_path().display());
    let Some(helm) = Peer::find_or_skip("helm4") else { return };
    let kept = helm.run(&["get", "all", "shop-cart", "--namespace", &staging.namespace, &kubeconfig]);
    assert!(kept.contains(&one.secret) && kept.contains("COMPUTED VALUES") && kept.contains("MANIFEST"), "{kept}");
    for secret in [PASSWORD, GREETER, "login-1", "pull-me-if-you-can"] {
        assert!(!kept.contains(secret), "`{secret}` is in:\n{kept}");
    }

    // The value of before is known to nobody but the cluster, and may be in force still.
    let mut rotated = variables("A=1\nQ=\"x\" ", "login-1");
    rotated[6].1 = "another-greeter";
    let plan = staging.ends_in(&rotated, "plan staging -o json", 0);
    assert!(plan.text().contains("GREETING") && !plan.text().contains(GREETER), "{}", plan.text());
    let drift = staging.ends_in(&rotated, "drift staging", 1);
    assert!(drift.text().contains("are others than those that are deployed"), "{}", drift.text());
    assert!(!drift.text().contains(GREETER) && !drift.text().contains("edited  "), "{}", drift.text());

    // The same again changes nothing.
    let records = staging.shop.records().len();
    staging.ends_in(&variables("A=1\nQ=\"x\" ", "login-1"), "run staging", 0);
    assert_eq!(staging.seen(), one);
    assert_eq!(staging.shop.records().len(), records);

    // Another configuration is deployed and proven under the same release, and its pods are new.
    staging.ends_in(&variables("A=2", "login-1"), "run staging", 0);
    let two = staging.seen();
    assert!(two.config != one.config && two.secret == one.secret && two.pods != one.pods, "{one:?} {two:?}");
    let steps: Vec<_> =
        staging.shop.records()[records..].iter().map(|record| record.predicate["step"].clone()).collect();
    assert!(["deploy", "suite"].iter().all(|step| steps.contains(&(*step).into())), "{steps:?}");

    staging.ends_in(&variables("A=2", "login-2"), "run staging", 0);
    let three = staging.seen();
    assert!(three.config == two.config && three.secret != two.secret && three.pods != two.pods, "{two:?} {three:?}");

    // The next version has another configuration; the rollback brings the old one back, and keeps the secrets.
    staging.merge_chart(3, SERVES, &template);
    staging.ends_in(&variables("A=3", "login-3"), "run staging", 0);
    let four = staging.seen();
    assert_ne!(four.config, three.config);
    let kept = staging.get(&["configmap", &three.config, "--output=json"]);
    cluster.kubectl(&["delete", "configmap", &three.config, "--namespace", &staging.namespace]);
    let gone = staging.ends_in(&variables("A=3", "login-3"), "rollback staging --reason \"carts are empty\"", 12);
    assert!(gone.stderr().contains(&format!("ConfigMap/{} of `shop-cart` is gone", three.config)), "{}", gone.text());
    assert_eq!(staging.seen(), four);
    cluster.apply(&kept);
    staging.ends_in(&variables("A=3", "login-3"), "rollback staging --reason \"carts are empty\"", 0);
    let five = staging.seen();
    assert_eq!((&five.config, &five.secret), (&three.config, &four.secret));
    // That it is the older one is no drift.
    staging.ends_in(&variables("A=3", "login-3"), "drift staging", 0);

    // What a container prints of its secrets before it ends is masked.
    staging.merge_chart(4, &["sh", "-c", "echo it connects to $DATABASE_URL; exit 3"], &template);
    let on = "run staging --lift-hold --reason \"it was the network\"";
    let failed = staging.ends_in(&variables("A=3", "login-3"), on, 21);
    assert!(failed.stderr().contains("it connects to "), "{}", failed.text());
    assert!(!failed.text().contains(PASSWORD), "a secret is shown");
}

/// Variables of the job are not at hand for a pull request: the settings that are deployed stand in for them.
#[test]
fn b34_a_pull_request_that_leaves_settings_alone_plans_no_change_of_their_names() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/cluster" }
  config: [{ keys-from-env: [CART_GREETING] }]"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &["ops/shop-dashboards", SERVICE], target) else { return };
    let reads = "envFrom: [{ configMapRef: { name: shop-cart-config } }]";
    let app = Deployment::plain("shop-cart").container(reads);
    staging.commit_files(SERVICE, 2, SERVES, &[("cluster/app.yaml", app.yaml())]);
    staging.shop.merge_dev();
    staging.ends_in(&[("CART_GREETING", "hello")], "run staging", 0);
    staging.shop.work_on("dev").write("README.md", "# Shop\n");
    staging.shop.commit_and_push("dev", "a page for readers");
    let number = staging.shop.open();
    let plan = staging.ends(&format!("plan staging --pr {number}"), 0);
    assert!(plan.text().contains("nothing would change") && !plan.text().contains("00000000"), "{}", plan.text());
    let plan = staging.ends(&format!("--format json plan staging --pr {number}"), 0);
    assert!(plan.stdout().contains("\"has_changes\": false"), "{}", plan.text());
}
