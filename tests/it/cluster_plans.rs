//! Plans of a real cluster: what they show, and that a saved one is deployed or nothing is.

use serde_json::Value;
use test_support::Cluster;

use crate::clusters::{ClusterShop, DEPLOYMENT, SERVES, SERVICE, hook_job};

const TARGET: &str = r#"target:
    kind: helm
    chart: "{path}/chart"
    values: { envFrom: [{ configMapRef: { name: "{config}" } }, { secretRef: { name: "{secret}" } }], greeting: hello }
  config: [{ env: "{NAME}_CONFIG", format: dotenv }]
  secret: [{ keys-from-env: [CART_LOGIN, PAY_LOGIN] }]"#;

const READS: &str = "imagePullPolicy: IfNotPresent\n        envFrom: {{ .Values.envFrom | toJson }}\n        env: [{ name: GREETING, value: {{ .Values.greeting | quote }} }]";

const LOGIN: &str = "correct-horse-battery";

fn variables<'a>(config: &'a str, login: &'a str) -> [(&'a str, &'a str); 3] {
    [("SHOP_CART_CONFIG", config), ("CART_LOGIN", login), ("PAY_LOGIN", LOGIN)]
}

fn service(plan: &Value) -> &Value {
    &plan["result"]["services"][0]
}

/// The change of an object whose name begins so.
fn object<'a>(plan: &'a Value, name: &str) -> &'a Value {
    let objects = service(plan)["objects"].as_array().unwrap();
    objects
        .iter()
        .find(|object| object["object"].as_str().unwrap().starts_with(name))
        .unwrap_or_else(|| panic!("{plan}"))
}

fn field<'a>(object: &'a Value, path: &str) -> &'a Value {
    let fields = object["fields"].as_array().unwrap();
    fields.iter().find(|field| field["path"] == path).unwrap_or_else(|| panic!("{object}"))
}

