//! Who may say what: approvals, whose rules hold, and who works on an environment.

use std::time::Duration;

use ledger::{PolicySource, Step, StepResult};
use orchestrator::forge::ReviewState;
use orchestrator::forge::{LeaseOutcome, StatusState};
use orchestrator::{
    DeployRequest, ErrorKind, RollbackRequest, RunRequest, approvals, deploy, hold, plan, promote, release, rollback,
    run, status, verify,
};

use crate::shop::{
    BOT, Shop, Watcher, environment, fails, merged, production, promoted, proven, released, staging, write,
};

fn approvals_status(shop: &Shop) -> Option<StatusState> {
    let statuses = shop.forge(BOT).statuses(&shop.head("staging").unwrap()).unwrap();
    statuses.into_iter().find(|status| status.context == "orchestrator/approvals").map(|status| status.state)
}

/// Approved, needed, missing, and the status on the head.
async fn counted(shop: &Shop, number: u64) -> (bool, u32, u32, Option<StatusState>) {
    let report = approvals(&shop.bot(), &production(), Some(number)).await.unwrap();
    assert_eq!(usize::try_from(report.needed.saturating_sub(report.missing)).unwrap(), report.counted.len().min(2));
    (report.approved, report.needed, report.missing, approvals_status(shop))
}

#[tokio::test]
async fn approvals_are_of_different_people_who_may_approve() {
    let shop = proven();
    assert_eq!(counted(&shop, 2).await, (false, 2, 2, Some(StatusState::Pending)));
    for who in ["ana", "ana", "rita"] {
        shop.review(who, 2, ReviewState::Approved).await;
    }
    assert_eq!(counted(&shop, 2).await, (false, 2, 1, Some(StatusState::Pending)));
    shop.review("ben", 2, ReviewState::Commented).await;
    assert_eq!(counted(&shop, 2).await, (false, 2, 1, Some(StatusState::Pending)));
    shop.review("ben", 2, ReviewState::Approved).await;
    assert_eq!(counted(&shop, 2).await, (true, 2, 0, Some(StatusState::Success)));
    let report = approvals(&shop.bot(), &production(), None).await.unwrap();
    assert_eq!((report.pull_request, report.policy.source), (2, PolicySource::Bootstrap));
    assert_eq!(report.counted, ["ana", "ben"]);
    let not_counted: Vec<&str> = report.not_counted.iter().map(|review| review.user.as_str()).collect();
    assert_eq!(not_counted, ["rita"], "she may only read");
}

#[tokio::test]
async fn a_no_blocks_until_it_is_taken_back() {
    let shop = proven();
    for who in ["ana", "ben"] {
        shop.review(who, 2, ReviewState::Approved).await;
    }
    shop.review("eve", 2, ReviewState::ChangesRequested).await;
    assert!(matches!(counted(&shop, 2).await, (false, 2, _, Some(StatusState::Failure))));
    shop.review("eve", 2, ReviewState::Dismissed).await;
    assert_eq!(counted(&shop, 2).await, (true, 2, 0, Some(StatusState::Success)));
}

#[tokio::test]
async fn an_approval_of_other_content_is_stale() {
    let shop = proven();
    for who in ["ana", "ben"] {
        shop.review(who, 2, ReviewState::Approved).await;
    }
    assert!(counted(&shop, 2).await.0);
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    assert_eq!(counted(&shop, 2).await, (false, 2, 2, Some(StatusState::Pending)));
    shop.approve_and_merge(2).await;
    shop.run_ok(&production()).await;
}

#[tokio::test]
async fn t1_a_pull_request_is_counted_by_the_rules_that_it_wants_to_relax() {
    let shop = released();
    shop.configure("dev", "count: 2", "count: 1");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    shop.review("ana", 4, ReviewState::Approved).await;
    hold(&shop.context("eve"), &production(), "the fair").await.unwrap();
    let report = approvals(&shop.bot(), &production(), Some(4)).await.unwrap();
    assert_eq!((report.approved, report.needed, report.policy.source), (false, 2, PolicySource::Passed));
    // What an approver must not overlook.
    let [held, loosened] = report.warnings.as_slice() else { panic!("{:?}", report.warnings) };
    assert!(held.contains("`production` is held") && held.contains("by `eve`: the fair"), "{held}");
    assert!(loosened.contains("loosens a rule"), "{loosened}");
    assert_eq!((report.policy_relaxations.len(), report.unreviewed), (1, None));
    let inputs: Vec<&str> = report.inputs.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(inputs, ["orchestrator.yaml"]);
    let [carried] = report.carried.as_slice() else { panic!("{:?}", report.carried) };
    assert_eq!((carried.number, carried.author.as_str(), carried.merged_by.as_deref()), (3, "dana", Some("dana")));
    assert!(carried.approved_by.is_empty());
}

