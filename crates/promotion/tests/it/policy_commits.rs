//! Whose rules judge a change: what passed, what an administrator accepted, what was there before.

use ledger::{Accepts, Ledger, Policy, PolicySource, RecordDraft, Step, StepKey, StepResult};
use lock_model::EnvironmentName;
use promotion::policy_commit::{Line, PolicyCommit, environments_of, passed_beside, policy_commit};

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
fn t74_what_passed_beside_the_line_is_newer_than_what_passed_on_it() {
    let mut ledger = Ledger::empty();
    passes(&mut ledger, "a");
    accepts_commit(&mut ledger, "a");
    passes(&mut ledger, "b");
    passes(&mut ledger, "c");
    // `m` merges `b` and `c` into `x`, which came from `a`.
    let mut merged = line("a x [m]");
    assert_eq!(passed_beside(&ledger, &production(), &merged), [commit("c"), commit("b")]);
    judged(&ledger, "a x [m]", PolicySource::Accepted, "a");
    merged.beside = vec![commit("b")];
    let found = policy_commit(&ledger, &production(), &merged).unwrap();
    assert_eq!((found.source, found.commit), (PolicySource::Passed, commit("b")), "the decision about `a` is over");
    // Nothing on the line is asked about that is older than what passed there.
    passes(&mut ledger, "x");
    assert_eq!(passed_beside(&ledger, &production(), &line("a x [m]")), []);
    merged.beside = vec![commit("c")];
    assert_eq!(policy_commit(&ledger, &production(), &merged).unwrap().commit, commit("x"));
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

/// What people and runs do with a branch whose commits say how many approvals they ask for.
#[derive(Clone, Debug)]
enum Event {
    /// Somebody merges a commit with these rules and these approvals, past the button where they are too few.
    Merge { asks: u32, approvals: u32 },
    /// A run asks the gates of the newest commit.
    Run,
    /// An older commit runs again: so many below the newest.
    RunAgain(usize),
    /// A rollback deploys an older commit.
    Rollback(usize),
    /// An administrator accepts the rules of a commit.
    Accept(usize),
}

#[derive(Clone, Debug)]
struct Commit {
    word: String,
    asks: u32,
    approvals: u32,
    /// Whether its rules are in force by right: the first, accepted, or passed by such rules.
    trusted: bool,
}

#[derive(Default)]
struct Branch {
    ledger: Ledger,
    commits: Vec<Commit>,
}

impl Branch {
    fn merge(&mut self, asks: u32, approvals: u32) {
        let word = format!("commit {}", self.commits.len());
        let trusted = self.commits.is_empty();
        self.commits.push(Commit { word, asks, approvals, trusted });
    }

    fn below(&self, steps: usize) -> Option<usize> {
        Some(self.commits.len().checked_sub(1)? - steps % self.commits.len())
    }

    /// The commit that judges another one; `None`: itself.
    fn judge(&self, at: usize) -> Option<(PolicySource, usize)> {
        let ids = |commits: &[Commit]| commits.iter().rev().map(|one| commit(&one.word)).collect();
        let (before, rest) = self.commits.split_at(at);
        let (change, after) = rest.split_at(1);
        let line = Line { after: ids(after), change: ids(change), before: ids(before), ..Line::default() };
        let found = policy_commit(&self.ledger, &production(), &line)?;
        let judge = self.commits.iter().position(|one| commit(&one.word) == found.commit).unwrap();
        Some((found.source, judge))
    }

    fn run(&mut self, at: usize) -> bool {
        let judge = self.judge(at);
        let rules = judge.map_or(at, |(_, judge)| judge);
        let passes = self.commits[at].approvals >= self.commits[rules].asks;
        let result = if passes { StepResult::Ok } else { StepResult::Refused };
        let word = self.commits[at].word.clone();
        let named = judge.map(|(_, judge)| self.commits[judge].word.clone());
        gates(&mut self.ledger, &production(), &word, named.as_deref(), result);
        self.commits[at].trusted |= passes && self.commits[rules].trusted;
        passes
    }

    /// Nothing that was refused judges, and before the first pass only what nobody has looked at yet.
    fn check(&self, at: usize) -> Result<(), String> {
        let Some((source, judge)) = self.judge(at) else { return Ok(()) };
        let refused = self.ledger.of(&production()).rfind(|record| {
            record.entry.step == Step::Gates && record.entry.commit == Some(commit(&self.commits[judge].word))
        });
        let was_refused = refused.is_some_and(|record| record.entry.result == StepResult::Refused);
        let by_right = match source {
            PolicySource::Accepted => true,
            PolicySource::Passed => self.commits[judge].trusted || !self.commits.iter().any(|one| one.trusted),
            PolicySource::Parent => !was_refused || self.commits[judge].trusted,
            PolicySource::Bootstrap => false,
        };
        if by_right { Ok(()) } else { Err(format!("{at} is judged by {judge} ({source}): {:#?}", self.commits)) }
    }
}

fn event() -> impl proptest::strategy::Strategy<Value = Event> {
    use proptest::prelude::{Strategy as _, prop_oneof};
    prop_oneof![
        4 => (0..5_u32, 0..5_u32).prop_map(|(asks, approvals)| Event::Merge { asks, approvals }),
        4 => proptest::strategy::Just(Event::Run),
        1 => (0..6_usize).prop_map(Event::RunAgain),
        1 => (0..6_usize).prop_map(Event::Rollback),
        1 => (0..6_usize).prop_map(Event::Accept),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(512) })]

    /// Bypasses, runs, runs again, rollbacks and decisions in any order: rules that were refused never judge, and nobody
    /// is locked out: what meets the rules in force passes, and so does what an administrator accepted and it meets.
    #[test]
    fn t42_refused_rules_never_judge_and_nobody_is_locked_out(events in proptest::collection::vec(event(), 1..40)) {
        let mut branch = Branch::default();
        branch.merge(3, 3);
        branch.run(0);
        for event in events {
            match event {
                Event::Merge { asks, approvals } => branch.merge(asks, approvals),
                Event::Run => {
                    branch.run(branch.commits.len() - 1);
                }
                Event::RunAgain(steps) => {
                    let at = branch.below(steps).unwrap();
                    let before = branch.judge(at);
                    let first = branch.run(at);
                    proptest::prop_assert_eq!(branch.judge(at), before, "a commit does not judge itself");
                    proptest::prop_assert_eq!(branch.run(at), first);
                }
                Event::Rollback(steps) => {
                    let at = branch.below(steps).unwrap();
                    let mut rollback =
                        draft(&production(), &freight(&branch.commits[at].word), &StepKey::Step(Step::Gates), StepResult::Ok);
                    rollback.policy = None;
                    append(&mut branch.ledger, rollback);
                }
                Event::Accept(steps) => {
                    let at = branch.below(steps).unwrap();
                    branch.commits[at].trusted = true;
                    let word = branch.commits[at].word.clone();
                    accepts_commit(&mut branch.ledger, &word);
                }
            }
            for at in 0..branch.commits.len() {
                branch.check(at).map_err(proptest::test_runner::TestCaseError::fail)?;
            }
        }
        // An honest team goes on: with the approvals that the rules ask for, and then by its own rules.
        branch.merge(1, 4);
        let at = branch.commits.len() - 1;
        proptest::prop_assert!(branch.run(at));
        branch.merge(1, 1);
        let last = branch.commits.len() - 1;
        // Accepted rules hold until a later commit passes; this one was it.
        proptest::prop_assert_eq!(branch.judge(last), Some((PolicySource::Passed, at)));
        proptest::prop_assert!(branch.run(last));
    }
}
