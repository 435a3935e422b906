//! Target `render` with charts: helm makes the manifests that go to the branch.

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

#[test]
fn t18_charts_are_rendered_to_a_branch_and_proven_there_like_manifests() {
    let Some(helm) = bench::part_or_skip("helm4") else { return };
    let chart = r#"chart: "{path}/chart", values: { replicas: 2 }, branch"#;
    let configuration = CONFIGURATION.replace(r#"source: "{path}/deploy", branch"#, chart);
    assert!(configuration.contains(chart));
    let shop = Shop::with_services(&["ops/shop-dashboards", SERVICE], &configuration);
    let tools = shop.join("tools");
    std::fs::create_dir(&tools).unwrap();
    symlink(helm.program(), tools.join("helm")).unwrap();
    let search_path = search_path_with(&tools);
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
    assert_eq!(shop.superproject().git(&["show", stored]), manifest);
}
