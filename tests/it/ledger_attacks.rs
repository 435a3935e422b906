//! What people try on the ledger's branch, with the real hook: taking records away, making records up.

use lock_model::Digest;
use serde_json::Value;
use test_support::{GitAnswer, Repository};

use crate::refusals::refuses;
use crate::shop::Shop;
use crate::stops::{proven, released};

const LEDGER: &str = "HEAD:refs/heads/orchestrator/ledger";

/// A clone of the ledger's branch, as anybody with write access has it.
fn ledger_clone(shop: &Shop) -> Repository {
    let clone = Repository::clone_from(shop.join("shop.git"), shop.join("book"));
    clone.git(&["switch", "--quiet", "--detach", "origin/orchestrator/ledger"]);
    clone
}

fn push(clone: &Repository, actor: &str, target: &str) -> GitAnswer {
    clone.try_git_with(&["push", "--quiet", "origin", target], &[("ORCHESTRATOR_AS", actor)])
}

/// Commits a record that continues the ledger: the newest one of a step, changed.
fn make_up(clone: &Repository, name: &str, change: impl FnOnce(&mut Value)) {
    let names = clone.git(&["ls-tree", "-r", "--name-only", "HEAD", "records/"]);
    let newest = names.lines().last().unwrap();
    let model = names.lines().rfind(|path| path.ends_with(name)).unwrap();
    let mut record: Value = serde_json::from_str(&clone.read("HEAD", model).unwrap()).unwrap();
    let seq = names.lines().count() + 1;
    record["predicate"]["seq"] = seq.into();
    record["predicate"]["previous"] = Digest::of(clone.read("HEAD", newest).unwrap().as_bytes()).to_string().into();
    record["predicate"]["evidence"] = Value::Array(Vec::new());
    change(&mut record["predicate"]);
    let path = format!("records/000/{seq:06}-{name}");
    clone.write(&path, format!("{record}\n")).commit(&format!("[ledger] {seq:06}"));
}

#[test]
fn t45_a_hold_and_a_rejection_stay_whatever_is_pushed() {
    let shop = proven();
    shop.approve_and_merge(2);
    shop.ok("--as ana lock reject main --reason \"loses orders\"");
    shop.ok("--as ana hold production --reason \"incident 42\"");
    let records = shop.records().len();
    let clone = ledger_clone(&shop);
    for newest in shop.records().iter().rev().take(2) {
        clone.remove(&format!("records/000/{}", newest.name));
    }
    clone.commit("[ledger] tidy");
    for actor in ["dana", "eve", "orchestrator"] {
        let answer = push(&clone, actor, LEDGER);
        assert!(!answer.success() && answer.stderr.contains("the ledger only grows"), "{answer:?}");
    }
    assert_eq!(shop.records().len(), records);
    refuses(&shop, "run production", 20, &["loses orders", "incident 42"]);
}

#[test]
fn t46_what_a_person_makes_up_is_not_taken_and_what_is_forced_in_names_no_rollback() {
    let shop = released();
    // A commit that nobody merged, and the story that it ran in production.
    let work = shop.work_on("main");
    work.write("orchestrator.yaml", format!("{}\n# mine\n", work.read("HEAD", "orchestrator.yaml").unwrap()));
    let evil = work.commit("evil");
    assert!(push(&work, "dana", "HEAD:refs/heads/evil").success());
    let clone = ledger_clone(&shop);
    let id = format!("sha256:{}", "e".repeat(64));
    for step in ["production-deploy-ok.json", "production-verify-ok.json", "production-proof-ok.json"] {
        make_up(&clone, step, |predicate| {
            predicate["release"] = id.as_str().into();
            predicate["commit"] = evil.as_str().into();
        });
    }
    make_up(&clone, "production-deploy-started.json", |_| ());
    let before = shop.untouched();
    let answer = push(&clone, "dana", LEDGER);
    let said = "the record names `orchestrator`, and `dana` brings it";
    assert!(!answer.success() && answer.stderr.contains(said), "{answer:?}");
    assert_eq!(shop.untouched(), before);
    // Somebody with a hand on the server forces it in.
    shop.superproject().git(&["fetch", "--quiet", "../book", "+HEAD:refs/heads/orchestrator/ledger"]);
    let records = shop.records().len();
    let said = "is not one that the branch of `production` has had";
    refuses(&shop, "rollback production --to eeeeeeee --reason back", 20, &[said]);
    refuses(&shop, "rollback production --reason back", 20, &["has no earlier release"]);
    assert_eq!(shop.records().len(), records);
    assert_eq!(shop.untouched(), before);
}

