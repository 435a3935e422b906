//! `lock check`: every question with both answers, and nothing is ever written.

use std::fs;

use serde_json::Value;

use crate::refusals::refuses;
use crate::shop::{CONFIGURATION, Shop};
use crate::stops::{locked, proven};

/// The answer to a question of a report: whether it is yes, and the findings.
#[track_caller]
fn answer(report: &Value, question: &str) -> (bool, String) {
    let answers = report["answers"].as_array().expect("there are answers");
    let found = answers.iter().find(|answer| answer["question"] == question).unwrap_or_else(|| panic!("{report:#}"));
    (found["answer"].as_bool().expect("yes or no"), found["findings"].to_string())
}

/// Everything that a check could change: the clone, its work tree, the forge's refs, the lock's file.
fn state(shop: &Shop) -> String {
    let clone = shop.clone_folder();
    let refs = ["for-each-ref", "refs/heads", "refs/tags"];
    let file = fs::read_to_string(shop.join("lock.yaml")).unwrap_or_default();
    [
        clone.git(&["status", "--porcelain=v2", "--branch", "--ignore-submodules"]),
        clone.git(&refs),
        shop.superproject().git(&refs),
        file,
    ]
    .join("\n")
}

/// Checks with a code; the shop is the same afterwards.
#[track_caller]
fn check(shop: &Shop, arguments: &str, code: i32) -> Value {
    let before = state(shop);
    let report = shop.json(&format!("lock check {arguments}"), code);
    assert_eq!(state(shop), before, "`lock check {arguments}` changed something");
    report
}

#[test]
fn every_question_has_a_yes_where_a_lock_can_be_used() {
    let shop = proven();
    // A work tree with changes stays as it is.
    shop.work_on("staging").write("notes.txt", "mine\n").write("locks/lock.yaml", "half an edit\n");
    let report = check(&shop, "--rev staging --check-pushed", 0);
    let questions: Vec<&str> =
        report["answers"].as_array().unwrap().iter().map(|answer| answer["question"].as_str().unwrap()).collect();
    assert_eq!(
        questions,
        [
            "well-formed",
            "belongs to the tree",
            "sources are allowed",
            "fits the configuration",
            "the ledger's file",
            "not rejected",
            "commits are pushed",
            "images are there"
        ]
    );
    assert!(questions.iter().all(|question| answer(&report, question).0), "{report:#}");
    assert_eq!(report["pushed"]["shop-dashboards"]["branches"], serde_json::json!(["main"]));
    let plain = check(&shop, "--rev staging", 0);
    assert_eq!(plain.get("pushed"), None, "nobody asked");
}

#[test]
fn a_tree_without_a_lock_says_where_one_comes_from() {
    let shop = locked();
    refuses(&shop, "lock check --rev dev", 11, &["`locks/lock.yaml` is not in", "hint: a lock is committed once"]);
    fs::write(shop.join("compose.yml"), "services: { cart: { image: cart } }\n").unwrap();
    for line in [
        "show dev",
        "diff dev staging",
        "diff staging dev",
        "compose ../compose.yml --lock dev",
        "reject dev --reason x",
    ] {
        refuses(&shop, &format!("lock {line}"), 11, &["`locks/lock.yaml` is not in"]);
    }
}

#[test]
fn every_question_has_a_no_with_its_reason() {
    let shop = proven();
    fs::write(shop.join("lock.yaml"), shop.file("staging", "locks/lock.yaml").unwrap()).unwrap();
    let configure = |text: &str| {
        shop.work_on("dev").write("orchestrator.yaml", text);
        shop.commit_and_push("dev", "another configuration")
    };
    let demanding = configure(
        &CONFIGURATION
            .replace("[linux/amd64]", "[linux/amd64, linux/arm64]")
            .replace("\"main-{sha7}\"", "\"release-{sha12}\"")
            .replace("services:\n", "submodules: { allow: [tools.example] }\nservices:\n"),
    );
    let report = check(&shop, &format!("../lock.yaml --rev {demanding}"), 1);
    assert_eq!(report["usable"], false);
    let (yes, findings) = answer(&report, "fits the configuration");
    assert!(!yes && findings.contains("shop-cart: has no image for linux/arm64"), "{findings}");
    assert!(findings.contains("is none of the images to look for"), "{findings}");
    let (yes, findings) = answer(&report, "sources are allowed");
    assert!(!yes && findings.contains("shop-dashboards: comes from `https://forge.example/shop/"), "{findings}");
    assert!(answer(&report, "belongs to the tree").0, "{report:#}");

    // Another kind, another service.
    let renamed = configure(&CONFIGURATION.replace(
        "- { match: \"**\" }",
        "- { match: services/shop-web, kind: configuration }\n- { match: services/shop-cart, name: shop-basket }",
    ));
    let (_, findings) = answer(&check(&shop, &format!("../lock.yaml --rev {renamed}"), 1), "fits the configuration");
    for finding in [
        "shop-web: is locked with an image",
        "shop-basket: is not in the lock",
        "shop-cart: is no service of this configuration",
    ] {
        assert!(findings.contains(finding), "{finding}: {findings}");
    }

    configure(CONFIGURATION);
    shop.bump("services/shop-cart", 2);
    assert!(!answer(&check(&shop, "../lock.yaml --rev dev", 1), "belongs to the tree").0);

    // The branch was rewritten: nobody else gets the commit any more.
    let web = shop.service("shop-web");
    web.git(&["commit", "--quiet", "--amend", "--message", "rewritten"]);
    let report = check(&shop, "--rev staging --check-pushed", 1);
    let (yes, findings) = answer(&report, "commits are pushed");
    assert!(!yes && findings.contains("shop-web: is at") && !findings.contains("shop-cart"), "{findings}");
    assert!(answer(&check(&shop, "--rev staging", 0), "belongs to the tree").0, "only who asks is told");
    // A repository that is gone is no answer, and no answer is no yes.
    fs::rename(shop.join("shop-web.git"), shop.join("elsewhere.git")).unwrap();
    let report = check(&shop, "--rev staging --check-pushed", 11);
    assert_eq!(report["error"]["problems"][0]["subject"], "shop-web");
    fs::rename(shop.join("elsewhere.git"), shop.join("shop-web.git")).unwrap();

    // An image that was cleaned away.
    let lock = lock_model::Lock::parse(&fs::read(shop.join("lock.yaml")).unwrap(), "lock.yaml").unwrap();
    let image = lock.services()["shop-cart"].content.image().unwrap();
    fs::remove_file(shop.join(&format!("registry/blobs/sha256/{}", image.digest.hex()))).unwrap();
    let (yes, findings) = answer(&check(&shop, "--rev staging", 1), "images are there");
    assert!(!yes && findings.contains("shop-cart: sha256:"), "{findings}");
}
