//! Locks of the older pipeline: somewhere to go back to, never a promotion.

use std::fs;

use lock_model::{Content, Lock, Origin};

use crate::refusals::refuses;
use crate::shop::{Built, Shop};
use crate::stops::{AtStop, released};

/// What the older pipeline wrote for the gitlinks of a branch; tags as the shop's images have them.
fn older_lock(shop: &Shop, branch: &str) -> String {
    let links = shop.superproject().git(&["ls-tree", "-r", branch]);
    let services: Vec<String> = links
        .lines()
        .filter_map(|line| line.strip_prefix("160000 commit ")?.split_once('\t'))
        .map(|(sha, path)| {
            let name = path.rsplit('/').next().unwrap();
            let short = name.trim_start_matches("shop-");
            format!(
                r#""{name}": {{ "submodule_path": "{path}", "git_sha": "{sha}",
                    "image": {{ "repository": "registry.example/shop/{short}", "tag": "main-{}" }} }}"#,
                &sha[..7]
            )
        })
        .collect();
    format!(
        r#"{{ "metadata": {{ "commit": "{}", "generated_at": "2025-12-01T08:00:00+00:00",
             "generator": "generate_lock.py@v1", "source_branch": "HEAD" }},
           "services": {{ {} }} }}"#,
        "e".repeat(40),
        services.join(",\n")
    )
}

/// A shop with a release in production, and with a branch `older`, from before `orchestrator.yaml`, with another cart.
/// `lock-pr-1.yml` lies in the clone.
fn with_a_past() -> AtStop {
    let shop = released();
    let cart = shop.new_version("shop-cart", 9, Built::Yes);
    let clone = shop.work_on("main");
    clone.remove("orchestrator.yaml").remove("locks").gitlink("services/shop-cart", &cart);
    shop.commit_and_push("older", "as it was before");
    // It was on `main` once, as what an older pipeline deployed: nobody goes back to what never was.
    let bare = shop.superproject();
    let since = bare.git(&["commit-tree", "-p", "older", "-m", "as it is now", "main^{tree}"]);
    bare.git(&["update-ref", "refs/heads/main", since.trim()]);
    fs::write(shop.join("shop/lock-pr-1.yml"), older_lock(&shop, "older")).unwrap();
    shop
}

fn read(text: &str) -> Lock {
    lock_model::Lock::parse(text.as_bytes(), "lock.yaml").unwrap()
}

#[test]
fn p1_p5_p7_an_older_lock_gets_digests_kinds_and_a_commit_that_exists() {
    let shop = released();
    fs::write(shop.join("shop/old.yml"), older_lock(&shop, "dev")).unwrap();
    let before = shop.untouched();
    let made = shop.ok("lock migrate old.yml");
    let lock = read(made.stdout());
    assert!(lock.services().values().all(|service| service.origin == Origin::Migrated));
    let image = |name: &str| match &lock.services()[name].content {
        Content::Image(image) => Some(image.reference().to_string()),
        Content::Configuration => None,
    };
    assert_eq!(image("shop-dashboards"), None, "its image was invented");
    assert_eq!(image("shop-cart"), shop.deployed_image("production", "shop-cart"));
    assert!(made.stderr().contains("shop-dashboards: is configuration only"), "{}", made.stderr());
    assert!(made.stderr().contains("is not in this repository"), "{}", made.stderr());
    let head = lock.source().head.as_str();
    assert_eq!(shop.superproject().git(&["cat-file", "-t", head]).trim(), "commit");
    assert_eq!(shop.untouched(), before, "nothing is published without being asked for");
    // Nothing of the older format is in the file any more: it is a lock like every other.
    assert_eq!(lock.to_yaml(), made.stdout());
    shop.ok("lock migrate old.yml --output made");
    assert_eq!(fs::read_to_string(shop.join("shop/made/lock.yaml")).unwrap(), made.stdout());
    assert!(!made.stderr().contains("commit it for it to count"), "{}", made.stderr());
    let file = shop.join("shop/orchestrator.yaml");
    fs::write(&file, fs::read_to_string(&file).unwrap() + "# edited\n").unwrap();
    let made = shop.ok("lock migrate old.yml");
    assert!(made.stderr().contains("commit it for it to count"), "{}", made.stderr());
}

#[test]
fn b38_p1_production_goes_back_to_what_ran_before_the_train() {
    let shop = with_a_past();
    let new = shop.deployed_image("production", "shop-cart");
    let adopt = "--format json lock migrate lock-pr-1.yml --rev older --adopt production --reason \"it ran for weeks\"";
    let adopted_by = |answer: &str| -> serde_json::Value {
        let document: serde_json::Value = serde_json::from_str(answer).unwrap();
        document["result"]["adopted"].clone()
    };
    let adopted = adopted_by(shop.ok(adopt).stdout());
    let tag = adopted["tag"].as_str().unwrap().to_owned();
    // The same again finds what is there.
    let before = shop.untouched();
    let again = adopted_by(shop.ok(adopt).stdout());
    assert_eq!((again["tag"].as_str(), &again["commit"]), (Some(tag.as_str()), &adopted["commit"]));
    assert_eq!(shop.untouched(), before);
    // It is no release: nobody goes there without naming it, and `run` cannot go there at all.
    let commit = adopted["commit"].as_str().unwrap();
    refuses(&shop, &format!("run production --rev {commit}"), 11, &["was never the tip of `main`"]);

    let back = shop.ok(&format!("rollback production --to {tag} --reason \"customers cannot pay\""));
    assert!(back.stdout().contains("is back"), "{}", back.stdout());
    let old = shop.deployed_image("production", "shop-cart");
    assert_ne!(old, new);
    let lock = shop.json(&format!("lock show {tag}"), 0);
    let digest = lock["services"]["shop-cart"]["image"]["digest"].as_str().unwrap();
    assert!(old.as_deref().unwrap().ends_with(digest));
    shop.ok("verify production");
    // The train goes on from there as from every rollback.
    refuses(&shop, "run production", 20, &["held by a rollback"]);
    shop.bump("services/shop-cart", 10);
    shop.merge_dev();
    shop.ok("run staging");
    shop.approve_and_merge(4);
    shop.ok("run production --lift-hold --reason repaired");
    let image = shop.deployed_image("production", "shop-cart");
    assert!(image != new && image != old, "{image:?}");
}

