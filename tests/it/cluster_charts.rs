//! Charts of many styles on a real cluster, through a real helm 3 and a real helm 4; and those that are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use test_support::{Cluster, Image, bench};

use crate::chart_files::write_folder;
use crate::clusters::{ClusterShop, SERVES};
use crate::shop::{Built, CONFIGURATION, Shop};

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

fn paths_of(styles: &[&str]) -> Vec<String> {
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

/// The charts that need to be told something, in a shop whose target tells them nothing.
const UNTOLD: [&str; 10] =
    ["clock", "digest", "elsewhere", "global", "label", "parent", "plain", "registry", "sidecar", "string"];

const RENDER: &str =
    r#"target: { kind: render, source: "{path}/deploy", branch: "deploy/{mode}", folder: "rendered/{mode}" }"#;
const UNTOLD_TARGET: &str = "kubeconfig: { env: SHOP_KUBECONFIG }\n  target: { kind: helm, chart: \"{path}/chart\" }";

/// That shop with the charts on the branch of the developers, and a search path with a helm; or the running test is skipped.
fn untold_or_skip(helm: &str) -> Option<(Shop, std::ffi::OsString)> {
    let helm = bench::part_or_skip(helm)?;
    let paths = paths_of(&UNTOLD);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let shop = Shop::with_services(&paths, &CONFIGURATION.replace(RENDER, UNTOLD_TARGET));
    let tools = shop.join("tools");
    fs::create_dir(&tools).unwrap();
    symlink(helm.program(), tools.join("helm")).unwrap();
    shop.work_on("dev");
    for style in UNTOLD {
        let service = format!("shop-{style}");
        write_folder(&shop.service(&service), &format!("charts/{style}"), "chart");
        shop.clone_folder().gitlink(&format!("services/{service}"), &shop.new_version(&service, 2, Built::Yes));
    }
    shop.commit_and_push("dev", "charts");
    let mut search_path = tools.into_os_string();
    search_path.push(":");
    search_path.push(test_support::search_path());
    Some((shop, search_path))
}

/// Charts that are told nothing of their style: all of them are named at once, each with what it would run and the values
/// that fit it, before anything is deployed. No cluster is asked.
#[track_caller]
fn refuses(helm: &str) {
    let Some((shop, search_path)) = untold_or_skip(helm) else { return };
    let number = shop.open();
    let refused =
        shop.orchestrator(&format!("lock publish --pr {number}")).search_path(search_path).run().expect_code(20);
    // Cells of a table: words with one space between them.
    let text = refused.text().split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "shop-clock: its chart is rendered differently each time: Deployment/shop-clock-",
        "shop-elsewhere: `metadata.namespace` of ConfigMap/shop-elsewhere-dashboard is `monitoring`",
        "shop-global: no container of it runs `registry.example/shop/global:main-",
        "shop-label: label `app.kubernetes.io/version` of Deployment/shop-label would be `main-",
        "shop-parent: `spec.template.spec.containers[0].image` of Deployment/shop-parent-mailer is \
         `registry.example/shop/plain:latest`, locked is `registry.example/shop/plain:main-",
        "shop-registry: no container of it runs `registry.example/shop/registry:main-",
        "shop-sidecar: `spec.template.spec.initContainers[1].image` of Deployment/shop-sidecar is \
         `registry.example/shop/plain:latest`, locked is `registry.example/shop/plain:main-",
        "shop-string: `spec.template.spec.containers[0].image` of Deployment/shop-string is `map[",
        "hint: name the paths of the chart's values that its images come from in `target.image-values`",
        "hint: leave the namespace out of the chart, or name it in `environments.staging.namespaces.allow`",
        "hint: take the time, chance and `lookup` out of the chart",
        "hint: the chart of `shop-label` takes its digest with this entry of `environments.staging.overrides`, as rendering it in \
         every known way has shown: - { match: \"services/shop-label\", target: { image-values: { image.repository: \
         \"{image.repository}\", image.tag: \"{image.tag}\", image.digest: \"{image.digest}\" } } }",
        "- { match: \"services/shop-string\", target: { image-values: { image: \"{image.reference}\" } } }",
    ] {
        assert!(text.contains(line), "`{line}` is not in:\n{text}");
    }
    // Both of these take the tag with its digest.
    assert!(!text.contains("shop-digest:") && !text.contains("shop-plain: "), "{text}");
}

#[test]
fn t18_p29_charts_that_are_not_told_their_style_are_refused_by_name_with_helm_3() {
    refuses("helm3");
}

#[test]
fn t18_p29_charts_that_are_not_told_their_style_are_refused_by_name_with_helm_4() {
    refuses("helm4");
}

/// What is printed can be pasted: with it, every chart gets its image.
#[test]
fn p29_charts_are_suggested_the_values_that_give_them_their_images() {
    let Some((shop, search_path)) = untold_or_skip("helm4") else { return };
    let check = |line: &str, code| shop.orchestrator(line).search_path(search_path.clone()).run().expect_code(code);
    check("config check --rev dev", 0);
    let charts = |code| -> Vec<Value> {
        let found = check("--format json config check --rev dev --suggest", code);
        let report: Value = serde_json::from_str(found.stdout()).unwrap();
        report["result"]["chart_images"].as_array().unwrap().clone()
    };
    let found = charts(1);
    assert_eq!(found.len(), 2 * UNTOLD.len(), "two environments: {found:?}");
    let of_staging: Vec<&Value> = found.iter().filter(|chart| chart["environment"] == "staging").collect();
    let with = |image: &str| -> Vec<&str> {
        let services = of_staging.iter().filter(|chart| chart["image"] == image);
        services.map(|chart| chart["service"].as_str().unwrap()).collect()
    };
    assert_eq!(with("other_values"), ["shop-global", "shop-label", "shop-registry", "shop-string"], "{found:?}");
    assert_eq!(with("locked").len(), UNTOLD.len() - 4, "{found:?}");

    let text = check("config check --rev dev --suggest", 1);
    let entries: Vec<&str> = of_staging.iter().filter_map(|chart| chart["overrides"].as_str()).collect();
    for entry in &entries {
        assert!(text.stdout().contains(&format!("\n    {entry}\n")), "`{entry}` is not in:\n{}", text.stdout());
    }
    let locked_only = "locked-only: { reason: no container of its own }";
    let pasted = CONFIGURATION
        .replace(RENDER, UNTOLD_TARGET)
        .replace(locked_only, &format!("{locked_only}\n  overrides:\n  {}", entries.join("\n  ")));
    shop.work_on("dev").write("orchestrator.yaml", pasted);
    shop.commit_and_push("dev", "overrides as suggested");
    let found = charts(0);
    assert!(found.iter().all(|chart| chart["image"] == "locked"), "{found:?}");
}
