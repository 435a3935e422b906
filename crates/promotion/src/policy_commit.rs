//! Which commit's configuration has the rules that judge a change.
//!
//! It is the newest commit of the branch, before the change, whose own gates passed: what was refused changes no rules,
//! however often something is merged on top of it. Where rules cannot be met or read any more, an administrator accepts
//! those of another commit, and a record says so.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Accepts, Ledger, PolicySource, Record, Step, StepResult};
use lock_model::{CommitId, EnvironmentName, Timestamp};

/// The first-parent line of a branch as one change sees it; each list begins with the newest commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What came after the change.
    pub after: Vec<CommitId>,
    /// The change, below the lock commits that were made for it; empty while it is not merged.
    pub change: Vec<CommitId>,
    /// What was there before.
    pub before: Vec<CommitId>,
    /// What the change contains of [`passed_beside`]: its first parent is not what the branch was.
    pub beside: Vec<CommitId>,
}

/// Where the rules for a change are read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyCommit {
    /// Why there; never [`PolicySource::Bootstrap`].
    pub source: PolicySource,
    /// The commit.
    pub commit: CommitId,
    /// The decision of an administrator, where the rules are in force by one.
    pub acceptance: Option<Acceptance>,
}

/// An administrator's decision that a commit's configuration has the rules.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Acceptance {
    /// The administrator.
    pub by: String,
    /// When it was recorded, UTC.
    pub at: Timestamp,
    /// Why, as the record says.
    pub reason: String,
    /// Number of the record.
    pub seq: u64,
}

/// Finds the policy commit of an environment; `None` where nothing was there before the change.
///
/// A decision of an administrator is in force until a commit above the accepted one passes that had not passed before.
/// While nothing has passed it is the commit before the change; where that one was refused, the commit by whose rules it
/// was, and so on. Where the environment moved to a branch on which nothing of it has passed, it is the newest that
/// passed elsewhere.
pub fn policy_commit(ledger: &Ledger, environment: &EnvironmentName, line: &Line) -> Option<PolicyCommit> {
    let passes = passes(ledger, environment);
    if let Some((commit, acceptance)) = accepted(ledger, environment, line, &passes) {
        let acceptance = Some(acceptance);
        return Some(PolicyCommit { source: PolicySource::Accepted, commit, acceptance });
    }
    let on_line = line.before.iter().find(|commit| passes.contains_key(commit));
    let passed = on_line.into_iter().chain(&line.beside).max_by_key(|commit| passes.get(commit)).cloned();
    let passed = passed.filter(|_| on_line.is_some());
    if let Some(commit) = passed.or_else(|| passed_elsewhere(ledger, environment, line)) {
        return Some(PolicyCommit { source: PolicySource::Passed, commit, acceptance: None });
    }
    let mut commit = line.before.first()?.clone();
    // What refused a commit may have been refused itself by now. No record makes this walk go round for ever.
    let mut seen = BTreeSet::new();
    while let Some(judge) = refused_by(ledger, environment, &commit).filter(|judge| !seen.contains(judge)) {
        seen.insert(std::mem::replace(&mut commit, judge));
    }
    Some(PolicyCommit { source: PolicySource::Parent, commit, acceptance: None })
}

/// The commits that are not on the line and passed after everything that is, newest first. A merge whose first parent is
/// the side that was merged takes the branch's own commits off its line; where the change contains one of these, its
/// rules are newer than those of the line.
pub fn passed_beside(ledger: &Ledger, environment: &EnvironmentName, line: &Line) -> Vec<CommitId> {
    let passes = passes(ledger, environment);
    let newest = line.before.iter().find_map(|commit| passes.get(commit)).copied().unwrap_or(0);
    let later: BTreeMap<u64, &CommitId> =
        passes.iter().filter(|(_, first)| **first > newest).map(|(commit, first)| (*first, *commit)).collect();
    let here: BTreeSet<&CommitId> = [&line.after, &line.change, &line.before].into_iter().flatten().collect();
    later.into_values().rev().filter(|commit| !here.contains(commit)).cloned().collect()
}

/// The environments of which a commit before the change has passed, or was accepted.
pub fn environments_of(ledger: &Ledger, line: &Line) -> BTreeSet<EnvironmentName> {
    let before: BTreeSet<&CommitId> = line.before.iter().collect();
    let of_line = ledger.records().iter().filter(|record| {
        let commit = if passed(record) { record.entry.commit.as_ref() } else { accepted_commit(record) };
        commit.is_some_and(|commit| before.contains(commit))
    });
    of_line.filter_map(|record| record.entry.environment.clone()).collect()
}

/// Whether the record says that a run's gates passed. A rollback asks nothing that rules decide, so its record names none.
fn passed(record: &Record) -> bool {
    record.is(Step::Gates, StepResult::Ok) && record.entry.policy.is_some()
}

/// The commits that passed, each with the number of the first record that says so.
fn passes<'a>(ledger: &'a Ledger, environment: &EnvironmentName) -> BTreeMap<&'a CommitId, u64> {
    let mut first = BTreeMap::new();
    for record in ledger.of(environment).filter(|record| passed(record)) {
        if let Some(commit) = &record.entry.commit {
            first.entry(commit).or_insert(record.seq);
        }
    }
    first
}

/// The commit whose rules a record puts in force.
fn accepted_commit(record: &Record) -> Option<&CommitId> {
    match (record.is(Step::Policy, StepResult::Ok), &record.entry.accepts) {
        (true, Some(Accepts::Commit(commit))) => Some(commit),
        (true, Some(Accepts::Release(_) | Accepts::Place(_)) | None) | (false, _) => None,
    }
}

/// The decision in force: the newest about a commit of this line, while nothing above that commit has passed since.
fn accepted(
    ledger: &Ledger,
    environment: &EnvironmentName,
    line: &Line,
    passes: &BTreeMap<&CommitId, u64>,
) -> Option<(CommitId, Acceptance)> {
    let (record, commit) = ledger
        .of(environment)
        .rev()
        .filter_map(|record| Some((record, accepted_commit(record)?)))
        .find(|(_, commit)| line.change.contains(commit) || line.before.contains(commit))?;
    let above = line.before.iter().take_while(|other| *other != commit).chain(&line.beside);
    let is_over = !line.change.contains(commit)
        && above.into_iter().any(|other| passes.get(other).is_some_and(|first| *first > record.seq));
    let acceptance = Acceptance {
        by: record.entry.run.actor.clone(),
        at: record.recorded_at(),
        reason: record.entry.reason.clone().unwrap_or_default(),
        seq: record.seq,
    };
    (!is_over).then(|| (commit.clone(), acceptance))
}

/// The newest commit that passed and is not on this line: another branch, or history that was rewritten.
fn passed_elsewhere(ledger: &Ledger, environment: &EnvironmentName, line: &Line) -> Option<CommitId> {
    let here: BTreeSet<&CommitId> = [&line.after, &line.change, &line.before].into_iter().flatten().collect();
    let mut newest_first = ledger.of(environment).rev().filter(|record| passed(record));
    newest_first.find_map(|record| record.entry.commit.clone().filter(|commit| !here.contains(commit)))
}

/// The commit whose rules refused another one, by the newest record about its gates.
fn refused_by(ledger: &Ledger, environment: &EnvironmentName, commit: &CommitId) -> Option<CommitId> {
    let of_commit = |record: &&Record| record.entry.step == Step::Gates && record.entry.commit.as_ref() == Some(commit);
    let newest = ledger.of(environment).rfind(of_commit)?;
    if newest.entry.result == StepResult::Refused { newest.entry.policy.as_ref()?.commit.clone() } else { None }
}
