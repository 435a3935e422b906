//! A real node: containerd, runc, kubelet, kube-proxy, and a registry that it pulls from.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use super::images::{Image, Pusher};
use super::space::{Network, run};
use super::{Cluster, Missing};
use crate::bench::{self, Part};
use crate::environment;
use crate::registry::listening_address;
use crate::server::{Says, Server};

/// Its name as a node of the cluster.
const NAME: &str = "node-1";

/// The names under which the one program of iptables is called.
const IPTABLES: &[&str] =
    &["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// A running node; it ends with its cluster.
#[derive(Debug)]
pub struct Node {
    // For the tests: on the machine's network. That for the kubelet is on the network of the cluster, at the same
    // address and with the same storage.
    _outside: Server,
    registry: String,
    registry_part: Part,
    pusher: Pusher,
}

/// The programs of a node.
struct Parts {
    containerd: Part,
    runc: Part,
    cni: Part,
    iptables: Part,
    kubelet: Part,
    kube_proxy: Part,
}

impl Node {
    pub(super) fn start(cluster: &Cluster) -> Result<Self, Missing> {
        let parts = Parts {
            containerd: bench::part("containerd")?,
            runc: bench::part("runc")?,
            cni: bench::part("cni-ptp")?,
            iptables: bench::part("iptables")?,
            kubelet: bench::part("kubelet")?,
            kube_proxy: bench::part("kube-proxy")?,
        };
        let node = Self::start_registries(cluster)?;
        node.start_registry(cluster);
        // What holds the namespaces of a pod.
        node.push(&Image { repository: "bench/pause", tag: "1", command: &["/bin/sleep", "infinity"], labels: &[] });
        for name in ["tools", "cni"] {
            fs::create_dir(cluster.space.join(name)).expect("the cluster's folder is ours");
        }
        for name in IPTABLES {
            symlink(parts.iptables.program(), cluster.space.join("tools").join(name)).expect("the folder is new");
        }
        symlink(parts.runc.program(), cluster.space.join("tools/runc")).expect("the folder is new");
        node.start_containerd(cluster, &parts);
        start_kubelet(cluster, &parts);
        start_kube_proxy(cluster, &parts);
        cluster.wait_for("the node", "kubelet", || {
            let condition = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
            cluster.try_kubectl(&["get", "node", NAME, "--output", condition]).is_ok_and(|status| status == "True")
        });
        Ok(node)
    }

    /// The address of its registry, `127.0.0.1:PORT`: for the tests and for the kubelet, so that both can use the same
    /// references.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Pushes an image that runs a command of busybox; gives its digest.
    pub fn push(&self, image: &Image<'_>) -> String {
        self.pusher.push(&self.registry, image)
    }

    /// Loads an image of the registry as `kind load` does: the node has it under a name, and has pulled it from nowhere.
    pub fn load(&self, cluster: &Cluster, image: &str, name: &str) {
        let file = cluster.space.join(&format!("images/{}.tar", name.replace(['/', ':'], "-")));
        self.pusher.pull(image, &file);
        let containerd = bench::part("containerd").expect("the node runs it");
        let of_part = containerd.command();
        let ctr = |words: &[&str]| {
            let mut command = cluster.space.enter(Network::Own);
            command.envs(of_part.get_envs().filter_map(|(key, value)| Some((key, value?))));
            command
                .arg(containerd.program().with_file_name("ctr"))
                .args(["--namespace", "k8s.io", "images"])
                .args(words);
            run(&mut command).unwrap_or_else(|problem| panic!("{problem}"));
        };
        ctr(&["import", file.to_str().expect("test paths are UTF-8")]);
        if image != name {
            ctr(&["tag", "--force", image, name]);
        }
    }

    /// Takes the registry away from the kubelet: it is refused, while the tests still reach theirs.
    ///
    /// For a cluster of the test's own: others would see it too.
    pub fn stop_registry(&self, cluster: &Cluster) {
        cluster.space.kill("registry");
    }

    /// Lets the registry of the kubelet answer nothing from now on, without refusing anything; or as before.
    ///
    /// For a cluster of the test's own.
    pub fn freeze_registry(&self, cluster: &Cluster, is_frozen: bool) {
        cluster.space.signal("registry", if is_frozen { "STOP" } else { "CONT" });
    }

    /// Gives it back.
    pub fn start_registry(&self, cluster: &Cluster) {
        let mut command = cluster.space.command(&self.registry_part, "registry", Network::Own);
        command.arg("serve").arg(registry_configuration(cluster, "inside", &self.registry));
        cluster.space.spawn("registry", command);
        cluster.wait_for("the registry", "registry", || cluster.reaches(&self.registry));
    }

    /// The registry for the tests chooses the port.
    fn start_registries(cluster: &Cluster) -> Result<Self, Missing> {
        let part = bench::part("docker-registry")?;
        let pusher = Pusher::new(&cluster.space.join("images"))?;
        let mut command = cluster.space.command(&part, "registry-outside", Network::Machine);
        command.arg("serve").arg(registry_configuration(cluster, "outside", "127.0.0.1:0"));
        let outside = Server::start(command, Says::Stderr, listening_address);
        let registry = outside.address().to_owned();
        Ok(Self { _outside: outside, registry, registry_part: part, pusher })
    }

    fn start_containerd(&self, cluster: &Cluster, parts: &Parts) {
        let folder = |part: &Part| part.program().parent().expect("it lies in a folder").display().to_string();
        let text = format!(
            "version = 2\n\
             root = \"{root}\"\n\
             state = \"/run/containerd\"\n\
             [grpc]\n\
             address = \"/run/containerd/containerd.sock\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\"]\n\
             sandbox_image = \"{registry}/bench/pause:1\"\n\
             restrict_oom_score_adj = true\n\
             netns_mounts_under_state_dir = true\n\
             disable_tcp_service = true\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd]\n\
             snapshotter = \"overlayfs\"\n\
             default_runtime_name = \"runc\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n\
             runtime_type = \"io.containerd.runc.v2\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".cni]\n\
             bin_dir = \"{plugins}\"\n\
             conf_dir = \"{networks}\"\n",
            root = cluster.space.join("containerd").display(),
            registry = self.registry,
            plugins = folder(&parts.cni),
            networks = cluster.space.join("cni").display(),
        );
        let network = r#"{"cniVersion": "0.4.0", "name": "bench", "plugins": [{"type": "ptp", "ipam": {"type": "host-local",
            "ranges": [[{"subnet": "10.244.1.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}"#;
        cluster.write("cni/10-bench.conflist", network);
        let config = cluster.write("containerd.toml", &text);
        let mut command = on_node(cluster, parts, &parts.containerd, "containerd");
        command.arg("--config").arg(config);
        cluster.space.spawn("containerd", command);
        cluster.wait_for("containerd", "containerd", || {
            let there = ["test", "-S", "/run/containerd/containerd.sock"];
            run(cluster.space.enter(Network::Own).args(there)).is_ok()
        });
    }
}

fn start_kubelet(cluster: &Cluster, parts: &Parts) {
    let certificate = cluster.authority.server("kubelet", cluster.space.address(), &["DNS:node-1"]);
    let credentials = cluster.write_kubeconfig("kubelet", &format!("system:node:{NAME}"), &["system:nodes"]);
    let text = format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1\n\
         kind: KubeletConfiguration\n\
         # Machines with version 1 of control groups are still about.\n\
         failCgroupV1: false\n\
         failSwapOn: false\n\
         cgroupDriver: cgroupfs\n\
         cgroupRoot: {group}\n\
         enforceNodeAllocatable: []\n\
         containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n\
         podLogsDir: /var/log/pods\n\
         volumePluginDir: /run/volume-plugins\n\
         serializeImagePulls: false\n\
         # All tests of a binary share the node.\n\
         maxPods: 240\n\
         imageGCHighThresholdPercent: 100\n\
         # The disk of the machine is none of the tests' concern.\n\
         evictionHard: {{memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}}\n\
         authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {authority}}}}}\n\
         authorization: {{mode: Webhook}}\n\
         tlsCertFile: {certificate}\n\
         tlsPrivateKeyFile: {key}\n\
         # No server listens there: the names of services are not resolved.\n\
         clusterDNS: [10.96.0.10]\n\
         clusterDomain: cluster.local\n\
         resolvConf: \"\"\n",
        group = cluster.space.control_group(),
        authority = cluster.authority.path("ca.crt").display(),
        certificate = certificate.display(),
        key = cluster.authority.path("leaf.key").display(),
    );
    let config = cluster.write("kubelet.yaml", &text);
    let mut command = on_node(cluster, parts, &parts.kubelet, "kubelet");
    command.arg("--config").arg(config).arg("--kubeconfig").arg(credentials);
    command.args(["--hostname-override", NAME, "--node-ip", &cluster.space.address().to_string()]);
    command.arg("--root-dir").arg(cluster.space.join("kubelet"));
    cluster.space.spawn("kubelet", command);
}

