//! What is done, skipped and tried again, and what stops a run that is underway.

use ledger::{Ledger, Step, StepKey, StepResult};
use promotion::attempts::{AfterProof, Fence, Locks, PlanShape, Purpose, StepAction, fence, next_steps, plan};
use promotion::interruption::{Interruption, Underway, interruption, older_lease};

use crate::builders::*;

fn staging_plan() -> Vec<StepKey> {
    plan(&PlanShape { locks: Locks::Committed, suites: vec![suite("system", "system")], then: AfterProof::Promote })
}

/// `step:attempt` for what runs, `step` for what is skipped.
fn shown(ledger: &Ledger, freight: &Freight) -> String {
    next_steps(ledger, &staging(), &freight.release, &staging_plan(), "robot")
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
    let production = PlanShape { locks: Locks::InTree, suites: Vec::new(), then: AfterProof::Release };
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
    assert_eq!(ledger.cycle(&staging(), &a.release).number, 0);
    tell(&mut ledger, &staging(), &b, STAGED);
    tell(&mut ledger, &staging(), &b, "deploy:started");
    let again = ledger.cycle(&staging(), &a.release);
    assert_eq!((again.number, again.steps().len()), (1, 0));
    assert!(shown(&ledger, &a).contains("deploy:1"));
    assert_eq!(ledger.cycle(&staging(), &b.release).number, 1);
    tell(&mut ledger, &staging(), &a, "deploy:started");
    assert_eq!(ledger.cycle(&staging(), &b.release).number, 2);
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
    assert_eq!(ledger.cycle(&staging(), &a.release).number, 0);
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
    let steps = next_steps(&ledger, &staging(), &a.release, &changed, "robot");
    assert_eq!(steps.first().unwrap().action, StepAction::Run { attempt: 1 });
}

#[test]
fn a_deployment_that_verify_found_changed_is_done_again() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, STAGED);
    tell(&mut ledger, &staging(), &a, "verify:failed");
    let again = shown(&ledger, &a);
    assert!(again.contains("deploy:2 verify:1 suite system:2 proof:1"), "{again}");
    tell(&mut ledger, &staging(), &a, "deploy:started deploy:ok verify:ok");
    let again = shown(&ledger, &a);
    assert!(again.contains("deploy verify:1 suite system:2 proof:1"), "{again}");
    tell(&mut ledger, &staging(), &a, "suite(system):started suite(system):ok proof:ok");
    let again = shown(&ledger, &a);
    assert!(again.contains("deploy verify:1 suite system proof promote"), "{again}");
}

#[test]
fn t62_what_a_person_recorded_is_done_for_that_person_alone() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, STAGED);
    let story = "rollback:started gates:ok health:ok deploy:started deploy:ok verify:ok suite(system):started \
                 suite(system):ok proof:ok";
    tell_as(&mut ledger, "ana", &staging(), &a, story);
    let steps = |ledger: &Ledger, actor: &str| {
        let steps = next_steps(ledger, &staging(), &a.release, &staging_plan(), actor).into_iter();
        let runs = steps.filter(|step| !step.key.step().runs_every_time() && step.key.step() != Step::Promote);
        runs.map(|step| matches!(step.action, StepAction::Run { .. })).collect::<Vec<_>>()
    };
    assert_eq!(steps(&ledger, "ana"), [false; 3], "deploy, suite and proof");
    assert_eq!(steps(&ledger, "ben"), [true; 3]);
    assert_eq!(steps(&ledger, "robot"), [true; 3]);
    append(&mut ledger, note(Step::Unhold, Some(&staging()), "over"));
    assert_eq!(steps(&ledger, "robot"), [true; 3], "also when the rollback is over");
    tell(&mut ledger, &staging(), &a, "deploy:started deploy:ok suite(system):started suite(system):ok proof:ok");
    assert_eq!(steps(&ledger, "robot"), [false; 3]);
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
            plan(&PlanShape { locks: Locks::InTree, suites: vec![suite("smoke", "smoke")], then: AfterProof::Release }),
        ),
    ] {
        for step in next_steps(&ledger, &environment, &a.release, &plan, "robot") {
            match step.action {
                StepAction::Skip { .. } => {}
                StepAction::Run { .. } => {
                    // Another run, later, at a commit that changed nothing but a text.
                    let mut answer = draft(&environment, &a, &step.key, StepResult::Ok);
                    answer.run = run("another");
                    answer.commit = Some(commit("readme"));
                    answer.started = now(500);
                    answer.finished = Some(now(501));
                    // That its gates passed as well is worth knowing: its rules are those of the next change.
                    let says_something = step.key.step() == Step::Gates;
                    assert_eq!(ledger.changes(&answer), says_something, "{} in {environment}", step.key);
                    answer.commit = Some(a.commit.clone());
                    assert!(!ledger.changes(&answer), "{} in {environment}", step.key);
                }
            }
        }
    }
}

