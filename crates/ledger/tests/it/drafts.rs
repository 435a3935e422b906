//! Which fields the record of each step has.

use ledger::{Accepts, DraftProblem, Evidence, ProofLevel, RecordDraft, Step, StepKey, StepResult};
use lock_model::{Digest, TreeId};

use crate::builders::*;

fn merged_tree() -> TreeId {
    "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap()
}

/// A draft with every field that any step may have.
fn full(step: Step, result: StepResult) -> RecordDraft {
    let key = if step == Step::Suite { StepKey::Suite(suite("system", "x")) } else { StepKey::Step(step) };
    let mut draft = draft(&staging(), &freight("a"), &key, result).reason("because");
    draft.proof = (step == Step::Proof).then_some(ProofLevel::Stored);
    draft
}

fn accepted() -> Accepts {
    Accepts::Release(freight("b").release)
}

/// What a step says about each field: `+` must be there, `?` may, `-` must not.
fn rules(step: Step, result: StepResult) -> String {
    type Field = (&'static str, fn(&mut RecordDraft, bool));
    let fields: [Field; 12] = [
        ("environment", |draft, there| draft.environment = there.then(staging)),
        ("release", |draft, there| draft.release = there.then(|| freight("a").release)),
        ("lock", |draft, there| draft.lock = there.then(|| freight("a").lock)),
        ("lock_file", |draft, there| draft.lock_file = there.then(|| freight("a").lock_file)),
        ("suite", |draft, there| draft.suite = there.then(|| suite("system", "x"))),
        ("tag", |draft, there| draft.tag = there.then(|| "v1".to_owned())),
        ("proof", |draft, there| draft.proof = there.then_some(ProofLevel::Stored)),
        ("reason", |draft, there| draft.reason = there.then(|| "because".to_owned())),
        ("accepts", |draft, there| draft.accepts = there.then(accepted)),
        ("base", |draft, there| draft.base = there.then(|| "staging".parse().unwrap())),
        ("merge_tree", |draft, there| draft.merge_tree = there.then(merged_tree)),
        ("pulls", |draft, there| draft.pulls = if there { vec![7] } else { Vec::new() }),
    ];
    let allowed = |name: &'static str, set: fn(&mut RecordDraft, bool), there| {
        let mut draft = full(step, result);
        set(&mut draft, there);
        let wrong = if there { DraftProblem::Unexpected(name) } else { DraftProblem::Missing(name) };
        !draft.problems().contains(&wrong)
    };
    fields
        .iter()
        .map(|(name, set)| match (allowed(name, *set, false), allowed(name, *set, true)) {
            (false, true) => '+',
            (true, true) => '?',
            (true, false) => '-',
            (false, false) => panic!("{name} can neither be there nor be absent"),
        })
        .collect()
}

#[test]
fn each_step_has_its_own_fields() {
    let table: Vec<String> = Step::ALL
        .iter()
        .map(|step| format!("{step} {} {}", rules(*step, StepResult::Ok), rules(*step, StepResult::Failed)))
        .collect();
    // environment, release, lock, lock file, suite, tag, proof, reason, accepts, base, merge tree, pulls: of `ok`, then of `failed`
    assert_eq!(
        table,
        [
            "lock-commit ??++-?-?---? ??++-?-+---?",
            "gates ++++---?---- ++++---+----",
            "health ++++---?---- ++++---+----",
            "deploy ++++---?---- ++++---+----",
            "verify ++++---?---- ++++---+----",
            "suite +++++--?-?-- +++++--+-?--",
            "proof ++++--+?---- ++++--?+----",
            "promote ++++---?---- ++++---+----",
            "release ++++-+-?---- ++++-?-+----",
            "reject ??+?---+---- ??+?---+----",
            "hold +???---+---- +???---+----",
            "unhold +???---+?--- +???---+?---",
            "rollback ++++-?-+---- ++++-?-+----",
            "policy +???---++--- +???---++---",
            "break-lease +???---+---- +???---+----",
        ]
    );
}

#[test]
fn a_commit_is_asked_for_with_a_release() {
    for step in Step::ALL {
        let mut draft = full(*step, StepResult::Ok);
        draft.commit = None;
        let needed = rules(*step, StepResult::Ok).chars().nth(1) == Some('+');
        assert_eq!(draft.problems().contains(&DraftProblem::Missing("commit")), needed, "{step}");
    }
}

