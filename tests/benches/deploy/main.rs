//! A lock on its way to a real node, beside the way that a script would take: `cargo bench -p system-tests --bench deploy`.
//!
//! The floor is the same objects by one `kubectl apply`, in a namespace of its own, with images that the node has already.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should panic")]
#![expect(clippy::string_slice, reason = "names and commits are ASCII")]

#[path = "../../it/chart_files.rs"]
mod chart_files;
#[path = "../../it/clusters.rs"]
#[expect(dead_code, reason = "the system tests need more of it")]
mod clusters;
#[path = "../../it/first_user.rs"]
#[expect(dead_code, reason = "the system tests need more of it")]
mod first_user;
mod nine;
#[path = "../../it/shop/mod.rs"]
#[expect(dead_code, reason = "the system tests need more of it")]
mod shop;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use test_support::Cluster;
use test_support::bench::{self, Missing, Part};
use test_support::measure::{self, Mode, Quantity, Table, fastest};

use crate::clusters::{ClusterShop, DEPLOYMENT, SERVES};

/// The version of each service that is deployed first.
const FIRST: u32 = 2;

fn main() {
    measure::run("deploy", measure);
}

fn measure(mode: Mode, table: &mut Table) -> Result<(), Missing> {
    let helm = bench::part("helm4")?;
    let cluster = Cluster::shared_or_skip().ok_or_else(|| bench::part("kubelet").unwrap_err())?;
    nine::measure(mode, cluster, table)?;
    nine_bare(mode, cluster, &helm, table);
    one_of_twenty(mode, cluster, table);
    Ok(())
}

/// Nine services that are new, each no more than a Deployment that is ready at once: what is left to differ is the time of
/// the programs.
fn nine_bare(mode: Mode, cluster: &'static Cluster, helm: &Part, table: &mut Table) {
    let (mut floor, mut script, mut ours) = (Duration::MAX, Duration::MAX, Duration::MAX);
    // All three turn and turn about, with namespaces, images and releases of their own.
    for _ in 0..mode.choose(3, 1) {
        let Some(mut train) = Train::new_or_skip(cluster, mode.choose(9, 2)) else { return };
        train.floor("cold");
        floor = floor.min(train.floor("floor"));
        script = script.min(train.script(helm));
        ours = ours.min(fastest(1, || drop(train.staging.ends_with(&train.kubeconfig, "run staging", 0))));
        train.remove();
    }
    let what = "nine new services that are bare Deployments; `helm upgrade` one after another, `kubectl wait`";
    table.at_most(what, Quantity::Time(ours), Some(Quantity::Time(script)), Quantity::Time(floor + seconds(8)));
    table.beside("the same objects by one `kubectl apply`: the floor", Quantity::Time(floor), None);
}

/// One of twenty services has a new version.
fn one_of_twenty(mode: Mode, cluster: &'static Cluster, table: &mut Table) {
    let Some(mut train) = Train::new_or_skip(cluster, mode.choose(20, 3)) else { return };
    let count = train.services.len();
    train.floor("twenty");
    train.staging.ends_with(&train.kubeconfig, "run staging", 0);
    train.change_first();
    // Once in a namespace that is thrown away, so that the node has the image.
    train.floor("pulled");
    let first = train.services.keys().next().unwrap().clone();
    let namespace = train.others.last().unwrap().clone();
    let object = deployment(&first, &train.services[&first]).replace("app: SELF", "app: SELF, restarted: \"1\"");
    let floor = fastest(1, || {
        cluster.apply(&within(&object, &namespace));
        cluster.kubectl(&["rollout", "status", &format!("deployment/{first}"), "--namespace", &namespace]);
    });
    let ours = fastest(1, || drop(train.staging.ends_with(&train.kubeconfig, "run staging", 0)));
    let what = format!("one of {count} services changed, the whole run");
    table.at_most(&what, Quantity::Time(ours), None, Quantity::Time(floor + seconds(3)));
    table.beside("its rollout by `kubectl apply`: the floor", Quantity::Time(floor), None);
}

