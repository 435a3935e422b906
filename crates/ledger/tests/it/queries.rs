//! What the records of an environment add up to.

use ledger::{
    CycleOrigin, DraftProblem, Evidence, HoldOrigin, Ledger, LockFile, ProofLevel, ProofVerdict, Step, StepKey,
    StepResult,
};
use lock_model::Digest;
use proptest::prelude::*;

use crate::builders::*;

fn ledger_of(stories: &[(&str, &str)]) -> Ledger {
    let mut ledger = Ledger::empty();
    for (word, story) in stories {
        tell(&mut ledger, &staging(), &freight(word), story);
    }
    ledger
}

fn proven_suites(ledger: &Ledger, word: &str) -> Option<Vec<String>> {
    match ledger.proof_of(&staging(), &freight(word).release) {
        ProofVerdict::Proven(proven) => Some(proven.suites.keys().map(ToString::to_string).collect()),
        ProofVerdict::Failed { .. } | ProofVerdict::Absent => None,
    }
}

#[test]
fn records_are_found_by_number_and_by_environment() {
    let mut ledger = ledger_of(&[("a", "gates:ok")]);
    tell(&mut ledger, &production(), &freight("a"), "health:ok");
    let numbers = |environment: &str| -> Vec<u64> {
        ledger.of(&environment.try_into().unwrap()).map(|record| record.seq).collect()
    };
    assert_eq!((numbers("staging"), numbers("production"), numbers("review")), (vec![1], vec![2], vec![]));
    assert_eq!(ledger.record(2).unwrap().entry.step, Step::Health);
    assert_eq!((ledger.record(0), ledger.record(3)), (None, None));
}

#[test]
fn the_newest_deployment_is_told_from_the_newest_success() {
    let seq = |story: &str| {
        let ledger = ledger_of(&[("a", story)]);
        let of = |record: Option<&ledger::Record>| record.map(|record| record.seq);
        (of(ledger.latest_touched(&staging())), of(ledger.latest_deployed(&staging())))
    };
    assert_eq!(seq("gates:ok verify:ok"), (None, None));
    assert_eq!(seq("deploy:started"), (Some(1), None));
    assert_eq!(seq("deploy:started deploy:ok verify:ok"), (Some(2), Some(2)));
    assert_eq!(seq("deploy:started deploy:ok deploy:started deploy:failed"), (Some(4), Some(2)));
    assert_eq!(seq("deploy:started deploy:ok deploy:refused deploy:superseded"), (Some(2), Some(2)));
    assert_eq!(seq("rollback:started"), (None, None), "a rollback's first record changes nothing yet");
}

#[test]
fn what_occupies_an_environment_is_a_deployment_or_a_rollback_that_began() {
    for step in Step::ALL.iter().filter(|step| **step != Step::Suite) {
        for result in StepResult::ALL {
            if *result == StepResult::Started && !step.has_effect() {
                continue;
            }
            let mut ledger = Ledger::empty();
            append(&mut ledger, draft(&staging(), &freight("a"), &(*step).into(), *result).reason("r"));
            let record = ledger.record(1).unwrap();
            let began = matches!(result, StepResult::Started | StepResult::Ok | StepResult::Failed);
            let replaces = matches!(step, Step::Deploy | Step::Rollback);
            assert_eq!(record.occupies_environment(), began && replaces, "{step} {result}");
            let opens = (*step, *result) == (Step::Rollback, StepResult::Started);
            assert_eq!(record.opens_rollback(), opens, "{step} {result}");
        }
    }
}

#[test]
fn f6_the_largest_number_of_a_lease_is_that_of_the_environment() {
    let mut ledger = Ledger::empty();
    assert_eq!(ledger.lease_number(&staging()), 0);
    tell(&mut ledger, &staging(), &freight("a"), "deploy:started deploy:ok");
    assert_eq!(ledger.lease_number(&staging()), 0, "no cluster, or a record of before");
    for (number, result) in [(7, StepResult::Started), (7, StepResult::Failed), (5, StepResult::Started)] {
        let mut deploy = draft(&staging(), &freight("a"), &Step::Deploy.into(), result).reason("r");
        deploy.lease_number = Some(number);
        append(&mut ledger, deploy);
    }
    assert_eq!((ledger.lease_number(&staging()), ledger.lease_number(&production())), (7, 0));
    let mut verify = draft(&staging(), &freight("a"), &Step::Verify.into(), StepResult::Ok);
    verify.lease_number = Some(8);
    assert_eq!(verify.problems(), [DraftProblem::Unexpected("lease_number")]);
}

