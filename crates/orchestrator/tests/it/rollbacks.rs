//! Going back: to the release before, to a named one, and what is refused.

use std::sync::Arc;

use git::TreeChange;
use ledger::{HoldOrigin, Step, StepResult};
use orchestrator::lock::reject_lock;
use orchestrator::report::v1::{Next, Operation, Report as _, RunReport, StepResult as StepWord, Verdict};
use orchestrator::{
    ErrorKind, OnFailure, RollbackRequest, RunRequest, accept_release, check_rollbacks, hold, plan_rollback, rollback,
    run, status, unhold,
};
use registry::layout::LayoutWriter;

use promotion::gates::Gate;

use crate::shop::{
    BOT, Shop, Watcher, branch, fails, meanwhile, production, proven, released, released_twice, staging, step_words,
    write,
};

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
    let standing = status(&shop.bot(), None).await.unwrap();
    let standing = standing.environments.iter().find(|one| one.environment == production()).unwrap();
    assert_eq!((&standing.next, standing.hold.is_some()), (&Next::Unhold, true), "{standing:#?}");
    let lifted = unhold(&shop.bot(), &production(), "it was the network").await.unwrap();
    let next = lifted.next.unwrap();
    assert_eq!((Some(&next.commit), next.is_deployed), (main.as_ref(), false));
    assert_eq!(next.refused.unwrap().reason, "orders are lost");
    let id8 = next.release.unwrap().id8().to_owned();
    accept_release(&shop.bot(), &production(), &id8, "it was the network").await.unwrap();
    let report = shop.run_ok(&production()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Ok)), "{report:#?}");
    assert_ne!(deployed(&shop), manifest);
}

/// Deploys a second release to staging, which is not what is locked by the time it is compared; `meanwhile` happens before that.
/// Gives the report, and whether a rollback began.
async fn fails_while(meanwhile: impl FnOnce(&Shop) + Send + 'static) -> (RunReport, bool) {
    let shop = Arc::new(proven());
    let stored = shop.head("deploy/staging").unwrap();
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    let other = Arc::clone(&shop);
    let watcher = Watcher::new().after("deploy", move || {
        other.force("deploy/staging", &stored);
        meanwhile(&other);
    });
    let mut request = RunRequest::new(staging());
    request.on_failure = OnFailure::Rollback;
    let report = run(&shop.watched(BOT, &watcher), &request).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Deploy), "{report:#?}");
    let begun = shop.count(&staging(), Step::Rollback, StepResult::Started) > 0;
    assert_eq!(report.rolled_back, begun || shop.ledger().held(&staging()).is_some(), "{report:#?}");
    (report, begun)
}

#[tokio::test]
async fn f8_a_run_that_gave_way_to_another_one_takes_nothing_back() {
    let (report, begun) = fails_while(|_| ()).await;
    assert!(begun, "nothing else decides what staging gets: {report:#?}");

    let (report, begun) = fails_while(|shop| {
        let text = shop.file("staging", "orchestrator.yaml").unwrap();
        shop.commit("staging", &[write("orchestrator.yaml", &format!("{text}# newer\n"))], "newer");
    })
    .await;
    let told = report.warnings.last().unwrap();
    assert!(told.starts_with("no rollback follows the deployment: it is superseded by "), "{told}");
    assert!(!begun, "{report:#?}");

    let (report, begun) = fails_while(|shop| {
        let eve = shop.context("eve");
        meanwhile(async move { hold(&eve, &staging(), "look first").await.unwrap() });
    })
    .await;
    let told = report.warnings.join("\n");
    assert!(told.contains("`staging` was held meanwhile by eve: look first"), "{told}");
    assert!(!begun, "{report:#?}");

    let (report, begun) = fails_while(|shop| {
        let mut draft = shop.newest(&staging(), Step::Deploy);
        (draft.step, draft.result, draft.finished) = (Step::Deploy, StepResult::Started, None);
        draft.run.id.push_str("-other");
        draft.evidence.clear();
        shop.append(draft);
    })
    .await;
    let told = report.warnings.join("\n");
    assert!(told.contains("another run of `staging` took over") && !told.contains("begins it again"), "{told}");
    assert!(!begun, "{report:#?}");
}

