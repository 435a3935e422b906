//! What happened, and the releases that came of it.

use std::time::Instant;

use ledger::{Step, StepResult};
use lock_model::EnvironmentName;
use orchestrator::lock::{commit_lock, reject_lock};
use orchestrator::report::v1::{HistoryRow, ReleaseRow};
use orchestrator::{
    Actor, Context, DeployRequest, ErrorKind, HistoryRequest, RollbackRequest, RunRequest, Settings, accept_release,
    approvals, deploy, health, history, hold, plan, promote, release, releases, rollback, run, show_evidence,
    show_record, status, verify,
};

use crate::shop::{BOT, Shop, Watcher, environment, fails, production, released, staging};

async fn rows(shop: &Shop, fill: impl FnOnce(&mut HistoryRequest)) -> Vec<HistoryRow> {
    let mut request = HistoryRequest::default();
    fill(&mut request);
    history(&shop.bot(), &request).await.unwrap().records
}

/// Names of environments where the release is proven, where it is, and where it can be gone back to.
fn places(row: &ReleaseRow) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
    let proven = row.proven.iter().map(|proven| proven.environment.as_str()).collect();
    let deployed = row.deployed.iter().map(EnvironmentName::as_str).collect();
    let back = row.rollback.iter().filter(|one| one.possible).map(|one| one.environment.as_str()).collect();
    (proven, deployed, back)
}

#[tokio::test]
async fn a_deadline_holds_for_what_only_reads() {
    let shop = released();
    let mut settings = Settings::new(shop.join("shop.git"), Actor::Named(BOT.try_into().unwrap()));
    settings.deadline = Instant::now();
    let watcher = Watcher::new();
    let late = Context::open(settings, shop.surroundings(), watcher.clone(), watcher).unwrap();
    for error in [
        fails(status(&late, None).await.map(drop), ErrorKind::Deadline),
        fails(history(&late, &HistoryRequest::default()).await.map(drop), ErrorKind::Deadline),
        fails(show_record(&late, 1).await.map(drop), ErrorKind::Deadline),
        fails(releases(&late, None, None).await.map(drop), ErrorKind::Deadline),
    ] {
        assert!(error.hints()[0].contains("`--deadline`"), "{error}");
    }
}

#[tokio::test]
async fn history_is_narrowed_by_release_and_time() {
    let shop = released();
    let all = rows(&shop, |_| ()).await;
    let release = all.iter().find_map(|row| row.release.clone()).unwrap();
    let tag = shop.newest(&production(), Step::Release).tag.unwrap();
    let of_release = all.iter().filter(|row| row.release.as_ref() == Some(&release)).count();
    for name in [tag.as_str(), release.as_str(), release.id8()] {
        let found = rows(&shop, |request| request.release = Some(name.to_owned())).await;
        assert_eq!(found.len(), of_release, "{name}");
    }
    let last = all.last().unwrap();
    let newest = rows(&shop, |request| request.since = Some(last.at)).await;
    assert!(!newest.is_empty() && newest.iter().all(|row| row.at == last.at), "{newest:?}");
    let seven: String = release.id8().chars().take(7).collect();
    for wrong in ["release-0", seven.as_str(), ""] {
        let mut request = HistoryRequest::default();
        request.release = Some(wrong.to_owned());
        let error = fails(history(&shop.bot(), &request).await, ErrorKind::Usage);
        assert!(error.hints()[0].contains("orchestrator releases"), "{error}");
        assert!(!error.message().contains("did you mean"), "{error}");
    }
    let mut request = HistoryRequest::default();
    request.release = Some(tag.as_str().replacen("release", "relaese", 1));
    let error = fails(history(&shop.bot(), &request).await, ErrorKind::Usage);
    assert!(error.message().ends_with(&format!("did you mean `{tag}`?")), "{error}");
}

#[tokio::test]
async fn a_name_that_neither_ledger_nor_configuration_has_gets_no_answer() {
    let shop = released();
    let canary = environment("prodcution");
    let mut request = HistoryRequest::default();
    request.environment = Some(canary.clone());
    let bot = shop.bot();
    // A person hears of the name, not of rights to something that is not there.
    let dana = shop.context("dana");
    for error in [
        fails(history(&bot, &request).await, ErrorKind::Usage),
        fails(releases(&bot, Some(&canary), None).await, ErrorKind::Usage),
        fails(status(&bot, Some(&canary)).await, ErrorKind::Usage),
        fails(verify(&bot, &canary).await, ErrorKind::Usage),
        fails(health(&bot, &canary).await, ErrorKind::Usage),
        fails(hold(&bot, &canary, "x").await, ErrorKind::Usage),
        fails(plan(&bot, &canary, None).await, ErrorKind::Usage),
        fails(approvals(&bot, &canary, None).await, ErrorKind::Usage),
        fails(accept_release(&bot, &canary, "release-1", "x").await, ErrorKind::Usage),
        fails(run(&dana, &RunRequest::new(canary.clone())).await, ErrorKind::Usage),
        fails(deploy(&dana, &DeployRequest::new(canary.clone())).await, ErrorKind::Usage),
        fails(promote(&dana, &canary).await, ErrorKind::Usage),
        fails(release(&dana, &canary, None).await, ErrorKind::Usage),
        fails(commit_lock(&dana, &canary, None).await, ErrorKind::Usage),
        fails(rollback(&dana, &RollbackRequest::new(canary.clone(), "x")).await, ErrorKind::Usage),
    ] {
        assert_eq!(error.message(), "there is no environment `prodcution`");
        assert!(error.hints()[0].starts_with("did you mean `production`?"), "{:?}", error.hints());
    }
    request.environment = Some(environment("70"));
    let number = fails(history(&bot, &request).await, ErrorKind::Usage);
    assert!(number.hints()[1].contains("`orchestrator history show 70`"), "{:?}", number.hints());

    // What was taken out of the configuration still has its history.
    shop.configure("main", "  production:", "  live:");
    assert!(!rows(&shop, |request| request.environment = Some(production())).await.is_empty());
    assert_eq!(releases(&bot, Some(&production()), None).await.unwrap().releases.len(), 1);
}

