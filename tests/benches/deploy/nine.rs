//! Nine services of the first user's shape: a Deployment with a readiness probe that waits 20 to 30 seconds, a Service,
//! configuration and secrets from variables of the job, and migrations as hooks in two of them.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use test_support::bench::Part;
use test_support::measure::{Mode, Quantity, Table, fastest, progress};
use test_support::{Cluster, bench};

use crate::clusters::counted_user;
use crate::first_user::{
    FirstUser, GATEWAY_ENV, MORE, OTHERS, SERVICES, TESTS, configuration_of, name_of, secrets_of, serves,
};
use crate::seconds;

/// A password of each service's database, as the job has it.
const DATABASE: &str = "DATABASE_URL=postgresql://shop:password@shop-postgres:5432/shop\n";

/// The charts of the nine, and their images.
struct Nine {
    user: FirstUser<'static>,
    helm: Part,
    services: Vec<OneOfNine>,
}

struct OneOfNine {
    path: &'static str,
    /// `REPOSITORY@DIGEST`.
    image: String,
}

pub(crate) fn measure(mode: Mode, cluster: &'static Cluster, table: &mut Table) -> Result<(), bench::Missing> {
    // One round takes minutes, of which most is the delay of the probes.
    if mode == Mode::Smoke {
        return Ok(());
    }
    let Some(nine) = Nine::new_or_skip(cluster)? else { return Ok(()) };
    nine.pull();
    progress("the floor of nine services of the first user");
    let floor = nine.floor();
    progress("the script");
    let script = nine.script();
    progress("the run");
    let (name, kubeconfig) = counted_user(cluster, &nine.user.namespace);
    let ours = fastest(1, || drop(nine.user.ends_with(&kubeconfig, "run staging", 0)));
    let what = "nine new services of the first user's shape, the whole run; `kubectl apply` of each configuration, \
                `helm upgrade` one after another, `kubectl wait`";
    table.at_most(what, Quantity::Time(ours), Some(Quantity::Time(script)), Quantity::Time(floor + seconds(8)));
    table.beside("the same objects by one `kubectl apply`: the floor", Quantity::Time(floor), None);

    nine.user.watch_helm();
    let before = cluster.requests_of(&name);
    nine.user.ends_with(&kubeconfig, "run staging", 0);
    let requests = cluster.requests_of(&name) - before;
    let again = fastest(5, || drop(nine.user.ends_with(&kubeconfig, "run staging", 0)));
    table.at_most("the same again, proven", Quantity::Time(again), None, Quantity::Time(Duration::from_millis(1100)));
    table.at_most("API requests of it", Quantity::Count(requests), None, Quantity::Count(40));
    let started = fs::read_to_string(nine.user.tools.join("helm.log")).unwrap_or_default().lines().count();
    table.at_most("processes of helm", Quantity::Count(u64::try_from(started).unwrap()), None, Quantity::Count(0));
    nine.user.cluster.kubectl(&["delete", "namespace", &nine.user.namespace]);
    Ok(())
}