#[test]
fn b30_a_plan_names_every_field_that_changes_and_shows_markers_of_secrets() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::with_target_or_skip(cluster, "helm4", &["ops/shop-dashboards", SERVICE], TARGET)
    else {
        return;
    };
    let template = DEPLOYMENT.replace("imagePullPolicy: IfNotPresent", READS);
    let merges = |version, template: &str| {
        let digest = staging.merge_chart(version, SERVES, template);
        staging.ends("lock commit staging", 0);
        digest
    };
    let first = merges(2, &template);
    let plan = |config: &str, login: &str| {
        let line = "--format json plan staging";
        let ended = staging.ends_in(&variables(config, login), line, 0);
        assert!(!ended.text().contains(LOGIN) && !ended.text().contains("login-"), "a secret is shown");
        serde_json::from_str::<Value>(ended.stdout()).unwrap()
    };

    let new = plan("A=1\nB=2", "login-1");
    assert_eq!(service(&new)["reasons"], serde_json::json!(["new", "configuration", "secrets"]));
    assert_eq!(field(object(&new, "ConfigMap/shop-cart-config-"), "A")["after"], "1");
    // What its secrets are compared with later, only the first deployment makes.
    let file = staging.shop.join("plan.json");
    let (save, deploy) =
        (format!("plan staging --save {}", file.display()), format!("deploy staging --plan {}", file.display()));
    let early = staging.ends_in(&variables("A=1\nB=2", "login-1"), &save, 11);
    assert!(early.stderr().contains("no key yet") && !file.exists(), "{}", early.text());
    staging.ends_in(&variables("A=1\nB=2", "login-1"), "run staging", 0);
    let same = plan("A=1\nB=2", "login-1");
    assert_eq!(
        (&service(&same)["reasons"], &service(&same)["objects"]),
        (&Value::Array(vec![]), &Value::Array(vec![]))
    );

    // Other settings: key by key, and equal secrets look equal.
    let other = plan("A=1\nB=3", LOGIN);
    assert_eq!(service(&other)["reasons"], serde_json::json!(["configuration", "secrets"]));
    let config = object(&other, "ConfigMap/shop-cart-config-");
    assert_eq!(config["fields"], serde_json::json!([{ "path": "B", "before": "2", "after": "3" }]));
    let secret = object(&other, "Secret/shop-cart-secret-");
    assert_eq!(secret["fields"].as_array().unwrap().len(), 1, "{secret}");
    let login = field(secret, "CART_LOGIN");
    let marker = |value: &Value| value.as_str().unwrap().starts_with("(secret ");
    assert!(marker(&login["before"]) && marker(&login["after"]) && login["before"] != login["after"], "{login}");
    let back = plan("A=1\nB=2", "login-2");
    assert_eq!(field(object(&back, "Secret/shop-cart-secret-"), "CART_LOGIN")["before"], login["before"]);
    let deployment = object(&other, "Deployment/shop-cart");
    assert_eq!(deployment["risks"], serde_json::json!(["rollout"]));
    let path = "spec.template.spec.containers[name=app].envFrom[0].configMapRef.name";
    assert!(field(deployment, path)["after"].as_str().unwrap().starts_with("shop-cart-config-"), "{deployment}");

    // A saved plan holds no secret, and is not deployed with others.
    staging.ends_in(&variables("A=1\nB=3", LOGIN), &save, 0);
    let saved = std::fs::read_to_string(&file).unwrap();
    assert!(!saved.contains(LOGIN) && saved.contains("(secret ") && saved.contains("hmac-sha256:"), "{saved}");
    let moved = staging.ends_in(&variables("A=1\nB=3", "login-3"), &deploy, 20);
    for told in ["shop-cart: Secret/", "was planned, and is not planned any more", "plan staging --save"] {
        assert!(moved.stderr().contains(told), "`{told}` is not in:\n{}", moved.text());
    }
    staging.ends_in(&variables("A=1\nB=3", LOGIN), &deploy, 0);
    staging.ends_in(&variables("A=1\nB=2", "login-1"), "deploy staging", 0);

    // Another version with another chart, which migrates data.
    staging.shop.service("shop-cart").write("chart/templates/migrate.yaml", hook_job("pre-upgrade", "true"));
    let second = merges(3, &template.replace("GREETING", "WELCOME"));
    let next = plan("A=1\nB=2", "login-1");
    assert_eq!(service(&next)["reasons"], serde_json::json!(["image", "chart"]));
    let hook = serde_json::json!([{ "object": "Job/shop-cart-migrate", "before": true, "risks": ["migration"] }]);
    assert_eq!(service(&next)["hooks"], hook);
    let deployment = object(&next, "Deployment/shop-cart");
    let image = field(deployment, "spec.template.spec.containers[name=app].image");
    let has = |side: &str, digest: &str| image[side].as_str().unwrap().ends_with(digest);
    assert!(has("before", &first) && has("after", &second), "{image}");
    // helm takes away what the chart lacks.
    let gone = field(deployment, "spec.template.spec.containers[name=app].env[name=GREETING]");
    assert!(gone["after"].is_null() && gone["before"]["value"] == "hello", "{gone}");
    let noise = ["managedFields", "resourceVersion", "status", "generation"];
    assert!(noise.iter().all(|word| !deployment.to_string().contains(word)), "{deployment}");

    let command = staging.command(&variables("A=1\nB=2", "login-1"), "plan staging");
    let screen = command.on_screen(60).run().expect_code(0);
    for told in
        ["shop-cart: image, chart", "run Job/shop-cart-migrate before (migrates data)", "change Deployment/shop-cart"]
    {
        assert!(screen.text().contains(told), "`{told}` is not in:\n{}", screen.text());
    }
    assert!(screen.stdout().lines().all(|line| line.chars().count() <= 60), "{}", screen.text());

    // What was edited by hand is told apart from what the release changes.
    staging.ends_in(&variables("A=1\nB=2", "login-1"), "run staging", 0);
    let patch = r#"--patch={"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}"#;
    cluster.kubectl(&["patch", "deployment/shop-cart", patch, "--namespace", &staging.namespace]);
    let edited = plan("A=1\nB=2", "login-1");
    assert_eq!(service(&edited)["reasons"], serde_json::json!(["cluster"]));
    let period = field(object(&edited, "Deployment/shop-cart"), "spec.template.spec.terminationGracePeriodSeconds");
    assert_eq!((&period["before"], &period["after"]), (&1.into(), &0.into()));
}

