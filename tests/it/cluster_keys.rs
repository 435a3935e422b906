//! Keys of an environment that concern its cluster, on a real one: settings of plain manifests, kustomizations.

use std::fs;

use test_support::{Cluster, Image};

use crate::clusters::{ClusterShop, DEPLOYMENT, Deployment, SERVES, SERVICE, SERVICE_OF_CART, hook_job};
use crate::shop::{Shop, wait_until};

pub(crate) const WEB: &str = "services/shop-web";

const SETTINGS: &str = r#"target: { kind: apply, source: "{path}/cluster" }
  config: [{ env: "{NAME}_CONFIG", format: dotenv }]
  secret: [{ env: "{NAME}_SECRETS", format: dotenv }, { set: { LOGIN: "{short}:{env:LOGIN_{SHORT}}" } }]"#;

/// A suite that prints what a test puts into a file, and fails then.
const LEAK: &str = r#"#!/bin/sh
if [ -e "$SHOP_STATE/leak" ]; then cat "$SHOP_STATE/leak"; exit 1; fi
echo fine
"#;

/// A workload without settings; `NAME` is its service.
pub(crate) fn plain() -> Deployment {
    Deployment::plain("NAME")
}

/// The same, which reads its settings in the three ways there are.
fn reader() -> Deployment {
    plain()
        .container("envFrom: [{ configMapRef: { name: NAME-config } }]")
        .container("env: [{ name: LOGIN, valueFrom: { secretKeyRef: { name: NAME-secret, key: LOGIN } } }]")
        .container("volumeMounts: [{ name: settings, mountPath: /settings }]")
        .pod("volumes: [{ name: settings, configMap: { name: NAME-config } }]")
}

/// The same with other pods, of another version.
fn other_reader() -> Deployment {
    reader().container("readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 2 }")
}

/// The variables that the settings of both services come from.
fn settings_of_a_job(cart: &str) -> Vec<(&str, &str)> {
    vec![
        ("SHOP_CART_CONFIG", cart),
        ("SHOP_WEB_CONFIG", "A=web"),
        ("SHOP_CART_SECRETS", "TOKEN=token-of-cart-0451"),
        ("SHOP_WEB_SECRETS", "TOKEN=token-of-web-0451"),
        ("LOGIN_CART", "cart-login-1"),
        ("LOGIN_WEB", "web-login-1"),
    ]
}

impl ClusterShop<'_> {
    /// UID and creation of the pods of a service that are not on their way out.
    fn pods(&self, service: &str) -> String {
        let selector = format!("--selector=app={service}");
        let path = "--output=jsonpath={.items[*].metadata.uid}";
        self.kubectl(&["get", "pods", &selector, "--field-selector=status.phase=Running", path])
    }

    /// Puts a version of two services of plain manifests on the way to staging.
    pub(crate) fn merge_readers(&self, version: u32, manifest: &Deployment) {
        for service in [WEB, SERVICE] {
            let name = service.rsplit('/').next().unwrap();
            let manifest = manifest.yaml().replace("NAME", name);
            self.commit_files(service, version, SERVES, &[("cluster/app.yaml", &manifest)]);
        }
        self.shop.merge_dev();
    }
}

