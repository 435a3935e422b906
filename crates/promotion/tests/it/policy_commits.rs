//! Whose rules judge a change: what passed, what an administrator accepted, what was there before.

use ledger::{Accepts, Ledger, Policy, PolicySource, RecordDraft, Step, StepKey, StepResult};
use lock_model::EnvironmentName;
use promotion::policy_commit::{Line, PolicyCommit, environments_of, policy_commit};

use crate::builders::*;

/// A branch, oldest commit first, as the change sees it that is in square brackets: `a b [c] d`.
fn line(text: &str) -> Line {
    let mut line = Line::default();
    let mut reached = false;
    for word in text.split_whitespace() {
        let id = commit(word.trim_matches(['[', ']']));
        if word.starts_with('[') || word.ends_with(']') {
            line.change.insert(0, id);
            reached = true;
        } else if reached {
            line.after.insert(0, id);
        } else {
            line.before.insert(0, id);
        }
    }
    line
}

/// A run asks the gates of a commit, by the rules of another one.
fn gates(ledger: &mut Ledger, name: &EnvironmentName, word: &str, rules: Option<&str>, result: StepResult) {
    let mut draft = draft(name, &freight(word), &StepKey::Step(Step::Gates), result);
    draft.policy = Some(Policy { source: PolicySource::Passed, commit: rules.map(commit) });
    append(ledger, draft);
}

fn passes(ledger: &mut Ledger, word: &str) {
    gates(ledger, &production(), word, None, StepResult::Ok);
}

/// An administrator puts the rules of a commit in force.
fn accepts(ledger: &mut Ledger, what: Accepts) {
    let run = ledger::RunIdentity::new("by-hand", "eve");
    let mut draft =
        RecordDraft::new(Step::Policy, StepResult::Ok, run, now(0)).environment(&production()).reason("we are two");
    draft.accepts = Some(what);
    append(ledger, draft);
}

fn accepts_commit(ledger: &mut Ledger, word: &str) {
    accepts(ledger, Accepts::Commit(commit(word)));
}

fn found(ledger: &Ledger, text: &str) -> Option<PolicyCommit> {
    policy_commit(ledger, &production(), &line(text))
}

#[track_caller]
fn judged(ledger: &Ledger, text: &str, source: PolicySource, word: &str) {
    let found = found(ledger, text).unwrap();
    assert_eq!((found.source, &found.commit), (source, &commit(word)), "{text}");
    assert_eq!(found.acceptance.is_some(), source == PolicySource::Accepted);
}

#[test]
fn t42_the_newest_commit_that_passed_has_the_rules_however_often_something_was_refused_on_top() {
    let mut ledger = Ledger::empty();
    passes(&mut ledger, "a");
    passes(&mut ledger, "b");
    judged(&ledger, "a b [c]", PolicySource::Passed, "b");
    for refused in ["c", "d", "e"] {
        gates(&mut ledger, &production(), refused, Some("b"), StepResult::Refused);
    }
    judged(&ledger, "a b c [d]", PolicySource::Passed, "b");
    judged(&ledger, "a b c d e [f]", PolicySource::Passed, "b");
    // Not merged yet: the whole branch was there before.
    judged(&ledger, "a b c d e", PolicySource::Passed, "b");
    passes(&mut ledger, "f");
    judged(&ledger, "a b c d e f [g]", PolicySource::Passed, "f");
}

#[test]
fn t42_a_commit_never_has_its_own_rules_when_it_runs_again() {
    let mut ledger = Ledger::empty();
    passes(&mut ledger, "a");
    passes(&mut ledger, "lock-of-b");
    judged(&ledger, "a [b lock-of-b]", PolicySource::Passed, "a");
    judged(&ledger, "a b lock-of-b [c]", PolicySource::Passed, "lock-of-b");
    // What passed above it later does not judge it either.
    passes(&mut ledger, "c");
    judged(&ledger, "a [b lock-of-b] c", PolicySource::Passed, "a");
    // The very first: nothing was there before, whatever passed since.
    assert_eq!(found(&ledger, "[a] b lock-of-b c"), None);
}

#[test]
fn t42_a_rollback_and_another_environment_do_not_pass_for_this_one() {
    let mut ledger = Ledger::empty();
    passes(&mut ledger, "a");
    let mut rollback = draft(&production(), &freight("b"), &StepKey::Step(Step::Gates), StepResult::Ok);
    rollback.policy = None;
    append(&mut ledger, rollback);
    gates(&mut ledger, &staging(), "c", None, StepResult::Ok);
    judged(&ledger, "a b c [d]", PolicySource::Passed, "a");
    assert_eq!(environments_of(&ledger, &line("a b c [d]")), [production(), staging()].into());
    assert_eq!(environments_of(&ledger, &line("a b [c] d")), [production()].into());
}

