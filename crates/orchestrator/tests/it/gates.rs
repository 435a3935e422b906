//! What each gate refuses, and that a refusal changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use ledger::{PolicySource, ProofLevel, RecordDraft, RunIdentity, Step, StepResult};
use lock_model::{Content, Date, Digest, EnvironmentName, Exception, LOCK_FILE, Lock, Origin};
use orchestrator::forge::ReviewState;
use orchestrator::lock::reject_lock;
use orchestrator::report::v1::{RunReport, StepResult as StepWord};
use orchestrator::{DeployRequest, ErrorKind, RunRequest, deploy, hold, run, unhold};
use promotion::gates::Gate;

use crate::shop::{
    BOT, Shop, Watcher, branch, fails, meanwhile, merged, production, promoted, proven, released, released_twice,
    staging, step_words, write,
};

/// Asks the gates by a deployment and by a whole run, where a run gets that far. Both must refuse by exactly these
/// gates, record it, and change nothing.
async fn refuses(shop: &Shop, name: &EnvironmentName, gates: &[Gate], kind: ErrorKind) {
    refuses_deployment(shop, name, None, gates, kind).await;
    refuses_run(shop, &RunRequest::new(name.clone()), gates, kind).await;
}

async fn refuses_deployment(
    shop: &Shop,
    name: &EnvironmentName,
    revision: Option<&str>,
    gates: &[Gate],
    kind: ErrorKind,
) {
    let before = shop.untouched();
    let mut request = DeployRequest::new(name.clone());
    request.revision = revision.map(str::to_owned);
    let report = deploy(&shop.bot(), &request).await.unwrap();
    is_refusal(shop, &report, gates, kind);
    assert_eq!(shop.untouched(), before, "a refused deployment changes nothing");
}

async fn refuses_run(shop: &Shop, request: &RunRequest, gates: &[Gate], kind: ErrorKind) {
    let before = shop.untouched();
    let report = run(&shop.bot(), request).await.unwrap();
    is_refusal(shop, &report, gates, kind);
    assert_eq!(shop.untouched(), before, "a refused run changes nothing");
}

fn is_refusal(shop: &Shop, report: &RunReport, gates: &[Gate], kind: ErrorKind) {
    assert_eq!(report.stopped, Some(kind), "{report:#?}");
    let line = report.steps.iter().find(|line| line.step == "gates").unwrap();
    assert_eq!(line.result, StepWord::Refused);
    let asked_after: Vec<&str> = report.steps.iter().map(|line| line.step.as_str()).collect();
    assert!(!asked_after.contains(&"deploy"), "{asked_after:?}");
    assert_eq!(shop.refused_gates(&report.environment), gates.iter().copied().collect::<BTreeSet<_>>(), "{report:#?}");
    for gate in gates {
        assert!(line.detail.contains(gate.as_str()), "the report names {gate}: {}", line.detail);
    }
    let record = shop.newest(&report.environment, Step::Gates);
    assert_eq!(record.result, StepResult::Refused);
    assert!(record.reason.is_some_and(|reason| reason.contains(gates[0].as_str())));
}

/// The lock of a revision with something changed; its id is right.
fn changed_lock(shop: &Shop, revision: &str, change: impl FnOnce(&mut lock_model::LockParts)) -> String {
    let mut parts = shop.lock(revision).into_parts();
    change(&mut parts);
    Lock::new(parts).unwrap().to_yaml()
}

/// A lock that a hand wrote is recorded as if a run had committed it.
fn record_lock(shop: &Shop, text: &str) {
    let lock = Lock::parse(text.as_bytes(), LOCK_FILE).unwrap();
    let mut draft = shop.newest(&staging(), Step::LockCommit);
    draft.lock = Some(lock.id().clone());
    draft.lock_file = Some(Digest::of(text.as_bytes()));
    shop.append(draft);
}