/// What lies on the branch since the release may be what broke it: a rollback asks only what was deployed.
#[tokio::test]
async fn f29_a_rollback_goes_past_a_configuration_that_cannot_be_read() {
    let whole = released_twice().file("main", "orchestrator.yaml").unwrap();
    let gone = whole.split("  production:\n").next().unwrap().replace("    promote: { to: production }\n", "");
    for (what, text) in
        [("no YAML", Some("version: [1".to_owned())), ("no environment of that name", Some(gone)), ("no file", None)]
    {
        let (shop, _, manifest) = two_releases();
        let change = match &text {
            Some(text) => write("orchestrator.yaml", text),
            None => TreeChange::Remove { path: "orchestrator.yaml".to_owned() },
        };
        let broken = shop.commit("main", &[change], what);
        let stopped = run(&shop.bot(), &RunRequest::new(production())).await.map(|report| report.stopped);
        assert!(!matches!(stopped, Ok(None)), "{what}: a run must not get past it: {stopped:?}");
        let report = rollback(&shop.bot(), &request(None)).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        is_complete(&report);
        assert_eq!(deployed(&shop), manifest, "{what}");
        assert_eq!(shop.head("main"), Some(broken), "{what}");
        assert_eq!(shop.ledger().held(&production()).unwrap().origin, HoldOrigin::Rollback, "{what}");
    }
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

#[tokio::test]
async fn t56_the_release_that_a_rollback_left_is_not_deployed_again_by_itself() {
    let (shop, first, manifest) = two_releases();
    let second = shop.newest_release();
    is_complete(&rollback(&shop.context("eve"), &request(None)).await.unwrap());
    unhold(&shop.bot(), &production(), "on we go").await.unwrap();
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    assert!(report.steps[0].detail.contains("by eve: orders are lost"), "{report:#?}");
    assert_eq!(shop.refused_gates(&production()), [Gate::NotRolledBack].into());
    // Neither does the same release from another commit: nothing that counts has changed.
    shop.commit("dev", &[crate::shop::write("README.md", "# Words\n")], "words");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    shop.approve_and_merge(promotion.number).await;
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    assert_eq!(shop.refused_gates(&production()), [Gate::NotRolledBack].into());
    assert_eq!(deployed(&shop), manifest);
    assert_eq!(shop.untouched().get("refs/heads/deploy/production"), before.get("refs/heads/deploy/production"));
    assert!(shop.ledger().records().len() > records);
    // Accepting another release is refused, and records nothing.
    let records = shop.ledger().records().len();
    for other in [first.as_str(), "00000000", "release-1999-01-01-00000000", ""] {
        fails(accept_release(&shop.bot(), &production(), other, "that one").await, ErrorKind::Refused);
        let mut lifting = RunRequest::new(production());
        (lifting.lift_hold, lifting.accept) = (Some("that one".to_owned()), Some(other.to_owned()));
        fails(run(&shop.bot(), &lifting).await, ErrorKind::Refused);
    }
    assert_eq!(shop.ledger().records().len(), records);
    let mut lifting = RunRequest::new(production());
    (lifting.lift_hold, lifting.accept) = (Some("it was the network".to_owned()), Some(second));
    let report = run(&shop.bot(), &lifting).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_ne!(deployed(&shop), manifest);
    let accepted = shop.newest(&production(), Step::Unhold);
    assert_eq!(accepted.accepts, Some(ledger::Accepts::Release(report.release.unwrap())));
    assert_eq!(accepted.reason.as_deref(), Some("it was the network"));
}

#[tokio::test]
async fn t56_a_new_release_goes_out_after_a_rollback_and_what_two_rollbacks_left_does_not() {
    let (shop, first, _) = two_releases();
    shop.bump("shop-cart", 2);
    shop.release_next().await;
    is_complete(&rollback(&shop.bot(), &request(None)).await.unwrap());
    is_complete(&rollback(&shop.bot(), &request(Some(&first))).await.unwrap());
    assert_eq!(shop.ledger().rolled_back(&production()).len(), 2, "the third release, then the second");
    unhold(&shop.bot(), &production(), "on we go").await.unwrap();
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    shop.bump("shop-cart", 3);
    shop.release_next().await;
    assert_eq!(shop.releases().len(), 4, "a release of its own");
}

#[tokio::test]
async fn t56_a_dry_run_writes_nothing_and_says_what_would_happen() {
    let (shop, first, _) = two_releases();
    let left = shop.newest(&production(), Step::Proof);
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    let plan = plan_rollback(&shop.bot(), &request(None)).await.unwrap();
    assert_eq!((plan.tag.as_deref(), plan.is_done), (Some(first.as_str()), false));
    assert_eq!((plan.leaves, plan.leaves_lock), (left.release, left.lock));
    assert_eq!(plan.images.len(), 2);
    assert!(plan.changes.iter().any(|change| change.path == MANIFEST), "{:?}", plan.changes);
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records));
    assert!(shop.ledger().held(&production()).is_none());
}

#[tokio::test]
async fn t56_a_rollback_rejects_the_lock_that_it_leaves_where_it_is_asked_to() {
    let (shop, ..) = two_releases();
    let left = shop.newest(&production(), Step::Proof);
    let mut rejecting = request(None);
    rejecting.reject = true;
    let report = rollback(&shop.bot(), &rejecting).await.unwrap();
    is_complete(&report);
    assert_eq!(report.left, None);
    let rejection = shop.ledger().rejected(&left.lock.unwrap()).unwrap();
    assert_eq!(rejection.reason, "orders are lost");
    // Again: the rollback is done, and so is the rejection.
    let records = shop.ledger().records().len();
    is_complete_or_done(&rollback(&shop.bot(), &rejecting).await.unwrap());
    assert_eq!(shop.ledger().records().len(), records);
}

fn is_complete_or_done(report: &RunReport) {
    assert_eq!(report.stopped, None, "{report:#?}");
}

