//! What the checks said, and what follows from it.

use crate::check::Severity;

/// The answers of all checks of an environment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HealthReport {
    /// What follows from the answers.
    pub verdict: HealthVerdict,
    /// Every answer, by name.
    pub checks: Vec<CheckResult>,
}

/// What follows from the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthVerdict {
    /// Every check is healthy.
    Healthy,
    /// A check that only warns is not healthy.
    Degraded,
    /// There was no check: nothing is known, which is not the same as healthy.
    NothingChecked,
    /// A check that blocks is unhealthy or unknown.
    Blocked,
}

/// The answer of one check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct CheckResult {
    /// Name of the check.
    pub name: String,
    /// The answer.
    pub state: CheckState,
    /// What an answer other than "healthy" means.
    pub severity: Severity,
    /// What was seen, harmless to show; nothing in it changes between two equal answers.
    pub detail: String,
}

/// The answer of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Healthy,
    /// There is no answer: a deadline, a name that does not resolve, a program that did not start.
    Unknown,
    /// Not as it should be.
    Unhealthy,
}

impl HealthReport {
    pub(crate) fn of(mut checks: Vec<CheckResult>) -> Self {
        checks.sort();
        let verdict = checks
            .iter()
            .map(|check| match (check.state, check.severity) {
                (CheckState::Healthy, Severity::Block | Severity::Warn) => HealthVerdict::Healthy,
                (CheckState::Unknown | CheckState::Unhealthy, Severity::Warn) => HealthVerdict::Degraded,
                (CheckState::Unknown | CheckState::Unhealthy, Severity::Block) => HealthVerdict::Blocked,
            })
            .max()
            .unwrap_or(HealthVerdict::NothingChecked);
        Self { verdict, checks }
    }

    /// Whether the environment was asked and said nothing that blocks.
    pub fn is_healthy(&self) -> bool {
        match self.verdict {
            HealthVerdict::Healthy | HealthVerdict::Degraded => true,
            HealthVerdict::NothingChecked | HealthVerdict::Blocked => false,
        }
    }

    /// The checks that are not healthy, those that block first.
    pub fn not_healthy(&self) -> Vec<&CheckResult> {
        let mut found: Vec<&CheckResult> =
            self.checks.iter().filter(|check| check.state != CheckState::Healthy).collect();
        found.sort_by_key(|check| std::cmp::Reverse(check.severity));
        found
    }
}
