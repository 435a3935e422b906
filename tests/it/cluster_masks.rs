//! Secrets that containers write where the cluster repeats them: termination messages, probes, events and logs.

use test_support::Cluster;

use crate::clusters::{ClusterShop, DASHBOARDS, SERVICE};

const TARGET: &str = r#"target: { kind: apply, source: "{path}/cluster" }
  secret: [{ keys-from-env: [CART_LOGIN] }]"#;

/// No other word of the output has `zq` in it.
const LOGIN: &str = "zqzqzqzq-horse-battery-staple";

/// A Deployment whose container has the login, and whose last words are in `POLICY`.
const READER: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata: { name: shop-cart }
spec:
  progressDeadlineSeconds: 600
  selector: { matchLabels: { app: shop-cart } }
  template:
    metadata: { labels: { app: shop-cart } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: "IMAGE:latest"
        imagePullPolicy: IfNotPresent
        terminationMessagePolicy: POLICY
        envFrom: [{ secretRef: { name: shop-cart-secret } }]
        readinessProbe: { exec: { command: [sh, -c, 'echo "refused is $CART_LOGIN"; exit 1'] }, periodSeconds: 1 }
"#;

#[test]
fn t25_t48_a_secret_that_the_cluster_repeats_of_a_container_is_shown_and_recorded_nowhere() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], TARGET) else { return };
    let summary = staging.shop.join("summary.md");
    let written = summary.to_str().unwrap().to_owned();
    // A message is cut after 200 characters: within the login, whatever stands before.
    let long = "x".repeat(155);
    let [short, cut, last] = [
        "echo \"no login for $CART_LOGIN\"",
        &format!("echo \"{long} $CART_LOGIN\""),
        "echo \"last is $CART_LOGIN\" >&2",
    ];
    for (version, policy, does, told) in [
        (2, "File", format!("{short} >/dev/termination-log; {short}; exit 3"), "restarts no login for ***"),
        (3, "File", format!("{cut} >/dev/termination-log; exit 3"), "xxx"),
        (4, "FallbackToLogsOnError", format!("{last}; exit 3"), "restarts last is ***"),
        (5, "File", "sleep 600".to_owned(), "refused is ***"),
    ] {
        let manifest = READER.replace("POLICY", policy);
        let command = ["sh", "-c", does.as_str()];
        staging.commit_files(SERVICE, version, &command, &[("cluster/app.yaml", &manifest)]);
        staging.shop.merge_dev();
        let variables = [("CART_LOGIN", LOGIN), ("GITHUB_STEP_SUMMARY", written.as_str()), ("GITHUB_ACTIONS", "true")];
        // The probe fails for ever; everything else ends the wait.
        let failed = staging.ends_in(&variables, "--format github --deadline 60s run staging", 21);
        assert!(failed.text().contains(told), "{version}: `{told}` is not in:\n{}", failed.text());
        let shown = failed.text() + &std::fs::read_to_string(&summary).unwrap();
        let shown: Vec<&str> = shown.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
        assert!(!shown.iter().any(|line| line.contains("zq")), "{version}: {shown:#?}");
        assert!(shown.iter().any(|line| line.starts_with("::error")), "{version}: {shown:#?}");
    }
    let json = staging.ends_in(&[("CART_LOGIN", LOGIN)], "--format json --deadline 60s run staging", 21);
    assert!(json.text().contains("refused is ***") && !json.text().contains("zq"), "{}", json.text());
    let recorded = staging.shop.superproject().try_git(&["grep", "zq", "orchestrator/ledger"]);
    assert!(!recorded.success(), "{recorded:?}");

    // The pods have it in clear, so that there was something to hide.
    let events = staging.kubectl(&["get", "events", "--output=jsonpath={.items[*].message}"]);
    assert!(events.contains(LOGIN), "{events}");
}

/// A person has put the login into the Deployment in clear, and a container has printed it.
#[test]
fn t25_what_is_compared_later_shows_no_secret_that_a_person_wrote_into_an_object() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], TARGET) else { return };
    let lines: Vec<&str> = READER.lines().filter(|line| !line.contains("readinessProbe")).collect();
    let manifest = lines.join("\n").replace("POLICY", "File") + "\n";
    let does = "echo \"login is $CART_LOGIN\" | tee /dev/termination-log; sleep 900";
    staging.commit_files(SERVICE, 2, &["sh", "-c", does], &[("cluster/app.yaml", &manifest)]);
    staging.shop.merge_dev();
    let variables = [("CART_LOGIN", LOGIN)];
    staging.ends_in(&variables, "run staging", 0);
    staging.kubectl(&["set", "env", "deployment/shop-cart", &format!("PLAIN=is {LOGIN}")]);
    staging.kubectl(&["annotate", "deployment/shop-cart", &format!("note={LOGIN}")]);
    staging.kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
    // A pod that the Deployment does not own, and whose last words are the login.
    let image = format!("--image={}/bench/pause:1", staging.node().registry());
    staging.kubectl(&["run", "stranger", &image, "--labels=app=shop-cart", &format!("--env=PLAIN={LOGIN}")]);

    for line in ["drift staging", "--format json drift staging"] {
        let told = staging.ends_in(&variables, line, 1);
        assert!(told.text().contains("PLAIN") && !told.text().contains("zq"), "{line}: {}", told.text());
    }
    for line in ["verify staging", "--format json verify staging"] {
        let told = staging.ends_in(&variables, line, 0);
        assert!(!told.text().contains("zq"), "{line}: {}", told.text());
    }
    // Without the variable the login is unknown: nothing that could hold it is shown.
    let unknown = staging.ends("drift staging", 2);
    assert!(unknown.text().contains("CART_LOGIN") && !unknown.text().contains("zq"), "{}", unknown.text());
    assert!(!staging.ends("verify staging", 0).text().contains("zq"));
    let recorded = staging.shop.superproject().try_git(&["grep", "zq", "orchestrator/ledger"]);
    assert!(!recorded.success(), "{recorded:?}");
    let live = staging.kubectl(&["get", "deployment/shop-cart", "--output=yaml"]);
    assert!(live.contains(LOGIN), "there was something to hide: {live}");
}
