//! `demo --cluster` on a real cluster with its registry: everything that it shows happens, and nothing stays.

use std::fs;

use serde_json::Value;
use test_support::{Cluster, Sandbox};

use crate::shop::wait_until;

#[test]
fn the_demo_on_a_cluster_proves_breaks_and_goes_back_and_leaves_nothing_there() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(node) = cluster.node_or_skip() else { return };
    let sandbox = Sandbox::new();
    let kubeconfig = sandbox.join("kubeconfig");
    fs::write(&kubeconfig, cluster.kubeconfig()).unwrap();
    let prefix = format!("{}/try/demo", node.registry());
    let demo = |more: &[&str]| {
        let words = ["demo", "--cluster", "--registry", &prefix, "--namespace", "try-orchestrator"];
        sandbox.orchestrator().args(words).args(more).env("KUBECONFIG", &kubeconfig)
    };
    let namespaces = || cluster.kubectl(&["get", "namespaces", "--output=name"]);

    // Without a terminal it begins nothing unless it is told so, and says what it would do.
    let asks = demo(&[]).run().expect_code(2);
    for told in ["`--yes`", &cluster.server(), "namespace try-orchestrator", &format!("{prefix}/cart, {prefix}/web")] {
        let words = asks.stderr().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(told), "`{told}` is not in:\n{asks}");
    }
    assert!(!namespaces().contains("try-orchestrator"));

    let folder = sandbox.join("demo");
    let played = demo(&["--yes", "--format", "json", "--dir", folder.to_str().unwrap()]).run().expect_code(0);
    let report: Value = serde_json::from_str(played.stdout()).unwrap();
    let scenes = report["result"]["scenes"].as_array().unwrap();
    let commands: Vec<&Value> = scenes.iter().flat_map(|scene| scene["commands"].as_array().unwrap()).collect();
    let output = |line: &str| -> Vec<(i64, &str)> {
        let found = commands.iter().filter(|one| one["command"].as_str().unwrap().ends_with(line));
        found.map(|one| (one["exit_code"].as_i64().unwrap(), one["output"].as_str().unwrap())).collect()
    };
    let runs = output("run staging");
    let codes: Vec<i64> = runs.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [0, 0, 21], "{runs:?}");
    for told in ["demo-web: Deployment/", "crash: Pod/", "exit code 3", "the price list has no column `currency`"] {
        assert!(runs[2].1.contains(told), "`{told}` is not in:\n{}", runs[2].1);
    }
    assert_eq!(output("verify staging").len(), 2);

    // Gone: the namespace with all that was in it, and four images.
    let removed: Vec<&str> =
        report["result"]["removed"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(removed[0], "namespace `try-orchestrator` is gone");
    assert_eq!(removed.iter().filter(|line| line.ends_with("is deleted")).count(), 4, "{removed:?}");
    assert!(!namespaces().contains("try-orchestrator"));

    // A namespace that exists is never taken over by the demo.
    let taken =
        sandbox.orchestrator().args(["demo", "--cluster", "--yes", "--registry", &prefix, "--namespace", "default"]);
    let taken = taken.env("KUBECONFIG", &kubeconfig).run().expect_code(2);
    assert!(taken.stderr().contains("namespace `default` exists"), "{taken}");
    let nowhere = sandbox.orchestrator().args(["demo", "--cluster", "--yes", "--registry", "shop/demo"]);
    let nowhere = nowhere.env("KUBECONFIG", &kubeconfig).run().expect_code(2);
    assert!(nowhere.stderr().contains("is not a valid image repository"), "{nowhere}");
}

/// Ctrl-C and SIGTERM: the command that runs is ended in order, and what was made is removed.
#[test]
fn a_demo_on_a_cluster_that_a_signal_ends_leaves_nothing_there() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(node) = cluster.node_or_skip() else { return };
    let sandbox = Sandbox::new();
    let kubeconfig = sandbox.join("kubeconfig");
    fs::write(&kubeconfig, cluster.kubeconfig()).unwrap();
    let prefix = format!("{}/ended/demo", node.registry());
    let demo = || {
        let words = ["demo", "--cluster", "--yes", "--registry", &prefix, "--namespace", "end-orchestrator"];
        sandbox.orchestrator().args(words).env("KUBECONFIG", &kubeconfig).start()
    };
    let labels = || {
        let name = ["get", "namespaces", "--field-selector=metadata.name=end-orchestrator"];
        cluster.kubectl(&[name.as_slice(), &["--output=jsonpath={.items[*].metadata.labels}"]].concat())
    };
    let begin = || {
        let running = demo();
        wait_until("the demo makes its namespace", || labels().contains("orchestrator-demo"));
        running
    };
    let running = begin();
    running.interrupt();
    let ended = running.wait().expect_code(130);
    assert!(ended.stderr().contains("the demo was interrupted"), "{ended}");
    assert!(ended.stderr().contains("namespace `end-orchestrator` is gone"), "{ended}");
    assert_eq!(labels(), "");

    // One that is killed leaves what it has made, and the next one says whose it is.
    let mut running = begin();
    running.kill();
    let refused = demo().wait().expect_code(2);
    assert!(refused.stderr().contains("`kubectl delete namespace end-orchestrator`"), "{refused}");
    cluster.kubectl(&["delete", "namespace", "end-orchestrator"]);
}
