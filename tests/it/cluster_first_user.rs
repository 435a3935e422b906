//! The first user's start: nine charts that helm 3 installed from tags, the tags have moved since, and a job has scaled
//! everything to nothing. One lock takes all of it over.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};
use test_support::{Cluster, Finished, Image, Node, bench, workspace};

use crate::chart_files::write_folder;
use crate::shop::{Built, Shop};

/// Services with charts that are deployed, each with the port that its image listens on.
const SERVICES: &[(&str, &str, u16)] = &[
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
const OTHERS: &[(&str, &str)] = &[("infra/shop-test-runner", "sha"), ("services/shop-chatbot", "sha")];

const GATEWAY_ENV: &str = "# of the superproject\nUPSTREAM_ACCESS=http://shop-access:8080\n";

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// The shop of the first user, and the namespace that the old pipeline has deployed to.
struct FirstUser<'a> {
    shop: Shop,
    cluster: &'a Cluster,
    node: &'a Node,
    namespace: String,
    tools: PathBuf,
}

impl<'a> FirstUser<'a> {
    fn new_or_skip(cluster: &'a Cluster) -> Option<Self> {
        let node = cluster.node_or_skip()?;
        let namespace = cluster.namespace("first-user");
        let file = workspace().join("tests/first-user/orchestrator.yaml");
        let configuration =
            fs::read_to_string(file).unwrap().replace("REGISTRY", node.registry()).replace("NAMESPACE", &namespace);
        let others = OTHERS.iter().map(|(path, _)| *path).chain(["infra/shop-grafana"]);
        let paths: Vec<&str> = SERVICES.iter().map(|(path, ..)| *path).chain(others).collect();
        let shop = Shop::with_services(&paths, &configuration);
        let tools = shop.join("tools");
        fs::create_dir(&tools).unwrap();
        Some(Self { shop, cluster, node, namespace, tools })
    }

