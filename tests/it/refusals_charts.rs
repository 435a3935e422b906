//! Charts that are refused before anything is deployed, and what is suggested for them. No cluster is asked.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use test_support::bench;

use crate::chart_files::write_folder;
use crate::cluster_charts::paths_of;
use crate::clusters::search_path_with;
use crate::refusals::refuses;
use crate::shop::{Built, CONFIGURATION, Shop};

#[test]
fn a_chart_needs_another_target() {
    let shop = Shop::new();
    shop.service("shop-cart").write("deploy/Chart.yaml", "apiVersion: v2\nname: cart\nversion: 1.0.0\n");
    let cart = shop.new_version("shop-cart", 2, Built::Yes);
    shop.push_to_dev(&[("services/shop-cart", &cart)], "cart 2");
    shop.merge_dev_past_rules();
    refuses(&shop, "run staging", 2, &["shop-cart", "this is a chart", "`target.chart`", "hint: nothing was deployed"]);
    assert_eq!(shop.head("deploy/staging"), None);
}

/// The charts that need to be told something, in a shop whose target tells them nothing.
const UNTOLD: [&str; 10] =
    ["clock", "digest", "elsewhere", "global", "label", "parent", "plain", "registry", "sidecar", "string"];

const RENDER: &str =
    r#"target: { kind: render, source: "{path}/deploy", branch: "deploy/{mode}", folder: "rendered/{mode}" }"#;
const UNTOLD_TARGET: &str = "kubeconfig: { env: SHOP_KUBECONFIG }\n  target: { kind: helm, chart: \"{path}/chart\" }";

/// That shop with the charts on the branch of the developers, and a search path with a helm; or the running test is skipped.
fn untold_or_skip(helm: &str) -> Option<(Shop, std::ffi::OsString)> {
    let helm = bench::part_or_skip(helm)?;
    let paths = paths_of(&UNTOLD);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let shop = Shop::with_services(&paths, &CONFIGURATION.replace(RENDER, UNTOLD_TARGET));
    let tools = shop.join("tools");
    fs::create_dir(&tools).unwrap();
    symlink(helm.program(), tools.join("helm")).unwrap();
    shop.work_on("dev");
    for style in UNTOLD {
        let service = format!("shop-{style}");
        write_folder(&shop.service(&service), &format!("charts/{style}"), "chart");
        shop.clone_folder().gitlink(&format!("services/{service}"), &shop.new_version(&service, 2, Built::Yes));
    }
    shop.commit_and_push("dev", "charts");
    let search_path = search_path_with(&tools);
    Some((shop, search_path))
}

/// Charts that are told nothing of their style: all of them are named at once, each with what it would run and the values
/// that fit it, before anything is deployed. No cluster is asked.
#[track_caller]
fn untold_charts_are_refused(helm: &str) {
    let Some((shop, search_path)) = untold_or_skip(helm) else { return };
    let number = shop.open();
    let refused =
        shop.orchestrator(&format!("lock publish --pr {number}")).search_path(search_path).run().expect_code(20);
    // Cells of a table: words with one space between them.
    let text = refused.text().split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "shop-clock: its chart is rendered differently each time: Deployment/shop-clock-",
        "shop-elsewhere: `metadata.namespace` of ConfigMap/shop-elsewhere-dashboard is `monitoring`",
        "shop-global: no container of it runs `registry.example/shop/global:main-",
        "shop-label: label `app.kubernetes.io/version` of Deployment/shop-label would be `main-",
        "shop-parent: `spec.template.spec.containers[0].image` of Deployment/shop-parent-mailer is \
         `registry.example/shop/plain:latest`, locked is `registry.example/shop/plain:main-",
        "shop-registry: no container of it runs `registry.example/shop/registry:main-",
        "shop-sidecar: `spec.template.spec.initContainers[1].image` of Deployment/shop-sidecar is \
         `registry.example/shop/plain:latest`, locked is `registry.example/shop/plain:main-",
        "shop-string: `spec.template.spec.containers[0].image` of Deployment/shop-string is `map[",
        "hint: name the paths of the chart's values that its images come from in `target.image-values`",
        "hint: leave the namespace out of the chart, or name it in `environments.staging.namespaces.allow`",
        "hint: take the time, chance, `lookup` and `.Release.Revision` out of the chart",
        "hint: the chart of `shop-label` takes its digest with this entry of `environments.staging.overrides`, as rendering it in \
         every known way has shown: - { match: \"services/shop-label\", target: { image-values: { image.repository: \
         \"{image.repository}\", image.tag: \"{image.tag}\", image.digest: \"{image.digest}\" } } }",
        "- { match: \"services/shop-string\", target: { image-values: { image: \"{image.reference}\" } } }",
    ] {
        assert!(text.contains(line), "`{line}` is not in:\n{text}");
    }
    // Both of these take the tag with its digest.
    assert!(!text.contains("shop-digest:") && !text.contains("shop-plain: "), "{text}");
}

#[test]
fn t18_p29_charts_that_are_not_told_their_style_are_refused_by_name_with_helm_3() {
    untold_charts_are_refused("helm3");
}

#[test]
fn t18_p29_charts_that_are_not_told_their_style_are_refused_by_name_with_helm_4() {
    untold_charts_are_refused("helm4");
}

