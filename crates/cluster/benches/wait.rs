//! Waiting for many Deployments beside what people use today, in one run: `cargo bench -p orchestrator-cluster`.
//!
//! The nodes are fake, so that pods cost nothing and the API server has to tell of all of them at once. How long a wait
//! lags behind is measured against a `kubectl get --watch` beside it, whose lines get their time as they arrive.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::pending;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cluster::{Allowed, Awaited, Connection, Kind, Kubeconfig, ObjectKey, Patience, WaitEnd, WaitOptions};
use test_support::Cluster;
use test_support::bench::{self, Missing, Part};
use test_support::measure::{self, Mode, Quantity, Table, own_peak_memory, progress};

/// The longest time that a tool is waited for.
const TIME_LIMIT: Duration = Duration::from_secs(300);

fn main() {
    measure::run("cluster-wait", measure);
}

fn measure(mode: Mode, table: &mut Table) -> Result<(), Missing> {
    let count = mode.count(500, 5);
    let helms = [("helm 3", bench::part("helm3")?), ("helm 4", bench::part("helm4")?)];
    let kubectl = bench::part("kubectl")?;
    bench::part("kwok")?;
    let cluster = Cluster::start()?;
    if cluster.fake_nodes_or_skip(20).is_none() {
        return bench::part("kwok").map(drop);
    }
    progress(&format!("the wait of this crate, for {count} Deployments"));
    let (ours, requests, waited) = of_us(&cluster, count);
    let lag = Quantity::Time(ours);
    table.at_most(&format!("{count} Deployments: after the last is ready"), lag, None, seconds(1));
    let each_second = Quantity::Count(waited.as_secs());
    table.at_most("requests while it waits; one a second", Quantity::Count(requests), None, each_second);
    let memory = Quantity::Bytes(own_peak_memory());
    table.at_most("memory of the whole bench, which holds the wait", memory, None, Quantity::Bytes(150_000_000));
    for (name, part) in &helms {
        progress(&format!("{name} installs them and waits"));
        let theirs = of_helm(&cluster, part, count);
        beside(table, &format!("the same beside `{name}`: `upgrade --install --wait`"), lag, theirs);
    }
    progress("`kubectl rollout status`, one after another");
    let theirs = of_kubectl(&cluster, &kubectl, count);
    beside(table, "the same beside `kubectl rollout status`, one after another", lag, theirs);
    Ok(())
}

/// `None` for what did not come to its end in time.
fn beside(table: &mut Table, what: &str, ours: Quantity, theirs: Option<Duration>) {
    match theirs {
        Some(theirs) => table.beside(what, ours, Some(Quantity::Time(theirs))),
        None => table.beside(&format!("{what}: not within {} s", TIME_LIMIT.as_secs()), ours, None),
    }
}

fn seconds(number: u64) -> Quantity {
    Quantity::Time(Duration::from_secs(number))
}