    fn kubectl(&self, words: &[&str]) -> String {
        self.cluster.kubectl(&[words, &["--namespace", &self.namespace]].concat())
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[words, &["--output=json"]].concat())).unwrap()
    }

    /// A version of a service with its chart; gives its commit.
    fn version(&self, path: &str, version: u32) -> String {
        let name = name_of(path);
        if name != "shop-chatbot" {
            write_folder(&self.shop.service(name), &format!("first-user/charts/{name}"), "chart");
        }
        let commit = self.shop.new_version(name, version, Built::No);
        self.shop.clone_folder().gitlink(path, &commit);
        commit
    }

    /// Pushes an image of a commit; a tag that is there moves. Gives tag and digest.
    fn push(&self, path: &str, prefix: &str, commit: &str, command: &str) -> (String, String) {
        let tag = format!("{prefix}-{}", &commit[..7]);
        let repository = format!("{}/{}", self.namespace, name_of(path).strip_prefix("shop-").unwrap());
        let labels = [("org.opencontainers.image.revision", commit)];
        let command = ["sh", "-c", command];
        let digest = self.node.push(&Image { repository: &repository, tag: &tag, command: &command, labels: &labels });
        (tag, digest)
    }

    /// What the old pipeline did: configuration by kubectl, and a release by helm 3 with a tag.
    fn install_by_helm_3(&self, release: &str, name: &str, tag: &str) {
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
    fn use_helm(&self, part: &str) {
        let tool = self.tools.join("helm");
        fs::remove_file(&tool).unwrap_or_default();
        symlink(bench::part(part).unwrap().program(), tool).unwrap();
    }

    /// A helm that writes down what it is asked for.
    fn watch_helm(&self) {
        let tool = self.tools.join("helm");
        fs::remove_file(&tool).unwrap_or_default();
        let helm = bench::part("helm4").unwrap();
        let script = format!("#!/bin/sh\necho \"$*\" >> \"$0.log\"\nexec {} \"$@\"\n", helm.program().display());
        fs::write(&tool, script).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn ends(&self, line: &str, code: i32) -> Finished {
        let mut path = self.tools.clone().into_os_string();
        path.push(":");
        path.push(test_support::search_path());
        let mut command = self.shop.orchestrator(line).search_path(path);
        for (service, ..) in SERVICES {
            let name = name_of(service).replace('-', "_").to_uppercase();
            command = command.env(&format!("{name}_CONFIGMAP"), format!("SHOP={name}\nQUOTED=\"kept\"\n"));
            command = command.env(&format!("{name}_SECRETS"), format!("LOGIN=login-of-{name}\n"));
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
        let kubeconfig = test_support::base64(self.cluster.kubeconfig().as_bytes());
        command.env("KUBECONFIG_BASE64", kubeconfig).run().expect_code(code)
    }

    /// By service: the UIDs of its pods that run, and the digests of their containers.
    fn pods(&self) -> BTreeMap<String, (Vec<String>, Vec<String>)> {
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
    fn revisions(&self) -> BTreeMap<String, usize> {
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
const TESTS: &str = r#"echo "$0 $* of $BASE_URL"; test "$0 $* of $BASE_URL" = "--mode staging --suite system of http://shop-gateway:8080""#;

/// An image that serves a page at `/`, and ends when it is told to. `edition` makes its digest its own.
fn serves(port: u16, edition: &str) -> String {
    format!("echo {edition} > /tmp/index.html; httpd -f -p {port} -h /tmp & trap 'exit 0' TERM; wait")
}

#[test]
fn p27_p28_p29_nine_releases_of_the_old_pipeline_are_taken_over() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if bench::part_or_skip("helm3").is_none() || bench::part_or_skip("helm4").is_none() {
        return;
    }
    let Some(user) = FirstUser::new_or_skip(cluster) else { return };
    user.shop.work_on("dev").write("deploy/gateway.env", GATEWAY_ENV);

    // Nine releases from tags; the tests failed, and their pod is still there. The tags move; staging sleeps.
    let (mut digests, mut runner_digest) = (BTreeMap::new(), String::new());
    for (path, prefix) in OTHERS {
        let commit = user.version(path, 2);
        let (tag, _) = user.push(path, prefix, &commit, "echo the load is too high; exit 1");
        if *path == "infra/shop-test-runner" {
            user.install_by_helm_3("shop-test-runner-1764000000", "shop-test-runner", &tag);
            let (_, new) = user.push(path, prefix, &commit, TESTS);
            runner_digest = new;
        }
    }
    for (path, prefix, port) in SERVICES {
        let (name, commit) = (name_of(path), user.version(path, 2));
        let (tag, old) = user.push(path, prefix, &commit, &serves(*port, "old"));
        user.install_by_helm_3(name, name, &tag);
        let (_, new) = user.push(path, prefix, &commit, &serves(*port, "new"));
        assert_ne!(old, new, "the tag of {name} has moved");
        digests.insert(name.to_owned(), new);
    }
    assert_eq!(user.revisions().len(), 9);
    user.kubectl(&[
        "wait",
        "--for=condition=Failed",
        "job",
        "--selector=app.kubernetes.io/name=shop-test-runner",
        "--timeout=60s",
    ]);
    user.kubectl(&["scale", "deployment", "--all", "--replicas=0"]);

    user.shop.commit_and_push("dev", "the shop");
    user.use_helm("helm4");
    user.shop.merge_dev();
    user.ends("lock commit staging", 0);
    let mut names: Vec<&str> = SERVICES.iter().map(|(path, ..)| name_of(path)).collect();
    names.sort_unstable();
    let all = names.join(", ");
    let health = user.ends("health staging", 0);
    let stopped = format!("scaled to 0 replicas, and to be started by the deployment: {all}; where nothing else");
    for told in [stopped.as_str(), "`orchestrator deploy staging --again`"] {
        assert!(health.text().contains(told), "`{told}` is not in:\n{}", health.text());
    }
    let plan = user.ends("plan staging", 0);
    for told in [
        format!("taken over, since another program made their helm releases: {all}"),
        format!("the pods of all of these are made anew, with digests and settings of the plan: {all}"),
        "Pod/shop-orders-test-connection is started by `helm test` only".to_owned(),
    ] {
        assert!(plan.text().contains(&told), "`{told}` is not in:\n{}", plan.text());
    }
    assert!(names.iter().all(|name| user.revisions()[*name] == 1), "a plan changes nothing");

    // One lock, by helm 4: what runs is what the tags led to when it was made.
    let ran = user.ends("run staging", 0);
    assert!(ran.text().contains("8 taken over"), "{}", ran.text());
    let running = user.pods();
    for (name, digest) in &digests {
        let containers = if name == "shop-recommender" { 2 } else { 1 };
        assert_eq!(running[name].1, vec![digest.clone(); containers], "{name}");
        assert_eq!(user.revisions()[name], 2, "{name}");
    }
    user.ends("verify staging", 0);
    // The locked test runner is a suite, which installs nothing and leaves nothing behind.
    let superproject = user.shop.superproject();
    let place = superproject.git(&["grep", "-l", "--", &runner_digest, "orchestrator/ledger", "--", "evidence"]);
    let evidence: Value = serde_json::from_str(&superproject.git(&["show", place.trim()])).unwrap();
    assert!(evidence.to_string().contains(r#""suite":"system","verdict":"passed""#), "{evidence}");
    assert_eq!(user.kubectl(&["get", "job", "--selector=app.kubernetes.io/component=suite", "--output=name"]), "");
    // The old test runner is no service, and its failed pod stops no deployment.
    let runner = user.json(&["get", "pods", "--selector=app.kubernetes.io/name=shop-test-runner"]);
    assert_eq!(runner["items"][0]["status"]["phase"], "Failed");
    assert_eq!(user.revisions()["shop-test-runner-1764000000"], 1);
    // Charts that list neither `env` nor `envFrom` in their values have their configuration all the same.
    let access = user.json(&["get", "deployment", "shop-access"]);
    let container = &access["spec"]["template"]["spec"]["containers"][0];
    let configuration = container["envFrom"][0]["configMapRef"]["name"].as_str().unwrap();
    let data = user.json(&["get", "configmap", configuration]);
    assert_eq!(data["data"], json!({ "SHOP": "SHOP_ACCESS", "QUOTED": "\"kept\"" }));
    for job in ["shop-auth-b2c-migration", "shop-auth-b2e-migration"] {
        assert_eq!(user.json(&["get", "job", job])["status"]["succeeded"], 1, "{job}");
    }
    // The manifest that lies beside the templates of a chart is no part of it.
    cluster.try_kubectl(&["get", "deployment", "qdrant", "--namespace", &user.namespace]).unwrap_err();

    // The same again starts no pod, and asks no helm about staging: the promotion says what production would deploy.
    user.watch_helm();
    user.ends("run staging", 0);
    let started = fs::read_to_string(user.tools.join("helm.log")).unwrap_or_default();
    let of_production =
        |line: &&str| line.starts_with("version ") || line.contains(&format!("--namespace {}-prod ", user.namespace));
    assert!(started.lines().all(|line| of_production(&line)), "{started}");
    assert_eq!(user.pods(), running);

    // One of them changes, by helm 3: the others stay as they are.
    user.use_helm("helm3");
    user.shop.work_on("dev");
    let commit = user.version("services/shop-orders", 3);
    let (_, orders) = user.push("services/shop-orders", "main-native", &commit, &serves(8082, "newer"));
    user.shop.commit_and_push("dev", "orders 3");
    user.shop.merge_dev();
    user.ends("run staging", 0);
    let mut wanted = running;
    let after = user.pods();
    let before = wanted.insert("shop-orders".to_owned(), (after["shop-orders"].0.clone(), vec![orders]));
    assert_eq!(after, wanted);
    assert_ne!(before.unwrap().0, after["shop-orders"].0);
    user.ends("verify staging", 0);
}
