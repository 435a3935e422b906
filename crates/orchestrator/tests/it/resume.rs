//! A run that ended early goes on where it was: what is done stays done, and nothing is deployed twice.

use std::sync::Arc;

use ledger::{Step, StepResult};
use lock_model::EnvironmentName;
use orchestrator::forge::{PullRequestEdit, Readiness, StatusState};
use orchestrator::report::v1::{Report as _, StepResult as StepWord, Verdict};
use orchestrator::{ErrorKind, HistoryRequest, RunRequest, deploy, promote, release, run};

use crate::shop::{
    BOT, Shop, Watcher, branch, die, dies, fails, merged, production, promoted, proven, released, staging, step_words,
    write,
};

/// Steps that every run takes, since the answer may change.
const EVERY_TIME: [&str; 3] = ["gates", "health", "verify"];

/// Runs as often as there are steps; each run dies once the next step is recorded. Then one run comes through.
async fn dies_after_each_step(shop: &Shop, name: &EnvironmentName, steps: &[&str]) {
    for (index, step) in steps.iter().enumerate() {
        let watcher = Watcher::new().dies_after(step);
        assert!(dies(shop.watched(BOT, &watcher), RunRequest::new(name.clone())).await, "a run reaches {step}");
        let heard = watcher.heard();
        for (known, said) in steps.iter().zip(&heard) {
            let is_done = steps[..index].contains(known) && !EVERY_TIME.contains(known) && *known != "lock-commit";
            let expected = if is_done { "done" } else { "ok" };
            assert_eq!(said, &format!("{known} {expected}"), "before {step}: {heard:?}");
        }
        assert_eq!(heard.len(), index + 1, "{heard:?}");
    }
    let report = shop.run_ok(name).await;
    for line in &report.steps {
        let every_time = EVERY_TIME.contains(&line.step.as_str()) || line.step == "lock-commit";
        let expected = if every_time { StepWord::Ok } else { StepWord::Done };
        assert_eq!(line.result, expected, "{}: {}", line.step, line.detail);
    }
}

#[tokio::test]
async fn f1_p11_a_staging_run_that_died_after_any_step_goes_on() {
    let shop = merged().await;
    let steps = ["lock-commit", "gates", "health", "deploy", "verify", "suite system", "proof", "promote"];
    dies_after_each_step(&shop, &staging(), &steps).await;
    assert_eq!(shop.commits("deploy/staging"), 1, "deployed once");
    for step in [Step::LockCommit, Step::Deploy, Step::Suite, Step::Proof, Step::Promote] {
        assert_eq!(shop.count(&staging(), step, StepResult::Ok), 1, "{step} is recorded once");
    }
    assert_eq!(shop.count(&staging(), Step::Deploy, StepResult::Started), 1, "begun once");
    let head = shop.head("staging").unwrap();
    assert_eq!(proof_status(&shop, &head), Some(StatusState::Success));
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    assert_eq!((promotion.number, promotion.head), (2, head));
}

#[tokio::test]
async fn f1_f3_a_production_run_that_died_after_any_step_goes_on() {
    let shop = promoted().await;
    let steps = ["gates", "health", "deploy", "verify", "suite smoke", "proof", "release"];
    dies_after_each_step(&shop, &production(), &steps).await;
    assert_eq!(shop.commits("deploy/production"), 1, "deployed once");
    for step in [Step::Deploy, Step::Suite, Step::Proof, Step::Release] {
        assert_eq!(shop.count(&production(), step, StepResult::Ok), 1, "{step} is recorded once");
    }
    assert_eq!(shop.forge(BOT).releases().unwrap().len(), 1);
}

#[tokio::test]
async fn f25_a_clock_that_jumps_inside_every_step_stops_no_run() {
    let shop = merged().await;
    let jumping = || shop.watched(BOT, &Watcher::jumping());
    assert_eq!(run(&jumping(), &RunRequest::new(staging())).await.unwrap().stopped, None);
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    shop.approve_and_merge(promotion.number).await;
    assert_eq!(run(&jumping(), &RunRequest::new(production())).await.unwrap().stopped, None);
    assert_eq!(run(&jumping(), &RunRequest::new(production())).await.unwrap().stopped, None, "and once more");
    let ledger = shop.ledger();
    assert!(ledger.records().windows(2).any(|pair| pair[1].entry.started < pair[0].entry.started), "it did jump");
    for record in ledger.records() {
        assert!(record.entry.finished.is_none_or(|finished| finished >= record.entry.started), "{}", record.seq);
    }
}