#[test]
fn p1_a_migrated_lock_is_no_promotion() {
    let shop = released();
    // Adopted, its file is one that the ledger knows: still no run takes it.
    shop.work_on("dev").gitlink("services/shop-cart", &shop.new_version("shop-cart", 9, Built::Yes));
    shop.commit_and_push("older", "with another cart");
    fs::write(shop.join("shop/old.yml"), older_lock(&shop, "older")).unwrap();
    shop.ok("lock migrate old.yml --rev older --adopt production --reason \"to go back to\"");
    let tags = shop.superproject().git(&["tag", "--list", "migrated-*"]);
    let lock = shop.superproject().git(&["show", &format!("{}:locks/lock.yaml", tags.trim())]);
    let clone = shop.work_on("main");
    clone.write("locks/lock.yaml", lock + "\n").gitlink("services/shop-cart", &shop.service("shop-cart").head());
    shop.commit_and_push("sneak", "a lock that nobody tested");
    shop.ok("--as dana forge pr create --head sneak --base main --title Sneak");
    shop.ok("--as eve forge pr merge 3 --admin");
    let before = shop.untouched();
    let words =
        ["resolved: taken over from an older pipeline: shop-cart", "hint: such a lock is for `orchestrator rollback`"];
    refuses(&shop, "run production", 11, &words);
    assert_eq!(shop.untouched(), before);
}

#[test]
fn b13_what_the_environment_proved_already_needs_no_second_name() {
    let shop = released();
    fs::write(shop.join("shop/old.yml"), older_lock(&shop, "main")).unwrap();
    let before = shop.untouched();
    let said = shop.json("lock migrate old.yml --adopt production --reason \"to go back to\"", 0)["adopted"].clone();
    assert_eq!(
        (&said["release"], shop.untouched()),
        (&shop.json("status", 0)["environments"][0]["deployed"]["release"], before)
    );
    assert!(said["tag"].as_str().unwrap().starts_with("release-"), "{said:#}");
}

#[test]
fn p3_p30_broken_and_edited_locks_are_refused_with_their_place() {
    let shop = released();
    let good = older_lock(&shop, "dev");
    let sha = shop.service("shop-cart").head();
    let tag = format!("main-{}", &sha[..7]);
    for (text, code, words) in [
        (good.replace(&format!("{tag}\""), &tag), 10, vec!["old.yml:", "control character"]),
        (good.replace(&tag, "main-0000000"), 10, vec!["services.shop-cart.image.tag", "does not name its commit"]),
        (good.replace("services/shop-cart", "services/basket"), 11, vec!["belongs to no commit", "services/basket"]),
        (good.replace(&tag, &format!("native-{}", &sha[..7])), 12, vec!["shop-cart", "native-", "none of its images"]),
    ] {
        fs::write(shop.join("shop/old.yml"), text).unwrap();
        refuses(&shop, "lock migrate old.yml", code, &words);
    }
    refuses(&shop, "lock migrate nowhere.yml", 2, &["nowhere.yml", "cannot be read"]);
}

#[test]
fn p8_t5_only_the_tree_and_the_image_of_the_commit_are_taken_over() {
    let shop = released();
    fs::write(shop.join("shop/old.yml"), older_lock(&shop, "dev")).unwrap();
    let cart = shop.service("shop-cart").head();
    let other = shop.bump("services/shop-cart", 2);
    // The newest commit that fits is found; a named one must fit.
    shop.ok("lock migrate old.yml");
    let words = ["does not belong to the tree", "services/shop-cart", &cart[..12], &other[..12]];
    refuses(&shop, "lock migrate old.yml --rev dev", 11, &words);
    // The tag holds the image of another commit: refused, however lax the policy.
    shop.build_image("shop-cart", &cart, &other);
    refuses(&shop, "lock migrate old.yml", 12, &["shop-cart", &other[..12]]);
    refuses(&shop, "lock migrate old.yml --revision warn", 12, &["shop-cart", "built from another commit"]);
    // One that says nothing is taken only when asked for, and marked.
    shop.build_unlabelled("shop-cart", &cart);
    refuses(&shop, "lock migrate old.yml", 12, &["shop-cart", "hint: images that never said their commit"]);
    let lock = read(shop.ok("lock migrate old.yml --revision warn").stdout());
    let Content::Image(image) = &lock.services()["shop-cart"].content else { panic!("an image") };
    assert_eq!(image.revision.as_str(), "absent");
}
