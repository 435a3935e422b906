//! What a step answers.

use ledger::PolicySource;
use serde::Serialize;

use crate::exit_code::ExitCode;
use crate::ledger_store::Document;

/// A step's answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Yes or no.
    pub outcome: Outcome,
    /// One line or more about it.
    pub detail: String,
    /// The record's reason for a negative answer, in one line; the detail where there is none.
    pub(crate) reason: Option<String>,
    /// What a negative answer means for the exit code.
    pub code: ExitCode,
    /// What is kept beside the record.
    pub documents: Vec<Document>,
    /// What people should know although the answer is positive.
    pub warnings: Vec<String>,
    /// The release's tag.
    pub tag: Option<String>,
    /// Where the rules came from.
    pub policy: Option<PolicySource>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Yes.
    Ok,
    /// No, after looking.
    Failed,
    /// No, before any change.
    Refused,
}

impl Answer {
    /// Yes.
    pub(crate) fn ok(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Ok, ExitCode::Done, detail)
    }

    /// No, after looking.
    pub(crate) fn failed(code: ExitCode, detail: impl Into<String>) -> Self {
        Self::new(Outcome::Failed, code, detail)
    }

    /// No, before any change.
    pub(crate) fn refused(code: ExitCode, detail: impl Into<String>) -> Self {
        Self::new(Outcome::Refused, code, detail)
    }

    fn new(outcome: Outcome, code: ExitCode, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            detail: detail.into(),
            reason: None,
            code,
            documents: Vec::new(),
            warnings: Vec::new(),
            tag: None,
            policy: None,
        }
    }

    /// Adds a document that is kept beside the record. Its bytes must not depend on when it was made, so that the same
    /// answer twice is one document.
    #[must_use]
    pub(crate) fn document<T: Serialize>(mut self, name: &str, value: &T) -> Self {
        // Reports are plain data: writing them cannot fail.
        if let Ok(mut bytes) = serde_json::to_vec_pretty(value) {
            bytes.push(b'\n');
            self.documents.push(Document { name: name.to_owned(), bytes });
        }
        self
    }
}
