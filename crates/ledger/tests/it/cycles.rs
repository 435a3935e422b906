use ledger::{CycleOrigin, Ledger, Step, StepKey, StepResult};

use crate::builders::*;

#[test]
fn a_changed_answer_is_worth_a_record() {
    let a = freight("a");
    let key = StepKey::Step(Step::Health);
    let mut ledger = Ledger::empty();
    assert!(ledger.changes(&draft(&staging(), &a, &key, StepResult::Ok)));
    tell(&mut ledger, &staging(), &a, "health:ok");
    assert!(!ledger.changes(&draft(&staging(), &a, &key, StepResult::Ok)));
    assert!(ledger.changes(&draft(&staging(), &a, &key, StepResult::Failed)));
    tell(&mut ledger, &staging(), &a, "health:failed");
    assert!(!ledger.changes(&draft(&staging(), &a, &key, StepResult::Failed)));
    assert!(ledger.changes(&draft(&staging(), &a, &key, StepResult::Failed).reason("something else")));
    assert!(ledger.changes(&draft(&staging(), &a, &key, StepResult::Ok)));
    assert!(ledger.changes(&draft(&staging(), &a, &StepKey::Step(Step::Deploy), StepResult::Started)));
}

#[test]
fn holds_and_rejections_are_recorded_once() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    let hold = || note(Step::Hold, Some(&production()), "fair");
    let unhold = || note(Step::Unhold, Some(&production()), "over");
    assert!(!ledger.changes(&unhold()), "nothing to lift");
    assert!(ledger.changes(&hold()));
    append(&mut ledger, hold());
    assert!(!ledger.changes(&hold()));
    assert!(ledger.changes(&note(Step::Hold, Some(&production()), "flood")));
    assert!(ledger.changes(&note(Step::Hold, Some(&staging()), "fair")));
    assert!(ledger.changes(&unhold()));
    assert!(ledger.changes(&reject(&a, "bad")));
    append(&mut ledger, reject(&a, "bad"));
    assert!(!ledger.changes(&reject(&a, "still bad")));
    assert!(ledger.changes(&reject(&freight("b"), "bad")));
}

#[test]
fn f1_a_lock_commit_is_recorded_once_for_each_file() {
    let (a, mut same_lock) = (freight("a"), freight("a"));
    same_lock.lock_file = lock_model::Digest::of(b"the same lock, made for another pull request");
    let key = StepKey::Step(Step::LockCommit);
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, "lock-commit:started");
    assert!(ledger.changes(&draft(&staging(), &a, &key, StepResult::Ok)));
    tell(&mut ledger, &staging(), &a, "lock-commit:ok");
    assert!(!ledger.changes(&draft(&staging(), &a, &key, StepResult::Ok)));
    assert!(ledger.changes(&draft(&staging(), &same_lock, &key, StepResult::Ok)));
}

#[test]
fn a_rollback_opens_a_cycle_of_its_own() {
    let (a, b) = (freight("a"), freight("b"));
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &production(), &a, RELEASED);
    tell(&mut ledger, &production(), &b, RELEASED);
    tell(&mut ledger, &production(), &a, "rollback:started");
    let cycle = ledger.cycle(&production(), &a.release);
    assert_eq!((cycle.number, cycle.origin), (1, CycleOrigin::Rollback { seq: 21 }));
    assert_eq!(cycle.steps().len(), 1);
    tell(&mut ledger, &production(), &a, "gates:ok deploy:started deploy:ok");
    assert_eq!(ledger.cycle(&production(), &a.release).origin, CycleOrigin::Rollback { seq: 21 });
    tell(&mut ledger, &production(), &b, "deploy:started");
    assert_eq!(ledger.cycle(&production(), &a.release).origin, CycleOrigin::Run);
}