#[tokio::test]
async fn p9_p10_belongs_to_tree_a_gitlink_that_no_lock_describes() {
    let shop = released();
    let web = shop.new_version("shop-web", 2, crate::shop::Built::Yes);
    let change = git::TreeChange::Gitlink { path: "services/shop-web".into(), commit: web };
    let main = shop.head("main").unwrap();
    shop.force("hotfix", &main);
    shop.commit("hotfix", &[change], "web 2, at once");
    let number = shop.open_pull_request("hotfix", "main").await;
    for reviewer in ["ana", "ben"] {
        shop.review(reviewer, number, ReviewState::Approved).await;
    }
    shop.merge_past_rules(number).await;
    refuses(&shop, &production(), &[Gate::BelongsToTree], ErrorKind::Repository).await;
}

#[tokio::test]
async fn f17_reviewed_head_a_promotion_that_was_squashed() {
    let shop = proven();
    let git = shop.git();
    let (main, staged) = (shop.head("main").unwrap(), shop.head("staging").unwrap());
    let tree = git.commit(staged.as_str()).unwrap().unwrap().tree;
    let identity = git::CommitIdentity::new("Ana", "ana@shop.example", lock_model::Timestamp::from_unix_seconds(0));
    let squashed = git.commit_tree(&tree, &[main], "all of it", &identity).unwrap();
    shop.force("main", &squashed);
    // No pull request made this commit, so nobody approved it either.
    let gates = [Gate::ReviewedHead, Gate::Approvals, Gate::MergedTree];
    refuses(&shop, &production(), &gates, ErrorKind::Repository).await;
}

#[tokio::test]
async fn reviewed_head_that_this_repository_does_not_have_is_not_a_yes() {
    let shop = proven();
    let text = changed_lock(&shop, "staging", |parts| parts.source.head = "1".repeat(40).try_into().unwrap());
    record_lock(&shop, &text);
    shop.commit("staging", &[write(LOCK_FILE, &text)], "a head from nowhere");
    refuses(&shop, &staging(), &[Gate::ReviewedHead], ErrorKind::Repository).await;
}

#[tokio::test]
async fn p3_t10_recorded_lock_a_file_that_no_run_committed() {
    let shop = proven();
    let text = changed_lock(&shop, "staging", |parts| {
        for service in parts.services.values_mut() {
            if let Content::Image(image) = &mut service.content {
                image.digest = Digest::of(b"an image that nobody reviewed");
            }
        }
    });
    shop.commit("staging", &[write(LOCK_FILE, &text)], "digests by hand");
    refuses_deployment(&shop, &staging(), None, &[Gate::RecordedLock], ErrorKind::Refused).await;
    // A whole run looks at the lock before its gates.
    let before = shop.untouched();
    fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Refused);
    assert_eq!(shop.untouched(), before);
}

#[tokio::test]
async fn not_rejected_a_lock_that_was_rejected_stays_rejected() {
    let shop = promoted().await;
    let rejected = reject_lock(&shop.bot(), "main", "loses orders").await.unwrap();
    assert_eq!(&rejected.lock, shop.lock("main").id());
    refuses(&shop, &production(), &[Gate::NotRejected], ErrorKind::Refused).await;
    refuses(&shop, &staging(), &[Gate::NotRejected], ErrorKind::Refused).await;
}

#[tokio::test]
async fn p1_resolved_what_was_taken_over_is_no_release() {
    let shop = proven();
    let text = changed_lock(&shop, "staging", |parts| {
        for service in parts.services.values_mut() {
            service.origin = Origin::Migrated;
        }
    });
    record_lock(&shop, &text);
    shop.commit("staging", &[write(LOCK_FILE, &text)], "the lock of the older pipeline");
    refuses(&shop, &staging(), &[Gate::Resolved], ErrorKind::Refused).await;
}

