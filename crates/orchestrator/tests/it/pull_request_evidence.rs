//! A status is only a display: the run of staging asks the record of the suites, for this branch and this content.

use git::TreeChange;
use ledger::{RecordDraft, RunIdentity, Step, StepResult};
use orchestrator::forge::StatusState;
use orchestrator::forge::simulator::Bypass;
use orchestrator::lock::{LockPublishRequest, publish_lock};
use orchestrator::pull_requests::merge_pull_request;
use orchestrator::report::v1::{RunReport, StepResult as StepWord, TestReport};
use orchestrator::{Error, ErrorKind, RunRequest, TestRequest, run, run_tests};
use promotion::gates::Gate;

use crate::shop::*;

/// The shop's configuration, with the suites of pull requests required in staging.
fn configuration() -> String {
    let with = CONFIGURATION.replace(
        "    namespace: shop-staging\n",
        "    namespace: shop-staging\n    requires: { pull-request: pull-request }\n",
    );
    assert_ne!(with, CONFIGURATION);
    with
}

/// Release 1 is proven in staging.
async fn begun() -> Shop {
    let shop = Shop::with(&configuration());
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    shop
}

fn pull_request() -> lock_model::EnvironmentName {
    environment("pull-request")
}

/// The records of a pull request's suites, as `ACTOR RESULT`.
fn evidence(shop: &Shop) -> Vec<String> {
    let (ledger, name) = (shop.ledger(), pull_request());
    ledger.of(&name).map(|record| format!("{} {}", record.entry.run.actor, record.entry.result)).collect()
}

async fn test(shop: &Shop, actor: &str, name: &str, number: u64) -> Result<TestReport, Error> {
    let mut request = TestRequest::new(environment(name));
    request.pull_request = Some(number);
    run_tests(&shop.context(actor), &request).await
}

fn suites_status(shop: &Shop, revision: &str) -> Option<StatusState> {
    let statuses = shop.forge(BOT).statuses(&shop.head(revision).unwrap()).unwrap();
    statuses.into_iter().find(|status| status.context == "orchestrator/suites").map(|status| status.state)
}

/// The button's reasons against a merge.
async fn refused_by_button(shop: &Shop, number: u64) -> String {
    let merged = merge_pull_request(&shop.context("dana"), number, None, Bypass::No).await;
    let error = fails(merged, ErrorKind::Refused);
    error.all_problems().iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("\n")
}

fn gates_line(report: &RunReport) -> &str {
    &report.steps.iter().find(|line| line.step == "gates").unwrap().detail
}

/// A run of staging whose only refusal is that of the suites of pull requests, and which deploys nothing.
async fn refused_run(shop: &Shop) -> RunReport {
    let deployed = shop.head("deploy/staging");
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    assert_eq!(shop.refused_gates(&staging()).into_iter().collect::<Vec<_>>(), [Gate::PullRequestSuites]);
    assert_eq!(shop.head("deploy/staging"), deployed);
    report
}

#[tokio::test]
async fn t57_what_a_bot_recorded_for_the_merge_counts_for_the_commit_with_the_lock() {
    let shop = begun().await;
    assert_eq!(evidence(&shop), [format!("{BOT} ok")], "the run found the record and ran nothing again");
    let record = shop.newest(&pull_request(), Step::Suite);
    assert_eq!(record.base, Some(branch("staging")));
    assert_eq!((record.release, record.lock), (None, None));
    assert_ne!(record.merge_tree, shop.git().commit("refs/heads/staging").unwrap().map(|facts| facts.tree));
    // The same question again adds nothing, neither for the pull request nor for the branch.
    let records = shop.ledger().records().len();
    test(&shop, BOT, "pull-request", 1).await.unwrap();
    shop.run_ok(&staging()).await;
    assert_eq!(shop.ledger().records().len(), records, "{:?}", shop.story(records));
    // No other step is looked for among these records.
    assert_eq!(shop.count(&pull_request(), Step::Deploy, StepResult::Ok), 0);
    let status = orchestrator::status(&shop.bot(), None).await.unwrap();
    assert!(status.environments.iter().all(|one| one.environment != pull_request()));
}