fn underway<'a>(
    environment: &'a lock_model::EnvironmentName,
    freight: &'a Freight,
    run: &'a ledger::RunIdentity,
    since: u64,
    purpose: Purpose,
) -> Underway<'a> {
    Underway { environment, lock: &freight.lock, run, since, purpose }
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
fn f6_a_deployment_under_an_older_lease_does_not_begin() {
    let (a, production) = (freight("a"), production());
    let mut ledger = Ledger::empty();
    assert_eq!(older_lease(&ledger, &production, 1), None);
    let mut begun = draft(&production, &a, &StepKey::Step(Step::Deploy), StepResult::Started);
    begun.lease_number = Some(7);
    append(&mut ledger, begun);
    assert_eq!(older_lease(&ledger, &production, 7), None, "its own");
    assert_eq!(older_lease(&ledger, &production, 8), None);
    let older = Some(Interruption::OlderLease { number: 6, recorded: 7 });
    assert_eq!(older_lease(&ledger, &production, 6), older);
    assert_eq!(older_lease(&ledger, &staging(), 6), None, "of another environment");
    // Records of before have no number, and change nothing.
    tell(&mut ledger, &production, &a, "deploy:ok deploy:started");
    assert_eq!(older_lease(&ledger, &production, 6), older);
}

#[test]
fn a_run_knows_what_was_recorded_before_its_gates_passed() {
    let (a, production, me) = (freight("a"), production(), run("run-2"));
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &production, &a, "deploy:started");
    assert_eq!(interruption(&ledger, &underway(&production, &a, &me, 1, Purpose::Run)), None);
    let Some(Interruption::TakenOver { seq, release, run }) =
        interruption(&ledger, &underway(&production, &a, &me, 0, Purpose::Run))
    else {
        panic!("another run began after this one's gates")
    };
    assert_eq!((seq, release, run), (1, Some(a.release.clone()), crate::builders::run("run-1")));
    tell(&mut ledger, &production, &a, "gates:ok verify:failed deploy:refused");
    tell(&mut ledger, &staging(), &a, "deploy:started");
    assert_eq!(
        interruption(&ledger, &underway(&production, &a, &me, 1, Purpose::Run)),
        None,
        "nothing else was changed here"
    );
}

#[test]
fn f28_a_deployment_is_fenced_where_the_one_before_was_cut_off_and_where_a_rollback_begins() {
    let (a, b) = (freight("a"), freight("b"));
    let asked = |stories: &[(&Freight, &str)]| {
        let mut ledger = Ledger::empty();
        for (freight, story) in stories {
            tell(&mut ledger, &production(), freight, story);
        }
        // What happens in another environment, and what comes later, is nobody's business.
        tell(&mut ledger, &staging(), &b, "deploy:started");
        let number = append(&mut ledger, draft(&production(), &b, &Step::Deploy.into(), StepResult::Started));
        tell(&mut ledger, &production(), &b, "deploy:ok");
        fence(&ledger, &production(), number)
    };
    let needed = |unless| Fence::Needed { unless };
    assert_eq!(asked(&[]), Fence::NotNeeded);
    assert_eq!(asked(&[(&a, "deploy:started deploy:ok verify:failed")]), Fence::NotNeeded);
    assert_eq!(asked(&[(&a, "gates:refused")]), Fence::NotNeeded, "nothing was begun");
    assert_eq!(asked(&[(&a, "deploy:started deploy:ok deploy:started")]), needed(Some(3)));
    assert_eq!(asked(&[(&a, "deploy:started"), (&b, "gates:ok deploy:started deploy:ok")]), Fence::NotNeeded);
    assert_eq!(asked(&[(&a, "deploy:started deploy:failed gates:ok")]), needed(Some(1)), "who knows what it pushed");
    // The first deployment of a rollback, whatever was before; then it is an attempt like others.
    assert_eq!(asked(&[(&a, "deploy:started deploy:ok rollback:started gates:ok")]), needed(None));
    assert_eq!(asked(&[(&a, "deploy:started rollback:started")]), needed(None));
    assert_eq!(asked(&[(&a, "deploy:started rollback:started deploy:started")]), needed(Some(3)));
    let done = "deploy:started rollback:started deploy:started deploy:ok rollback:ok";
    assert_eq!(asked(&[(&a, done)]), Fence::NotNeeded);
}
