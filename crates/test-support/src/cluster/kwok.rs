//! Nodes that only pretend: kwok writes the status that a kubelet would write.

use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use super::space::Network;
use super::{Cluster, Missing};
use crate::bench;

/// A pod becomes ready at once, and its containers say the reference of their image as its id: those of the lock are
/// digests. The rest of a pod's life is kwok's own.
const READY: &str = r#"---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .status.podIP, operator: DoesNotExist}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      - {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
      - {type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }}}
      - {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
      containerStatuses:
      {{ range .spec.containers }}
      - name: {{ .name | Quote }}
        image: {{ .image | Quote }}
        imageID: {{ .image | Quote }}
        ready: true
        started: true
        restartCount: 0
        state: {running: {startedAt: {{ $now | Quote }}}}
      {{ end }}
      initContainerStatuses:
      {{ range .spec.initContainers }}
      - name: {{ .name | Quote }}
        image: {{ .image | Quote }}
        imageID: {{ .image | Quote }}
        ready: true
        restartCount: 0
        {{ if eq .restartPolicy "Always" }}
        started: true
        state: {running: {startedAt: {{ $now | Quote }}}}
        {{ else }}
        state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
        {{ end }}
      {{ end }}
      {{ $ips := PodIPsWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
      {{ with $ips }}
      podIP: {{ index . 0 | Quote }}
      podIPs: [{ip: {{ index . 0 | Quote }}}]
      {{ end }}
      phase: Running
      startTime: {{ $now | Quote }}
"#;

/// Kwok's own stages that are used, below its folder.
const STAGES: &[&str] = &[
    "node/fast/node-initialize.yaml",
    "node/heartbeat/node-heartbeat.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
];

/// A running kwok; it ends with its cluster.
#[derive(Debug)]
pub(super) struct Kwok {
    nodes: AtomicU32,
}

impl Kwok {
    pub(super) fn start(cluster: &Cluster) -> Result<Self, Missing> {
        let part = bench::part("kwok")?;
        let stages = part.program().with_file_name("static/kustomize/stage");
        let mut text = String::new();
        for stage in STAGES {
            let stage = stages.join(stage);
            let stage = fs::read_to_string(&stage).unwrap_or_else(|error| panic!("{}: {error}", stage.display()));
            write!(text, "---\n{stage}\n").expect("a string takes all");
        }
        let config = cluster.write("kwok.yaml", &(text + READY));
        let mut command = cluster.space.command(&part, "kwok", Network::Own);
        command.arg("--kubeconfig").arg(cluster.kubeconfig_path()).arg("--config").arg(config).args([
            "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--cidr=10.245.0.1/16",
        ]);
        cluster.space.spawn("kwok", command);
        Ok(Self { nodes: AtomicU32::new(0) })
    }

    pub(super) fn add_nodes(&self, cluster: &Cluster, count: u32) {
        let before = self.nodes.fetch_add(count, Ordering::Relaxed);
        let mut objects = String::new();
        for number in before..before + count {
            write!(
                objects,
                "---\n\
                 apiVersion: v1\n\
                 kind: Node\n\
                 metadata: {{name: fake-{number}, labels: {{bench/node: fake}}, annotations: {{kwok.x-k8s.io/node: fake}}}}\n\
                 spec: {{taints: [{{key: bench/node, value: fake, effect: NoSchedule}}]}}\n"
            )
            .expect("a string takes all");
        }
        cluster.apply(&objects);
        cluster.kubectl(&["wait", "--for=condition=Ready", "node", "--selector=bench/node=fake", "--timeout=60s"]);
    }
}

/// The annotations of a namespace that send all its pods to the nodes that only pretend.
pub(super) const CLAIM: &str = r#"
    scheduler.alpha.kubernetes.io/node-selector: bench/node=fake,
    scheduler.alpha.kubernetes.io/defaultTolerations: '[{"key":"bench/node","operator":"Exists"}]'"#;
