//! The cluster of the tests: that it works as a whole, and that nothing of it stays behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use test_support::{Cluster, Image};

const PATIENCE: Duration = Duration::from_secs(90);

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_node_runs_what_was_pushed_under_the_digest_that_was_pushed() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(node) = cluster.node_or_skip() else { return };
    let serve = r#"mkdir /tmp/site; echo "hello, world" > /tmp/site/index.html; exec httpd -f -p 8080 -h /tmp/site"#;
    let image = Image {
        repository: "shop/web",
        tag: "1",
        command: &["sh", "-c", serve],
        labels: &[("shop.example/built", "yes")],
    };
    let digest = node.push(&image);
    let namespace = cluster.namespace("runs");
    let reference = format!("{}/shop/web@{digest}", node.registry());
    cluster.apply(&format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: {reference}
        readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: {namespace}}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"
    ));
    cluster.kubectl(&["rollout", "status", "deployment/web", "--namespace", &namespace, "--timeout=60s"]);
    let ids = "jsonpath={.items[*].status.containerStatuses[*].imageID}";
    let ids = cluster.kubectl(&["get", "pods", "--namespace", &namespace, "--output", ids]);
    assert_eq!(ids, reference);
    // The kubelet is asked through the API server, and the service through kube-proxy's rules.
    let said = cluster.kubectl(&["exec", "--namespace", &namespace, "deploy/web", "--", "cat", "/tmp/site/index.html"]);
    assert_eq!(said, "hello, world\n");
    let address = ["get", "service", "web", "--namespace", &namespace, "--output", "jsonpath={.spec.clusterIP}"];
    let address = cluster.kubectl(&address);
    wait_until("the service to answer", || cluster.reaches(&format!("{address}:80")));
}

#[test]
fn pods_of_a_fake_namespace_are_ready_without_a_kubelet() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(()) = cluster.fake_nodes_or_skip(2) else { return };
    let namespace = cluster.fake_namespace("fake");
    let digest = format!("registry.example/shop/web@sha256:{}", "a".repeat(64));
    let create = ["create", "deployment", "web", "--replicas=30", "--image", &digest, "--namespace", &namespace];
    cluster.kubectl(&create);
    cluster.kubectl(&["rollout", "status", "deployment/web", "--namespace", &namespace, "--timeout=60s"]);
    let ids = "jsonpath={.items[*].status.containerStatuses[*].imageID}";
    let ids = cluster.kubectl(&["get", "pods", "--namespace", &namespace, "--output", ids]);
    assert_eq!(ids.split(' ').filter(|id| *id == digest).count(), 30);
    let job = ["create", "job", "once", "--image", &digest, "--namespace", &namespace];
    cluster.kubectl(&job);
    cluster.kubectl(&["wait", "--for=condition=Complete", "job/once", "--namespace", &namespace, "--timeout=60s"]);
}

#[test]
fn a_user_has_the_rights_of_roles_and_no_more() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let namespace = cluster.namespace("rights");
    let role = ["create", "rolebinding", "look", "--clusterrole=view", "--user=ana", "--namespace", &namespace];
    cluster.kubectl(&role);
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    fs::write(kubeconfig.path(), cluster.kubeconfig_as("ana", &[])).unwrap();
    let kubeconfig = kubeconfig.path().to_str().unwrap();
    let may = |verb| {
        let words = ["auth", "can-i", verb, "pods", "--namespace", &namespace, "--kubeconfig", kubeconfig];
        cluster.try_kubectl(&words).is_ok()
    };
    assert!(may("list"));
    assert!(!may("create"));
}

/// What a cluster has on the machine.
struct Traces {
    folder: PathBuf,
    name: String,
    device: PathBuf,
    /// That of its processes: shims of containers have nothing else of it.
    namespace: PathBuf,
}

