//! What is refused between staging and production, whatever the forge's buttons said.

use std::fs;

use serde_json::{Value, json};

use crate::refusals::refuses;
use crate::shop::{CONFIGURATION, Shop};
use crate::stops::{proven, released};

/// A run of production that must refuse, change nothing, and leave its refusal in the ledger.
#[track_caller]
fn production_refuses(shop: &Shop, line: &str, words: &[&str]) {
    let before = shop.untouched();
    refuses(shop, line, 20, words);
    assert_eq!(shop.untouched(), before, "a refusal changes nothing");
    let story = shop.story();
    assert_eq!(story.last().unwrap(), "production gates refused", "{story:?}");
    let records = shop.records();
    let reason = records.last().unwrap().predicate["reason"].as_str().unwrap_or_default().to_owned();
    assert!(!reason.is_empty(), "the record says why");
}

/// A change of `orchestrator.yaml` on `dev`.
fn configure(shop: &Shop, from: &str, to: &str) {
    let changed = CONFIGURATION.replace(from, to);
    assert_ne!(changed, CONFIGURATION, "`{from}` is in the configuration");
    shop.work_on("dev").write("orchestrator.yaml", changed);
    shop.commit_and_push("dev", "other rules");
}

#[test]
fn three_of_four_approvals_are_not_enough() {
    let shop = proven();
    shop.approve(2, &["ana", "ben", "chloe"]);
    refuses(&shop, "approvals --pr 2", 1, &["3 of 4 approvals, 1 missing"]);
    let head = shop.head("staging").unwrap();
    assert_eq!(shop.status(&head, "orchestrator/approvals"), "pending");
    refuses(&shop, "--as ana forge pr merge 2", 20, &["required status `orchestrator/approvals` is pending"]);
    // One person is one person, and the author's own (the bot's) counts for nothing.
    shop.approve(2, &["ana", "ana", "dana"]);
    let words = ["3 of 4 approvals, 1 missing", "opened #1, which is carried", "could approve: dan, eve"];
    refuses(&shop, "approvals --pr 2", 1, &words);
    let own = format!("forge pr review 2 --approve --expected-head {head}");
    refuses(&shop, &own, 13, &["`orchestrator` opened it and can only comment"]);
    // A later no takes a yes back.
    shop.ok("--as ben forge pr review 2 --request-changes --body \"not yet\"");
    shop.approve(2, &["dan", "eve"]);
    let blocked = shop.json("approvals --pr 2", 1);
    assert!(blocked["not_counted"].to_string().contains("ben"), "{blocked:#}");
    assert_eq!(shop.status(&head, "orchestrator/approvals"), "failure");
    refuses(&shop, "forge pr review 2 --dismiss", 2, &["`orchestrator` has given no verdict on pull request 2"]);
    shop.ok("--as ben forge pr review 2 --dismiss");
    shop.ok("approvals --pr 2");
}

#[test]
fn t52_an_approval_names_the_head_that_was_looked_at() {
    let shop = proven();
    let head = shop.head("staging").unwrap();
    let line = "--as ana forge pr review 2 --approve";
    refuses(&shop, line, 2, &["has to name the head", "hint: `orchestrator --as ana forge pr view 2`"]);
    let shown = shop.ok("--as ana forge pr view 2").stdout().to_owned();
    assert!(shown.contains(&format!("approve this head: orchestrator {line} --expected-head {head}")), "{shown}");
    refuses(&shop, line, 2, &[&format!("hint: if that is what you looked at: `orchestrator {line} --expected-head")]);
    refuses(&shop, &format!("{line} --expected-head {}", &head[..6]), 2, &["7 to 64 lower-case hexadecimal digits"]);
    shop.bump("services/shop-web", 2);
    shop.merge_dev();
    let moved = shop.head("staging").unwrap();
    let old = &head[..7];
    refuses(&shop, &format!("{line} --expected-head {old}"), 20, &[&format!("is {moved}, not {old}")]);
    assert_eq!(shop.json("forge pr view 2", 0)["reviews"], json!([]), "nothing was approved");
    shop.ok(&format!("{line} --expected-head {}", &moved[..7]));
}

