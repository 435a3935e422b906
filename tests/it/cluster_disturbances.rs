//! What comes in between while a version is waited for, and goes away again: it ends no wait.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use test_support::{Cluster, Finished};

use crate::clusters::{ClusterShop, DASHBOARDS, Deployment, SERVES, SERVICE};
use crate::shop::wait_until;

const SOURCE: &str = r#"target: { kind: apply, source: "{path}/cluster" }"#;

/// A cluster that a test may cut off, for one test at a time.
fn own_or_skip() -> Option<(&'static Cluster, MutexGuard<'static, ()>)> {
    static OWN: OnceLock<Option<Cluster>> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = OWN.get_or_init(start_or_skip).as_ref()?;
    Some((cluster, turn))
}

/// Its kubelet has what it holds each pod with: a registry that goes away concerns images of the shop alone.
fn start_or_skip() -> Option<Cluster> {
    let cluster = Cluster::start_or_skip()?;
    let image = format!("--image={}/bench/pause:1", cluster.node_or_skip()?.registry());
    cluster.kubectl(&["run", "first", &image]);
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/first", "--timeout=90s"]);
    Some(cluster)
}

fn shop<'a>(cluster: &'a Cluster, command: &[&str]) -> Option<ClusterShop<'a>> {
    let namespace = cluster.namespace("shop-staging");
    let staging = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], SOURCE, "")?;
    staging.merge(2, command);
    Some(staging)
}

#[track_caller]
fn tells(finished: &Finished, all: &[&str]) {
    for told in all {
        assert!(finished.stderr().contains(told), "`{told}` is not in:\n{}", finished.text());
    }
}

/// What the pods of the service wait for.
fn waiting(staging: &ClusterShop<'_>) -> String {
    let reasons = "jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}";
    staging.kubectl(&["get", "pods", "--output", reasons])
}

/// Begins late: long enough for something to happen in the meantime.
const SERVES_LATER: &[&str] = &["sh", "-c", "sleep 12; exec httpd -f -p 8080"];

#[test]
fn b22_a_registry_that_is_away_ends_no_wait_and_the_same_run_goes_on_once_it_is_back() {
    let Some((cluster, _turn)) = own_or_skip() else { return };
    let node = cluster.node_or_skip().unwrap();
    let (Some(patient), Some(hasty)) = (shop(cluster, SERVES), shop(cluster, SERVES)) else { return };
    node.stop_registry(cluster);
    let goes_on = patient.command(&[], "run staging").start();
    let gave_up = hasty.command(&[], "run staging --deadline 45s").run();
    let has_asked = waiting(&patient).contains("ImagePull");
    // Other tests have the cluster after this one.
    node.start_registry(cluster);
    assert!(has_asked, "the kubelet has asked in vain");
    let gave_up = gave_up.expect_code(21);
    tells(&gave_up, &["it was not ready when the deadline passed", "pull-temporary: Pod/", "connection refused"]);
    tells(&gave_up, &["the node did not get the image this time: run the same command again"]);
    goes_on.wait().expect_code(0);
    hasty.ends("run staging", 0);
    assert_eq!(hasty.running().len(), 1);
}

#[test]
fn b23_a_pull_that_goes_on_is_no_silence() {
    let Some((cluster, _turn)) = own_or_skip() else { return };
    let node = cluster.node_or_skip().unwrap();
    let namespace = cluster.namespace("shop-staging");
    let keys = "    tolerance: { silence: 15s }";
    let Some(staging) = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], SOURCE, keys) else {
        return;
    };
    staging.merge(2, SERVES);
    node.freeze_registry(cluster, true);
    let run = staging.command(&[], "run staging").start();
    let events = |reason: &str| {
        let selector = format!("--field-selector=reason={reason}");
        staging.kubectl(&["get", "events", &selector, "--output=jsonpath={.items[*].involvedObject.fieldPath}"])
    };
    wait_until("the pull to begin", || events("Pulling").contains("spec.containers{"));
    std::thread::sleep(Duration::from_secs(40));
    let (waits, pulled) = (waiting(&staging), events("Pulled"));
    // Other tests have the cluster after this one.
    node.freeze_registry(cluster, false);
    assert_eq!((waits.as_str(), pulled.as_str()), ("ContainerCreating", ""), "nothing but the pull was there");
    run.wait().expect_code(0);
    staging.ends("verify staging", 0);
}