#[test]
fn a_record_is_dated_by_its_end() {
    let mut ledger = Ledger::empty();
    let mut deploy = draft(&staging(), &freight("a"), &Step::Deploy.into(), StepResult::Ok);
    deploy.finished = Some(now(90));
    append(&mut ledger, deploy);
    tell(&mut ledger, &staging(), &freight("a"), "deploy:started");
    assert_eq!(ledger.record(1).unwrap().recorded_at(), now(90));
    assert_eq!(ledger.record(2).unwrap().recorded_at(), now(0));
}

#[test]
fn a_lock_file_is_known_by_bytes_and_id() {
    let (a, b) = (freight("a"), freight("b"));
    let ledger = ledger_of(&[("a", "lock-commit:started lock-commit:ok lock-commit:started gates:ok")]);
    assert_eq!(ledger.lock_file(&a.lock_file, &a.lock), LockFile::Committed { seq: 2 });
    assert_eq!(ledger.lock_file(&a.lock_file, &b.lock), LockFile::Unknown, "other id");
    assert_eq!(ledger.lock_file(&b.lock_file, &a.lock), LockFile::Unknown, "other bytes");
    let gates_only = ledger_of(&[("a", "gates:ok deploy:started")]);
    assert_eq!(gates_only.lock_file(&a.lock_file, &a.lock), LockFile::Unknown, "not a lock commit");
}

#[test]
fn the_newest_proof_counts() {
    let verdict = |story: &str| match ledger_of(&[("a", story)]).proof_of(&staging(), &freight("a").release) {
        ProofVerdict::Proven(proven) => format!("proven {}", proven.seq),
        ProofVerdict::Failed { seq, reason, .. } => format!("failed {seq} {reason}"),
        ProofVerdict::Absent => "absent".to_owned(),
    };
    for (story, expected) in [
        ("deploy:started deploy:ok suite(system):ok", "absent"),
        ("suite(system):failed", "absent"),
        ("proof:started", "absent"),
        ("proof:superseded", "absent"),
        ("proof:ok", "proven 1"),
        ("proof:ok proof:failed", "failed 2 it did not work"),
        ("proof:ok proof:refused", "failed 2 it did not work"),
        ("proof:failed proof:ok", "proven 2"),
        ("proof:ok proof:started proof:superseded", "proven 1"),
        ("proof:ok suite(system):failed", "failed 2 it did not work"),
        ("proof:ok suite(system):started suite(system):refused suite(system):superseded", "proven 1"),
        ("proof:ok suite(system):failed suite(system):ok", "failed 2 it did not work"),
        ("proof:ok deploy:failed gates:refused health:failed", "proven 1"),
        ("verify:failed", "absent"),
        ("proof:ok verify:failed", "failed 2 it did not work"),
        ("proof:ok verify:failed verify:ok suite(system):ok", "failed 2 it did not work"),
        ("proof:ok verify:failed deploy:started deploy:ok verify:ok proof:ok", "proven 6"),
    ] {
        assert_eq!(verdict(story), expected, "{story}");
    }
}

#[test]
fn t62_a_persons_rollback_withdraws_a_proof_and_gives_none() {
    let a = freight("a");
    let verdict = |stories: &[(&str, &str)]| {
        let mut ledger = Ledger::empty();
        for (actor, story) in stories {
            tell_as(&mut ledger, actor, &staging(), &a, story);
        }
        match ledger.proof_of(&staging(), &a.release) {
            ProofVerdict::Proven(proven) => {
                let suites: Vec<&str> = proven.suites.keys().map(lock_model::SuiteName::as_str).collect();
                format!("proven {} {}", proven.seq, suites.join(" "))
            }
            ProofVerdict::Failed { seq, withdrawn, .. } => format!("failed {seq}, withdraws {withdrawn:?}"),
            ProofVerdict::Absent => "absent".to_owned(),
        }
    };
    let robot = ("robot", "gates:ok suite(system):ok proof:ok");
    let red = ("robot", "suite(system):failed");
    let by_hand = "rollback:started gates:ok deploy:ok verify:ok suite(system):ok suite(more):ok proof:ok rollback:ok";
    for (stories, expected) in [
        (vec![robot, red, ("ana", by_hand)], "failed 4, withdraws Some(3)"),
        (vec![robot, ("robot", "verify:failed"), ("ana", by_hand)], "failed 4, withdraws Some(3)"),
        (vec![robot, ("ana", by_hand)], "proven 3 system"),
        (
            vec![robot, ("ana", "rollback:started suite(system):failed suite(system):ok proof:ok")],
            "failed 5, withdraws Some(3)",
        ),
        (vec![robot, ("ana", "rollback:started proof:failed proof:ok")], "failed 5, withdraws Some(3)"),
        (vec![robot, red, ("ana", by_hand), ("ben", "rollback:started proof:ok")], "failed 4, withdraws Some(3)"),
        (vec![("robot", "lock-commit:ok"), ("ana", by_hand)], "absent"),
        // A bot lifts it: in the same rollback, in one of its own, or by a run.
        (vec![robot, red, ("ana", by_hand), ("robot", "suite(system):ok proof:ok")], "proven 14 system"),
        (vec![robot, red, ("robot", by_hand)], "proven 11 more system"),
        (
            vec![robot, red, ("ana", by_hand), ("robot", "unhold:ok gates:ok suite(system):ok proof:ok")],
            "proven 16 system",
        ),
    ] {
        assert_eq!(verdict(&stories), expected, "{stories:?}");
    }
}