#[tokio::test]
async fn approvals_of_what_is_merged_or_goes_elsewhere() {
    let shop = promoted().await;
    let report = approvals(&shop.bot(), &production(), Some(2)).await.unwrap();
    assert!(report.approved);
    fails(approvals(&shop.bot(), &production(), Some(1)).await, ErrorKind::Usage);
    fails(approvals(&shop.bot(), &production(), None).await, ErrorKind::Refused);
    fails(approvals(&shop.bot(), &production(), Some(99)).await, ErrorKind::Repository);
    let two = proven();
    let main = two.head("main").unwrap();
    two.force("hotfix", &main);
    two.commit("hotfix", &[write("README.md", "# Other\n")], "other");
    two.open_pull_request("hotfix", "main").await;
    fails(approvals(&two.bot(), &production(), None).await, ErrorKind::Usage);
    // Staging asks for none.
    let merged = approvals(&two.bot(), &staging(), Some(1)).await.unwrap();
    assert_eq!((merged.approved, merged.needed), (true, 0));
}

#[tokio::test]
async fn t1_a_branch_that_calls_itself_production_is_not_deployed_there() {
    let shop = released();
    let before = shop.head("deploy/production");
    // A branch that anybody may push says that it is the production branch, with rules of its own.
    shop.force("evil", &shop.head("main").unwrap());
    shop.configure("evil", "production: main", "production: evil");
    let web = shop.new_version("shop-web", 2, crate::shop::Built::Yes);
    shop.commit("evil", &[git::TreeChange::Gitlink { path: "services/shop-web".into(), commit: web }], "web 2");
    let report = shop.run_ok(&production()).await;
    assert_eq!(report.commit, shop.head("main"));
    let evil = shop.head("evil").unwrap();
    let mut request = RunRequest::new(production());
    request.revision = Some(evil.to_string());
    fails(run(&shop.bot(), &request).await, ErrorKind::Repository);
    assert_eq!(shop.head("deploy/production"), before);
}

/// Every branch but `main` says that production is an open branch, and `HEAD` is that branch.
fn everybody_else_says(shop: &Shop) {
    for name in ["dev", "staging"] {
        shop.configure(name, "production: main", "production: a-evil");
    }
    shop.force("a-evil", &shop.head("main").unwrap());
    shop.configure("a-evil", "production: main", "production: a-evil");
    std::fs::write(shop.join("shop.git/HEAD"), "ref: refs/heads/a-evil\n").unwrap();
}

#[tokio::test]
async fn t1_before_the_first_deployment_a_protected_branch_is_believed_first() {
    let shop = promoted().await;
    everybody_else_says(&shop);
    assert_eq!(shop.head("deploy/production"), None);
    let report = shop.run_ok(&production()).await;
    assert_eq!(report.commit, shop.head("main"));
}

#[tokio::test]
async fn t1_after_a_deployment_the_branch_that_was_deployed_is_believed() {
    let shop = released();
    everybody_else_says(&shop);
    // No rule protects any branch now.
    let rules = shop.join("forge/branches.json");
    let mut document: serde_json::Value = serde_json::from_slice(&std::fs::read(&rules).unwrap()).unwrap();
    document["protected"] = serde_json::json!({});
    std::fs::write(&rules, serde_json::to_vec_pretty(&document).unwrap()).unwrap();
    assert!(shop.forge(BOT).protected_branches().unwrap().is_empty());
    let report = shop.run_ok(&production()).await;
    assert_eq!(report.commit, shop.head("main"));
}

#[tokio::test]
async fn t1_before_the_first_configuration_an_open_branch_only_says_which_branch_it_is() {
    // `main` has no configuration: what `staging` says of `production` names a protected branch.
    let shop = proven();
    shop.force("a-evil", &shop.head("staging").unwrap());
    shop.configure("a-evil", "production: main", "production: a-evil");
    let open = fails(deploy(&shop.bot(), &DeployRequest::new(production())).await, ErrorKind::Usage);
    assert!(open.all_problems().is_empty());
    assert_eq!(shop.head("deploy/production"), None);
}

