//! What a review of the commands found: each was a way past a rule, or an answer that was not one.

use serde_json::Value;

use crate::shop::{CONFIGURATION, Shop};

/// A shop whose production has its first release.
fn released() -> Shop {
    let shop = Shop::new();
    shop.merge_dev();
    shop.ok("run staging");
    shop.approve_and_merge(2);
    shop.ok("run production");
    shop
}

/// The state of a status; none where it was never set.
fn status(shop: &Shop, commit: &str, context: &str) -> Option<String> {
    let path = shop.join(&format!("forge/statuses/{commit}/{}.json", context.replace('/', "%2F")));
    let document: Value = serde_json::from_slice(&std::fs::read(path).ok()?).expect("a status is JSON");
    Some(document["state"].as_str().expect("a status has a state").to_owned())
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON document: {error}\n{text}"))
}

#[test]
fn t1_a_branch_that_calls_itself_production_is_not_deployed_there() {
    let shop = released();
    let deployed = shop.superproject().rev("deploy/production");
    let clone = shop.work_on("staging");
    clone.branch("mine");
    let own = CONFIGURATION.replace("production: main }", "production: mine }").replace("requires: { proven-in", "");
    let requires = own.lines().find(|line| line.contains(": staging, proof: stored")).expect("the rules").to_owned();
    clone.write("orchestrator.yaml", own.replace(&format!("{requires}\n"), ""));
    shop.commit_and_push("mine", "rules of my own");
    clone.write("README.md", "whose parent has rules of its own\n");
    let mine = shop.commit_and_push("mine", "content of my own");

    for line in ["run production --rev mine", "deploy production --rev mine"] {
        let refused = shop.ends(line, 11);
        assert!(refused.stderr().contains("was never the tip of `main`"), "{refused}");
    }
    assert_eq!(clone.rev("HEAD"), mine, "and the clone's own commit decides nothing either");
    shop.ok("run production");
    assert_eq!(shop.superproject().rev("deploy/production"), deployed);
}

#[test]
fn t13_a_commit_that_came_inside_a_merge_is_not_run() {
    let shop = Shop::new();
    shop.merge_dev();
    shop.ok("run staging");
    shop.approve_and_merge(2);
    let inside = shop.superproject().rev("staging");
    let refused = shop.ends(&format!("run production --rev {inside}"), 11);
    assert!(refused.stderr().contains("name the merge"), "{refused}");
    shop.ok("run production");
}

#[test]
fn t14_an_old_staging_run_takes_no_proof_and_no_promotion_back() {
    let shop = released();
    let old = shop.superproject().rev("staging");
    shop.bump("services/shop-cart", 2);
    shop.merge_dev();
    shop.ok("run staging");
    shop.ends(&format!("run staging --rev {old}"), 20);
    assert_eq!(status(&shop, &old, "orchestrator/staging-proof").as_deref(), Some("success"));
    shop.ok("hold staging --reason \"a customer visits\"");
    shop.ends("run staging", 20);
    let new = shop.superproject().rev("staging");
    assert_eq!(status(&shop, &new, "orchestrator/staging-proof").as_deref(), Some("success"));
    let list = shop.ok("forge pr list");
    assert!(list.stdout().lines().any(|line| line.contains("open") && line.contains("staging")), "{list}");
}

#[test]
fn p10_a_change_of_the_rules_gets_the_lock_that_was_reviewed() {
    let shop = released();
    let before = shop.superproject().read("staging", "locks/lock.yaml").expect("staging has a lock");
    let rules = CONFIGURATION
        .replace("- { match: \"**\" }", "- { match: services/shop-web, kind: configuration }\n- { match: \"**\" }");
    shop.work_on("dev").write("orchestrator.yaml", rules);
    shop.commit_and_push("dev", "web has no image of its own");
    let number = shop.open();
    let published = document(shop.ok(&format!("--format json lock publish --pr {number}")).stdout());
    shop.ok(&format!("test run pull-request --pr {number}"));
    shop.ok(&format!("--as dana forge pr merge {number}"));
    // Production would refuse the image that no lock has any more, which is said with the promotion.
    shop.ends("run staging", 20);
    let after = shop.superproject().read("staging", "locks/lock.yaml").expect("staging has a lock");
    assert_ne!(before, after);
    assert!(after.contains(published["result"]["lock"].as_str().expect("an id")), "{after}");
    // No gitlink and no rule changes: the lock stays, and nothing is deployed again (P13).
    let deployed = shop.superproject().rev("deploy/staging");
    shop.work_on("dev").write("README.md", "# The same shop\n");
    shop.commit_and_push("dev", "words");
    shop.merge_dev();
    shop.ends("run staging", 20);
    assert_eq!(shop.superproject().read("staging", "locks/lock.yaml").expect("a lock"), after);
    assert_eq!(shop.superproject().rev("deploy/staging"), deployed);
}