#[test]
fn t62_what_a_person_recorded_is_worth_a_bots_record() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, STAGED);
    tell_as(
        &mut ledger,
        "ana",
        &staging(),
        &a,
        "rollback:started deploy:started deploy:ok verify:ok proof:ok rollback:ok",
    );
    for step in [Step::Verify, Step::Proof, Step::Rollback] {
        let mut answer = draft(&staging(), &a, &step.into(), StepResult::Ok);
        assert!(ledger.changes(&answer), "{step}");
        answer.run.actor = "ana".to_owned();
        assert!(!ledger.changes(&answer), "{step}");
    }
    let cycle = ledger.cycle(&staging(), &a.release);
    assert!(cycle.is_done_for(&Step::Proof.into(), "ana"));
    assert!(!cycle.is_done_for(&Step::Proof.into(), "ben") && !cycle.is_done_for(&Step::Proof.into(), "robot"));
}

#[test]
fn a_proof_names_its_release_and_its_level() {
    let mut ledger = Ledger::empty();
    let mut proof = draft(&staging(), &freight("a"), &Step::Proof.into(), StepResult::Ok);
    proof.proof = Some(ProofLevel::Running);
    proof.finished = Some(now(7));
    append(&mut ledger, proof);
    let ProofVerdict::Proven(proven) = ledger.proof_of(&staging(), &freight("a").release) else { panic!("proven") };
    assert_eq!((proven.level, proven.at, proven.commit), (ProofLevel::Running, now(7), Some(freight("a").commit)));
    assert_eq!(ledger.proof_of(&staging(), &freight("b").release), ProofVerdict::Absent);
    assert_eq!(ledger.proof_of(&production(), &freight("a").release), ProofVerdict::Absent);
}

#[test]
fn suites_count_in_the_cycle_of_the_proof() {
    let suites = |stories: &[(&str, &str)]| proven_suites(&ledger_of(stories), "a").map(|names| names.join(" "));
    let is = |names: &str| Some(names.to_owned());
    assert_eq!(suites(&[("a", "suite(x):ok suite(y):ok suite(y):failed proof:ok")]), is("x"));
    assert_eq!(suites(&[("a", "suite(x):ok proof:ok suite(y):ok")]), is("x y"), "a suite that runs later is added");
    assert_eq!(suites(&[("a", "suite(x):ok deploy:started proof:ok")]), is("x"), "its own deployment ends nothing");
    assert_eq!(
        suites(&[("a", "suite(x):ok"), ("b", "deploy:started"), ("a", "proof:ok")]),
        is(""),
        "the suite belongs to an earlier cycle"
    );
    assert_eq!(
        suites(&[("a", "suite(x):ok"), ("b", "deploy:refused suite(y):ok proof:ok"), ("a", "proof:ok")]),
        is("x"),
        "another release that was stopped ends nothing"
    );
    assert_eq!(suites(&[("a", "gates:ok suite(x):ok rollback:started proof:ok")]), is(""), "a rollback is a new cycle");
    assert_eq!(suites(&[("a", "suite(x):ok rollback:failed proof:ok")]), is("x"), "its end is not");
    assert_eq!(
        suites(&[("a", "suite(x):ok proof:ok"), ("b", "deploy:started"), ("a", "suite(y):ok")]),
        is("x"),
        "the proof of the earlier cycle keeps its own suites"
    );
}