#[test]
fn an_approval_of_other_content_is_stale() {
    let shop = proven();
    shop.approve(2, &["ana", "ben", "chloe", "dan"]);
    shop.ok("approvals --pr 2");
    let first = shop.head("staging").unwrap();
    shop.bump("services/shop-web", 2);
    shop.merge_dev();
    shop.ok("run staging");
    let stale = format!("approved other content, at {}", &first[..7]);
    refuses(&shop, "approvals --pr 2", 1, &["0 of 4 approvals, 4 missing", &stale]);
    // The status of the first head says nothing about the second.
    refuses(&shop, "--as ana forge pr merge 2", 20, &["required status `orchestrator/approvals`"]);
    shop.approve(2, &["ana", "ben", "chloe"]);
    refuses(&shop, "approvals --pr 2", 1, &["3 of 4 approvals, 1 missing", &stale]);
    shop.approve(2, &["dan"]);
    shop.ok("approvals --pr 2");
    shop.ok("--as ana forge pr merge 2");
}

#[test]
fn t1_a_pull_request_is_judged_by_the_rules_that_it_wants_to_loosen() {
    let shop = released();
    configure(&shop, "count: 4", "count: 1");
    assert_eq!(shop.merge_dev(), 3);
    let comment = &shop.comments(3)[0];
    assert!(comment.contains("Rules that this pull request loosens") && comment.contains("approvals"), "{comment}");
    shop.ok("run staging");
    let body = shop.pull_request(4)["body"].as_str().unwrap().to_owned();
    assert!(body.contains("Rules that it loosens") && body.contains("approvals"), "{body}");

    shop.approve(4, &["ana"]);
    let counted = shop.json("approvals --pr 4", 1);
    assert_eq!((&counted["needed"], &counted["missing"]), (&Value::from(4), &Value::from(3)), "{counted:#}");
    assert_eq!(counted["policy"]["source"], "passed");
    assert!(counted["warnings"][0].as_str().unwrap().contains("loosens"), "{counted:#}");
    refuses(&shop, "approvals --pr 4", 1, &["1 of 4 approvals, 3 missing", "rules of `main`"]);
    refuses(&shop, "--as ana forge pr merge 4", 20, &["required status `orchestrator/approvals` is pending"]);
    // Merged all the same: the rules are those of main as it was before.
    shop.ok("--as eve forge pr merge 4 --admin");
    production_refuses(&shop, "run production", &["approvals: #4: 1 of 4 approvals, 3 missing"]);
    refuses(&shop, "approvals --pr 4", 1, &["1 of 4 approvals, 3 missing"]);
}

#[test]
fn p18_a_suite_that_was_taken_off_the_list_is_still_required() {
    let shop = released();
    configure(&shop, "    suites: [system]\n", "");
    shop.merge_dev();
    assert!(shop.comments(3)[0].contains("system"), "{}", shop.comments(3)[0]);
    let staged = shop.json("run staging", 0);
    assert!(!staged["steps"].to_string().contains("suite"), "{staged:#}");
    let body = shop.pull_request(4)["body"].as_str().unwrap().to_owned();
    assert!(body.contains("Rules that it loosens") && body.contains("system"), "{body}");
    shop.approve_and_merge(4);
    let words =
        ["suites: in `staging`: `system` is not green", "hint: `orchestrator run staging` runs what is missing"];
    production_refuses(&shop, "run production", &words);
}

#[test]
fn p9_what_staging_never_proved_does_not_reach_production() {
    let shop = released();
    // A branch past staging, approved by everybody.
    let web = shop.new_version("shop-web", 2, crate::shop::Built::Yes);
    shop.work_on("main").gitlink("services/shop-web", &web);
    shop.commit_and_push("hotfix", "web 2, at once");
    shop.ok("--as dana forge pr create --head hotfix --base main --title Hotfix");
    shop.approve(3, &["ana", "ben", "chloe", "dan"]);
    refuses(&shop, "--as ana forge pr merge 3", 20, &["required status `orchestrator/staging-proof` is missing"]);
    shop.ok("--as eve forge pr merge 3 --admin");
    let before = shop.untouched();
    refuses(&shop, "run production", 11, &["belongs-to-tree", "services/shop-web", "hint:"]);
    assert_eq!(shop.untouched(), before);
}

