//! What a run costs: programs that are started, and requests to the API server.

use std::fs;
use std::path::Path;

use test_support::{Act, Cluster};

use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, SERVES};

const SERVICES: [&str; 3] = ["services/shop-cart", "services/shop-mail", "services/shop-web"];

/// What every chart has besides its Deployment: a Service, and an image that no lock decides and nothing starts.
const MORE: &str = r#"---
apiVersion: v1
kind: Service
metadata: { name: {{ .Release.Name }} }
spec: { selector: { app: {{ .Release.Name }} }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: {{ .Release.Name }}-tidy }
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  jobTemplate: { spec: { template: { spec: { restartPolicy: Never, containers: [{ name: tidy, image: "TIDY" }] } } } }
"#;

/// What production lets through although no lock decides it; otherwise it would refuse the promotion.
const ALLOWED: &str = r#"
  unpinned-images:
    "tools.example/tidy:1": { owner: eve, reason: its vendor, until: "2099-01-31" }
    "tools.example/tidy:2": { owner: eve, reason: its vendor, until: "2099-01-31" }
    "tools.example/tidy:4": { owner: eve, reason: its vendor, until: "2099-01-31" }
"#;

/// The helm commands that were started since the last look.
fn started(lines: &Path) -> Vec<String> {
    let text = fs::read_to_string(lines).unwrap_or_default();
    let _none_yet = fs::remove_file(lines);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_run_with_nothing_to_do_starts_no_helm_and_asks_the_api_server_at_most_40_times() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let submodules: Vec<&str> = SERVICES.into_iter().chain([DASHBOARDS]).collect();
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm4", &submodules, ALLOWED) else { return };
    let template = |image: &str| format!("{DEPLOYMENT}{}", MORE.replace("TIDY", image));
    for service in SERVICES {
        staging.commit(service, 2, SERVES, &template("tools.example/tidy:1"));
    }
    staging.shop.merge_dev();
    let (user, kubeconfig) = staging.counted_user();
    staging.ends_with(&kubeconfig, "run staging", 0);
    // What the promotion would deploy is kept beside its record.
    let images = |line: &str| {
        let history = staging.ends("history staging --format json", 0);
        let document: serde_json::Value = serde_json::from_str(history.stdout()).unwrap();
        let records = document["result"]["records"].as_array().unwrap();
        let promotion = records.iter().rfind(|record| record["step"] == "promote" && record["result"] == "ok").unwrap();
        staging.ends(&format!("history evidence {} {line}", promotion["seq"]), 0).stdout().to_owned()
    };
    assert_eq!(images("unpinned-images.json").matches("tools.example/tidy:1").count(), SERVICES.len());

    let helm = staging.count_helm();
    let before = cluster.requests_of(&user);
    let again = staging.ends_with(&kubeconfig, "run staging", 0);
    let requests = cluster.requests_of(&user) - before;
    assert_eq!(started(&helm), Vec::<String>::new(), "{}", again.text());
    assert!((1..=40).contains(&requests), "{requests} requests");

    // What changed is rendered, and the list says it.
    staging.commit(SERVICES[1], 3, SERVES, &template("tools.example/tidy:2"));
    staging.shop.merge_dev();
    staging.ends_with(&kubeconfig, "run staging", 0);
    let listed = images("unpinned-images.json");
    let found = ["tidy:1", "tidy:2"].map(|image| listed.matches(image).count());
    assert_eq!(found, [SERVICES.len() - 1, 1], "{listed}");
    let commands = started(&helm);
    let of = |service: &str| commands.iter().filter(|command| command.ends_with(service)).count();
    // The plan renders it twice, the promotion once without the cluster, and helm is asked for its version once; what did not
    // change is what helm has stored.
    assert_eq!((of("shop-mail"), of("shop-cart"), of("shop-web")), (4, 0, 0), "{commands:?}");
    assert_eq!(commands.iter().filter(|command| command.starts_with("version")).count(), 1, "{commands:?}");

    // What is not fixed by files and values is rendered once more before the upgrade, and twice for the promotion.
    staging.commit(SERVICES[0], 4, SERVES, &template("tools.example/tidy:{{ tpl \"4\" . }}"));
    staging.shop.merge_dev();
    staging.ends_with(&kubeconfig, "run staging", 0);
    let commands = started(&helm);
    let of = |command: &str| commands.iter().filter(|one| *one == command).count();
    assert_eq!((of("template shop-cart"), of("upgrade shop-cart"), of("upgrade shop-mail")), (3, 3, 0), "{commands:?}");

    // An object that is gone is deployed again, and so rendered again.
    staging.kubectl(&["delete", "service", "shop-web"]);
    staging.ends_with(&kubeconfig, "deploy staging --again", 0);
    let commands = started(&helm);
    assert_eq!(commands.iter().filter(|command| *command == "template shop-web").count(), 1, "{commands:?}");
    assert_eq!(commands.iter().filter(|command| *command == "upgrade shop-web").count(), 2, "{commands:?}");
}

#[test]
fn settings_of_many_services_are_read_by_lists_unless_a_label_is_gone() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let submodules: Vec<&str> = SERVICES.into_iter().chain([DASHBOARDS]).collect();
    let keys = "\n  config: [{ set: { GREETING: hello } }]\n  secret: [{ set: { LOGIN: \"{short}\" } }]";
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm4", &submodules, keys) else { return };
    for service in SERVICES {
        staging.commit(service, 2, SERVES, DEPLOYMENT);
    }
    staging.shop.merge_dev();
    let Some(gate) = cluster.gate_or_skip(|_| Act::Pass) else { return };
    staging.ends_with(gate.kubeconfig(), "run staging", 0);

    let by_name = |line: &str| {
        let before = gate.requests().len();
        staging.ends_with(gate.kubeconfig(), line, 0);
        let requests = gate.requests().split_off(before);
        assert!(requests.len() <= 40, "{requests:#?}");
        let of_one = |line: &&String| line.contains("/configmaps/shop-") || line.contains("/secrets/shop-");
        requests.iter().filter(of_one).cloned().collect::<Vec<_>>()
    };
    assert_eq!(by_name("run staging"), Vec::<String>::new());
    assert_eq!(by_name("verify staging"), Vec::<String>::new());

    // Without its label no list shows it; it is there all the same.
    let name = cluster.kubectl(&[
        "get",
        "configmap",
        "--selector=orchestrator.dev/service=shop-mail",
        "--output=name",
        "--namespace",
        &staging.namespace,
    ]);
    staging.kubectl(&["label", name.trim(), "orchestrator.dev/settings-"]);
    let asked = by_name("verify staging");
    assert!(matches!(asked.as_slice(), [one] if one.contains("/configmaps/shop-mail-config-")), "{asked:?}");
}