#[test]
fn p20_b34_plain_manifests_get_the_present_version_of_their_settings_and_only_its_readers_restart() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let services = ["ops/shop-dashboards", SERVICE, WEB];
    let settings = SETTINGS.replace("secret: [", "secret: [{ command: [./tests/secrets], format: json }, ");
    let Some(staging) = ClusterShop::without_helm(cluster, &services, &settings) else { return };
    let job = |cart| {
        let mut job = settings_of_a_job(cart);
        job.push(("GITHUB_ACTIONS", "true"));
        job
    };
    let clone = staging.shop.work_on("dev");
    clone.write_executable("tests/check", LEAK);
    clone.write_executable("tests/secrets", "#!/bin/sh\nprintf '{ \"PRINTED\": \"%s-%s\" }' of-a-program 0451\n");
    staging.shop.commit_and_push("dev", "a suite that prints too much");
    staging.merge_readers(2, &reader());
    let ran = staging.ends_in(&job("A=1"), "run staging", 0);
    // A secret that is made or taken apart here is masked in the log of a job before anything can print it.
    for masked in ["::add-mask::token-of-cart-0451\n", "::add-mask::cart:cart-login-1\n"] {
        assert!(ran.stderr().contains(masked), "{masked}: {}", ran.text());
    }
    let field = |what: &str| staging.kubectl(&["get", "deployment/shop-cart", &format!("--output=jsonpath={what}")]);
    let config = field("{.spec.template.spec.containers[0].envFrom[0].configMapRef.name}");
    let secret = field("{.spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef.name}");
    assert_eq!(field("{.spec.template.spec.volumes[0].configMap.name}"), config);
    assert!(config.starts_with("shop-cart-config-") && secret.starts_with("shop-cart-secret-"), "{config} {secret}");
    let data = staging.kubectl(&["get", "configmap", &config, "--output=jsonpath={.data.A} {.immutable}"]);
    assert_eq!(data, "1 true");
    staging.ends("verify staging", 0);
    staging.ends_in(&job("A=1"), "drift staging", 0);

    // The same again changes nothing; another configuration restarts its readers, and no others.
    let before = [staging.pods("shop-cart"), staging.pods("shop-web")];
    staging.ends_in(&job("A=1"), "run staging", 0);
    assert_eq!([staging.pods("shop-cart"), staging.pods("shop-web")], before);
    staging.ends_in(&job("A=2"), "run staging", 0);
    assert_ne!(staging.pods("shop-cart"), before[0]);
    assert_eq!(staging.pods("shop-web"), before[1]);
    staging.ends("verify staging", 0);

    // What is within a variable, what is composed, and what a program prints is masked in what suites print.
    let leak = staging.shop.join("home/leak");
    std::fs::write(&leak, "found token-of-cart-0451 and cart:cart-login-1 and of-a-program-0451\n").unwrap();
    let leaked = staging.ends_in(&job("A=2"), "test run staging --suite system", 1);
    assert!(leaked.text().contains("found *** and *** and ***"), "{}", leaked.text());
    std::fs::remove_file(leak).unwrap();

    // A rollback brings the configuration of its release back.
    staging.merge_readers(3, &other_reader());
    staging.ends_in(&job("A=3"), "run staging", 0);
    staging.ends_in(&job("A=3"), "rollback staging --reason \"carts are empty\"", 0);
    let name = field("{.spec.template.spec.containers[0].envFrom[0].configMapRef.name}");
    assert_eq!(staging.kubectl(&["get", "configmap", &name, "--output=jsonpath={.data.A}"]), "2");
    staging.ends("unhold staging --reason \"carts are full\"", 0);

    // A manifest that brings an object of that name itself is refused, and one that reads no settings is told so.
    let own = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: shop-cart-config }\ndata: { A: '1' }\n";
    staging.commit_files(SERVICE, 4, SERVES, &[("cluster/own.yaml", own)]);
    staging.shop.merge_dev_past_rules();
    let refused = staging.ends_in(&job("A=3"), "run staging", 20);
    let reason = "ConfigMap/shop-cart-config is in the manifests, and `config` gives the service one of that name";
    assert!(refused.stderr().contains(reason), "{}", refused.text());
}

const KUSTOMIZED: &str = r#"target: { kind: apply, source: "{path}/cluster", kustomization: "overlays/{mode}" }"#;

const BASE: &str = "resources: [app.yaml]\n";

const OVERLAY: &str = r"resources: [../../base]
configMapGenerator: [{ name: colours, envs: [colours.env] }]
patches:
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: { name: shop-cart }
    spec: { template: { spec: { containers: [{ name: app, envFrom: [{ configMapRef: { name: colours } }] }] } } }
";

