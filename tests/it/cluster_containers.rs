//! Suites that are images: a Job beside what it tests, on a real kubelet.

use std::time::{Duration, Instant};

use serde_json::Value;
use test_support::{Cluster, Running};

use crate::cluster_keys::with_printed_role;
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
    staging.kubectl(&["get", "job,pod,secret", "--selector=app.kubernetes.io/component=suite", "--output=name"])
}

/// Objects of suites in the namespace.
fn json_of_suites(staging: &ClusterShop<'_>, words: &[&str]) -> Value {
    let more = ["--selector=app.kubernetes.io/component=suite", "--output=json"];
    serde_json::from_str(&staging.kubectl(&[words, &more].concat())).unwrap()
}

/// Waits until the container of a suite runs.
#[track_caller]
fn wait_for_suite(staging: &ClusterShop<'_>, run: &Running) {
    let start = Instant::now();
    while json_of_suites(staging, &["get", "jobs"])["items"][0]["status"]["ready"] != 1 {
        assert!(start.elapsed() < Duration::from_secs(90), "process {} has not begun the suite", run.id());
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn b33_p17_t48_a_suite_runs_as_a_job_of_its_locked_image_and_leaves_nothing_behind() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = shop_with(cluster, SUITE) else { return };
    let variables = [("LOGIN", LOGIN), ("COLOUR", "green-as-grass")];
    staging.commit(SERVICE, 2, SERVES, DEPLOYMENT);
    let asks = "echo \"$* $PLACE, $COLOUR, login $LOGIN\"; test \"$LOGIN\" = correct-horse-battery || exit 9";
    let digest = staging.commit(TESTS, 2, &script(asks), DEPLOYMENT);
    staging.shop.merge_dev();

    // The rights that are printed are enough, and without the suite's variables nothing is begun.
    let kubeconfig = with_printed_role(&staging, &variables);
    let variables = [("SHOP_KUBECONFIG", kubeconfig.as_str()), ("LOGIN", LOGIN), ("COLOUR", "green-as-grass")];
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
    let ends = "echo the cart is empty; echo \"no place for $LOGIN\" >/dev/termination-log; exit 3";
    staging.commit(TESTS, 3, &script(ends), DEPLOYMENT);
    staging.shop.merge_dev();
    let failed = staging.ends_in(&variables, "run staging", 1);
    for told in ["ended with exit code 3", "the cart is empty", "no place for ***"] {
        assert!(failed.text().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    assert!(!failed.text().contains(LOGIN), "{}", failed.text());
    assert_eq!(left(&staging), "");
}

/// Its pod comes when the last rollout is over: what a deployment leaves free has to be enough for it.
#[test]
fn p15_p17_a_suite_without_room_refuses_the_deployment_before_it_begins() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = shop_with(cluster, "{ kind: container, service: shop-tests }") else { return };
    let quota = |pods: u32| {
        let namespace = &staging.namespace;
        cluster.apply(&format!(
            "{{ apiVersion: v1, kind: ResourceQuota, metadata: {{ name: small, namespace: {namespace} }}, spec: {{ hard: {{ pods: \
             {pods} }} }} }}"
        ));
    };
    quota(1);
    staging.commit(TESTS, 2, &script("exit 0"), DEPLOYMENT);
    staging.merge(2, SERVES);
    staging.ends("lock commit staging", 0);
    let plan = staging.ends("plan staging", 0);
    assert!(plan.text().contains("pods"), "{}", plan.text());
    let refused = staging.ends("run staging", 1);
    let short = "quota: quota `small` has 1 of `pods` free, the deployment needs 2 more, 1 missing: shop-cart 1, suite system 1; raise it to 2";
    assert!(refused.text().contains(short), "{}", refused.text());
    assert_eq!(staging.revisions(), 0, "nothing was changed");

    // The rollout has one pod more for a time, and the suite has its place afterwards.
    quota(2);
    staging.ends("run staging", 0);
    staging.merge(3, SERVES);
    staging.ends("run staging", 0);
    // Nothing is to be deployed, so that no suite is run either.
    quota(1);
    staging.ends("run staging", 0);
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
    let start = Instant::now();
    let failed = staging.ends("run staging", 1);
    assert!(start.elapsed() < Duration::from_secs(90), "the deadline alone ended it: {}", failed.text());
    for told in ["did not run to its end", "pull-missing", "not proven: suite system"] {
        assert!(failed.text().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    assert_eq!(left(&staging), "");
}

#[test]
fn t48_a_killed_run_leaves_a_job_without_its_login_that_the_next_run_takes_away() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = shop_with(cluster, SUITE) else { return };
    let variables = [("LOGIN", LOGIN), ("COLOUR", "green-as-grass")];
    staging.commit(SERVICE, 2, SERVES, DEPLOYMENT);
    staging.commit(TESTS, 2, &script("trap 'exit 1' TERM; sleep 6 & wait $!"), DEPLOYMENT);
    staging.shop.merge_dev();
    let json = |words: &[&str]| json_of_suites(&staging, words);
    let mut run = staging.command(&variables, "run staging").start();
    wait_for_suite(&staging, &run);
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

/// What suites of `ENDS` do, by their first argument.
const DOES: &str = "trap 'exit 1' TERM; case \"$1\" in slow) echo begun; sleep 60 & wait $!;; esac";

/// Each of them ends in another way that is no end of its program.
const ENDS: &str = r#"system: { kind: container, service: shop-tests }
  slow: { kind: container, service: shop-tests, args: [slow], deadline: 8s }
  long: { kind: container, service: shop-tests, args: [slow], deadline: 2m }
  big: { kind: container, service: shop-tests, resources: { requests: { cpu: "1000" } }, deadline: 5s }
  unknown-account: { kind: container, service: shop-tests, service-account: nobody, deadline: 90s }
  greedy: { kind: container, service: shop-tests, resources: { requests: { memory: 200Mi } }, deadline: 5s }"#;

#[test]
fn p17_p21_f22_a_suite_that_does_not_end_by_itself_is_unknown_and_is_taken_away() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = shop_with(cluster, ENDS.strip_prefix("system: ").unwrap()) else { return };
    staging.commit(SERVICE, 2, SERVES, DEPLOYMENT);
    staging.commit(TESTS, 2, &script(DOES), DEPLOYMENT);
    staging.shop.merge_dev();
    staging.ends("lock commit staging", 0);
    // A suite needs no deployment by orchestrator, but a lock.
    staging.ends("test run staging --suite system", 0);
    cluster.apply(&format!(
        "{{ apiVersion: v1, kind: ResourceQuota, metadata: {{ name: small, namespace: {} }}, spec: {{ hard: {{ requests.memory: 100Mi }} }} }}",
        staging.namespace
    ));
    // With that quota a pod must say what it asks for.
    let refused = "quota: Job";
    for (suite, told) in [
        ("greedy", vec!["did not end within 5 s", refused, "exceeded quota: small"]),
        ("slow", vec!["did not end within 8 s", refused, "must specify requests.memory"]),
    ] {
        let ended = staging.ends(&format!("test run staging --suite {suite}"), 1);
        for told in told {
            assert!(ended.text().contains(told), "{suite}: `{told}` is not in:\n{}", ended.text());
        }
        assert_eq!(left(&staging), "", "{suite}");
    }
    staging.kubectl(&["delete", "resourcequota", "small"]);
    for (suite, told) in [
        ("slow", vec!["did not end within 8 s", "| begun"]),
        ("big", vec!["did not end within 5 s: scheduling: Pod", "Insufficient cpu"]),
        ("unknown-account", vec!["did not run to its end: config: Job", "serviceaccount \"nobody\" not found"]),
    ] {
        let ended = staging.ends(&format!("test run staging --suite {suite}"), 1);
        for told in told {
            assert!(ended.text().contains(told), "{suite}: `{told}` is not in:\n{}", ended.text());
        }
        assert_eq!(left(&staging), "", "{suite}");
    }
    // The whole command's deadline ends the suite before the command is cut off.
    let late = staging.ends("--deadline 12s test run staging --suite long", 1);
    assert!(late.text().contains("did not end within"), "{}", late.text());
    assert_eq!(left(&staging), "");

    // A signal; and meanwhile no other run may test here.
    let run = staging.command(&[], "test run staging --suite long").start();
    wait_for_suite(&staging, &run);
    let busy = staging.ends("test run staging --suite system", 14);
    assert!(busy.text().contains("`staging` is busy"), "{}", busy.text());
    run.interrupt();
    let interrupted = run.wait();
    assert_eq!(interrupted.code(), Some(130), "{interrupted}");
    // There is little time after a signal: what is left then goes without the run.
    let start = Instant::now();
    while !left(&staging).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", left(&staging));
        std::thread::sleep(Duration::from_millis(500));
    }
    staging.ends("run staging", 0);

    // A lease that is broken is taken in the cluster too where nothing is left to be deployed.
    let run = staging.command(&[], "test run staging --suite long").start();
    wait_for_suite(&staging, &run);
    let broke = staging.ends("run staging --break-lease --reason \"it hangs\"", 0);
    assert!(broke.text().contains("was taken from "), "{}", broke.text());
    let ended = run.wait();
    assert!(ended.code() != Some(0) && ended.text().contains("another run has taken the lease"), "{}", ended.text());
}

/// One that does not end when it is asked to, and one that says when it runs.
const STUBBORN: &str = r"system: { kind: container, service: shop-tests, args: [when] }
  stubborn: { kind: container, service: shop-tests, args: [stubborn], deadline: 5s }";

#[test]
fn p17_f22_the_next_suite_begins_once_the_pod_of_the_last_one_has_ended() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = shop_with(cluster, STUBBORN.strip_prefix("system: ").unwrap()) else { return };
    let does = "case \"$1\" in stubborn) trap '' TERM; sleep 100;; when) date -u +%Y-%m-%dT%H:%M:%SZ; exit 3;; esac";
    staging.commit(SERVICE, 2, SERVES, DEPLOYMENT);
    staging.commit(TESTS, 2, &script(does), DEPLOYMENT);
    staging.shop.merge_dev();
    staging.ends("lock commit staging", 0);
    let late = staging.ends("test run staging --suite stubborn", 1);
    assert!(late.text().contains("did not end within 5 s"), "{}", late.text());
    // It has thirty seconds, and is named as long as the run can wait.
    let pods = json_of_suites(&staging, &["get", "pods"]);
    let pod = pods["items"][0]["metadata"]["name"].as_str().unwrap_or_default();
    let told = format!("Pod/{pod} is left: it has not gone within 15 s");
    assert!(late.text().contains(&told), "`{told}` is not in:\n{}", late.text());
    let ends = pods["items"][0]["metadata"]["deletionTimestamp"].as_str().unwrap();

    let next = staging.ends("test run staging --suite system", 1);
    let begun = next.text().lines().find_map(|line| line.trim().strip_prefix("| 20").map(|rest| format!("20{rest}")));
    assert!(begun.as_deref().is_some_and(|begun| begun >= ends), "until {ends}:\n{}", next.text());
    assert_eq!(left(&staging), "");
}