fn proof_status(shop: &Shop, commit: &lock_model::CommitId) -> Option<StatusState> {
    let statuses = shop.forge(BOT).statuses(commit).unwrap();
    statuses.iter().find(|status| status.context == "orchestrator/staging-proof").map(|status| status.state)
}

/// The run dies between the effect of each step and its record; the next one finds what was done.
async fn dies_before_each_record(shop: &Shop, name: &EnvironmentName, steps: &[Step]) {
    for step in steps {
        // The next run writes `started`, does it, and dies before it says so.
        loop {
            let known = u64::try_from(shop.ledger().records().len()).unwrap();
            let started = shop.count(name, *step, StepResult::Started);
            let dead = Watcher::new().before_record(known + 2, die);
            assert!(dies(shop.watched(BOT, &dead), RunRequest::new(name.clone())).await, "{step}");
            if shop.count(name, *step, StepResult::Started) > started {
                break;
            }
        }
        assert_eq!(shop.count(name, *step, StepResult::Ok), 0, "{step} is begun and not recorded");
        // The step itself is done again, finds what was done, and says so.
        let known = u64::try_from(shop.ledger().records().len()).unwrap();
        let watcher = Watcher::new().dies_after(&shop.newest(name, *step).key().to_string());
        assert!(dies(shop.watched(BOT, &watcher), RunRequest::new(name.clone())).await, "{step}");
        assert!(u64::try_from(shop.ledger().records().len()).unwrap() > known);
        assert_eq!(shop.count(name, *step, StepResult::Ok), 1, "{step} is recorded");
    }
    shop.run_ok(name).await;
}

#[tokio::test]
async fn f1_f23_what_was_done_and_not_recorded_in_staging_is_not_done_twice() {
    let shop = merged().await;
    dies_before_each_record(&shop, &staging(), &[Step::LockCommit, Step::Deploy, Step::Suite, Step::Promote]).await;
    assert_eq!(shop.commits("deploy/staging"), 1, "deployed once");
    assert_eq!(shop.forge(BOT).pull_requests(None).unwrap().len(), 2, "promoted once");
    assert_eq!(shop.lock("staging").source().pull_request, Some(1));
    let head = shop.head("staging").unwrap();
    let parents = shop.git().commit(head.as_str()).unwrap().unwrap().parents;
    assert_eq!(
        shop.git().commit(parents[0].as_str()).unwrap().unwrap().parents.len(),
        2,
        "one lock commit on the merge"
    );
}

#[tokio::test]
async fn f23_what_was_done_and_not_recorded_in_production_is_not_done_twice() {
    let shop = promoted().await;
    dies_before_each_record(&shop, &production(), &[Step::Deploy, Step::Suite, Step::Release]).await;
    assert_eq!(shop.commits("deploy/production"), 1, "deployed once");
    assert_eq!(shop.forge(BOT).releases().unwrap().len(), 1, "released once");
}

#[tokio::test]
async fn p21_an_environment_that_is_not_healthy_gets_no_deployment() {
    let shop = promoted().await;
    let before = shop.untouched();
    shop.broken("production", "platform", true);
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Negative), "{report:#?}");
    assert_eq!(step_words(&report), [("gates", StepWord::Ok), ("health", StepWord::Failed)]);
    assert_eq!(shop.untouched(), before);
    let asked = orchestrator::health(&shop.bot(), &production()).await.unwrap();
    assert!(!asked.report.is_healthy());
    shop.broken("production", "platform", false);
    shop.run_ok(&production()).await;
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Started), 1);
}