#[test]
fn t42_while_nothing_passed_it_is_the_commit_before_or_what_refused_it() {
    let mut ledger = Ledger::empty();
    assert_eq!(found(&ledger, "[a]"), None);
    judged(&ledger, "a b [c]", PolicySource::Parent, "b");
    gates(&mut ledger, &production(), "c", Some("b"), StepResult::Refused);
    judged(&ledger, "a b [c]", PolicySource::Parent, "b");
    judged(&ledger, "a b c [d]", PolicySource::Parent, "b");
    // The first configuration was refused by its own rules: they are the rules that there are.
    let mut first = Ledger::empty();
    gates(&mut first, &production(), "a", None, StepResult::Refused);
    judged(&first, "a [b]", PolicySource::Parent, "a");
}

#[test]
fn t42_rules_of_a_branch_on_which_nothing_passed_are_those_that_passed_elsewhere() {
    let mut ledger = Ledger::empty();
    passes(&mut ledger, "a");
    passes(&mut ledger, "b");
    judged(&ledger, "x y [z]", PolicySource::Passed, "b");
    judged(&ledger, "[x]", PolicySource::Passed, "b");
    // What passed on this line goes before.
    judged(&ledger, "a x [y]", PolicySource::Passed, "a");
}

#[test]
fn t42_accepted_rules_hold_until_a_later_commit_passes() {
    let mut ledger = Ledger::empty();
    passes(&mut ledger, "a");
    gates(&mut ledger, &production(), "b", Some("a"), StepResult::Refused);
    accepts_commit(&mut ledger, "b");
    judged(&ledger, "a [b]", PolicySource::Accepted, "b");
    judged(&ledger, "a b [c]", PolicySource::Accepted, "b");
    let acceptance = found(&ledger, "a [b]").unwrap().acceptance.unwrap();
    assert_eq!((acceptance.by.as_str(), acceptance.reason.as_str(), acceptance.seq), ("eve", "we are two", 3));
    // The accepted commit passes: it is still the accepted one that judges the next.
    passes(&mut ledger, "b");
    judged(&ledger, "a b [c]", PolicySource::Accepted, "b");
    // What passed before may be run again.
    gates(&mut ledger, &production(), "a", Some("a"), StepResult::Ok);
    judged(&ledger, "a b [c]", PolicySource::Accepted, "b");
    passes(&mut ledger, "c");
    judged(&ledger, "a b c [d]", PolicySource::Passed, "c");
    // Running the later commit again gives the same answer.
    judged(&ledger, "a b [c] d", PolicySource::Accepted, "b");
    // A line that does not have the accepted commit knows nothing of it.
    judged(&ledger, "a x [y]", PolicySource::Passed, "a");
    assert_eq!(found(&ledger, "[a] b c"), None);
}

#[test]
fn t42_an_older_commit_can_be_accepted_and_what_passed_above_it_before_does_not_end_that() {
    let mut ledger = Ledger::empty();
    for word in ["a", "b"] {
        passes(&mut ledger, word);
    }
    accepts_commit(&mut ledger, "a");
    judged(&ledger, "a b [c]", PolicySource::Accepted, "a");
    gates(&mut ledger, &production(), "b", Some("a"), StepResult::Ok);
    judged(&ledger, "a b [c]", PolicySource::Accepted, "a");
    passes(&mut ledger, "c");
    judged(&ledger, "a b c [d]", PolicySource::Passed, "c");
    // Once more, and then another one: the newest decision counts.
    accepts_commit(&mut ledger, "a");
    judged(&ledger, "a b c [d]", PolicySource::Accepted, "a");
    accepts_commit(&mut ledger, "d");
    judged(&ledger, "a b c [d]", PolicySource::Accepted, "d");
}

#[test]
fn t42_other_decisions_put_no_rules_in_force() {
    let mut ledger = Ledger::empty();
    passes(&mut ledger, "a");
    accepts(&mut ledger, Accepts::Place("deploy/production".to_owned()));
    accepts(&mut ledger, Accepts::Release(freight("b").release));
    judged(&ledger, "a [b]", PolicySource::Passed, "a");
    assert_eq!(environments_of(&ledger, &line("x [b]")), [].into());
}
