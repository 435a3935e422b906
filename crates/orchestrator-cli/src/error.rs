//! The one error that commands end with: a code, what failed, why, and what to do.

use std::error::Error;
use std::fmt::Write as _;

use lock_model::ErrorClass;

use crate::exit_code::ExitCode;

/// A finding about one subject, such as a service: failures list all of them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Problem {
    /// What it is about: a service, a file, a gate.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What was tried or seen, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// Why a command did not do what it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct CliError {
    /// What the process ends with.
    pub code: ExitCode,
    /// What failed, in one line.
    pub message: String,
    /// Why, from the outside in.
    pub causes: Vec<String>,
    /// All findings where there are several.
    pub problems: Vec<Problem>,
    /// What to do about it.
    pub hints: Vec<String>,
}

/// What a command returns.
pub(crate) type CliResult<T> = Result<T, CliError>;

impl CliError {
    /// An error with nothing but its first line.
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), causes: Vec::new(), problems: Vec::new(), hints: Vec::new() }
    }

    /// Wraps a library's error: its own text first, then its sources.
    pub(crate) fn from_source(code: ExitCode, context: impl Into<String>, error: &(dyn Error + 'static)) -> Self {
        let mut wrapped = Self::new(code, context);
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(cause) = source {
            wrapped.causes.push(cause.to_string());
            source = cause.source();
        }
        wrapped
    }

    /// Adds what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds findings.
    #[must_use]
    pub(crate) fn problems(mut self, problems: impl IntoIterator<Item = Problem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// The text for people.
    pub(crate) fn human(&self) -> String {
        let mut text = format!("error: {}\n", self.message);
        let write = &mut text;
        for cause in &self.causes {
            let _written = writeln!(write, "  because: {}", indent(cause, 4));
        }
        for problem in &self.problems {
            let _written = writeln!(write, "  {}: {}", problem.subject, indent(&problem.message, 4));
            for detail in &problem.details {
                let _written = writeln!(write, "      {}", indent(detail, 6));
            }
        }
        for hint in &self.hints {
            let _written = writeln!(write, "  hint: {}", indent(hint, 4));
        }
        text
    }

    /// The document for machines.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": {
                "exit_code": self.code.number(),
                "kind": self.code.word(),
                "message": self.message,
                "causes": self.causes,
                "problems": self.problems,
                "hints": self.hints,
            }
        })
    }
}

/// Indents the second and later lines.
fn indent(text: &str, by: usize) -> String {
    text.trim_end().replace('\n', &format!("\n{}", " ".repeat(by)))
}

/// The code for an error class where `not_found` and `invalid` have a meaning of their own.
pub(crate) fn code_of(class: ErrorClass, not_found: ExitCode, invalid: ExitCode) -> ExitCode {
    match class {
        ErrorClass::NotFound => not_found,
        ErrorClass::Denied => ExitCode::Denied,
        ErrorClass::Temporary => ExitCode::Temporary,
        ErrorClass::Invalid => invalid,
        ErrorClass::Bug => ExitCode::Bug,
    }
}