/// What is printed can be pasted: with it, every chart gets its image.
#[test]
fn charts_are_suggested_the_values_that_give_them_their_images() {
    let Some((shop, search_path)) = untold_or_skip("helm4") else { return };
    let check = |line: &str, code| shop.orchestrator(line).search_path(search_path.clone()).run().expect_code(code);
    check("config check --rev dev", 0);
    let charts = |code| -> Vec<Value> {
        let found = check("--format json config check --rev dev --suggest", code);
        let report: Value = serde_json::from_str(found.stdout()).unwrap();
        report["result"]["chart_images"].as_array().unwrap().clone()
    };
    let found = charts(1);
    assert_eq!(found.len(), 2 * UNTOLD.len(), "two environments: {found:?}");
    let of_staging: Vec<&Value> = found.iter().filter(|chart| chart["environment"] == "staging").collect();
    let with = |image: &str| -> Vec<&str> {
        let services = of_staging.iter().filter(|chart| chart["image"] == image);
        services.map(|chart| chart["service"].as_str().unwrap()).collect()
    };
    assert_eq!(with("other_values"), ["shop-global", "shop-label", "shop-registry", "shop-string"], "{found:?}");
    assert_eq!(with("other_container"), ["shop-parent", "shop-sidecar"], "{found:?}");
    assert_eq!(with("locked").len(), UNTOLD.len() - 6, "{found:?}");

    // Why, with the line of the chart, and what to write where no style does.
    let causes = |service: &str| -> Vec<(String, String)> {
        let chart = of_staging.iter().find(|chart| chart["service"] == service).unwrap();
        let text = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
        chart["causes"].as_array().unwrap().iter().map(|cause| (text(cause, "line"), text(cause, "style"))).collect()
    };
    assert_eq!(causes("shop-label"), [("templates/deployment.yaml:13".to_owned(), String::new())]);
    let in_values = |line: &str, style: &str| (line.to_owned(), style.to_owned());
    let proxy = in_values("values.yaml:4", r#"values: { proxy: "{image:shop-plain.reference}" }"#);
    assert_eq!(causes("shop-sidecar"), [proxy.clone(), proxy]);
    assert_eq!(
        causes("shop-parent"),
        [
            in_values("charts/cache/values.yaml:1", r#"values: { cache: { image: "{image:shop-plain.reference}" } }"#),
            in_values(
                "charts/worker/values.yaml:1",
                r#"values: { mailer: { image: "{image:shop-plain.reference}" } }"#
            ),
        ]
    );
    let others = ["shop-parent", "shop-sidecar"].into_iter().flat_map(|service| {
        let styles: BTreeSet<String> = causes(service).into_iter().map(|(_, style)| style).collect();
        styles.into_iter().map(move |style| format!("- {{ match: {service}, target: {{ {style} }} }}"))
    });
    let others: Vec<String> = others.collect();

    let text = check("config check --rev dev --suggest", 1);
    for line in [
        "  templates/deployment.yaml:13: label `app.kubernetes.io/version` of Deployment/shop-label would be `main-",
        "shop-sidecar in staging: another container of its chart has an image of the lock without its digest\n  values.yaml:4: \
         `spec.template.spec.containers[0].image` of Deployment/shop-sidecar is `registry.example/shop/plain:latest`",
        "\n    hint: in its `target`: values: { proxy: \"{image:shop-plain.reference}\" }\n",
    ] {
        assert!(text.stdout().contains(line), "`{line}` is not in:\n{}", text.stdout());
    }
    let entries: Vec<&str> = of_staging.iter().filter_map(|chart| chart["overrides"].as_str()).collect();
    for entry in &entries {
        assert!(text.stdout().contains(&format!("\n    {entry}\n")), "`{entry}` is not in:\n{}", text.stdout());
    }
    let locked_only = "locked-only: { reason: no container of its own }";
    let pasted = CONFIGURATION.replace(RENDER, UNTOLD_TARGET).replace(
        locked_only,
        &format!(
            "{locked_only}\n  overrides:\n  {}",
            [entries, others.iter().map(String::as_str).collect()].concat().join("\n  ")
        ),
    );
    shop.work_on("dev").write("orchestrator.yaml", pasted);
    shop.commit_and_push("dev", "overrides as suggested");
    let found = charts(0);
    assert!(found.iter().all(|chart| chart["image"] == "locked"), "{found:?}");
}

/// A chart whose schema refuses what every style sets: the key, the line of the schema, and the keys that it takes.
#[test]
fn a_schema_that_refuses_the_image_is_named_with_its_line_and_what_it_takes() {
    for helm in ["helm3", "helm4"] {
        let Some((shop, search_path)) = untold_or_skip(helm) else { return };
        let template = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: {{ .Release.Name }} }\nspec:\n  selector: \
                        { matchLabels: { app: a } }\n  template:\n    metadata: { labels: { app: a } }\n    spec:\n      \
                        containers:\n      - name: app\n        image: \"{{ .Values.image.repository }}:{{ .Values.image.version \
                        }}\"\n";
        let schema = "{\n  \"type\": \"object\",\n  \"properties\": {\n    \"image\": {\n      \"type\": \"object\",\n      \
                      \"additionalProperties\": false,\n      \"properties\": { \"repository\": {}, \"version\": { \"type\": \
                      \"string\" } }\n    }\n  }\n}\n";
        shop.service("shop-plain")
            .write("chart/templates/deployment.yaml", template)
            .write("chart/values.yaml", "image: { repository: a, version: b }\n")
            .write("chart/values.schema.json", schema);
        let commit = shop.new_version("shop-plain", 3, Built::Yes);
        shop.push_to_dev(&[("services/shop-plain", &commit)], "a schema");
        let check = |line: &str| shop.orchestrator(line).search_path(search_path.clone()).run().expect_code(1);
        let text = check("config check --rev dev --suggest");
        let told = "shop-plain in staging takes the locked image in no known way: name the values that it comes from in \
                    `target.image-values`\n  values.schema.json:4: its `values.schema.json` refuses `image`: additional properties \
                    'tag' not allowed\n    hint: `image` takes `repository`, `version`: name those in `image-values`";
        assert!(text.stdout().contains(told), "{helm}: `{told}` is not in:\n{}", text.stdout());
    }
}
