//! Who may record what, what the ledger is read from, and what its records alone do not say.

use std::collections::BTreeSet;
use std::fs;

use git::{CommitIdentity, MODE_FILE, TreeChange};
use ledger::{Step, StepResult};
use lock_model::{CommitId, EnvironmentName, LEDGER_BRANCH};
use orchestrator::lock::commit_lock;
use orchestrator::report::v1::Operation;
use orchestrator::{
    DeployRequest, ErrorKind, RollbackRequest, RunRequest, accept_release, deploy, hold, promote, release, rollback,
    run, status, unhold,
};
use promotion::gates::Gate;

use crate::shop::{Shop, Watcher, fails, production, proven, released, released_twice, staging};

fn back(environment: EnvironmentName, to: Option<&str>) -> RollbackRequest {
    let mut request = RollbackRequest::new(environment, "orders are lost");
    request.to = to.map(str::to_owned);
    request
}

/// Everything that a refused call must leave as it was.
fn everything(shop: &Shop) -> (std::collections::BTreeMap<String, String>, usize) {
    (shop.untouched(), shop.ledger().records().len())
}

#[tokio::test]
async fn t46_a_person_who_may_not_record_a_run_begins_none() {
    let shop = proven();
    let before = everything(&shop);
    for actor in ["dana", "eve"] {
        let dana = || shop.context(actor);
        let error = fails(run(&dana(), &RunRequest::new(staging())).await, ErrorKind::Denied);
        assert!(error.to_string().contains("is a person, and only a bot records `gates`"), "{error}");
        assert!(
            error.hints().iter().any(|hint| hint.contains("let the bot `orchestrator` do it")),
            "{:?}",
            error.hints()
        );
        fails(deploy(&dana(), &DeployRequest::new(staging())).await, ErrorKind::Denied);
        fails(commit_lock(&dana(), &staging(), None).await, ErrorKind::Denied);
        fails(promote(&dana(), &staging()).await, ErrorKind::Denied);
        fails(release(&dana(), &staging(), None).await, ErrorKind::Denied);
    }
    let error = fails(rollback(&shop.context("rita"), &back(staging(), None)).await, ErrorKind::Denied);
    assert!(error.to_string().contains("the role is read, and this needs write"), "{error}");
    assert_eq!(everything(&shop), before);
}

#[tokio::test]
async fn t46_a_persons_own_rollback_comes_through_and_only_that_person_goes_on_with_it() {
    let shop = released_twice();
    let context = shop.watched("ana", &Watcher::new().dies_after("deploy"));
    let ended = tokio::spawn(async move { rollback(&context, &back(production(), None)).await.map(|_| ()) }).await;
    assert!(ended.unwrap_err().is_panic());
    let before = everything(&shop);
    let error = fails(rollback(&shop.context("ben"), &back(production(), None)).await, ErrorKind::Denied);
    assert!(error.to_string().contains("`ana` began the one of record"), "{error}");
    assert_eq!(everything(&shop), before);
    let report = rollback(&shop.context("ana"), &back(production(), None)).await.unwrap();
    assert_eq!((report.operation, report.stopped), (Operation::Rollback, None), "{report:#?}");
    let ledger = shop.ledger();
    let began = ledger.of(&production()).rfind(|record| record.opens_rollback()).unwrap().seq;
    let mut steps = ledger.records().iter().filter(|record| record.seq >= began);
    assert!(steps.all(|record| record.entry.run.actor == "ana"));
    let lifted = unhold(&shop.context("ben"), &production(), "it was the network").await.unwrap();
    let left = lifted.next.unwrap().release.unwrap();
    accept_release(&shop.context("ben"), &production(), left.id8(), "it was the network").await.unwrap();
    shop.run_ok(&production()).await;
}

