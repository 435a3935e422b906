//! A proof holds until something red is found about its release.

use ledger::{ProofVerdict, Step, StepResult};
use orchestrator::forge::simulator::Bypass;
use orchestrator::forge::{PullRequest, StatusState};
use orchestrator::pull_requests::merge_pull_request;
use orchestrator::report::v1::{ProofSummary, StepResult as StepWord};
use orchestrator::{ErrorKind, RollbackRequest, RunRequest, promote, rollback, run, status, unhold, verify};
use promotion::gates::Gate;

use crate::shop::*;

/// The release that staging was given last, and whether it is proven.
async fn proof(shop: &Shop) -> ProofSummary {
    let report = status(&shop.bot(), None).await.unwrap();
    report.environments.into_iter().find(|one| one.environment == staging()).unwrap().proof
}

fn promotion(shop: &Shop) -> PullRequest {
    shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap()
}

fn proof_status(shop: &Shop, commit: &lock_model::CommitId) -> StatusState {
    let statuses = shop.forge(BOT).statuses(commit).unwrap();
    statuses.into_iter().find(|status| status.context == "orchestrator/staging-proof").unwrap().state
}

/// Somebody edits what is deployed to staging.
fn drift(shop: &Shop) {
    let path = "services/shop-web/app.yaml";
    let stored = shop.file("deploy/staging", path).unwrap();
    let digest = stored.trim_end().rsplit('@').next().unwrap();
    let other = stored.replace(digest, lock_model::Digest::of(b"another image").as_str());
    assert_ne!(other, stored);
    shop.commit("deploy/staging", &[write(path, &other)], "by hand");
}

#[tokio::test]
async fn t59_drift_withdraws_the_proof_until_the_release_is_proven_again() {
    let shop = proven();
    assert!(!promotion(&shop).draft);
    drift(&shop);
    assert!(!verify(&shop.bot(), &staging()).await.unwrap().proof.is_proven());
    let ProofSummary::Withdrawn { seq, proof: of, .. } = proof(&shop).await else { panic!("withdrawn") };
    let ledger = shop.ledger();
    assert!(ledger.record(seq).unwrap().is(Step::Verify, StepResult::Failed));
    assert!(ledger.record(of).unwrap().is(Step::Proof, StepResult::Ok));
    assert!(promotion(&shop).draft, "a promotion without a proof is a draft");
    assert_eq!(proof_status(&shop, &promotion(&shop).head), StatusState::Failure);
    let error = fails(promote(&shop.bot(), &staging()).await, ErrorKind::Refused);
    assert!(error.message().contains("is not proven in `staging`"), "{error}");
    // The same look again says nothing new.
    verify(&shop.bot(), &staging()).await.unwrap();
    assert_eq!(shop.ledger().records().len(), ledger.records().len());

    let report = shop.run_ok(&staging()).await;
    let words = step_words(&report);
    for step in ["deploy", "verify", "suite system", "proof"] {
        assert!(words.contains(&(step, StepWord::Ok)), "{step} is done again: {report:#?}");
    }
    assert!(matches!(proof(&shop).await, ProofSummary::Proven { seq: again, .. } if again > seq));
    assert!(!promotion(&shop).draft);
    assert_eq!(proof_status(&shop, &promotion(&shop).head), StatusState::Success);
    shop.approve_and_merge(2).await;
    shop.run_ok(&production()).await;
    // And now nothing is left to do.
    let records = shop.ledger().records().len();
    shop.run_ok(&staging()).await;
    assert_eq!(shop.ledger().records().len(), records, "{:?}", shop.story(records));
}

/// The file of a service in staging's branch, with one text in place of another.
fn edit(shop: &Shop, from: &str, to: &str) {
    let path = "services/shop-web/app.yaml";
    let stored = shop.file("deploy/staging", path).unwrap();
    let edited = stored.replace(from, to);
    assert_ne!(edited, stored);
    shop.commit("deploy/staging", &[write(path, &edited)], "by hand");
}

