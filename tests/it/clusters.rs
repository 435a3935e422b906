//! A lock on its way to a real cluster, through a real helm or as plain manifests: there, proven, and back again.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use test_support::{Cluster, Finished, Image, Invocation, Node, bench};

use crate::shop::{Built, CONFIGURATION, Shop};

pub(crate) const SERVICE: &str = "services/shop-cart";

/// It has no image.
pub(crate) const DASHBOARDS: &str = "ops/shop-dashboards";

const CHART: &str = "apiVersion: v2\nname: cart\nversion: 0.1.0\n";

pub(crate) const DEPLOYMENT: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata: { name: {{ .Release.Name }} }
spec:
  selector: { matchLabels: { app: {{ .Release.Name }} } }
  template:
    metadata: { labels: { app: {{ .Release.Name }} } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
        imagePullPolicy: IfNotPresent
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }
"#;

/// The same as a plain manifest. `IMAGE` is the repository, and the tag in the manifest says nothing.
const MANIFEST: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata: { name: shop-cart }
spec:
  selector: { matchLabels: { app: shop-cart } }
  template:
    metadata: { labels: { app: shop-cart } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: "IMAGE:latest"
        envFrom: [{ configMapRef: { name: of-version-VERSION } }]
        imagePullPolicy: IfNotPresent
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: of-version-VERSION }
data: { A: "1" }
"#;

/// What a container of a healthy version runs.
pub(crate) const SERVES: &[&str] = &["httpd", "-f", "-p", "8080"];

/// A shop with one service, whose staging is a namespace of a cluster.
pub(crate) struct ClusterShop<'a> {
    pub(crate) shop: Shop,
    pub(crate) cluster: &'a Cluster,
    pub(crate) node: &'a Node,
    pub(crate) namespace: String,
    search_path: OsString,
}

impl<'a> ClusterShop<'a> {
    /// Nothing is deployed yet; or the running test is skipped. `helm` is the name of a part.
    pub(crate) fn new_or_skip(cluster: &'a Cluster, helm: &str) -> Option<Self> {
        Self::with_or_skip(cluster, helm, &["ops/shop-dashboards", SERVICE], "")
    }

    /// The same with other submodules, and more keys of every environment.
    pub(crate) fn with_or_skip(cluster: &'a Cluster, helm: &str, submodules: &[&str], keys: &str) -> Option<Self> {
        let target = r#"target: { kind: helm, chart: "{path}/chart" }"#;
        Self::with_target_or_skip(cluster, helm, submodules, &format!("{target}{keys}"))
    }

    /// The same with another target, and what follows it.
    pub(crate) fn with_target_or_skip(
        cluster: &'a Cluster,
        helm: &str,
        submodules: &[&str],
        target: &str,
    ) -> Option<Self> {
        Self::without_helm(cluster, submodules, target)?.with_program_or_skip("helm", helm)
    }

    /// The same with a part of the bench on its search path, as a program of this name; or the running test is skipped.
    pub(crate) fn with_program_or_skip(mut self, program: &str, part: &str) -> Option<Self> {
        let part = bench::part_or_skip(part)?;
        let tools = self.shop.join("tools");
        fs::create_dir_all(&tools).unwrap();
        symlink(part.program(), tools.join(program)).unwrap();
        self.search_path = search_path_with(&tools);
        Some(self)
    }

    /// The same with another target; nothing else is on the search path.
    pub(crate) fn without_helm(cluster: &'a Cluster, submodules: &[&str], target: &str) -> Option<Self> {
        cluster.node_or_skip()?;
        Self::in_namespace(cluster, cluster.namespace("shop-staging"), submodules, target, "")
    }