#[tokio::test]
async fn p14_an_environment_on_an_open_branch_is_its_own() {
    let preview =
        "environments:\n  preview:\n    branch: integration\n    mode: preview\n    namespace: shop-preview\n";
    let configuration = crate::shop::CONFIGURATION.replace("environments:\n", preview);
    let shop = Shop::with(&configuration);
    // No lock is committed to `dev`: it cannot be deployed, but its branch is found.
    let error = fails(deploy(&shop.bot(), &DeployRequest::new(environment("preview"))).await, ErrorKind::Repository);
    assert!(error.message().contains(shop.head("dev").unwrap().short(12)), "{error}");
}

#[tokio::test]
async fn an_environment_that_no_configuration_knows_or_that_has_no_branch() {
    let shop = merged().await;
    let nowhere = environment("nowhere");
    fails(run(&shop.bot(), &RunRequest::new(nowhere.clone())).await, ErrorKind::Usage);
    fails(hold(&shop.bot(), &nowhere, "what").await, ErrorKind::Usage);
    fails(plan(&shop.bot(), &nowhere, None).await, ErrorKind::Usage);
    // A pull request's environment is deployed nowhere.
    fails(run(&shop.bot(), &RunRequest::new(environment("pull-request"))).await, ErrorKind::Usage);
    let empty = Shop::new();
    empty.force("dev", &empty.head("main").unwrap());
    let error = fails(run(&empty.bot(), &RunRequest::new(staging())).await, ErrorKind::Usage);
    assert!(!error.hints().is_empty());
}

#[tokio::test]
async fn p23_f5_a_busy_environment_is_temporary() {
    let shop = promoted().await;
    let other = shop.forge(BOT);
    let LeaseOutcome::Held(lease) = other.lease(&production(), "another run").unwrap() else { panic!("it is free") };
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    let bot = shop.bot();
    let error = fails(run(&bot, &RunRequest::new(production())).await, ErrorKind::Temporary);
    assert!(error.message().contains("another run"), "{error}");
    fails(deploy(&bot, &DeployRequest::new(production())).await, ErrorKind::Temporary);
    // What cannot be gone back to is refused at once.
    fails(rollback(&bot, &RollbackRequest::new(production(), "trouble")).await, ErrorKind::Refused);
    fails(release(&bot, &production(), None).await, ErrorKind::Temporary);
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records));
    // Staging is free.
    shop.run_ok(&staging()).await;
    // Who waits goes on once it is free.
    let mut request = RunRequest::new(production());
    request.wait = Duration::from_secs(60);
    let watcher = Watcher::new();
    let waiting = shop.watched(BOT, &watcher);
    let waiting = tokio::spawn(async move { run(&waiting, &request).await });
    while watcher.heard().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(watcher.heard()[0].contains("another run"), "{:?}", watcher.heard());
    drop(lease);
    let report = waiting.await.unwrap().unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Ok), 1);
}

#[tokio::test]
async fn nothing_is_promoted_released_or_compared_before_it_is_proven() {
    let shop = promoted().await;
    fails(release(&shop.bot(), &production(), None).await, ErrorKind::Refused);
    fails(verify(&shop.bot(), &production()).await, ErrorKind::Refused);
    assert!(verify(&shop.bot(), &staging()).await.unwrap().proof.is_proven());
    let planned = plan(&shop.bot(), &production(), None).await.unwrap();
    assert_eq!(Some(planned.commit), shop.head("main"));
    assert!(!planned.changes.is_empty());
    assert_eq!(planned.not_deployed.len(), 1, "the dashboards are configuration");
    shop.run_ok(&production()).await;
    assert_eq!(plan(&shop.bot(), &production(), None).await.unwrap().changes, []);
    // A production that promotes to nowhere.
    fails(promote(&shop.bot(), &production()).await, ErrorKind::Usage);
    let standing = status(&shop.bot(), None).await.unwrap();
    let names: Vec<&str> = standing.environments.iter().map(|one| one.environment.as_str()).collect();
    assert_eq!(names, ["production", "staging"]);
}

#[tokio::test]
async fn who_may_not_write_deploys_nothing() {
    let shop = promoted().await;
    let before = shop.untouched();
    fails(run(&shop.context("rita"), &RunRequest::new(production())).await, ErrorKind::Denied);
    assert_eq!(shop.untouched(), before);
}
