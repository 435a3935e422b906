//! Several trains on one track: pull requests beside each other, services that go, content that comes back.

use crate::flow::steps;
use crate::refusals::refuses;
use crate::stops::{proven, released};

#[test]
fn the_lock_of_an_open_pull_request_is_made_again_when_staging_moves() {
    let shop = proven();
    let web = shop.new_version("shop-web", 2, crate::shop::Built::Yes);
    shop.work_on("dev").gitlink("services/shop-web", &web);
    shop.commit_and_push("other", "web 2");
    shop.bump("services/shop-cart", 2);
    let (first, second) = (shop.open(), shop.open_from("other"));
    shop.check(first);
    shop.check(second);
    let head = shop.head("other").unwrap();
    assert_eq!(shop.status(&head, "orchestrator/lock"), "success");
    shop.ok(&format!("--as dana forge pr merge {first}"));
    shop.ok("run staging");

    // Its lock was made for a staging without the new cart: merged now, nobody would have seen the result.
    let (state, text) = shop.statuses(&head).remove("orchestrator/lock").unwrap();
    assert_eq!((state.as_str(), text.contains("staging")), ("pending", true), "{text}");
    let merge = format!("--as dana forge pr merge {second}");
    refuses(&shop, &merge, 20, &["required status `orchestrator/lock` is pending"]);
    shop.check(second);
    shop.ok(&merge);
    shop.ok("run staging");
    let lock = shop.json("lock show staging", 0);
    assert_eq!(lock["services"]["shop-web"]["commit"], web.as_str());
    assert_eq!(lock["services"]["shop-cart"]["commit"], shop.service("shop-cart").head());
}

#[test]
fn a_service_that_is_removed_leaves_the_lock_and_the_environment() {
    let shop = proven();
    let clone = shop.work_on("dev");
    clone.remove("services/shop-web");
    clone.git(&["config", "--file", ".gitmodules", "--remove-section", "submodule.services/shop-web"]);
    shop.commit_and_push("dev", "no more web");
    let number = shop.merge_dev();
    let comment = &shop.comments(number)[0];
    assert!(comment.lines().any(|line| line.contains("`shop-web`") && line.contains("removed")), "{comment}");
    shop.ok("run staging");
    assert_eq!(shop.deployed_image("staging", "shop-web"), None);
    assert!(shop.deployed_image("staging", "shop-cart").is_some());
    assert!(!shop.file("staging", "locks/lock.yaml").unwrap().contains("shop-web"));
    shop.ok("verify staging");
}

#[test]
fn p13_content_that_comes_back_is_deployed_again_and_keeps_its_one_release() {
    let shop = released();
    let (old_lock, old_image) =
        (shop.json("lock show main", 0)["lock"].clone(), shop.deployed_image("production", "shop-web"));
    let web = shop.service("shop-web").head();
    shop.bump("services/shop-web", 2);
    shop.merge_dev();
    shop.ok("run staging");
    shop.approve_and_merge(4);
    shop.ok("run production");
    assert_ne!(shop.deployed_image("production", "shop-web"), old_image);
    let tags = shop.superproject().git(&["tag", "--list"]);

    // Back to the first version by the usual way: the same lock id and the same release, a new cycle.
    shop.push_to_dev(&[("services/shop-web", &web)], "web 1 was better");
    shop.merge_dev();
    let staged = shop.json("run staging", 0);
    assert_eq!(staged["lock"], old_lock);
    assert!(steps(&staged).contains(&"deploy ok".to_owned()), "{staged:#}");
    assert_eq!(shop.deployed_image("staging", "shop-web"), old_image);
    shop.approve_and_merge(6);
    let produced = shop.json("run production", 0);
    assert!(steps(&produced).contains(&"deploy ok".to_owned()), "{produced:#}");
    assert_eq!(shop.deployed_image("production", "shop-web"), old_image);
    assert_eq!(shop.superproject().git(&["tag", "--list"]), tags, "one release, one tag");
}

#[test]
fn p14_another_environment_is_some_lines_of_configuration() {
    // A second stop on the staging branch's content: production's rules, another namespace, no code.
    let shop = crate::shop::Shop::with(&crate::shop::CONFIGURATION.replace(
        "  production:\n",
        "  canary:\n    branch: production\n    mode: canary\n    namespace: shop-canary\n    \
         requires: { proven-in: staging, proof: stored, approvals: { count: 4 } }\n    suites: [smoke]\n  production:\n",
    ));
    shop.merge_dev();
    shop.ok("run staging");
    shop.approve_and_merge(2);
    let canary = shop.json("run canary", 0);
    assert_eq!(steps(&canary), ["gates ok", "health ok", "deploy ok", "verify ok", "suite smoke ok", "proof ok"]);
    shop.ok("run production");
    assert_eq!(shop.deployed_image("canary", "shop-cart"), shop.deployed_image("production", "shop-cart"));
    let manifest = shop.file("deploy/canary", "services/shop-cart/app.yaml").unwrap();
    assert!(manifest.contains("namespace: shop-canary"), "{manifest}");
    shop.broken("canary", "platform", true);
    shop.ends("health canary", 1);
    shop.ok("health production");
}