#[test]
fn the_newest_hold_or_unhold_counts() {
    let mut ledger = Ledger::empty();
    let held = |ledger: &Ledger| ledger.held(&staging()).map(|hold| (hold.origin, hold.reason, hold.seq));
    assert_eq!(held(&ledger), None);
    let mut fair = note(Step::Hold, Some(&staging()), "fair");
    fair.owner = Some("team-shop".to_owned());
    append(&mut ledger, fair);
    let hold = ledger.held(&staging()).unwrap();
    assert_eq!((hold.by.as_str(), hold.owner.as_deref(), hold.since), ("robot", Some("team-shop"), now(0)));
    assert_eq!(ledger.held(&production()), None);
    tell(&mut ledger, &staging(), &freight("a"), "rollback:started rollback:failed gates:refused");
    assert_eq!(held(&ledger), Some((HoldOrigin::Rollback, "production is broken".to_owned(), 2)));
    append(&mut ledger, note(Step::Hold, Some(&staging()), "flood"));
    assert_eq!(held(&ledger), Some((HoldOrigin::Hand, "flood".to_owned(), 5)));
    append(&mut ledger, note(Step::Unhold, Some(&staging()), "over"));
    tell(&mut ledger, &staging(), &freight("a"), "rollback:ok");
    assert_eq!(held(&ledger), None);
}

#[test]
fn a_rejection_names_the_first_record() {
    let mut ledger = Ledger::empty();
    append(&mut ledger, reject(&freight("b"), "other"));
    append(&mut ledger, reject(&freight("a"), "leaks"));
    append(&mut ledger, reject(&freight("a"), "still leaks"));
    let rejection = ledger.rejected(&freight("a").lock).unwrap();
    assert_eq!((rejection.reason.as_str(), rejection.by.as_str()), ("leaks", "robot"));
    assert_eq!((rejection.seq, rejection.at), (2, now(0)));
    let deployed = ledger_of(&[("c", "gates:ok")]);
    assert_eq!(deployed.rejected(&freight("c").lock), None);
}

#[test]
fn releases_are_the_ones_that_were_made() {
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &production(), &freight("a"), "release:started release:failed release:ok proof:ok");
    let made: Vec<u64> = ledger.releases(&production()).map(|record| record.seq).collect();
    assert_eq!(made, [3]);
    assert_eq!(ledger.releases(&staging()).count(), 0);
}

#[test]
fn a_cycle_counts_the_stays_of_other_releases() {
    let number = |stories: &[(&str, &str)]| ledger_of(stories).cycle(&staging(), &freight("a").release).number;
    assert_eq!(number(&[]), 0);
    assert_eq!(number(&[("a", STAGED)]), 0);
    assert_eq!(number(&[("a", STAGED), ("b", "gates:refused deploy:refused")]), 0, "nothing was changed");
    assert_eq!(number(&[("a", STAGED), ("b", STAGED), ("b", "deploy:started")]), 1, "one stay, many records");
    assert_eq!(number(&[("b", STAGED), ("c", STAGED)]), 2);
    assert_eq!(number(&[("b", STAGED), ("a", STAGED), ("b", STAGED)]), 2, "the stay of `a` was between them");
    assert_eq!(number(&[("b", STAGED), ("a", "gates:ok"), ("b", STAGED)]), 1, "`a` was only looked at");
}

#[test]
fn a_cycle_holds_the_newest_state_of_each_step() {
    let a = freight("a");
    let mut ledger = ledger_of(&[("a", "deploy:started deploy:started deploy:failed deploy:started")]);
    let mut done = draft(&staging(), &a, &Step::Deploy.into(), StepResult::Ok);
    done.run = run("run-2");
    done.finished = Some(now(60));
    append(&mut ledger, done);
    let cycle = ledger.cycle(&staging(), &a.release);
    let state = cycle.state(&Step::Deploy.into()).unwrap();
    assert_eq!((state.seq, state.result, state.attempts), (5, StepResult::Ok, 3));
    assert_eq!((&state.run, state.at), (&run("run-2"), now(60)));
    assert!(cycle.is_done_for(&Step::Deploy.into(), "robot") && !cycle.is_done_for(&Step::Verify.into(), "robot"));
    assert_eq!(cycle.state(&Step::Verify.into()), None);
    assert_eq!(cycle.steps().len(), 1);
    assert_eq!((cycle.environment, cycle.release), (staging(), a.release.clone()));
    let failed = ledger_of(&[("a", "deploy:started deploy:failed")]);
    assert!(!failed.cycle(&staging(), &a.release).is_done_for(&Step::Deploy.into(), "robot"));
}