/// A kustomization reads files of any name, and what it no longer generates is removed.
#[track_caller]
fn kustomizations_there_and_back(program: &str) {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &["ops/shop-dashboards", SERVICE], KUSTOMIZED) else {
        return;
    };
    let Some(staging) = staging.with_program_or_skip(program, program) else { return };
    let app = Deployment::plain("shop-cart");
    let merge = |version: u32, colour: &str, overlay: &str| {
        let files = [
            ("cluster/base/kustomization.yaml", BASE),
            ("cluster/base/app.yaml", app.yaml()),
            ("cluster/overlays/staging/kustomization.yaml", overlay),
            ("cluster/overlays/staging/colours.env", colour),
            // Production is judged with the promotion.
            ("cluster/overlays/production/kustomization.yaml", OVERLAY),
            ("cluster/overlays/production/colours.env", "COLOUR=white\n"),
        ];
        let digest = staging.commit_files(SERVICE, version, SERVES, &files);
        staging.shop.merge_dev();
        digest
    };
    let colours = || {
        let maps = staging.kubectl(&["get", "configmap", "--output=name"]);
        maps.lines().filter(|name| name.starts_with("configmap/colours-")).map(str::to_owned).collect::<Vec<_>>()
    };
    let first = merge(2, "COLOUR=green\n", OVERLAY);
    staging.ends("run staging", 0);
    let green = colours();
    assert_eq!((staging.running(), green.len()), (vec![first.clone()], 1));
    staging.ends("verify staging", 0);
    let pods = staging.pods("shop-cart");
    staging.ends("run staging", 0);
    assert_eq!(staging.pods("shop-cart"), pods);

    let second = merge(3, "COLOUR=blue\n", OVERLAY);
    staging.ends("run staging", 0);
    let blue = colours();
    assert_eq!((staging.running(), blue.len()), (vec![second], 1));
    assert_ne!(green, blue);
    staging.ends("rollback staging --reason \"blue is sad\"", 0);
    assert_eq!((staging.running(), colours()), (vec![first], green.clone()));
    staging.ends("unhold staging --reason \"green it is\"", 0);

    // What is not of this commit is refused by name, before anything is changed.
    let remote = OVERLAY.replace("../../base", "../../base, 'https://shop.example/more.yaml'");
    let files = [("cluster/overlays/staging/kustomization.yaml", remote.as_str())];
    staging.commit_files(SERVICE, 4, SERVES, &files);
    staging.shop.merge_dev_past_rules();
    let refused = staging.ends("run staging", 20);
    let reason = "`resources` names `https://shop.example/more.yaml`, which is remote";
    assert!(refused.stderr().contains(reason), "{}", refused.text());
    assert_eq!(colours(), green);
}

#[test]
fn b29_a_kustomization_is_rendered_by_kubectl_from_files_of_git() {
    kustomizations_there_and_back("kubectl");
}

#[test]
fn b29_a_kustomization_is_rendered_by_kustomize_from_files_of_git() {
    kustomizations_there_and_back("kustomize");
}

/// Lets a user of the cluster do what the printed Role says, and nothing else; gives that user's kubeconfig.
#[track_caller]
pub(crate) fn with_printed_role(staging: &ClusterShop<'_>, job: &[(&str, &str)]) -> String {
    staging.ends_in(job, "lock commit staging", 0);
    let printed = staging.ends_in(job, "permissions staging --role", 0);
    let role = printed.stdout().split("---\n").find(|document| document.contains("kind: Role\n")).unwrap();
    assert!(!role.contains('*') && printed.stdout().contains("kind: ClusterRole\n"), "{}", printed.text());
    staging.cluster.apply(role);
    let user = format!("deployer-of-{}", staging.namespace);
    staging.kubectl(&["create", "rolebinding", "deployer", "--role=orchestrator-staging", "--user", &user]);
    staging.cluster.kubeconfig_as(&user, &[])
}

#[test]
fn b33_the_printed_role_is_enough_for_plain_manifests_with_settings() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let services = ["ops/shop-dashboards", SERVICE, WEB];
    let Some(staging) = ClusterShop::without_helm(cluster, &services, SETTINGS) else { return };
    let mut job = settings_of_a_job("A=1");
    staging.merge_readers(2, &reader());
    let kubeconfig = with_printed_role(&staging, &job);
    job.push(("SHOP_KUBECONFIG", kubeconfig.as_str()));
    staging.ends_in(&job, "run staging", 0);
    staging.ends_in(&job, "verify staging", 0);
    // Also for the removal of versions that nothing needs any more.
    for number in 0..12 {
        for (kind, part) in [("ConfigMap", "config"), ("Secret", "secret")] {
            staging.cluster.apply(&format!(
                "{{ apiVersion: v1, kind: {kind}, metadata: {{ name: shop-cart-{part}-old{number}, namespace: {}, labels: {{ \
                 orchestrator.dev/service: shop-cart, orchestrator.dev/settings: {part} }} }} }}",
                staging.namespace
            ));
        }
    }
    staging.merge_readers(3, &other_reader());
    staging.ends_in(&job, "run staging", 0);
    for kind in ["configmap", "secret"] {
        let left = staging.kubectl(&["get", kind, "--selector=orchestrator.dev/service=shop-cart", "--output=name"]);
        assert!((10..=11).contains(&left.lines().count()), "{left}");
    }
    staging.ends_in(&job, "drift staging", 0);
    staging.ends_in(&job, "rollback staging --reason \"carts are empty\"", 0);
}

