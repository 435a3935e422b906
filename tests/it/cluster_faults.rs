//! What keeps a real kubelet from running a version: each ends the wait with its class, what the cluster says of it, and a
//! hint that fits.
//!
//! The faults lie in shops of their own, and all of them are waited for at the same time: most take as long as the kubelet
//! needs for its second restart.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use test_support::{Cluster, Finished};

use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, Deployment, SERVES, SERVICE};

const WEB: &str = "services/shop-web";

/// A version that does not come up.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    /// What its container runs.
    command: &'static [&'static str],
    /// A further line of `spec`, one of the pod, lines of the container, and another container.
    spec: &'static str,
    pod: &'static str,
    container: &'static [&'static str],
    sidecar: &'static str,
    /// Other objects beside the Deployment, or in its place.
    others: Others,
    /// Keys of staging.
    keys: &'static str,
    /// How long the run may take.
    deadline: &'static str,
}

#[derive(Clone, Copy)]
enum Others {
    None,
    /// A quota that is in the namespace before.
    Quota,
    /// This object in place of the Deployment.
    Instead(&'static str),
}

const FAULT: Fault = Fault {
    name: "",
    command: SERVES,
    spec: "",
    pod: "",
    container: &[],
    sidecar: "",
    others: Others::None,
    keys: "",
    deadline: "",
};

const FAULTS: &[Fault] = &[
    Fault {
        name: "silent",
        command: &["sleep", "600"],
        container: &["readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 2 }"],
        keys: "tolerance: { silence: 20s }",
        ..FAULT
    },
    Fault {
        name: "missing",
        sidecar: "      - { name: sidecar, image: \"IMAGE-gone:1\" }\n",
        keys: "unpinned-images: { \"IMAGE-gone:1\": { reason: of another team, owner: dana, until: \"2026-12-31\" } }",
        ..FAULT
    },
    Fault {
        name: "memory",
        command: &["sh", "-c", "tail /dev/zero"],
        // Without a probe it is ready for a moment.
        container: &["readinessProbe: { tcpSocket: { port: 8080 } }", "resources: { limits: { memory: 20Mi } }"],
        ..FAULT
    },
    Fault {
        name: "stuck",
        spec: "progressDeadlineSeconds: 10",
        container: &["readinessProbe: { tcpSocket: { port: 9 }, periodSeconds: 1 }"],
        ..FAULT
    },
    Fault {
        name: "probe",
        container: &["readinessProbe: { tcpSocket: { port: 9 }, periodSeconds: 1 }"],
        deadline: "--deadline 60s",
        ..FAULT
    },
    Fault {
        name: "job",
        command: &["sh", "-c", "echo the schema is older than 7; exit 5"],
        others: Others::Instead(JOB),
        ..FAULT
    },
    Fault { name: "scheduling", pod: "nodeSelector: { disk: none }", keys: "tolerance: { room: 15s }", ..FAULT },
    Fault {
        name: "once",
        command: &["sh", "-c", "sleep 1; exit 4"],
        container: &["readinessProbe: { tcpSocket: { port: 8080 } }"],
        keys: "tolerance: { restarts: 0 }",
        ..FAULT
    },
    Fault { name: "quota", others: Others::Quota, keys: "health: { checks: { quota: warn } }", ..FAULT },
    Fault {
        name: "config",
        container: &["env: [{ name: A, valueFrom: { configMapKeyRef: { name: kube-root-ca.crt, key: gone } } }]"],
        keys: "health: { checks: { references: warn } }",
        ..FAULT
    },
];

const JOB: &str = r#"apiVersion: batch/v1
kind: Job
metadata: { name: migrate }
spec:
  backoffLimit: 0
  template: { spec: { restartPolicy: Never, containers: [{ name: app, image: "IMAGE:latest" }] } }
"#;

const SOURCE: &str = r#"target: { kind: apply, source: "{path}/fault" }"#;

/// How a run of a fault ended, and after which time.
struct Outcome {
    finished: Finished,
    took: Duration,
}

impl Fault {
    fn manifests(&self, image: &str) -> String {
        let text = match self.others {
            Others::Instead(object) => object.to_owned(),
            Others::None | Others::Quota => {
                let mut app = Deployment::plain("shop-cart").without_probe();
                if !self.spec.is_empty() {
                    app = app.spec(self.spec);
                }
                if !self.pod.is_empty() {
                    app = app.pod(self.pod);
                }
                app = self.container.iter().fold(app, |app, line| app.container(line));
                app.yaml().to_owned() + self.sidecar
            }
        };
        text.replace("IMAGE", image)
    }

