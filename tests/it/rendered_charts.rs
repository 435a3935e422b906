//! Target `render` with charts: helm makes the manifests that go to the branch.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use test_support::bench;

use crate::clusters::search_path_with;
use crate::shop::{CONFIGURATION, Shop};

const SERVICE: &str = "services/shop-cart";

const TEMPLATE: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata: { name: {{ .Release.Name }}, labels: { {{ include "labels" . }} } }
spec:
  replicas: {{ .Values.replicas }}
  selector: { matchLabels: { {{ include "labels" . }} } }
  template:
    metadata: { labels: { {{ include "labels" . }} } }
    spec:
      containers: [{ name: app, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}" }]
"#;

/// A shop whose services are charts that `target: render` writes to a branch, by these keys of the target, and the search
/// path on which helm is.
fn shop_with_helm(helm: &bench::Part, keys: &str) -> (Shop, OsString) {
    let configuration = CONFIGURATION.replace(r#"source: "{path}/deploy", branch"#, &format!("{keys}, branch"));
    assert!(configuration.contains(keys));
    let shop = Shop::with_services(&["ops/shop-dashboards", SERVICE], &configuration);
    let tools = shop.join("tools");
    std::fs::create_dir(&tools).unwrap();
    symlink(helm.program(), tools.join("helm")).unwrap();
    let search_path = search_path_with(&tools);
    (shop, search_path)
}

#[test]
fn t18_charts_are_rendered_to_a_branch_and_proven_there_like_manifests() {
    let Some(helm) = bench::part_or_skip("helm4") else { return };
    let (shop, search_path) = shop_with_helm(&helm, r#"chart: "{path}/chart", values: { replicas: 2 }"#);
    let ends = |line: &str, code| shop.orchestrator(line).search_path(search_path.clone()).run().expect_code(code);

    let repository = shop.service("shop-cart");
    repository
        .write("chart/Chart.yaml", "apiVersion: v2\nname: cart\nversion: 0.1.0\n")
        .write("chart/templates/_helpers.tpl", "{{- define \"labels\" }}app: cart{{ end }}")
        .write("chart/templates/app.yaml", TEMPLATE);
    shop.bump(SERVICE, 2);
    shop.merge_dev();
    ends("run staging", 0);
    let stored = "deploy/staging:services/shop-cart/deployment-shop-cart.yaml";
    let manifest = shop.superproject().git(&["show", stored]);
    for told in ["replicas: 2", "namespace: shop-staging", "image: registry.example/shop/cart:main-", "@sha256:"] {
        assert!(manifest.contains(told), "`{told}` is not in:\n{manifest}");
    }
    ends("verify staging", 0);
    ends("drift staging", 0);
    assert!(ends("plan staging", 0).stdout().contains("nothing would change"));

    let by_chance =
        TEMPLATE.replace("labels: { {{ include", "annotations: { a: {{ randAlpha 9 }} }, labels: { {{ include");
    repository.write("chart/templates/app.yaml", by_chance);
    shop.bump(SERVICE, 3);
    shop.merge_dev();
    let refused = ends("run staging", 20);
    let told = "its chart is rendered differently each time: `metadata.annotations.a` of Deployment/shop-cart";
    assert!(refused.stderr().contains(told), "{}", refused.text());

    // helm leaves such an object out without a word.
    let unknown =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, annotations: { helm.sh/hook: crd-install } }\n";
    repository.write("chart/templates/app.yaml", TEMPLATE).write("chart/templates/unknown.yaml", unknown);
    shop.bump(SERVICE, 4);
    shop.merge_dev();
    let refused = ends("run staging", 20);
    for told in ["whose `helm.sh/hook` has a value that it does not know: `crd-install`", "events that helm knows"] {
        assert!(refused.stderr().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
    assert_eq!(shop.superproject().git(&["show", stored]), manifest);
}

/// A schema of values that is validated, and that refers to nothing but itself.
fn schema(metaschema: &str, tag: &str) -> String {
    format!(
        r##"{{"$schema":"{metaschema}","$id":"https://schemas.example/cart.json","definitions":{{"text":{{"type":"{tag}"}}}},
"properties":{{"image":{{"properties":{{"tag":{{"$ref":"#/definitions/text"}}}}}}}}}}"##
    )
}

/// What a schema refers to, helm would read in the job and quote in its errors, which end up in a comment.
#[test]
fn t17_t28_a_schema_makes_helm_load_neither_files_nor_addresses_of_the_job() {
    for part in ["helm3", "helm4"] {
        let Some(helm) = bench::part_or_skip(part) else { return };
        let (shop, search_path) = shop_with_helm(&helm, r#"chart: "{path}/chart""#);
        let ends = |line: &str, code| shop.orchestrator(line).search_path(search_path.clone()).run().expect_code(code);
        let secret = shop.join("secret.json");
        std::fs::write(&secret, r#"{"enum":["hunter2-outside"]}"#).unwrap();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let address = format!("http://{}/schema.json", server.local_addr().unwrap());
        let file = format!("file://{}", secret.display());

        let repository = shop.service("shop-cart");
        let metaschemas = [
            "http://json-schema.org/schema#",
            "http://json-schema.org/draft-04/schema#",
            "https://json-schema.org/draft-06/schema#",
            "http://json-schema.org/draft-07/schema",
            "https://json-schema.org/draft/2019-09/schema",
            "https://json-schema.org/draft/2020-12/schema#",
        ];
        repository
            .write("chart/Chart.yaml", "apiVersion: v2\nname: cart\nversion: 0.1.0\n")
            .write("chart/values.schema.json", schema(metaschemas[3], "string"))
            .write("chart/templates/_helpers.tpl", "{{- define \"labels\" }}app: cart{{ end }}")
            .write("chart/templates/app.yaml", TEMPLATE.replace("{{ .Values.replicas }}", "1"));
        for (index, metaschema) in metaschemas.iter().enumerate() {
            let chart = format!("chart/charts/part{index}");
            repository
                .write(&format!("{chart}/Chart.yaml"), format!("apiVersion: v2\nname: part{index}\nversion: 0.1.0\n"))
                .write(&format!("{chart}/values.schema.json"), schema(metaschema, "string"));
        }
        shop.bump(SERVICE, 2);
        shop.merge_dev();
        ends("run staging", 0);

        let (mut version, mut number) = (2, None);
        let mut refuses = |file: &str, text: String, told: &[&str]| {
            repository.write(file, text);
            version += 1;
            shop.bump(SERVICE, version);
            let number = *number.get_or_insert_with(|| shop.open());
            for line in [format!("lock publish --pr {number}"), format!("plan staging --pr {number}")] {
                let refused = ends(&line, 20);
                let text = refused.text().split_whitespace().collect::<Vec<_>>().join(" ");
                for told in told {
                    assert!(text.contains(told), "{part}: `{told}` is not in:\n{text}");
                }
                assert!(!text.contains("hunter2"), "{part}: {text}");
            }
        };
        let own = "chart/values.schema.json";
        let reference = |to: &str| schema(metaschemas[3], "string").replace("#/definitions/text", to);
        let tells = |to: &str| format!("`/properties/image/properties/tag/$ref` is `{to}`");
        // What is read has words in place of the test's folder and ports.
        let told = tells("file://[SANDBOX]/secret.json");
        let shown = "http://127.0.0.1:[PORT]/schema.json";
        refuses(own, reference(&file), &["`chart/values.schema.json`: ", &told, "refer to nothing but themselves"]);
        refuses(own, reference(&address), &["`chart/values.schema.json`: ", &tells(shown)]);
        refuses(own, schema(&address, "string"), &[&format!("`/$schema` is `{shown}`")]);
        repository.write(own, schema(metaschemas[5], "string"));
        let within = "chart/charts/part1/values.schema.json";
        refuses(within, reference(&address), &["`chart/charts/part1/values.schema.json`: ", &tells(shown)]);
        let suggested = ends("config check --rev dev --suggest", 20);
        assert!(suggested.text().contains(&tells(shown)), "{part}: {}", suggested.text());
        // helm goes on to validate.
        repository.write(within, "{}");
        refuses(own, schema(metaschemas[3], "integer"), &["helm does not render its chart", "image", "tag", "integer"]);
        assert!(server.accept().is_err(), "{part}: helm asked the server");
    }
}

#[test]
fn values_that_name_an_image_of_no_service_are_a_mistake_of_the_file() {
    let Some(helm) = bench::part_or_skip("helm4") else { return };
    let keys = r#"chart: "{path}/chart", values: { other: "{image:shop-none.tag}" }"#;
    let (shop, search_path) = shop_with_helm(&helm, keys);
    shop.service("shop-cart")
        .write("chart/Chart.yaml", "apiVersion: v2\nname: cart\nversion: 0.1.0\n")
        .write("chart/templates/_helpers.tpl", "{{- define \"labels\" }}app: cart{{ end }}")
        .write("chart/templates/app.yaml", TEMPLATE);
    shop.bump(SERVICE, 2);
    shop.merge_dev_past_rules();
    let refused = shop.orchestrator("run staging").search_path(search_path).run().expect_code(2);
    for told in [
        "`target.values` of `staging` (orchestrator.yaml:",
        "shop-cart: its chart cannot be given its values: `{image:shop-none.tag}` has no value",
        "hint: `overrides` for these services take the value out, or give them what `{image:shop-none.tag}` names",
    ] {
        assert!(refused.stderr().contains(told), "`{told}` is not in:\n{}", refused.text());
    }
}
