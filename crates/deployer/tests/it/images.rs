//! Which images are pinned, and which are left over.

use deployer::{UnpinnedImageRule, UnpinnedReason};

use crate::shop::{pin, planned, refused, request, service, text, tree, with_file};

/// One object for each place where an image can hide.
const HIDING_PLACES: &str = "\
apiVersion: batch/v1
kind: CronJob
metadata: { name: cron }
spec: { jobTemplate: { spec: { template: { spec: { containers: [{ image: busybox }] } } } } }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: init }
spec: { template: { spec: { initContainers: [{ image: 'quay.io/a/init:1' }], containers: [] } } }
---
apiVersion: v1
kind: Pod
metadata: { name: debug }
spec:
  ephemeralContainers: [{ image: 'quay.io/a/debug:1' }]
  containers: [{ image: 'registry.example/shop/web', args: ['--sidecar=quay.io/a/sidecar:1'] }]
  volumes: [{ name: data, image: { reference: 'quay.io/a/data:1' } }]
---
apiVersion: example/v1
kind: Database
metadata: { name: db }
spec: { image: 'postgres:17', backup: { registry: quay.io, repository: a/backup, tag: '1' } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: operator }
data: { config.yaml: \"image: quay.io/a/operator:1\\nold: registry.example/shop/web:old\\n\" }
---
apiVersion: v1
kind: Pod
metadata: { name: pinned }
spec: { containers: [{ image: 'quay.io/a/pinned@sha256:3333333333333333333333333333333333333333333333333333333333333333' }] }
";

#[test]
fn t19_every_hiding_place_is_listed_and_refused_where_the_rule_says_so() {
    let mut request = with_file("hidden.yaml", HIDING_PLACES);
    let unpinned: Vec<String> = planned(&request)
        .unpinned_images
        .iter()
        .map(|it| {
            format!(
                "{} {} {}{}",
                it.object,
                it.place,
                it.image,
                match it.reason {
                    UnpinnedReason::NoDigest => "",
                    UnpinnedReason::LockedElsewhere => " (locked)",
                }
            )
        })
        .collect();
    assert_eq!(
        unpinned,
        [
            "ConfigMap/operator data.config.yaml quay.io/a/operator:1",
            "ConfigMap/operator data.config.yaml registry.example/shop/web:old (locked)",
            "CronJob/cron spec.jobTemplate.spec.template.spec.containers[0].image busybox",
            "Database/db repository and tag quay.io/a/backup:1",
            "Database/db spec.image postgres:17",
            "Pod/debug spec.containers[0].args[0] quay.io/a/sidecar:1",
            "Pod/debug spec.ephemeralContainers[0].image quay.io/a/debug:1",
            "Pod/debug spec.volumes[0].image.reference quay.io/a/data:1",
            "StatefulSet/init spec.template.spec.initContainers[0].image quay.io/a/init:1",
        ]
    );
    request.unpinned_images = UnpinnedImageRule::Refuse;
    let refused = refused(&request);
    assert_eq!(refused.lines().count(), 9, "{refused}");
    assert!(refused.contains("`data.config.yaml` of ConfigMap/operator: `registry.example/shop/web:old` names a locked image without its locked digest"));
}

#[test]
fn p27_images_of_another_locked_service_are_pinned_as_well() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: seed }\nspec: { template: { spec: { containers: \
               [{ image: 'registry.example/shop/web:newest' }, { image: 'registry.example/shop/reports' }, \
               { image: 'docker.io/bitnami/redis:7' }] } } }\n";
    let mut request = with_file("seed.yaml", job);
    let mut redis = pin("redis", "5");
    redis.repository = "docker.io/bitnami/redis".try_into().unwrap();
    redis.tag = None;
    request.other_images = vec![pin("reports", "4"), redis];
    let tree = tree(&request);
    let text = text(&tree, "services/cart/seed.yaml");
    for expected in [
        pin("web", "2").to_string(),
        pin("reports", "4").to_string(),
        format!("docker.io/bitnami/redis@sha256:{}", "5".repeat(64)),
    ] {
        assert!(text.contains(&format!("- image: {expected}\n")), "{text}");
    }
    assert!(planned(&request).unpinned_images.is_empty());
}

