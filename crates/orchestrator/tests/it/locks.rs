//! Locks: made for a pull request, judged, made again for some services, and committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{Step, StepResult, Unreviewed};
use lock_model::{Content, Digest, LOCK_FILE, Lock};
use orchestrator::forge::StatusState;
use orchestrator::lock::{
    LockCheckRequest, LockGenerateRequest, LockPublishRequest, check_lock, commit_lock, generate_lock, publish_lock,
    reject_lock,
};
use orchestrator::report::v1::LockCheckReport;
use orchestrator::{ErrorKind, RunRequest, TestRequest, approvals, run, run_tests};

use crate::shop::{
    BOT, Built, Shop, Watcher, branch, environment, fails, locked, merged, production, proven, staging, write,
};

fn lock_status(shop: &Shop, revision: &str) -> Option<StatusState> {
    let statuses = shop.forge(BOT).statuses(&shop.head(revision).unwrap()).unwrap();
    statuses.into_iter().find(|status| status.context == "orchestrator/lock").map(|status| status.state)
}

/// The digest of each service's image.
fn digests(lock: &Lock) -> BTreeMap<&str, Option<&Digest>> {
    let services = lock.services().iter();
    services
        .map(|(name, service)| match &service.content {
            Content::Image(image) => (name.as_str(), Some(&image.digest)),
            Content::Configuration => (name.as_str(), None),
        })
        .collect()
}

#[tokio::test]
async fn p12_the_lock_of_a_pull_request_is_published_with_status_and_one_comment() {
    let shop = Shop::new();
    let number = shop.open_pull_request("dev", "staging").await;
    let published = publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    assert_eq!(published.superseded, None);
    let lock = published.published.unwrap();
    assert_eq!(lock.services.len(), 3);
    assert_eq!(lock_status(&shop, "dev"), Some(StatusState::Success));
    let artefact = shop.forge(BOT).artefact(number, "lock.yaml").unwrap().unwrap();
    assert_eq!(Lock::parse(&artefact, "lock.yaml").unwrap().id(), &lock.lock);
    // The same again, and a newer one: still one comment.
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    shop.bump("shop-web", 2);
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let shown = orchestrator::pull_requests::view_pull_request(&shop.bot(), number).await.unwrap();
    assert_eq!(shown.comments.len(), 1, "{shown:#?}");
}

#[tokio::test]
async fn p2_an_image_that_is_missing_makes_no_lock() {
    let shop = Shop::new();
    let cart = shop.new_version("shop-cart", 2, Built::No);
    shop.commit("dev", &[git::TreeChange::Gitlink { path: "services/shop-cart".into(), commit: cart }], "cart 2");
    let number = shop.open_pull_request("dev", "staging").await;
    let error = fails(publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await, ErrorKind::Image);
    let subjects: Vec<&str> = error.all_problems().iter().map(|problem| problem.subject.as_str()).collect();
    assert_eq!(subjects, ["shop-cart"]);
    assert_eq!(lock_status(&shop, "dev"), Some(StatusState::Failure));
    assert_eq!(shop.forge(BOT).artefact(number, "lock.yaml").unwrap(), None);
}

#[tokio::test]
async fn a_pull_request_with_conflicts_gets_no_lock_and_is_not_tested() {
    let shop = Shop::new();
    shop.commit("dev", &[write("README.md", "# One\n")], "one");
    shop.commit("staging", &[write("README.md", "# Other\n")], "other");
    let number = shop.open_pull_request("dev", "staging").await;
    let error = fails(publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await, ErrorKind::Repository);
    assert_eq!(error.all_problems()[0].subject, "README.md");
    assert_eq!(lock_status(&shop, "dev"), Some(StatusState::Failure));
    let mut request = TestRequest::new(environment("pull-request"));
    request.pull_request = Some(number);
    fails(run_tests(&shop.bot(), &request).await, ErrorKind::Repository);
}

#[tokio::test]
async fn a_lock_is_published_for_open_pull_requests_to_staging_only() {
    let shop = proven();
    let missing = fails(publish_lock(&shop.bot(), &LockPublishRequest::new(1)).await, ErrorKind::Refused);
    assert!(missing.all_problems().is_empty());
    fails(publish_lock(&shop.bot(), &LockPublishRequest::new(2)).await, ErrorKind::Usage);
    fails(publish_lock(&shop.bot(), &LockPublishRequest::new(99)).await, ErrorKind::Repository);
    assert_eq!(lock_status(&shop, "staging"), None, "nothing is said on the head of a promotion");
}