impl Nine {
    fn new_or_skip(cluster: &'static Cluster) -> Result<Option<Self>, bench::Missing> {
        let helm = bench::part("helm4")?;
        let one_wave = |configuration: String| {
            let waves = configuration
                .replace(r#"waves: ["**", infra/shop-gateway]"#, r#"waves: [{ match: "**", at-once: 9 }]"#);
            // A suite in a pod is no part of what the script does.
            waves.replace("suites: [system, load]", "suites: [load]")
        };
        let Some(user) = FirstUser::with_or_skip(cluster, &[MORE], one_wave) else { return Ok(None) };
        user.shop.work_on("dev").write("deploy/gateway.env", GATEWAY_ENV);
        for (path, prefix) in OTHERS {
            let commit = user.version(path, 2);
            user.push(path, prefix, &commit, TESTS);
        }
        let mut services = Vec::new();
        for (path, prefix, port) in SERVICES.iter().copied().chain([(MORE, "main-native", 8081)]) {
            let chart = if path == MORE { "shop-catalog" } else { name_of(path) };
            let commit = user.version_with(path, 2, Some(chart));
            let (_, digest) = user.push(path, prefix, &commit, &serves(port, "new"));
            let repository = format!("{}/{}/{}", user.node.registry(), user.namespace, &name_of(path)["shop-".len()..]);
            services.push(OneOfNine { path, image: format!("{repository}@{digest}") });
        }
        user.shop.commit_and_push("dev", "the shop");
        user.use_helm("helm4");
        user.shop.merge_dev();
        Ok(Some(Self { user, helm, services }))
    }

    /// Lets the node have each image.
    fn pull(&self) {
        let namespace = self.user.cluster.namespace("pulled");
        self.user.cluster.apply(&self.objects(&namespace));
        self.wait_for("deployments", "--for=jsonpath={.status.replicas}=1", &namespace);
        self.wait_for("pods", "--for=jsonpath={.status.phase}=Running", &namespace);
        self.user.cluster.kubectl(&["delete", "namespace", &namespace]);
    }

    /// What helm renders of all charts, with the configuration that they name. Hooks are left out.
    fn objects(&self, namespace: &str) -> String {
        let mut all = String::new();
        for service in &self.services {
            for (kind, file) in self.configuration(service) {
                all += "---\n";
                all += &self.made(&kind, &file, namespace);
            }
            let mut command = self.helm(service, "template", namespace);
            let output = command.args(["--no-hooks"]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let rendered = String::from_utf8(output.stdout).unwrap();
            // The charts name no namespace.
            all += &rendered.replace("\nmetadata:\n", &format!("\nmetadata:\n  namespace: {namespace}\n"));
        }
        all
    }

    fn floor(&self) -> Duration {
        let namespace = self.user.cluster.namespace("floor");
        let objects = self.objects(&namespace);
        let time = fastest(1, || {
            self.user.cluster.apply(&objects);
            self.wait_for("deployments", "--for=condition=Available", &namespace);
        });
        self.user.cluster.kubectl(&["delete", "namespace", &namespace]);
        time
    }

    /// What the pipeline before did: the configuration of each service by kubectl, then `helm upgrade` for one after
    /// another, and then a wait for all.
    fn script(&self) -> Duration {
        let namespace = self.user.cluster.namespace("script");
        let configurations: Vec<_> = self.services.iter().flat_map(|service| self.configuration(service)).collect();
        let start = Instant::now();
        for (kind, file) in configurations {
            let made = self.made(&kind, &file, &namespace);
            self.user.cluster.apply(&made);
        }
        for service in &self.services {
            let mut command = self.helm(service, "upgrade", &namespace);
            let output = command.args(["--install"]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        self.wait_for("deployments", "--for=condition=Available", &namespace);
        let time = start.elapsed();
        self.user.cluster.kubectl(&["delete", "namespace", &namespace]);
        time
    }

    /// Words of `kubectl create` for what a service is configured by, and the file of the keys.
    fn configuration(&self, service: &OneOfNine) -> [(Vec<String>, String); 2] {
        let name = name_of(service.path);
        let file = |kind: &str, text: String| {
            let file = self.user.shop.join(&format!("{name}.{kind}"));
            fs::write(&file, text).unwrap();
            format!("--from-env-file={}", file.display())
        };
        let secrets = format!("{}{DATABASE}", secrets_of(name));
        [
            (words(&["configmap", &format!("{name}-config")]), file("config", configuration_of(name))),
            (words(&["secret", "generic", &format!("{name}-secret")]), file("secret", secrets)),
        ]
    }

    /// `kubectl create … --dry-run=client --output=yaml`.
    fn made(&self, kind: &[String], file: &str, namespace: &str) -> String {
        let mut words = vec!["create"];
        words.extend(kind.iter().map(String::as_str));
        words.extend([file, "--dry-run=client", "--output=yaml", "--namespace", namespace]);
        self.user.cluster.kubectl(&words)
    }

    fn wait_for(&self, kind: &str, condition: &str, namespace: &str) {
        let words = ["wait", kind, "--all", condition, "--timeout=240s", "--namespace", namespace];
        self.user.cluster.kubectl(&words);
    }

    /// `helm WORD NAME CHART` with what the configuration of the orchestrator sets as well.
    fn helm(&self, service: &OneOfNine, word: &str, namespace: &str) -> Command {
        let name = name_of(service.path);
        let (repository, digest) = service.image.split_once('@').unwrap();
        let values = json!({
            // The digest as `repository:tag` has it.
            "image": { "repository": repository, "tag": format!("any@{digest}") },
            "envFrom": [
                { "configMapRef": { "name": format!("{name}-config") } },
                { "secretRef": { "name": format!("{name}-secret") } },
            ],
        });
        let file = self.user.shop.join(&format!("{name}.values"));
        fs::write(&file, values.to_string()).unwrap();
        let mut command = self.helm.command();
        command.env("HOME", self.user.shop.join("home")).args([word, name]);
        command.arg(self.user.shop.join(&format!("{name}.git/chart"))).arg("--values").arg(file);
        command.args(["--namespace", namespace, "--kubeconfig"]).arg(self.user.cluster.kubeconfig_path());
        command
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
