//! Gate about the suites of pull requests: they passed on exactly this content, for this branch.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Ledger, Record, StepResult, SuiteRef, TestedMerge};
use lock_model::{CommitId, SuiteDigest, SuiteName};

use super::facts::DeployFacts;
use super::finding::{Gate, GateFinding};
use crate::attempts::Purpose;

/// The suites that what was merged must have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequestSuites {
    /// What they must have been run on, and for which branch.
    pub tested: TestedMerge,
    /// The required suites, with the digests that they have in what was merged; none where it has no such suite any more.
    pub suites: BTreeMap<SuiteName, Option<SuiteDigest>>,
    /// The users whose records are evidence: programs, never people.
    pub bots: BTreeSet<String>,
    /// The pull requests that were merged since the gates passed last, newest first, with their merge commits.
    pub merges: Vec<(u64, CommitId)>,
}

impl PullRequestSuites {
    /// The required suites that were not run on this content, or not passed. Those that the change removed are left out:
    /// nothing can run them.
    pub fn open(&self, ledger: &Ledger) -> Vec<SuiteRef> {
        let present = self.suites.iter().filter_map(|(name, digest)| {
            digest.as_ref().map(|digest| SuiteRef { name: name.clone(), digest: digest.clone() })
        });
        present
            .filter(|suite| self.newest(ledger, suite).is_none_or(|record| record.entry.result != StepResult::Ok))
            .collect()
    }

    /// Required suites that the change removed.
    pub fn removed(&self) -> impl Iterator<Item = &SuiteName> {
        self.suites.iter().filter(|(_, digest)| digest.is_none()).map(|(name, _)| name)
    }

    fn newest<'a>(&self, ledger: &'a Ledger, suite: &SuiteRef) -> Option<&'a Record> {
        ledger.pull_request_suite(&self.tested, suite, |actor| self.bots.contains(actor))
    }

    /// That they passed; or what is open, and the way out.
    fn judge(&self, ledger: &Ledger) -> Result<String, (String, String)> {
        let environment = &self.tested.environment;
        let removed: Vec<String> = self.removed().map(|name| format!("`{name}`")).collect();
        if !removed.is_empty() {
            let message = format!("the change removes what `{environment}` requires: {}", removed.join(", "));
            let hint = format!(
                "take it out of `environments.{environment}.suites` first, and remove its definition with a later pull request"
            );
            return Err((message, hint));
        }
        let base = &self.tested.base;
        let open = self.open(ledger);
        if open.is_empty() {
            return Ok(format!("{} suites of `{environment}` passed on this tree, for `{base}`", self.suites.len()));
        }
        let problem = |suite: &SuiteRef| match self.newest(ledger, suite) {
            Some(record) => {
                let reason = record.entry.reason.as_deref().unwrap_or_default();
                format!("`{}` failed (record {}): {reason}", suite.name, record.seq)
            }
            None => format!("no bot recorded `{}` for this tree", suite.name),
        };
        let problems: Vec<String> = open.iter().map(problem).collect();
        Err((format!("suites of `{environment}`, for `{base}`: {}", problems.join(", ")), self.hint()))
    }

    /// The way out: which pull request to take back.
    fn hint(&self) -> String {
        let shown: Vec<String> = self
            .merges
            .iter()
            .map(|(number, commit)| format!("pull request {number} (`git revert -m 1 {}`)", commit.short(12)))
            .collect();
        let base = &self.tested.base;
        match shown.as_slice() {
            [] => format!("take back what was pushed, or repair it with a pull request into `{base}`"),
            [one] => format!("revert {one} with a pull request into `{base}`, or repair it with one"),
            [_, ..] => format!(
                "each was tested without the others: revert one with a pull request into `{base}`, or repair it: {}",
                shown.join(", ")
            ),
        }
    }
}

/// Did the required suites pass on exactly this content, for this branch?
pub(super) fn pull_request_suites(ledger: &Ledger, facts: &DeployFacts<'_>) -> GateFinding {
    let gate = Gate::PullRequestSuites;
    match (facts.pull_request_suites, facts.purpose) {
        ([], Purpose::Run | Purpose::Rollback) => {
            GateFinding::not_asked(gate, format!("`{}` requires no suites of pull requests", facts.environment))
        }
        (_, Purpose::Rollback) => GateFinding::not_asked(gate, "a rollback goes to what was tested before"),
        ([_, ..], Purpose::Run) => {
            let mut passed = Vec::new();
            for required in facts.pull_request_suites {
                match required.judge(ledger) {
                    Ok(message) => passed.push(message),
                    Err((message, hint)) => return GateFinding::refused(gate, message, hint),
                }
            }
            GateFinding::passed(gate, passed.join("; "))
        }
    }
}