#[tokio::test]
async fn a_pull_request_that_edits_locks_is_refused() {
    let shop = proven();
    shop.force("dev", &shop.head("staging").unwrap());
    let text = shop.file("dev", LOCK_FILE).unwrap();
    shop.bump("shop-web", 2);
    shop.commit("dev", &[write(LOCK_FILE, &format!("{text}\n"))], "a lock by hand");
    let number = shop.open_pull_request("dev", "staging").await;
    let error = fails(publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await, ErrorKind::Refused);
    assert_eq!(error.all_problems()[0].subject, LOCK_FILE);
}

#[tokio::test]
async fn f16_a_pull_request_that_moves_while_its_lock_is_made_is_superseded() {
    let shop = Arc::new(Shop::new());
    let number = shop.open_pull_request("dev", "staging").await;
    let other = Arc::clone(&shop);
    let head = shop.head("dev").unwrap();
    // Images are resolved between the first look at the pull request and the last.
    let watcher = Watcher::new().after("images", move || {
        other.commit("dev", &[write("README.md", "# Newer\n")], "newer");
    });
    let answer = publish_lock(&shop.watched(BOT, &watcher), &LockPublishRequest::new(number)).await.unwrap();
    assert!(answer.superseded.is_some() && answer.published.is_none(), "{answer:#?}");
    let statuses = shop.forge(BOT).statuses(&head).unwrap();
    assert!(statuses.iter().all(|status| status.state == StatusState::Pending), "{statuses:?}");
    assert_eq!(lock_status(&shop, "dev"), None);
}

#[tokio::test]
async fn f16_a_base_that_moves_while_the_lock_is_made_gets_the_lock_of_its_newest_commit() {
    let shop = Arc::new(Shop::new());
    let number = shop.open_pull_request("dev", "staging").await;
    let other = Arc::clone(&shop);
    let watcher = Watcher::new().after("images", move || {
        other.commit("staging", &[write("NEWS.md", "news\n")], "newer");
    });
    let answer = publish_lock(&shop.watched(BOT, &watcher), &LockPublishRequest::new(number)).await.unwrap();
    assert!(answer.published.is_some(), "{answer:#?}");
    let artefact = shop.forge(BOT).artefact(number, "lock.yaml").unwrap().unwrap();
    let lock = Lock::parse(&artefact, "lock.yaml").unwrap();
    assert_eq!(Some(lock.source().base.clone()), shop.head("staging"));
}

#[tokio::test]
async fn the_lock_of_an_open_pull_request_is_made_again_when_staging_moves() {
    let shop = merged().await;
    shop.bump("shop-web", 2);
    let number = shop.open_pull_request("dev", "staging").await;
    shop.check(number).await;
    assert_eq!(lock_status(&shop, "dev"), Some(StatusState::Success));
    shop.run_ok(&staging()).await;
    assert_eq!(lock_status(&shop, "dev"), Some(StatusState::Pending), "its base is older than staging");
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    shop.run_ok(&staging()).await;
    assert_eq!(lock_status(&shop, "dev"), Some(StatusState::Success), "its base is staging");
}

#[tokio::test]
async fn t7_p27_a_tag_that_moved_since_the_review_commits_nothing() {
    let shop = merged().await;
    let web = shop.gitlink("staging", "services/shop-web");
    let rebuilt = shop.build_image("shop-web", &web, "again");
    let before = shop.untouched();
    let error = fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Image);
    assert_eq!(error.all_problems().len(), 1, "{error}");
    fails(commit_lock(&shop.bot(), &staging(), None).await, ErrorKind::Image);
    assert_eq!(shop.untouched(), before);
    assert_eq!(shop.count(&staging(), Step::LockCommit, StepResult::Started), 0);
    // The new image is taken where a person says so, and is on record as unreviewed.
    let committed = commit_lock(&shop.bot(), &staging(), Some("built twice")).await.unwrap();
    assert_eq!(committed.commit, shop.head("staging"));
    assert_eq!(digests(&shop.lock("staging"))["shop-web"], Some(&rebuilt));
    let record = shop.newest(&staging(), Step::LockCommit);
    assert_eq!(record.unreviewed, Some(Unreviewed::AcceptedNew));
    assert_eq!(record.reason.as_deref(), Some("built twice"));
    shop.run_ok(&staging()).await;
}

#[tokio::test]
async fn t11_a_published_lock_is_compared_and_never_believed() {
    let shop = merged().await;
    shop.forge(BOT).put_artefact(1, "lock.yaml", b"not a lock").unwrap();
    let before = shop.untouched();
    fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Lock);
    assert_eq!(shop.untouched(), before);
    let committed = commit_lock(&shop.bot(), &staging(), Some("the artefact was overwritten")).await.unwrap();
    assert!(committed.commit.is_some());
}

