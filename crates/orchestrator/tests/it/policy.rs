//! Whose rules judge a change: never those of something that was refused.

use ledger::{Accepts, PolicySource, Step, StepResult};
use lock_model::{CommitId, EnvironmentName};
use orchestrator::forge::ReviewState;
use orchestrator::lock::{LockPublishRequest, publish_lock};
use orchestrator::report::v1::{RunReport, StepResult as StepWord};
use orchestrator::{DeployRequest, Error, ErrorKind, RollbackRequest, RunRequest, accept_policy, approvals, deploy};
use orchestrator::{hold, rollback, run, status, take_over, unhold};

use crate::shop::{
    BOT, CONFIGURATION, Shop, branch, environment, fails, production, promoted, proven, released, staging, write,
};

/// What `requires` says of production in the shop.
const RULES: &str = "    requires: { proven-in: staging, proof: stored, approvals: { count: 2 } }\n";

/// A change of the configuration is merged to `main` past every rule. Gives the merge.
async fn bypass(shop: &Shop, from: &str, to: &str) -> CommitId {
    shop.force("weak", &shop.head("main").unwrap());
    if from.is_empty() {
        shop.commit("weak", &[write("NOTES.md", to)], "a note");
    } else {
        shop.configure("weak", from, to);
    }
    let number = shop.open_pull_request("weak", "main").await;
    shop.merge_past_rules(number).await
}

async fn run_of(shop: &Shop, name: &EnvironmentName) -> RunReport {
    run(&shop.bot(), &RunRequest::new(name.clone())).await.unwrap()
}

/// The line about the gates of a run that they refused, with nothing changed.
async fn refused(shop: &Shop, name: &EnvironmentName) -> String {
    let before = shop.untouched();
    let report = run_of(shop, name).await;
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    assert_eq!(shop.untouched(), before);
    let line = report.steps.into_iter().find(|line| line.step == "gates").unwrap();
    assert_eq!(line.result, StepWord::Refused);
    line.detail
}

/// Source and commit of the rules in the newest record about gates.
fn judged_by(shop: &Shop, name: &EnvironmentName) -> (PolicySource, Option<CommitId>) {
    let policy = shop.newest(name, Step::Gates).policy.unwrap();
    (policy.source, policy.commit)
}

async fn accept(shop: &Shop, who: &str, commit: &str, name: &EnvironmentName) -> Result<CommitId, Error> {
    accept_policy(&shop.context(who), name, commit, "we are fewer").await.map(|report| report.commit)
}

#[tokio::test]
async fn t42_what_was_refused_never_has_the_rules_of_what_comes_on_top() {
    let shop = released();
    let good = shop.head("main").unwrap();
    bypass(&shop, RULES, "").await;
    let detail = refused(&shop, &production()).await;
    for part in ["approvals: ", "staging-proof: ", good.short(12), "policy accept production "] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(good.clone())));
    // Two more on top, and each of them again: whoever merges last is judged by what passed last.
    for note in ["one", "two"] {
        bypass(&shop, "", note).await;
        for _again in 0..2 {
            refused(&shop, &production()).await;
            assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(good.clone())));
        }
    }
    let deployed = deploy(&shop.bot(), &DeployRequest::new(production())).await.unwrap();
    assert_eq!(deployed.stopped, Some(ErrorKind::Refused));
    // The next promotion is counted by the same rules.
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    // What was merged past the rules is not in staging, and the promotion says so at once.
    let stopped = run_of(&shop, &staging()).await;
    assert_eq!((stopped.stopped, stopped.steps.last().unwrap().step.as_str()), (Some(ErrorKind::Refused), "promote"));
    let number = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap().number;
    let report = approvals(&shop.bot(), &production(), Some(number)).await.unwrap();
    assert_eq!((report.needed, report.policy.commit.as_ref()), (2, Some(&good)));
    assert!(report.obstacles[0].contains("a note"), "{report:#?}");
}