#[tokio::test]
async fn t57_a_status_of_another_base_opens_neither_the_button_nor_the_gate() {
    let shop = begun().await;
    let before = shop.head("dev").unwrap();
    shop.bump("shop-web", 2);
    shop.broken("pr", "lint", true);
    let two = shop.open_pull_request("dev", "staging").await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(two)).await.unwrap();
    assert!(!test(&shop, BOT, "pull-request", two).await.unwrap().is_passed());
    assert_eq!(suites_status(&shop, "dev"), Some(StatusState::Failure));
    // A base of dana's own, with her own lint and her own idea of the staging branch.
    shop.force("play", &before);
    let check =
        TreeChange::Write { path: "tests/check".into(), mode: git::MODE_EXECUTABLE, bytes: b"#!/bin/sh\n".into() };
    shop.commit("play", &[check], "all is well");
    shop.configure("play", "staging: staging,", "staging: play,");
    let three = shop.open_pull_request("dev", "play").await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(three)).await.unwrap();
    assert!(test(&shop, BOT, "pull-request", three).await.unwrap().is_passed());
    assert_eq!(suites_status(&shop, "dev"), Some(StatusState::Success), "of the other base");
    let reasons = refused_by_button(&shop, two).await;
    assert_eq!(reasons.matches("was earned against base").count(), 2, "lock and suites: {reasons}");
    // Past the button: the record of the other base is none of this one.
    let merge = shop.merge_past_rules(two).await;
    let report = refused_run(&shop).await;
    let line = gates_line(&report);
    assert!(line.contains("`lint` failed"), "{line}");
    assert!(line.contains(&format!("pull request {two} (`git revert -m 1 {}`)", merge.short(12))), "{line}");
    assert_eq!(shop.count(&staging(), Step::Gates, StepResult::Ok), 1, "never before they passed");
    // The same run again runs them again; repaired, the release goes on.
    shop.broken("pr", "lint", false);
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert!(gates_line(&report).contains("rerun of suite lint"), "{report:#?}");
    assert_eq!(shop.newest(&pull_request(), Step::Suite).reason.as_deref(), Some("rerun"));
}

#[tokio::test]
async fn t57_a_base_that_moved_after_the_status_asks_for_a_new_one() {
    let shop = begun().await;
    let cart =
        TreeChange::Gitlink { path: "services/shop-cart".into(), commit: shop.new_version("shop-cart", 2, Built::Yes) };
    shop.force("fa", &shop.head("dev").unwrap());
    shop.commit("fa", &[cart], "cart 2");
    shop.bump("shop-web", 2);
    let (one, two) = (shop.open_pull_request("fa", "staging").await, shop.open_pull_request("dev", "staging").await);
    shop.check(one).await;
    shop.check(two).await;
    shop.merge("dana", one).await;
    let reasons = refused_by_button(&shop, two).await;
    assert_eq!(reasons.matches("was earned against base").count(), 2, "{reasons}");
    shop.check(two).await;
    shop.merge("dana", two).await;
    // The suites ran on exactly this tree.
    let records = evidence(&shop).len();
    shop.run_ok(&staging()).await;
    assert_eq!(evidence(&shop).len(), records);
    // On a forge that does not ask, the run itself runs them.
    shop.bump("shop-web", 3);
    shop.force("fa", &shop.head("staging").unwrap());
    shop.commit("fa", &[write("README.md", "# Words\n")], "words");
    let (three, four) = (shop.open_pull_request("fa", "staging").await, shop.open_pull_request("dev", "staging").await);
    shop.check(three).await;
    shop.check(four).await;
    shop.merge_past_rules(three).await;
    shop.merge_past_rules(four).await;
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert!(gates_line(&report).contains("rerun of suite lint"), "{report:#?}");
    assert_eq!(evidence(&shop).len(), records + 3);
}

#[tokio::test]
async fn t57_several_merges_that_fail_together_are_all_named() {
    let shop = begun().await;
    shop.force("fa", &shop.head("dev").unwrap());
    shop.commit("fa", &[write("README.md", "# Words\n")], "words");
    shop.bump("shop-web", 2);
    let (one, two) = (shop.open_pull_request("fa", "staging").await, shop.open_pull_request("dev", "staging").await);
    shop.check(one).await;
    shop.check(two).await;
    shop.merge_past_rules(one).await;
    shop.merge_past_rules(two).await;
    shop.broken("pr", "lint", true);
    let report = refused_run(&shop).await;
    let line = gates_line(&report);
    assert!(line.contains("each was tested without the others"), "{line}");
    for number in [one, two] {
        assert!(line.contains(&format!("pull request {number} (`git revert")), "{line}");
    }
}