/// A third release that declares migrations of shop-cart and moves it.
async fn migrated_cart(irreversible: bool) -> Shop {
    let (shop, ..) = two_releases();
    let entry =
        format!("    migrations: [{{ match: shop-cart, irreversible: {irreversible} }}]\n    suites: [smoke]\n");
    shop.configure("dev", "    suites: [smoke]\n", &entry);
    shop.bump("shop-cart", 2);
    shop.release_next().await;
    shop
}

/// A database that newer code has changed does not come back with the older code.
#[tokio::test]
async fn f30_a_rollback_behind_an_irreversible_migration_is_refused_before_anything_moves() {
    let shop = migrated_cart(true).await;
    let third = shop.newest(&production(), Step::Proof).release.unwrap();
    let tags = shop.releases();
    for to in [None, Some(tags[1].as_str()), Some(tags[0].as_str())] {
        let (before, records) = (shop.untouched(), shop.ledger().records().len());
        let refusals = [
            fails(rollback(&shop.bot(), &request(to)).await, ErrorKind::Refused),
            fails(plan_rollback(&shop.bot(), &request(to)).await, ErrorKind::Refused),
        ];
        for error in refusals {
            let [problem] = error.all_problems() else { panic!("{error:#?}") };
            assert_eq!(problem.subject, "shop-cart");
            assert!(problem.message.contains(third.id8()), "{error}");
            assert!(error.hints().iter().any(|hint| hint.contains("--accept-irreversible")), "{:?}", error.hints());
        }
        assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records), "no hold either");
    }
    let checked = check_rollbacks(&shop.bot(), &production(), None).await.unwrap();
    let possible: Vec<_> = checked.releases.iter().map(|one| (one.is_deployed, one.possible)).collect();
    assert_eq!(possible, [(true, true), (false, false), (false, false)], "{checked:#?}");
    assert_eq!(checked.verdict(), Verdict::Negative(ErrorKind::Negative));

    let mut accepting = request(None);
    accepting.accept_irreversible = true;
    let report = rollback(&shop.bot(), &accepting).await.unwrap();
    is_complete(&report);
    assert!(report.warnings.iter().any(|warning| warning.contains("shop-cart")), "{:?}", report.warnings);
    let reason = shop.ledger().held(&production()).unwrap().reason;
    assert_eq!(reason, "orders are lost (accepted behind irreversible migrations: shop-cart)");
    // What was accepted is done, and is not asked about again; going further back is.
    assert_eq!(rollback(&shop.bot(), &request(None)).await.unwrap().stopped, None);
    fails(rollback(&shop.bot(), &request(Some(&tags[0]))).await, ErrorKind::Refused);
    // Forward again, by name, no older code meets newer data.
    is_complete(&rollback(&shop.bot(), &request(Some(&tags[2]))).await.unwrap());
}

#[tokio::test]
async fn f30_only_a_service_that_moved_and_is_declared_stops_a_rollback() {
    let shop = migrated_cart(false).await;
    let plan = plan_rollback(&shop.bot(), &request(None)).await.unwrap();
    assert_eq!(plan.warnings.len(), 1, "{:?}", plan.warnings);
    assert!(plan.warnings[0].starts_with("shop-cart: "), "{:?}", plan.warnings);

    // Declared for cart, and web moves: the release before has the same cart.
    let shop = migrated_cart(true).await;
    shop.bump("shop-web", 3);
    shop.release_next().await;
    let checked = check_rollbacks(&shop.bot(), &production(), Some(2)).await.unwrap();
    assert_eq!(checked.releases.len(), 2);
    assert!(checked.releases.iter().all(|one| one.possible), "{checked:#?}");
    assert_eq!(checked.verdict(), Verdict::Positive);
    let report = rollback(&shop.bot(), &request(None)).await.unwrap();
    is_complete(&report);
    assert_eq!(report.warnings, [""; 0]);
}

#[tokio::test]
async fn a_check_of_rollbacks_says_which_release_is_whole_and_changes_nothing() {
    let (shop, first, _) = two_releases();
    shop.bump("shop-web", 3);
    shop.release_next().await;
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    let web = shop.lock(&format!("{first}^{{commit}}"));
    let web = web.services().iter().find(|(name, _)| name.as_str() == "shop-web").unwrap().1;
    let lock_model::Content::Image(image) = &web.content else { panic!("it has an image") };
    assert!(LayoutWriter::open(&shop.join("registry")).unwrap().remove_blob(&image.digest).unwrap());
    let second = shop.releases()[1].clone();
    reject_lock(&shop.bot(), &second, "loses orders").await.unwrap();
    let checked = check_rollbacks(&shop.bot(), &production(), None).await.unwrap();
    let told: Vec<_> = checked.releases.iter().map(|one| (one.possible, one.problems.first())).collect();
    let [(true, None), (false, Some(rejected)), (false, Some(gone))] = told.as_slice() else { panic!("{checked:#?}") };
    assert_eq!((rejected.subject.as_str(), gone.subject.as_str()), ("lock", "shop-web"));
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records + 1), "the rejection alone");
    fails(check_rollbacks(&shop.bot(), &crate::shop::environment("prod"), None).await, ErrorKind::Usage);
}