    /// The same in a namespace of the test's choice, and with more keys of staging, a line each.
    pub(crate) fn in_namespace(
        cluster: &'a Cluster,
        namespace: String,
        submodules: &[&str],
        target: &str,
        keys_of_staging: &str,
    ) -> Option<Self> {
        let node = cluster.node_or_skip()?;
        let render =
            r#"target: { kind: render, source: "{path}/deploy", branch: "deploy/{mode}", folder: "rendered/{mode}" }"#;
        let install = format!("kubeconfig: {{ env: SHOP_KUBECONFIG }}\n  {target}");
        let configuration = CONFIGURATION
            .replace(render, &install)
            .replace("\"registry.example/shop/{short}\"", &format!("\"{}/{namespace}/{{short}}\"", node.registry()))
            .replace("namespace: shop-staging", &format!("namespace: {namespace}\n{keys_of_staging}"));
        let shop = Shop::with_services(submodules, &configuration);
        let search_path = test_support::search_path();
        Some(Self { shop, cluster, node, namespace, search_path })
    }

    /// Puts a version of the service on the way to staging, up to the merge; gives the digest of its image.
    pub(crate) fn merge(&self, version: u32, command: &[&str]) -> String {
        self.merge_chart(version, command, DEPLOYMENT)
    }

    /// The same with another template in its chart.
    pub(crate) fn merge_chart(&self, version: u32, command: &[&str], template: &str) -> String {
        let digest = self.commit(SERVICE, version, command, template);
        self.shop.merge_dev();
        digest
    }

    /// The repository of the service's images.
    pub(crate) fn image(&self) -> String {
        format!("{}/{}/cart", self.node.registry(), self.namespace)
    }

    /// Puts a version of any service onto the branch of the developers; gives the digest of its image.
    pub(crate) fn commit(&self, path: &str, version: u32, command: &[&str], template: &str) -> String {
        let manifest = MANIFEST.replace("VERSION", &version.to_string());
        let files = [
            ("chart/Chart.yaml", CHART),
            ("chart/templates/app.yaml", template),
            ("cluster/app.yaml", manifest.as_str()),
        ];
        self.commit_files(path, version, command, &files)
    }

    /// The same with any files in the service's repository; `IMAGE` in them is the repository of its image.
    pub(crate) fn commit_files(&self, path: &str, version: u32, command: &[&str], files: &[(&str, &str)]) -> String {
        let service = path.rsplit('/').next().unwrap();
        let repository = format!("{}/{}", self.namespace, service.strip_prefix("shop-").unwrap());
        for (file, text) in files {
            let text = text.replace("IMAGE", &format!("{}/{repository}", self.node.registry()));
            self.shop.service(service).write(file, text);
        }
        let commit = self.shop.new_version(service, version, Built::No);
        let labels = [("org.opencontainers.image.revision", commit.as_str())];
        let tag = format!("main-{}", &commit[..7]);
        let digest = self.node.push(&Image { repository: &repository, tag: &tag, command, labels: &labels });
        self.shop.work_on("dev").gitlink(path, &commit);
        self.shop.commit_and_push("dev", &format!("{service} {version}"));
        digest
    }

    /// Where its pods run, and the registry that they come from.
    pub(crate) fn node(&self) -> &Node {
        self.node
    }

    /// The product with the cluster in its environment.
    #[track_caller]
    pub(crate) fn ends(&self, line: &str, code: i32) -> Finished {
        self.ends_with(self.cluster.kubeconfig(), line, code)
    }

    /// The same with the kubeconfig of another user.
    #[track_caller]
    pub(crate) fn ends_with(&self, kubeconfig: &str, line: &str, code: i32) -> Finished {
        let command = self.shop.orchestrator(line).search_path(self.search_path.clone());
        command.env("SHOP_KUBECONFIG", kubeconfig).run().expect_code(code)
    }

    /// The same with more variables in the job; as administrator, unless they have another kubeconfig.
    #[track_caller]
    pub(crate) fn ends_in(&self, variables: &[(&str, &str)], line: &str, code: i32) -> Finished {
        self.command(variables, line).run().expect_code(code)
    }