#[tokio::test]
async fn the_status_of_the_proof_says_how_far_it_is() {
    let shop = Arc::new(merged().await);
    let at_gates = |shop: &Arc<Shop>, expected: StatusState| {
        let other = Arc::clone(shop);
        Watcher::new().after("gates", move || {
            let head = other.head("staging").unwrap();
            assert_eq!(proof_status(&other, &head), Some(expected));
        })
    };
    let watcher = at_gates(&shop, StatusState::Pending);
    let report = run(&shop.watched(BOT, &watcher), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    // A proof that is there is not taken back while it is looked at again.
    let watcher = at_gates(&shop, StatusState::Success);
    let report = run(&shop.watched(BOT, &watcher), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    // Only the branch whose locks are reviewed has such a status.
    shop.approve_and_merge(2).await;
    shop.run_ok(&production()).await;
    assert_eq!(shop.forge(BOT).statuses(&shop.head("main").unwrap()).unwrap(), []);
}

#[tokio::test]
async fn a_deployment_alone_says_nothing_about_the_proof() {
    let shop = merged().await;
    orchestrator::lock::commit_lock(&shop.bot(), &staging(), None).await.unwrap();
    let head = shop.head("staging").unwrap();
    let before = proof_status(&shop, &head);
    shop.broken("staging", "platform", true);
    let request = orchestrator::DeployRequest::new(staging());
    assert_eq!(deploy(&shop.bot(), &request).await.unwrap().stopped, Some(ErrorKind::Negative));
    assert_eq!(proof_status(&shop, &head), before, "it was refused");
    shop.broken("staging", "platform", false);
    let hook = std::fs::read(shop.join("shop.git/hooks/update")).unwrap();
    shop.refuse_pushes("deploy/");
    deploy(&shop.bot(), &request).await.unwrap_err();
    assert_eq!(proof_status(&shop, &head), before, "it failed");
    // A whole run that fails like that says so.
    run(&shop.bot(), &RunRequest::new(staging())).await.unwrap_err();
    assert_eq!(proof_status(&shop, &head), Some(StatusState::Failure));
    std::fs::write(shop.join("shop.git/hooks/update"), hook).unwrap();
    assert_eq!(deploy(&shop.bot(), &request).await.unwrap().stopped, None);
    assert_eq!(proof_status(&shop, &head), Some(StatusState::Failure), "it was deployed, and not proven");
    let deployed = shop.newest(&staging(), Step::Deploy);
    assert!(deployed.finished.is_some_and(|finished| deployed.started < finished), "{deployed:?}");
}

#[tokio::test]
async fn a_promotion_that_somebody_made_a_draft_is_ready_after_the_next_run() {
    let shop = proven();
    let forge = shop.forge(BOT);
    forge.edit_pull_request(2, &PullRequestEdit::default().readiness(Readiness::Draft)).unwrap();
    let report = shop.run_ok(&staging()).await;
    assert_eq!(step_words(&report).last(), Some(&("promote", StepWord::Ok)));
    assert!(!forge.pull_request(2).unwrap().draft);
}

#[tokio::test]
async fn p13_content_that_comes_back_is_proven_again_before_it_is_promoted() {
    let shop = proven();
    let first = shop.gitlink("dev", "services/shop-web");
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let change = git::TreeChange::Gitlink { path: "services/shop-web".into(), commit: first };
    shop.commit("dev", &[change], "back to web 1");
    shop.merge_dev().await;
    let watcher = Watcher::new().dies_after("verify");
    assert!(dies(shop.watched(BOT, &watcher), RunRequest::new(staging())).await);
    assert_eq!(watcher.heard()[3], "deploy ok", "another release was deployed since");
    fails(promote(&shop.bot(), &staging()).await, ErrorKind::Refused);
    shop.run_ok(&staging()).await;
    assert_eq!(step_words(&promote(&shop.bot(), &staging()).await.unwrap()), [("promote", StepWord::Done)]);
}

#[tokio::test]
async fn a_proof_that_a_suite_took_back_is_not_promoted() {
    let shop = proven();
    let mut draft = shop.newest(&staging(), Step::Suite);
    draft.result = StepResult::Failed;
    shop.append(draft.reason("it fails now and then"));
    fails(promote(&shop.bot(), &staging()).await, ErrorKind::Refused);
    shop.run_ok(&staging()).await;
}

#[tokio::test]
async fn p17_p21_a_suite_that_fails_makes_no_proof_and_the_next_run_runs_it_again() {
    let shop = merged().await;
    shop.broken("staging", "system", true);
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Negative), "{report:#?}");
    let words = step_words(&report);
    let expected = [
        ("lock-commit", StepWord::Ok),
        ("gates", StepWord::Ok),
        ("health", StepWord::Ok),
        ("deploy", StepWord::Ok),
        ("verify", StepWord::Ok),
        ("suite system", StepWord::Failed),
        ("proof", StepWord::Failed),
    ];
    assert_eq!(words, expected);
    let head = shop.head("staging").unwrap();
    assert_eq!(proof_status(&shop, &head), Some(StatusState::Failure));
    assert_eq!(shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap(), None);
    // There is nothing to promote or to release.
    fails(promote(&shop.bot(), &staging()).await, ErrorKind::Refused);
    shop.broken("staging", "system", false);
    let report = shop.run_ok(&staging()).await;
    let words = step_words(&report);
    assert_eq!(words[3..6], [("deploy", StepWord::Done), ("verify", StepWord::Ok), ("suite system", StepWord::Ok)]);
    assert_eq!(proof_status(&shop, &head), Some(StatusState::Success));
    assert_eq!(shop.commits("deploy/staging"), 1);
}

