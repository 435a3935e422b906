//! Suites that are images: a Job beside what it tests, on a real kubelet.

use serde_json::Value;
use test_support::Cluster;

use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, SERVES, SERVICE};

/// The service whose image holds the tests; nothing of it is deployed.
const TESTS: &str = "tools/shop-tests";

const SYSTEM: &str =
    r#"system: { kind: command, command: [./tests/check, system, "{mode}"], env: [SHOP_STATE], deadline: 1m }"#;

/// Eight letters at least, so that it is masked.
const LOGIN: &str = "correct-horse-battery";

/// A shop whose suite `system` is this container, with nothing on the way yet; or the running test is skipped.
fn shop_with<'a>(cluster: &'a Cluster, suite: &str) -> Option<ClusterShop<'a>> {
    let keys = "\n  containers: job";
    let staging = ClusterShop::with_or_skip(cluster, "helm4", &[DASHBOARDS, SERVICE, TESTS], keys)?;
    configure(&staging, SYSTEM, &format!("system: {suite}"));
    Some(staging)
}

/// Changes the configuration on the branch of the developers.
fn configure(staging: &ClusterShop<'_>, old: &str, new: &str) {
    let clone = staging.shop.work_on("dev");
    let text = std::fs::read_to_string(staging.shop.join("shop/orchestrator.yaml")).unwrap();
    assert!(text.contains(old), "`{old}` is not in:\n{text}");
    clone.write("orchestrator.yaml", text.replacen(old, new, 1));
    staging.shop.commit_and_push("dev", "another suite");
}

/// A suite with everything that it can be given.
const SUITE: &str = r#"{ kind: container, service: shop-tests, args: [--mode, "{mode}", "$(LOGIN)"], set-env: { PLACE: "of {mode}" },
    env: [LOGIN, COLOUR], plain: [COLOUR], resources: { limits: { memory: 64Mi } }, deadline: 2m }"#;

/// What the image runs: its arguments come behind.
fn script(lines: &str) -> [&str; 4] {
    ["sh", "-c", lines, "tests"]
}

/// What is left of suites in the namespace.
fn left(staging: &ClusterShop<'_>) -> String {
    staging.kubectl(&["get", "job,secret", "--selector=app.kubernetes.io/component=suite", "--output=name"])
}

