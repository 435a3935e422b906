//! The results of suites.

use process::Redactor;

/// The result of a suite or of one case, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It ran to its end and found everything as expected.
    Passed,
    /// It was not run, for a declared reason.
    Skipped,
    /// It could not find out: a deadline, a program that did not start, a server that did not answer.
    Unknown,
    /// It ran and found something that is not as expected.
    Failed,
}

impl Verdict {
    /// The word for people, which is also the word in JSON.
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SuiteReport {
    /// Name of the suite.
    pub suite: String,
    /// The worst verdict of its cases, unless `reason` says why it is another.
    pub verdict: Verdict,
    /// Why the suite has no cases; absent when it has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub reason: Option<String>,
    /// Every case, in the order of the suite.
    pub cases: Vec<Case>,
    /// The last lines of the suite's output, escaped and without the secrets that the caller named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub log_tail: Vec<String>,
}

/// One case of a suite.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Case {
    /// Name of the case.
    pub name: String,
    /// The result.
    pub verdict: Verdict,
    /// What was found, separated by `; `; empty where the verdict says everything.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub message: String,
}

impl Case {
    /// `message` may be empty.
    pub fn new(name: impl Into<String>, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, message: message.into() }
    }
}

impl SuiteReport {
    /// The report of a suite whose worst case is its verdict; without any case it is unknown.
    pub fn new(suite: &str, cases: Vec<Case>) -> Self {
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

    /// The same report without secrets in what was found, such as those that a server's answer repeats.
    #[must_use]
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        let found = self.cases.iter_mut().map(|case| &mut case.message);
        for text in found.chain(&mut self.log_tail).chain(&mut self.reason) {
            *text = redactor.redact(text);
        }
        self
    }

    /// How many cases passed, or every case that did not, a line each, with the end of the log.
    pub fn summary(&self) -> String {
        if self.is_passed() {
            let cases = self.cases.len();
            return format!("{cases} case{} passed", if cases == 1 { "" } else { "s" });
        }
        let failed = self.cases.iter().filter(|case| case.verdict != Verdict::Passed);
        let mut lines: Vec<String> = self.reason.iter().cloned().collect();
        lines.extend(failed.map(|case| format!("{}: {} ({})", case.name, case.verdict.word(), case.message)));
        lines.extend(self.log_tail.iter().map(|line| format!("  | {line}")));
        lines.join("\n")
    }

    /// The report of a suite that is not run; a report without it would look as if every suite had run.
    pub fn skipped(suite: &str, reason: &str) -> Self {
        Self::without_cases(suite, Verdict::Skipped, reason)
    }

    /// The report of a suite that could not be started.
    pub fn unknown(suite: &str, reason: &str) -> Self {
        Self::without_cases(suite, Verdict::Unknown, reason)
    }

    fn without_cases(suite: &str, verdict: Verdict, reason: &str) -> Self {
        let reason = Some(lock_model::escaping::excerpt(reason));
        Self { suite: suite.to_owned(), verdict, reason, cases: Vec::new(), log_tail: Vec::new() }
    }

    /// Whether the suite ran to its end and found everything as expected.
    pub fn is_passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }

    /// How many cases have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.cases.iter().filter(|case| case.verdict == verdict).count()
    }
}
