//! What a changed configuration does differently, by results: which rule brings it about does not matter.

use std::collections::BTreeSet;

use config::{ComparedTree, Config, policy_relaxations};
use lock_model::TreePath;

const DEMO: &str = include_str!("../fixtures/config/valid/demo.yaml");
const SERVICES: [&str; 5] =
    ["ops/shop-grafana", "services/shop-cart", "services/shop-catalog", "services/shop-reports", "services/gateway"];

fn load(text: &str) -> Config {
    Config::parse("orchestrator.yaml", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn edited(edits: &[(&str, &str)]) -> String {
    let mut text = DEMO.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

fn compared(old: &str, new: &str, services: &[&str], changed: &[&str]) -> Vec<String> {
    let services: Vec<TreePath> = services.iter().map(|path| TreePath::try_from(*path).unwrap()).collect();
    let changed: BTreeSet<String> = changed.iter().map(|path| (*path).to_owned()).collect();
    let tree = ComparedTree { services: &services, changed: &changed };
    policy_relaxations(&load(old), &load(new), tree).iter().map(ToString::to_string).collect()
}

/// What the demo with some edits asks less of.
fn relaxed(edits: &[(&str, &str)]) -> Vec<String> {
    compared(DEMO, &edited(edits), &SERVICES, &[])
}

/// What another content of some files makes weaker.
fn with_other_files(changed: &[&str]) -> Vec<String> {
    compared(DEMO, DEMO, &SERVICES, changed)
}

#[test]
fn t44_files_of_suites_and_probes_are_part_of_them() {
    assert_eq!(with_other_files(&[]), [""; 0]);
    assert_eq!(with_other_files(&["README.md", "services/shop-cart", "tests/lint2"]), [""; 0]);
    assert_eq!(with_other_files(&["tests/lint"]), ["pull-request: suite `lint` has other content: `tests/lint`"]);
    assert_eq!(
        with_other_files(&["tests/smoke.yaml"]),
        ["production: suite `smoke` has other content: `tests/smoke.yaml`"]
    );
    assert_eq!(
        with_other_files(&["tests/lib.sh", "tests/system", "ops/check"]),
        [
            "staging: suite `system` has other content: `tests/lib.sh`, `tests/system`",
            "staging: probe `script` runs something else",
        ]
    );
}

#[test]
fn t44_addresses_and_what_is_read_for_them() {
    assert_eq!(
        relaxed(&[("url: { env: STAGING_URL }", "url: { value: \"http://127.0.0.1:1\" }")]),
        ["staging: `url` is `http://127.0.0.1:1`, it was environment variable `STAGING_URL`"]
    );
    assert_eq!(
        relaxed(&[("    url: { env: STAGING_URL }\n", "")]),
        ["staging: `url` is none, it was environment variable `STAGING_URL`"]
    );
    let file = edited(&[("url: { env: STAGING_URL }", "url: { file: ops/address }")]);
    assert_eq!(
        compared(&file, &file, &SERVICES, &["ops/address"]),
        ["staging: the address in file `ops/address` is another"]
    );
    let authorities = edited(&[("{ mirror: \"oci-layout:../registry\" }", "{ ca: { file: ops/ca.pem } }")]);
    assert_eq!(
        compared(&authorities, &authorities, &SERVICES, &["ops/ca.pem"]),
        ["other authorities are trusted for `registry.example`"]
    );
    assert_eq!(
        compared(&authorities, &edited(&[("{ mirror: \"oci-layout:../registry\" }", "{}")]), &SERVICES, &[]),
        ["other authorities are trusted for `registry.example`"]
    );
}

#[test]
fn t44_checks_of_a_cluster_that_ask_less() {
    let checks = |checks: &str| edited(&[("  health:\n", &format!("  health:\n    checks: {{ {checks} }}\n"))]);
    let strict = checks("nodes: block");
    let compare = |before: &str, after: &str| compared(before, after, &SERVICES, &[]);
    assert_eq!(compare(&checks("quota: off, ready-nodes: 10"), &strict), [""; 0], "more is asked");
    let weaker = compare(&strict, &checks("quota: warn, clock: off, ready-nodes: 99"));
    let of = |environment: &str| {
        [
            "99 percent of the nodes must be ready, it was 100",
            "check `clock` is `off`, it was `warn`",
            "check `nodes` is `warn`, it was `block`",
            "check `quota` is `warn`, it was `block`",
        ]
        .map(|text| format!("{environment}: {text}"))
    };
    assert_eq!(weaker, [of("production"), of("staging")].concat());
    // The rule of a check in both of its forms; how patiently it is asked makes nothing healthy.
    let patient = checks("nodes: { severity: block, deadline: 1s, retries: 9 }, retries: 3");
    assert_eq!(compare(&strict, &patient), [""; 0]);
    let weaker = compare(&patient, &checks("nodes: { severity: warn, deadline: 1s }"));
    let of = |environment: &str| format!("{environment}: check `nodes` is `warn`, it was `block`");
    assert_eq!(weaker, [of("production"), of("staging")]);
    let off = compare(&edited(&[]), &edited(&[("severity: block, deadline: 5s", "severity: off, deadline: 5s")]));
    assert!(off.iter().any(|told| told.ends_with("is `off`, it was `block`")), "{off:?}");
}

#[test]
fn t44_where_an_environment_writes_and_what_follows_its_proof() {
    assert_eq!(
        relaxed(&[("branch: \"deploy/{mode}\"", "branch: \"deploy2/{mode}\"")]),
        [
            "production: manifests are written to branch `deploy2/production`, it was `deploy/production`",
            "staging: manifests are written to branch `deploy2/staging`, it was `deploy/staging`",
        ]
    );
    assert_eq!(
        relaxed(&[(", folder: \"rendered/{mode}\"", "")]),
        [
            "production: manifests are written to folder none, it was `rendered/production`",
            "staging: manifests are written to folder none, it was `rendered/staging`",
        ]
    );
    assert_eq!(
        relaxed(&[("    release: { tag: \"release-{date}-{id8}\" }\n", "")]),
        ["production: the tag of a release is none, it was `release-{date}-{id8}`"]
    );
    assert_eq!(
        relaxed(&[("    promote: { to: production }\n", "")]),
        ["staging: releases are promoted nowhere, it was to `production`, into branch `main`"]
    );
}

#[test]
fn t65_where_the_promotion_goes_shows_whatever_moves_it() {
    let was = "it was to `production`, into branch `main`";
    let moved = |edit: (&str, &str)| {
        let found = relaxed(&[edit]);
        let line = found.iter().find(|line| line.contains("releases are promoted"));
        line.unwrap_or_else(|| panic!("{edit:?}: {found:#?}")).clone()
    };
    assert_eq!(
        moved(("production: main", "production: play")),
        format!("staging: releases are promoted to `production`, into branch `play`, {was}")
    );
}

#[test]
fn t44_a_service_is_compared_by_what_comes_out() {
    // A rule before the strict one takes its service away from it.
    let found = relaxed(&[(
        "  - { match: \"ops/*\"",
        "  - { match: \"services/shop-ca*\", revision: off }\n  - { match: \"ops/*\"",
    )]);
    for expected in [
        "`shop-cart`: images are looked for under `main-{sha7}`, `sha-{sha12}`, it was `main-{sha12}`",
        "`shop-cart`: it was named `basket`",
        "`shop-cart`, `shop-catalog`: `revision` is `off`, it was `require`",
        "staging: `shop-cart`: manifests come from `services/shop-cart/deploy`, it was `services/shop-cart/manifests`",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected}: {found:#?}");
    }
    // A prefix changes what `{short}` stands for, where it stood for something shorter.
    assert_eq!(
        relaxed(&[("project: { prefix: shop- }", "project: { prefix: other- }")]),
        [
            "`shop-catalog`: images come from `registry.example/shop/shop-catalog`, it was `registry.example/shop/catalog`",
            "`shop-reports`: images come from `registry.example/shop/shop-reports`, it was `registry.example/shop/reports`",
        ]
    );
    // The strict rule goes, and what is left is weaker; the order of tags counts, fewer of them do not.
    assert_eq!(
        relaxed(&[("tags: [\"main-{sha7}\", \"sha-{sha12}\"]", "tags: [\"sha-{sha12}\", \"main-{sha7}\"]")]).len(),
        1
    );
    assert_eq!(relaxed(&[("tags: [\"main-{sha7}\", \"sha-{sha12}\"]", "tags: [\"sha-{sha12}\"]")]), [""; 0]);
    assert_eq!(relaxed(&[("name: basket", "name: basket, kind: image")]), [""; 0]);
}

#[test]
fn t44_manifests_from_elsewhere_and_more_or_fewer_services() {
    assert_eq!(
        relaxed(&[("source: \"{path}/deploy\"", "source: \"evil/{name}\"")]),
        [
            "production: `gateway`: manifests come from `evil/gateway`, it was `services/gateway/deploy`",
            "production: `shop-catalog`: manifests come from `evil/shop-catalog`, it was `services/shop-catalog/deploy`",
            "production: `shop-reports`: manifests come from `evil/shop-reports`, it was `services/shop-reports/deploy`",
            "staging: `gateway`: manifests come from `evil/gateway`, it was `services/gateway/deploy`",
            "staging: `shop-catalog`: manifests come from `evil/shop-catalog`, it was `services/shop-catalog/deploy`",
            "staging: `shop-reports`: manifests come from `evil/shop-reports`, it was `services/shop-reports/deploy`",
        ]
    );
    assert_eq!(
        relaxed(&[("deploy: [\"services/*\"]", "deploy: [\"services/gateway\", \"ops/*\"]")]),
        [
            "production: `basket`, `shop-catalog`, `shop-reports`: not deployed any more",
            "production: `shop-grafana`: deployed now, and was not",
            "staging: `basket`, `shop-catalog`, `shop-reports`: not deployed any more",
            "staging: `shop-grafana`: deployed now, and was not",
        ]
    );
    // Written differently, and the same for every service.
    assert_eq!(relaxed(&[("deploy: [\"services/*\"]", "deploy: [\"services/{gateway,shop-*}\"]")]), [""; 0]);
    // An allowed namespace that goes from one service to another.
    assert_eq!(
        relaxed(&[(
            "{ match: shop-catalog, namespaces: { allow: [] } }",
            "{ match: gateway, namespaces: { allow: [] } }"
        )]),
        ["production: `shop-catalog`: objects may lie in namespace `shared`"]
    );
    // Objects that reach beyond the namespace, for one service and by name.
    let catalog = "{ match: shop-catalog, namespaces: { allow: [] } }";
    let named = |lists: &str| catalog.replace("allow: []", &format!("allow: [], {lists}"));
    let lists = "cluster-scoped: [Namespace/jobs], privileged: [DaemonSet/agent]";
    assert_eq!(
        relaxed(&[(catalog, &named(lists))]),
        [
            "production: `shop-catalog`: objects without a namespace may be deployed: `Namespace/jobs`",
            "production: `shop-catalog`: privileges are allowed for `DaemonSet/agent`",
        ]
    );
    assert_eq!(compared(&edited(&[(catalog, &named(lists))]), DEMO, &SERVICES, &[]), [""; 0], "stricter");
}

#[test]
fn t44_variables_that_nothing_was_given_before() {
    let given = |env: &str| format!("command: [./tests/system, \"{{url}}\"], env: [{env}], files");
    let found = relaxed(&[("command: [./tests/system, \"{url}\"], files", &given("DEPLOY_TOKEN"))]);
    assert_eq!(
        found,
        [
            "staging: suite `system` is defined differently",
            "staging: suite `system` is given `DEPLOY_TOKEN`, which nothing was given here",
        ]
    );
    // A suite that is new takes the variables along.
    let new = ("suites: [lint] }", "suites: [lint, token] }");
    let suite = (
        "suites:\n  lint:",
        "suites:\n  token: { kind: command, command: [\"true\"], env: [PATH, CI_TOKEN] }\n  lint:",
    );
    assert_eq!(
        relaxed(&[new, suite]),
        ["pull-request: suite `token` is given `CI_TOKEN`, which nothing was given here"]
    );
}

#[test]
fn t44_an_environment_that_is_new_is_said() {
    let shadow = "environments:\n  shadow: { base: none, branch: production, mode: shadow, namespace: shop-prod2 }\n";
    assert_eq!(relaxed(&[("environments:\n", shadow)]), ["shadow: the environment is new, and runs branch `main`"]);
}

#[test]
fn t44_a_migration_that_stops_no_rollback_any_more() {
    let declared = |entry: &str| DEMO.replace("    suites: [smoke]\n", &format!("    suites: [smoke]\n{entry}"));
    let entry = "    migrations: [{ match: \"services/*\", irreversible: true }]\n";
    let before = declared(entry);
    assert_ne!(before, DEMO);
    let said = ["production: migrations of `services/*` do not stop a rollback any more"];
    assert_eq!(compared(&before, DEMO, &SERVICES, &[]), said);
    assert_eq!(compared(&before, &declared(&entry.replace("true", "false")), &SERVICES, &[]), said);
    assert_eq!(compared(DEMO, &before, &SERVICES, &[]), [""; 0], "asking more is no relaxation");
}

#[test]
fn t44_many_services_are_one_message() {
    let paths: Vec<String> = (0..9).map(|number| format!("services/shop-{number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let weaker = edited(&[("  revision: require", "  revision: warn")]);
    assert_eq!(compared(DEMO, &weaker, &paths, &[]), ["all 9 services: `revision` is `warn`, it was `require`"]);
    let some: Vec<&str> = paths.iter().copied().chain(["ops/shop-x"]).collect();
    assert_eq!(
        compared(DEMO, &weaker, &some, &[]),
        [
            "`shop-0`, `shop-1`, `shop-2`, `shop-3`, `shop-4`, `shop-5` and 3 more: `revision` is `warn`, it was `require`"
        ]
    );
}

#[test]
fn t44_another_kind_of_target_and_fields_that_are_taken_over_are_listed() {
    const HELM: &str = include_str!("../fixtures/config/valid/helm.yaml");
    const APPLY: &str = include_str!("../fixtures/config/valid/apply.yaml");
    let paths = ["services/shop-cart", "services/shop-web"];
    assert_eq!(compared(APPLY, APPLY, &paths, &[]), [""; 0]);
    let takes = APPLY.replace("take: [argocd]", "take: [argocd, by-hand]");
    assert_eq!(compared(APPLY, &takes, &paths, &[]), ["staging: what `by-hand` has set in the cluster is taken over"]);
    assert_eq!(compared(&takes, APPLY, &paths, &[]), [""; 0]);
    let ready = APPLY.replace("ready: { shop.example/Database: { condition: Synced } }", "ready: {}");
    let less = ["staging: `shop.example/Database` is ready without `Synced: True`"];
    assert_eq!(compared(APPLY, &ready, &paths, &[]), less);
    assert_eq!(compared(&ready, APPLY, &paths, &[]), [""; 0]);
    let jobs = APPLY.replace("label: job-of=cart", "label: job-of=none");
    let less = ["staging: `shop-cart`: Jobs with label `job-of=cart` are not waited for any more"];
    assert_eq!(compared(APPLY, &jobs, &paths, &[]), less);
    let removes = APPLY.replacen("ready: {", "removed: delete\n    ready: {", 1);
    let more = ["staging: a service that is not deployed any more: `removed` is `delete`, it was `keep`"];
    assert_eq!(compared(APPLY, &removes, &paths, &[]), more);
    let source = APPLY.replace("{path}/deploy", "{path}/other");
    let moved =
        ["staging: `shop-cart`: manifests come from `services/shop-cart/other`, it was `services/shop-cart/deploy`"];
    let all = compared(APPLY, &source, &["services/shop-cart"], &[]);
    assert_eq!(all, moved);
    let refuses = HELM.replace("    kind: helm\n", "    kind: helm\n    test-hooks: refuse\n");
    assert_ne!(refuses, HELM);
    let listed = |name| format!("{name}: images of test hooks that no digest decides are listed, they were refused");
    assert_eq!(compared(&refuses, HELM, &paths, &[]), ["production", "staging"].map(listed));
    assert_eq!(compared(HELM, &refuses, &paths, &[]), [""; 0], "asking more is no relaxation");
    let relaxed = compared(HELM, APPLY, &paths, &[]);
    assert!(relaxed.contains(&"staging: the target is `apply`, it was `helm`".to_owned()), "{relaxed:?}");
}

#[test]
fn t44_a_chart_that_is_given_something_else_is_listed() {
    const HELM: &str = include_str!("../fixtures/config/valid/helm.yaml");
    let services = ["services/shop-cart", "services/shop-web"];
    let relaxed = |from: &str, to: &str| {
        assert!(HELM.contains(from), "{from}");
        compared(HELM, &HELM.replacen(from, to, 1), &services, &[])
    };
    assert_eq!(relaxed("debug: false, labels", "debug: false,  labels"), [""; 0]);
    let of_both = |text: &str| [format!("production: {text}"), format!("staging: {text}")];
    assert_eq!(
        relaxed("replicas: 2", "replicas: 3"),
        of_both("`shop-cart`, `shop-web`: the values of its chart are others")
    );
    assert_eq!(
        relaxed("image: \"{image.reference}\"", "image: \"ghcr.io/shop/other:{image.tag}\""),
        of_both("`shop-cart`: the values of its chart are others")
    );
    assert_eq!(
        relaxed("\"charts/{name}\"", "\"{path}/chart\""),
        of_both("`shop-cart`: manifests come from `services/shop-cart/chart`, it was `charts/shop-cart`")
    );
    assert_eq!(
        relaxed("context: west", "context: east"),
        ["production: `kubeconfig` is `KUBECONFIG_BASE64, context east`, it was `KUBECONFIG_BASE64, context west`"]
    );
    let allow =
        "allow: { exec: [aws], variables: [AWS_PROFILE], proxy-url: ['http://p:1'], insecure-skip-tls-verify: true }";
    assert_eq!(
        relaxed("context: west", &format!("context: west, {allow}")),
        [
            "production: `kubeconfig` may give a login program `AWS_PROFILE`",
            "production: `kubeconfig` may leave the certificate of the server unchecked",
            "production: `kubeconfig` may log in by `aws`",
            "production: `kubeconfig` may name the proxy `http://p:1`",
        ]
    );
    let noise = "noise: [{ match: shop-cart, object: Deployment/cart, fields: [spec.paused] }]";
    assert_eq!(
        relaxed("context: west }", &format!("context: west }}\n    {noise}")),
        ["production: `spec.paused` of `Deployment/cart` of `shop-cart` is noise"]
    );
    assert_eq!(
        relaxed("env: KUBECONFIG_BASE64, encoding: base64, context: west", "file: /etc/kube, context: west"),
        ["production: `kubeconfig` is `/etc/kube, context west`, it was `KUBECONFIG_BASE64, context west`"]
    );
}

#[test]
fn t44_containers_that_other_programs_may_add_to_pods() {
    let with = |entries: &str| {
        DEMO.replace("    suites: [smoke]\n", &format!("    suites: [smoke]\n    sidecars: [{entries}]\n"))
    };
    let of = |old: &str, new: &str| compared(&with(old), &with(new), &SERVICES, &[]);
    let istio = "{ name: proxy, image: docker.io/istio/proxyv2 }";
    let any = "production: container `proxy` with any image may be added to pods";
    let named = "production: container `proxy` with images of `docker.io/istio/proxyv2` may be added to pods";
    assert_eq!(of("", "proxy"), [any]);
    assert_eq!(of("", istio), [named]);
    assert_eq!(of(istio, "proxy"), [any]);
    assert_eq!(of("proxy", istio), [""; 0], "asking more is no relaxation");
    assert_eq!(of(istio, &format!("init, {istio}")).len(), 1);
}
