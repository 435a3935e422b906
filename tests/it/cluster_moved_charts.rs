//! A chart that asks the cluster, and a cluster that says something else after the plan was made.

use std::sync::atomic::{AtomicBool, Ordering};

use test_support::{Act, Cluster};

use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, SERVES, SERVICE, definition_of_kind, hook_job};
use crate::shop::wait_until;

const WEB: &str = "services/shop-web";

/// `WHEN` is true as soon as the cluster has changed.
const ASKS: &str = r"---
apiVersion: v1
kind: ConfigMap
metadata: { name: {{ .Release.Name }} }
data: { CHANGED: '{{ if WHEN }}yes{{ else }}no{{ end }}' }
";

/// Before the second wave is begun, the cluster says something else than when all of it was planned: the first one is there.
#[track_caller]
fn ends_half_done(cluster: &'static Cluster, when: &str, change: impl Fn(&str) + Send + Sync + 'static) {
    let submodules = [DASHBOARDS, SERVICE, WEB];
    let waves = "\n  waves: [\"**\", shop-web]";
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm4", &submodules, waves) else { return };
    staging.commit(WEB, 2, SERVES, &format!("{DEPLOYMENT}{}", ASKS.replace("WHEN", when)));
    staging.merge(2, SERVES);
    let (is_changed, namespace) = (AtomicBool::new(false), staging.namespace.clone());
    // The plan writes nothing; what is written first marks the namespace.
    let gate = cluster.gate_or_skip(move |line| {
        if line.starts_with("POST ") && line.contains("/secrets") && !is_changed.swap(true, Ordering::SeqCst) {
            change(&namespace);
        }
        Act::Pass
    });
    let Some(gate) = gate else { return };
    let helm = staging.count_helm();
    let ended = staging.ends_with(gate.kubeconfig(), "run staging", 21);
    for told in [
        "helm release `shop-web`",
        "`data.CHANGED` of ConfigMap/shop-web",
        "changed: shop-cart; not touched: shop-web",
        "nothing of it was changed; run the same command again",
    ] {
        assert!(ended.stderr().contains(told), "`{told}` is not in:\n{}", ended.text());
    }
    let started = std::fs::read_to_string(helm).unwrap();
    let upgrades = started.lines().filter(|line| *line == "upgrade shop-web").count();
    assert_eq!(upgrades, 2, "it was planned, and rendered again: {started}");
    let releases = staging.kubectl(&["get", "secret", "--selector=owner=helm", "--output=name"]);
    assert!(releases.contains("shop-cart.v1") && !releases.contains("shop-web"), "{releases}");
}

#[test]
fn t18_a_chart_that_looks_into_the_cluster_is_not_installed_once_it_finds_something_else() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    ends_half_done(cluster, r#"lookup "v1" "ConfigMap" .Release.Namespace "tide""#, move |namespace| {
        cluster.kubectl(&["create", "configmap", "tide", "--namespace", namespace]);
    });
}

/// helm stores all of a chart in one Secret, which the API server would refuse after the hooks have run.
#[test]
fn a_chart_that_helm_cannot_store_is_refused_before_anything_is_written() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    for helm in ["helm3", "helm4"] {
        let Some(staging) = ClusterShop::new_or_skip(cluster, helm) else { return };
        // Hexadecimal digits of which none says anything about the next.
        let digits = (0..60_000_u64).map(|number| {
            let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            format!("{:016x}", mixed ^ (mixed >> 31))
        });
        let large = digits.collect::<String>();
        let service = staging.shop.service("shop-cart");
        service.write("chart/files/one", &large);
        service.write("chart/files/two", large.chars().rev().collect::<String>());
        staging.merge(2, SERVES);
        let refused = staging.ends("run staging", 20);
        for told in
            ["a Secret holds 1048576; the largest files of its chart: `files/one` (960000 bytes)", "`.helmignore`"]
        {
            assert!(refused.text().contains(told), "{helm}: `{told}` is not in:\n{}", refused.text());
        }
        assert_eq!(staging.revisions(), 0, "{helm}");
        service.write("chart/.helmignore", "files/two\n");
        staging.merge(3, SERVES);
        staging.ends("run staging", 0);
    }
}

/// Its functions are all fixed; what it is told of the cluster is not.
#[test]
fn t18_a_chart_that_asks_for_kinds_is_not_installed_once_the_cluster_serves_others() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    ends_half_done(cluster, r#".Capabilities.APIVersions.Has "moved.example/v1""#, move |_| {
        cluster.apply(&definition_of_kind("moved.example", "Tide", "tide"));
        let words = ["api-resources", "--api-group=moved.example", "--output=name"];
        wait_until("the kind is served", || cluster.kubectl(&words).contains("tides"));
    });
    cluster.kubectl(&["delete", "customresourcedefinition", "tides.moved.example"]);
}

#[test]
fn a_chart_meets_the_cluster_before_anything_is_written() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let refused = |version: u32, more: &str, told: &[&str]| {
        staging.merge_chart(version, SERVES, &format!("{DEPLOYMENT}{more}"));
        let refused = staging.ends("run staging", 20);
        for told in told {
            assert!(refused.text().contains(told), "`{told}` is not in:\n{}", refused.text());
        }
    };
    let job = hook_job("post-install,post-upgrade", "true");
    refused(2, &job.replace("labels: {", "labels: { x: true,"), &["would not take hook Job/shop-cart-migrate", "x"]);
    let map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: taken }\n";
    refused(
        3,
        &format!("{map}data: {{ A: '{{{{ .Release.Revision }}}}' }}\n"),
        &["`data.A` of ConfigMap/taken", "`.Release.Revision`"],
    );
    staging.kubectl(&["create", "configmap", "taken", "--from-literal=A=1"]);
    refused(
        4,
        map,
        &["ConfigMap/taken is there", "no helm release, and was written by `kubectl-create`", "kubectl annotate"],
    );
    assert_eq!(staging.revisions(), 0);
    let annotations = [
        "meta.helm.sh/release-name=shop-cart".to_owned(),
        format!("meta.helm.sh/release-namespace={}", staging.namespace),
    ];
    staging.kubectl(&["label", "configmap", "taken", "app.kubernetes.io/managed-by=Helm"]);
    staging.kubectl(&["annotate", "configmap", "taken", &annotations[0], &annotations[1]]);
    // A hook that is there is tried beside it, and a chart may get another name.
    staging.merge_chart(5, SERVES, &format!("{DEPLOYMENT}{map}{job}"));
    staging.ends("run staging", 0);
    let app = format!("{DEPLOYMENT}{map}{}", hook_job("post-install,post-upgrade", "exit 0"));
    let chart = "apiVersion: v2\nname: acme-cart\nversion: 0.1.0\n";
    staging.commit_files(SERVICE, 6, SERVES, &[("chart/Chart.yaml", chart), ("chart/templates/app.yaml", &app)]);
    staging.shop.merge_dev();
    staging.ends("run staging", 0);
    staging.ends("verify staging", 0);
}
