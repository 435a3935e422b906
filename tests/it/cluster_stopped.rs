//! A run that is stopped while it deploys, loses its lease to another one, and is resumed.
//!
//! A door before the API server keeps a request of the run waiting, so that the run is stopped right before its next write. The
//! answer is there when it is resumed: only what it asks about its lease keeps it from writing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use test_support::{Act, Cluster};

use crate::cluster_kill::helms;
use crate::cluster_kill_writes::is_write;
use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, SERVES, SERVICE, hook_job};
use crate::shop::wait_until;

/// Versions of everything that the two runs may write.
fn state(staging: &ClusterShop<'_>) -> String {
    let versions = "--output=jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.resourceVersion}{\"\\n\"}{end}";
    staging.kubectl(&["get", "deployments,configmaps,secrets,leases", versions])
}

/// Stops a run at the first request that begins and ends like this, deploys the next version by another run, and resumes it.
fn stopped(cluster: &Cluster, staging: &ClusterShop<'_>, at: (&'static str, &'static str)) {
    staging.merge(2, SERVES);
    let (is_reached, may_pass) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (reached, pass) = (Arc::clone(&is_reached), Arc::clone(&may_pass));
    let gate = cluster.gate_or_skip(move |line| {
        let path = line.split(['?', ' ']).nth(1).unwrap_or_default();
        if line.starts_with(at.0) && path.ends_with(at.1) && !line.contains("dryRun") {
            reached.store(true, Ordering::SeqCst);
            while !pass.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Act::Pass
    });
    let gate = gate.expect("the bench has its parts");
    let run = staging.command(&[("SHOP_KUBECONFIG", gate.kubeconfig())], "run staging").start();
    wait_until("the run to write", || is_reached.load(Ordering::SeqCst));
    run.stop();
    may_pass.store(true, Ordering::SeqCst);

    let newest = staging.merge(3, SERVES);
    staging.ends("run staging --break-lease --reason \"it is stopped\"", 0);
    staging.ends("verify staging", 0);
    let done = state(staging);
    let before = gate.requests().len();

    run.resume();
    let ended = run.wait().expect_code(21);
    for told in ["the lease of the environment was lost", "the same command goes on from here"] {
        assert!(ended.stderr().contains(told), "`{told}` is not in:\n{}", ended.text());
    }
    let requests = gate.requests().split_off(before);
    let is_write = |line: &&String| !line.starts_with("GET ") && !line.contains("dryRun");
    assert_eq!(requests.iter().filter(is_write).collect::<Vec<_>>(), Vec::<&String>::new(), "{requests:#?}");
    assert_eq!(state(staging), done, "{}", ended.text());
    assert_eq!(staging.image_of_cart(), newest);

    // The number of each lease is on record, and the later one is larger: the lease that was broken has the one between.
    let records = staging.shop.records();
    let of_deploy = records.iter().filter(|record| record.predicate["step"] == "deploy");
    let numbers: Vec<Option<u64>> = of_deploy.map(|record| record.predicate["lease_number"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(3), Some(3)], "{:?}", staging.shop.story());
    // The next lease counts on, also where this one was deleted.
    staging.kubectl(&["delete", "lease", "orchestrator-staging"]);
    staging.ends("deploy staging --again", 0);
    let last = staging.shop.records().into_iter().rfind(|record| record.predicate["step"] == "deploy").unwrap();
    assert_eq!(last.predicate["lease_number"], 4);
}

impl ClusterShop<'_> {
    /// The digest in the Deployment of the service.
    fn image_of_cart(&self) -> String {
        let path = "--output=jsonpath={.spec.template.spec.containers[0].image}";
        let image = self.kubectl(&["get", "deployment/shop-cart", path]);
        image.rsplit_once('@').unwrap().1.to_owned()
    }
}