#[tokio::test]
async fn t57_another_environment_earns_neither_status_nor_evidence() {
    let more = "  other: { base: none, mode: other, suites: [lint] }\n  staging:\n";
    let shop = Shop::with(&configuration().replace("  staging:\n", more));
    shop.broken("pr", "lint", true);
    let number = shop.open_pull_request("dev", "staging").await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let report = test(&shop, BOT, "other", number).await.unwrap();
    assert!(report.is_passed());
    assert!(report.warnings.iter().any(|warning| warning.contains("must pass the suites of `pull-request`")));
    assert_eq!(suites_status(&shop, "dev"), None);
    assert!(shop.forge(BOT).branch_head(&branch(lock_model::LEDGER_BRANCH)).unwrap().is_none(), "no record");
    assert!(refused_by_button(&shop, number).await.contains("`orchestrator/suites` is missing"));
    shop.merge_past_rules(number).await;
    refused_run(&shop).await;
}

#[tokio::test]
async fn t64_a_persons_command_leaves_the_status_of_the_bot() {
    let shop = begun().await;
    shop.bump("shop-web", 2);
    let number = shop.open_pull_request("dev", "staging").await;
    shop.check(number).await;
    let status = |name: &str| {
        let statuses = shop.forge(BOT).statuses(&shop.head("dev").unwrap()).unwrap();
        let status = statuses.into_iter().find(|status| status.context == name).unwrap();
        (status.state, status.by.to_string())
    };
    let of_bot = (StatusState::Success, BOT.to_owned());
    // Red for dana, who is told so; nothing changes for the button.
    shop.broken("pr", "lint", true);
    let report = test(&shop, "dana", "pull-request", number).await.unwrap();
    assert!(!report.is_passed());
    let said = format!("status `orchestrator/suites` stays success, as `{BOT}` set it: `dana` is no bot");
    assert!(report.warnings.contains(&said), "{:?}", report.warnings);
    assert_eq!(status("orchestrator/suites"), of_bot);
    let refused = fails(publish_lock(&shop.context("dana"), &LockPublishRequest::new(number)).await, ErrorKind::Denied);
    assert!(refused.message().contains("`dana` is a person, and locks are published by a bot"), "{refused}");
    assert_eq!(status("orchestrator/lock"), of_bot);
    merge_pull_request(&shop.context("dana"), number, None, Bypass::No).await.unwrap();
    shop.run_ok(&staging()).await;
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    orchestrator::approvals(&shop.bot(), &production(), Some(promotion.number)).await.unwrap();
    let counted = orchestrator::approvals(&shop.context("ana"), &production(), Some(promotion.number)).await.unwrap();
    assert!(counted.warnings.iter().any(|one| one.starts_with("status `orchestrator/approvals` stays pending")));
}

#[tokio::test]
async fn t57_a_persons_results_are_no_evidence() {
    let shop = Shop::with(&configuration());
    let number = shop.open_pull_request("dev", "staging").await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let report = test(&shop, "ana", "pull-request", number).await.unwrap();
    assert!(report.is_passed());
    assert!(report.warnings.iter().any(|warning| warning == "`ana` is no bot: these results are no evidence"));
    assert!(evidence(&shop).is_empty());
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.ends_with("`ana` is no bot, and only one of `orchestrator` counts"))
    );
    assert!(refused_by_button(&shop, number).await.contains("`orchestrator/suites` is missing"));

    // A record by a person's own hand, of exactly this content.
    assert!(test(&shop, BOT, "pull-request", number).await.unwrap().is_passed());
    let genuine = shop.newest(&pull_request(), Step::Suite);
    let shop = Shop::with(&configuration());
    let number = shop.open_pull_request("dev", "staging").await;
    let mut forged =
        RecordDraft::new(Step::Suite, StepResult::Ok, RunIdentity::new("by hand", "dana"), genuine.started)
            .environment(&pull_request());
    forged.base = genuine.base;
    forged.merge_tree = genuine.merge_tree;
    forged.commit = genuine.commit;
    forged.suite = genuine.suite;
    shop.append(forged);
    shop.broken("pr", "lint", true);
    shop.merge_past_rules(number).await;
    refused_run(&shop).await;
    assert_eq!(evidence(&shop), ["dana ok".to_owned(), format!("{BOT} failed")]);
}