#[tokio::test]
async fn t46_a_person_sets_a_branch_only_to_what_it_has_held() {
    let shop = released_twice();
    // Somebody wrote into the rendered tree of the release before: it is not what that release makes.
    let renders: Vec<CommitId> = shop.git().rev_list(&["refs/heads/deploy/production"]).unwrap();
    let tampered = TreeChange::Write { path: "x.yaml".to_owned(), mode: MODE_FILE, bytes: b"a: 1\n".to_vec() };
    let tree =
        |commit: &CommitId, changes: &[TreeChange]| shop.git().write_tree(Some(commit.as_str()), changes).unwrap();
    let identity = CommitIdentity::new("x", "x@y", "2026-01-05T09:00:00Z".parse().unwrap());
    let make = |tree, parents: &[CommitId]| shop.git().commit_tree(&tree, parents, "x", &identity).unwrap();
    let first = make(tree(&renders[1], &[tampered]), &[]);
    let second = make(tree(&renders[0], &[]), &[first]);
    shop.force("deploy/production", &second);
    let before = everything(&shop);
    let error = fails(rollback(&shop.context("ana"), &back(production(), None)).await, ErrorKind::Denied);
    assert!(error.to_string().contains("has never held"), "{error}");
    assert_eq!(everything(&shop), before);
    // The bot may.
    let report = rollback(&shop.bot(), &back(production(), None)).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
}

/// A commit that never was on `main`, and records of it that say otherwise: as if it had been in production between the
/// two releases.
fn made_up(shop: &Shop, branch: &str) -> String {
    let head = shop.head("main").unwrap();
    shop.force(branch, &head);
    shop.configure(branch, "severity: block, deadline: 1m", "severity: block, deadline: 2m");
    let evil = shop.head(branch).unwrap();
    let ledger = shop.ledger();
    let records =
        |step: Step, result| ledger.of(&production()).rfind(|record| record.is(step, result)).unwrap().entry.clone();
    let id = format!("sha256:{}", "e".repeat(64));
    for step in [Step::Deploy, Step::Verify, Step::Proof] {
        let mut draft = records(step, StepResult::Ok);
        draft.commit = Some(evil.clone());
        draft.release = Some(id.as_str().try_into().unwrap());
        shop.append(draft);
    }
    shop.append(records(Step::Deploy, StepResult::Started));
    shop.append(records(Step::Deploy, StepResult::Ok));
    "e".repeat(8)
}

#[tokio::test]
async fn t46_a_rollback_goes_to_a_commit_that_the_branch_has_had() {
    let shop = released_twice();
    let name = made_up(&shop, "evil");
    let before = everything(&shop);
    let error = fails(rollback(&shop.bot(), &back(production(), Some(&name))).await, ErrorKind::Refused);
    let causes = error.causes().join("\n");
    assert!(causes.contains("is not one that the branch of `production` has had"), "{causes}");
    assert_eq!(everything(&shop), before);
    // Without a name it is passed over.
    let first = shop.releases()[0].clone();
    let report = rollback(&shop.bot(), &back(production(), None)).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_eq!(shop.newest(&production(), Step::Rollback).tag, None);
    let opened = shop.ledger().of(&production()).rfind(|record| record.opens_rollback()).unwrap().entry.clone();
    assert_eq!(opened.tag, Some(first));
}

#[tokio::test]
async fn t46_a_proof_that_somebody_made_up_deploys_nothing_that_was_not_merged_and_approved() {
    let shop = released();
    let head = shop.head("main").unwrap();
    shop.force("evil", &head);
    let evil = shop.configure("evil", "severity: block, deadline: 1m", "severity: block, deadline: 2m");
    let number = shop.open_pull_request("evil", "main").await;
    let merge = shop.merge_past_rules(number).await;
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(
        shop.refused_gates(&production()),
        BTreeSet::from([Gate::StagingProof, Gate::Suites, Gate::Approvals]),
        "{report:#?}"
    );
    // The story that staging ran it, forced onto the branch.
    for step in [Step::Deploy, Step::Verify, Step::Suite, Step::Proof] {
        let mut draft = shop.newest(&staging(), step);
        draft.release.clone_from(&report.release);
        draft.commit = Some(merge.clone());
        shop.append(draft);
    }
    let before = shop.untouched();
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    assert_eq!(shop.refused_gates(&production()), BTreeSet::from([Gate::Approvals]));
    // The same content from a commit that the branch never was at.
    let mut request = RunRequest::new(production());
    request.revision = Some(evil.as_str().to_owned());
    let error = fails(run(&shop.bot(), &request).await, ErrorKind::Repository);
    assert!(error.to_string().contains("was never the tip of `main`"), "{error}");
    assert_eq!(shop.untouched(), before);
}

