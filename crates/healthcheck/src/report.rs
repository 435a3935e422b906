//! The results of all checks, and the verdict.

use process::Redactor;

use crate::check::Severity;

/// The results of all checks of an environment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct HealthReport {
    /// The worst result, weighed by severity.
    pub verdict: HealthVerdict,
    /// Every result, sorted by name.
    pub checks: Vec<CheckResult>,
}

/// What the results mean for a deployment, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HealthVerdict {
    /// Every check is healthy.
    Healthy,
    /// Only checks of severity "warn" are not healthy.
    Degraded,
    /// There was no check, so nothing is known: that is not healthy.
    NothingChecked,
    /// A check of severity "block" is unhealthy or unknown.
    Blocked,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CheckResult {
    /// Name of the check.
    pub name: String,
    /// The state that the probe found.
    pub state: CheckState,
    /// What a state other than healthy means.
    pub severity: Severity,
    /// One escaped line for people; the same for equal states, so it holds no times and no counters.
    pub detail: String,
    /// How often it was asked.
    pub attempts: u32,
    /// From the first question to the last answer, in milliseconds.
    pub duration_ms: u64,
}

impl CheckResult {
    /// A result that was found out in another way than by a [probe](crate::Probe), at once; `detail` is one escaped line.
    pub fn new(name: impl Into<String>, state: CheckState, severity: Severity, detail: impl Into<String>) -> Self {
        Self { name: name.into(), state, severity, detail: detail.into(), attempts: 1, duration_ms: 0 }
    }
}

/// The state of a check, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// The probe found what it expects.
    Healthy,
    /// The probe could not find out: a deadline, a name that does not resolve, a program that did not start.
    Unknown,
    /// The probe found something else than it expects.
    Unhealthy,
}

impl CheckState {
    /// The word for people, which is also the word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl HealthReport {
    /// Weighs results, in any order.
    pub fn new(mut checks: Vec<CheckResult>) -> Self {
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

    /// The same report without secrets in its details, such as those that a server's answer repeats.
    #[must_use]
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        for check in &mut self.checks {
            check.detail = redactor.redact(&check.detail);
        }
        self
    }

    /// Whether the environment can take a deployment: something was checked, and nothing blocks.
    pub fn is_healthy(&self) -> bool {
        self.verdict <= HealthVerdict::Degraded
    }

    /// The checks that are not healthy, those that block first.
    pub fn not_healthy(&self) -> Vec<&CheckResult> {
        let mut found: Vec<&CheckResult> =
            self.checks.iter().filter(|check| check.state != CheckState::Healthy).collect();
        found.sort_by_key(|check| std::cmp::Reverse(check.severity));
        found
    }
}