#[test]
fn b33_the_printed_role_is_enough_for_charts() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let clone = staging.shop.work_on("dev");
    let configuration = clone.read("HEAD", "orchestrator.yaml").unwrap();
    let with_login = configuration.replacen("  kubeconfig:", &format!("  {PULL_SECRET}\n  kubeconfig:"), 1);
    assert!(with_login.contains(PULL_SECRET), "{configuration}");
    clone.write("orchestrator.yaml", with_login.replace("    probes:\n", ASKS_A_SERVICE));
    staging.shop.service("shop-cart").write("chart/templates/service.yaml", SERVICE_OF_CART);
    let chart = Deployment::of_chart().spec("replicas: 1");
    staging.merge_chart(2, SERVES, chart.yaml());
    let mut job = vec![("PULL_USER", "puller"), ("PULL_PASSWORD", "pull-me-if-you-can")];
    let kubeconfig = with_printed_role(&staging, &job);
    job.push(("SHOP_KUBECONFIG", kubeconfig.as_str()));
    let ends = |words: &str, code: i32| staging.ends_in(&job, words, code);
    ends("run staging", 0);
    ends("verify staging", 0);
    // Also to the pods of a Service, once the cluster has written who is ready.
    wait_until("the Service to answer", || {
        let health = ends("health staging", 0).text();
        assert!(!health.contains("portforward"), "{health}");
        health.contains("status 404")
    });
    // And what an autoscaler has set.
    staging.kubectl(&["autoscale", "deployment/shop-cart", "--min=2", "--max=3"]);
    staging.kubectl(&["scale", "deployment/shop-cart", "--replicas=2"]);
    wait_until("the second pod to run", || staging.running().len() == 2);
    ends("drift staging", 0);
    staging.kubectl(&["delete", "horizontalpodautoscaler/shop-cart"]);
    // Why a deployment failed is seen as well.
    staging.merge_chart(3, &["sh", "-c", "echo the cart is broken; exit 3"], chart.yaml());
    let failed = ends("run staging --on-failure rollback", 21);
    assert!(failed.stderr().contains("the cart is broken"), "{}", failed.text());
    assert!(failed.text().contains("Started: ") && !failed.text().contains("not known: "), "{}", failed.text());
    ends("verify staging", 0);
}

/// Applied beside the charts: what pods pull with.
const PULL_SECRET: &str = "pull-secret: { name: pull, registry: registry.example, username: { env: PULL_USER }, password: { env: PULL_PASSWORD } }";