#[tokio::test]
async fn t46_a_deployment_of_an_unprotected_branch_does_not_choose_the_branch() {
    let shop = released_twice();
    let head = shop.head("main").unwrap();
    shop.force("evil", &head);
    shop.configure("evil", "production: main", "production: evil");
    let mut draft = shop.newest(&production(), Step::Deploy);
    draft.commit = shop.head("evil");
    shop.append(draft);
    let before = everything(&shop);
    // What runs in production is still what `main` says.
    let mut request = RunRequest::new(production());
    request.revision = Some("evil".to_owned());
    let error = fails(run(&shop.bot(), &request).await, ErrorKind::Repository);
    assert!(error.to_string().contains("was never the tip of `main`"), "{error}");
    assert_eq!(everything(&shop), before);
}

#[tokio::test]
async fn t47_what_lies_beside_the_records_stops_nobody() {
    let shop = released();
    let large = vec![b'x'; 8 * 1024 * 1024];
    let file = |path: &str| TreeChange::Write { path: path.to_owned(), mode: MODE_FILE, bytes: large.clone() };
    shop.commit(LEDGER_BRANCH, &[file("x/f"), file(&format!("evidence/sha256/{}", "0".repeat(64)))], "x");
    status(&shop.bot(), None).await.unwrap();
    shop.run_ok(&production()).await;
    // A large file among the records is none, and is not read.
    shop.commit(LEDGER_BRANCH, &[file("records/000/x.json")], "x");
    let error = fails(status(&shop.bot(), None).await, ErrorKind::Refused);
    let causes = error.causes().join("\n");
    assert!(causes.contains("`records/000/x.json` is neither a record nor a folder of records"), "{causes}");
}

#[tokio::test]
async fn t45_a_document_that_is_gone_breaks_the_ledger() {
    let shop = released();
    let evidence = shop.newest(&production(), Step::Deploy).evidence[0].clone();
    shop.commit(LEDGER_BRANCH, &[TreeChange::Remove { path: evidence.path() }], "tidy");
    let error = fails(run(&shop.bot(), &RunRequest::new(production())).await, ErrorKind::Refused);
    assert_eq!(error.message(), "the ledger is broken: documents that records name are gone");
    assert_eq!(error.all_problems()[0].subject, evidence.path());
}

#[tokio::test]
async fn t47_what_is_kept_of_the_ledger_is_believed_only_whole_and_of_the_same_folder() {
    let shop = released();
    let kept = shop.join("shop.git/orchestrator/ledger/000");
    fs::remove_file(&kept).unwrap_or_default();
    let before = status(&shop.bot(), None).await.unwrap();
    let text = fs::read_to_string(&kept).unwrap();
    assert!(text.contains("\"rollback\"") || text.contains("\"deploy\""), "records are kept");
    // It is what is read next time: the same folder need not be checked again.
    let lie = text.replace("\"step\":\"proof\",\"result\":\"ok\"", "\"step\":\"proof\",\"result\":\"no\"");
    for damaged in [
        String::new(),
        "1 x y\n{}".to_owned(),
        lie,
        text.replace("orders", "sellers"),
        text.chars().take(text.len() / 2).collect(),
    ] {
        fs::write(&kept, damaged).unwrap();
        assert_eq!(status(&shop.bot(), None).await.unwrap(), before);
        assert_eq!(fs::read_to_string(&kept).unwrap(), text, "it is kept anew");
    }
    // One more record is another folder.
    hold(&shop.context("eve"), &production(), "a holiday").await.unwrap();
    let held = status(&shop.bot(), None).await.unwrap();
    assert_ne!(held, before);
    // What a clone remembers holds although the folder that is there was checked before.
    fs::write(&kept, &text).unwrap();
    let shorter = shop.git().rev_list(&["refs/heads/orchestrator/ledger"]).unwrap()[1].clone();
    shop.force(LEDGER_BRANCH, &shorter);
    fails(status(&shop.bot(), None).await, ErrorKind::Refused);
}