#[tokio::test]
async fn p11_a_lock_is_committed_once() {
    let shop = merged().await;
    let first = commit_lock(&shop.bot(), &staging(), None).await.unwrap();
    let again = commit_lock(&shop.bot(), &staging(), None).await.unwrap();
    assert_eq!((&first.commit, &again.commit), (&shop.head("staging"), &shop.head("staging")));
    assert_eq!(shop.count(&staging(), Step::LockCommit, StepResult::Ok), 1);
    fails(commit_lock(&shop.bot(), &production(), None).await, ErrorKind::Usage);
}

#[tokio::test]
async fn p10_a_push_past_the_pull_request_is_locked_anew_where_that_is_configured() {
    let relock =
        crate::shop::CONFIGURATION.replace("forge: { kind: local,", "forge: { kind: local, direct-push: relock,");
    let shop = Shop::with(&relock);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let web = shop.new_version("shop-web", 2, Built::Yes);
    let change = git::TreeChange::Gitlink { path: "services/shop-web".into(), commit: web };
    shop.commit("staging", &[change], "straight to staging");
    shop.run_ok(&staging()).await;
    assert_eq!(shop.newest(&staging(), Step::LockCommit).unreviewed, Some(Unreviewed::DirectPush));
    let report = approvals(&shop.bot(), &production(), None).await.unwrap();
    assert_eq!(report.unreviewed.as_ref().map(|lock| lock.kind), Some(Unreviewed::DirectPush));
    assert!(report.warnings[0].contains("a push brought it past the pull requests"), "{:?}", report.warnings);
}

#[tokio::test]
async fn a_rejected_lock_is_not_committed() {
    let shop = locked();
    let artefact = shop.forge(BOT).artefact(1, "lock.yaml").unwrap().unwrap();
    let file = shop.join("published.yaml");
    std::fs::write(&file, artefact).unwrap();
    reject_lock(&shop.bot(), file.to_str().unwrap(), "loses orders").await.unwrap();
    shop.merge("dana", 1).await;
    let before = shop.untouched();
    fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Refused);
    assert_eq!(shop.untouched(), before);
    fails(reject_lock(&shop.bot(), &format!("sha256:{}", "0".repeat(64)), "no such").await, ErrorKind::Usage);
    fails(reject_lock(&shop.bot(), "main", "it has none").await, ErrorKind::Repository);
}

fn answers(report: &LockCheckReport) -> BTreeMap<&str, bool> {
    report.answers.iter().map(|one| (one.question.as_str(), one.answer)).collect()
}

fn says_no(report: &LockCheckReport) -> Vec<&str> {
    answers(report).into_iter().filter(|(_, answer)| !answer).map(|(question, _)| question).collect()
}

#[tokio::test]
async fn p4_a_lock_is_judged_by_every_question() {
    let shop = proven();
    let mut request = LockCheckRequest::new("staging");
    request.check_pushed = true;
    let report = check_lock(&shop.bot(), &request).await.unwrap();
    assert!(report.usable, "{report:#?}");
    assert_eq!(says_no(&report), [""; 0]);
    assert_eq!(report.answers.len(), 8);
    assert!(report.pushed.is_some_and(|pushed| pushed.len() == 3));
    assert_eq!(check_lock(&shop.bot(), &LockCheckRequest::new("staging")).await.unwrap().answers.len(), 7);
    fails(check_lock(&shop.bot(), &LockCheckRequest::new("dev")).await, ErrorKind::Repository);
    fails(check_lock(&shop.bot(), &LockCheckRequest::new("main")).await, ErrorKind::Usage);

    // The tree of dev has another gitlink.
    shop.bump("shop-web", 2);
    let file = shop.join("lock.yaml");
    let text = shop.file("staging", LOCK_FILE).unwrap();
    std::fs::write(&file, &text).unwrap();
    let mut request = LockCheckRequest::new("dev");
    request.file = Some(file.clone());
    let report = check_lock(&shop.bot(), &request).await.unwrap();
    assert!(!report.usable);
    assert_eq!(says_no(&report), ["belongs to the tree"]);

    let mut parts = shop.lock("staging").into_parts();
    for service in parts.services.values_mut() {
        if let Content::Image(image) = &mut service.content {
            image.digest = Digest::of(b"nobody built this");
        }
    }
    std::fs::write(&file, Lock::new(parts).unwrap().to_yaml()).unwrap();
    request.revision = "staging".to_owned();
    let report = check_lock(&shop.bot(), &request).await.unwrap();
    assert_eq!(says_no(&report), ["images are there", "the ledger's file"]);

    reject_lock(&shop.bot(), "staging", "loses orders").await.unwrap();
    let report = check_lock(&shop.bot(), &LockCheckRequest::new("staging")).await.unwrap();
    assert_eq!(says_no(&report), ["not rejected"]);

    std::fs::write(&file, text.replace("sha256:", "sha256:0")).unwrap();
    fails(check_lock(&shop.bot(), &request).await, ErrorKind::Lock);
}

