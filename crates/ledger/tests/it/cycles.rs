use ledger::cycle::{
    Cycle, CycleOrigin, Interruption, Locks, PlanShape, Purpose, StepAction, Then, Underway, interruption, next_steps,
    plan,
};
use ledger::{Ledger, Step, StepKey, StepResult};

use crate::builders::*;

fn staging_plan() -> Vec<StepKey> {
    plan(&PlanShape { locks: Locks::Committed, suites: vec![suite("system", "system")], then: Then::Promote })
}

/// `step:attempt` for what runs, `step` for what is skipped.
fn shown(ledger: &Ledger, freight: &Freight) -> String {
    next_steps(ledger, &staging(), &freight.release, &staging_plan())
        .into_iter()
        .map(|step| match step.action {
            StepAction::Run { attempt } => format!("{}:{attempt}", step.key),
            StepAction::Skip { .. } => step.key.to_string(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_plan_is_in_order() {
    let words = |plan: Vec<StepKey>| plan.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(words(staging_plan()), "lock-commit gates health deploy verify suite system proof promote");
    let production = PlanShape { locks: Locks::InTree, suites: Vec::new(), then: Then::Release };
    assert_eq!(words(plan(&production)), "gates health deploy verify proof release");
}

#[test]
fn p11_a_killed_run_goes_on_where_it_was() {
    let a = freight("a");
    let words: Vec<&str> = STAGED.split_whitespace().collect();
    let expected = [
        "lock-commit:1 gates:1 health:1 deploy:1 verify:1 suite system:1 proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy:1 verify:1 suite system:1 proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy:1 verify:1 suite system:1 proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy:1 verify:1 suite system:1 proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy:1 verify:1 suite system:1 proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy:2 verify:1 suite system:1 proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy verify:1 suite system:1 proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy verify:1 suite system:1 proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy verify:1 suite system:2 proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy verify:1 suite system proof:1 promote:1",
        "lock-commit:2 gates:1 health:1 deploy verify:1 suite system proof promote:1",
        "lock-commit:2 gates:1 health:1 deploy verify:1 suite system proof promote:2",
        "lock-commit:2 gates:1 health:1 deploy verify:1 suite system proof promote",
    ];
    assert_eq!(expected.len(), words.len() + 1);
    for (killed_after, expected) in expected.iter().enumerate() {
        let mut ledger = Ledger::empty();
        tell(&mut ledger, &staging(), &a, &words[..killed_after].join(" "));
        assert_eq!(shown(&ledger, &a), *expected, "after {killed_after} records");
    }
}

#[test]
fn what_failed_runs_again_with_the_next_attempt() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, "gates:ok health:ok deploy:started deploy:ok verify:ok");
    tell(&mut ledger, &staging(), &a, "suite(system):started suite(system):failed proof:failed");
    assert_eq!(shown(&ledger, &a), "lock-commit:1 gates:1 health:1 deploy verify:1 suite system:2 proof:1 promote:1");
    tell(&mut ledger, &staging(), &a, "suite(system):started");
    assert_eq!(shown(&ledger, &a), "lock-commit:1 gates:1 health:1 deploy verify:1 suite system:3 proof:1 promote:1");
}

#[test]
fn a_then_b_then_a_deploys_a_again() {
    let (a, b) = (freight("a"), freight("b"));
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, STAGED);
    assert_eq!(Cycle::of(&ledger, &staging(), &a.release).number, 0);
    tell(&mut ledger, &staging(), &b, STAGED);
    tell(&mut ledger, &staging(), &b, "deploy:started");
    let again = Cycle::of(&ledger, &staging(), &a.release);
    assert_eq!((again.number, again.steps().len()), (1, 0));
    assert!(shown(&ledger, &a).contains("deploy:1"));
    assert_eq!(Cycle::of(&ledger, &staging(), &b.release).number, 1);
    tell(&mut ledger, &staging(), &a, "deploy:started");
    assert_eq!(Cycle::of(&ledger, &staging(), &b.release).number, 2);
    assert!(shown(&ledger, &a).contains("deploy:2"));
}

#[test]
fn a_release_that_was_stopped_ends_nobodys_stay() {
    let (a, b) = (freight("a"), freight("b"));
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, STAGED);
    let before = shown(&ledger, &a);
    tell(&mut ledger, &staging(), &b, "lock-commit:started lock-commit:ok gates:refused health:failed deploy:refused");
    assert_eq!(shown(&ledger, &a), before);
    assert_eq!(Cycle::of(&ledger, &staging(), &a.release).number, 0);
}

#[test]
fn other_environments_have_their_own_cycles() {
    let (a, b) = (freight("a"), freight("b"));
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, STAGED);
    let before = shown(&ledger, &a);
    tell(&mut ledger, &production(), &b, RELEASED);
    assert_eq!(shown(&ledger, &a), before);
}

#[test]
fn a_suite_with_other_content_is_another_step() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, STAGED);
    let changed = [StepKey::Suite(suite("system", "changed"))];
    let steps = next_steps(&ledger, &staging(), &a.release, &changed);
    assert_eq!(steps.first().unwrap().action, StepAction::Run { attempt: 1 });
}

