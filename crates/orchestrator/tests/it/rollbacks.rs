//! Going back: to the release before, to a named one, and what is refused.

use ledger::{HoldOrigin, Step, StepResult};
use orchestrator::lock::reject_lock;
use orchestrator::report::v1::{Next, Operation, RunReport, StepResult as StepWord};
use orchestrator::{ErrorKind, RollbackRequest, RunRequest, rollback, run, status, unhold};
use registry::layout::LayoutWriter;

use crate::shop::{BOT, Shop, Watcher, fails, production, proven, released, released_twice, staging, step_words};

fn request(to: Option<&str>) -> RollbackRequest {
    let mut request = RollbackRequest::new(production(), "orders are lost");
    request.to = to.map(str::to_owned);
    request
}

const MANIFEST: &str = "services/shop-web/app.yaml";

fn deployed(shop: &Shop) -> String {
    shop.file("deploy/production", MANIFEST).unwrap()
}

fn is_complete(report: &RunReport) {
    assert_eq!((report.operation, report.stopped), (Operation::Rollback, None), "{report:#?}");
    assert_eq!(step_words(report).last(), Some(&("rollback", StepWord::Ok)));
}

/// A shop with two releases, the tag of the first one, and what it deployed.
fn two_releases() -> (Shop, String, String) {
    let shop = released_twice();
    let tags = shop.releases();
    let stored = shop.head("deploy/production").unwrap();
    let manifest = shop.file(&format!("{stored}~1"), MANIFEST).unwrap();
    assert_ne!(deployed(&shop), manifest);
    assert_eq!(tags.len(), 2);
    (shop, tags[0].clone(), manifest)
}

#[tokio::test]
async fn b38_a_rollback_deploys_the_release_before_and_holds_the_environment() {
    let (shop, tag, manifest) = two_releases();
    let main = shop.head("main");
    let report = rollback(&shop.bot(), &request(None)).await.unwrap();
    is_complete(&report);
    assert_eq!(report.warnings, [""; 0], "the rules of a first release are nobody's concern now");
    assert_eq!(deployed(&shop), manifest);
    assert_eq!(shop.head("main"), main, "no branch of ours goes back");
    let ledger = shop.ledger();
    let opened = ledger.of(&production()).rfind(|record| record.opens_rollback()).unwrap();
    assert_eq!(opened.entry.tag.as_deref(), Some(tag.as_str()));
    assert_eq!(opened.entry.reason.as_deref(), Some("orders are lost"));
    let hold = ledger.held(&production()).unwrap();
    assert_eq!(hold.origin, HoldOrigin::Rollback);
    assert!(shop.newest(&production(), Step::Rollback).reason.is_some());
    assert_eq!(
        shop.newest(&production(), Step::Deploy).reason,
        None,
        "only what went wrong, and decisions, have reasons"
    );
    // The same command again is the same rollback, done.
    let (before, records) = (shop.untouched(), ledger.records().len());
    let again = rollback(&shop.bot(), &request(None)).await.unwrap();
    assert_eq!(again.stopped, None, "{again:#?}");
    assert!(step_words(&again).contains(&("deploy", StepWord::Done)), "{again:#?}");
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records));
    // A run is refused until the hold is lifted; then it goes forward again.
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    assert_eq!(deployed(&shop), manifest);
    let standing = status(&shop.bot()).await.unwrap();
    let standing = standing.environments.iter().find(|one| one.environment == production()).unwrap();
    assert_eq!((&standing.next, standing.hold.is_some()), (&Next::Unhold, true), "{standing:#?}");
    unhold(&shop.bot(), &production(), "it was the network").await.unwrap();
    let report = shop.run_ok(&production()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Ok)), "{report:#?}");
    assert_ne!(deployed(&shop), manifest);
}

#[tokio::test]
async fn a_rollback_goes_to_the_release_that_is_named() {
    let (shop, first, manifest) = two_releases();
    shop.bump("shop-cart", 2);
    let third = shop.release_next().await;
    is_complete(&rollback(&shop.bot(), &request(Some(&first))).await.unwrap());
    assert_eq!(deployed(&shop), manifest);
    // And forward again by name, although a rollback holds the environment.
    is_complete(&rollback(&shop.bot(), &request(Some(&third))).await.unwrap());
    assert_ne!(deployed(&shop), manifest);
}

#[tokio::test]
async fn f3_a_rollback_that_died_after_any_step_goes_on_with_the_same_target() {
    let (shop, tag, manifest) = two_releases();
    let steps = ["gates", "health", "deploy", "verify", "suite smoke", "proof", "rollback"];
    for step in steps {
        let context = shop.watched(BOT, &Watcher::new().dies_after(step));
        let ended = tokio::spawn(async move { rollback(&context, &request(None)).await.map(|_| ()) }).await;
        assert!(ended.unwrap_err().is_panic(), "{step}");
    }
    let report = rollback(&shop.bot(), &request(None)).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_eq!(deployed(&shop), manifest);
    let ledger = shop.ledger();
    let opened: Vec<_> = ledger.of(&production()).filter(|record| record.opens_rollback()).collect();
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].entry.tag.as_deref(), Some(tag.as_str()));
    assert_eq!(shop.commits("deploy/production"), 3, "one for each release, and one back");
}

