//! The parts of the test bench: real programs that the system tests compare us with.
//!
//! Each lies in `target/bench/NAME-VERSION` and is brought once. `target/bench/parts.tsv` tells the tests what is
//! there and why the rest is not; the crate `test-support` reads it.

mod cluster_parts;
mod database_parts;
mod debian_parts;
mod go_parts;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::debian::{self, Debian};
use crate::{Outcome, is_ci};

/// A part: its name, and how it comes to be there.
struct Part {
    name: &'static str,
    bring: fn(&Bench) -> Result<Found, String>,
}

/// All of them. A new part is a line here and a function in one of the modules.
const PARTS: &[Part] = &[
    Part { name: "docker-registry", bring: debian_parts::docker_registry },
    Part { name: "distribution", bring: go_parts::distribution },
    Part { name: "skopeo", bring: debian_parts::skopeo },
    Part { name: "nginx", bring: debian_parts::nginx },
    Part { name: "ab", bring: debian_parts::ab },
    Part { name: "htpasswd", bring: debian_parts::htpasswd },
    Part { name: "pyyaml", bring: debian_parts::pyyaml },
    Part { name: "yaml-go", bring: go_parts::yaml_go },
    Part { name: "crane", bring: go_parts::crane },
    Part { name: "regctl", bring: go_parts::regctl },
    Part { name: "referrers-registry", bring: go_parts::referrers_registry },
    Part { name: "toxiproxy", bring: go_parts::toxiproxy },
    Part { name: "gitea", bring: go_parts::gitea },
    Part { name: "openssl", bring: cluster_parts::openssl },
    Part { name: "etcd", bring: cluster_parts::etcd },
    Part { name: "kube-apiserver", bring: cluster_parts::kube_apiserver },
    Part { name: "kube-controller-manager", bring: cluster_parts::kube_controller_manager },
    Part { name: "kube-scheduler", bring: cluster_parts::kube_scheduler },
    Part { name: "kubectl", bring: cluster_parts::kubectl },
    Part { name: "kubelet", bring: cluster_parts::kubelet },
    Part { name: "kube-proxy", bring: cluster_parts::kube_proxy },
    Part { name: "containerd", bring: cluster_parts::containerd },
    Part { name: "runc", bring: cluster_parts::runc },
    Part { name: "cni-ptp", bring: cluster_parts::cni_ptp },
    Part { name: "iptables", bring: cluster_parts::iptables },
    Part { name: "busybox", bring: cluster_parts::busybox },
    Part { name: "kwok", bring: cluster_parts::kwok },
    Part { name: "helm3", bring: cluster_parts::helm3 },
    Part { name: "helm4", bring: cluster_parts::helm4 },
    Part { name: "postgresql", bring: database_parts::postgresql },
    Part { name: "redis", bring: database_parts::redis },
    Part { name: "mariadb", bring: database_parts::mariadb },
    Part { name: "rabbitmq", bring: database_parts::rabbitmq },
    Part { name: "nats-server", bring: database_parts::nats },
    Part { name: "grpc-health", bring: database_parts::grpc_health },
    Part { name: "kustomize", bring: go_parts::kustomize },
];

/// A part that is there.
#[derive(Debug)]
struct Found {
    version: String,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
}

/// Where parts are brought from and to.
struct Bench {
    folder: PathBuf,
    debian: Debian,
}

/// Brings every part that is not there yet; a part that cannot be had is named, and an error where `CI=true`.
pub(crate) fn set_up(workspace: &Path) -> Outcome {
    let folder = workspace.join("target/bench");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let bench = Bench { debian: Debian::new(&folder), folder };
    let mut list = String::new();
    let mut missing = Vec::new();
    for part in PARTS {
        let start = Instant::now();
        let (name, outcome) = (part.name, (part.bring)(&bench));
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(found) => {
                println!("  {name} {} ({seconds:.1} s)", found.version);
                let environment = found.environment.iter().map(|(key, value)| format!("{key}={value}"));
                let program = found.program.display().to_string();
                let columns = ["found".to_owned(), name.to_owned(), found.version, program];
                list += &columns.into_iter().chain(environment).collect::<Vec<_>>().join("\t");
            }
            Err(reason) => {
                println!("  {name} is missing: {reason}");
                // One line and one column, whatever a program wrote.
                let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
                list += &["missing", name, &reason].join("\t");
                missing.push(name);
            }
        }
        list.push('\n');
    }
    let path = bench.folder.join("parts.tsv");
    let staged = bench.folder.join(format!("parts.tsv.{}", std::process::id()));
    fs::write(&staged, list)
        .and_then(|()| fs::rename(&staged, &path))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    if missing.is_empty() || !is_ci() {
        Ok(())
    } else {
        Err(format!("CI=true, and parts of the bench are missing: {}", missing.join(", ")))
    }
}

impl Bench {
    /// The unpacked packages of a part: from an earlier run, or from the archive.
    ///
    /// The folder gets its name at the end, after `probe` has seen the program work, so that what has the name is whole.
    fn unpacked(
        &self,
        name: &str,
        packages: &[&[&str]],
        probe: impl Fn(&Path) -> Result<(), String>,
    ) -> Result<debian::Unpacked, String> {
        let prefix = format!("{name}-");
        let entries = fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        let mut there: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&prefix)))
            .collect();
        there.sort();
        // Probed again: the folder may come from a machine with another C library.
        while let Some(folder) = there.pop() {
            let root = folder.join("root");
            if probe(&root).is_ok() {
                let file = folder.file_name().unwrap_or_default().to_string_lossy();
                let version = file.strip_prefix(&prefix).unwrap_or(&file).to_owned();
                return Ok(debian::Unpacked { version, root });
            }
        }
        let staging = self.folder.join(format!("staging-{name}-{}", std::process::id()));
        let unpacked = self.debian.unpack(packages, &staging).and_then(|unpacked| {
            probe(&unpacked.root)?;
            // A colon, of a Debian epoch, would split a search path.
            let version = unpacked.version.replace(':', "_");
            let folder = self.folder.join(format!("{name}-{version}"));
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            }
            fs::rename(&staging, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            Ok(debian::Unpacked { version, root: folder.join("root") })
        });
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(|error| format!("{}: {error}", staging.display()))?;
        }
        unpacked
    }
}