#[test]
fn a_deployment_that_verify_found_changed_is_done_again() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, STAGED);
    tell(&mut ledger, &staging(), &a, "verify:failed");
    assert!(shown(&ledger, &a).contains("deploy:2"), "{}", shown(&ledger, &a));
    tell(&mut ledger, &staging(), &a, "deploy:started deploy:ok");
    assert!(shown(&ledger, &a).contains("deploy verify:1"), "{}", shown(&ledger, &a));
}

#[test]
fn p13_running_a_finished_release_again_adds_no_record() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, STAGED);
    tell(&mut ledger, &production(), &a, RELEASED);
    for (environment, plan) in [
        (staging(), staging_plan()),
        (
            production(),
            plan(&PlanShape { locks: Locks::InTree, suites: vec![suite("smoke", "smoke")], then: Then::Release }),
        ),
    ] {
        for step in next_steps(&ledger, &environment, &a.release, &plan) {
            match step.action {
                StepAction::Skip { .. } => {}
                StepAction::Run { .. } => {
                    // Another run, later, at a commit that changed nothing but a text.
                    let mut answer = draft(&environment, &a, &step.key, StepResult::Ok);
                    answer.run = run("another");
                    answer.commit = Some(commit("readme"));
                    answer.started = now(500);
                    answer.finished = Some(now(501));
                    assert!(!ledger.changes(&answer), "{} in {environment}", step.key);
                }
            }
        }
    }
}

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

fn underway<'a>(
    environment: &'a lock_model::EnvironmentName,
    freight: &'a Freight,
    run: &'a ledger::RunIdentity,
    since: u64,
    purpose: Purpose,
) -> Underway<'a> {
    Underway { environment, release: &freight.release, lock: &freight.lock, run, since, purpose }
}

#[test]
fn f10_a_rejection_that_lands_first_stops_the_waiting_deployment() {
    let (a, me, production) = (freight("a"), run("run-1"), production());
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &production, &a, "gates:ok health:ok");
    let mine = underway(&production, &a, &me, 2, Purpose::Run);
    assert_eq!(interruption(&ledger, &mine), None);
    append(&mut ledger, reject(&freight("b"), "not this one"));
    assert_eq!(interruption(&ledger, &mine), None);
    append(&mut ledger, reject(&a, "leaks memory"));
    assert!(matches!(interruption(&ledger, &mine), Some(Interruption::Rejected(_))));
}

#[test]
fn f10_a_hold_that_lands_first_stops_a_run_and_not_a_rollback() {
    let (a, me, production) = (freight("a"), run("run-1"), production());
    let mut ledger = Ledger::empty();
    append(&mut ledger, note(Step::Hold, Some(&staging()), "elsewhere"));
    assert_eq!(interruption(&ledger, &underway(&production, &a, &me, 1, Purpose::Run)), None);
    append(&mut ledger, note(Step::Hold, Some(&production), "fair"));
    assert!(matches!(
        interruption(&ledger, &underway(&production, &a, &me, 1, Purpose::Run)),
        Some(Interruption::Held(_))
    ));
    assert_eq!(interruption(&ledger, &underway(&production, &a, &me, 1, Purpose::Rollback)), None);
}

#[test]
fn f6_a_lost_runner_stops_before_its_next_write() {
    let (a, production) = (freight("a"), production());
    // The job ran again with the same run id: only the nonce tells the two apart.
    let mut lost = run("run-1");
    lost.nonce = Some("lost".to_owned());
    let mut ledger = Ledger::empty();
    let mut begun = draft(&production, &a, &StepKey::Step(Step::Deploy), StepResult::Started);
    begun.run = lost.clone();
    let since = append(&mut ledger, begun);
    let mine = underway(&production, &a, &lost, since, Purpose::Run);
    assert_eq!(interruption(&ledger, &mine), None);
    tell(&mut ledger, &production, &a, "deploy:started");
    assert!(matches!(interruption(&ledger, &mine), Some(Interruption::TakenOver { seq: 2, .. })));
}

#[test]
fn a_rollback_opens_a_cycle_of_its_own() {
    let (a, b) = (freight("a"), freight("b"));
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &production(), &a, RELEASED);
    tell(&mut ledger, &production(), &b, RELEASED);
    tell(&mut ledger, &production(), &a, "rollback:started");
    let cycle = Cycle::of(&ledger, &production(), &a.release);
    assert_eq!((cycle.number, cycle.origin), (1, CycleOrigin::Rollback { seq: 21 }));
    assert_eq!(cycle.steps().len(), 1);
    tell(&mut ledger, &production(), &a, "gates:ok deploy:started deploy:ok");
    assert_eq!(Cycle::of(&ledger, &production(), &a.release).origin, CycleOrigin::Rollback { seq: 21 });
    tell(&mut ledger, &production(), &b, "deploy:started");
    assert_eq!(Cycle::of(&ledger, &production(), &a.release).origin, CycleOrigin::Run);
}