#[tokio::test]
async fn exceptions_end_on_their_day() {
    let shop = proven();
    let exception = |until: Date| {
        let text = |text: &str| text.try_into().unwrap();
        Exception::new("image".try_into().unwrap(), text("shop-cart"), text("a known fault"), text("dana"), until)
    };
    let text = changed_lock(&shop, "staging", |parts| {
        parts.exceptions.push(exception("2026-01-04".parse().unwrap()));
    });
    record_lock(&shop, &text);
    shop.commit("staging", &[write(LOCK_FILE, &text)], "an exception of yesterday");
    refuses(&shop, &staging(), &[Gate::Exceptions], ErrorKind::Refused).await;
    let text = changed_lock(&shop, "staging", |parts| {
        parts.exceptions = vec![exception("2026-01-05".parse().unwrap())];
    });
    record_lock(&shop, &text);
    shop.commit("staging", &[write(LOCK_FILE, &text)], "an exception until today");
    let report = deploy(&shop.bot(), &DeployRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
}

#[tokio::test]
async fn not_held_until_the_hold_is_lifted() {
    let shop = promoted().await;
    let held = hold(&shop.context("eve"), &production(), "a holiday").await.unwrap();
    assert!(held.held && held.record.is_some());
    refuses(&shop, &production(), &[Gate::NotHeld], ErrorKind::Refused).await;
    // Another environment is not held.
    shop.run_ok(&staging()).await;
    let lifted = unhold(&shop.context("eve"), &production(), "back at work").await.unwrap();
    assert!(!lifted.held && lifted.record.is_some());
    shop.run_ok(&production()).await;
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Ok), 1);
}

#[tokio::test]
async fn a_run_lifts_the_hold_that_it_is_told_to_lift() {
    let shop = promoted().await;
    let mut request = RunRequest::new(production());
    request.lift_hold = Some("back at work".to_owned());
    let unhelds = shop.count(&production(), Step::Unhold, StepResult::Ok);
    hold(&shop.context("eve"), &staging(), "not this one").await.unwrap();
    hold(&shop.context("eve"), &production(), "a holiday").await.unwrap();
    let report = run(&shop.bot(), &request).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_eq!(shop.count(&production(), Step::Unhold, StepResult::Ok), unhelds + 1);
    assert!(shop.ledger().held(&production()).is_none());
    assert!(shop.ledger().held(&staging()).is_some());
    assert_eq!(shop.newest(&production(), Step::Unhold).reason.as_deref(), Some("back at work"));
    // Without a hold there is nothing to record.
    let report = run(&shop.bot(), &request).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_eq!(shop.count(&production(), Step::Unhold, StepResult::Ok), unhelds + 1);
}

#[tokio::test]
async fn t14_no_downgrade_an_old_commit_takes_nothing_back() {
    let shop = released_twice();
    let old = shop.git().commit("refs/heads/main~1").unwrap().unwrap().id;
    let gates = [Gate::NoDowngrade];
    refuses_deployment(&shop, &production(), Some(old.as_str()), &gates, ErrorKind::Refused).await;
    let mut request = RunRequest::new(production());
    request.revision = Some(old.to_string());
    refuses_run(&shop, &request, &gates, ErrorKind::Refused).await;
    // The newest again is no change.
    let before = shop.untouched();
    shop.run_ok(&production()).await;
    assert_eq!(shop.untouched(), before);
}

#[tokio::test]
async fn t13_a_commit_that_was_never_the_tip_is_not_run() {
    let shop = released();
    let dev = shop.head("dev").unwrap();
    let mut request = RunRequest::new(production());
    request.revision = Some(dev.to_string());
    fails(run(&shop.bot(), &request).await, ErrorKind::Repository);
    request.revision = Some("no-such-thing".to_owned());
    fails(run(&shop.bot(), &request).await, ErrorKind::Repository);
}

#[tokio::test]
async fn p9_staging_proof_a_release_that_staging_never_proved() {
    let shop = released();
    let main = shop.head("main").unwrap();
    shop.force("hotfix", &main);
    // Another namespace is another release; its lock is the same.
    shop.configure("hotfix", "namespace: shop-production", "namespace: shop-elsewhere");
    let number = shop.open_pull_request("hotfix", "main").await;
    for reviewer in ["ana", "ben"] {
        shop.review(reviewer, number, ReviewState::Approved).await;
    }
    shop.merge_past_rules(number).await;
    refuses(&shop, &production(), &[Gate::StagingProof, Gate::Suites], ErrorKind::Refused).await;
}

