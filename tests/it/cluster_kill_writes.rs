//! A run that is killed before each of its writes to the API server, and the same command again.
//!
//! The product has no fail points: a door before the API server holds the n-th write, and the run is killed while it waits
//! there. What came before is done, and nothing behind it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use test_support::{Act, Cluster};

use crate::clusters::{ClusterShop, DASHBOARDS, SERVES, SERVICE};
use crate::shop::wait_until;
use crate::turns::take_turn;

const TARGET: &str = r#"target: { kind: apply, source: "{path}/cluster" }
  config: [{ set: { A: "of-{mode}" } }]
  secret: [{ set: { B: "secret-of-{mode}" } }]"#;

/// Whether a request changes something.
pub(crate) fn is_write(line: &str) -> bool {
    let writes = ["POST ", "PUT ", "PATCH ", "DELETE "].iter().any(|method| line.starts_with(method));
    writes && !line.contains("dryRun=All") && !line.contains("/selfsubject")
}

fn shop(cluster: &Cluster) -> ClusterShop<'_> {
    let namespace = cluster.fake_namespace("kill");
    let shop = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], TARGET, "");
    shop.expect("the bench has a node")
}

/// Everything in the namespace that a deployment writes, but for what only says when.
fn state(staging: &ClusterShop<'_>) -> String {
    let versions = "--output=jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation} \
                    {.data}{\"\\n\"}{end}";
    staging.kubectl(&["get", "deployments,configmaps,secrets,replicasets", versions])
}

/// The writes of a whole `run staging`, with `NAMESPACE` in place of the name.
pub(crate) fn writes_of_run(staging: &ClusterShop<'_>) -> Vec<String> {
    let gate = staging.cluster.gate_or_skip(|_| Act::Pass).expect("the bench has its parts");
    staging.ends_with(gate.kubeconfig(), "run staging", 0);
    let writes = gate.requests().into_iter().filter(|line| is_write(line));
    writes.map(|line| line.replace(&staging.namespace, "NAMESPACE")).collect()
}

/// Starts `run staging`, kills it while its write of this number waits before the API server, and then looks: the write never
/// arrives.
pub(crate) fn kill_before_write(staging: &ClusterShop<'_>, number: usize, case: &str, look: impl FnOnce()) {
    let count = Arc::new(AtomicUsize::new(0));
    let gate = staging.cluster.gate_or_skip(move |line| {
        let is_held = is_write(line) && count.fetch_add(1, Ordering::SeqCst) + 1 >= number;
        if is_held { Act::Hold } else { Act::Pass }
    });
    let gate = gate.expect("the bench has its parts");
    let mut run = staging.command(&[("SHOP_KUBECONFIG", gate.kubeconfig())], "run staging").start();
    wait_until(case, || gate.held() > 0);
    run.kill();
    assert_eq!(run.wait().signal(), Some(9), "{case}");
    look();
}

/// The writes of the first run, or of the one after it.
fn undisturbed(cluster: &Cluster, is_first: bool) -> Vec<String> {
    let staging = shop(cluster);
    staging.merge(2, SERVES);
    if !is_first {
        staging.ends("run staging", 0);
        staging.merge(3, SERVES);
    }
    writes_of_run(&staging)
}

/// Kills a run before a write, and runs the same command again.
fn killed(cluster: &Cluster, number: usize, write: &str, is_first: bool) {
    let case = format!("before write {number}, {write}, first: {is_first}");
    let turn = take_turn();
    let staging = shop(cluster);
    let mut version = 2;
    staging.merge(version, SERVES);
    if !is_first {
        staging.ends("run staging", 0);
        version = 3;
        staging.merge(version, SERVES);
    }
    kill_before_write(&staging, number, &case, || ());
    // What waits for the Lease of the run that was killed, a minute, needs no turn.
    drop(turn);

    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
    let done = state(&staging);
    let count = |what: &str| done.lines().filter(|line| line.starts_with(what)).count();
    for (what, expected) in [
        ("Deployment shop-cart ", 1),
        ("ReplicaSet ", if is_first { 1 } else { 2 }),
        ("ConfigMap shop-cart-config-", 1),
        ("Secret shop-cart-secret-", 1),
        ("ConfigMap of-version-", 1),
        (&format!("ConfigMap of-version-{version} "), 1),
        ("ConfigMap orchestrator-inventory-shop-cart ", 1),
    ] {
        assert_eq!(count(what), expected, "{case}: {what}: {done}");
    }
    // Nothing is done twice.
    staging.ends("run staging", 0);
    assert_eq!(state(&staging), done, "{case}");
    let story = staging.shop.story();
    let deployed = story.iter().filter(|record| *record == "staging deploy ok").count();
    assert_eq!(deployed, if is_first { 1 } else { 2 }, "{case}: {story:?}");
}

#[test]
fn f2_f21_a_run_that_is_killed_before_any_write_is_taken_forward_by_the_same_command() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(2).is_none() {
        return;
    }
    let Some(gate) = cluster.gate_or_skip(|_| Act::Pass) else { return };
    drop(gate);
    let (first, second) = (undisturbed(cluster, true), undisturbed(cluster, false));
    for write in ["/leases", "/secrets", "/configmaps", "/deployments/shop-cart"] {
        assert!(first.iter().any(|line| line.contains(write)), "{write}: {first:#?}");
    }
    let removed = second.iter().position(|line| line.starts_with("DELETE "));
    let removed = removed.unwrap_or_else(|| panic!("the configuration of version 2 is removed: {second:#?}"));
    let of_first = first.iter().enumerate().map(|(index, write)| (index + 1, write, true));
    let of_second = second.iter().enumerate().skip(removed).map(|(index, write)| (index + 1, write, false));
    println!("killed before each of {first:#?}\nand of {:#?}", &second[removed..]);
    // Each waits for the Lease of the run that was killed: side by side.
    std::thread::scope(|scope| {
        for (number, write, is_first) in of_first.chain(of_second) {
            scope.spawn(move || killed(cluster, number, write, is_first));
        }
    });
}
