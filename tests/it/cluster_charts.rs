//! Charts of many styles on a real cluster, through a real helm 3 and a real helm 4.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use test_support::{Cluster, Image, bench};

use crate::chart_files::write_folder;
use crate::clusters::{ClusterShop, SERVES};
use crate::shop::Built;

/// The folders of `tests/charts` that can be deployed, and the chart of the example.
const STYLES: &[&str] = &[
    "cron",
    "digest",
    "elsewhere",
    "example",
    "global",
    "hooks",
    "label",
    "parent",
    "plain",
    "registry",
    "sidecar",
    "store",
    "string",
];

/// What the charts are told, beside those that take `image.repository` and `image.tag`.
fn overrides(dashboards: &str) -> String {
    let entries = [
        (
            "registry",
            r#"image-values: { image.registry: "{image.registry}", image.repository: "{image.path}", image.tag: "{image.tag}@{image.digest}" }"#,
        ),
        ("string", r#"image-values: { image: "{image.reference}" }"#),
        ("digest", r#"image-values: { image.repository: "{image.repository}", image.digest: "{image.digest}" }"#),
        (
            "global",
            r#"image-values: { global.imageRegistry: "{image.registry}", image.repository: "{image.path}", image.digest: "{image.digest}" }"#,
        ),
        (
            "label",
            r#"image-values: { image.repository: "{image.repository}", image.tag: "{image.tag}", image.digest: "{image.digest}" }"#,
        ),
        (
            "parent",
            r#"values: { cache: { image: "{image:shop-plain.reference}" }, mailer: { image: "{image:shop-string.reference}" } }"#,
        ),
        ("sidecar", r#"values: { proxy: "{image:shop-plain.reference}" }"#),
        ("elsewhere", &format!("values: {{ dashboards: {dashboards} }}")),
    ];
    let mut text = String::from("\n  overrides:");
    for (style, keys) in entries {
        write!(text, "\n  - match: services/shop-{style}\n    target: {{ {keys} }}").unwrap();
        if style == "elsewhere" {
            write!(text, "\n    namespaces: {{ allow: [{dashboards}] }}").unwrap();
        }
    }
    text
}

pub(crate) fn paths_of(styles: &[&str]) -> Vec<String> {
    let services = styles.iter().map(|style| format!("services/shop-{style}"));
    std::iter::once("ops/shop-dashboards".to_owned()).chain(services).collect()
}

impl ClusterShop<'_> {
    /// Puts a version of a service with the chart of a folder onto the branch of the developers; gives the digest.
    fn chart_version(&self, style: &str, version: u32) -> String {
        let service = format!("shop-{style}");
        let chart = match style {
            "example" => "../examples/shop/helm/services/shop-cart/chart".to_owned(),
            style => format!("charts/{style}"),
        };
        write_folder(&self.shop.service(&service), &chart, "chart");
        let commit = self.shop.new_version(&service, version, Built::No);
        let repository = format!("{}/{style}", self.namespace);
        let labels = [("org.opencontainers.image.revision", commit.as_str())];
        let tag = format!("main-{}", &commit[..7]);
        let digest = self.node.push(&Image { repository: &repository, tag: &tag, command: SERVES, labels: &labels });
        self.shop.clone_folder().gitlink(&format!("services/{service}"), &commit);
        digest
    }

    /// A new version of every service on its way to staging, up to the merge; gives the digests by style.
    fn merge_styles(&self, version: u32) -> BTreeMap<&'static str, String> {
        self.shop.work_on("dev");
        let digests = STYLES.iter().map(|style| (*style, self.chart_version(style, version))).collect();
        self.shop.commit_and_push("dev", &format!("version {version}"));
        self.shop.merge_dev();
        digests
    }

    /// Which digests the containers of the pods of a release run, those that are done included, as the kubelet says.
    fn digests_of(&self, pods: &str) -> BTreeSet<String> {
        let words = ["get", "pods", "--output=json", "--namespace", &self.namespace];
        let list: Value = serde_json::from_str(&self.cluster.kubectl(&words)).unwrap();
        let statuses = list["items"].as_array().unwrap().iter().filter(|pod| {
            let name = pod["metadata"]["name"].as_str().unwrap();
            name.starts_with(pods) && pod["metadata"]["deletionTimestamp"].is_null()
        });
        let containers = statuses.flat_map(|pod| {
            ["initContainerStatuses", "containerStatuses"].map(|key| pod["status"][key].as_array().cloned())
        });
        let ids = containers.flatten().flatten().map(|status| status["imageID"].as_str().unwrap().to_owned());
        ids.map(|id| id.rsplit_once('@').unwrap().1.to_owned()).collect()
    }

    /// What each style runs after a deployment: its own digest, and those of others that it is given.
    #[track_caller]
    fn all_run(&self, digests: &BTreeMap<&str, String>) {
        let of = |styles: &[&str]| styles.iter().map(|style| digests[style].clone()).collect::<BTreeSet<_>>();
        for style in STYLES {
            let wanted = match *style {
                "parent" => of(&["parent", "plain", "string"]),
                "sidecar" => of(&["sidecar", "plain"]),
                // Its day has not come.
                "cron" => BTreeSet::new(),
                own => of(&[own]),
            };
            assert_eq!(self.digests_of(&format!("shop-{style}-")), wanted, "{style}");
        }
        assert_eq!(self.digests_of("shop-store-0"), self.digests_of("shop-store-1"), "every replica");
        let cron = ["get", "cronjob", "shop-cron", "--output", "jsonpath={..containers[0].image}", "--namespace"];
        let image = self.cluster.kubectl(&[&cron[..], &[&self.namespace]].concat());
        assert!(image.ends_with(&digests["cron"]), "{image}");
    }
}

/// Helm 3 installs all of them in one wave; the next versions come by helm 4, which goes on from there.
#[test]
fn b9_d1_charts_of_every_style_run_the_locked_digests_by_helm_3_and_helm_4() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(helm_4) = bench::part_or_skip("helm4") else { return };
    let dashboards = cluster.namespace("dashboards");
    let target = format!("target: {{ kind: helm, chart: \"{{path}}/chart\" }}{}", overrides(&dashboards));
    let paths = paths_of(STYLES);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let Some(staging) = ClusterShop::with_target_or_skip(cluster, "helm3", &paths, &target) else { return };
    for number in 0..2 {
        // What a provisioner would make for the claims of the store.
        cluster.apply(&format!(
            "{{ apiVersion: v1, kind: PersistentVolume, metadata: {{ name: {namespace}-{number} }}, spec: {{ capacity: {{ storage: 1Mi \
             }}, accessModes: [ReadWriteOnce], storageClassName: standard, hostPath: {{ path: {folder}/{namespace}-{number}, type: \
             DirectoryOrCreate }}, claimRef: {{ namespace: {namespace}, name: data-shop-store-{number} }} }} }}",
            namespace = staging.namespace,
            folder = cluster.folder().display(),
        ));
    }
    cluster.apply(
        "{ apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: { name: standard }, provisioner: \
         kubernetes.io/no-provisioner }",
    );

    let first = staging.merge_styles(2);
    let ran = staging.ends("run staging", 0);
    assert!(ran.text().contains("Pod/shop-hooks-test is started by `helm test` only"), "{}", ran.text());
    staging.all_run(&first);
    staging.ends("verify staging", 0);
    let claims = ["get", "pvc", "--output=jsonpath={.items[*].metadata.uid}", "--namespace", &staging.namespace];
    let claims = || cluster.kubectl(&claims);
    let before = claims();
    assert_eq!(before.split(' ').count(), 2, "{before}");
    cluster.kubectl(&["get", "configmap", "shop-elsewhere-dashboard", "--namespace", &dashboards]);

    // The same lock again changes nothing.
    assert_eq!(staging.revisions(), STYLES.len());
    staging.ends("run staging", 0);
    assert_eq!(staging.revisions(), STYLES.len());

    let tool = staging.shop.join("tools/helm");
    fs::remove_file(&tool).unwrap();
    symlink(helm_4.program(), &tool).unwrap();
    let second = staging.merge_styles(3);
    assert!(STYLES.iter().all(|style| first[style] != second[style]), "{first:?} {second:?}");
    staging.ends("run staging", 0);
    staging.all_run(&second);
    staging.ends("verify staging", 0);
    assert_eq!(staging.revisions(), 2 * STYLES.len());
    assert_eq!(claims(), before, "volumes stay");
}
