//! The push of a run that died lands late: after somebody else's rollback or deployment it is refused.

use git::PushOutcome;
use ledger::{Step, StepResult};
use lock_model::{CommitId, EnvironmentName};
use orchestrator::report::v1::StepResult as StepWord;
use orchestrator::{RollbackRequest, RunRequest, rollback, verify};

use crate::shop::{
    BOT, Shop, Watcher, die, dies, production, proven, released, released_twice, staging, step_words, write,
};

/// A push that is still under way: the commit, and where the branch was when it began.
struct Late {
    branch: String,
    commit: CommitId,
    expected: CommitId,
}

impl Late {
    /// Runs an environment until `deploy started` is recorded and the push has begun, and kills it there.
    async fn cut_off(shop: &Shop, name: &EnvironmentName) -> Self {
        let branch = format!("deploy/{name}");
        let expected = shop.head(&branch).unwrap();
        let begun = shop.count(name, Step::Deploy, StepResult::Started);
        while shop.count(name, Step::Deploy, StepResult::Started) == begun {
            let known = u64::try_from(shop.ledger().records().len()).unwrap();
            let dead = Watcher::new().before_record(known + 2, die);
            assert!(dies(shop.watched(BOT, &dead), RunRequest::new(name.clone())).await);
        }
        let commit = shop.head(&branch).unwrap();
        assert_ne!(commit, expected);
        // On a slow network it has not arrived yet.
        shop.force(&branch, &expected);
        Self { branch, commit, expected }
    }

    fn arrives(&self, shop: &Shop) -> PushOutcome {
        let remote = shop.join("shop.git");
        let name = format!("refs/heads/{}", self.branch);
        let git = shop.git();
        git.push(remote.to_str().unwrap(), self.commit.as_str(), &name, Some(self.expected.as_str())).unwrap()
    }
}

fn back() -> RollbackRequest {
    RollbackRequest::new(production(), "orders are lost")
}

/// The shop with one release, and a second one whose deployment to production was cut off.
async fn cut_off_in_production() -> (Shop, Late) {
    let shop = released();
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    shop.approve_and_merge(4).await;
    let late = Late::cut_off(&shop, &production()).await;
    (shop, late)
}

#[tokio::test]
async fn f28_a_late_push_does_not_land_after_a_rollback_to_what_is_still_stored() {
    let (shop, late) = cut_off_in_production().await;
    let stored = shop.git().commit("deploy/production").unwrap().unwrap();
    let report = rollback(&shop.bot(), &back()).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    let moved = shop.git().commit("deploy/production").unwrap().unwrap();
    assert_eq!((&moved.tree, &moved.parents), (&stored.tree, &vec![stored.id]), "the same files in a new commit");
    assert!(moved.message.contains(report.release.as_ref().unwrap().as_str()), "{}", moved.message);
    assert_eq!(late.arrives(&shop), PushOutcome::Moved);
    assert!(verify(&shop.bot(), &production()).await.unwrap().proof.is_proven());
    // The same command again is the same rollback, done.
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    let again = rollback(&shop.bot(), &back()).await.unwrap();
    assert!(step_words(&again).contains(&("deploy", StepWord::Done)), "{again:#?}");
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records));
}

#[tokio::test]
async fn f28_a_late_push_does_not_land_after_a_rollback_that_was_cut_off_itself() {
    let (shop, late) = cut_off_in_production().await;
    // The rollback begins its deployment, and dies before it pushes anything.
    let known = u64::try_from(shop.ledger().records().len()).unwrap();
    let stored = shop.head("deploy/production").unwrap();
    let context = shop.watched(BOT, &Watcher::new().dies_after("health"));
    let ended = tokio::spawn(async move { rollback(&context, &back()).await.map(drop) }).await;
    assert!(ended.unwrap_err().is_panic());
    let mut draft = shop.newest(&production(), Step::Health);
    (draft.step, draft.result, draft.finished) = (Step::Deploy, StepResult::Started, None);
    draft.evidence.clear();
    shop.append(draft);
    assert!(u64::try_from(shop.ledger().records().len()).unwrap() > known + 2);
    let report = rollback(&shop.bot(), &back()).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_ne!(shop.head("deploy/production").unwrap(), stored);
    assert_eq!(late.arrives(&shop), PushOutcome::Moved);
    assert!(verify(&shop.bot(), &production()).await.unwrap().proof.is_proven());
}

#[tokio::test]
async fn f28_a_late_push_does_not_land_after_a_deployment_of_what_is_still_stored() {
    let shop = proven();
    let first = shop.gitlink("dev", "services/shop-web");
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    let late = Late::cut_off(&shop, &staging()).await;
    let stored = shop.git().commit("deploy/staging").unwrap().unwrap();
    // The change is taken back: the release is the one that is stored.
    let change = git::TreeChange::Gitlink { path: "services/shop-web".into(), commit: first };
    shop.commit("dev", &[change, write("README.md", "# A shop again\n")], "back to web 1");
    shop.merge_dev().await;
    let report = shop.run_ok(&staging()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Ok)), "{report:#?}");
    let moved = shop.git().commit("deploy/staging").unwrap().unwrap();
    assert_eq!((&moved.tree, &moved.parents), (&stored.tree, &vec![stored.id]));
    assert_eq!(late.arrives(&shop), PushOutcome::Moved);
    assert!(verify(&shop.bot(), &staging()).await.unwrap().proof.is_proven());
}

#[tokio::test]
async fn f28_a_late_push_that_lands_first_is_what_the_next_run_goes_on_from() {
    let (shop, late) = cut_off_in_production().await;
    assert_eq!(late.arrives(&shop), PushOutcome::Done);
    let report = shop.run_ok(&production()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Ok)), "{report:#?}");
    assert_eq!(shop.head("deploy/production"), Some(late.commit), "it has arrived: nothing is pushed again");
}

#[tokio::test]
async fn f28_a_late_push_of_a_rollback_does_not_land_after_the_rollback_was_begun_again() {
    let shop = released_twice();
    let expected = shop.head("deploy/production").unwrap();
    let begun = shop.count(&production(), Step::Deploy, StepResult::Started);
    while shop.count(&production(), Step::Deploy, StepResult::Started) == begun {
        let known = u64::try_from(shop.ledger().records().len()).unwrap();
        let context = shop.watched(BOT, &Watcher::new().before_record(known + 2, die));
        let ended = tokio::spawn(async move { rollback(&context, &back()).await.map(drop) }).await;
        assert!(ended.unwrap_err().is_panic());
    }
    let branch = "deploy/production".to_owned();
    let commit = shop.head(&branch).unwrap();
    assert_ne!(commit, expected);
    shop.force(&branch, &expected);
    let late = Late { branch, commit, expected };
    let report = rollback(&shop.bot(), &back()).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert_eq!(late.arrives(&shop), PushOutcome::Moved);
    assert!(verify(&shop.bot(), &production()).await.unwrap().proof.is_proven());
}
