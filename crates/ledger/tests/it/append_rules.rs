use ledger::append_rules::{
    MAX_COMMIT_BYTES, MAX_DOCUMENT_BYTES, Outline, PathChange, Permission, Pusher, decides_rollback, is_step_of,
    permission,
};
use ledger::{Accepts, Evidence, Ledger, RecordDraft, Step, StepKey, StepResult};
use lock_model::Digest;
use proptest::prelude::*;

use crate::builders::*;

fn added(path: &str, bytes: u64) -> PathChange {
    PathChange { path: path.to_owned(), added_bytes: Some(bytes) }
}

fn document(word: &str) -> String {
    Evidence { name: String::new(), sha256: Digest::of(word.as_bytes()) }.path()
}

#[test]
fn t47_sizes_are_judged_one_by_one_and_together() {
    let record = added("records/000/000001-_-hold-ok.json", 100);
    let with = |documents: &[(&str, u64)]| {
        let documents = documents.iter().map(|(word, bytes)| added(&document(word), *bytes));
        Outline::of(&[record.clone()].into_iter().chain(documents).collect::<Vec<_>>())
    };
    let most = MAX_DOCUMENT_BYTES;
    with(&[("a", most), ("b", most), ("c", most), ("d", most - 100)]).unwrap();
    let reasons = with(&[("a", most), ("b", most), ("c", most), ("d", most - 99)]).unwrap_err();
    assert_eq!(reasons, [format!("it adds {} bytes; at most {MAX_COMMIT_BYTES} are allowed", MAX_COMMIT_BYTES + 1)]);
    assert_eq!(with(&[("a", most + 1)]).unwrap_err().len(), 1);
    assert_eq!(with(&[("a", u64::MAX), ("b", u64::MAX)]).unwrap_err().len(), 3);
    let large = Outline::of(&[added("records/000/000001-_-hold-ok.json", 65_537)]).unwrap_err();
    assert_eq!(large, ["`records/000/000001-_-hold-ok.json` has 65537 bytes; at most 65536 are allowed"]);
}

#[test]
fn t45_of_many_wrong_paths_some_are_listed() {
    let changes: Vec<PathChange> =
        (0..1_000).map(|number| PathChange { path: format!("records/{number}"), added_bytes: None }).collect();
    let reasons = Outline::of(&changes).unwrap_err();
    assert_eq!(reasons.len(), 7, "{reasons:?}");
    assert_eq!(reasons[5], "995 more such paths");
}

proptest! {
    /// Whatever else a commit touches, it is no append.
    #[test]
    fn t45_nothing_else_comes_with_a_record(path in "[a-z./]{1,12}|records/.{1,40}|evidence/.{1,70}", plain: bool) {
        let record = added("records/000/000001-_-hold-ok.json", 1);
        prop_assume!(path != record.path);
        let change = PathChange { path, added_bytes: plain.then_some(1) };
        prop_assert!(Outline::of(&[record, change]).is_err());
    }

    /// Every byte of a record counts.
    #[test]
    fn t45_a_record_with_one_other_byte_is_none(at: prop::sample::Index, byte: u8) {
        let mut ledger = Ledger::empty();
        append(&mut ledger, note(Step::Hold, Some(&production()), "fair"));
        let new = ledger.next(note(Step::Unhold, Some(&production()), "over")).unwrap();
        let outline = Outline::of(&[added(&new.file_name, new.bytes.len() as u64)]).unwrap();
        let mut bytes = new.bytes.clone();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        // What is left is another valid record, or none: never this one.
        let judged = outline.record(|_| bytes.clone(), ledger.seen().as_ref());
        prop_assert!(judged.is_err() || judged.unwrap() != new.record);
        let good = outline.record(|_| new.bytes.clone(), ledger.seen().as_ref());
        prop_assert_eq!(good, Ok(new.record));
    }
}

#[test]
fn t46_who_records_what() {
    let person = |name, admin| Pusher { name, bot: false, admin };
    let robot = Pusher { name: "robot", bot: true, admin: true };
    for step in Step::ALL {
        let mut entry = RecordDraft::new(*step, StepResult::Ok, run("run-1"), now(0));
        entry.accepts = Some(Accepts::Place("deploy/x".to_owned()));
        let by = |actor: &str| {
            let mut entry = entry.clone();
            actor.clone_into(&mut entry.run.actor);
            entry
        };
        let granted = |entry: &RecordDraft, pusher: &Pusher<'_>| permission(entry, pusher) == Permission::Granted;
        let is_policy = *step == Step::Policy;
        assert_eq!(granted(&by("robot"), &robot), !is_policy, "{step}");
        assert_eq!(granted(&by("ana"), &robot), !is_policy, "{step}: for the one who asked");
        assert_eq!(granted(&by("eve"), &person("eve", true)), is_policy || is_decision(*step), "{step}");
        assert_eq!(granted(&by("ana"), &person("ana", false)), is_decision(*step), "{step}");
        for pusher in [person("ana", false), person("eve", true)] {
            assert!(matches!(permission(&by("ben"), &pusher), Permission::Denied(_)), "{step}: another name");
        }
    }
}

fn is_decision(step: Step) -> bool {
    matches!(step, Step::Hold | Step::Unhold | Step::Reject | Step::BreakLease)
}

#[test]
fn t46_the_steps_of_a_rollback_are_of_who_began_it() {
    let mut ledger = Ledger::empty();
    let entry = |step: Step, result, word: &str| draft(&production(), &freight(word), &StepKey::Step(step), result);
    let decider =
        |ledger: &Ledger| ledger.of(&production()).rfind(|record| decides_rollback(record, &production())).cloned();
    let deploy = entry(Step::Deploy, StepResult::Ok, "a");
    assert!(is_step_of(&deploy, decider(&ledger).as_ref()).is_err());
    append(&mut ledger, entry(Step::Rollback, StepResult::Started, "a").reason("orders are lost"));
    assert_eq!(is_step_of(&deploy, decider(&ledger).as_ref()), Ok(()));
    append(&mut ledger, note(Step::Hold, Some(&production()), "and a fair"));
    assert_eq!(is_step_of(&deploy, decider(&ledger).as_ref()), Ok(()), "a hold by hand changes nothing");
    append(&mut ledger, note(Step::Unhold, Some(&staging()), "another environment"));
    assert_eq!(is_step_of(&deploy, decider(&ledger).as_ref()), Ok(()));
    assert!(is_step_of(&entry(Step::Deploy, StepResult::Ok, "b"), decider(&ledger).as_ref()).is_err());
    let mut elsewhere = deploy.clone();
    elsewhere.commit = Some(commit("another"));
    assert!(is_step_of(&elsewhere, decider(&ledger).as_ref()).is_err(), "the release at another commit");
    let mut other = deploy.clone();
    other.run.actor = "ana".to_owned();
    assert!(is_step_of(&other, decider(&ledger).as_ref()).is_err());
    append(&mut ledger, note(Step::Unhold, Some(&production()), "over"));
    assert!(is_step_of(&deploy, decider(&ledger).as_ref()).is_err());
}