    fn run(&self, cluster: &Cluster) -> Outcome {
        let namespace = cluster.namespace(self.name);
        let image = format!("{}/{namespace}/cart", cluster.node_or_skip().expect("it was asked for").registry());
        let keys = format!("    {}", self.keys.replace("IMAGE", &image));
        if let Others::Quota = self.others {
            cluster.kubectl(&["create", "quota", "small", "--hard=pods=0", "--namespace", &namespace]);
        }
        let staging = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], SOURCE, &keys);
        let staging = staging.expect("there is a node");
        staging.shop.service("shop-cart").write("fault/app.yaml", self.manifests(&image));
        staging.merge(2, self.command);
        let begin = Instant::now();
        let finished = staging.ends(&format!("run staging {}", self.deadline), 21);
        Outcome { finished, took: begin.elapsed() }
    }
}

/// How every fault ended; a shop that could not be made says why.
type Outcomes = BTreeMap<&'static str, Result<Outcome, String>>;

/// How a fault ended, or the running test is skipped.
fn outcome(name: &str) -> Option<&'static Outcome> {
    static OUTCOMES: OnceLock<Outcomes> = OnceLock::new();
    let cluster = Cluster::shared_or_skip()?;
    cluster.node_or_skip()?;
    let all = OUTCOMES.get_or_init(|| {
        std::thread::scope(|scope| {
            let runs: Vec<_> = FAULTS.iter().map(|fault| (fault.name, scope.spawn(|| fault.run(cluster)))).collect();
            let ended =
                |panic: Box<dyn Any + Send>| panic.downcast::<String>().map_or_else(|_| String::new(), |text| *text);
            runs.into_iter().map(|(name, run)| (name, run.join().map_err(ended))).collect()
        })
    });
    Some(all[name].as_ref().unwrap_or_else(|problem| panic!("{problem}")))
}

impl Outcome {
    #[track_caller]
    fn tells(&self, all: &[&str]) {
        for told in all {
            let text = self.finished.text();
            assert!(self.finished.stderr().contains(told), "`{told}` is not in:\n{text}");
        }
    }

    /// The deadline of a run is an hour.
    #[track_caller]
    fn is_early(&self) {
        assert!(self.took < Duration::from_secs(150), "{:?}: {}", self.took, self.finished.text());
    }
}

#[test]
fn b21_an_image_that_the_registry_does_not_have_ends_the_wait() {
    let Some(missing) = outcome("missing") else { return };
    missing.tells(&[
        "shop-cart: Deployment/",
        "pull-missing: Pod/",
        "container sidecar: ",
        "not found",
        "imagePullSecrets",
    ]);
    missing.tells(&["it does not become ready", "events:", "Failed: ", "changed: shop-cart"]);
    missing.is_early();
}

#[test]
fn b21_b25_what_needs_more_memory_than_its_limit_is_told_from_a_crash() {
    let Some(memory) = outcome("memory") else { return };
    memory.tells(&["out-of-memory: Pod/", "OOMKilled", "exit code 137", "resources.limits.memory"]);
    memory.is_early();
}

#[test]
fn b17_b24_a_controller_that_gives_up_ends_the_wait() {
    let Some(stuck) = outcome("stuck") else { return };
    stuck.tells(&[
        "ProgressDeadlineExceeded: ",
        "probe: Pod/",
        "connection refused",
        "path, port and delays of the probe",
    ]);
    stuck.tells(&["it does not become ready"]);
    stuck.is_early();
}

#[test]
fn b25_a_probe_that_fails_until_the_deadline_has_its_class() {
    let Some(probe) = outcome("probe") else { return };
    probe.tells(&[
        "it was not ready when the deadline passed",
        "probe: Pod/",
        "connection refused",
        "delays of the probe",
    ]);
}