/// Our wait, which begins before the objects are there: the time since the last Deployment was ready, and how many requests
/// it sent in which time.
fn of_us(cluster: &Cluster, count: usize) -> (Duration, u64, Duration) {
    let namespace = cluster.fake_namespace("ours");
    // Of no group that the API server exempts from its queues: so its requests can be told from those of the others.
    let rights = ["create", "clusterrolebinding", "waiter", "--clusterrole=cluster-admin", "--user=waiter"];
    cluster.kubectl(&rights);
    let kubeconfig =
        Kubeconfig::parse(cluster.kubeconfig_as("waiter", &[]).as_bytes(), None, &Allowed::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let connection = runtime.block_on(Connection::new(&kubeconfig, Patience::default())).unwrap();
    let awaited: Vec<Awaited> = (0..count)
        .map(|number| ObjectKey::namespaced(Kind::new("apps/v1", "Deployment"), &namespace, name(number)))
        .map(Awaited::named)
        .collect();
    let options = WaitOptions { time_limit: TIME_LIMIT, ..WaitOptions::default() };
    let observer = Observer::start(cluster, &namespace, count);
    let waiting = runtime.spawn(async move {
        let outcome = connection.wait(&awaited, &options, pending(), &|_| ()).await.unwrap();
        (outcome.end, Instant::now())
    });
    std::thread::sleep(Duration::from_secs(3));
    let (before, start) = (cluster.requests_of_users(), Instant::now());
    cluster.apply(&manifests(count, Some(&namespace)));
    let (end, at) = runtime.block_on(waiting).unwrap();
    assert_eq!(end, WaitEnd::Ready);
    let requests = cluster.requests_of_users() - before;
    (observer.lag(at), requests, at - start)
}

/// `helm upgrade --install --wait` of a chart of them all: the time since the last Deployment was ready.
fn of_helm(cluster: &Cluster, helm: &Part, count: usize) -> Option<Duration> {
    let namespace = cluster.fake_namespace("helm");
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("chart");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: many\nversion: 0.1.0\n").unwrap();
    std::fs::write(chart.join("templates/all.yaml"), manifests(count, None)).unwrap();
    let observer = Observer::start(cluster, &namespace, count);
    let mut command = helm.command();
    command.args(["upgrade", "many"]).arg(&chart).args([
        "--install",
        "--wait",
        "--timeout",
        &format!("{}s", TIME_LIMIT.as_secs()),
        "--namespace",
        &namespace,
    ]);
    command.arg("--kubeconfig").arg(cluster.kubeconfig_path()).env("HOME", folder.path());
    let output = command.output().unwrap();
    let at = Instant::now();
    let wrong = String::from_utf8_lossy(&output.stderr);
    // helm 4 holds its own requests back, and says that the next one would come too late.
    let late = ["deadline exceeded", "exceed context deadline", "timed out"].iter().any(|words| wrong.contains(words));
    assert!(output.status.success() || late, "{wrong}");
    output.status.success().then(|| observer.lag(at))
}

/// The same for what a script does: one `kubectl rollout status` after another.
fn of_kubectl(cluster: &Cluster, kubectl: &Part, count: usize) -> Option<Duration> {
    let namespace = cluster.fake_namespace("kubectl");
    let observer = Observer::start(cluster, &namespace, count);
    cluster.apply(&manifests(count, Some(&namespace)));
    let end = Instant::now() + TIME_LIMIT;
    for number in 0..count {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        rollout_status(kubectl, &cluster.kubeconfig_path(), &namespace, &name(number), left);
    }
    Some(observer.lag(Instant::now()))
}

fn rollout_status(kubectl: &Part, kubeconfig: &Path, namespace: &str, name: &str, limit: Duration) {
    let (deployment, timeout) = (format!("deployment/{name}"), format!("--timeout={}s", limit.as_secs().max(1)));
    let mut command = kubectl.command();
    command.arg("--kubeconfig").arg(kubeconfig).env("HOME", "/nonexistent");
    command.args(["rollout", "status", &deployment, &timeout, "--namespace", namespace]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn name(number: usize) -> String {
    format!("service-{number:03}")
}

fn manifests(count: usize, namespace: Option<&str>) -> String {
    let place = namespace.map_or_else(String::new, |namespace| format!(", namespace: {namespace}"));
    let mut text = String::new();
    for name in (0..count).map(name) {
        writeln!(
            text,
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {name}{place} }}\nspec:\n  selector: {{ matchLabels: \
             {{ app: {name} }} }}\n  template:\n    metadata: {{ labels: {{ app: {name} }} }}\n    spec: {{ containers: [{{ name: \
             app, image: \"r.example/{name}:1\" }}] }}"
        )
        .unwrap();
    }
    text
}

/// An independent watch that says when the last Deployment became ready.
struct Observer {
    kubectl: Child,
    reader: Option<JoinHandle<()>>,
    ready: mpsc::Receiver<Instant>,
}

impl Observer {
    fn start(cluster: &Cluster, namespace: &str, count: usize) -> Self {
        let part = bench::part("kubectl").unwrap();
        let mut command = part.command();
        command.arg("--kubeconfig").arg(cluster.kubeconfig_path()).env("HOME", "/nonexistent");
        command.args(["get", "deployments", "--watch", "--no-headers", "--namespace", namespace]);
        let mut kubectl = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(kubectl.stdout.take().unwrap()).lines();
        let (tell, ready) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut there = BTreeSet::new();
            for line in lines.map_while(Result::ok) {
                // NAME READY UP-TO-DATE AVAILABLE AGE
                let words: Vec<&str> = line.split_whitespace().collect();
                if let [name, "1/1", "1", "1", _] = words.as_slice()
                    && there.insert((*name).to_owned())
                    && there.len() == count
                {
                    tell.send(Instant::now()).ok();
                }
            }
        });
        Self { kubectl, reader: Some(reader), ready }
    }

    /// The time since the last Deployment was ready; zero where the observer heard of it later still.
    fn lag(self, at: Instant) -> Duration {
        let ready = self.ready.recv_timeout(Duration::from_secs(60)).unwrap();
        at.saturating_duration_since(ready)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.kubectl.kill().ok();
        self.kubectl.wait().ok();
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
    }
}