impl Traces {
    fn of(folder: &Path, server: &str) -> Self {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let number = server.split('.').nth(2).unwrap();
        let device = PathBuf::from(format!("/sys/class/net/orc{number}"));
        let own = namespace(Path::new("/proc/self"));
        let of_cluster = processes().into_iter().filter(|process| line(process).contains(&name));
        let namespace = of_cluster.filter_map(|process| namespace(&process)).find(|other| Some(other) != own.as_ref());
        Self { folder: folder.to_owned(), name, device, namespace: namespace.expect("its processes run") }
    }

    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        left.extend(self.folder.exists().then(|| self.folder.display().to_string()));
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(&self.name)).map(|line| format!("mount {line}")));
        let groups = fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path().join(&self.name));
        let groups = groups.chain([Path::new("/sys/fs/cgroup").join(&self.name)]);
        left.extend(groups.filter(|group| group.exists()).map(|group| format!("control group {}", group.display())));
        let of_cluster = |process: &PathBuf| {
            namespace(process).is_some_and(|other| other == self.namespace) || line(process).contains(&self.name)
        };
        let processes = processes().into_iter().filter(of_cluster);
        left.extend(processes.map(|process| format!("process {}", line(&process))));
        left
    }

    fn are_gone(&self) -> bool {
        // The kernel takes a network away a little later.
        self.left().is_empty() && !self.device.exists()
    }
}

fn processes() -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    entries.filter(|path| path.join("cmdline").is_file()).collect()
}

fn namespace(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/pid")).ok()
}

fn line(process: &Path) -> String {
    String::from_utf8_lossy(&fs::read(process.join("cmdline")).unwrap_or_default()).replace('\0', " ")
}

#[test]
fn a_test_that_panics_leaves_nothing_behind() {
    let Some(cluster) = Cluster::start_or_skip() else { return };
    let traces = Traces::of(cluster.folder(), &cluster.server());
    assert!(traces.device.exists());
    assert!(traces.left().iter().any(|trace| trace.contains("kube-scheduler")), "{:?}", traces.left());
    std::thread::spawn(move || {
        let _ended_by_the_panic = cluster;
        std::panic::panic_any("a test fails");
    })
    .join()
    .unwrap_err();
    assert_eq!(traces.left(), Vec::<String>::new());
    wait_until("the device to go away", || traces.are_gone());
}

/// Set for the process that is killed: the test program itself, with one test.
const KILLED: &str = "TEST_PROCESS_TO_KILL";

/// What that process does.
#[expect(clippy::print_stdout, reason = "the test that kills this process reads it")]
fn run_until_killed() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(node) = cluster.node_or_skip() else { return };
    let digest = node.push(&Image { repository: "shop/stays", tag: "1", command: &["sleep", "1000"], labels: &[] });
    let namespace = cluster.namespace("stays");
    let image = format!("{}/shop/stays@{digest}", node.registry());
    cluster.kubectl(&["run", "stays", "--image", &image, "--namespace", &namespace]);
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/stays", "--namespace", &namespace, "--timeout=60s"]);
    println!("\ncluster {} {}", cluster.folder().display(), cluster.server());
    std::thread::sleep(PATIENCE);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what is killed here is the test program itself")]
fn a_test_process_that_is_killed_leaves_nothing_behind() {
    use std::io::{BufRead as _, BufReader};
    if std::env::var_os(KILLED).is_some() {
        return run_until_killed();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "cluster::a_test_process_that_is_killed_leaves_nothing_behind", "--nocapture"]);
    command.env(KILLED, "1");
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = said.map(Result::unwrap).find(|line| line.starts_with("cluster "));
    let Some(line) = line else {
        // It was skipped, and has said why.
        assert!(process.wait().unwrap().success());
        return;
    };
    let mut words = line.split(' ').skip(1);
    let (folder, server) = (words.next().unwrap(), words.next().unwrap());
    let traces = Traces::of(Path::new(folder), server);
    assert!(traces.left().iter().any(|trace| trace.contains("containerd-shim")), "{:?}", traces.left());
    process.kill().unwrap();
    process.wait().unwrap();
    wait_until("everything to go away", || traces.are_gone());
}
