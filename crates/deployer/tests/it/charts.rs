//! Charts rendered by a real helm 3 and a real helm 4, without a cluster.

use std::os::unix::fs::symlink;
use std::path::Path;

use deployer::ProgramSearch;
use deployer::helm::plan_from_nothing;
use deployer::{DeployError, DeployRequest, DeployService, Plan, PlanDetail, UnpinnedImageRule};
use serde_json::{Value, json};
use test_support::bench;

use crate::shop::{pin, request};

const CHART: &str = "apiVersion: v2\nname: cart\nversion: 0.1.0\n";

const DEPLOYMENT: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata: { name: {{ .Release.Name }} }
spec:
  selector: { matchLabels: { app: cart } }
  template:
    metadata: { labels: { app: cart } }
    spec:
      containers:
      - { name: cart, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}" }
"#;

/// A hook or another object beside the deployment.
fn pod(name: &str, annotation: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name}, annotations: {{ {annotation} }} }}\nspec: {{ containers: \
         [{{ name: a, image: \"{image}\" }}] }}\n"
    )
}

fn chart(files: &[(&str, &str)]) -> DeployRequest {
    let image = pin("cart", "1");
    let mut service = DeployService::new("cart".try_into().unwrap());
    let (repository, tag) = (image.repository.to_string(), format!("{}@{}", image.tag.as_ref().unwrap(), image.digest));
    let Value::Object(values) = json!({ "image": { "repository": repository, "tag": tag }, "number": "2286238" })
    else {
        panic!("a map")
    };
    service.values = values;
    service.image = Some(image);
    let chart = [("Chart.yaml", CHART), ("templates/deployment.yaml", DEPLOYMENT)];
    for (path, text) in chart.iter().chain(files) {
        service.files.retain(|(known, _)| known != path);
        service.files.push(((*path).to_owned(), text.as_bytes().to_vec()));
    }
    request(vec![service])
}

/// Runs a test with each helm that the bench has.
fn with_each_helm(test: impl Fn(&dyn Fn(&DeployRequest) -> Result<Plan, String>)) {
    for name in ["helm3", "helm4"] {
        let Some(part) = bench::part_or_skip(name) else { continue };
        let folder = tempfile::tempdir().unwrap();
        symlink(part.program(), folder.path().join("helm")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        test(&|request| {
            let search = ProgramSearch::new(folder.path());
            runtime.block_on(plan_from_nothing(&search, request)).map_err(|error| error.to_string())
        });
    }
}

#[test]
fn p6_a_chart_is_rendered_with_the_locked_image_and_values_that_keep_their_types() {
    with_each_helm(|plan| {
        let plan = plan(&chart(&[
            ("templates/_helpers.tpl", "{{- define \"a\" }}{{ .Values.number }}{{ end }}"),
            (
                "templates/a.yaml",
                "{{ if not (kindIs \"string\" .Values.number) }}{{ fail \"a number\" }}{{ end }}apiVersion: v1\nkind: \
                 ConfigMap\nmetadata: { name: {{ include \"a\" . | quote }} }\n",
            ),
            ("templates/migrate.yaml", &pod("migrate", "helm.sh/hook: pre-install", &pin("cart", "1").to_string())),
            ("templates/tests/probe.yaml", &pod("probe", "helm.sh/hook: test", "busybox")),
        ]))
        .unwrap();
        let changes: Vec<&str> = plan.changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(changes, ["ConfigMap/2286238", "Deployment/cart", "hook Pod/migrate", "hook Pod/probe"]);
        assert_eq!(plan.changes[1].images[0].to.as_deref(), Some(pin("cart", "1").to_string().as_str()));
        assert!(plan.unpinned_images.is_empty(), "what only `helm test` starts is listed apart");
        let PlanDetail::Helm(detail) = &plan.detail else { panic!("charts") };
        assert_eq!(detail.not_started[0].image, "busybox");
    });
}

#[test]
fn d1_an_unpinned_image_of_a_test_hook_is_refused_where_the_rule_says_so() {
    with_each_helm(|plan| {
        let mut request = chart(&[("templates/tests/probe.yaml", &pod("probe", "helm.sh/hook: test", "busybox"))]);
        request.test_hooks = UnpinnedImageRule::Refuse;
        let refused = plan(&request).unwrap_err();
        assert!(refused.contains("of Pod/probe, which `helm test` starts: `busybox` has no digest"), "{refused}");
        let pinned = format!("busybox@sha256:{}", "a".repeat(64));
        let mut request = chart(&[("templates/tests/probe.yaml", &pod("probe", "helm.sh/hook: test", &pinned))]);
        request.test_hooks = UnpinnedImageRule::Refuse;
        plan(&request).unwrap();

        // A hook that every upgrade starts is judged by the environment's own rule: production refuses it.
        let job = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: migrate, annotations: { helm.sh/hook: pre-upgrade } }\n\
                   spec: { template: { spec: { containers: [{ name: app, image: \"flyway:9\" }] } } }\n";
        let test = pod("probe", "helm.sh/hook: test", "busybox");
        let mut request = chart(&[("templates/migrate.yaml", job), ("templates/tests/probe.yaml", &test)]);
        let listed = plan(&request).unwrap();
        let images: Vec<&str> = listed.unpinned_images.iter().map(|unpinned| unpinned.image.as_str()).collect();
        assert_eq!(images, ["flyway:9"]);
        request.unpinned_images = UnpinnedImageRule::Refuse;
        request.test_hooks = UnpinnedImageRule::Refuse;
        let refused = plan(&request).unwrap_err();
        for told in [
            "of Job/migrate is `flyway:9`, which is neither locked nor written with a digest",
            "of Pod/probe, which `helm test` starts: `busybox` has no digest",
        ] {
            assert!(refused.contains(told), "`{told}` is not in: {refused}");
        }
    });
}

#[test]
fn charts_that_cannot_be_deployed_are_refused_with_their_cause() {
    let config_map =
        |name: &str, more: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\n{more}");
    let cases: Vec<(&str, String, &str)> = vec![
        // T18, P29
        (
            "a.yaml",
            config_map("\"a-{{ now | unixEpoch }}-{{ randAlpha 8 }}\"", ""),
            "rendered differently each time: ConfigMap/a-",
        ),
        ("a.yaml", config_map("\"a-{{ now | unixEpoch }}\"", ""), "rendered differently each time: ConfigMap/a-"),
        (
            "a.yaml",
            config_map("a", "data: { a: {{ randAlpha 20 }} }\n"),
            "differently each time: `data.a` of ConfigMap/a",
        ),
        // T17
        ("a.yaml", config_map("a, namespace: other", ""), "is `other`, the environment's namespace is `shop-staging`"),
        (
            "../crds/a.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: { name: a.b }\n".to_owned(),
            "CustomResourceDefinition/a.b belongs to no namespace",
        ),
        (
            "a.yaml",
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: { name: a }\n".to_owned(),
            "ClusterRole/a belongs to no namespace",
        ),
        (
            "a.yaml",
            pod("a", "helm.sh/hook: post-install", "registry.example/shop/cart:latest"),
            "Pod/a is `registry.example/shop/cart:latest`, locked is",
        ),
        // D1, T19
        ("a.yaml", pod("a", "helm.sh/hook: pre-upgrade", "busybox"), "Pod/a is `busybox`, which is neither locked nor"),
        (
            "a.yaml",
            config_map("a, labels: { version: \"{{ .Values.image.tag }}\" }", ""),
            "label `version` of ConfigMap/a would be",
        ),
        ("deployment.yaml", config_map("a", ""), "no container of it runs `registry.example/shop/cart:main-1111111@"),
        ("deployment.yaml", String::new(), "has no object"),
        ("a.yaml", config_map("a", "") + "---\n" + &config_map("a", ""), "ConfigMap/a is rendered twice"),
        ("a.yaml", "{{ fail \"no such thing\" }}".to_owned(), "helm does not render its chart: "),
        (
            "../Chart.yaml",
            format!(
                "{CHART}dependencies: [{{ name: redis, version: 1.0.0, repository: \"https://charts.example\" }}]\n"
            ),
            "`Chart.lock`: it is missing, and the chart depends on redis",
        ),
        (
            "../Chart.yaml",
            format!("{CHART}dependencies: [{{ name: redis, version: 1.0.0 }}]\n"),
            "missing in charts/ directory: redis",
        ),
        ("../Chart.yaml", "name: [".to_owned(), "`Chart.yaml`: "),
        ("../../out.yaml", String::new(), "a path with an empty, `.`, `..` or `.git` part is not written"),
    ];
    with_each_helm(|plan| {
        for (file, text, words) in &cases {
            let path = file.strip_prefix("../").map_or_else(|| format!("templates/{file}"), str::to_owned);
            let mut request = chart(&[(&path, text)]);
            request.unpinned_images = UnpinnedImageRule::Refuse;
            let said = plan(&request).unwrap_err();
            assert!(said.contains(words) && said.starts_with("`cart`"), "{file}: {said}");
        }
        let mut missing = chart(&[]);
        missing.services[0].files.retain(|(path, _)| path != "Chart.yaml");
        missing.services[0].name = "a_b".try_into().unwrap();
        let said = plan(&missing).unwrap_err();
        assert!(said.contains("no such file") && said.contains("cannot be that of a helm release"), "{said}");
    });
}

#[test]
fn t26_helm_sees_no_variable_of_ours_and_no_plugin() {
    let folder = tempfile::tempdir().unwrap();
    fake_helm(
        folder.path(),
        "case $1 in version) ;; *) env; echo \"--$*\" ;; esac >> \"$0.log\"; [ $1 != version ] || printf v4.1.0",
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(plan_from_nothing(&ProgramSearch::new(folder.path()), &chart(&[]))).unwrap_err();
    assert!(error.to_string().contains("has no object"), "{error}");
    let log = std::fs::read_to_string(folder.path().join("helm.log")).unwrap();
    let names: std::collections::BTreeSet<&str> = log
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("--"))
        .collect();
    // Its home and its plugins are in an empty folder of this run: what is planted elsewhere is not found.
    let value = |name: &str| log.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
    assert!(value("HELM_PLUGINS").starts_with(value("HOME")) && !Path::new(value("HOME")).exists(), "{log}");
    let shell = ["PWD", "SHLVL", "_", "OLDPWD"];
    let names: Vec<&str> = names.into_iter().filter(|name| !shell.contains(name) && !name.contains("v4")).collect();
    assert_eq!(
        names,
        [
            "GOGC",
            "HELM_CACHE_HOME",
            "HELM_CONFIG_HOME",
            "HELM_DATA_HOME",
            "HELM_DRIVER",
            "HELM_PLUGINS",
            "HOME",
            "KUBECACHEDIR",
            "KUBECONFIG",
            "NO_COLOR",
            "TMPDIR"
        ]
    );
    assert!(
        log.contains("--template cart ./chart --namespace shop-staging --values values.json --include-crds\n"),
        "{log}"
    );
}

#[test]
fn h2_a_helm_that_is_not_known_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plan = || runtime.block_on(plan_from_nothing(&ProgramSearch::new(folder.path()), &chart(&[]))).unwrap_err();
    assert!(matches!(plan(), DeployError::Program { .. }), "there is none");
    for (script, words) in [
        ("printf v5.0.0", "only helm 3 and 4"),
        ("echo WARNING >&2; printf v2.17.0", "only helm 3 and 4"),
        ("exit 1", "exit status 1"),
    ] {
        fake_helm(folder.path(), script);
        let error = plan();
        assert!(matches!(error, DeployError::Program { .. }) && error.to_string().contains(words), "{error}");
    }
}

fn fake_helm(folder: &Path, script: &str) {
    let path = folder.join("helm");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// The files that target `render` writes.
fn rendered(search: &ProgramSearch, request: &DeployRequest) -> Result<(Plan, Vec<(String, String)>), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plan =
        runtime.block_on(deployer::render::plan_from_nothing(search, request)).map_err(|error| error.to_string())?;
    let PlanDetail::Render(detail) = &plan.detail else { panic!("a tree") };
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let files = detail.tree.files.iter().map(|(path, bytes)| (path.clone(), text(bytes))).collect();
    Ok((plan, files))
}

#[test]
fn t18_target_render_makes_manifests_of_charts_and_demands_what_helm_does() {
    let chart = |files: &[(&str, &str)]| {
        let mut request = chart(files);
        request.services[0].is_chart = true;
        request
    };
    for name in ["helm3", "helm4"] {
        let Some(part) = bench::part_or_skip(name) else { continue };
        let folder = tempfile::tempdir().unwrap();
        symlink(part.program(), folder.path().join("helm")).unwrap();
        let search = ProgramSearch::new(folder.path());
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { a: {{ .Values.number | quote }} }\n";
        let (plan, files) = rendered(
            &search,
            &chart(&[
                ("templates/a.yaml", map),
                ("templates/migrate.yaml", &pod("migrate", "helm.sh/hook: pre-install", &pin("cart", "1").to_string())),
                ("templates/tests/probe.yaml", &pod("probe", "helm.sh/hook: test", "busybox")),
            ]),
        )
        .unwrap();
        let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        let services =
            ["configmap-a", "deployment-cart", "pod-migrate"].map(|name| format!("services/cart/{name}.yaml"));
        assert_eq!(names, ["release.yaml", &services[0], &services[1], &services[2]]);
        assert!(
            files[1].1.contains("namespace: shop-staging") && files[1].1.contains("a: \"2286238\""),
            "{}",
            files[1].1
        );
        assert!(files[2].1.contains(&pin("cart", "1").to_string()), "{}", files[2].1);
        assert!(plan.notes.iter().any(|note| note.contains("Pod/probe")), "{:?}", plan.notes);

        for (file, text, words) in [
            (
                "templates/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: \"a-{{ randAlpha 9 | lower }}\" }\n",
                "differently each time",
            ),
            ("templates/a.yaml", &pod("a", "a: b", "registry.example/shop/cart:latest"), "locked is"),
            ("templates/a.yaml", &map.replace("name: a", "name: a, namespace: other"), "is `other`"),
        ] {
            let refused = rendered(&search, &chart(&[(file, text)])).unwrap_err();
            assert!(refused.contains(words) && refused.starts_with("`cart`"), "{refused}");
        }
    }
    // Without helm nothing is said of a chart, and plain manifests need none.
    let nowhere = ProgramSearch::new("");
    assert!(rendered(&nowhere, &chart(&[])).unwrap_err().contains("`helm`"));
    rendered(&nowhere, &crate::shop::shop()).unwrap();
}