#[test]
fn t57_a_suite_of_a_pull_request_belongs_to_a_tree_and_to_no_release() {
    let mut draft = full(Step::Suite, StepResult::Ok);
    draft.base = Some("staging".parse().unwrap());
    let unexpected = ["release", "lock", "lock_file"].map(DraftProblem::Unexpected);
    assert_eq!(draft.problems(), [&unexpected[..], &[DraftProblem::Missing("merge_tree")]].concat());
    draft.merge_tree = Some(merged_tree());
    (draft.release, draft.lock, draft.lock_file) = (None, None, None);
    assert_eq!(draft.problems(), []);
    draft.commit = None;
    assert_eq!(draft.problems(), [DraftProblem::Missing("commit")]);
    draft.base = None;
    assert!(draft.problems().contains(&DraftProblem::Unexpected("merge_tree")));
}

#[test]
fn only_steps_with_an_effect_are_started() {
    for step in Step::ALL {
        let refused = full(*step, StepResult::Started).problems().contains(&DraftProblem::Result);
        let asks = matches!(
            step,
            Step::Gates
                | Step::Health
                | Step::Verify
                | Step::Reject
                | Step::Hold
                | Step::Unhold
                | Step::Policy
                | Step::BreakLease
        );
        assert_eq!((refused, step.has_effect()), (asks, !asks), "{step}");
    }
}

#[test]
fn what_asks_or_looks_before_it_acts_runs_every_time() {
    let every_time: Vec<&str> =
        Step::ALL.iter().filter(|step| step.runs_every_time()).map(|step| step.as_str()).collect();
    assert_eq!(every_time, ["lock-commit", "gates", "health", "verify"]);
}

#[test]
fn a_started_step_has_not_finished() {
    let mut started = full(Step::Deploy, StepResult::Started);
    assert_eq!(started.problems(), []);
    started.finished = Some(now(0));
    assert_eq!(started.problems(), [DraftProblem::Unexpected("finished")]);
    let mut instant = full(Step::Deploy, StepResult::Ok);
    instant.finished = Some(instant.started);
    assert_eq!(instant.problems(), []);
}

#[test]
fn texts_have_limits() {
    type Text = (&'static str, usize, fn(&mut RecordDraft, String));
    let with = |set: fn(&mut RecordDraft, String), text: String| {
        let mut draft = full(Step::Release, StepResult::Ok);
        set(&mut draft, text);
        draft.problems()
    };
    let texts: [Text; 7] = [
        ("run.id", 256, |draft, text| draft.run.id = text),
        ("run.actor", 256, |draft, text| draft.run.actor = text),
        ("run.nonce", 256, |draft, text| draft.run.nonce = Some(text)),
        ("reason", 4096, |draft, text| draft.reason = Some(text)),
        ("owner", 256, |draft, text| draft.owner = Some(text)),
        ("tag", 256, |draft, text| draft.tag = Some(text)),
        ("evidence.name", 256, |draft, text| {
            draft.evidence = vec![Evidence { name: text, sha256: Digest::of(b"") }];
        }),
    ];
    for (name, most, set) in texts {
        assert_eq!(with(set, "x".repeat(most)), [], "{name}");
        for bad in ["x".repeat(most + 1), "a\0b".to_owned(), "\t ".to_owned(), String::new()] {
            assert_eq!(with(set, bad), [DraftProblem::Text(name)], "{name}");
        }
    }
    let evidence = |count: usize| {
        let mut draft = full(Step::Gates, StepResult::Ok);
        draft.evidence = vec![Evidence { name: "x".to_owned(), sha256: Digest::of(b"") }; count];
        draft.problems()
    };
    assert_eq!((evidence(256), evidence(257)), (vec![], vec![DraftProblem::Text("evidence")]));
}

#[test]
fn f25_a_step_ends_no_earlier_than_it_began_wherever_the_clock_goes() {
    for (began, ended) in [(0, 0), (0, 60), (60, 0), (86_400, 1)] {
        let draft = RecordDraft::new(Step::Health, StepResult::Ok, run("1"), now(ended)).started(now(began));
        assert_eq!(draft.started, now(began));
        assert_eq!(draft.finished, Some(now(began.max(ended))));
        assert!(!draft.problems().contains(&DraftProblem::Times));
    }
}