#[test]
fn t12_a_push_past_the_pull_request_is_not_deployed_because_its_lock_is_there() {
    let shop = released();
    let deployed = shop.superproject().rev("deploy/staging");
    let clone = shop.work_on("staging");
    clone.write("orchestrator.yaml", CONFIGURATION.replace("suites: [system]", "suites: []"));
    let commit = clone.commit("no suite in staging");
    let push = ["push", "--quiet", "origin", "HEAD:staging"];
    assert!(clone.try_git_with(&push, &[("ORCHESTRATOR_AS", "orchestrator")]).success(), "the bot may");
    let refused = shop.ends("run staging", 20);
    assert!(refused.stderr().contains("without a pull request"), "{refused}");
    assert_eq!(status(&shop, &commit, "orchestrator/lock").as_deref(), Some("failure"));
    assert_eq!(shop.superproject().rev("deploy/staging"), deployed);
}

#[test]
fn t1_a_change_does_not_choose_the_suites_that_it_is_tested_by() {
    let shop = released();
    let rules = CONFIGURATION.replace("suites: [lint]", "suites: [easy]").replace(
        "suites:\n  lint:",
        "suites:\n  easy: { kind: command, command: [./tests/check, easy], deadline: 1m }\n  lint:",
    );
    shop.work_on("dev").write("orchestrator.yaml", rules);
    let head = shop.commit_and_push("dev", "an easier suite");
    let number = shop.open();
    shop.broken("pr", "lint", true);
    let partly = shop.ok(&format!("test run pull-request --pr {number} --suite easy"));
    assert!(partly.stderr().contains("is not set"), "{partly}");
    assert_eq!(status(&shop, &head, "orchestrator/suites"), None);
    let failed = shop.ends(&format!("test run pull-request --pr {number}"), 1);
    assert!(failed.stderr().contains("it runs all the same"), "{failed}");
    assert_eq!(status(&shop, &head, "orchestrator/suites").as_deref(), Some("failure"));
}

#[test]
fn a_lock_for_a_promotion_is_refused_before_anything_is_said_on_it() {
    let shop = Shop::new();
    shop.merge_dev();
    shop.ok("run staging");
    let head = shop.superproject().rev("staging");
    shop.ends("lock publish --pr 2", 2);
    assert_eq!(status(&shop, &head, "orchestrator/lock"), None);
}

#[test]
fn a_clone_follows_branches_that_go_and_come_and_keeps_its_own_tags() {
    let shop = Shop::new();
    let clone = shop.clone_folder();
    clone.git(&["tag", "mine"]);
    let as_dana = [("ORCHESTRATOR_AS", "dana")];
    for refspec in ["HEAD:refs/heads/topic", "HEAD:refs/tags/theirs"] {
        assert!(clone.try_git_with(&["push", "--quiet", "origin", refspec], &as_dana).success());
    }
    shop.ok("status");
    for refspec in [":refs/heads/topic", "HEAD:refs/heads/topic/one"] {
        assert!(clone.try_git_with(&["push", "--quiet", "origin", refspec], &as_dana).success());
    }
    shop.ok("status");
    assert_eq!(clone.git(&["tag"]).trim(), "mine");
}

#[test]
fn every_answer_is_one_document() {
    let shop = Shop::new();
    for (line, code) in [
        ("--format json --help", 0),
        ("--format json run --help", 0),
        ("--format json --version", 0),
        ("--format json run", 2),
        ("--format json hold staging --reason \" \"", 2),
        ("--format json run staging --reason alone", 2),
        ("--format json lock check --rev dev", 11),
        ("--format json status", 0),
    ] {
        document(shop.ends(line, code).stdout());
    }
}

#[test]
fn t36_a_reason_reaches_no_terminal_as_it_is() {
    let shop = released();
    let held = shop.orchestrator("hold staging").args(["--reason", "red \u{1b}[31m\rand back"]).run();
    let held = held.expect_code(0);
    assert!(held.stdout().contains("red \\u{1b}[31m\\rand back"), "{held}");
}
