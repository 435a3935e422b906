//! The shop of the first user: the shapes of its charts and of its configuration.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};
use test_support::{Cluster, Finished, Image, Node, bench, workspace};

use crate::chart_files::write_folder;
use crate::shop::{Built, Shop};

/// Services with charts that are deployed, each with the port that its image listens on.
pub(crate) const SERVICES: &[(&str, &str, u16)] = &[
    ("infra/shop-auth-b2c", "sha", 3000),
    ("infra/shop-auth-b2e", "sha", 3001),
    ("infra/shop-gateway", "main-native", 8080),
    ("services/shop-access", "main-native", 8080),
    ("services/shop-catalog", "main-native", 8081),
    ("services/shop-orders", "main-native", 8082),
    ("services/shop-pricing", "main-native", 8083),
    ("services/shop-recommender", "sha", 8000),
];

/// Images that are locked and not deployed.
pub(crate) const OTHERS: &[(&str, &str)] = &[("infra/shop-test-runner", "sha"), ("services/shop-chatbot", "sha")];

/// A service of which the configuration is there, for those who want one more.
pub(crate) const MORE: &str = "services/shop-reviews";

pub(crate) const GATEWAY_ENV: &str = "# of the superproject\nUPSTREAM_ACCESS=http://shop-access:8080\n";

pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn variable_of(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

/// What the job has of a service's configuration, as `kubectl create --from-env-file` reads it.
pub(crate) fn configuration_of(name: &str) -> String {
    format!("SHOP={}\nQUOTED=\"kept\"\n", variable_of(name))
}

pub(crate) fn secrets_of(name: &str) -> String {
    format!("LOGIN=login-of-{}\n", variable_of(name))
}

/// The shop of the first user, and the namespace that the old pipeline has deployed to.
pub(crate) struct FirstUser<'a> {
    pub(crate) shop: Shop,
    pub(crate) cluster: &'a Cluster,
    pub(crate) node: &'a Node,
    pub(crate) namespace: String,
    pub(crate) tools: PathBuf,
}

impl<'a> FirstUser<'a> {
    pub(crate) fn new_or_skip(cluster: &'a Cluster) -> Option<Self> {
        Self::with_or_skip(cluster, &[], |configuration| configuration)
    }