#[tokio::test]
async fn a_rollback_to_a_commit_that_makes_another_release_is_refused() {
    let (shop, first, _) = two_releases();
    // The ledger says of the first release that it was proven at the second one's commit.
    let ledger = shop.ledger();
    let proofs: Vec<_> = ledger.of(&production()).filter(|record| record.is(Step::Proof, StepResult::Ok)).collect();
    let mut draft = proofs[0].entry.clone();
    draft.commit.clone_from(&proofs[1].entry.commit);
    draft.run.nonce = Some("another".to_owned());
    shop.append(draft);
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    fails(rollback(&shop.bot(), &request(Some(&first))).await, ErrorKind::Repository);
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records));
}

#[tokio::test]
async fn an_environment_that_was_never_deployed_has_nothing_to_go_back_to() {
    let shop = proven();
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    fails(rollback(&shop.bot(), &request(None)).await, ErrorKind::Refused);
    let mut nowhere = request(None);
    nowhere.environment = crate::shop::environment("pull-request");
    fails(rollback(&shop.bot(), &nowhere).await, ErrorKind::Refused);
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records));
}

#[tokio::test]
async fn a_rollback_without_a_target_is_refused_and_holds_nothing() {
    let shop = released();
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    fails(rollback(&shop.bot(), &request(None)).await, ErrorKind::Refused);
    fails(rollback(&shop.bot(), &request(Some("release-1999-01-01-00000000"))).await, ErrorKind::Refused);
    let tag = shop.newest_release();
    fails(rollback(&shop.bot(), &request(Some(&tag))).await, ErrorKind::Usage);
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records));
}

#[tokio::test]
async fn a_rollback_to_a_rejected_lock_is_refused() {
    let (shop, first, _) = two_releases();
    reject_lock(&shop.bot(), &first, "loses orders").await.unwrap();
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    fails(rollback(&shop.bot(), &request(Some(&first))).await, ErrorKind::Refused);
    fails(rollback(&shop.bot(), &request(None)).await, ErrorKind::Refused);
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records));
}

#[tokio::test]
async fn f20_b45_a_rollback_whose_images_are_gone_changes_nothing_and_names_one_that_is_whole() {
    let (shop, first, manifest) = two_releases();
    let second = shop.lock("main");
    shop.bump("shop-web", 3);
    shop.release_next().await;
    let web = second.services().iter().find(|(name, _)| name.as_str() == "shop-web").unwrap().1;
    let lock_model::Content::Image(image) = &web.content else { panic!("it has an image") };
    assert!(LayoutWriter::open(&shop.join("registry")).unwrap().remove_blob(&image.digest).unwrap());
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    let error = fails(rollback(&shop.bot(), &request(None)).await, ErrorKind::Image);
    assert_eq!(error.all_problems().len(), 1);
    assert_eq!(error.all_problems()[0].subject, "shop-web");
    assert!(error.hints().iter().any(|hint| hint.contains(&first)), "{:?}", error.hints());
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records), "no hold either");
    is_complete(&rollback(&shop.bot(), &request(Some(&first))).await.unwrap());
    assert_eq!(deployed(&shop), manifest);
}

#[tokio::test]
async fn a_rollback_asks_neither_for_approvals_nor_for_the_proof_of_staging() {
    let (shop, ..) = two_releases();
    // Staging fails what it proved before, and is held.
    shop.broken("staging", "system", true);
    orchestrator::hold(&shop.bot(), &staging(), "in repair").await.unwrap();
    is_complete(&rollback(&shop.bot(), &request(None)).await.unwrap());
    assert!(shop.refused_gates(&production()).is_empty());
    assert_eq!(shop.count(&production(), Step::Rollback, StepResult::Ok), 1);
}

#[tokio::test]
async fn staging_goes_back_to_the_lock_commit_and_promotes_nothing() {
    let shop = released_twice();
    let before = shop.file("deploy/staging~1", MANIFEST).unwrap();
    let pull_requests = shop.forge(BOT).pull_requests(None).unwrap().len();
    let mut back = request(None);
    back.environment = staging();
    let report = rollback(&shop.bot(), &back).await.unwrap();
    is_complete(&report);
    assert_eq!(shop.file("deploy/staging", MANIFEST).unwrap(), before);
    assert_eq!(shop.forge(BOT).pull_requests(None).unwrap().len(), pull_requests);
    // Nothing is asked that rules decide, so the record names none, and the commit did not pass again by it.
    assert_eq!(shop.newest(&staging(), Step::Gates).policy, None);
}