    /// The same before it is run.
    pub(crate) fn command(&self, variables: &[(&str, &str)], line: &str) -> Invocation {
        let command = self.shop.orchestrator(line).search_path(self.search_path.clone());
        let command = command.env("SHOP_KUBECONFIG", self.cluster.kubeconfig());
        variables.iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    /// kubectl in the namespace of staging.
    #[track_caller]
    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        self.cluster.kubectl(&[words, &["--namespace", &self.namespace]].concat())
    }

    /// The digests that the containers of the service's pods run, as the kubelet says.
    pub(crate) fn running(&self) -> Vec<String> {
        let ids = "jsonpath={.items[*].status.containerStatuses[*].imageID}";
        let selector = "--selector=app=shop-cart";
        let ids = self.cluster.kubectl(&["get", "pods", selector, "--namespace", &self.namespace, "--output", ids]);
        ids.split_whitespace().map(|id| id.rsplit_once('@').unwrap().1.to_owned()).collect()
    }

    /// A user who may do everything, and whose requests are counted; gives the name and the kubeconfig.
    pub(crate) fn counted_user(&self) -> (String, String) {
        let user = format!("deployer-{}", self.namespace);
        let subject = format!("--user={user}");
        self.cluster.kubectl(&["create", "clusterrolebinding", &user, "--clusterrole=cluster-admin", &subject]);
        self.cluster.count_requests_of(&user);
        let kubeconfig = self.cluster.kubeconfig_as(&user, &[]);
        (user, kubeconfig)
    }

    /// Lets helm write its first two arguments to a file, a line for each that is started from now on.
    pub(crate) fn count_helm(&self) -> PathBuf {
        let (lines, program) = (self.shop.join("helm-started"), self.shop.join("tools/helm"));
        let helm = fs::read_link(&program).unwrap();
        fs::remove_file(&program).unwrap();
        let (file, helm) = (lines.display(), helm.display());
        let script = format!("#!/bin/sh\necho \"$1 $2\" >> '{file}'\nexec '{helm}' \"$@\"\n");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        lines
    }

    /// How many revisions the release of the service has.
    pub(crate) fn revisions(&self) -> usize {
        let words = ["get", "secret", "--selector=owner=helm", "--output=name", "--namespace", &self.namespace];
        self.cluster.kubectl(&words).lines().count()
    }
}

/// The names of the configurations that versions bring.
fn configurations(staging: &ClusterShop<'_>) -> Vec<String> {
    let maps = staging.cluster.kubectl(&["get", "configmap", "--output=name", "--namespace", &staging.namespace]);
    maps.lines().filter_map(|line| line.strip_prefix("configmap/of-")).map(str::to_owned).collect()
}

#[test]
fn b29_plain_manifests_carry_a_lock_to_a_cluster_and_back() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/cluster" }"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &["ops/shop-dashboards", SERVICE], target) else {
        return;
    };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    assert_eq!(staging.running(), [first.as_str()]);
    staging.ends("verify staging", 0);

    // The same lock again changes nothing.
    let words = ["get", "deployment/shop-cart", "--output=jsonpath={.metadata.resourceVersion}", "--namespace"];
    let version = || staging.cluster.kubectl(&[&words[..], &[&staging.namespace]].concat());
    let before = version();
    staging.ends("run staging", 0);
    staging.ends("deploy staging --again", 0);
    assert_eq!(version(), before);

    // What the next version does not have is removed, and comes back with the older one.
    let second = staging.merge(3, SERVES);
    staging.ends("run staging", 0);
    assert_eq!((staging.running(), configurations(&staging)), (vec![second], vec!["version-3".to_owned()]));
    staging.ends("rollback staging --reason \"carts are empty\"", 0);
    assert_eq!((staging.running(), configurations(&staging)), (vec![first.clone()], vec!["version-2".to_owned()]));
    staging.ends("verify staging", 0);

    // A field of another program refuses the deployment before anything is changed.
    staging.ends("unhold staging --reason \"carts are full\"", 0);
    staging.merge(4, SERVES);
    let patch =
        r#"--patch={"spec":{"template":{"spec":{"containers":[{"name":"app","image":"other.example/cart:1"}]}}}}"#;
    let by_hand = ["patch", "deployment/shop-cart", patch, "--field-manager=by-hand", "--namespace"];
    staging.cluster.kubectl(&[&by_hand[..], &[&staging.namespace]].concat());
    let refused = staging.ends("run staging", 20);
    assert!(refused.stderr().contains("`by-hand`") && refused.stderr().contains("conflicts"), "{}", refused.text());
    assert_eq!(configurations(&staging), ["version-2"]);
    let verified = staging.ends("verify staging", 1);
    assert!(verified.text().contains("no container of it runs"), "{}", verified.text());

    // To a look at what differs it is no refusal: the field and its writer are named.
    let drift = staging.ends("drift staging", 1);
    for told in ["edited", "Deployment/shop-cart", "`by-hand`", "containers[name=app].image", "other.example/cart:1"] {
        assert!(drift.text().contains(told), "`{told}` is not in:\n{}", drift.text());
    }
}

