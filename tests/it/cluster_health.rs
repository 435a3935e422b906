//! What a real cluster says before a deployment stops it, and a deployment with the least rights goes through.

use serde_json::Value;
use test_support::Cluster;

use crate::clusters::{ClusterShop, Deployment, SERVES};

/// State and detail of every check that `health` reports.
fn checks(staging: &ClusterShop<'_>, code: i32) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(staging.ends("--format json health staging", code).stdout()).unwrap();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let checks = report["result"]["report"]["checks"].as_array().unwrap().iter();
    checks.map(|check| (text(check, "name"), text(check, "state"), text(check, "detail"))).collect()
}

#[track_caller]
fn detail(checks: &[(String, String, String)], name: &str, state: &str) -> String {
    let found = checks.iter().find(|(found, ..)| found == name).unwrap_or_else(|| panic!("no {name}: {checks:?}"));
    assert_eq!(found.1, state, "{found:?}");
    found.2.clone()
}

#[test]
fn p15_a_deployment_without_room_or_without_what_it_names_does_not_begin() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let template = Deployment::of_chart().container("envFrom: [{ secretRef: { name: login } }]");
    let clone = staging.shop.work_on("dev");
    let configuration = clone.read("HEAD", "orchestrator.yaml").unwrap();
    // An API server that has no time to say how it is takes nothing from the other checks.
    let rules = "  health:\n    checks: { api: { severity: warn, deadline: 1ms }, quota: { deadline: 20s, retries: 1 }, \
                 references: { retries: 1 }, clock: off }\n";
    clone.write("orchestrator.yaml", configuration.replacen("  health:\n", rules, 1));
    staging.merge_chart(2, SERVES, template.yaml());
    let namespace = staging.namespace.clone();
    let quota = |pods: u32| {
        cluster.apply(&format!(
            "{{ apiVersion: v1, kind: ResourceQuota, metadata: {{ name: small, namespace: {namespace} }}, spec: {{ hard: {{ pods: \
             {pods} }} }} }}"
        ));
    };
    quota(0);
    // The lock is not committed yet: the cluster itself is fine.
    let before = checks(&staging, 0);
    let late = detail(&before, "api", "unknown");
    assert!(
        ["no answer within 1 ms", "did not answer within 0.001 s"].iter().any(|told| late.ends_with(told)),
        "{late}"
    );
    detail(&before, "namespace", "healthy");
    detail(&before, "plan", "unknown");

    let refused = staging.ends("run staging", 1);
    let short = "quota: quota `small` has 0 of `pods` free, the deployment needs 1 more, 1 missing: shop-cart 1; raise it to 1, \
                 ask for less";
    let missing = "Deployment/shop-cart needs Secret/login, which does not exist";
    assert!(refused.text().contains(short) && refused.text().contains(missing), "{}", refused.text());
    assert_eq!(staging.revisions(), 0, "nothing was changed");
    let last = staging.shop.records().pop().unwrap().predicate;
    assert_eq!((&last["step"], &last["result"]), (&"health".into(), &"failed".into()));

    let found = checks(&staging, 1);
    assert!(detail(&found, "references", "unhealthy").contains(missing));
    detail(&found, "quota", "unhealthy");
    detail(&found, "permissions", "healthy");
    // Each is asked as often as its own rule says, and the report says so.
    let report: Value = serde_json::from_str(staging.ends("--format json health staging", 1).stdout()).unwrap();
    let checks_of = report["result"]["report"]["checks"].as_array().unwrap();
    let asked = |name: &str| {
        let check = checks_of.iter().find(|check| check["name"] == name)?;
        Some((check["attempts"].as_u64().unwrap(), check["duration_ms"].as_u64().unwrap() >= 1000))
    };
    for (name, expected) in [
        ("quota", Some((2, true))),
        ("references", Some((2, true))),
        ("permissions", Some((1, false))),
        ("clock", None),
    ] {
        assert_eq!(asked(name), expected, "{name}: {report}");
    }

    quota(1);
    cluster.kubectl(&["create", "secret", "generic", "login", "--namespace", &namespace]);
    staging.ends("run staging", 0);
    let found = checks(&staging, 0);
    for name in ["namespace", "permissions", "quota", "references"] {
        detail(&found, name, "healthy");
    }
    // Nothing is to be deployed, so no room is needed.
    quota(0);
    staging.ends("run staging", 0);

    // A namespace that is gone is named before anything else is tried.
    cluster.kubectl(&["delete", "namespace", &namespace]);
    let gone = detail(&checks(&staging, 1), "namespace", "unhealthy");
    assert!(gone.contains("does not exist"), "{gone}");
}