/// A merge by hand with the tree of its newest parent, and a note.
fn merge_by_hand(shop: &Shop, parents: &[&CommitId], newest: &CommitId) -> CommitId {
    let tree = shop.git().write_tree(Some(newest.as_str()), &[write("NOTES.md", "by hand\n")]).unwrap();
    let identity = git::CommitIdentity::new("Eve", "eve@shop.example", lock_model::Timestamp::from_unix_seconds(0));
    let parents: Vec<CommitId> = parents.iter().map(|&parent| parent.clone()).collect();
    shop.git().commit_tree(&tree, &parents, "merged by hand", &identity).unwrap()
}

#[tokio::test]
async fn t74_a_merge_whose_first_parent_is_the_other_side_brings_no_older_rules_back() {
    let shop = Shop::with(&CONFIGURATION.replace("count: 2", "count: 1"));
    shop.release_next().await;
    let weak = shop.head("main").unwrap();
    shop.configure("dev", "count: 1", "count: 2");
    shop.release_next().await;
    let strict = shop.head("main").unwrap();
    // An administrator pushes a merge that was made on a branch from before: its line of first parents skips `strict`.
    let foreign = merge_by_hand(&shop, &[&weak], &weak);
    let octopus = [&foreign, &shop.head("dev").unwrap(), &strict].map(CommitId::clone);
    let pushed = merge_by_hand(&shop, &octopus.each_ref(), &strict);
    shop.force("main", &pushed);
    refused(&shop, &production()).await;
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(strict.clone())));
    // One approval was enough by the rules of `weak`.
    shop.force("small", &pushed);
    shop.commit("small", &[write("SMALL.md", "small\n")], "a small change");
    let number = shop.open_pull_request("small", "main").await;
    shop.review("ana", number, ReviewState::Approved).await;
    let report = approvals(&shop.bot(), &production(), Some(number)).await.unwrap();
    assert_eq!((report.needed, report.policy.commit.as_ref()), (2, Some(&strict)));
    shop.merge_past_rules(number).await;
    let said = refused(&shop, &production()).await;
    assert!(said.contains("1 of 2 approvals") && said.contains(strict.short(12)), "{said}");
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(strict.clone())));
    // An honest change gets out, and is the rule for the next one.
    shop.force("small", &shop.head("main").unwrap());
    shop.commit("small", &[write("SMALL.md", "two looked\n")], "a reviewed change");
    let number = shop.open_pull_request("small", "main").await;
    for person in ["ana", "ben"] {
        shop.review(person, number, ReviewState::Approved).await;
    }
    shop.merge_past_rules(number).await;
    shop.run_ok(&production()).await;
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(strict)));
}

#[tokio::test]
async fn t42_two_merges_before_the_first_run_change_no_rules() {
    let shop = released();
    let good = shop.head("main").unwrap();
    bypass(&shop, RULES, "").await;
    bypass(&shop, "", "and on").await;
    refused(&shop, &production()).await;
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(good)));
}

#[tokio::test]
async fn t42_staging_with_a_lock_commit_on_top_is_judged_by_the_commit_that_passed_before() {
    let shop = proven();
    let first = shop.head("staging").unwrap();
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    for _again in 0..2 {
        shop.run_ok(&staging()).await;
        assert_eq!(judged_by(&shop, &staging()), (PolicySource::Passed, Some(first.clone())));
    }
    assert_ne!(shop.head("staging").unwrap(), first);
}