#[tokio::test]
async fn in_the_folder_of_a_submodule_nothing_is_answered() {
    let shop = released();
    // The service's repository lies beside the superproject's, where the forge is.
    let inside = shop.context_at("shop-web.git", BOT, &Watcher::new());
    for error in [
        fails(history(&inside, &HistoryRequest::default()).await, ErrorKind::Usage),
        fails(releases(&inside, None, None).await, ErrorKind::Usage),
        fails(status(&inside, None).await, ErrorKind::Usage),
    ] {
        assert!(error.message().starts_with("`orchestrator.yaml` is not in commit "), "{error}");
        assert!(error.hints()[0].starts_with("run in the superproject"), "{:?}", error.hints());
    }
}

#[tokio::test]
async fn a_record_is_shown_with_all_that_it_says() {
    let shop = released();
    let ledger = shop.ledger();
    let record = ledger.records().iter().find(|record| record.is(Step::Deploy, StepResult::Ok)).unwrap();
    let shown = show_record(&shop.bot(), record.seq).await.unwrap();
    assert_eq!((shown.seq, &shown.entry, &shown.previous), (record.seq, &record.entry, &record.previous));
    assert_eq!(shown.lock_file, record.entry.lock_file);
    let bytes = shop.git().read_file("orchestrator/ledger", &shown.file).unwrap().unwrap();
    assert_eq!(shown.sha256, lock_model::Digest::of(&bytes));
    let count = ledger.records().len();
    for evidence in ledger.records().iter().flat_map(|record| &record.entry.evidence).take(3) {
        let seq = ledger.records().iter().find(|record| record.entry.evidence.contains(evidence)).unwrap().seq;
        let shown = show_evidence(&shop.bot(), seq, &evidence.name).await.unwrap();
        assert_eq!((&shown.name, &shown.sha256), (&evidence.name, &evidence.sha256));
        assert_eq!(lock_model::Digest::of(shown.content.as_bytes()), evidence.sha256);
        let wrong = fails(show_evidence(&shop.bot(), seq, &format!("{}x", evidence.name)).await, ErrorKind::Usage);
        assert!(wrong.hints()[0].contains(&format!("did you mean `{}`?", evidence.name)), "{wrong:?}");
    }
    let error = fails(show_record(&shop.bot(), 999).await, ErrorKind::Usage);
    assert!(error.hints()[0].contains(&format!("records 1 to {count}")), "{error}");
}

#[tokio::test]
async fn releases_say_where_they_can_be_gone_back_to() {
    let shop = released();
    let first = shop.newest(&production(), Step::Release);
    let one = releases(&shop.bot(), None, None).await.unwrap().releases;
    let [only] = one.as_slice() else { panic!("{one:#?}") };
    assert_eq!((only.tag.as_ref(), Some(&only.release)), (first.tag.as_ref(), first.release.as_ref()));
    assert_eq!(places(only), (vec!["production", "staging"], vec!["production", "staging"], vec![]));

    // The next release is in staging alone.
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let two = releases(&shop.bot(), None, None).await.unwrap().releases;
    let [new, old] = two.as_slice() else { panic!("{two:#?}") };
    assert_eq!((places(new), &new.tag), ((vec!["staging"], vec!["staging"], vec![]), &None));
    assert_eq!(places(old), (vec!["production", "staging"], vec!["production"], vec!["staging"]));
    let of_production = releases(&shop.bot(), Some(&production()), None).await.unwrap().releases;
    assert_eq!(of_production.iter().map(|row| &row.release).collect::<Vec<_>>(), [&old.release]);
    assert_eq!(releases(&shop.bot(), None, Some(1)).await.unwrap().releases.len(), 1);

    // What the list says is what a rollback does.
    let mut back = RollbackRequest::new(staging(), "orders are lost");
    back.to = Some(old.release.id8().to_owned());
    rollback(&shop.bot(), &back).await.unwrap();
    let back = releases(&shop.bot(), Some(&staging()), None).await.unwrap().releases;
    assert_eq!(places(&back[1]), (vec!["staging"], vec!["staging"], vec![]));
    assert_eq!(places(&back[0]), (vec!["staging"], vec![], vec!["staging"]));
    reject_lock(&shop.bot(), new.lock.as_str(), "loses orders").await.unwrap();
    let rejected = releases(&shop.bot(), Some(&staging()), None).await.unwrap().releases;
    let [choice] = rejected[0].rollback.as_slice() else { panic!("{rejected:#?}") };
    let reason = choice.reason.clone().unwrap_or_default();
    assert!(
        !choice.possible && reason.starts_with(&format!("`{BOT}` rejected its lock: loses orders (record ")),
        "{reason}"
    );
    assert_eq!(rejected[0].rejected.as_ref(), Some(&reason));
    assert_eq!(rejected[1].rejected, None);
}