#[test]
fn f6_a_run_that_was_stopped_past_its_lease_writes_nothing_more() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(1).is_none() {
        return;
    }
    let Some(gate) = cluster.gate_or_skip(|_| Act::Pass) else { return };
    drop(gate);
    let shop = |target: &str| {
        let namespace = cluster.fake_namespace("stopped");
        ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], target, "").expect("the bench has a node")
    };
    let Some(helm) = shop(r#"target: { kind: helm, chart: "{path}/chart" }"#).with_program_or_skip("helm", "helm4")
    else {
        return;
    };
    let apply = shop(r#"target: { kind: apply, source: "{path}/cluster" }"#);
    std::thread::scope(|scope| {
        // The inventory is what comes before the objects, and the mark of the namespace what comes before helm.
        scope.spawn(|| stopped(cluster, &apply, ("POST ", "/configmaps")));
        scope.spawn(|| stopped(cluster, &helm, ("POST ", "/secrets")));
    });
}

/// helm writes by itself: another run may have the lease eight seconds after it was broken.
#[test]
fn f6_a_helm_whose_run_alone_is_stopped_is_killed_before_another_owner_writes() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.merge_chart(2, SERVES, &(DEPLOYMENT.to_owned() + &hook_job("pre-install,pre-upgrade", "sleep 15")));
    let run = staging.command(&[], "run staging").start();
    let status = ["get", "secret", "--selector=owner=helm", "--output=jsonpath={.items[*].metadata.labels.status}"];
    wait_until("its release is pending", || staging.kubectl(&status).contains("pending"));
    assert_eq!(helms(&staging.namespace).len(), 1);
    run.stop();
    let stopped = Instant::now();
    while !helms(&staging.namespace).is_empty() {
        assert!(stopped.elapsed() < Duration::from_secs(8), "helm works on: {:?}", helms(&staging.namespace));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(stopped.elapsed() > Duration::from_secs(4), "a moment is no reason: {:?}", stopped.elapsed());
    assert!(staging.kubectl(&status).contains("pending"));
    run.resume();
    let ended = run.wait().expect_code(14);
    let told = "was ended: orchestrator itself was stopped for 5 s or longer";
    assert!(ended.stderr().contains(told), "{}", ended.text());
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
}

/// The API server takes what helm writes, and says nothing about the lease any more.
#[test]
fn f8_a_helm_has_ended_before_the_lease_that_its_run_cannot_renew_expires() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.merge_chart(2, SERVES, &(DEPLOYMENT.to_owned() + &hook_job("pre-install,pre-upgrade", "sleep 120")));
    let is_cut = Arc::new(AtomicBool::new(false));
    let cut = Arc::clone(&is_cut);
    let gate = cluster.gate_or_skip(move |line| {
        if cut.load(Ordering::SeqCst) && line.contains("/leases") { Act::Hold } else { Act::Pass }
    });
    let Some(gate) = gate else { return };
    let run = staging.command(&[("SHOP_KUBECONFIG", gate.kubeconfig())], "run staging").start();
    let status = ["get", "secret", "--selector=owner=helm", "--output=jsonpath={.items[*].metadata.labels.status}"];
    wait_until("its release is pending", || staging.kubectl(&status).contains("pending"));
    let renewed = "--output=jsonpath={.spec.renewTime}";
    let last = || staging.kubectl(&["get", "lease", "orchestrator-staging", renewed]);
    is_cut.store(true, Ordering::SeqCst);
    let (begin, renewed_last) = (Instant::now(), last());
    let ended = run.wait().expect_code(21);
    assert_eq!(helms(&staging.namespace), Vec::<String>::new());
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}: {}", begin.elapsed(), ended.text());
    assert_eq!(last(), renewed_last, "it was cut off");
    assert!(staging.kubectl(&status).contains("pending"), "helm was at work");
    assert!(ended.stderr().contains("the lease of the environment was lost"), "{}", ended.text());
    staging.kubectl(&["delete", "jobs", "--all", "--cascade=foreground", "--wait=false"]);
}

/// The run of the former owner hangs, and an administrator of the next one has given it the namespace.
#[test]
fn f6_a_lease_of_the_former_owner_is_broken_where_the_namespace_was_given_away() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(1).is_none() {
        return;
    }
    let (is_armed, is_reached) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (armed, reached) = (Arc::clone(&is_armed), Arc::clone(&is_reached));
    let Some(gate) = cluster.gate_or_skip(move |line| {
        if is_write(line) && line.contains("/deployments/shop-cart") {
            reached.store(true, Ordering::SeqCst);
            while armed.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Act::Pass
    }) else {
        return;
    };
    let namespace = cluster.fake_namespace("given");
    let target = r#"target: { kind: apply, source: "{path}/cluster" }"#;
    let shop = || {
        let shop = ClusterShop::in_namespace(cluster, namespace.clone(), &[DASHBOARDS, SERVICE], target, "");
        shop.expect("the bench has a node")
    };
    let (former, next) = (shop(), shop());
    former.merge(2, SERVES);
    former.ends("run staging", 0);
    let clone = next.shop.work_on("dev");
    let configuration = clone.read("HEAD", "orchestrator.yaml").unwrap();
    assert!(configuration.contains("forge.example/shop/shop"), "{configuration}");
    clone.write("orchestrator.yaml", configuration.replace("forge.example/shop/shop", "forge.example/shop/next"));
    let newest = next.merge(3, SERVES);

    former.merge(4, SERVES);
    is_armed.store(true, Ordering::SeqCst);
    let run = former.command(&[("SHOP_KUBECONFIG", gate.kubeconfig())], "run staging").start();
    wait_until("the former owner to write", || is_reached.load(Ordering::SeqCst));
    run.stop();
    is_armed.store(false, Ordering::SeqCst);
    let refused = next.ends("run staging", 20);
    assert!(refused.text().contains("belongs to"), "{}", refused.text());
    next.ends("--as eve policy take-over staging --reason \"it is ours now\"", 0);
    let leased = next.ends("run staging", 20);
    assert!(leased.text().contains("`--break-lease --reason TEXT` takes the lease from it"), "{}", leased.text());
    let broken = next.ends("run staging --break-lease --reason \"it hangs\"", 0);
    assert!(broken.text().contains("was taken from "), "{}", broken.text());
    next.ends("verify staging", 0);
    let done = state(&next);

    run.resume();
    let ended = run.wait().expect_code(21);
    assert!(ended.stderr().contains("the lease of the environment was lost"), "{}", ended.text());
    assert_eq!((state(&next), next.image_of_cart()), (done, newest), "{}", ended.text());
}
