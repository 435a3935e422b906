//! A saved plan whose run is killed between two waves, and the same command again.

use test_support::{Act, Cluster};

use crate::cluster_keys::{WEB, plain};
use crate::cluster_kill_writes::is_write;
use crate::clusters::{ClusterShop, DASHBOARDS, SERVES, SERVICE};
use crate::shop::wait_until;

const TARGET: &str = r#"target: { kind: apply, source: "{path}/cluster" }
  waves: [shop-cart, shop-web]"#;

impl ClusterShop<'_> {
    /// Commits a version of both services, and its lock.
    fn commit_both(&self, version: u32) {
        for path in [SERVICE, WEB] {
            self.commit_manifest(path, version, SERVES, plain().yaml());
        }
        self.shop.merge_dev();
        self.ends("lock commit staging", 0);
    }

    /// What becomes another with each write that changes something.
    fn generations(&self) -> Vec<String> {
        let generations =
            "--output=jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.generation}{\"\\n\"}{end}";
        self.kubectl(&["get", "deployments", generations]).lines().map(str::to_owned).collect()
    }
}

#[test]
fn f2_b32_a_saved_plan_whose_run_was_killed_between_waves_is_deployed_by_the_same_command() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(1).is_none() {
        return;
    }
    let Some(gate) = cluster.gate_or_skip(|line| {
        let is_of_second = is_write(line) && line.contains("/deployments/shop-web");
        if is_of_second { Act::Hold } else { Act::Pass }
    }) else {
        return;
    };
    let namespace = cluster.fake_namespace("kill-plan");
    let staging = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE, WEB], TARGET, "");
    let staging = staging.expect("the bench has a node");
    staging.commit_both(2);
    staging.ends("run staging", 0);
    let before = staging.generations();
    staging.commit_both(3);
    let file = staging.shop.join("plan.json");
    staging.ends(&format!("plan staging --save {}", file.display()), 0);
    let deploy = format!("deploy staging --plan {}", file.display());

    let mut run = staging.command(&[("SHOP_KUBECONFIG", gate.kubeconfig())], &deploy).start();
    wait_until("the second wave", || gate.held() > 0);
    run.kill();
    assert_eq!(run.wait().signal(), Some(9));
    let half = staging.generations();
    assert_eq!(before.len(), 2, "{before:?}");
    assert!(half[0] != before[0] && half[1] == before[1], "the first wave alone: {before:?} {half:?}");

    staging.ends(&deploy, 0);
    staging.ends("verify staging", 0);
    let done = staging.generations();
    assert!(done[0] == half[0] && done[1] != half[1], "nothing is done twice: {half:?} {done:?}");
    let again = staging.ends(&deploy, 0);
    assert!(again.text().contains("the plan is deployed, since record "), "{}", again.text());
    assert_eq!(staging.generations(), done);
}

/// A server dry run is counted by a quota as the write would be.
#[test]
fn p15_a_quota_that_refuses_the_dry_run_of_a_plan_is_no_missing_right() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(1).is_none() {
        return;
    }
    let namespace = cluster.fake_namespace("quota-dry");
    let keys = "    health: { checks: { quota: warn } }";
    let staging = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE, WEB], TARGET, keys);
    let staging = staging.expect("the bench has a node");
    staging.kubectl(&["create", "quota", "small", "--hard=count/deployments.apps=0"]);
    staging.commit_both(2);
    for line in ["plan staging", "run staging"] {
        let refused = staging.ends(line, 20);
        for told in ["exceeded quota: small", "make room in the quota"] {
            assert!(refused.text().contains(told), "{line}: `{told}` is not in:\n{}", refused.text());
        }
        assert!(!refused.text().contains("permissions staging --role"), "{line}: {}", refused.text());
    }
    assert_eq!(staging.generations(), [""; 0]);
    staging.kubectl(&["delete", "quota", "small"]);
    staging.ends("run staging", 0);
}