#[test]
fn a_digest_in_the_manifest_does_not_win_over_the_lock() {
    let other = format!("registry.example/shop/cart@sha256:{}", "f".repeat(64));
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: p }}\nspec: {{ containers: [{{ image: '{other}' }}] }}\n"
    );
    let tree = tree(&with_file("pod.yaml", &manifest));
    let text = text(&tree, "services/cart/pod.yaml");
    assert!(text.contains(&pin("cart", "1").to_string()) && !text.contains("fff"), "{text}");
}

#[test]
fn an_image_that_cannot_be_decided_is_refused() {
    let pod = |image: &str| {
        with_file(
            "pod.yaml",
            &format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{ name: p }}\nspec: {{ containers: [{{ image: '{image}' }}] }}\n"
            ),
        )
    };
    assert!(refused(&pod("$(IMAGE)")).contains("is `$(IMAGE)`, which is not an image reference"));
    let mut request = pod("registry.example/shop/web:latest");
    request.other_images = vec![pin("web", "7")];
    assert!(refused(&request).contains("the lock has several images of that repository"));
    let mut request = pod("registry.example/shop/web:main-7777777");
    request.other_images = vec![pin("web", "7")];
    assert!(text(&tree(&request), "services/cart/pod.yaml").contains(&pin("web", "7").to_string()));
}

#[test]
fn t19_only_the_locked_digest_makes_a_locked_image_in_a_text_right() {
    let (locked, other) = (pin("web", "2").digest, format!("sha256:{}", "f".repeat(64)));
    let texts = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: texts }}\ndata:\n  right: registry.example/shop/web@{locked}\n  \
         wrong: registry.example/shop/web@{other}\n  foreign: quay.io/a/b@{other}\n  page: https://quay.io/a/page, quay.io/a/page\n"
    );
    let fields = |registry: &str, repository: &str, digest: &str| {
        format!("{{ registry: {registry}, repository: {repository}, tag: v1, digest: '{digest}' }}")
    };
    let resource = format!(
        "---\napiVersion: example/v1\nkind: Database\nmetadata: {{ name: db }}\nspec:\n  image: a field of any meaning\n  \
         right: {}\n  wrong: {}\n  foreign: {}\n",
        fields("registry.example", "shop/web", locked.as_str()),
        fields("registry.example", "shop/web", &other),
        fields("quay.io", "a/b", &other),
    );
    let found: Vec<(String, String, UnpinnedReason)> = planned(&with_file("texts.yaml", &(texts + &resource)))
        .unpinned_images
        .into_iter()
        .map(|it| (it.place, it.image, it.reason))
        .collect();
    let wrong = |place: &str, tag: &str| {
        (place.to_owned(), format!("registry.example/shop/web{tag}@{other}"), UnpinnedReason::LockedElsewhere)
    };
    assert_eq!(found, [wrong("data.wrong", ""), wrong("repository and tag", ":v1")]);
}

#[test]
fn an_image_volume_is_no_container() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec: { containers: [{ image: 'quay.io/a/b:1' }], volumes: \
               [{ name: v, image: { reference: registry.example/shop/cart } }] }\n";
    let request = request(vec![service("cart", Some(pin("cart", "1")), &[("pod.yaml", pod)])]);
    assert!(refused(&request).contains("its manifests have only `quay.io/a/b:1`"), "{}", refused(&request));
}

/// A pod that is described once and used twice, as kustomize users and charts' authors write it.
const ANCHORED: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: &app two }
spec:
  selector: { matchLabels: &labels { app: *app } }
  template:
    metadata: { labels: *labels }
    spec: &pod
      containers:
      - &container { name: app, image: 'registry.example/shop/cart:dev' }
      - { <<: *container, name: again }
---
apiVersion: v1
kind: Service
metadata: { name: &app extra }
spec: { selector: { app: *app }, ports: [{ port: 80 }] }
";

#[test]
fn t17_each_use_of_an_anchored_image_is_pinned_and_written_out() {
    let request = with_file("anchored.yaml", ANCHORED);
    let plan = planned(&request);
    let tree = tree(&request);
    let written = text(&tree, "services/cart/anchored.yaml");
    let image = "image: registry.example/shop/cart:main-";
    let pinned = written.lines().filter(|line| line.contains(image) && line.contains("@sha256:"));
    assert_eq!(pinned.count(), 2, "{written}");
    assert!(!written.contains(['&', '*']) && !written.contains("<<"), "{written}");
    assert!(written.contains("app: extra") && written.contains("app: two"), "{written}");
    assert!(plan.unpinned_images.iter().all(|image| image.object != "Deployment/two"));
}