#[tokio::test]
async fn t57_a_run_by_a_person_makes_no_evidence_of_its_own() {
    let shop = Shop::with(&configuration());
    let number = shop.open_pull_request("dev", "staging").await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    shop.merge_past_rules(number).await;
    // Whoever may record the gates: a person's run does not go on from them.
    let ended = run(&shop.context("eve"), &RunRequest::new(staging())).await;
    assert!(ended.is_err() || ended.is_ok_and(|report| report.stopped.is_some()));
    assert!(shop.ledger().of(&pull_request()).next().is_none());
    assert_eq!(shop.head("deploy/staging"), None);
}

#[tokio::test]
async fn t57_a_suite_that_the_pull_request_changes_runs_as_it_is_there() {
    let shop = begun().await;
    let check = |text: &str| TreeChange::Write {
        path: "tests/check".into(),
        mode: git::MODE_EXECUTABLE,
        bytes: text.as_bytes().to_vec(),
    };
    shop.commit("dev", &[check("#!/bin/sh\necho \"$1: fine, says the new one\"\n")], "another check");
    shop.merge_dev().await;
    let digests: Vec<_> =
        shop.ledger().of(&pull_request()).map(|record| record.entry.suite.clone().unwrap().digest).collect();
    assert_eq!(digests.len(), 2);
    assert_ne!(digests[0], digests[1], "the definition and its files are part of the evidence");
    shop.run_ok(&staging()).await;
    assert_eq!(evidence(&shop).len(), 2);
}

#[tokio::test]
async fn t57_a_required_suite_that_the_pull_request_removes_is_refused_and_two_steps_do_it() {
    let lint =
        "  lint: { kind: command, command: [./tests/check, lint, \"{mode}\"], env: [SHOP_STATE], deadline: 1m }\n";
    let quick = lint.replace("lint", "quick");
    let shop = begun().await;
    shop.configure("dev", lint, &quick);
    shop.configure("dev", "mode: pr, suites: [lint] }", "mode: pr, suites: [quick] }");
    let number = shop.open_pull_request("dev", "staging").await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let error = fails(test(&shop, BOT, "pull-request", number).await, ErrorKind::Refused);
    assert!(error.message().contains("removes what `staging` requires: `lint`"), "{error}");
    assert_eq!(suites_status(&shop, "dev"), Some(StatusState::Failure));
    shop.merge_past_rules(number).await;
    let report = refused_run(&shop).await;
    assert!(gates_line(&report).contains("`environments.pull-request.suites` first"), "{report:#?}");

    // First out of the list, then out of the file.
    let shop = begun().await;
    shop.configure("dev", lint, &format!("{lint}{quick}"));
    shop.configure("dev", "mode: pr, suites: [lint] }", "mode: pr, suites: [quick] }");
    let number = shop.open_pull_request("dev", "staging").await;
    let report = test(&shop, BOT, "pull-request", number).await.unwrap();
    assert_eq!(report.suites.len(), 2, "what is taken out runs all the same");
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    shop.merge("dana", number).await;
    shop.run_ok(&staging()).await;
    shop.configure("dev", lint, "");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
}

#[tokio::test]
async fn t57_a_red_suite_after_the_merge_stops_the_branch_until_it_is_green() {
    let shop = begun().await;
    shop.broken("pr", "lint", true);
    assert!(!test(&shop, BOT, "pull-request", 1).await.unwrap().is_passed());
    refused_run(&shop).await;
    shop.broken("pr", "lint", false);
    let report = shop.run_ok(&staging()).await;
    assert!(step_words(&report).contains(&("gates", StepWord::Ok)), "{report:#?}");
}

#[tokio::test]
async fn t57_a_branch_that_never_required_suites_runs_as_before() {
    let shop = Shop::new();
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    assert!(evidence(&shop).is_empty());
    // From now on they are required: the change itself is still judged by the old rules, the next one is not.
    shop.configure(
        "dev",
        "    namespace: shop-staging\n",
        "    namespace: shop-staging\n    requires: { pull-request: pull-request }\n",
    );
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    assert!(evidence(&shop).is_empty());
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    assert_eq!(evidence(&shop), [format!("{BOT} ok")]);
}