impl shop::Shop {
    /// What a part of the shop asks for that the system tests have elsewhere.
    fn json(&self, line: &str, code: i32) -> serde_json::Value {
        let finished = self.ends(&format!("--format json {line}"), code);
        let document: serde_json::Value = serde_json::from_str(finished.stdout()).unwrap();
        document["result"].clone()
    }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// A shop whose staging is a namespace of the cluster, with a new version of each service merged.
struct Train {
    staging: ClusterShop<'static>,
    cluster: &'static Cluster,
    /// The locked image of each service.
    services: BTreeMap<String, String>,
    kubeconfig: String,
    /// Namespaces beside that of staging.
    others: Vec<String>,
}

impl Train {
    fn new_or_skip(cluster: &'static Cluster, count: usize) -> Option<Self> {
        let names: Vec<String> = (0..count).map(|number| format!("services/shop-s{number:02}")).collect();
        let mut paths: Vec<&str> = names.iter().map(String::as_str).collect();
        paths.push("ops/shop-dashboards");
        let staging =
            ClusterShop::with_or_skip(cluster, "helm4", &paths, "\n  waves: [{ match: \"**\", at-once: 9 }]")?;
        let (_, kubeconfig) = staging.counted_user();
        let mut train = Self { staging, cluster, services: BTreeMap::new(), kubeconfig, others: Vec::new() };
        for path in names {
            train.commit(&path, FIRST);
        }
        train.staging.shop.merge_dev();
        Some(train)
    }

    fn commit(&mut self, path: &str, version: u32) {
        let digest = self.staging.commit(path, version, SERVES, DEPLOYMENT);
        let name = path.rsplit('/').next().unwrap();
        let repository = format!("{}/{}/{}", self.staging.node().registry(), self.staging.namespace, &name[5..]);
        self.services.insert(name.to_owned(), format!("{repository}@{digest}"));
    }

    fn change_first(&mut self) {
        self.commit("services/shop-s00", FIRST + 1);
        self.staging.shop.merge_dev();
    }

    /// The same objects by one `kubectl apply`, to the last that is ready.
    fn floor(&mut self, hint: &str) -> Duration {
        let namespace = self.cluster.namespace(hint);
        let objects: String =
            self.services.iter().map(|(name, image)| within(&deployment(name, image), &namespace)).collect();
        let time = fastest(1, || {
            self.cluster.apply(&objects);
            self.wait(&namespace);
        });
        self.others.push(namespace);
        time
    }

    /// Removes what runs on the node, which has room for a hundred pods.
    fn remove(self) {
        let namespaces = self.others.iter().chain([&self.staging.namespace]).map(String::as_str);
        let words: Vec<&str> = ["delete", "namespace"].into_iter().chain(namespaces).collect();
        self.cluster.kubectl(&words);
    }

    fn wait(&self, namespace: &str) {
        let words = ["wait", "deployment", "--all", "--for=condition=Available", "--timeout=120s", "--namespace"];
        self.cluster.kubectl(&[&words[..], &[namespace]].concat());
    }

    /// What a script does: `helm upgrade` for one after another, and then a wait for all.
    fn script(&mut self, helm: &Part) -> Duration {
        let namespace = self.cluster.namespace("script");
        self.others.push(namespace.clone());
        let folder = self.staging.shop.join("script-chart");
        fs::create_dir_all(folder.join("templates")).unwrap();
        fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: service\nversion: 0.1.0\n").unwrap();
        fs::write(folder.join("templates/app.yaml"), DEPLOYMENT).unwrap();
        let start = Instant::now();
        for (name, image) in &self.services {
            let (repository, digest) = image.split_once('@').unwrap();
            let mut command = helm.command();
            command.args(["upgrade", "--install", name]).arg(&folder).args(["--namespace", &namespace]);
            // The digest as `repository:tag` has it.
            command.args([
                "--set",
                &format!("image.repository={repository}"),
                "--set",
                &format!("image.tag=any@{digest}"),
            ]);
            command.arg("--kubeconfig").arg(self.cluster.kubeconfig_path()).env("HOME", self.staging.shop.join("home"));
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        self.wait(&namespace);
        start.elapsed()
    }
}

/// The Deployment of the chart, as helm renders it.
fn deployment(name: &str, image: &str) -> String {
    DEPLOYMENT
        .replace("app: {{ .Release.Name }} } }\n    spec", "app: SELF } }\n    spec")
        .replace("{{ .Release.Name }}", name)
        .replace("{{ .Values.image.repository }}:{{ .Values.image.tag }}", image)
}

fn within(object: &str, namespace: &str) -> String {
    let name = object.split("metadata: { name: ").nth(1).unwrap().split(' ').next().unwrap();
    let placed = object.replacen("metadata: { name: ", &format!("metadata: {{ namespace: {namespace}, name: "), 1);
    format!("---\n{}", placed.replace("SELF", name))
}