#[tokio::test]
async fn p21_a_promotion_goes_back_to_draft_when_its_proof_is_taken_back() {
    let shop = proven();
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.broken("staging", "system", true);
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Negative), "{report:#?}");
    assert_eq!(step_words(&report).last(), Some(&("draft", StepWord::Done)));
    let forge = shop.forge(BOT);
    let promotion = forge.find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    assert!(promotion.draft);
    shop.broken("staging", "system", false);
    shop.run_ok(&staging()).await;
    assert!(!forge.pull_request(promotion.number).unwrap().draft);
}

#[tokio::test]
async fn every_suite_runs_although_one_of_them_fails() {
    let suites = "suites: [smoke, system]";
    let shop = Shop::with(&crate::shop::CONFIGURATION.replace("suites: [system]", suites));
    shop.merge_dev().await;
    shop.broken("staging", "smoke", true);
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Negative));
    let words = step_words(&report);
    let expected = [("suite smoke", StepWord::Failed), ("suite system", StepWord::Ok), ("proof", StepWord::Failed)];
    assert_eq!(words[5..], expected);
    shop.broken("staging", "smoke", false);
    let report = shop.run_ok(&staging()).await;
    let expected = [("suite smoke", StepWord::Ok), ("suite system", StepWord::Done), ("proof", StepWord::Ok)];
    assert_eq!(step_words(&report)[5..8], expected);
}

#[tokio::test]
async fn a_deployment_that_the_target_refuses_is_tried_again() {
    let shop = promoted().await;
    let hook = std::fs::read(shop.join("shop.git/hooks/update")).unwrap();
    shop.refuse_pushes("deploy/");
    let error = run(&shop.bot(), &RunRequest::new(production())).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Deploy | ErrorKind::Denied), "{error}: {:?}", error.causes());
    assert_eq!(shop.head("deploy/production"), None);
    let deployments = [StepResult::Started, StepResult::Failed, StepResult::Ok];
    let counted = |shop: &Shop| deployments.map(|result| shop.count(&production(), Step::Deploy, result));
    assert_eq!(counted(&shop), [1, 1, 0]);
    std::fs::write(shop.join("shop.git/hooks/update"), hook).unwrap();
    let report = shop.run_ok(&production()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Ok)));
    assert_eq!(counted(&shop), [2, 1, 1]);
}