#[test]
fn b18_a_job_that_fails_ends_the_wait_with_its_log() {
    let Some(job) = outcome("job") else { return };
    job.tells(&["shop-cart: Job/", "job: Job/", "BackoffLimitExceeded", "exit code 5", "the schema is older than 7"]);
    job.tells(&["the log of its pod says why"]);
    job.is_early();
}

#[test]
fn b23_a_container_may_be_restarted_as_often_as_its_environment_says() {
    let Some(once) = outcome("once") else { return };
    once.tells(&["crash: Pod/", "exit code 4"]);
    // By default it is two.
    let text = once.finished.text();
    assert!(text.contains(", 0 restarts") || text.contains(", 1 restart"), "{text}");
}

#[test]
fn b23_a_rollout_about_which_nothing_changes_ends_before_its_deadline() {
    let Some(silent) = outcome("silent") else { return };
    silent.tells(&[
        "it is not ready, and nothing has changed about it for 20s (`tolerance.silence`)",
        "probe: Pod/",
        "connection refused",
    ]);
    silent.is_early();
}

/// A migration that prints nothing for twice as long as the limit.
const QUIET_JOB: &str = "---
apiVersion: batch/v1
kind: Job
metadata: { name: migrate }
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{ name: migrate, image: 'IMAGE:latest', command: [sleep, '40'] }]
";

/// A shop whose rollouts end after this time without a change, or the running test is skipped.
fn with_silence_or_skip(silence: &str) -> Option<ClusterShop<'static>> {
    let cluster = Cluster::shared_or_skip()?;
    cluster.node_or_skip()?;
    let keys = format!("    tolerance: {{ silence: {silence} }}");
    ClusterShop::in_namespace(cluster, cluster.namespace("shop-staging"), &[DASHBOARDS, SERVICE], SOURCE, &keys)
}

#[test]
fn b23_a_job_that_prints_nothing_is_no_silence() {
    let Some(staging) = with_silence_or_skip("20s") else { return };
    let image = staging.image();
    let app = Fault { container: &["readinessProbe: { tcpSocket: { port: 8080 } }"], ..FAULT }.manifests(&image);
    staging.shop.service("shop-cart").write("fault/app.yaml", app + &QUIET_JOB.replace("IMAGE", &image));
    staging.merge(2, SERVES);
    let started = Instant::now();
    staging.ends("run staging", 0);
    assert!(started.elapsed() > Duration::from_secs(40), "the Job was waited for");
}

#[test]
fn b23_the_time_that_a_workload_asks_for_is_no_silence() {
    let Some(staging) = with_silence_or_skip("4s") else { return };
    let app = Deployment::plain("cart").spec("minReadySeconds: 12");
    staging.shop.service("shop-cart").write("fault/app.yaml", app.yaml().replace("IMAGE", &staging.image()));
    staging.merge(2, SERVES);
    staging.ends("run staging", 0);
}

#[test]
fn b23_b25_a_pod_that_no_node_takes_ends_the_wait() {
    let Some(scheduling) = outcome("scheduling") else { return };
    scheduling.tells(&["scheduling: Pod/", "node(s) didn't match", "compare requests, node selectors"]);
    scheduling.is_early();
}

#[test]
fn p16_b25_a_quota_that_lets_no_pod_in_ends_the_wait() {
    let Some(quota) = outcome("quota") else { return };
    quota.tells(&["quota: ", "exceeded quota: small", "make room in the quota"]);
    quota.is_early();
}

#[test]
fn b25_a_key_that_is_missing_in_a_configuration_ends_the_wait() {
    let Some(config) = outcome("config") else { return };
    config.tells(&["config: Pod/", "container app: ", "couldn't find key gone", "Secret, ConfigMap, key, command"]);
    config.is_early();
}