#[tokio::test]
async fn t42_a_hotfix_that_was_merged_past_the_rules_travels_with_the_next_promotion_by_the_old_rules() {
    let shop = released();
    let good = shop.head("main").unwrap();
    bypass(&shop, "", "in a hurry").await;
    refused(&shop, &production()).await;
    // It is merged back, and comes again with the next promotion.
    let dev = shop.head("dev").unwrap();
    let hotfix = shop.head("main").unwrap();
    let git::MergeTree::Clean(tree) = shop.git().merge_tree(dev.as_str(), hotfix.as_str()).unwrap() else {
        panic!("no conflict")
    };
    let identity = git::CommitIdentity::new("Dana", "dana@shop.example", lock_model::Timestamp::from_unix_seconds(0));
    let back = shop.git().commit_tree(&tree, &[dev, hotfix], "the hotfix comes back", &identity).unwrap();
    shop.force("dev", &back);
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let number = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap().number;
    shop.approve_and_merge(number).await;
    shop.run_ok(&production()).await;
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(good)));
    assert_eq!(shop.releases().len(), 2);
}

#[tokio::test]
async fn t42_a_rollback_puts_no_rules_in_force() {
    let shop = crate::shop::released_twice();
    let good = shop.head("main").unwrap();
    let report = rollback(&shop.bot(), &RollbackRequest::new(production(), "trouble")).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    unhold(&shop.context("eve"), &production(), "over").await.unwrap();
    bypass(&shop, RULES, "").await;
    refused(&shop, &production()).await;
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(good)));
}

#[tokio::test]
async fn t42_a_first_run_that_was_refused_is_repaired_by_the_next_promotion() {
    let shop = proven();
    shop.review("ana", 2, ReviewState::Approved).await;
    shop.merge_past_rules(2).await;
    let detail = refused(&shop, &production()).await;
    assert!(detail.contains("bootstrap: `main`"), "{detail}");
    let first = shop.head("main").unwrap();
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let number = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap().number;
    shop.approve_and_merge(number).await;
    let report = shop.run_ok(&production()).await;
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Parent, Some(first)));
    assert!(report.warnings.iter().any(|warning| warning.contains("nothing has passed")), "{report:#?}");
}

#[tokio::test]
async fn t42_a_team_that_shrank_goes_on_after_an_administrator_accepted_its_rules() {
    let shop = released();
    shop.configure("dev", "count: 2", "count: 1");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    shop.review("ana", 4, ReviewState::Approved).await;
    let merge = shop.merge_past_rules(4).await;
    refused(&shop, &production()).await;
    // The bot and a writer may not, and what was never on the branch cannot be.
    for (who, commit) in [(BOT, &merge), ("ana", &merge), ("rita", &merge)] {
        let error = fails(accept(&shop, who, commit.as_str(), &production()).await, ErrorKind::Denied);
        assert!(error.message().contains(who), "{error}");
    }
    let dev = shop.head("dev").unwrap();
    fails(accept(&shop, "eve", dev.as_str(), &production()).await, ErrorKind::Repository);
    fails(accept(&shop, "eve", merge.as_str(), &environment("nowhere")).await, ErrorKind::Usage);
    let empty = shop.git().rev_list(&["--max-parents=0", merge.as_str()]).unwrap();
    fails(accept(&shop, "eve", empty[0].as_str(), &production()).await, ErrorKind::Usage);
    assert_eq!(shop.count(&production(), Step::Policy, StepResult::Ok), 0);

    let before = shop.untouched();
    assert_eq!(accept(&shop, "eve", "main", &production()).await.unwrap(), merge);
    assert_eq!(shop.untouched(), before, "no gate is opened by it");
    assert_eq!(shop.newest(&production(), Step::Policy).accepts, Some(Accepts::Commit(merge.clone())));
    let report = shop.run_ok(&production()).await;
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Accepted, Some(merge.clone())));
    assert!(report.warnings.iter().any(|one| one.contains("put in force by eve")), "{report:#?}");
    let shown = status(&shop.bot(), None).await.unwrap();
    assert!(shown.warnings.iter().any(|one| one.contains("we are fewer")), "{shown:#?}");

    // The next promotion says so, and passes by the accepted rules; then the decision is over.
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let forge = shop.forge(BOT);
    let promotion = forge.find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    assert!(promotion.body.contains("put in force by eve"), "{}", promotion.body);
    shop.review("ana", promotion.number, ReviewState::Approved).await;
    let counted = approvals(&shop.bot(), &production(), None).await.unwrap();
    assert_eq!((counted.approved, counted.needed), (true, 1));
    assert!(counted.warnings.iter().any(|one| one.contains("put in force by eve")), "{counted:#?}");
    shop.merge("ana", promotion.number).await;
    let report = shop.run_ok(&production()).await;
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Accepted, Some(merge)));
    assert!(!report.warnings.is_empty());
    assert_eq!(status(&shop.bot(), None).await.unwrap().warnings, [""; 0]);
}