#[test]
fn another_stay_forgets_the_steps() {
    let steps = |stories: &[(&str, &str)]| ledger_of(stories).cycle(&staging(), &freight("a").release).steps().len();
    assert_eq!(steps(&[("a", "gates:ok deploy:started"), ("b", "deploy:started")]), 0);
    assert_eq!(steps(&[("a", "gates:ok deploy:started"), ("b", "gates:ok deploy:refused")]), 2);
    assert_eq!(steps(&[("a", "gates:ok deploy:started rollback:started gates:ok")]), 2, "rollback and gates");
    assert_eq!(
        steps(&[("a", "rollback:started gates:ok rollback:failed rollback:started health:ok")]),
        3,
        "a rollback that is begun again goes on"
    );
}

#[test]
fn a_record_without_a_release_is_in_no_cycle() {
    let mut ledger = ledger_of(&[("a", "rollback:started")]);
    append(&mut ledger, note(Step::Unhold, Some(&staging()), "over"));
    let cycle = ledger.cycle(&staging(), &freight("a").release);
    assert_eq!((cycle.origin, cycle.steps().len()), (CycleOrigin::Rollback { seq: 1 }, 1));
}

#[test]
fn only_who_and_when_make_no_other_answer() {
    let a = freight("a");
    let key = StepKey::Suite(suite("system", "system"));
    let ledger = ledger_of(&[("a", "suite(system):started suite(system):ok release:ok proof:ok gates:ok")]);
    let same = |key: &StepKey| draft(&staging(), &a, key, StepResult::Ok);
    for key in [key.clone(), Step::Release.into(), Step::Proof.into(), Step::Gates.into()] {
        assert!(!ledger.changes(&same(&key)), "{key}");
        let mut other_run = same(&key);
        other_run.run = run("other");
        other_run.tree = None;
        other_run.evidence = vec![Evidence { name: "x".to_owned(), sha256: Digest::of(b"") }];
        assert!(!ledger.changes(&other_run), "{key}");
    }
    let mut lock = same(&Step::Gates.into());
    lock.lock = Some(freight("b").lock);
    let mut tag = same(&Step::Release.into());
    tag.tag = Some("another".to_owned());
    let mut proof = same(&Step::Proof.into());
    proof.proof = Some(ProofLevel::Running);
    let mut policy = same(&Step::Gates.into());
    policy.policy = None;
    let mut unreviewed = same(&Step::Gates.into());
    unreviewed.unreviewed = Some(ledger::Unreviewed::DirectPush);
    for draft in [lock, tag, proof, policy, unreviewed, same(&Step::Gates.into()).reason("why")] {
        assert!(ledger.changes(&draft), "{draft:?}");
    }
}

#[test]
fn what_no_cycle_can_hold_is_always_worth_a_record() {
    let ledger = ledger_of(&[("a", STAGED)]);
    let mut nowhere = draft(&staging(), &freight("a"), &Step::Gates.into(), StepResult::Ok);
    nowhere.environment = None;
    assert!(ledger.changes(&nowhere));
    let mut no_release = draft(&staging(), &freight("a"), &Step::Gates.into(), StepResult::Ok);
    no_release.release = None;
    assert!(ledger.changes(&no_release));
    let mut elsewhere = draft(&staging(), &freight("a"), &Step::LockCommit.into(), StepResult::Ok);
    assert!(!ledger.changes(&elsewhere));
    elsewhere.environment = Some(production());
    assert!(ledger.changes(&elsewhere));
}

proptest! {
    /// One pass over all releases says what a pass for each of them says.
    #[test]
    fn the_proofs_of_all_releases_are_the_proof_of_each(
        words in prop::collection::vec((0..3_usize, 0..12_usize, prop::bool::weighted(0.2)), 0..60),
    ) {
        const STORY: [&str; 12] = [
            "gates:ok", "deploy:started", "deploy:ok", "deploy:failed", "verify:failed", "suite(system):ok",
            "suite(smoke):ok", "suite(smoke):failed", "proof:ok", "proof:failed", "rollback:started", "rollback:ok",
        ];
        let releases = ["a", "b", "c"];
        let mut ledger = Ledger::empty();
        for (release, word, by_person) in words {
            let actor = if by_person { "ana" } else { "robot" };
            tell_as(&mut ledger, actor, &staging(), &freight(releases[release]), STORY[word]);
            append(&mut ledger, note(Step::Hold, Some(&staging()), "of no release"));
        }
        let proofs = ledger.proofs(&staging());
        for word in releases {
            let release = freight(word).release;
            let of_all = proofs.get(&release).cloned().unwrap_or_default();
            prop_assert_eq!(of_all, ledger.proof_of(&staging(), &release), "{}", word);
        }
        prop_assert!(ledger.proofs(&production()).is_empty());
    }
}