#[tokio::test]
async fn t73_what_is_edited_beside_the_images_is_drift_too() {
    let shop = proven();
    edit(&shop, "name: shop-web", "name:   \"shop-web\"");
    assert!(verify(&shop.bot(), &staging()).await.unwrap().proof.is_proven(), "written differently, and the same");
    edit(&shop, "kind: Deployment\n", "kind: Deployment\nspare: x\n");
    let report = verify(&shop.bot(), &staging()).await.unwrap();
    let [finding] = report.proof.findings.as_slice() else { panic!("{report:#?}") };
    assert_eq!(finding.message, "is not what this release is rendered to");
    assert!(promotion(&shop).draft, "the proof is withdrawn");
    shop.run_ok(&staging()).await;
    assert!(verify(&shop.bot(), &staging()).await.unwrap().proof.is_proven());

    let more = "apiVersion: v1\nkind: Secret\nmetadata: { name: more, namespace: shop-staging }\n";
    shop.commit("deploy/staging", &[write("services/shop-web/more.yaml", more)], "by hand");
    let report = verify(&shop.bot(), &staging()).await.unwrap();
    let findings: Vec<String> = report.proof.findings.iter().map(|finding| finding.message.clone()).collect();
    assert_eq!(findings, ["is no file of this release"]);
    let report = shop.run_ok(&staging()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Ok)), "{report:#?}");
    assert!(shop.file("deploy/staging", "services/shop-web/more.yaml").is_none());
}

#[tokio::test]
async fn t59_drift_that_is_found_after_the_merge_stops_production() {
    let shop = promoted().await;
    drift(&shop);
    verify(&shop.bot(), &staging()).await.unwrap();
    let before = shop.untouched();
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    assert!(report.steps[0].detail.contains("was withdrawn by record"), "{report:#?}");
    assert!(shop.refused_gates(&production()).contains(&Gate::StagingProof));
    assert_eq!(shop.untouched(), before);
}

#[tokio::test]
async fn t59_drift_that_was_taken_back_by_hand_leaves_the_proof_withdrawn() {
    let shop = proven();
    let deployed = shop.head("deploy/staging").unwrap();
    drift(&shop);
    verify(&shop.bot(), &staging()).await.unwrap();
    shop.force("deploy/staging", &deployed);
    assert!(verify(&shop.bot(), &staging()).await.unwrap().proof.is_proven());
    assert!(matches!(proof(&shop).await, ProofSummary::Withdrawn { .. }));
    let report = shop.run_ok(&staging()).await;
    assert!(step_words(&report).contains(&("proof", StepWord::Ok)), "{report:#?}");
    assert!(matches!(proof(&shop).await, ProofSummary::Proven { .. }));
}

#[tokio::test]
async fn t59_drift_is_said_on_a_promotion_whose_head_only_changed_a_text() {
    let shop = proven();
    shop.commit("dev", &[write("README.md", "# A better shop\n")], "words");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    assert_eq!(shop.count(&staging(), Step::Deploy, StepResult::Ok), 1, "the same release");
    drift(&shop);
    verify(&shop.bot(), &staging()).await.unwrap();
    assert!(promotion(&shop).draft);
    assert_eq!(proof_status(&shop, &promotion(&shop).head), StatusState::Failure);
}