pub(crate) fn search_path_with(folder: &Path) -> OsString {
    let own = std::env::split_paths(&test_support::search_path()).collect::<Vec<_>>();
    std::env::join_paths([folder.to_owned()].into_iter().chain(own)).unwrap()
}

#[track_caller]
fn there_and_back(helm: &str) {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, helm) else { return };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    assert_eq!(staging.running(), [first.as_str()]);
    staging.ends("verify staging", 0);

    // The same lock again changes nothing.
    let revisions = staging.revisions();
    staging.ends("run staging", 0);
    assert_eq!(staging.revisions(), revisions);

    let second = staging.merge(3, SERVES);
    staging.ends("run staging", 0);
    assert_ne!(first, second);
    assert_eq!(staging.running(), [second]);

    staging.ends("rollback staging --reason \"carts are empty\"", 0);
    assert_eq!(staging.running(), [first]);
    staging.ends("verify staging", 0);
}

#[test]
fn helm_3_carries_a_lock_to_a_cluster_and_back() {
    there_and_back("helm3");
}

#[test]
fn helm_4_carries_a_lock_to_a_cluster_and_back() {
    there_and_back("helm4");
}

#[test]
fn p16_b21_b28_a_version_that_ends_at_once_is_a_failed_deployment_and_what_ran_goes_on() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    staging.merge(3, &["sh", "-c", "echo the cart is broken; exit 3"]);
    let failed = staging.ends("run staging --on-failure rollback", 21);
    for told in [
        "shop-cart: Deployment ",
        "crash: Pod ",
        "container app: ",
        "exit code 3",
        "log:",
        "the cart is broken",
        "changed: shop-cart",
        "`orchestrator rollback`",
        "is back, and `staging` is held",
    ] {
        assert!(failed.stderr().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    assert_eq!(staging.running(), [first]);
    staging.ends("verify staging", 0);
    assert!(staging.ends("run staging", 20).text().contains("is held by a rollback"));
}

/// A hook fails before anything of its chart is changed, and says why.
#[test]
fn b28_a_hook_that_fails_shows_its_log_and_what_ran_goes_on() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm3") else { return };
    let first = staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    staging.shop.service("shop-cart").write("chart/templates/migrate.yaml", MIGRATION);
    staging.merge(3, SERVES);
    let failed = staging.ends("run staging", 21);
    for told in ["shop-cart: Job ", "hook: ", "the schema is older than 7", "changed: shop-cart"] {
        assert!(failed.stderr().contains(told), "`{told}` is not in:\n{}", failed.text());
    }
    assert_eq!(staging.running(), [first]);
}

const MIGRATION: &str = r#"apiVersion: batch/v1
kind: Job
metadata: { name: {{ .Release.Name }}-migrate, annotations: { helm.sh/hook: pre-upgrade } }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: migrate
        image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
        command: [sh, -c, "echo the schema is older than 7; exit 5"]
"#;

