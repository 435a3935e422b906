//! What a plan holds, and what it refuses.

use deployer::ChangeKind;
use deployer::render::{RELEASE_FILE, plan};
use test_support::HOSTILE_TEXT;

use crate::shop::{CART, pin, planned, refused, rendered, request, service, shop, text, tree, with_file};

#[test]
fn b10_the_rendered_tree_is_pinned_sorted_and_without_comments() {
    let plan = planned(&shop());
    let tree = &rendered(&plan).tree;
    assert_eq!(
        tree.files.keys().map(String::as_str).collect::<Vec<_>>(),
        ["release.yaml", "services/cart/cart.yaml", "services/dashboard/board.yaml", "services/web/deploy/web.yaml"]
    );
    insta::assert_snapshot!(text(tree, "services/cart/cart.yaml"), @r"
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: cart
      namespace: shop-staging
    spec:
      template:
        spec:
          containers:
          - image: registry.example/shop/cart:main-1111111@sha256:1111111111111111111111111111111111111111111111111111111111111111
            name: cart
    ---
    apiVersion: v1
    kind: Service
    metadata:
      name: cart
      namespace: shop-staging
    spec:
      ports:
      - port: 80
    ");
    insta::assert_snapshot!(text(tree, RELEASE_FILE), @r"
    apiVersion: v1
    data:
      commit: cccccccccccccccccccccccccccccccccccccccc
      deployed: |
        cart registry.example/shop/cart:main-1111111@sha256:1111111111111111111111111111111111111111111111111111111111111111
        dashboard configuration
        web registry.example/shop/web:main-2222222@sha256:2222222222222222222222222222222222222222222222222222222222222222
      environment: staging
      lock: sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
      not-deployed: |
        reports (not ready)
      release: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    kind: ConfigMap
    metadata:
      name: orchestrator-release
      namespace: shop-staging
    ");
    assert_eq!(rendered(&plan).ignored, [("cart".try_into().unwrap(), "README.md".to_owned())]);
    assert!(plan.unpinned_images.is_empty() && plan.changes.iter().all(|change| change.kind == ChangeKind::Added));
}

#[test]
fn comments_order_and_style_of_the_source_do_not_matter() {
    let other = "kind: Deployment\napiVersion: apps/v1\nspec: {template: {spec: {containers: [{image: \
                 'registry.example/shop/cart', name: cart}]}}}\nmetadata: {name: \"cart\", namespace: \
                 shop-staging}\n---\n---\nmetadata: {name: cart}\nspec:\n  ports:\n    - port: 0x50\nkind: Service\n\
                 apiVersion: v1\n";
    let mut request = shop();
    request.services[0].files = vec![("cart.yml".to_owned(), other.as_bytes().to_vec())];
    assert_eq!(tree(&request), tree(&shop()));
    request.services[0].files = vec![("cart.yaml".to_owned(), CART.replace('\n', "\r\n").into_bytes())];
    assert_eq!(tree(&request), tree(&shop()));
}

#[test]
fn every_problem_of_every_service_is_in_one_list_with_its_place() {
    let request = request(vec![
        service(
            "cart",
            Some(pin("cart", "1")),
            &[
                (
                    "cart.yaml",
                    "kind: Service\napiVersion: v1\nmetadata: {name: a, namespace: shop-prod}\n---\nkind: X\n",
                ),
                ("broken.yaml", "a: 1\nb: [\n"),
                ("chart/Chart.yaml", "name: cart\n"),
                ("../up.yaml", "a: 1\n"),
            ],
        ),
        service("empty", None, &[("README.md", "")]),
        service("web", Some(pin("web", "2")), &[("web.yaml", CART), ("kustomization.yaml", "resources: []\n")]),
        service("wrong", Some(pin("wrong", "3")), &[("web.yaml", &CART.replace("name: cart", "name: other"))]),
    ]);
    insta::assert_snapshot!(refused(&request), @r"
    `cart`: `../up.yaml`: a path with an empty, `.`, `..` or `.git` part is not written
    `cart`: `broken.yaml` (line 2, column 4): not readable as YAML: `[` is not closed
    `cart`: `cart.yaml` document 1 (line 1): `metadata.namespace` of Service/a is `shop-prod`, the environment's namespace is `shop-staging`
    `cart`: `cart.yaml` document 2 (line 5): the object has no `apiVersion`
    `cart`: `chart/Chart.yaml`: this is a chart, and `render` writes plain manifests only
    `empty`: the service is deployed here, but there is no manifest among its 1 files
    `web`: `kustomization.yaml`: this is a kustomization, and `render` writes plain manifests only
    `wrong`: no container of its image `registry.example/shop/wrong`: its manifests have only `registry.example/shop/cart:main-1111111@sha256:1111111111111111111111111111111111111111111111111111111111111111`
    ");
}

#[test]
fn a_chart_is_one_problem_whatever_lies_in_it() {
    let broken = "a: {{ .Values.x }}\n- b\n";
    let chart = [
        ("chart/Chart.yaml", "name: cart\n"),
        ("chart/charts/db/Chart.yaml", "name: db\n"),
        ("chart/charts/db/templates/a.yaml", broken),
        ("chart/templates/a.yaml", broken),
        ("chart/values.yaml", "- a\n"),
        ("overlays/staging/kustomization.yaml", "resources: []\n"),
        ("overlays/staging/patch.yaml", "- op: add\n"),
        ("plain.yaml", broken),
    ];
    let request = request(vec![service("cart", None, &chart)]);
    let lines = refused(&request);
    let lines: Vec<&str> = lines.lines().map(|line| line.rsplit_once(": ").map_or(line, |(place, _)| place)).collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(lines[0], "`cart`: `chart/Chart.yaml`");
    assert_eq!(lines[1], "`cart`: `overlays/staging/kustomization.yaml`");
    assert!(lines[2].starts_with("`cart`: `plain.yaml`"), "{lines:#?}");
}

#[test]
fn b26_a_deployed_service_without_objects_is_no_success() {
    let empty = request(vec![service("cart", None, &[])]);
    assert!(refused(&empty).contains("there is no manifest among its 0 files"));
    let comment = request(vec![service("cart", None, &[("a.yaml", "# nothing\n---\n")])]);
    assert!(refused(&comment).contains("there is no manifest among its 1 files"));
    let no_container = request(vec![service("cart", Some(pin("cart", "1")), &[("a.yaml", crate::shop::DASHBOARD)])]);
    assert!(refused(&no_container).contains("its manifests have no container at all"));
}

#[test]
fn p13_the_same_release_again_is_no_change_even_from_another_commit() {
    let first = planned(&shop());
    let again = plan(&shop(), Some(&rendered(&first).tree)).unwrap();
    assert!(again.changes.is_empty());
    assert_eq!(again.digest, first.digest);

    let mut readme = shop();
    readme.commit = "d".repeat(40).try_into().unwrap();
    let readme = plan(&readme, Some(&rendered(&first).tree)).unwrap();
    assert!(readme.changes.is_empty(), "{:?}", readme.changes);
    assert_eq!(rendered(&readme).tree.record().unwrap().commit.as_str(), "c".repeat(40));

    // Another environment, or another lock, is another deployment, although every file is the same.
    let mut elsewhere = shop();
    elsewhere.environment = "production".try_into().unwrap();
    let mut relocked = shop();
    relocked.lock = format!("sha256:{}", "e".repeat(64)).try_into().unwrap();
    for mut other in [elsewhere, relocked] {
        other.commit = "d".repeat(40).try_into().unwrap();
        let other = plan(&other, Some(&rendered(&first).tree)).unwrap();
        assert_eq!(rendered(&other).tree.record().unwrap().commit.as_str(), "d".repeat(40));
    }

    // A tree that was changed by hand is deployed anew.
    for path in ["services/ghost/x.yaml", "services/cart/cart.yaml"] {
        let mut edited = rendered(&first).tree.clone();
        edited.files.insert(path.to_owned(), b"kind: X\n".to_vec());
        let mut other = shop();
        other.commit = "d".repeat(40).try_into().unwrap();
        let other = plan(&other, Some(&edited)).unwrap();
        assert_eq!(rendered(&other).tree.record().unwrap().commit.as_str(), "d".repeat(40), "{path}");
    }

    let mut next = shop();
    next.commit = "d".repeat(40).try_into().unwrap();
    next.release = format!("sha256:{}", "e".repeat(64)).try_into().unwrap();
    let next = plan(&next, Some(&rendered(&first).tree)).unwrap();
    let changed: Vec<&str> = next.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(changed, [RELEASE_FILE]);
    assert_eq!(rendered(&next).tree.record().unwrap().commit.as_str(), "d".repeat(40));
}

#[test]
fn a_service_that_left_the_lock_leaves_the_tree_and_a_new_image_is_shown() {
    let before = tree(&shop());
    let mut request = shop();
    request.services.remove(1);
    request.services[0].image = Some(pin("cart", "9"));
    let plan = plan(&request, Some(&before)).unwrap();
    let changes: Vec<(&str, ChangeKind)> = plan.changes.iter().map(|it| (it.path.as_str(), it.kind)).collect();
    assert_eq!(
        changes,
        [
            ("release.yaml", ChangeKind::Changed),
            ("services/cart/cart.yaml", ChangeKind::Changed),
            ("services/dashboard/board.yaml", ChangeKind::Removed),
        ]
    );
    let image = &plan.changes[1].images[0];
    assert_eq!(
        (image.object.as_str(), image.place.as_str()),
        ("Deployment/cart", "spec.template.spec.containers[0].image")
    );
    assert_eq!(image.from, Some(pin("cart", "1").to_string()));
    assert_eq!(image.to, Some(pin("cart", "9").to_string()));
}

#[test]
fn t27_doubled_files_and_objects_are_refused() {
    let doubled = with_file("cart.yml", "kind: X\n");
    assert!(refused(&doubled).contains("is written to the same file `cart.yaml`"));
    let other_case = with_file("CART.yaml", "kind: X\n");
    assert!(refused(&other_case).contains("is written to the same file"));
    let other_group =
        with_file("more.yaml", "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: cart}\n");
    assert_eq!(tree(&other_group).files.len(), 5);
    let object = with_file("more.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: cart}\n");
    insta::assert_snapshot!(refused(&object), @"`cart`: `more.yaml` document 1 (line 1): Service/cart is there twice: also in `cart.yaml` of `cart`, document 2");
    let record = with_file("more.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: orchestrator-release}\n");
    assert!(refused(&record).contains("is the release's own record"));
}

#[test]
fn t40_an_alias_bomb_is_refused_at_once() {
    let bomb = (1..=20).fold("a0: &a0 [x,x,x,x]\n".to_owned(), |text, level| {
        format!("{text}a{level}: &a{level} [*a{0},*a{0},*a{0},*a{0}]\n", level - 1)
    });
    assert!(refused(&with_file("bomb.yaml", &bomb)).contains("too large once its aliases are written out"));
    let deep = format!("a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refused(&with_file("deep.yaml", &deep)).contains("not readable as YAML"));
    let large = format!("a: {}\n", "x".repeat(9 * 1024 * 1024));
    assert!(refused(&with_file("large.yaml", &large)).contains("the limit is"));
}

#[test]
fn t36_hostile_text_reaches_neither_messages_nor_lists_raw() {
    for (what, hostile) in HOSTILE_TEXT {
        let quoted = serde_json::to_string(hostile).unwrap();
        let manifest = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {quoted}, namespace: {quoted}}}\nspec: {{containers: \
             [{{image: {quoted}}}]}}\n"
        );
        let shown = refused(&with_file("hostile.yaml", &manifest));
        let raw = |it: char| {
            it != '\n' && (it.is_control() || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        };
        assert!(!shown.contains(raw), "{what}: {shown:?}");
        assert!(shown.lines().all(|line| line.starts_with("`cart`: `hostile.yaml` ")), "{what}: {shown}");
    }
}

#[test]
fn p20_a_changed_config_map_restarts_its_pods_and_its_metadata_does_not() {
    let rendered = |config: &str| {
        let manifest =
            CART.replace("containers:", "volumes: [{ name: c, configMap: { name: conf } }]\n      containers:");
        let config = format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: conf{config}\n");
        let mut request = shop();
        request.services[0].files = vec![("cart.yaml".to_owned(), (manifest + &config).into_bytes())];
        let tree = tree(&request);
        let text = text(&tree, "services/cart/cart.yaml");
        text.lines().find(|line| line.contains("orchestrator/config-digest")).unwrap().to_owned()
    };
    let first = rendered(" }\ndata: { a: '1' }");
    assert_eq!(first, rendered(", labels: { build: today } }\ndata: { a: '1' }"));
    assert_ne!(first, rendered(" }\ndata: { a: '2' }"));
    assert!(!text(&tree(&shop()), "services/cart/cart.yaml").contains("config-digest"));
}