#[tokio::test]
async fn a_tag_that_somebody_took_is_never_moved() {
    let shop = promoted().await;
    shop.broken("production", "smoke", true);
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    let tag = format!("refs/tags/release-2026-01-05-{}", report.release.unwrap().id8());
    let dev = shop.head("dev").unwrap();
    shop.git().update_ref(&tag, dev.as_str(), None).unwrap();
    shop.broken("production", "smoke", false);
    let before = shop.untouched();
    let error = run(&shop.bot(), &RunRequest::new(production())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(format!("{error:?}").contains("carries no release of ours"), "{error:?}");
    assert_eq!(shop.untouched(), before);
    assert_eq!(shop.git().commit(&tag).unwrap().unwrap().id, dev);
    assert!(shop.forge(BOT).releases().unwrap().is_empty());
    // Once it is free, the run goes on where it was.
    shop.git().update_ref(&tag, git::ABSENT, None).unwrap();
    let report = shop.run_ok(&production()).await;
    assert!(step_words(&report).contains(&("proof", StepWord::Ok)), "{report:#?}");
    assert_eq!(shop.forge(BOT).releases().unwrap().len(), 1);
}

#[tokio::test]
async fn the_ledgers_records_are_what_history_shows() {
    let shop = proven();
    let records = shop.ledger().records().len();
    let all = orchestrator::history(&shop.bot(), &HistoryRequest::default()).await.unwrap().records;
    assert_eq!(all.len(), records);
    let mut two = HistoryRequest::default();
    (two.environment, two.limit) = (Some(staging()), Some(2));
    let two = orchestrator::history(&shop.bot(), &two).await.unwrap().records;
    let rows: Vec<_> = two.iter().map(|row| (row.step.as_str(), row.result, row.by.as_str())).collect();
    assert_eq!(rows, [("promote", StepResult::Started, BOT), ("promote", StepResult::Ok, BOT)]);
    let mut none = HistoryRequest::default();
    none.environment = Some(production());
    assert!(orchestrator::history(&shop.bot(), &none).await.unwrap().records.is_empty());
}

#[tokio::test]
async fn p13_the_same_release_again_is_no_change() {
    let shop = released();
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    for name in [staging(), production()] {
        let report = shop.run_ok(&name).await;
        let done = |step: &str| report.steps.iter().find(|line| line.step == step).unwrap().result;
        assert_eq!((done("deploy"), done("proof")), (StepWord::Done, StepWord::Done), "{report:#?}");
    }
    assert_eq!(shop.untouched(), before);
    assert_eq!(shop.ledger().records().len(), records, "{:?}", shop.story(records));
    let report = deploy(&shop.bot(), &orchestrator::DeployRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, None);
    let expected =
        [("gates", StepWord::Ok), ("health", StepWord::Ok), ("deploy", StepWord::Done), ("verify", StepWord::Ok)];
    assert_eq!(step_words(&report), expected);
    // Promotion and release alone find their work done, too.
    assert_eq!(step_words(&promote(&shop.bot(), &staging()).await.unwrap()), [("promote", StepWord::Done)]);
    assert_eq!(step_words(&release(&shop.bot(), &production(), None).await.unwrap()), [("release", StepWord::Done)]);
    assert_eq!(shop.untouched(), before);
}

#[tokio::test]
async fn p13_a_readme_edit_makes_no_release() {
    let shop = released();
    shop.commit("dev", &[write("README.md", "# A better shop\n")], "words");
    shop.merge_dev().await;
    let report = shop.run_ok(&staging()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Done)), "{report:#?}");
    assert_eq!(shop.count(&staging(), Step::Deploy, StepResult::Ok), 1);
    assert_eq!(proof_status(&shop, &shop.head("staging").unwrap()), Some(StatusState::Success));
}

#[tokio::test]
async fn a_deployment_is_applied_again_where_that_is_asked_for() {
    let shop = released();
    let mut request = orchestrator::DeployRequest::new(production());
    request.again = true;
    let report = deploy(&shop.bot(), &request).await.unwrap();
    assert_eq!(step_words(&report)[2..], [("deploy", StepWord::Ok), ("verify", StepWord::Ok)]);
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Started), 2);
    assert_eq!(shop.commits("deploy/production"), 1, "the branch holds it already");
}