/// Two services fail, each in its own way.
#[test]
fn b20_b28_everything_that_is_not_ready_is_named_at_the_end() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() {
        return;
    }
    let keys = "    health: { checks: { references: warn } }";
    let namespace = cluster.namespace("shop-staging");
    let Some(staging) = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE, WEB], SOURCE, keys) else {
        return;
    };
    let image = staging.image();
    let fault = |name: &str| FAULTS.iter().find(|fault| fault.name == name).unwrap().manifests(&image);
    staging.shop.service("shop-cart").write("fault/app.yaml", fault("config"));
    let web = Fault { container: &["readinessProbe: { tcpSocket: { port: 8080 } }"], ..FAULT }
        .manifests(&image.replace("/cart", "/web"));
    staging.shop.service("shop-web").write("fault/app.yaml", web.replace("shop-cart", "shop-web"));
    staging.commit(WEB, 2, &["sh", "-c", "echo no web today; exit 9"], DEPLOYMENT);
    staging.merge(2, SERVES);
    let failed = staging.ends("run staging", 21);
    for told in
        ["shop-cart: Deployment/", "couldn't find key gone", "shop-web: Deployment/", "crash: Pod/", "exit code 9"]
    {
        assert!(failed.stderr().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    // What failed comes after all progress.
    let place = |text: &str| failed.stderr().rfind(text).unwrap_or_else(|| panic!("no `{text}`: {}", failed.text()));
    assert!(place("writing ") < place("shop-cart: Deployment/"), "{}", failed.text());
    assert!(failed.stderr().contains("changed: shop-cart, shop-web"), "{}", failed.text());
}

const GOOD: &str = r"---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: shop-cart }
spec: { maxUnavailable: 0, selector: { matchExpressions: [{ key: pod-template-hash, operator: Exists }] } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: once-VERSION }
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: once, image: 'IMAGE:latest', command: [sh, -c, 'sleep 3; echo done'] }]
";

/// A failed pod of an earlier run, and a pod whose eviction a budget forbids: neither concerns a deployment.
#[test]
fn p28_b27_what_is_not_of_the_deployment_is_not_waited_for_and_what_ends_is_waited_for_to_its_end() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.node_or_skip().is_none() {
        return;
    }
    let namespace = cluster.namespace("shop-staging");
    let Some(staging) = ClusterShop::in_namespace(cluster, namespace, &[DASHBOARDS, SERVICE], SOURCE, "") else {
        return;
    };
    let manifests = |version: &str| {
        FAULT.manifests(&staging.image()) + &GOOD.replace("IMAGE", &staging.image()).replace("VERSION", version)
    };
    staging.shop.service("shop-cart").write("fault/app.yaml", manifests("2"));
    staging.merge(2, SERVES);
    let image = format!("--image={}/bench/pause:1", cluster.node_or_skip().unwrap().registry());
    let words = ["run", "left-behind", &image, "--labels=app=shop-cart", "--restart=Never"];
    cluster.kubectl(&[&words[..], &["--namespace", &staging.namespace, "--command", "--", "false"]].concat());
    staging.kubectl(&["wait", "--for=jsonpath={.status.phase}=Failed", "pod/left-behind", "--timeout=60s"]);
    staging.ends("run staging", 0);
    let succeeded = |job: &str| staging.kubectl(&["get", "job", job, "--output=jsonpath={.status.succeeded}"]);
    assert_eq!(succeeded("once-2"), "1");

    // The budget forbids an eviction, and a rollout is none.
    let pods = "jsonpath={.items[*].metadata.name}";
    let pods = staging.kubectl(&["get", "pods", "--selector=pod-template-hash", "--output", pods]);
    let eviction = staging.shop.join("eviction.json");
    let text = format!(
        r#"{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{pods}","namespace":"{}"}}}}"#,
        staging.namespace
    );
    std::fs::write(&eviction, text).unwrap();
    let path = format!("/api/v1/namespaces/{}/pods/{pods}/eviction", staging.namespace);
    let refused = cluster.try_kubectl(&["create", "--raw", &path, "--filename", eviction.to_str().unwrap()]);
    assert!(refused.as_ref().is_err_and(|reason| reason.contains("disruption budget")), "{refused:?}");
    staging.shop.service("shop-cart").write("fault/app.yaml", manifests("3"));
    staging.merge(3, SERVES);
    staging.ends("run staging", 0);
    assert_eq!(succeeded("once-3"), "1");
}