#[test]
fn a_bypassed_merge_is_asked_every_question_again() {
    let shop = proven();
    let merged = shop.json("--as eve forge pr merge 2 --admin", 0);
    assert!(merged["bypassed"].to_string().contains("orchestrator/approvals"), "{merged:#}");
    for line in ["run production", "deploy production"] {
        production_refuses(
            &shop,
            line,
            &["approvals: #2: 0 of 4 approvals, 4 missing", "hint: a merged pull request takes no approvals"],
        );
    }
    refuses(&shop, "release production", 20, &["is not proven in `production`"]);
    assert_eq!(shop.head("deploy/production"), None);
}

#[test]
fn t12_a_status_that_somebody_else_posted_opens_no_gate() {
    let shop = proven();
    let head = shop.head("staging").unwrap();
    let post = |by: &str| {
        let status = serde_json::json!({
            "version": 1, "context": "orchestrator/approvals", "state": "success",
            "description": "4 of 4 approvals", "by": by, "at": "2026-01-05T09:00:00Z",
        });
        let path = shop.join(&format!("forge/statuses/{head}/orchestrator%2Fapprovals.json"));
        std::fs::write(path, status.to_string()).unwrap();
    };
    // Anybody's word does not press the button; a word in the right name does, and production asks for itself.
    post("dana");
    refuses(&shop, "--as ana forge pr merge 2", 20, &["required status `orchestrator/approvals`", "dana"]);
    post("orchestrator");
    shop.ok("--as ana forge pr merge 2");
    production_refuses(&shop, "run production", &["approvals: #2: 0 of 4 approvals, 4 missing"]);
}

#[test]
fn t13_main_holds_what_nobody_approved() {
    let shop = proven();
    shop.approve(2, &["ana", "ben", "chloe", "dan"]);
    shop.ok("approvals --pr 2");
    // After the approvals something lands on main that staging never had.
    shop.work_on("main").write("HOTFIX.md", "in a hurry\n");
    shop.commit_and_push("hotfix", "a hotfix");
    shop.ok("--as eve forge pr create --head hotfix --base main --title Hotfix");
    shop.ok("--as eve forge pr merge 3 --admin");
    // The button still works: the statuses are the head's.
    shop.ok("--as ana forge pr merge 2");
    let words = [
        "merged-tree: the merge of #2",
        "the target branch held something that nobody saw",
        "hint: merge the target branch into the source branch",
    ];
    production_refuses(&shop, "run production", &words);
}

#[test]
fn t54_what_production_must_refuse_is_said_before_the_merge() {
    let shop = proven();
    shop.approve(2, &["ana", "ben", "chloe", "dan"]);
    shop.work_on("main").write("HOTFIX.md", "in a hurry\n");
    shop.commit_and_push("hotfix", "a hotfix");
    shop.ok("--as eve forge pr create --head hotfix --base main --title Hotfix");
    shop.ok("--as eve forge pr merge 3 --admin");
    let words = ["4 of 4 approvals", "must not be merged: `main` has content that `staging` lacks", "a hotfix)"];
    refuses(&shop, "approvals --pr 2", 20, &words);
    refuses(&shop, "--as ana forge pr merge 2", 20, &["required status `orchestrator/approvals` is failure"]);
    refuses(&shop, "run staging", 20, &["promote", "must not be merged"]);
    assert_eq!(shop.status(&shop.head("staging").unwrap(), "orchestrator/staging-proof"), "success");
}