#[tokio::test]
async fn a_deployment_that_somebody_changed_is_found_and_deployed_again() {
    let shop = released();
    let path = "services/shop-web/app.yaml";
    let stored = shop.file("deploy/production", path).unwrap();
    let digest = stored.trim_end().rsplit('@').next().unwrap();
    let other = stored.replace(digest, lock_model::Digest::of(b"another image").as_str());
    assert_ne!(other, stored);
    shop.commit("deploy/production", &[write(path, &other)], "by hand");
    let records = shop.ledger().records().len();
    let verified = orchestrator::verify(&shop.context("dana"), &production()).await.unwrap();
    assert!(!verified.proof.is_proven());
    let drift = orchestrator::drift(&shop.context("dana"), &production()).await.unwrap();
    let changed: Vec<&str> = drift.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!((changed.as_slice(), drift.verdict()), ([path].as_slice(), Verdict::Negative(ErrorKind::Negative)));
    assert_eq!(shop.ledger().records().len(), records, "a person's look is no record");
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Negative), "{report:#?}");
    assert_eq!(step_words(&report).last(), Some(&("verify", StepWord::Failed)));
    let report = shop.run_ok(&production()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Ok)), "{report:#?}");
    assert_eq!(shop.file("deploy/production", path).unwrap(), stored);
    let drift = orchestrator::drift(&shop.bot(), &production()).await.unwrap();
    assert_eq!(drift.verdict(), Verdict::Positive, "{drift:#?}");
}

#[tokio::test]
async fn f16_p10_staging_that_moves_while_the_lock_is_committed_is_superseded() {
    let shop = Arc::new(merged().await);
    let other = Arc::clone(&shop);
    let known = u64::try_from(shop.ledger().records().len()).unwrap();
    // `lock-commit started` is written, then somebody pushes.
    let watcher = Watcher::new().before_record(known + 1, move || {
        other.commit("staging", &[write("README.md", "# Newer\n")], "newer");
    });
    let report = run(&shop.watched(BOT, &watcher), &RunRequest::new(staging())).await.unwrap();
    assert!(report.superseded.is_some(), "{report:#?}");
    assert_eq!((report.stopped, report.steps.len(), report.release), (None, 0, None));
    assert_eq!(shop.count(&staging(), Step::LockCommit, StepResult::Superseded), 1);
    assert_eq!(shop.head("deploy/staging"), None);
    assert_eq!(shop.file("staging", lock_model::LOCK_FILE), None);
}

#[tokio::test]
async fn t14_staging_that_moves_before_the_promotion_is_promoted_by_its_own_run() {
    let shop = Arc::new(merged().await);
    let other = Arc::clone(&shop);
    let watcher = Watcher::new().after("proof", move || {
        other.commit("staging", &[write("README.md", "# Newer\n")], "newer");
    });
    let report = run(&shop.watched(BOT, &watcher), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_eq!(shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap(), None);
}

#[tokio::test]
async fn p14_a_run_in_a_clone_does_the_same() {
    let shop = merged().await;
    let from = shop.join("shop.git").to_str().unwrap().to_owned();
    test_support::Repository::clone_from(&from, shop.join("clone"));
    let watcher = Watcher::new();
    let report = run(&shop.context_at("clone", BOT, &watcher), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_eq!(report.commit, shop.head("staging"), "the lock commit was fetched");
    assert_eq!(shop.commits("deploy/staging"), 1);
    let report = shop.run_ok(&staging()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Done)), "{report:#?}");
}

#[tokio::test]
async fn p25_a_service_that_was_left_out_for_too_long_stops_the_deployment() {
    let rule = "  locked-only: { reason: no container of its own }\n";
    let left_out =
        format!("{rule}  not-deployed:\n    shop-web: {{ reason: not yet, owner: dana, until: \"2026-01-31\" }}\n");
    let shop = Shop::with(&crate::shop::CONFIGURATION.replace(rule, &left_out));
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    assert_eq!(shop.file("deploy/staging", "services/shop-web/app.yaml"), None);
    shop.approve_and_merge(2).await;
    let before = shop.untouched();
    let late = shop.watched(BOT, &Watcher::days_later(60));
    fails(run(&late, &RunRequest::new(production())).await, ErrorKind::Refused);
    assert_eq!(shop.untouched(), before);
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Started), 0, "nothing was begun");
    shop.run_ok(&production()).await;
}
