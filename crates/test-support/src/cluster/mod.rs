//! A Kubernetes cluster: a real control plane, and on request a real node, and nodes that kwok pretends.
//!
//! It lives in namespaces of its own (see [`space`]), so that nothing of it stays behind. Starting the control plane
//! takes some four seconds, a node one or two more; tests share one cluster of their process where they can, each with
//! a namespace of its own.

mod certificates;
mod gate;
mod images;
mod kwok;
mod node;
mod space;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use gate::{Act, Gate};
pub use images::Image;
pub use node::Node;

use crate::bench::{self, Missing, Part};
use crate::test_times;
pub(crate) use certificates::Authority;
use kwok::Kwok;
use space::{Network, Space};

/// How long a part of the cluster may take to be ready, on a machine that builds beside it.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running cluster; it ends when this is dropped, or with the test process.
#[derive(Debug)]
pub struct Cluster {
    // Before the space: a node has a registry that runs in it.
    node: OnceLock<Result<Node, Missing>>,
    kwok: OnceLock<Result<Kwok, Missing>>,
    space: Space,
    authority: Authority,
    parts: Parts,
    kubeconfig: String,
    namespaces: AtomicU32,
}

/// The programs of a control plane.
#[derive(Debug)]
struct Parts {
    etcd: Part,
    api_server: Part,
    controller_manager: Part,
    scheduler: Part,
    kubectl: Part,
}

impl Cluster {
    /// Starts a control plane without nodes, once its controllers work.
    pub fn start() -> Result<Self, Missing> {
        let parts = Parts {
            etcd: bench::part("etcd")?,
            api_server: bench::part("kube-apiserver")?,
            controller_manager: bench::part("kube-controller-manager")?,
            scheduler: bench::part("kube-scheduler")?,
            kubectl: bench::part("kubectl")?,
        };
        let openssl = bench::part("openssl")?;
        let space = Space::open()?;
        let authority = Authority::new(openssl, space.join("pki"));
        // The first address of the services is that of the API server inside.
        let inside = ["IP:10.96.0.1", "DNS:kubernetes.default", "DNS:kubernetes.default.svc"];
        authority.server("kube-apiserver", space.address(), &inside);
        let mut cluster = Self {
            node: OnceLock::new(),
            kwok: OnceLock::new(),
            space,
            authority,
            parts,
            kubeconfig: String::new(),
            namespaces: AtomicU32::new(0),
        };
        cluster.kubeconfig = cluster.kubeconfig_as("bench-admin", &["system:masters"]);
        cluster.write("kubeconfig", &cluster.kubeconfig);
        cluster.start_etcd();
        cluster.start_api_server();
        cluster.start_controllers();
        cluster.wait_for("the controllers", "kube-controller-manager", || {
            cluster.try_kubectl(&["get", "serviceaccount", "default", "--namespace", "default"]).is_ok()
        });
        Ok(cluster)
    }

    /// Starts a control plane, or reports the running test as skipped.
    pub fn start_or_skip() -> Option<Self> {
        bench::or_skip(Self::start())
    }