#[test]
fn b33_the_least_rights_are_enough_and_without_them_nothing_begins() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm3") else { return };
    let digest = staging.merge(2, SERVES);
    let namespace = staging.namespace.clone();
    let user = format!("deployer-of-{namespace}");
    let kubeconfig = cluster.kubeconfig_as(&user, &[]);
    let role = |deployments: &str| {
        cluster.apply(&format!(
            "{{ apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{ name: deployer, namespace: {namespace} }}, rules: [
              {{ apiGroups: [\"\"], resources: [namespaces], verbs: [get] }},
              {{ apiGroups: [\"\"], resources: [secrets], verbs: [get, list, create, update, delete] }},
              {{ apiGroups: [\"\"], resources: [pods], verbs: [list, watch] }},
              {{ apiGroups: [\"\"], resources: [resourcequotas, limitranges], verbs: [list] }},
              {{ apiGroups: [apps], resources: [deployments], verbs: [{deployments}] }},
              {{ apiGroups: [apps], resources: [replicasets], verbs: [list, watch] }},
              {{ apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [list] }},
              {{ apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update] }}] }}"
        ));
    };
    role("get, list, watch");
    cluster.kubectl(&[
        "create",
        "rolebinding",
        "deployer",
        "--namespace",
        &namespace,
        "--role=deployer",
        "--user",
        &user,
    ]);
    let refused = staging.ends_with(&kubeconfig, "run staging", 1);
    let missing = format!(
        "permissions: the user of the kubeconfig may not create, patch deployments in namespace `{namespace}`; rule of a Role: {{ \
         apiGroups: [\"apps\"], resources: [deployments], verbs: [create, patch] }}"
    );
    assert!(refused.text().contains(&missing), "{}", refused.text());
    assert!(refused.text().contains("`orchestrator permissions staging --role` prints the whole Role"));
    assert_eq!(staging.revisions(), 0, "nothing was changed");
    // Without any right, who can help is said.
    let stranger = cluster.kubeconfig_as(&format!("stranger-of-{namespace}"), &[]);
    let refused = staging.ends_with(&stranger, "plan staging", 13);
    assert!(
        refused.stderr().contains("the Role that `orchestrator permissions staging --role` prints"),
        "{}",
        refused.text()
    );

    role("get, list, watch, create, patch");
    let done = staging.ends_with(&kubeconfig, "run staging", 0);
    assert!(done.text().contains("nodes: the user of the kubeconfig may not list nodes"), "{}", done.text());
    assert_eq!(staging.running(), [digest]);
    staging.ends_with(&kubeconfig, "verify staging", 0);
    detail(&checks(&staging, 0), "api", "healthy");
}

/// Who has the environment is not known where its lease cannot be asked: nothing is deployed, and who can help is said.
#[test]
fn b42_a_lease_that_cannot_be_asked_refuses_a_deployment() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let clone = staging.shop.work_on("dev");
    let configuration = clone.read("HEAD", "orchestrator.yaml").unwrap();
    let health = "  health:\n    checks: { permissions: off }\n";
    clone.write("orchestrator.yaml", configuration.replacen("  health:\n", health, 1));
    staging.merge(2, SERVES);
    let namespace = staging.namespace.clone();

    // The user may do everything but that.
    let user = format!("deployer-of-{namespace}");
    let kubeconfig = cluster.kubeconfig_as(&user, &[]);
    staging.ends("lock commit staging", 0);
    // Every way in which a cluster lets nothing be read has its own way out.
    let authority = kubeconfig.split_once("certificate-authority-data: ").unwrap().1.split_once('}').unwrap().0;
    let server = kubeconfig.split_once("server: \"").unwrap().1.split_once('"').unwrap().0;
    let login = kubeconfig.split_once("  user: ").unwrap().1.split_once('\n').unwrap().0;
    for (kubeconfig, code, hint) in [
        (kubeconfig.clone(), 13, "the Role that `orchestrator permissions staging --role` prints"),
        (kubeconfig.replace(login, "{token: expired}"), 13, "make a new kubeconfig"),
        (
            kubeconfig.replace(&format!(", certificate-authority-data: {authority}"), ""),
            13,
            "`certificate-authority-data`",
        ),
        (kubeconfig.replace(server, "https://127.0.0.1:1"), 14, "reaches the `server` of the kubeconfig"),
    ] {
        let refused = staging.ends_with(&kubeconfig, "plan staging --deadline 12s", code);
        assert!(refused.stderr().contains(hint), "`{hint}` is not in:\n{}", refused.text());
        assert!(refused.stderr().contains(&format!("what namespace `{namespace}` of `SHOP_KUBECONFIG` holds")));
    }
    let health = staging.ends_with(&kubeconfig, "health staging", 1);
    assert!(health.text().contains("`orchestrator permissions staging --role` prints the Role"), "{}", health.text());
    let printed = staging.ends("permissions staging --role", 0);
    let role = printed.stdout().split("---\n").find(|document| document.contains("kind: Role\n")).unwrap();
    assert!(role.contains("- leases\n") || role.contains("leases"), "{role}");
    cluster.apply(&role.replace("leases", "leases-of-nobody"));
    staging.kubectl(&["create", "rolebinding", "deployer", "--role=orchestrator-staging", "--user", &user]);
    let refused = staging.ends_with(&kubeconfig, "run staging", 13);
    for told in [
        format!("the lease of `staging` in namespace `{namespace}` cannot be taken"),
        "who administers the namespace gives the kubeconfig's user the Role that `orchestrator permissions staging --role`"
            .to_owned(),
        "nothing was deployed".to_owned(),
    ] {
        assert!(refused.stderr().contains(&told), "`{told}` is not in:\n{}", refused.text());
    }
    assert_eq!(staging.revisions(), 0);

    // The API server gives no answer about leases: what it would ask first is away.
    cluster.kubectl(&["label", "namespace", &namespace, "leases=away"]);
    cluster.apply(&format!(
        "{{ apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {{ name: {namespace} }}, \
         webhooks: [{{ name: leases.shop.example, admissionReviewVersions: [v1], sideEffects: None, timeoutSeconds: 1, \
         namespaceSelector: {{ matchLabels: {{ leases: away, kubernetes.io/metadata.name: {namespace} }} }}, rules: [{{ apiGroups: \
         [coordination.k8s.io], apiVersions: [v1], resources: [leases], operations: [CREATE, UPDATE] }}], clientConfig: {{ url: \
         \"https://127.0.0.1:1/\" }} }}] }}"
    ));
    let away = staging.command(&[], "run staging --deadline 60s").run();
    cluster.kubectl(&["delete", "validatingwebhookconfiguration", &namespace]);
    let away = away.expect_code(14);
    for told in ["cannot be taken", "who operates the cluster", "nothing was deployed"] {
        assert!(away.stderr().contains(told), "`{told}` is not in:\n{}", away.text());
    }
    assert_eq!(staging.revisions(), 0);
    staging.ends("run staging", 0);
}
