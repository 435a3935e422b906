//! A run that is killed before each write of a deployment with helm, its own and helm's, and the same command again.
//!
//! helm goes through the same door as its run, and ends with it: what it waits for there never reaches the API server.

use std::time::{Duration, Instant};

use test_support::{Act, Cluster};

use crate::cluster_kill::helms;
use crate::cluster_kill_writes::{kill_before_write, writes_of_run};
use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, SERVES, SERVICE, hook_job};
use crate::turns::take_turn;

const TARGET: &str = r#"target: { kind: helm, chart: "{path}/chart" }
  config: [{ set: { A: "of-{mode}" } }]"#;

/// An object of the release that must not be made anew.
const DATA: &str = r#"---
apiVersion: v1
kind: ConfigMap
metadata: { name: {{ .Release.Name }}-data }
data: { A: "1" }
"#;

/// Whether the first deployment is killed, or the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    First,
    Update,
}

/// A shop whose next `run staging` is the deployment that is meant.
fn shop(cluster: &Cluster, which: Which) -> ClusterShop<'_> {
    let namespace = cluster.fake_namespace("kill-helm");
    let shop = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], TARGET, "");
    let shop = shop.expect("the bench has a node").with_program_or_skip("helm", "helm4");
    let staging = shop.expect("the bench has helm");
    let chart = format!("{DEPLOYMENT}{}{DATA}", hook_job("pre-install,pre-upgrade", "true"));
    staging.merge_chart(2, SERVES, &chart);
    if which == Which::Update {
        staging.ends("run staging", 0);
        staging.merge_chart(3, SERVES, &chart);
    }
    staging
}

/// What must be there once, and is not made anew.
fn uids(staging: &ClusterShop<'_>) -> String {
    let uids = "--output=jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
    staging.kubectl(&["get", "deployments,configmaps", uids])
}

/// Everything that a deployment writes, but for what only says when.
fn state(staging: &ClusterShop<'_>) -> String {
    let versions = "--output=jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation} \
                    {.metadata.labels.status}{\"\\n\"}{end}";
    staging.kubectl(&["get", "deployments,configmaps,secrets,replicasets,jobs", versions])
}

/// Kills a run before a write, and runs the same command again.
fn killed(cluster: &Cluster, number: usize, write: &str, which: Which) {
    let case = format!("{which:?}, before write {number}, {write}");
    let turn = take_turn();
    let staging = shop(cluster, which);
    let (before, revisions) = (uids(&staging), staging.revisions());
    kill_before_write(&staging, number, &case, || {
        let begin = Instant::now();
        while !helms(&staging.namespace).is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(2), "{case}: helm lives on");
        }
    });
    let left = uids(&staging);
    // What waits for the Lease of the run that was killed, a minute, needs no turn.
    drop(turn);

    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
    // What was there before the kill, or came before it, is not made anew.
    let (after, done) = (uids(&staging), state(&staging));
    for there in before.lines().chain(left.lines()) {
        assert!(after.lines().any(|line| line == there), "{case}: `{there}` is not in\n{after}");
    }
    let count = |what: &str| done.lines().filter(|line| line.starts_with(what)).count();
    for (what, expected) in [
        ("Deployment shop-cart ", 1),
        ("ConfigMap shop-cart-data ", 1),
        ("ReplicaSet ", if which == Which::First { 1 } else { 2 }),
        ("ConfigMap shop-cart-config-", 1),
        ("Job shop-cart-migrate ", 1),
    ] {
        assert_eq!(count(what), expected, "{case}: {what}: {done}");
    }
    assert!(!done.contains("pending"), "{case}: {done}");
    let made = staging.revisions() - revisions;
    assert!((1..=2).contains(&made), "{case}: {made} revisions: {done}");
    // Nothing is done twice.
    staging.ends("run staging", 0);
    assert_eq!(state(&staging), done, "{case}");
}

#[test]
fn f2_a_run_that_is_killed_before_any_write_of_its_helm_is_taken_forward_by_the_same_command() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(2).is_none() {
        return;
    }
    let Some(gate) = cluster.gate_or_skip(|_| Act::Pass) else { return };
    drop(gate);
    if test_support::bench::part_or_skip("helm4").is_none() {
        return;
    }
    let (first, update) = std::thread::scope(|scope| {
        let update = scope.spawn(|| writes_of_run(&shop(cluster, Which::Update)));
        (writes_of_run(&shop(cluster, Which::First)), update.join().unwrap())
    });
    for (writes, which) in [(&first, "first"), (&update, "update")] {
        for write in ["/leases", "/secrets", "/jobs", "/deployments"] {
            assert!(writes.iter().any(|line| line.contains(write)), "{which}: {write}: {writes:#?}");
        }
    }
    // The writes of the run itself are those of target `apply`, each of which is tried there: here those of helm, and the ones
    // on either side.
    let cases = |writes: &[String], which| {
        let is_of_helm = |line: &&String| !line.contains("/leases") && !line.contains("orchestrator-state");
        let begin = writes.iter().position(|line| is_of_helm(&line)).unwrap_or_default();
        let end = writes.iter().rposition(|line| is_of_helm(&line)).unwrap_or_default();
        let numbered = writes.iter().cloned().enumerate().take(end + 2).skip(begin);
        numbered.map(|(index, write)| (index + 1, write, which)).collect::<Vec<_>>()
    };
    let cases = [cases(&first, Which::First), cases(&update, Which::Update)].concat();
    println!("killed before each of {cases:#?}");
    std::thread::scope(|scope| {
        for (number, write, which) in &cases {
            scope.spawn(move || killed(cluster, *number, write, *which));
        }
    });
}
