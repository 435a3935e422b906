//! The parts of a Kubernetes cluster and its tools: a control plane, a node, nodes that are only pretended, helm.

use super::debian_parts::WithLibraries;
use super::go_parts::{GoPart, PLAIN};
use super::{Bench, Found};

/// A program of Kubernetes. Without its version in the link it calls itself `v0.0.0-master`, which helm refuses.
fn kubernetes(name: &'static str, package: &'static str, bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name,
        module: "tests/bench/kubernetes",
        package,
        versioned_by: "k8s.io/kubernetes",
        link: "-X k8s.io/component-base/version.gitVersion=vVERSION \
               -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35",
        ..PLAIN
    };
    part.bring(bench)
}

pub(super) fn kube_apiserver(bench: &Bench) -> Result<Found, String> {
    kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", bench)
}

pub(super) fn kube_controller_manager(bench: &Bench) -> Result<Found, String> {
    kubernetes("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", bench)
}

pub(super) fn kube_scheduler(bench: &Bench) -> Result<Found, String> {
    kubernetes("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", bench)
}

/// What tests look at the cluster with, past our own client.
pub(super) fn kubectl(bench: &Bench) -> Result<Found, String> {
    kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl", bench)
}

pub(super) fn kubelet(bench: &Bench) -> Result<Found, String> {
    kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet", bench)
}

/// Gives services their addresses on the node.
pub(super) fn kube_proxy(bench: &Bench) -> Result<Found, String> {
    kubernetes("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", bench)
}

pub(super) fn etcd(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "etcd",
        module: "tests/bench/etcd",
        package: "go.etcd.io/etcd/server/v3",
        versioned_by: "go.etcd.io/etcd/server/v3",
        ..PLAIN
    };
    part.bring(bench)
}

/// Nodes and pods that are only pretended: for numbers, and for states that no real node takes on request.
pub(super) fn kwok(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "kwok",
        module: "tests/bench/kwok",
        package: "sigs.k8s.io/kwok/cmd/kwok",
        versioned_by: "sigs.k8s.io/kwok",
        folders: &["kustomize/stage"],
        ..PLAIN
    };
    part.bring(bench)
}

pub(super) fn helm3(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "helm3",
        module: "tests/bench/helm3",
        package: "helm.sh/helm/v3/cmd/helm",
        versioned_by: "helm.sh/helm/v3",
        // The second is the Kubernetes that charts are rendered for when no cluster is asked: that of its libraries.
        link: "-X helm.sh/helm/v3/internal/version.version=vVERSION \
               -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37",
        ..PLAIN
    };
    part.bring(bench)
}

pub(super) fn helm4(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "helm4",
        module: "tests/bench/helm4",
        package: "helm.sh/helm/v4/cmd/helm",
        versioned_by: "helm.sh/helm/v4",
        link: "-X helm.sh/helm/v4/internal/version.version=vVERSION",
        ..PLAIN
    };
    part.bring(bench)
}

/// Makes the certificates of a cluster.
pub(super) fn openssl(bench: &Bench) -> Result<Found, String> {
    let openssl = WithLibraries {
        name: "openssl",
        folder: "openssl",
        program: "usr/bin/openssl",
        packages: &[&["openssl"], &["libssl3", "libssl3t64"]],
        harmless: &["version"],
    };
    openssl.bring(bench)
}

/// A program of a node; they all come out of one folder.
fn node(
    name: &'static str,
    program: &'static str,
    harmless: &'static [&'static str],
    bench: &Bench,
) -> Result<Found, String> {
    let part = WithLibraries {
        name,
        folder: "containerd",
        program,
        packages: &[
            &["containerd"],
            &["runc"],
            &["libseccomp2"],
            &["containernetworking-plugins"],
            &["busybox-static"],
            &["iptables"],
            &["libxtables12"],
            &["libip4tc2"],
            &["libip6tc2"],
            &["libnftnl11"],
            &["libnetfilter-conntrack3"],
            &["libnfnetlink0"],
            &["libmnl0"],
        ],
        harmless,
    };
    part.bring(bench)
}

pub(super) fn containerd(bench: &Bench) -> Result<Found, String> {
    node("containerd", "usr/bin/containerd", &["--version"], bench)
}

pub(super) fn runc(bench: &Bench) -> Result<Found, String> {
    node("runc", "usr/sbin/runc", &["--version"], bench)
}

/// Connects a pod to its node by a pair of devices, so that its packets go through the rules of kube-proxy. Without
/// `CNI_COMMAND` it says its name and ends.
pub(super) fn cni_ptp(bench: &Bench) -> Result<Found, String> {
    node("cni-ptp", "usr/lib/cni/ptp", &[], bench)
}

/// All programs of iptables in one, which does what the name says that it is called by.
pub(super) fn iptables(bench: &Bench) -> Result<Found, String> {
    node("iptables", "usr/sbin/xtables-nft-multi", &["iptables", "--version"], bench)
}

/// One static program: what the images of the tests are made of.
pub(super) fn busybox(bench: &Bench) -> Result<Found, String> {
    node("busybox", "bin/busybox", &["true"], bench)
}