/// Nothing is served below `/`, which is an answer all the same.
pub(crate) const ASKS_A_SERVICE: &str = "    probes:
      cart: { kind: http, url: \"http://svc/shop-cart:80/\", status: 404, severity: warn }
";

/// A test of a chart whose image no digest decides.
const PROBE: &str = r#"apiVersion: v1
kind: Pod
metadata: { name: probe, annotations: { helm.sh/hook: test } }
spec: { containers: [{ name: probe, image: "busybox:1.36" }] }
"#;

/// A pod that cannot be tried before its account is there.
const WITH_ACCOUNT: &str = r#"apiVersion: v1
kind: Pod
metadata: { name: single }
spec: { serviceAccountName: plain, containers: [{ name: app, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}" }] }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: plain }
"#;

#[test]
fn d1_an_unpinned_image_of_a_test_hook_refuses_a_deployment_before_it_begins() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: helm, chart: "{path}/chart", test-hooks: refuse }"#;
    let services = ["ops/shop-dashboards", SERVICE];
    let Some(staging) = ClusterShop::with_target_or_skip(cluster, "helm4", &services, target) else { return };
    staging.shop.service("shop-cart").write("chart/templates/tests/probe.yaml", PROBE);
    staging.commit(SERVICE, 2, SERVES, DEPLOYMENT);
    let number = staging.shop.open();
    staging.ends(&format!("lock publish --pr {number}"), 20);
    staging.shop.ok(&format!("test run pull-request --pr {number}"));
    staging.shop.ok(&format!("--as eve forge pr merge {number} --admin"));
    let refused = staging.ends("run staging", 20);
    let reason = "of Pod/probe, which `helm test` starts: `busybox:1.36` has no digest";
    assert!(refused.stderr().contains(reason), "{}", refused.text());
    assert_eq!(staging.revisions(), 0);

    let digest = format!("busybox@sha256:{}", "a".repeat(64));
    let pinned = PROBE.replace("busybox:1.36", &digest);
    staging.shop.service("shop-cart").write("chart/templates/tests/probe.yaml", pinned);
    // What every deployment starts besides is in the lists of the plan and of the proof, read from what helm stores as hooks.
    let (repository, labels) = (format!("{}/tool", staging.namespace), []);
    staging.node().push(&Image { repository: &repository, tag: "1", command: &[], labels: &labels });
    let tool = format!("{}/{repository}:1", staging.node().registry());
    let job = hook_job("pre-install,pre-upgrade", "true");
    let job = job.replace("{{ .Values.image.repository }}:{{ .Values.image.tag }}", &tool);
    staging.shop.service("shop-cart").write("chart/templates/migrate.yaml", job);
    staging.shop.service("shop-cart").write("chart/templates/single.yaml", WITH_ACCOUNT);
    staging.commit(SERVICE, 3, SERVES, DEPLOYMENT);
    staging.shop.merge_dev();
    staging.ends("lock commit staging", 0);
    // The promotion says that production, whose rule is another one, would refuse the image.
    for (line, code) in [("plan staging", 0), ("run staging", 20), ("verify staging", 0)] {
        let ended = staging.ends(line, code);
        assert_eq!(ended.text().contains("`production` would refuse it: shop-cart: "), code == 20, "{}", ended.text());
        for told in ["Job/shop-cart-migrate", &format!("/{repository}:1")] {
            assert!(ended.text().contains(told), "`{told}` is not in the text of `{line}`:\n{}", ended.text());
        }
    }
    assert_eq!(staging.kubectl(&["get", "pod/single", "--output=jsonpath={.status.phase}"]), "Running");
}

/// Keys that a later version has are no unknown ones: each is named, and the file is refused (2).
#[test]
fn what_comes_later_is_named_as_not_available_yet() {
    let shop = Shop::new();
    let keys = [
        ("third-party", "third-party: {}"),
        ("databases", "databases: {}"),
        ("{db.user}", "base: { config: [{ set: { A: \"{db.user}\" } }] }"),
        ("@third-party", "base: { waves: [\"@third-party\"] }"),
        ("@databases", "base: { waves: [{ match: \"@databases\" }] }"),
        ("compose", "base: { target: { kind: compose } }"),
        ("sleep", "environments: { staging: { sleep: {} } }"),
        ("adopt", "environments: { staging: { adopt: {} } }"),
        ("docker", "environments: { staging: { containers: docker } }"),
        ("stack", "environments: { staging: { stack: {} } }"),
        ("results", "suites: { a: { kind: container, service: web, results: {} } }"),
        ("kafka", "base: { health: { dependencies: { bus: \"kafka://svc/bus:9092\" } } }"),
        ("mongodb", "base: { health: { probes: { db: { kind: mongodb, address: \"svc/db:27017\" } } } }"),
    ];
    for (name, line) in keys {
        let clone = shop.clone_folder();
        clone.write("orchestrator.yaml", format!("version: 1\n{line}\n"));
        let refused = shop.ends("config check", 2);
        let told = refused.stderr().lines().any(|line| line.contains(name) && line.contains("not available yet"));
        assert!(told, "{name}: {}", refused.text());
    }

    // Each of them is on the list of the guide, in both languages.
    for (page, title) in [("docs/guide.md", "### Not available yet"), ("docs/guide.fr.md", "### Pas encore disponible")]
    {
        let text = fs::read_to_string(test_support::workspace().join(page)).unwrap();
        let (_, list) = text.split_once(title).unwrap_or_else(|| panic!("{page} has no list"));
        for (name, _) in keys {
            assert!(list.contains(name), "{page}: {name}");
        }
    }
}