#[test]
fn t46_a_run_of_a_person_is_refused_before_it_begins() {
    let shop = proven();
    let before = shop.untouched();
    let records = shop.records().len();
    let printed = "hint: let the bot do it, as a CI job does: `orchestrator --as orchestrator run staging`";
    let words = ["the ledger would not take this: `dana` is a person", printed];
    refuses(&shop, "--as dana run staging", 13, &words);
    refuses(&shop, "--as eve deploy staging", 13, &["`eve` is a person"]);
    assert_eq!((shop.untouched(), shop.records().len()), (before, records));
}

#[test]
fn t46_an_existing_forge_is_given_reserved_refs_and_shows_what_changes() {
    let shop = Shop::new();
    let rules = shop.join("forge/branches.json");
    let text = std::fs::read_to_string(&rules).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["reserved"] = serde_json::json!(["orchestrator/**"]);
    document["protected"]["main"]["bypass"] = serde_json::json!(["orchestrator"]);
    std::fs::write(&rules, document.to_string()).unwrap();
    let checked = shop.ok("config check");
    for said in [
        "branch `deploy/production`, which `production` is rendered to: `--reserve deploy/production`",
        "tags `release-{date}-{id8}` of `production`: `--reserve tag:release-*-*`",
    ] {
        assert!(checked.stdout().contains(said), "{}", checked.stdout());
    }
    let init = "-C shop.git forge init --user ana:write --user ben:write --user chloe:write --user dan:write \
        --user eve:admin --protect staging=orchestrator/lock,orchestrator/suites \
        --protect main=orchestrator/staging-proof,orchestrator/approvals";
    let refused = shop.in_root(init).run().expect_code(2);
    for said in ["there is a forge with other users or branches", "hint: `--update` gives it these settings"] {
        assert!(refused.stderr().contains(said), "{}", refused.stderr());
    }
    let changed = shop.in_root(&format!("{init} --update")).run().expect_code(0);
    for said in [
        "the forge is changed",
        "- user dana: write",
        "~ branch main: statuses orchestrator/staging-proof from orchestrator, orchestrator/approvals from orchestrator; \
         bypass orchestrator → statuses orchestrator/staging-proof from orchestrator, orchestrator/approvals from \
         orchestrator; bypass none",
        "+ reserved deploy/**",
        "+ reserved tag:release-*",
    ] {
        assert!(changed.stdout().contains(said), "{said}: {}", changed.stdout());
    }
    let again = shop.in_root(&format!("{init} --update")).run().expect_code(0);
    assert!(again.stdout().starts_with("the forge is there already"), "{}", again.stdout());
    assert!(!shop.ok("config check").stdout().contains("--reserve"));
    let typo = shop.in_root(&format!("{init} --update --locks-on stagin")).run().expect_code(2);
    assert!(typo.stderr().contains("`stagin`, which is not protected"), "{}", typo.stderr());
}

/// The ledger's branch, rewritten by somebody with a hand on the server.
fn rewrite(shop: &Shop, change: impl FnOnce(&Repository)) {
    let clone = Repository::clone_from(shop.join("shop.git"), shop.join("rewrite"));
    clone.git(&["switch", "--quiet", "--detach", "origin/orchestrator/ledger"]);
    change(&clone);
    clone.commit("[ledger] nothing to see here");
    shop.superproject().git(&["fetch", "--quiet", "../rewrite", "+HEAD:refs/heads/orchestrator/ledger"]);
}