#[tokio::test]
async fn t42_accepted_rules_open_no_gate_by_themselves() {
    let shop = released();
    let merge = bypass(&shop, "count: 2", "count: 1").await;
    refused(&shop, &production()).await;
    accept(&shop, "eve", merge.as_str(), &production()).await.unwrap();
    let detail = refused(&shop, &production()).await;
    assert!(detail.contains("0 of 1 approvals"), "{detail}");
}

/// A configuration of the first release that nobody can read any more, as after a change of the format.
#[tokio::test]
async fn t42_rules_that_cannot_be_read_refuse_and_name_the_way_out() {
    let shop = promoted().await;
    let readable = shop.head("main").unwrap();
    let broken = shop.commit("main", &[write("orchestrator.yaml", "version: 1\nbranches: none\n")], "broken");
    let text = shop.file(readable.as_str(), "orchestrator.yaml").unwrap();
    let repaired = shop.commit("main", &[write("orchestrator.yaml", &text)], "repaired");
    let error = fails(run(&shop.bot(), &RunRequest::new(production())).await, ErrorKind::Refused);
    assert!(error.hints().iter().any(|hint| hint.contains("policy accept")), "{error:?}");
    assert!(error.causes().iter().any(|cause| cause.contains("orchestrator.yaml")), "{:?}", error.causes());
    fails(accept(&shop, "eve", broken.as_str(), &production()).await, ErrorKind::Usage);
    accept(&shop, "eve", repaired.as_str(), &production()).await.unwrap();
    let detail = refused(&shop, &production()).await;
    assert!(detail.contains("no merged pull request"), "{detail}");
}

/// A second environment on `main`, without any rules.
const SHADOW: &str =
    "  shadow:\n    branch: production\n    mode: shadow\n    namespace: shop-shadow\n    suites: [smoke]\n";

fn shadow() -> EnvironmentName {
    environment("shadow")
}

#[tokio::test]
async fn t43_an_environment_that_is_new_on_a_protected_branch_is_judged_by_its_neighbours() {
    let shop = released();
    let good = shop.head("main").unwrap();
    bypass(&shop, "  production:\n", &format!("{SHADOW}  production:\n")).await;
    for _again in 0..2 {
        let detail = refused(&shop, &shadow()).await;
        assert!(detail.contains("0 of 2 approvals") && detail.contains("staging-proof"), "{detail}");
        assert!(detail.contains("`shadow` is new on `main`"), "{detail}");
        assert_eq!(judged_by(&shop, &shadow()), (PolicySource::Passed, Some(good.clone())));
        // Once it is in the configuration of the commit before, it is as new as it was.
        bypass(&shop, "", "something").await;
    }
}