#[tokio::test]
async fn p18_suites_that_were_taken_off_the_list_are_still_required() {
    let shop = released();
    shop.configure("dev", "    suites: [system]\n", "");
    shop.merge_dev().await;
    let report = shop.run_ok(&staging()).await;
    assert!(report.steps.iter().all(|line| !line.step.starts_with("suite")), "{report:#?}");
    shop.approve_and_merge(4).await;
    refuses(&shop, &production(), &[Gate::Suites], ErrorKind::Refused).await;
}

#[tokio::test]
async fn approvals_are_counted_again_after_a_merge_past_the_rules() {
    let shop = proven();
    shop.review("ana", 2, ReviewState::Approved).await;
    shop.merge_past_rules(2).await;
    refuses(&shop, &production(), &[Gate::Approvals], ErrorKind::Refused).await;
}

#[tokio::test]
async fn t1_approvals_are_those_of_the_branch_as_it_was_before() {
    let shop = released();
    shop.configure("dev", "count: 2", "count: 1");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    shop.review("ana", 4, ReviewState::Approved).await;
    shop.merge_past_rules(4).await;
    refuses(&shop, &production(), &[Gate::Approvals], ErrorKind::Refused).await;
    assert_eq!(shop.newest(&production(), Step::Gates).policy.map(|policy| policy.source), Some(PolicySource::Passed));
}

#[tokio::test]
async fn the_first_configuration_of_a_branch_brings_its_own_rules() {
    let shop = promoted().await;
    let report = shop.run_ok(&production()).await;
    assert!(report.warnings.iter().any(|warning| warning.starts_with("bootstrap: `main`")), "{report:#?}");
    assert_eq!(
        shop.newest(&production(), Step::Gates).policy.map(|policy| policy.source),
        Some(PolicySource::Bootstrap)
    );
    let asked = Gate::ALL.len() - 1;
    assert_eq!(
        report.steps[0].detail,
        format!("{asked} gates passed"),
        "all but that of the branch that commits locks"
    );
    // The rules are read before the merge, not before the lock commit on it.
    assert_eq!(shop.newest(&staging(), Step::Gates).policy.map(|policy| policy.source), Some(PolicySource::Bootstrap));
    let report = shop.run_ok(&staging()).await;
    assert_eq!(report.steps[1].detail, "10 gates passed", "staging asks neither for a proof nor for approvals");
}

#[tokio::test]
async fn a_branch_with_a_configuration_is_judged_by_it() {
    let shop = released_twice();
    for name in [staging(), production()] {
        let report = shop.run_ok(&name).await;
        assert_eq!(report.warnings, [""; 0], "{report:#?}");
        assert_eq!(shop.newest(&name, Step::Gates).policy.map(|policy| policy.source), Some(PolicySource::Passed));
    }
}

#[tokio::test]
async fn t13_merged_tree_main_held_what_nobody_approved() {
    let shop = proven();
    for reviewer in ["ana", "ben"] {
        shop.review(reviewer, 2, ReviewState::Approved).await;
    }
    orchestrator::approvals(&shop.bot(), &production(), Some(2)).await.unwrap();
    shop.commit("main", &[write("HOTFIX.md", "in a hurry\n")], "a hotfix");
    shop.merge("ana", 2).await;
    refuses(&shop, &production(), &[Gate::MergedTree], ErrorKind::Refused).await;
}

#[tokio::test]
async fn p10_a_commit_without_a_pull_request_was_approved_by_nobody() {
    let shop = released();
    shop.commit("main", &[write("README.md", "# In a hurry\n")], "straight to main");
    refuses(&shop, &production(), &[Gate::Approvals, Gate::MergedTree], ErrorKind::Refused).await;
}