#[test]
fn f21_an_api_server_that_restarts_while_a_version_is_waited_for_only_delays_it() {
    let Some((cluster, _turn)) = own_or_skip() else { return };
    let Some(staging) = shop(cluster, SERVES_LATER) else { return };
    let run = staging.command(&[], "run staging").start();
    wait_until("the pod to run", || !staging.running().is_empty());
    cluster.stop_api_server();
    std::thread::sleep(Duration::from_secs(3));
    cluster.start_api_server();
    run.wait().expect_code(0);
    staging.ends("verify staging", 0);
    staging.ends("run staging", 0);
}

/// The lease is not renewed while the API server is away: another run may take it over after a minute, so this one ends
/// before.
#[test]
fn f8_a_run_that_cannot_renew_its_lease_ends_before_it_expires() {
    let Some((cluster, _turn)) = own_or_skip() else { return };
    let Some(staging) = shop(cluster, &["sh", "-c", "sleep 40; exec httpd -f -p 8080"]) else { return };
    let run = staging.command(&[], "run staging").start();
    wait_until("the pod to run", || !staging.running().is_empty());
    cluster.stop_api_server();
    let begin = Instant::now();
    let ended = run.wait().expect_code(21);
    let took = begin.elapsed();
    cluster.start_api_server();
    let hint = "once the API server answers, and no other run works on `staging`, the same command goes on from here";
    tells(&ended, &["the lease of the environment was lost", hint]);
    assert!(!ended.text().contains("in a change of its own"), "nothing is wrong with the version: {}", ended.text());
    assert!(took < Duration::from_secs(60), "{took:?}: {}", ended.text());
    // Nothing is repaired by hand: the same command goes on.
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
}

/// A rollback need not wait until a deployment that fails has found that out.
#[test]
fn b42_f5_a_rollback_asks_the_run_that_deploys_to_stop_and_names_the_one_that_does_not() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() {
        return;
    }
    let Some(staging) = shop(cluster, SERVES) else { return };
    staging.ends("run staging", 0);
    // What does not deploy now has no lease in the cluster, and is not asked.
    staging.merge(3, SERVES);
    let paused = staging.shop.pause("staging", "system");
    let run = staging.command(&[], "run staging").start();
    paused.reached();
    let busy = staging.ends("rollback staging --reason slow --yield 3s", 14);
    tells(&busy, &["`staging` is busy: ", "orchestrator (run "]);
    paused.release();
    run.wait().expect_code(0);
    let good = staging.running();

    staging.merge(4, &["sleep", "1000"]);
    let run = staging.command(&[], "run staging").start();
    run.wait_for("writing ");
    // What cannot be gone back to stops nothing.
    tells(&staging.ends("rollback staging --to 12345678 --reason typing", 20), &["12345678"]);
    let records = || staging.shop.records().len();
    let before = records();
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(records(), before, "the run goes on past its next look at the lease");
    let begin = Instant::now();
    let back = staging.ends("rollback staging --reason \"carts are empty\"", 0);
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}: {}", begin.elapsed(), back.text());
    tells(&back, &["is asked to stop"]);
    tells(
        &run.wait().expect_code(21),
        &["yielded to the rollback of ", "changed: shop-cart", "`orchestrator unhold staging`"],
    );
    assert_eq!(staging.running(), good);
    staging.ends("verify staging", 0);
}

/// Says that pods of the service were evicted, as a kubelet does; gives how many.
fn evict(staging: &ClusterShop<'_>) -> usize {
    let names = "jsonpath={.items[*].metadata.name}";
    let pods = staging.kubectl(&["get", "pods", "--field-selector=status.phase=Running", "--output", names]);
    let status =
        r#"{"status":{"phase":"Failed","reason":"Evicted","message":"The node was low on resource: memory."}}"#;
    let evicted = pods.split_whitespace().filter(|pod| {
        let patch = ["patch", "pod", pod, "--subresource=status", "--type=merge", "--patch", status];
        // One that is replaced meanwhile is gone.
        staging.cluster.try_kubectl(&[&patch[..], &["--namespace", &staging.namespace]].concat()).is_ok()
    });
    evicted.count()
}

#[test]
fn w4_an_evicted_pod_is_replaced_and_one_after_another_is_named_as_that() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(1).is_none() {
        return;
    }
    let namespace = cluster.fake_namespace("shop-staging");
    let Some(staging) = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], FAULTY, "") else {
        return;
    };
    let manifest = |seconds: u32| {
        // Its pods become available only after a time.
        let late = Deployment::plain("shop-cart").spec(&format!("minReadySeconds: {seconds}"));
        let text = late.spec("strategy: { type: Recreate }").yaml().replace("IMAGE", &staging.image());
        staging.shop.service("shop-cart").write("fault/app.yaml", text);
    };
    manifest(8);
    staging.merge(2, SERVES);
    let run = staging.command(&[], "run staging").start();
    wait_until("a pod to be evicted", || evict(&staging) > 0);
    run.wait().expect_code(0);

    manifest(9);
    staging.merge(3, SERVES);
    let run = staging.command(&[], "run staging --deadline 30s").start();
    let failed = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run.wait());
        while !waiting.is_finished() {
            evict(&staging);
            std::thread::sleep(Duration::from_secs(1));
        }
        waiting.join().unwrap()
    });
    let failed = failed.expect_code(21);
    tells(&failed, &["it was not ready when the deadline passed", "evicted: Pod/", "low on resource: memory"]);
    tells(&failed, &["the node had no room for it"]);
    assert!(!failed.stderr().contains("crash:"), "{}", failed.text());
}