#[test]
fn p10_a_push_to_main_past_every_pull_request_is_refused() {
    let shop = released();
    shop.work_on("main").write("README.md", "# A shop, in a hurry\n");
    shop.clone_folder().commit("straight to main");
    shop.force("main");
    let words = [
        "approvals: no merged pull request made",
        "merged-tree: no merged pull request made",
        "hint: changes arrive by the promotion pull request",
    ];
    production_refuses(&shop, "run production", &words);
}

#[test]
fn t14_an_old_run_that_is_started_again_does_not_take_production_back() {
    let shop = released();
    let old = shop.head("main").unwrap();
    shop.bump("services/shop-web", 2);
    shop.merge_dev();
    shop.ok("run staging");
    shop.approve_and_merge(4);
    shop.ok("run production");
    let new = shop.json("status", 0);
    let words = [
        "no-downgrade: ",
        "is older than release",
        "hint: going back is a decision of its own: `orchestrator rollback production",
    ];
    for line in ["run", "deploy"] {
        production_refuses(&shop, &format!("{line} production --rev {old}"), &words);
    }
    // The newest again is no change.
    let before = shop.untouched();
    shop.ok("run production");
    assert_eq!(shop.untouched(), before);
    assert_eq!(
        shop.json("status", 0)["environments"][0]["deployed"]["release"],
        new["environments"][0]["deployed"]["release"]
    );
    // A commit that main does not have is no commit of production.
    let foreign = shop.head("dev").unwrap();
    shop.bump("services/shop-web", 3);
    let unmerged = shop.head("dev").unwrap();
    assert_ne!(foreign, unmerged);
    refuses(
        &shop,
        &format!("run production --rev {unmerged}"),
        11,
        &["was never the tip of `main`", "hint: what runs in this environment is merged to `main` first"],
    );
}

#[test]
fn f20_b45_a_rollback_whose_images_are_gone_changes_nothing_and_names_one_that_is_whole() {
    let shop = released();
    let first = shop.superproject().git(&["tag", "--list", "release-*"]).trim().to_owned();
    for (version, promotion) in [(2, 4), (3, 6)] {
        shop.bump("services/shop-cart", version);
        shop.merge_dev();
        shop.ok("run staging");
        shop.approve_and_merge(promotion);
        shop.ok("run production");
    }
    // Somebody cleans the registry up: the image of version 2 is gone.
    let second = shop.json("lock show main~1^2", 0);
    let digest = second["services"]["shop-cart"]["image"]["digest"].as_str().unwrap();
    fs::remove_file(shop.join("registry/blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())).unwrap();
    let (before, story) = (shop.untouched(), shop.story());
    let again = format!("hint: `orchestrator rollback production --to {first} --reason …`");
    let words = ["images of `release-", "shop-cart", digest, "is gone", "nothing was changed", &again];
    refuses(&shop, "rollback production --reason trouble", 12, &words);
    assert_eq!((shop.untouched(), shop.story()), (before.clone(), story.clone()), "no hold either: nothing was begun");
    let checked = shop.ok("rollback production --check");
    let judged = |word: &str| checked.stdout().lines().find(|line| line.contains(&format!("  {word}  "))).unwrap();
    assert!(judged("impossible").contains(&format!("shop-cart: {digest} is gone")), "{checked}");
    assert!(judged("possible").contains(&first), "{checked}");
    assert_eq!((shop.untouched(), shop.story()), (before, story));
    shop.ok(&format!("rollback production --to {first} --reason trouble"));
}

#[test]
fn a_rollback_goes_to_a_release_or_nowhere() {
    let shop = released();
    refuses(
        &shop,
        "rollback production --reason trouble",
        20,
        &[
            "no earlier release that was proven there",
            "hint: repair it with a pull request",
            "`orchestrator hold production",
        ],
    );
    refuses(
        &shop,
        "rollback production --to release-1999-01-01-00000000 --reason trouble",
        20,
        &["release-1999-01-01-00000000"],
    );
    refuses(&shop, "rollback production", 2, &["--reason"]);
    assert!(!shop.story().contains(&"production rollback started".to_owned()));
}