    /// The one cluster of this test process, or the running test is reported as skipped. Tests share it, each with
    /// namespaces of its own.
    pub fn shared_or_skip() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<Cluster, Missing>> = OnceLock::new();
        test_times::measure();
        bench::or_skip(SHARED.get_or_init(Self::start).as_ref().map_err(Missing::clone))
    }

    /// Its real node, started when it is asked for the first time, or the running test is reported as skipped.
    pub fn node_or_skip(&self) -> Option<&Node> {
        bench::or_skip(self.node.get_or_init(|| Node::start(self)).as_ref().map_err(Missing::clone))
    }

    /// Adds nodes that only pretend, or reports the running test as skipped. Pods get there from namespaces that
    /// [`Cluster::fake_namespace`] made.
    pub fn fake_nodes_or_skip(&self, count: u32) -> Option<()> {
        let kwok = bench::or_skip(self.kwok.get_or_init(|| Kwok::start(self)).as_ref().map_err(Missing::clone))?;
        kwok.add_nodes(self, count);
        Some(())
    }

    /// The URL of its API server.
    pub fn server(&self) -> String {
        format!("https://{}:6443", self.space.address())
    }

    /// The kubeconfig of an administrator, without references to files.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// The file that [`Cluster::kubeconfig`] lies in.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.space.join("kubeconfig")
    }

    /// A kubeconfig for another user, who may do what roles give to the user and the groups.
    pub fn kubeconfig_as(&self, user: &str, groups: &[&str]) -> String {
        self.authority.kubeconfig(&self.server(), user, groups)
    }

    /// Makes a namespace whose name no other test has, once pods can be made in it.
    pub fn namespace(&self, hint: &str) -> String {
        self.namespace_with(hint, "")
    }

    /// The same, and all its pods run on nodes that only pretend, whatever their specifications say.
    pub fn fake_namespace(&self, hint: &str) -> String {
        self.namespace_with(hint, kwok::CLAIM)
    }

    /// The same with annotations, as lines of YAML.
    fn namespace_with(&self, hint: &str, annotations: &str) -> String {
        let name = format!("{hint}-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        // With its service account, which pods cannot do without and a controller would make later.
        let objects = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  annotations: {{{annotations}}}\n---\n\
             apiVersion: v1\nkind: ServiceAccount\nmetadata: {{ name: default, namespace: {name} }}\n"
        );
        // By the server: the controller may make it at the same time.
        self.apply_with(&["--server-side", "--validate=false"], &objects);
        name
    }

    /// Runs kubectl as administrator and gives its standard output; a failure is a panic that shows everything.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Runs kubectl as administrator; a failure is what it wrote.
    pub fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        space::run(self.kubectl_command().args(args))
    }

    /// How many requests the API server has let through for users of [`Cluster::kubeconfig_as`] that are in no group.
    ///
    /// Administrators are exempt from its queues, and controllers have queues of their own.
    pub fn requests_of_users(&self) -> u64 {
        self.requests_in("global-default")
    }

    /// How many requests the API server has let through by a flow schema.
    fn requests_in(&self, flow_schema: &str) -> u64 {
        let metrics = self.kubectl(&["get", "--raw", "/metrics"]);
        let label = format!("flow_schema=\"{flow_schema}\"");
        let lines = metrics.lines().filter(|line| {
            line.starts_with("apiserver_flowcontrol_dispatched_requests_total") && line.contains(&label)
        });
        let counts = lines.filter_map(|line| line.rsplit_once(' '));
        counts.map(|(_, count)| count.parse::<u64>().expect("the API server counts requests")).sum()
    }

    /// Counts the requests of a user of [`Cluster::kubeconfig_as`] from now on, apart from those of others.
    pub fn count_requests_of(&self, user: &str) {
        self.apply(&format!(
            "apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {{ name: count-{user} }}
spec:
  priorityLevelConfiguration: {{ name: global-default }}
  matchingPrecedence: 500
  distinguisherMethod: {{ type: ByUser }}
  rules:
  - subjects: [{{ kind: User, user: {{ name: {user} }} }}]
    resourceRules: [{{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }}]
    nonResourceRules: [{{ verbs: ['*'], nonResourceURLs: ['*'] }}]
"
        ));
        // The API server says so once it sorts requests by it.
        let schema = format!("flowschema/count-{user}");
        self.kubectl(&["wait", "--for=condition=Dangling=False", &schema, "--timeout=30s"]);
    }

    /// How many requests [`Cluster::count_requests_of`] has counted for a user.
    pub fn requests_of(&self, user: &str) -> u64 {
        self.requests_in(&format!("count-{user}"))
    }

    /// Applies objects, as YAML documents; a failure is a panic.
    #[track_caller]
    pub fn apply(&self, objects: &str) {
        self.apply_with(&[], objects);
    }

    #[track_caller]
    fn apply_with(&self, flags: &[&str], objects: &str) {
        let mut command = self.kubectl_command();
        command
            .args(["apply", "--filename", "-"])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        child.stdin.take().expect("it is piped").write_all(objects.as_bytes()).expect("kubectl reads");
        let output = child.wait_with_output().expect("kubectl is a child of ours");
        assert!(output.status.success(), "{}\n{objects}", String::from_utf8_lossy(&output.stderr));
    }

    /// Whether something inside listens at an address (`10.96.0.1:443`): a pod, or a service of a node.
    pub fn reaches(&self, address: &str) -> bool {
        // What nothing answers is waited for by the kernel, for minutes.
        let connect = r#"exec timeout 2 bash -c ': <>"/dev/tcp/${0%:*}/${0#*:}"' "$0""#;
        space::run(self.space.enter(Network::Own).args(["bash", "-c", connect, address])).is_ok()
    }

    /// Kills the API server: every watch is cut, and new connections are refused.
    ///
    /// For a cluster of the test's own: others would see it too.
    pub fn stop_api_server(&self) {
        self.space.kill("kube-apiserver");
    }

    /// Starts the API server again, at the same address and with what was stored, once it is ready.
    pub fn start_api_server(&self) {
        let mut command = self.space.command(&self.parts.api_server, "kube-apiserver", Network::Own);
        command.args([
            "--etcd-servers=http://127.0.0.1:2379",
            "--secure-port=6443",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",
            // Without nodes there is nothing to send to the address of the service `kubernetes`.
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--kubelet-preferred-address-types=InternalIP",
            // A namespace can send its pods to the nodes that only pretend.
            "--enable-admission-plugins=PodNodeSelector,PodTolerationRestriction",
            // Admission rules that change pods, without a web server of their own.
            "--feature-gates=MutatingAdmissionPolicy=true",
            "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
        ]);
        command.arg(format!("--advertise-address={}", self.space.address()));
        for (option, file) in [
            ("client-ca-file", "ca.crt"),
            ("tls-cert-file", "kube-apiserver.crt"),
            ("tls-private-key-file", "leaf.key"),
            ("service-account-key-file", "leaf.pub"),
            ("service-account-signing-key-file", "leaf.key"),
            ("kubelet-client-certificate", "client-bench-admin.crt"),
            ("kubelet-client-key", "leaf.key"),
            ("kubelet-certificate-authority", "ca.crt"),
        ] {
            command.arg(format!("--{option}={}", self.authority.path(file).display()));
        }
        self.space.spawn("kube-apiserver", command);
        self.wait_for("the API server", "kube-apiserver", || self.try_kubectl(&["get", "--raw", "/readyz"]).is_ok());
    }

    fn start_etcd(&self) {
        let mut command = self.space.command(&self.parts.etcd, "etcd", Network::Own);
        command.arg("--data-dir").arg(self.space.join("etcd")).args([
            "--name=bench",
            "--unsafe-no-fsync",
            "--log-level=warn",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=bench=http://127.0.0.1:2380",
        ]);
        self.space.spawn("etcd", command);
    }

    fn start_controllers(&self) {
        // With the limits that they choose themselves, 200 Deployments take over a minute.
        let common = ["--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000"];
        for (part, name) in
            [(&self.parts.controller_manager, "kube-controller-manager"), (&self.parts.scheduler, "kube-scheduler")]
        {
            let config = self.write_kubeconfig(name, &format!("system:{name}"), &[]);
            let mut command = self.space.command(part, name, Network::Own);
            command.args(common).arg(format!("--kubeconfig={}", config.display()));
            if name == "kube-controller-manager" {
                command.arg("--use-service-account-credentials");
                for (option, file) in [("service-account-private-key-file", "leaf.key"), ("root-ca-file", "ca.crt")] {
                    command.arg(format!("--{option}={}", self.authority.path(file).display()));
                }
            }
            self.space.spawn(name, command);
        }
    }

    /// Writes a file of the cluster.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.space.join(name);
        fs::write(&path, text).expect("the cluster's folder is ours");
        path
    }

    fn write_kubeconfig(&self, name: &str, user: &str, groups: &[&str]) -> PathBuf {
        self.write(&format!("{name}.kubeconfig"), &self.kubeconfig_as(user, groups))
    }

    fn kubectl_command(&self) -> std::process::Command {
        let mut command = self.parts.kubectl.command();
        // Its cache of what the server knows belongs to this server.
        command.env("HOME", self.space.folder()).arg("--kubeconfig").arg(self.kubeconfig_path());
        command
    }

    /// Looks again and again until something is so; a panic shows the end of a log.
    #[track_caller]
    fn wait_for(&self, what: &str, log: &str, is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(20);
        while !is_so() {
            assert!(begin.elapsed() < PATIENCE, "waited too long for {what}; {log}:\n{}", self.space.last_lines(log));
            std::thread::sleep(pause);
            // Each look is a program.
            pause = (pause * 2).min(Duration::from_millis(320));
        }
    }

    /// The folder of everything that the cluster writes, with `log/` below it.
    pub fn folder(&self) -> &Path {
        self.space.folder()
    }
}