#[tokio::test]
async fn the_merger_does_not_approve_where_the_rules_exclude_mergers() {
    let shop =
        Shop::with(&crate::shop::CONFIGURATION.replace("{ count: 2 }", "{ count: 2, exclude: [author, merger] }"));
    shop.open_pull_request("dev", "staging").await;
    shop.check(1).await;
    shop.merge("ana", 1).await;
    shop.run_ok(&staging()).await;
    for reviewer in ["ana", "ben"] {
        shop.review(reviewer, 2, ReviewState::Approved).await;
    }
    let counted = orchestrator::approvals(&shop.bot(), &production(), Some(2)).await.unwrap();
    assert_eq!((counted.approved, counted.needed, counted.missing), (false, 2, 1), "{counted:#?}");
    assert_eq!(counted.counted, ["ben"]);
    assert!(counted.not_counted.iter().any(|review| review.user == "ana"), "{counted:#?}");
    shop.merge_past_rules(2).await;
    refuses(&shop, &production(), &[Gate::Approvals], ErrorKind::Refused).await;
}

#[tokio::test]
async fn every_refusal_is_reported_at_once() {
    let shop = proven();
    shop.merge_past_rules(2).await;
    reject_lock(&shop.bot(), "main", "loses orders").await.unwrap();
    hold(&shop.bot(), &production(), "a holiday").await.unwrap();
    let gates = [Gate::NotRejected, Gate::NotHeld, Gate::Approvals];
    refuses(&shop, &production(), &gates, ErrorKind::Refused).await;
}

/// What lands in the ledger after the gates passed, and stops the run before it changes anything.
async fn stops_before_the_deployment(
    landed: impl FnOnce(&Shop) + Send + 'static,
    kind: ErrorKind,
    undo: impl AsyncFnOnce(&Shop),
) {
    let shop = Arc::new(promoted().await);
    let before = shop.untouched();
    let other = Arc::clone(&shop);
    let watcher = Watcher::new().after("health", move || landed(&other));
    fails(run(&shop.watched(BOT, &watcher), &RunRequest::new(production())).await, kind);
    assert_eq!(watcher.heard()[..2], ["gates ok", "health ok"]);
    assert_eq!(shop.untouched(), before, "nothing was deployed");
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Started), 0, "nothing was begun");
    undo(&shop).await;
}

#[tokio::test]
async fn f10_a_hold_that_lands_after_the_gates_stops_the_deployment() {
    let landed = |shop: &Shop| {
        let eve = shop.context("eve");
        meanwhile(async move { hold(&eve, &production(), "wait").await.unwrap() });
    };
    stops_before_the_deployment(landed, ErrorKind::Refused, async |shop| {
        unhold(&shop.context("eve"), &production(), "go on").await.unwrap();
        shop.run_ok(&production()).await;
        assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Ok), 1);
    })
    .await;
}

#[tokio::test]
async fn f10_a_hold_that_lands_while_the_gates_are_asked_stops_the_deployment() {
    let shop = Arc::new(promoted().await);
    let before = shop.untouched();
    let other = Arc::clone(&shop);
    let known = u64::try_from(shop.ledger().records().len()).unwrap();
    let watcher = Watcher::new().before_record(known + 1, move || {
        let eve = other.context("eve");
        meanwhile(async move { hold(&eve, &production(), "wait").await.unwrap() });
    });
    fails(run(&shop.watched(BOT, &watcher), &RunRequest::new(production())).await, ErrorKind::Refused);
    // What the gates said is recorded behind the hold; nothing is begun after it.
    assert_eq!(shop.count(&production(), Step::Gates, StepResult::Ok), 1);
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Started), 0);
    assert_eq!(shop.untouched(), before);
}

#[tokio::test]
async fn f10_a_rejection_that_lands_after_the_gates_stops_the_deployment() {
    let landed = |shop: &Shop| {
        let eve = shop.context("eve");
        meanwhile(async move { reject_lock(&eve, "main", "loses orders").await.unwrap() });
    };
    stops_before_the_deployment(landed, ErrorKind::Refused, async |_| ()).await;
}