    /// The same with more submodules, and another configuration.
    pub(crate) fn with_or_skip(
        cluster: &'a Cluster,
        more: &[&str],
        change: impl FnOnce(String) -> String,
    ) -> Option<Self> {
        let node = cluster.node_or_skip()?;
        let namespace = cluster.namespace("first-user");
        let file = workspace().join("tests/first-user/orchestrator.yaml");
        let configuration =
            fs::read_to_string(file).unwrap().replace("REGISTRY", node.registry()).replace("NAMESPACE", &namespace);
        let others = OTHERS.iter().map(|(path, _)| *path).chain(["infra/shop-grafana"]);
        let paths = SERVICES.iter().map(|(path, ..)| *path).chain(others).chain(more.iter().copied());
        let shop = Shop::with_services(&paths.collect::<Vec<_>>(), &change(configuration));
        let tools = shop.join("tools");
        fs::create_dir(&tools).unwrap();
        Some(Self { shop, cluster, node, namespace, tools })
    }

    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        self.cluster.kubectl(&[words, &["--namespace", &self.namespace]].concat())
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[words, &["--output=json"]].concat())).unwrap()
    }

    /// A version of a service with its chart; gives its commit.
    pub(crate) fn version(&self, path: &str, version: u32) -> String {
        let name = name_of(path);
        self.version_with(path, version, (name != "shop-chatbot").then_some(name))
    }

    /// The same with a chart of another name, or none.
    pub(crate) fn version_with(&self, path: &str, version: u32, chart: Option<&str>) -> String {
        let name = name_of(path);
        if let Some(chart) = chart {
            write_folder(&self.shop.service(name), &format!("first-user/charts/{chart}"), "chart");
        }
        let commit = self.shop.new_version(name, version, Built::No);
        self.shop.clone_folder().gitlink(path, &commit);
        commit
    }

    /// Pushes an image of a commit; a tag that is there moves. Gives tag and digest.
    pub(crate) fn push(&self, path: &str, prefix: &str, commit: &str, command: &str) -> (String, String) {
        let tag = format!("{prefix}-{}", &commit[..7]);
        let repository = format!("{}/{}", self.namespace, name_of(path).strip_prefix("shop-").unwrap());
        let labels = [("org.opencontainers.image.revision", commit)];
        let command = ["sh", "-c", command];
        let digest = self.node.push(&Image { repository: &repository, tag: &tag, command: &command, labels: &labels });
        (tag, digest)
    }

    /// What the old pipeline did: configuration by kubectl, and a release by helm 3 with a tag.
    pub(crate) fn install_by_helm_3(&self, release: &str, name: &str, tag: &str) {
        let helm = bench::part("helm3").unwrap();
        let repository = format!("{}/{}/{}", self.node.registry(), self.namespace, name.strip_prefix("shop-").unwrap());
        let mut values = json!({ "image": { "repository": repository, "tag": tag } });
        if name != "shop-test-runner" {
            let configuration = format!("{name}-config");
            self.kubectl(&[
                "create",
                "configmap",
                &configuration,
                "--from-literal=A=old",
                "--from-literal=DATABASE_URL=old",
            ]);
            values["envFrom"] = json!([{ "configMapRef": { "name": configuration } }]);
        }
        let file = self.shop.join("old-values.json");
        fs::write(&file, values.to_string()).unwrap();
        let chart = self.shop.join(&format!("{name}.git/chart"));
        let mut upgrade = helm.command();
        upgrade
            .env("HOME", self.shop.join("home"))
            .args(["upgrade", "--install", release])
            .arg(chart)
            .args(["--namespace", &self.namespace, "--kubeconfig"])
            .arg(self.cluster.kubeconfig_path())
            .arg("--values")
            .arg(&file);
        let output = test_support::output(&mut upgrade).unwrap();
        assert!(output.status.success(), "{release}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Which helm the job finds.
    pub(crate) fn use_helm(&self, part: &str) {
        let tool = self.tools.join("helm");
        fs::remove_file(&tool).unwrap_or_default();
        symlink(bench::part(part).unwrap().program(), tool).unwrap();
    }

    /// Puts a helm in its place that writes its arguments to `helm.log`.
    pub(crate) fn watch_helm(&self) {
        let tool = self.tools.join("helm");
        fs::remove_file(&tool).unwrap_or_default();
        let helm = bench::part("helm4").unwrap();
        let script = format!("#!/bin/sh\necho \"$*\" >> \"$0.log\"\nexec {} \"$@\"\n", helm.program().display());
        fs::write(&tool, script).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[track_caller]
    pub(crate) fn ends(&self, line: &str, code: i32) -> Finished {
        self.ends_with(self.cluster.kubeconfig(), line, code)
    }

    /// The same with another kubeconfig.
    #[track_caller]
    pub(crate) fn ends_with(&self, kubeconfig: &str, line: &str, code: i32) -> Finished {
        let mut path = self.tools.clone().into_os_string();
        path.push(":");
        path.push(test_support::search_path());
        let mut command = self.shop.orchestrator(line).search_path(path);
        let services = SERVICES.iter().map(|(path, ..)| *path).chain([MORE]);
        for service in services {
            let name = name_of(service);
            let variable = variable_of(name);
            command = command.env(&format!("{variable}_CONFIGMAP"), configuration_of(name));
            command = command.env(&format!("{variable}_SECRETS"), secrets_of(name));
        }
        for (name, value) in [
            ("DB_PASSWORD_AUTH_B2C", "password-of-b2c"),
            ("DB_PASSWORD_AUTH_B2E", "password-of-b2e"),
            ("CORS_ALLOWED_ORIGINS", "https://shop.example"),
            ("CORS_ALLOW_CREDENTIALS", "true"),
            ("BETTER_AUTH_SECRET", "a-better-secret"),
            ("GHCR_USER", "puller"),
            ("GHCR_PAT", "pull-me-if-you-can"),
        ] {
            command = command.env(name, value);
        }
        let kubeconfig = test_support::base64(kubeconfig.as_bytes());
        command.env("KUBECONFIG_BASE64", kubeconfig).run().expect_code(code)
    }

    /// By service: the UIDs of its pods that run, and the digests of their containers.
    pub(crate) fn pods(&self) -> BTreeMap<String, (Vec<String>, Vec<String>)> {
        let mut found: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
        let pods =
            self.json(&["get", "pods", "--selector=app.kubernetes.io/name", "--field-selector=status.phase=Running"]);
        for pod in pods["items"].as_array().unwrap() {
            if !pod["metadata"]["deletionTimestamp"].is_null() {
                continue;
            }
            let name = pod["metadata"]["labels"]["app.kubernetes.io/name"].as_str().unwrap().to_owned();
            let (uids, digests) = found.entry(name).or_default();
            uids.push(pod["metadata"]["uid"].as_str().unwrap().to_owned());
            let statuses = pod["status"]["containerStatuses"].as_array().unwrap().iter();
            digests.extend(statuses.map(|one| one["imageID"].as_str().unwrap().rsplit_once('@').unwrap().1.to_owned()));
        }
        found
    }

    /// How many revisions helm has of each release.
    pub(crate) fn revisions(&self) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        let secrets = self.json(&["get", "secrets", "--selector=owner=helm"]);
        for secret in secrets["items"].as_array().unwrap() {
            let name = secret["metadata"]["labels"]["name"].as_str().unwrap();
            *found.entry(name.to_owned()).or_default() += 1;
        }
        found
    }
}

/// The test runner: it looks at what it is given.
pub(crate) const TESTS: &str = r#"echo "$0 $* of $BASE_URL"; test "$0 $* of $BASE_URL" = "--mode staging --suite system of http://shop-gateway:8080""#;

/// An image that serves a page at `/`, and ends when it is told to. `edition` makes its digest its own.
pub(crate) fn serves(port: u16, edition: &str) -> String {
    format!("echo {edition} > /tmp/index.html; httpd -f -p {port} -h /tmp & trap 'exit 0' TERM; wait")
}