#[tokio::test]
async fn t43_taking_the_strict_environment_away_leaves_its_rules() {
    let shop = released();
    let good = shop.head("main").unwrap();
    let text = shop.file("main", "orchestrator.yaml").unwrap();
    let (_, whole) = text.split_at(text.find("  production:\n").unwrap());
    let without = text.replace(whole, SHADOW).replace("    promote: { to: production }\n", "");
    shop.force("weak", &good);
    shop.commit("weak", &[write("orchestrator.yaml", &without)], "another environment");
    let number = shop.open_pull_request("weak", "main").await;
    shop.merge_past_rules(number).await;
    let detail = refused(&shop, &shadow()).await;
    assert!(detail.contains("0 of 2 approvals"), "{detail}");
    assert_eq!(judged_by(&shop, &shadow()), (PolicySource::Passed, Some(good)));
    // Put back in another merge, production has the rules that it had.
    shop.force("weak", &shop.head("main").unwrap());
    shop.commit("weak", &[write("orchestrator.yaml", &text.replace(RULES, ""))], "as before, almost");
    let number = shop.open_pull_request("weak", "main").await;
    shop.merge_past_rules(number).await;
    let detail = refused(&shop, &production()).await;
    assert!(detail.contains("0 of 2 approvals"), "{detail}");
}

#[tokio::test]
async fn t43_an_environment_that_is_renamed_goes_on_under_the_rules_of_its_old_name() {
    let shop = released();
    let live = environment("live");
    let old = shop.head("main").unwrap();
    shop.configure(
        "dev",
        "  production:\n    mode: production\n",
        "  live:\n    branch: production\n    mode: production\n",
    );
    shop.configure("dev", "promote: { to: production }", "promote: { to: live }");
    shop.configure("dev", "count: 2", "count: 1");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let number = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap().number;
    shop.review("ana", number, ReviewState::Approved).await;
    let counted = approvals(&shop.bot(), &live, Some(number)).await.unwrap();
    assert_eq!(
        (counted.approved, counted.needed, counted.policy.together_with.clone()),
        (false, 2, vec![production()])
    );
    shop.review("ben", number, ReviewState::Approved).await;
    assert!(approvals(&shop.bot(), &live, Some(number)).await.unwrap().approved);
    shop.merge_past_rules(number).await;
    take_over(&shop.context("eve"), &live, "production has a new name").await.unwrap();
    run_of(&shop, &live).await;
    assert_eq!(shop.newest(&live, Step::Gates).result, StepResult::Ok);
    assert_eq!(judged_by(&shop, &live), (PolicySource::Passed, Some(old)));
    // Having passed once, it has rules of its own.
    assert_eq!(approvals(&shop.bot(), &live, Some(number)).await.unwrap().needed, 2);
}

#[tokio::test]
async fn t43_an_environment_that_was_taken_away_and_comes_back_has_the_rules_that_passed() {
    let shop = released();
    let good = shop.head("main").unwrap();
    let text = shop.file("main", "orchestrator.yaml").unwrap();
    let (_, production_text) = text.split_at(text.find("  production:\n").unwrap());
    let gone = text.replace(production_text, "").replace("    promote: { to: production }\n", "");
    for content in [gone, text.replace("count: 2", "count: 0")] {
        shop.force("weak", &shop.head("main").unwrap());
        shop.commit("weak", &[write("orchestrator.yaml", &content)], "gone, and back");
        let number = shop.open_pull_request("weak", "main").await;
        shop.merge_past_rules(number).await;
    }
    refused(&shop, &production()).await;
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(good)));
}

#[tokio::test]
async fn t43_the_branch_that_an_environment_moves_to_does_not_choose_its_rules() {
    let shop = released();
    let good = shop.head("main").unwrap();
    // A branch without history that anybody may push, with rules of its own.
    let evil = CONFIGURATION.replace("production: main", "production: evil").replace(RULES, "");
    let tree = shop.git().write_tree(Some("refs/heads/main"), &[write("orchestrator.yaml", &evil)]).unwrap();
    let identity = git::CommitIdentity::new("Dana", "dana@shop.example", lock_model::Timestamp::from_unix_seconds(0));
    let orphan = shop.git().commit_tree(&tree, &[], "another history", &identity).unwrap();
    shop.force("evil", &orphan);
    bypass(&shop, "production: main", "production: evil").await;
    let before = shop.untouched();
    let report = run_of(&shop, &production()).await;
    assert_eq!((report.stopped, report.commit), (Some(ErrorKind::Repository), Some(orphan)), "{:#?}", report.steps);
    assert_eq!(shop.untouched(), before);
    assert!(report.steps[0].detail.contains("no merged pull request"), "{:#?}", report.steps);
    assert_eq!(judged_by(&shop, &production()), (PolicySource::Passed, Some(good)));
}