const FAULTY: &str = r#"target: { kind: apply, source: "{path}/fault" }"#;

/// A run that hangs keeps nobody out: its lease is taken from it by name, and it stops by itself.
#[test]
fn b42_f6_a_lease_that_is_broken_is_recorded_and_its_holder_stops() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() {
        return;
    }
    let Some(staging) = shop(cluster, &["sh", "-c", "sleep 1000"]) else { return };
    let number = || {
        let path = "jsonpath={.spec.leaseTransitions}";
        staging.kubectl(&["get", "lease", "orchestrator-staging", "--output", path]).trim().parse::<u64>().unwrap()
    };
    let run = staging.command(&[], "run staging").start();
    run.wait_for("writing ");
    wait_until("the pod to run", || !staging.running().is_empty());
    let first = number();
    staging.merge(3, SERVES);
    tells(&staging.ends("run staging", 14), &["`staging` is busy: ", "`--break-lease --reason TEXT`"]);
    staging.ends("run staging --break-lease", 2);
    let records = staging.shop.records().len();
    // Two break it at once. The first to do so waits some seconds for the run that it took the lease from, and loses it meanwhile.
    let early = staging.command(&[], "run staging --break-lease --reason \"run 7 hangs\"").start();
    wait_until("the first to break the lease", || staging.shop.records().len() > records);
    let broke = staging.ends("run staging --break-lease --reason \"run 7 hangs\"", 0);
    tells(&broke, &["the lease of staging was taken from orchestrator (run "]);
    tells(&run.wait().expect_code(21), &["another run has taken the lease"]);
    tells(&early.wait().expect_code(14), &["the lease of `staging` was broken by orchestrator (record "]);
    assert!(number() > first);
    let story = staging.shop.records();
    let of_early = &story[records].predicate["run"];
    assert_ne!(&story[records + 1].predicate["run"], of_early, "{:?}", staging.shop.story());
    assert!(
        story[records + 1..].iter().all(|record| record.predicate["run"] != *of_early),
        "{:?}",
        staging.shop.story()
    );
    let broken = &story[records];
    assert!(broken.name.contains("staging-break-lease-ok"), "{broken:?}");
    let reason = broken.predicate["reason"].as_str().unwrap();
    assert!(reason.starts_with("run 7 hangs (taken from orchestrator (run "), "{reason}");
    assert_eq!(broken.predicate["run"]["actor"], "orchestrator");
    staging.ends("verify staging", 0);
    // There is nothing left to break.
    let records = staging.shop.records().len();
    tells(&staging.ends("run staging --break-lease --reason again", 0), &["nothing is broken"]);
    assert_eq!(staging.shop.records().len(), records);
}

/// A fix need not wait until a deployment that fails has found that out; one that is merely slow is waited for.
#[test]
fn b24_a_newer_release_ends_the_wait_for_one_that_is_failing_and_not_for_one_that_is_slow() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() {
        return;
    }
    let Some(staging) = shop(cluster, SERVES_LATER) else { return };
    // Slow, and nothing is wrong.
    let slow = staging.command(&[], "run staging").start();
    slow.wait_for("writing ");
    // No node takes the pods of this version.
    let nowhere = Deployment::plain("shop-cart").pod("nodeSelector: { disk: fast }");
    staging.commit_files(SERVICE, 3, SERVES, &[("cluster/app.yaml", nowhere.yaml())]);
    staging.shop.merge_dev();
    slow.wait().expect_code(0);

    let begin = Instant::now();
    let failing = staging.command(&[], "run staging --on-failure rollback").start();
    failing.wait_for("writing ");
    staging.merge(4, SERVES);
    let ended = failing.wait().expect_code(21);
    tells(&ended, &["superseded by commit ", "scheduling: Pod/", "`orchestrator run` deploys it"]);
    assert!(begin.elapsed() < Duration::from_secs(80), "{:?}: {}", begin.elapsed(), ended.text());
    // Nothing holds the environment.
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
}