#[tokio::test]
async fn b12_a_lock_of_some_services_keeps_every_other_entry() {
    let shop = proven();
    shop.force("dev", &shop.head("staging").unwrap());
    let before = shop.lock("dev");
    let (cart, web) = (shop.gitlink("dev", "services/shop-cart"), shop.gitlink("dev", "services/shop-web"));
    let cart = shop.build_image("shop-cart", &cart, "again");
    let web = shop.build_image("shop-web", &web, "again");
    let mut request = LockGenerateRequest::new("dev");
    request.services = ["shop-web".try_into().unwrap()].into();
    let generated = generate_lock(&shop.bot(), &request).await.unwrap();
    let after = Lock::parse(generated.file.as_bytes(), LOCK_FILE).unwrap();
    assert_eq!(after.id(), &generated.lock);
    assert_eq!(digests(&after)["shop-web"], Some(&web));
    assert_eq!(digests(&after)["shop-cart"], digests(&before)["shop-cart"]);
    assert_ne!(digests(&after)["shop-cart"], Some(&cart));
    // Without names everything is resolved.
    let generated = generate_lock(&shop.bot(), &LockGenerateRequest::new("dev")).await.unwrap();
    let after = Lock::parse(generated.file.as_bytes(), LOCK_FILE).unwrap();
    assert_eq!(digests(&after)["shop-cart"], Some(&cart));
    // Names that are none, and no earlier lock to take the others from.
    request.services = ["shop-nothing".try_into().unwrap()].into();
    let error = fails(generate_lock(&shop.bot(), &request).await, ErrorKind::Usage);
    assert_eq!(error.message(), "there is no service `shop-nothing`");
    let fresh = Shop::new();
    request.services = ["shop-web".try_into().unwrap()].into();
    fails(generate_lock(&fresh.bot(), &request).await, ErrorKind::Usage);
    // An entry that is kept must be of the same commit.
    shop.bump("shop-cart", 2);
    fails(generate_lock(&shop.bot(), &request).await, ErrorKind::Repository);
}

#[tokio::test]
async fn a_lock_is_written_into_the_folder_that_is_named() {
    let shop = locked();
    let mut request = LockGenerateRequest::new("");
    request.pull_request = Some(1);
    request.output = Some(shop.join("made"));
    let generated = generate_lock(&shop.bot(), &request).await.unwrap();
    let written = std::fs::read_to_string(shop.join("made/lock.yaml")).unwrap();
    assert_eq!(written, generated.file);
    assert_eq!(Lock::parse(written.as_bytes(), LOCK_FILE).unwrap().source().pull_request, Some(1));
}

#[tokio::test]
async fn t1_a_change_does_not_choose_the_suites_that_it_is_tested_by() {
    let shop = proven();
    shop.configure("dev", "suites: [lint]", "suites: []");
    let number = shop.open_pull_request("dev", "staging").await;
    let mut request = TestRequest::new(environment("pull-request"));
    request.pull_request = Some(number);
    let report = run_tests(&shop.bot(), &request).await.unwrap();
    assert_eq!((report.suites.len(), report.warnings.len()), (1, 1), "{report:#?}");
    // Some suites alone say nothing about all of them.
    shop.broken("pr", "lint", true);
    let report = run_tests(&shop.bot(), &request).await.unwrap();
    assert!(!report.is_passed());
    let statuses = shop.forge(BOT).statuses(&shop.head("dev").unwrap()).unwrap();
    let suites = statuses.iter().find(|status| status.context == "orchestrator/suites").unwrap();
    assert_eq!(suites.state, StatusState::Failure);
    request.suites = vec!["smoke".try_into().unwrap()];
    let report = run_tests(&shop.bot(), &request).await.unwrap();
    assert!(report.is_passed() && !report.warnings.is_empty(), "{report:#?}");
    let statuses = shop.forge(BOT).statuses(&shop.head("dev").unwrap()).unwrap();
    let suites = statuses.iter().find(|status| status.context == "orchestrator/suites").unwrap();
    assert_eq!(suites.state, StatusState::Failure, "still that of all suites");
    assert_eq!(shop.forge(BOT).find_open(&branch("dev"), &branch("staging")).unwrap().unwrap().number, number);
}