#[test]
fn p17_p18_a_suite_runs_as_a_job_of_its_locked_image_and_leaves_nothing_behind() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = shop_with(cluster, SUITE) else { return };
    let variables = [("LOGIN", LOGIN), ("COLOUR", "green-as-grass")];
    staging.commit(SERVICE, 2, SERVES, DEPLOYMENT);
    let asks = "echo \"$* $PLACE, $COLOUR, login $LOGIN\"; test \"$LOGIN\" = correct-horse-battery || exit 9";
    let digest = staging.commit(TESTS, 2, &script(asks), DEPLOYMENT);
    staging.shop.merge_dev();

    // Without its variables nothing is begun.
    let refused = staging.ends("run staging", 2);
    assert!(refused.text().contains("LOGIN") && refused.text().contains("suite system"), "{}", refused.text());
    let ran = staging.ends_in(&variables, "run staging", 0);
    assert!(ran.text().contains("suite system"), "{}", ran.text());
    assert_eq!(left(&staging), "");

    // The evidence says which image ran, and what it printed, without the login.
    let history =
        staging.shop.superproject().git(&["grep", "-h", "suite-system", "orchestrator/ledger", "--", "records"]);
    assert!(!history.is_empty());
    let evidence =
        staging.shop.superproject().git(&["grep", "-h", "--", "@sha256", "orchestrator/ledger", "--", "evidence"]);
    assert!(evidence.contains(&digest), "{evidence}");
    let ledger = staging.shop.superproject().git(&["grep", "-h", "green-as-grass", "orchestrator/ledger"]);
    // What looks like a variable of the pod is what the program is given: the login is no argument.
    assert!(ledger.contains("--mode staging $(LOGIN) of staging, green-as-grass, login ***"), "{ledger}");
    assert!(!staging.shop.superproject().try_git(&["grep", LOGIN, "orchestrator/ledger"]).success());

    // The same lock again is not tested again.
    let again = staging.ends_in(&variables, "run staging", 0);
    let line = again.text().lines().find(|line| line.starts_with("suite system")).unwrap_or_default().to_owned();
    assert!(line.contains("done"), "{}", again.text());

    // Another image is another suite. One that fails says so, with what it printed.
    staging.commit(TESTS, 3, &script("echo the cart is empty; exit 3"), DEPLOYMENT);
    staging.shop.merge_dev();
    let failed = staging.ends_in(&variables, "run staging", 1);
    for told in ["ended with exit code 3", "the cart is empty"] {
        assert!(failed.text().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    assert_eq!(left(&staging), "");
}

#[test]
fn b25_p21_an_image_that_is_not_there_ends_the_suite_at_once_as_unknown() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let zeros = "0".repeat(64);
    let suite = "{ kind: container, image: \"REGISTRY/no/such@sha256:ZEROS\", deadline: 3m }";
    let suite = suite.replace("ZEROS", &zeros);
    let Some(node) = cluster.node_or_skip() else { return };
    let Some(staging) = shop_with(cluster, &suite.replace("REGISTRY", node.registry())) else { return };
    staging.commit(TESTS, 2, &script("exit 0"), DEPLOYMENT);
    staging.merge(2, SERVES);
    let start = std::time::Instant::now();
    let failed = staging.ends("run staging", 1);
    assert!(start.elapsed().as_secs() < 90, "the deadline alone ended it: {}", failed.text());
    for told in ["did not run to its end", "pull-missing", "not proven: suite system"] {
        assert!(failed.text().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    assert_eq!(left(&staging), "");
}

#[test]
fn f2_t48_a_killed_run_leaves_a_job_without_its_login_that_the_next_run_takes_away() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = shop_with(cluster, SUITE) else { return };
    let variables = [("LOGIN", LOGIN), ("COLOUR", "green-as-grass")];
    staging.commit(SERVICE, 2, SERVES, DEPLOYMENT);
    staging.commit(TESTS, 2, &script("trap 'exit 1' TERM; sleep 6 & wait $!"), DEPLOYMENT);
    staging.shop.merge_dev();
    let selector = "--selector=app.kubernetes.io/component=suite";
    let json = |words: &[&str]| -> Value {
        serde_json::from_str(&staging.kubectl(&[words, &[selector, "--output=json"]].concat())).unwrap()
    };
    let running = || json(&["get", "jobs"])["items"][0]["status"]["ready"] == 1;

    let mut run = staging.command(&variables, "run staging").start();
    let start = std::time::Instant::now();
    while !running() {
        assert!(start.elapsed().as_secs() < 90, "the suite has not begun");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    run.kill();
    run.wait();
    let before = json(&["get", "jobs"]);
    let [job] = before["items"].as_array().unwrap().as_slice() else { panic!("one Job: {before}") };
    for objects in [&before, &json(&["get", "pods"])] {
        assert!(!objects.to_string().contains(LOGIN), "{objects}");
        assert!(!objects.to_string().contains(&test_support::base64(LOGIN.as_bytes())), "{objects}");
    }
    let secrets = json(&["get", "secrets"]);
    assert_eq!(secrets["items"][0]["metadata"]["ownerReferences"][0]["uid"], job["metadata"]["uid"], "{secrets}");
    // The cluster would end and remove it, if nothing else did.
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 180);
    assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 3600);

    staging.ends_in(&variables, "run staging", 0);
    assert_eq!(left(&staging), "");
    let gone = cluster.try_kubectl(&[
        "get",
        "job",
        job["metadata"]["name"].as_str().unwrap(),
        "--namespace",
        &staging.namespace,
    ]);
    gone.unwrap_err();
}
