//! A clone without its whole history.

use orchestrator::lock::{LockPublishRequest, publish_lock};
use orchestrator::{
    Context, DeployRequest, Error, ErrorKind, RollbackRequest, RunRequest, TestRequest, accept_policy, accept_release,
    approvals, deploy, hold, plan_rollback, promote, rollback, run, run_tests, take_over, unhold,
};

use crate::shop::{BOT, Shop, Watcher, environment, production, promoted, staging};

fn shallow(shop: &Shop) -> Context {
    if !shop.join("shallow").exists() {
        let url = format!("file://{}", shop.join("shop.git").display());
        let target = shop.join("shallow");
        let clone = ["clone", "--quiet", "--depth=1", "--branch=staging", "--", &url, target.to_str().unwrap()];
        let _done = shop.git().checked(clone).unwrap();
    }
    shop.context_at("shallow", BOT, &Watcher::new())
}

fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Error>) {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Repository, "{error}");
    assert!(error.message().contains("it has the newest 1 commit"), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("git fetch --unshallow")), "{error:?}");
}

#[tokio::test]
async fn f27_a_shallow_clone_is_noticed_before_anything_is_written() {
    let shop = promoted().await;
    shop.bump("shop-web", 2);
    let number = shop.open_pull_request("dev", "staging").await;
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    assert_refused(run(&shallow(&shop), &RunRequest::new(staging())).await);
    assert_refused(run(&shallow(&shop), &RunRequest::new(production())).await);
    assert_refused(deploy(&shallow(&shop), &DeployRequest::new(staging())).await);
    assert_refused(promote(&shallow(&shop), &staging()).await);
    assert_refused(rollback(&shallow(&shop), &RollbackRequest::new(production(), "why")).await);
    assert_refused(plan_rollback(&shallow(&shop), &RollbackRequest::new(production(), "why")).await);
    assert_refused(accept_policy(&shallow(&shop), &production(), "HEAD", "why").await);
    assert_refused(take_over(&shallow(&shop), &production(), "why").await);
    assert_refused(unhold(&shallow(&shop), &production(), "why").await);
    assert_refused(accept_release(&shallow(&shop), &production(), "release-1", "why").await);
    assert_refused(approvals(&shallow(&shop), &production(), None).await);
    assert_refused(publish_lock(&shallow(&shop), &LockPublishRequest::new(number)).await);
    let mut request = TestRequest::new(environment("pull-request"));
    request.pull_request = Some(number);
    assert_refused(run_tests(&shallow(&shop), &request).await);
    assert_eq!(shop.untouched(), before);
    assert_eq!(shop.ledger().records().len(), records);
    let head = shop.head("dev").unwrap();
    assert!(shop.forge(BOT).statuses(&head).unwrap().is_empty(), "no status was set");
    // Stopping deployments needs no history.
    hold(&shallow(&shop), &production(), "why").await.unwrap();
}
