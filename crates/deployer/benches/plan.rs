//! The plan of many plain manifests on a real API server: `cargo bench -p deployer --bench plan`.
//!
//! 500 services of three objects each are deployed; then ten of them change, and the deployment is planned again. Beside it
//! stands `kubectl diff --server-side` for the same manifests, which a user would run instead.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should panic")]

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use deployer::apply::ConflictRule;
use deployer::cluster::{Allowed, Kubeconfig};
use deployer::git::process::Interrupt;
use deployer::{ApplyOptions, ApplyTarget, DeployRequest, DeployService, EnvironmentNamespace, Plan, Target, Wave};
use lock_model::Timestamp;
use test_support::Cluster;
use test_support::bench::{self, Missing};
use test_support::measure::{self, Mode, Quantity, Table, fastest, progress};

/// How many services have another version the second time.
const CHANGED: usize = 10;

fn main() {
    measure::run("plan", measure);
}

fn measure(mode: Mode, table: &mut Table) -> Result<(), Missing> {
    let count = mode.count(500, 12);
    let kubectl = bench::part("kubectl")?;
    bench::part("kwok")?;
    let cluster = Cluster::start()?;
    if cluster.fake_nodes_or_skip(20).is_none() {
        return bench::part("kwok").map(drop);
    }
    progress(&format!("the first deployment of {count} services"));
    let staging = Staging::new(&cluster);
    let first = staging.request(count, 0);
    staging.deploy(&first);
    progress("its plans");
    let second = staging.request(count, CHANGED);
    let runs = mode.choose(5, 1);
    let ours = fastest(runs, || assert_eq!(staging.plan(&second).changes.len(), CHANGED));
    let nothing = fastest(runs, || assert!(staging.plan(&first).changes.is_empty()));

    progress("`kubectl diff --server-side`");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, manifests(count, CHANGED).concat()).unwrap();
    let theirs = fastest(1, || {
        let mut command = kubectl.command();
        command.arg("--kubeconfig").arg(cluster.kubeconfig_path()).env("HOME", folder.path());
        command.args(["diff", "--server-side", "--force-conflicts", "--namespace", &staging.namespace, "--filename"]);
        let status = command.arg(&file).env("PATH", "/usr/bin:/bin").stdout(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(1), "it finds a difference");
    });
    let [ours, nothing, theirs] = [ours, nothing, theirs].map(Quantity::Time);
    let limit = Quantity::Time(Duration::from_secs(10));
    let what = format!("plan of {count} services of three objects, {CHANGED} changed; `kubectl diff --server-side`");
    table.at_most(&what, ours, Some(theirs), limit);
    table.beside("the same where nothing changed", nothing, None);
    Ok(())
}

/// An environment in a namespace of its own.
struct Staging {
    namespace: String,
    runtime: tokio::runtime::Runtime,
    target: Target,
}

impl Staging {
    fn new(cluster: &Cluster) -> Self {
        let namespace = cluster.fake_namespace("plan");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let kubeconfig = Kubeconfig::parse(cluster.kubeconfig().as_bytes(), None, &Allowed::default()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(1800);
        let opened = EnvironmentNamespace::new(&kubeconfig, &namespace, "forge/shop", deadline, Interrupt::new());
        let opened = runtime.block_on(opened).unwrap();
        let target = Target::Apply(ApplyTarget::new(
            deployer::ProgramSearch::new(""),
            opened,
            ConflictRule::new(BTreeSet::new()),
        ));
        Self { namespace, runtime, target }
    }

    /// All services; the first few have another version of their configuration.
    fn request(&self, count: usize, changed: usize) -> DeployRequest {
        let id = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let mut request = DeployRequest::new(
            "staging".parse().unwrap(),
            self.namespace.clone(),
            id("a").parse().unwrap(),
            id("b").parse().unwrap(),
            "c".repeat(40).parse().unwrap(),
        );
        request.waves = vec![Wave { at_once: 100, pause: Duration::ZERO }];
        let services = manifests(count, changed).into_iter().enumerate().map(|(number, text)| {
            let mut service = DeployService::new(name(number).try_into().unwrap());
            service.files = vec![("all.yaml".to_owned(), text.into_bytes())];
            service
        });
        request.services = services.collect();
        request
    }

    fn plan(&self, request: &DeployRequest) -> Plan {
        self.runtime.block_on(self.target.plan(request)).unwrap()
    }

    fn deploy(&self, request: &DeployRequest) {
        let plan = self.plan(request);
        let options = ApplyOptions::new("lena", Timestamp::from_unix_seconds(1_800_000_000));
        self.runtime.block_on(self.target.apply(&plan, &options, &|_| ())).unwrap();
    }
}

fn name(number: usize) -> String {
    format!("service-{number:03}")
}

/// The manifests of each service.
fn manifests(count: usize, changed: usize) -> Vec<String> {
    let one = |number: usize| {
        let (name, version) = (name(number), if number < changed { 2 } else { 1 });
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ VERSION: '{version}' }}\n---\napiVersion: \
             v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec: {{ selector: {{ app: {name} }}, ports: [{{ port: 80 }}] }}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {name} }}\nspec:\n  selector: {{ matchLabels: {{ app: {name} }} \
             }}\n  template:\n    metadata: {{ labels: {{ app: {name} }} }}\n    spec: {{ containers: [{{ name: app, image: \
             \"r.example/{name}:1\" }}] }}\n"
        )
    };
    (0..count).map(one).collect()
}
