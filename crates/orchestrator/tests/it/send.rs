//! Every public async function gives a future that can be spawned. To compile is the test.

use std::path::Path;

use orchestrator::forge::simulator::Bypass;
use orchestrator::forge::{NewPullRequest, ReviewState};
use orchestrator::lock::{
    LockCheckRequest, LockGenerateRequest, LockMigrateRequest, LockPublishRequest, check_lock, commit_lock,
    diff_locks_with_commits, generate_lock, migrate_lock, publish_lock, reject_lock,
};
use orchestrator::pull_requests::{
    PullRequestFilter, PullRequestName, ReviewRequest, check_pull_request, close_pull_request, find_pull_request,
    list_pull_requests, merge_pull_request, open_pull_request, ready_pull_request, review_pull_request,
    view_pull_request,
};
use orchestrator::{
    Context, DeployRequest, HistoryRequest, RollbackRequest, RunRequest, TestRequest, approvals, deploy, explain_image,
    health, history, hold, plan, promote, release, releases, rollback, run, run_tests, show_evidence, show_record,
    status, take_over, unhold, verify,
};

use crate::shop::{branch, environment};

fn is_send<T: Send>(_: T) {}

#[test]
fn every_future_is_send() {
    is_send::<fn(&Context, &Path)>(futures);
}

/// Never called: a future needs a context.
fn futures(context: &Context, file: &Path) {
    let name = &environment("staging");
    is_send(approvals(context, name, None));
    is_send(plan(context, name, None));
    is_send(deploy(context, &DeployRequest::new(name.clone())));
    is_send(verify(context, name));
    is_send(health(context, name));
    is_send(hold(context, name, ""));
    is_send(unhold(context, name, ""));
    is_send(take_over(context, name, ""));
    is_send(explain_image(context, "dev", &"shop-cart".try_into().unwrap()));
    is_send(run(context, &RunRequest::new(name.clone())));
    is_send(rollback(context, &RollbackRequest::new(name.clone(), "")));
    is_send(promote(context, name));
    is_send(release(context, name, None));
    is_send(history(context, &HistoryRequest::default()));
    is_send(show_record(context, 1));
    is_send(show_evidence(context, 1, "plan.json"));
    is_send(releases(context, None, None));
    is_send(status(context, None));
    is_send(run_tests(context, &TestRequest::new(name.clone())));

    is_send(check_lock(context, &LockCheckRequest::new("dev")));
    is_send(commit_lock(context, name, None));
    is_send(diff_locks_with_commits(context, file, "dev", "staging"));
    is_send(generate_lock(context, &LockGenerateRequest::new("dev")));
    is_send(migrate_lock(context, &LockMigrateRequest::new(file)));
    is_send(publish_lock(context, &LockPublishRequest::new(1)));
    is_send(reject_lock(context, "dev", ""));

    is_send(open_pull_request(context, &NewPullRequest::new(branch("dev"), branch("staging"), "")));
    is_send(ready_pull_request(context, 1));
    is_send(view_pull_request(context, 1));
    is_send(find_pull_request(context, &PullRequestName::Number(1)));
    is_send(list_pull_requests(context, &PullRequestFilter::default()));
    is_send(check_pull_request(context, 1, false));
    is_send(close_pull_request(context, 1, None));
    is_send(review_pull_request(context, &ReviewRequest::new(1, ReviewState::Approved)));
    is_send(merge_pull_request(context, 1, None, Bypass::No));
}