#[tokio::test]
async fn t42_whatever_the_ledger_knows_can_be_held_and_let_go() {
    let shop = released();
    // No configuration has it any more.
    let old = environment("old");
    let mut draft = shop.newest(&production(), Step::Gates);
    draft.environment = Some(old.clone());
    shop.append(draft);
    let held = hold(&shop.context("eve"), &old, "it is not used any more").await.unwrap();
    assert!(held.record.is_some());
    assert!(shop.ledger().held(&old).is_some());
    assert_eq!(shop.newest(&old, Step::Hold).commit, shop.head("main"));
    unhold(&shop.context("eve"), &old, "it is").await.unwrap();
    assert!(shop.ledger().held(&old).is_none());
    fails(hold(&shop.context("eve"), &environment("never"), "what").await, ErrorKind::Usage);
}

/// The suites say nothing any more, the address is a mock's, the branch is another, releases are dropped, a service's
/// manifests come from the superproject: none of it is a rule of a gate.
#[tokio::test]
async fn t44_what_a_change_weakens_is_said_on_comment_promotion_and_approvals() {
    let shop = released();
    let gutted = git::TreeChange::Write {
        path: "tests/check".into(),
        mode: git::MODE_EXECUTABLE,
        bytes: b"#!/bin/sh\nexit 0\n".to_vec(),
    };
    shop.commit("dev", &[gutted], "clean up");
    shop.configure("dev", "    release: { tag: \"release-{date}-{id8}\" }\n", "");
    shop.configure("dev", "branch: \"deploy/{mode}\"", "branch: \"deploy2/{mode}\"");
    shop.configure("dev", "    namespace: shop-staging\n", "    namespace: shop-staging\n    url: { env: SHOP_URL }\n");
    let expected = [
        "production: suite `smoke` has other content: `tests/check`",
        "staging: suite `system` has other content: `tests/check`",
        "pull-request: suite `lint` has other content: `tests/check`",
        "production: probe `platform` runs something else",
        "production: manifests are written to branch `deploy2/production`, it was `deploy/production`",
        "production: the tag of a release is none, it was `release-{date}-{id8}`",
        "staging: `url` is environment variable `SHOP_URL`, it was none",
    ];
    let number = shop.open_pull_request("dev", "staging").await;
    let published = publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let shown = orchestrator::pull_requests::view_pull_request(&shop.bot(), number).await.unwrap();
    let comment = shown.comments[0].body.replace('\\', "");
    for line in expected {
        assert!(published.warnings.iter().any(|one| one.ends_with(line)), "{line}: {:#?}", published.warnings);
        assert!(comment.contains(line), "{line}: {comment}");
    }
    assert!(comment.contains("the newest commit whose gates passed"), "{comment}");
    let first = comment.lines().find(|line| line.starts_with("**")).unwrap();
    assert!(first.contains("This loosens") && first.contains("see below"), "{comment}");
    shop.check(number).await;
    shop.merge("dana", number).await;
    shop.run_ok(&staging()).await;
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    let counted = approvals(&shop.bot(), &production(), Some(promotion.number)).await.unwrap();
    for line in expected {
        assert!(promotion.body.replace('\\', "").contains(line), "{line}: {}", promotion.body);
        assert!(counted.warnings.iter().any(|one| one.ends_with(line)), "{line}: {:#?}", counted.warnings);
    }
}

