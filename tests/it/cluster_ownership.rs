//! Fields that another program or the API server itself wrote first, on a real cluster.

use test_support::Cluster;

use crate::clusters::{ClusterShop, DASHBOARDS, Deployment, SERVES, SERVICE};

const TARGET: &str = r#"target: { kind: apply, source: "{path}/cluster" }"#;

fn colours(data: &str) -> String {
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: colours }}\ndata: {{ {data} }}\n")
}

impl ClusterShop<'_> {
    /// Merges a version of one workload and the map that is written before it.
    fn merge_with_colours(&self, version: u32, app: &Deployment, data: &str) {
        let files = [("cluster/app.yaml", app.yaml()), ("cluster/colours.yaml", &colours(data))];
        self.commit_files(SERVICE, version, SERVES, &files);
        self.shop.merge_dev();
        self.ends("lock commit staging", 0);
    }

    /// Everything that the runs of this test write.
    fn written(&self) -> String {
        let all = "--output=jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation} {.data} \
                   {.spec.strategy}{\"\\n\"}{end}";
        self.kubectl(&["get", "deployments,configmaps", all])
    }
}

/// The map comes before the workload: a run that wrote one after the other would have changed it by then.
#[test]
fn a1_a2_what_is_moved_is_planned_and_recorded_and_a_filled_in_field_refuses_a_run_before_its_first_write() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() || cluster.fake_nodes_or_skip(1).is_none() {
        return;
    }
    let namespace = cluster.fake_namespace("ownership");
    let place = format!("{{ namespace: {namespace}, name");
    let staging = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], TARGET, "");
    let staging = staging.expect("the bench has a node");
    cluster.apply(&colours("a: red, b: blue").replace("{ name", &place));
    let app = Deployment::plain("shop-cart");
    staging.merge_with_colours(2, &app, "a: red");
    let told = "what `kubectl-client-side-apply` wrote is ours from now on, and `.data.b` goes";
    let planned = staging.ends("plan staging", 0);
    assert!(planned.text().contains(told), "{}", planned.text());
    staging.ends("run staging", 0);
    assert_eq!(staging.kubectl(&["get", "configmap/colours", "--output=jsonpath={.data}"]), r#"{"a":"red"}"#);
    let records = staging.shop.records();
    let deployed = records.iter().find(|record| record.name.contains("staging-deploy-ok")).unwrap();
    let evidence = staging.ends(&format!("history evidence {} plan.json", deployed.predicate["seq"]), 0);
    assert!(evidence.stdout().contains(told), "{}", evidence.text());

    // The API server filled in how pods are replaced, and this strategy excludes it.
    staging.merge_with_colours(3, &app.spec("strategy: { type: Recreate }"), "a: green");
    let before = staging.written();
    let refused = staging.ends("run staging", 20);
    let field = "shop-cart: the cluster would not take Deployment/shop-cart: ";
    for told in [field, "spec.strategy.rollingUpdate", "nothing was deployed"] {
        assert!(refused.stderr().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
    assert_eq!(staging.written(), before);
    // What is printed helps.
    let (_, printed) = refused.stderr().split_once("`kubectl patch deployment shop-cart --namespace ").unwrap();
    let patch = printed.split('\'').nth(1).unwrap();
    staging.kubectl(&["patch", "deployment", "shop-cart", "--type=merge", "--patch", patch]);
    staging.ends("run staging", 0);
    let after = staging.written();
    let workload = |all: &str| all.lines().find(|line| line.starts_with("Deployment ")).unwrap().to_owned();
    let uid = |all: &str| workload(all).split(' ').nth(2).unwrap().to_owned();
    assert_eq!(uid(&after), uid(&before));
    assert!(workload(&after).ends_with(r#"{"type":"Recreate"}"#), "{after}");
    assert!(after.contains(r#"{"a":"green"}"#), "{after}");
}