fn start_kube_proxy(cluster: &Cluster, parts: &Parts) {
    let credentials = cluster.write_kubeconfig("kube-proxy", "system:kube-proxy", &[]);
    let text = format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n\
         kind: KubeProxyConfiguration\n\
         mode: iptables\n\
         clientConnection: {{kubeconfig: {}}}\n\
         # Limits of the whole machine: not to be touched.\n\
         conntrack: {{maxPerCore: 0, min: 0}}\n\
         hostnameOverride: {NAME}\n\
         clusterCIDR: 10.244.0.0/16\n",
        credentials.display()
    );
    let config = cluster.write("kube-proxy.yaml", &text);
    let mut command = on_node(cluster, parts, &parts.kube_proxy, "kube-proxy");
    command.arg("--config").arg(config);
    cluster.space.spawn("kube-proxy", command);
}

/// A command of the node, which finds the node's other programs.
fn on_node(cluster: &Cluster, parts: &Parts, part: &Part, name: &str) -> Command {
    let mut command = cluster.space.command(part, name, Network::Own);
    let mut path = vec![cluster.space.join("tools")];
    // The shim lies beside containerd.
    path.extend(parts.containerd.program().parent().map(PathBuf::from));
    path.extend(std::env::split_paths(&environment::search_path()));
    command.env("PATH", std::env::join_paths(path).expect("no folder has a colon in its name"));
    // Libraries and extensions of iptables, which a program of the node starts.
    let of_tools = parts.iptables.command();
    command.envs(of_tools.get_envs().filter(|(key, _)| *key == "LD_LIBRARY_PATH").filter_map(|(k, v)| Some((k, v?))));
    let root = parts.iptables.program().ancestors().nth(3).expect("it lies below /usr/sbin");
    if let Some(extensions) = extensions_below(&root.join("usr/lib")) {
        command.env("XTABLES_LIBDIR", extensions);
    }
    command
}

/// The folder `xtables` in one of the folders for an architecture's libraries.
fn extensions_below(libraries: &std::path::Path) -> Option<PathBuf> {
    let folders = fs::read_dir(libraries).ok()?.filter_map(Result::ok);
    folders.map(|entry| entry.path().join("xtables")).find(|path| path.is_dir())
}

/// Both registries have the same storage.
fn registry_configuration(cluster: &Cluster, name: &str, address: &str) -> PathBuf {
    let mut text = String::from("version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n");
    let storage = cluster.space.join("registry");
    writeln!(text, "storage: {{filesystem: {{rootdirectory: \"{}\"}}, delete: {{enabled: true}}}}", storage.display())
        .expect("a string takes all");
    writeln!(text, "http: {{addr: \"{address}\", secret: tests-only}}").expect("a string takes all");
    cluster.write(&format!("registry-{name}.yml"), &text)
}