#[test]
fn b32_what_was_planned_is_deployed_or_nothing_is() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm3") else { return };
    let file = staging.shop.join("plan.json");
    let (save, deploy) =
        (format!("plan staging --save {}", file.display()), format!("deploy staging --plan {}", file.display()));
    let merges = |version| {
        let digest = staging.merge(version, SERVES);
        staging.ends("lock commit staging", 0);
        digest
    };
    let refuses = |told: &[&str]| {
        let running = staging.running();
        let refused = staging.ends(&deploy, 20);
        for told in told {
            assert!(refused.stderr().contains(told), "`{told}` is not in:\n{}", refused.text());
        }
        assert_eq!(staging.running(), running);
    };
    let patch = |seconds: u32| {
        let patch = format!(r#"--patch={{"spec":{{"minReadySeconds":{seconds}}}}}"#);
        cluster.kubectl(&["patch", "deployment/shop-cart", &patch, "--namespace", &staging.namespace]);
    };

    let first = merges(2);
    let saved = staging.ends(&save, 0);
    assert!(saved.stdout().contains("is saved in "), "{}", saved.text());
    staging.ends(&deploy, 0);
    assert_eq!(staging.running(), [first.as_str()]);
    // The same plan again: nothing is left to do, and nothing is done.
    let revisions = staging.revisions();
    let again = staging.ends(&deploy, 0);
    assert!(again.text().contains("the plan is deployed, since record "), "{}", again.text());
    assert_eq!(staging.revisions(), revisions);

    let second = merges(3);
    staging.ends(&save, 0);
    // Another wrote a field that the plan leaves as it is.
    patch(1);
    refuses(&["Deployment/", "was changed in the cluster", "resourceVersion"]);
    patch(0);
    // Another helm would render it.
    let tools = staging.shop.join("tools/helm");
    if let Some(other) = test_support::bench::part_or_skip("helm4") {
        let own = std::fs::read_link(&tools).unwrap();
        std::fs::remove_file(&tools).unwrap();
        std::os::unix::fs::symlink(other.program(), &tools).unwrap();
        refuses(&["helm was v3", "and is v4"]);
        std::fs::remove_file(&tools).unwrap();
        std::os::unix::fs::symlink(own, &tools).unwrap();
    }
    staging.ends(&deploy, 0);
    assert_eq!(staging.running(), [second.as_str()]);

    // The next release is not the planned one.
    staging.ends(&save, 0);
    merges(4);
    refuses(&["release ", " was planned, and release "]);

    let other = staging.ends(&deploy.replace("staging", "production"), 2);
    assert!(other.stderr().contains("the plan is for `staging`, and not for `production`"), "{}", other.text());
    let text = std::fs::read_to_string(&file).unwrap();
    for (damaged, told) in [
        (text.replacen("\"version\": 1", "\"version\": 9", 1), ":2:14: version 9 of saved plans is not known"),
        (text.replacen("\"kept\"", "\"removed\"", 1), ":3:1: it was changed after it was saved"),
        (text[..text.len() - 9].to_owned(), "EOF while parsing"),
    ] {
        std::fs::write(&file, damaged).unwrap();
        let refused = staging.ends(&deploy, 2);
        assert!(refused.stderr().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
}

#[test]
fn p15_a_plan_shows_what_becomes_of_quotas_and_data_and_which_field_cannot_be_changed() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let keys = "\n  migrations: [{ match: \"services/*\", irreversible: true }]";
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm4", &["ops/shop-dashboards", SERVICE], keys) else {
        return;
    };
    let quota = |pods: u32| {
        cluster.apply(&format!(
            "{{ apiVersion: v1, kind: ResourceQuota, metadata: {{ name: small, namespace: {} }}, spec: {{ hard: {{ pods: '{pods}' }} }} }}",
            staging.namespace
        ));
        let condition = format!("--for=jsonpath={{.status.hard.pods}}={pods}");
        staging.kubectl(&["wait", &condition, "resourcequota/small", "--timeout=60s"]);
    };
    let merges = |version, template: &str| {
        staging.merge_chart(version, SERVES, template);
        staging.ends("lock commit staging", 0);
    };
    let planned = || {
        let ended = staging.ends("--format json plan staging", 0);
        serde_json::from_str::<Value>(ended.stdout()).unwrap()["result"].clone()
    };
    quota(3);
    merges(2, DEPLOYMENT);
    let first = planned();
    let migrations = serde_json::json!([{ "service": "shop-cart", "irreversible": true }]);
    let pods = |used: &str, highest: &str, hard: &str| {
        serde_json::json!({
            "quota": "small", "resource": "pods", "hard": hard, "used": used, "highest": highest, "after": "1",
        })
    };
    assert_eq!((&first["migrations"], &first["quotas"]), (&migrations, &serde_json::json!([pods("0", "1", "3")])));
    let text = staging.ends("plan staging", 0);
    for told in [
        "shop-cart migrates its data, which cannot be taken back",
        "quota small: pods 0 of 3 used, at most 1 while it is deployed, 1 afterwards",
    ] {
        assert!(text.stdout().contains(told), "`{told}` is not in:\n{}", text.text());
    }
    staging.ends("run staging", 0);
    staging.kubectl(&["wait", "--for=jsonpath={.status.used.pods}=1", "resourcequota/small", "--timeout=60s"]);
    assert_eq!(planned().get("migrations"), None);

    // While pods are replaced, there is one more.
    merges(3, DEPLOYMENT);
    assert_eq!(planned()["quotas"], serde_json::json!([pods("1", "2", "3")]));
    quota(1);
    let mut short = pods("1", "2", "1");
    short["missing"] = "1".into();
    assert_eq!(planned()["quotas"], serde_json::json!([short]));
    quota(3);
    // What a quota refuses without an amount, as health has it.
    let bounds = format!(
        "{{ apiVersion: v1, kind: ResourceQuota, metadata: {{ name: bounds, namespace: {} }}, spec: {{ hard: {{ limits.cpu: '1' }} }} }}",
        staging.namespace
    );
    cluster.apply(&bounds);
    let told = staging.ends("plan staging", 0).text();
    assert!(told.contains("quota `bounds` bounds `limits.cpu`, and container `"), "{told}");
    staging.kubectl(&["delete", "resourcequota/bounds"]);

    let other = DEPLOYMENT.replace("app: {{ .Release.Name }} }", "app: {{ .Release.Name }}, tier: web }");
    merges(4, &other);
    let refused = staging.ends("plan staging", 20);
    for told in ["shop-cart: Deployment/shop-cart would get a field that cannot be changed", "--cascade=orphan"] {
        assert!(refused.stderr().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
}