#[tokio::test]
async fn f10_a_proof_that_is_taken_back_after_the_gates_stops_the_deployment() {
    let landed = |shop: &Shop| {
        let mut draft = shop.newest(&staging(), Step::Proof);
        assert_eq!(draft.proof, Some(ProofLevel::Stored));
        draft.result = StepResult::Failed;
        draft.proof = None;
        shop.append(draft.reason("it was a fluke"));
    };
    stops_before_the_deployment(landed, ErrorKind::Refused, async |_| ()).await;
}

#[tokio::test]
async fn p23_another_run_that_begins_after_the_gates_goes_on_alone() {
    let landed = |shop: &Shop| {
        let gates = shop.newest(&production(), Step::Gates);
        let run = RunIdentity { nonce: Some("another".to_owned()), ..gates.run };
        let mut draft = RecordDraft::new(Step::Deploy, StepResult::Started, run, gates.started);
        draft.environment = gates.environment;
        draft.release = gates.release;
        draft.lock = gates.lock;
        draft.lock_file = gates.lock_file;
        draft.config = gates.config;
        draft.commit = gates.commit;
        draft.tree = gates.tree;
        shop.append(draft);
    };
    let shop = Arc::new(promoted().await);
    let before = shop.untouched();
    let other = Arc::clone(&shop);
    let watcher = Watcher::new().after("health", move || landed(&other));
    fails(run(&shop.watched(BOT, &watcher), &RunRequest::new(production())).await, ErrorKind::Temporary);
    assert_eq!(shop.untouched(), before, "nothing was deployed");
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Started), 1, "only the other run's");
    // The other run died: this one goes on where that one was.
    shop.run_ok(&production()).await;
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Ok), 1);
}

#[tokio::test]
async fn f10_a_hold_of_another_environment_stops_nothing() {
    let shop = Arc::new(promoted().await);
    let other = Arc::clone(&shop);
    let watcher = Watcher::new().after("health", move || {
        let eve = other.context("eve");
        meanwhile(async move { hold(&eve, &staging(), "wait").await.unwrap() });
    });
    let report = run(&shop.watched(BOT, &watcher), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    let words = step_words(&report);
    assert_eq!(words.last(), Some(&("release", StepWord::Ok)), "{words:?}");
}

#[tokio::test]
async fn p10_a_push_to_staging_without_a_pull_request_gets_no_lock() {
    let shop = merged().await;
    shop.commit("staging", &[write("README.md", "# In a hurry\n")], "straight to staging");
    let before = shop.untouched();
    fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Refused);
    fails(deploy(&shop.bot(), &DeployRequest::new(staging())).await, ErrorKind::Repository);
    assert_eq!(shop.untouched(), before);
    let statuses = shop.forge(BOT).statuses(&shop.head("staging").unwrap()).unwrap();
    let lock = statuses.iter().find(|status| status.context == "orchestrator/lock").unwrap();
    assert_eq!(lock.state, orchestrator::forge::StatusState::Failure);
    assert_eq!(shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap(), None);
}

#[tokio::test]
async fn t12_a_push_past_the_pull_request_is_not_deployed_because_its_lock_is_there() {
    let shop = proven();
    for changes in [&[write("README.md", "# In a hurry\n")][..], &[]] {
        shop.commit("staging", changes, "straight to staging");
        let before = shop.untouched();
        fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Refused);
        assert_eq!(shop.untouched(), before);
    }
}

#[tokio::test]
async fn f25_the_forge_is_asked_again_before_an_effect() {
    let shop = promoted().await;
    let before = shop.untouched();
    // After the gates passed, two approvers lose the permission that makes their approvals count.
    let users = shop.join("forge/users.json");
    let watcher = Watcher::new().after("health", move || {
        let text = std::fs::read_to_string(&users).unwrap();
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (name, user) in document["users"].as_object_mut().unwrap() {
            if name != BOT {
                user["role"] = "read".into();
            }
        }
        std::fs::write(&users, document.to_string()).unwrap();
    });
    let error = run(&shop.watched(BOT, &watcher), &RunRequest::new(production())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.message().contains("the forge says something else than before"), "{error}");
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Started), 0, "nothing was begun");
    assert_eq!(shop.untouched(), before);
}