#[tokio::test]
async fn t59_a_red_suite_in_a_later_deployment_cycle_withdraws_the_proof() {
    let shop = proven();
    let first = shop.newest(&staging(), Step::Proof).release.unwrap();
    let web = shop.gitlink("dev", "services/shop-web");
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let back = git::TreeChange::Gitlink { path: "services/shop-web".into(), commit: web };
    shop.commit("dev", &[back], "web back to 1");
    shop.merge_dev().await;
    shop.broken("staging", "system", true);
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!((report.release.as_ref(), report.stopped), (Some(&first), Some(ErrorKind::Negative)), "{report:#?}");
    assert!(matches!(shop.ledger().proof_of(&staging(), &first), ProofVerdict::Failed { withdrawn: Some(_), .. }));
    assert!(matches!(proof(&shop).await, ProofSummary::Withdrawn { .. }));
    assert!(promotion(&shop).draft);
    // Past the button: production asks itself.
    let number = promotion(&shop).number;
    shop.forge("eve")
        .edit_pull_request(
            number,
            &orchestrator::forge::PullRequestEdit::default().readiness(orchestrator::forge::Readiness::Ready),
        )
        .unwrap();
    merge_pull_request(&shop.context("eve"), number, None, Bypass::Yes).await.unwrap();
    let refused = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(refused.stopped, Some(ErrorKind::Refused), "{refused:#?}");
    assert!(shop.refused_gates(&production()).contains(&Gate::StagingProof));

    shop.broken("staging", "system", false);
    shop.run_ok(&staging()).await;
    assert!(matches!(proof(&shop).await, ProofSummary::Proven { .. }));
}

#[tokio::test]
async fn t62_records_of_a_persons_rollback_lift_no_withdrawal_and_the_next_run_does() {
    let shop = promoted().await;
    drift(&shop);
    verify(&shop.bot(), &staging()).await.unwrap();
    // Ana goes back to the release that is there, on paper: the forge takes each of these records.
    let of = |step: Step| shop.newest(&staging(), step);
    let mut opener = of(Step::Proof);
    (opener.step, opener.result, opener.proof, opener.finished) = (Step::Rollback, StepResult::Started, None, None);
    let records = [opener.reason("by hand"), of(Step::Deploy), of(Step::Suite), of(Step::Proof)];
    for mut record in records {
        record.run.actor = "ana".to_owned();
        record.evidence.clear();
        shop.append_as("ana", record);
    }
    assert!(matches!(proof(&shop).await, ProofSummary::Withdrawn { .. }));
    unhold(&shop.context("ana"), &staging(), "done").await.unwrap();
    assert!(matches!(proof(&shop).await, ProofSummary::Withdrawn { .. }));
    fails(promote(&shop.bot(), &staging()).await, ErrorKind::Refused);
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    assert!(shop.refused_gates(&production()).contains(&Gate::StagingProof));
    // The ordinary way out.
    let report = shop.run_ok(&staging()).await;
    for step in ["deploy", "suite system", "proof"] {
        assert!(step_words(&report).contains(&(step, StepWord::Ok)), "{step} is done again: {report:#?}");
    }
    assert!(matches!(proof(&shop).await, ProofSummary::Proven { .. }));
    shop.run_ok(&production()).await;
}

#[tokio::test]
async fn t62_a_persons_rollback_whose_suite_failed_once_is_proven_by_the_bot() {
    let shop = released_twice();
    shop.broken("production", "smoke", true);
    let back = RollbackRequest::new(production(), "orders are lost");
    let report = rollback(&shop.context("ana"), &back).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Negative), "{report:#?}");
    shop.broken("production", "smoke", false);
    let report = rollback(&shop.context("ana"), &back).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert!(report.warnings.iter().any(|warning| warning.contains("is not proven in `production`")), "{report:#?}");
    let target = report.release.unwrap();
    let is_proven = |shop: &Shop| matches!(shop.ledger().proof_of(&production(), &target), ProofVerdict::Proven(_));
    assert!(!is_proven(&shop));
    let report = rollback(&shop.bot(), &back).await.unwrap();
    assert_eq!((report.stopped, report.warnings.len()), (None, 0), "{report:#?}");
    assert!(is_proven(&shop));
    // Now that is all: the same again changes nothing, for the bot and for ana.
    let records = shop.ledger().records().len();
    for context in [shop.bot(), shop.context("ana")] {
        assert_eq!(rollback(&context, &back).await.unwrap().stopped, None);
    }
    assert_eq!(shop.ledger().records().len(), records, "{:?}", shop.story(records));
}