#[tokio::test]
async fn t65_a_change_that_sends_the_promotion_elsewhere_is_said_first() {
    let shop = released();
    shop.configure("dev", "production: main }", "production: play }");
    let number = shop.open_pull_request("dev", "staging").await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let shown = orchestrator::pull_requests::view_pull_request(&shop.bot(), number).await.unwrap();
    let comment = shown.comments[0].body.replace('\\', "");
    let expected = "staging: releases are promoted to `production`, into branch `play`, it was to `production`, into branch `main`";
    assert!(comment.contains(expected), "{comment}");
    assert!(comment.find("**This loosens").unwrap() < comment.find("No service changes").unwrap(), "{comment}");
}

#[tokio::test]
async fn t42_a_configuration_that_cannot_be_read_stops_only_what_it_would_deploy() {
    let shop = released();
    let good = shop.head("main").unwrap();
    // Half-done work of anybody is nobody else's matter.
    shop.force("wip", &good);
    shop.commit("wip", &[write("orchestrator.yaml", "version: 1\nbroken: [\n")], "half done");
    let shown = status(&shop.bot(), None).await.unwrap();
    assert_eq!((shown.environments.len(), shown.warnings.as_slice()), (2, [].as_slice()));
    let unknown = fails(run(&shop.bot(), &RunRequest::new(environment("nosuch"))).await, ErrorKind::Usage);
    assert!(unknown.message().contains("there is no environment `nosuch`"), "{unknown:#?}");

    // On the branch of the environment it stops runs.
    shop.force("weak", &good);
    shop.commit("weak", &[write("orchestrator.yaml", "version: 1\nbroken: [\n")], "half done");
    let number = shop.open_pull_request("weak", "main").await;
    shop.merge_past_rules(number).await;
    fails(run(&shop.bot(), &RunRequest::new(production())).await, ErrorKind::Usage);
    let shown = status(&shop.bot(), None).await.unwrap();
    assert_eq!(shown.environments.len(), 2);
    assert!(shown.warnings.iter().any(|line| line.contains("`main` cannot be read")), "{:?}", shown.warnings);
    // Staging goes on, and production can be held and let go.
    shop.run_ok(&staging()).await;
    hold(&shop.bot(), &production(), "broken").await.unwrap();
    unhold(&shop.bot(), &production(), "seen").await.unwrap();
    // The repair is counted by the rules that passed last.
    shop.force("repair", &shop.head("main").unwrap());
    let text = shop.file(good.as_str(), "orchestrator.yaml").unwrap();
    shop.commit("repair", &[write("orchestrator.yaml", &text)], "as before");
    let repair = shop.open_pull_request("repair", "main").await;
    let report = approvals(&shop.bot(), &production(), Some(repair)).await.unwrap();
    assert_eq!((report.needed, report.policy.commit.as_ref()), (2, Some(&good)));
}

/// What a person pushes as a tag, and every clone fetches.
fn tag(shop: &Shop, name: &str, commit: &CommitId) {
    let _done = shop.git().checked(["update-ref", &format!("refs/tags/{name}"), commit.as_str()]).unwrap();
}

#[tokio::test]
async fn t68_a_tag_that_is_called_like_a_commit_leads_nobody_to_another_one() {
    let shop = released();
    let good = shop.head("main").unwrap();
    let evil = bypass(&shop, RULES, "").await;
    refused(&shop, &production()).await;
    tag(&shop, good.short(12), &evil);
    let error = accept(&shop, "eve", good.short(12), &production()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    assert!(error.message().contains(&format!("begins the id of commit {good}")), "{error}");
    let mut request = RunRequest::new(production());
    request.revision = Some(good.short(12).to_owned());
    let error = run(&shop.bot(), &request).await.unwrap_err();
    assert!(error.message().contains(&format!("leads to {}", evil.short(12))), "{error}");
    // More digits, and names that begin no id, are as they were.
    assert_eq!(accept(&shop, "eve", good.short(13), &production()).await.unwrap(), good);
    tag(&shop, "20260105", &good);
    assert_eq!(accept(&shop, "eve", "20260105", &production()).await.unwrap(), good);
}
