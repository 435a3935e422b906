//! What a suite said.

/// The answer of a suite or of one case, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It ran and everything was as expected.
    Passed,
    /// It was not run, for a declared reason.
    Skipped,
    /// It gave no answer: a deadline, a program that did not start, a server that did not answer.
    Unknown,
    /// It ran and something was not as expected.
    Failed,
}

impl Verdict {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

/// The result of one suite.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SuiteReport {
    /// Name of the suite.
    pub suite: String,
    /// The answer.
    pub verdict: Verdict,
    /// Why the verdict is what the cases alone do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Every case, in the order it ran.
    pub cases: Vec<Case>,
    /// The last lines of the suite's output; secrets and control characters are hidden.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
}

/// One case of a suite.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Case {
    /// Name of the case.
    pub name: String,
    /// The answer.
    pub verdict: Verdict,
    /// What was seen; empty where there is nothing to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl SuiteReport {
    /// The report of cases that ran: the worst of them decides, and no case at all is unknown.
    pub(crate) fn of(suite: &str, cases: Vec<Case>) -> Self {
        let worst = cases.iter().map(|case| case.verdict).max();
        let reason = worst.is_none().then(|| "the suite has no cases".to_owned());
        Self {
            suite: suite.to_owned(),
            verdict: worst.unwrap_or(Verdict::Unknown),
            reason,
            cases,
            log_tail: Vec::new(),
        }
    }

    /// The report of a suite that is not run, so that nobody takes its absence for success.
    pub fn skipped(suite: &str, reason: &str) -> Self {
        Self::without_cases(suite, Verdict::Skipped, reason)
    }

    /// The report of a suite that could not be started.
    pub fn unknown(suite: &str, reason: &str) -> Self {
        Self::without_cases(suite, Verdict::Unknown, reason)
    }

    fn without_cases(suite: &str, verdict: Verdict, reason: &str) -> Self {
        let reason = Some(crate::text::shown(reason));
        Self { suite: suite.to_owned(), verdict, reason, cases: Vec::new(), log_tail: Vec::new() }
    }

    /// Whether the suite ran to its end and everything was as expected.
    pub fn is_passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }

    /// How many cases have this answer.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.cases.iter().filter(|case| case.verdict == verdict).count()
    }
}