/// A pod beside the service's own, with its labels: requests go there, and no lock knows it.
const STRANGER: &str = r#"apiVersion: v1
kind: Pod
metadata: { name: stranger, labels: { app: shop-cart } }
spec:
  terminationGracePeriodSeconds: 0
  containers: [{ name: app, image: "IMAGE", readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 } }]
"#;

pub(crate) const SERVICE_OF_CART: &str = r"apiVersion: v1
kind: Service
metadata: { name: {{ .Release.Name }} }
spec: { selector: { app: {{ .Release.Name }} }, ports: [{ port: 80, targetPort: 8080 }] }
";

#[test]
fn q3_what_was_edited_or_added_since_is_drift_and_a_strangers_endpoint_is_no_proof() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    staging.shop.service("shop-cart").write("chart/templates/service.yaml", SERVICE_OF_CART);
    staging.merge(2, SERVES);
    staging.ends("run staging", 0);
    assert!(staging.ends("drift staging", 0).stdout().contains("nothing was edited"));

    let kubectl = |words: &[&str]| cluster.kubectl(&[words, &["--namespace", &staging.namespace]].concat());
    let drifts = |told: &[&str]| {
        kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
        staging.ends("verify staging", 0);
        let drift = staging.ends("drift staging", 1);
        for told in told {
            assert!(drift.text().contains(told), "`{told}` is not in:\n{}", drift.text());
        }
    };
    // What somebody added stays when it is deployed again, and is named.
    kubectl(&["set", "env", "deployment/shop-cart", "DEBUG=1"]);
    drifts(&["kubectl-set", "env[name=DEBUG]"]);
    kubectl(&["set", "env", "deployment/shop-cart", "DEBUG-"]);
    kubectl(&["rollout", "status", "deployment/shop-cart", "--timeout=60s"]);
    staging.ends("drift staging", 0);
    // What somebody changed comes back.
    kubectl(&["patch", "service", "shop-cart", "--patch", "spec: { ports: [{ port: 80, targetPort: 8081 }] }"]);
    drifts(&["edited", "Service/shop-cart", "deploy staging --again"]);
    staging.ends("deploy staging --again", 0);
    staging.ends("drift staging", 0);

    let repository = format!("{}/stranger", staging.namespace);
    let image = Image { repository: &repository, tag: "1", command: SERVES, labels: &[] };
    let digest = staging.node.push(&image);
    let file = staging.shop.join("stranger.yaml");
    let reference = format!("{}/{repository}@{digest}", staging.node.registry());
    std::fs::write(&file, STRANGER.replace("IMAGE", &reference)).unwrap();
    kubectl(&["apply", "--filename", file.to_str().unwrap()]);
    kubectl(&["wait", "--for=condition=Ready", "pod/stranger", "--timeout=60s"]);
    let verify = staging.ends("verify staging", 1);
    assert!(verify.text().contains("Service/shop-cart sends requests to pods that are not proven: `stranger`"));
}

/// The gateway goes last: it is not touched where what it stands before does not come up.
#[test]
fn a_wave_that_fails_stops_the_waves_behind_it() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let (web, services) = ("services/shop-web", ["ops/shop-dashboards", SERVICE, "services/shop-web"]);
    let waves = "\n  waves: [\"**\", { match: shop-web, at-once: 1, pause: 1s }]";
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm3", &services, waves) else { return };
    staging.commit(web, 2, SERVES, DEPLOYMENT);
    staging.merge(2, SERVES);
    let ran = staging.ends("run staging", 0);
    let place = |name: &str| ran.stderr().find(&format!("writing helm release `{name}`")).unwrap();
    assert!(place("shop-cart") < place("shop-web"), "{}", ran.text());

    staging.commit(web, 3, SERVES, DEPLOYMENT);
    staging.merge(3, &["sh", "-c", "exit 4"]);
    let failed = staging.ends("run staging", 21);
    assert!(failed.stderr().contains("changed: shop-cart; not touched: shop-web"), "{}", failed.text());
}
