//! A shop whose staging is a namespace of a real cluster, and the manifests that its services bring.

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

/// The manifest of a Deployment with one container, [`DEPLOYMENT`] with other lines.
#[derive(Clone, Debug)]
pub(crate) struct Deployment(String);

impl Deployment {
    /// As a template of a chart.
    pub(crate) fn of_chart() -> Self {
        Self(DEPLOYMENT.to_owned())
    }

    /// As a plain manifest. `IMAGE` is the repository, and the tag in the manifest says nothing.
    pub(crate) fn plain(name: &str) -> Self {
        let text = DEPLOYMENT.replace("{{ .Release.Name }}", name);
        Self(text.replace("{{ .Values.image.repository }}:{{ .Values.image.tag }}", "IMAGE:latest"))
    }

    /// A line of its `metadata`, `key: value`; it takes the place of the one with the same key.
    pub(crate) fn metadata(self, line: &str) -> Self {
        Self(self.0.replacen("\nmetadata: { ", &format!("\nmetadata: {{ {line}, "), 1))
    }

    /// A line of its `spec`.
    pub(crate) fn spec(self, line: &str) -> Self {
        self.line("\n  ", "\n  selector: ", line)
    }

    /// A line of the `spec` of its pods.
    pub(crate) fn pod(self, line: &str) -> Self {
        self.line("\n      ", "\n      containers:\n", line)
    }

    /// A line of the container.
    pub(crate) fn container(self, line: &str) -> Self {
        self.line("\n        ", "\n        image: ", line)
    }

    /// Without the line of the container that says when it is ready.
    pub(crate) fn without_probe(self) -> Self {
        let (before, _) = self.0.split_once("        readinessProbe: ").expect("the probe is the last line");
        Self(before.to_owned())
    }

    /// Puts a line with this indentation in the place of the one with its key, or before another line.
    fn line(self, indentation: &str, before: &str, line: &str) -> Self {
        let (key, _) = line.split_once(':').expect("a line is `key: value`");
        let new = format!("{indentation}{line}");
        let text = match self.0.find(&format!("{indentation}{key}: ")) {
            Some(start) => {
                let end = self.0[start + 1..].find('\n').map_or(self.0.len(), |length| start + 1 + length);
                format!("{}{new}{}", &self.0[..start], &self.0[end..])
            }
            None => self.0.replacen(before, &format!("{new}{before}"), 1),
        };
        Self(text)
    }

    pub(crate) fn yaml(&self) -> &str {
        &self.0
    }
}

/// A Job of a chart that helm runs at these events (`pre-install,pre-upgrade`); it does not try again. It can follow
/// another template.
pub(crate) fn hook_job(events: &str, script: &str) -> String {
    format!(
        r#"---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{{{ .Release.Name }}}}-migrate
  labels: {{ app.kubernetes.io/component: migration }}
  annotations: {{ helm.sh/hook: "{events}" }}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: migrate
        image: "{{{{ .Values.image.repository }}}}:{{{{ .Values.image.tag }}}}"
        command: [sh, -c, "{script}"]
"#
    )
}

/// A `ConfigMap` that each version brings under a name of its own.
const CONFIGURATION_OF_VERSION: &str =
    "---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: of-version-VERSION }\ndata: { A: \"1\" }\n";

/// The definition of a kind in the namespace of its objects, in version `v1` of a group; any field is kept.
pub(crate) fn definition_of_kind(group: &str, kind: &str, singular: &str) -> String {
    format!(
        r"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{ name: {singular}s.{group} }}
spec:
  group: {group}
  scope: Namespaced
  names: {{ kind: {kind}, plural: {singular}s, singular: {singular} }}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{ openAPIV3Schema: {{ type: object, x-kubernetes-preserve-unknown-fields: true }} }}
"
    )
}

pub(crate) const SERVICE_OF_CART: &str = r"apiVersion: v1
kind: Service
metadata: { name: {{ .Release.Name }} }
spec: { selector: { app: {{ .Release.Name }} }, ports: [{ port: 80, targetPort: 8080 }] }
";

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
        let reads = "envFrom: [{ configMapRef: { name: of-version-VERSION } }]";
        let manifest = Deployment::plain("shop-cart").container(reads).yaml().to_owned() + CONFIGURATION_OF_VERSION;
        let manifest = manifest.replace("VERSION", &version.to_string());
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
        counted_user(self.cluster, &self.namespace)
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

    /// Lets helm keep this many revisions of a release; gives the file with a line for each call, its first word.
    pub(crate) fn let_helm_keep(&self, revisions: u32) -> PathBuf {
        let started = self.count_helm();
        let program = self.shop.join("tools/helm");
        let script = fs::read_to_string(&program).unwrap().replace("\"$1 $2\"", "\"$1\"");
        let other = format!(
            "for word do shift; [ \"$last\" = --history-max ] && word={revisions}; last=$word; set -- \"$@\" \"$word\"; done\nexec"
        );
        fs::write(&program, script.replace("exec", &other)).unwrap();
        started
    }

    /// Lets helm print a warning before it begins, as real ones do for what they call deprecated, and refuse a flag that its own
    /// `--help` does not have; gives the file with a line for each call.
    pub(crate) fn warn_and_check_flags_of_helm(&self) -> PathBuf {
        let (lines, program) = (self.shop.join("helm-calls"), self.shop.join("tools/helm"));
        let helm = fs::read_link(&program).unwrap();
        fs::remove_file(&program).unwrap();
        let (file, helm) = (lines.display(), helm.display());
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> '{file}'\necho 'WARNING: {{\"this\": \"is no answer\"}}' >&2\nfor word in \"$@\"; do\n\
             case $word in --*) '{helm}' \"$1\" --help | grep -qe \"^ .*${{word%%=*}}\\b\" || {{ echo \"unknown flag: $word\" >&2; \
             exit 1; }};; esac\ndone\nexec '{helm}' \"$@\"\n"
        );
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

/// Its pods would be probed, each second, until the last test has ended.
impl Drop for ClusterShop<'_> {
    fn drop(&mut self) {
        // An API server that a test has stopped is no failure of that test.
        self.cluster.try_kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]).ok();
    }
}

/// A user for the deployments of a namespace, who may do everything, and whose requests are counted; gives the name and the
/// kubeconfig.
pub(crate) fn counted_user(cluster: &Cluster, namespace: &str) -> (String, String) {
    let user = format!("deployer-{namespace}");
    let subject = format!("--user={user}");
    cluster.kubectl(&["create", "clusterrolebinding", &user, "--clusterrole=cluster-admin", &subject]);
    cluster.count_requests_of(&user);
    let kubeconfig = cluster.kubeconfig_as(&user, &[]);
    (user, kubeconfig)
}

pub(crate) fn search_path_with(folder: &Path) -> OsString {
    let own = std::env::split_paths(&test_support::search_path()).collect::<Vec<_>>();
    std::env::join_paths([folder.to_owned()].into_iter().chain(own)).unwrap()
}