/// What is done to a work tree of the ledger's branch.
type Attack<'a> = Box<dyn Fn(&Repository) + 'a>;

#[test]
fn t10_a_ledger_that_was_rewritten_stops_production() {
    let shop = proven();
    shop.approve_and_merge(2);
    let names: Vec<String> = shop.records().into_iter().map(|record| format!("records/000/{}", record.name)).collect();
    assert!(names.len() > 8, "{names:?}");
    let proof = names.iter().find(|name| name.contains("-proof-ok")).unwrap().clone();
    let attacks: [(&str, Attack<'_>); 6] = [
        (
            "dropped",
            Box::new(|ledger| {
                ledger.remove(&names[4]);
            }),
        ),
        (
            "reordered",
            Box::new(|ledger| {
                let read = |name: &String| ledger.read("HEAD", name).unwrap();
                let (one, other) = (read(&names[4]), read(&names[5]));
                ledger.write(&names[4], other).write(&names[5], one);
            }),
        ),
        (
            "duplicated",
            Box::new(|ledger| {
                let last = names.len();
                let copy = names[last - 1].replace(&format!("{last:06}"), &format!("{:06}", last + 1));
                ledger.write(&copy, ledger.read("HEAD", &names[last - 1]).unwrap());
            }),
        ),
        (
            "forged in the middle",
            Box::new(|ledger| {
                let name = &names[5];
                let text = ledger.read("HEAD", name).unwrap().replacen(
                    "\"actor\":\"orchestrator\"",
                    "\"actor\":\"somebody\"",
                    1,
                );
                ledger.write(name, text);
            }),
        ),
        (
            "forged for another release",
            Box::new(|ledger| {
                let text = ledger.read("HEAD", &proof).unwrap();
                let other = format!("\"release\":\"sha256:{}\"", "0".repeat(64));
                let start = text.find("\"release\":\"sha256:").unwrap();
                ledger.write(&proof, format!("{}{other}{}", &text[..start], &text[start + other.len()..]));
            }),
        ),
        (
            "renamed",
            Box::new(|ledger| {
                let text = ledger.read("HEAD", &names[6]).unwrap();
                ledger.remove(&names[6]).write(&names[6].replace("-ok.json", "-failed.json"), text);
            }),
        ),
    ];
    let broken = ["the ledger is broken", "hint: look at the history of `orchestrator/ledger`"];
    for (what, attack) in &attacks {
        let copy = shop.copy();
        rewrite(&copy, attack);
        let before = copy.untouched();
        refuses(&copy, "run production", 20, &broken);
        refuses(&copy, "status", 20, &broken);
        assert_eq!(copy.untouched(), before, "{what}");
    }
}

#[test]
fn t10_f11_a_ledger_that_is_shorter_than_seen_stops_production() {
    let shop = proven();
    shop.approve_and_merge(2);
    let broken = ["the ledger is broken", "hint: look at the history of `orchestrator/ledger`"];
    let repository = |shop: &Shop| Repository::open(shop.join("shop.git"));
    let reset = shop.copy();
    repository(&reset).git(&["update-ref", "refs/heads/orchestrator/ledger", "orchestrator/ledger~3"]);
    refuses(&reset, "run production", 20, &broken);
    let deleted = shop.copy();
    repository(&deleted).git(&["update-ref", "-d", "refs/heads/orchestrator/ledger"]);
    refuses(&deleted, "run production", 20, &broken);
    // A rejection that somebody takes back with its record.
    let rejected = shop.copy();
    rejected.ok("lock reject main --reason \"loses orders\"");
    refuses(&rejected, "run production", 20, &["not-rejected", "loses orders"]);
    repository(&rejected).git(&["update-ref", "refs/heads/orchestrator/ledger", "orchestrator/ledger~2"]);
    refuses(&rejected, "run production", 20, &broken);
    for copy in [&reset, &deleted, &rejected] {
        assert_eq!(copy.head("deploy/production"), None);
    }
}
