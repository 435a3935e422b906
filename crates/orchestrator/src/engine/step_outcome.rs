//! The outcome of a step.

use ledger::Policy;
use serde::Serialize;

use crate::error::ErrorKind;
use crate::ledger_store::Document;
use crate::report::v1::evidence::Evidence;

/// What became of a step, and what is recorded with it.
#[derive(Clone, Debug)]
pub(crate) struct StepOutcome {
    pub outcome: Outcome,
    /// One line or more about it.
    pub detail: String,
    /// The record's reason for a negative answer, in one line; the detail where there is none.
    pub(crate) reason: Option<String>,
    /// What a negative answer means for the run; `None` for a positive one.
    pub stopped: Option<ErrorKind>,
    /// What is kept beside the record.
    pub documents: Vec<Document>,
    /// What people should know although the answer is positive.
    pub warnings: Vec<String>,
    pub tag: Option<String>,
    /// Where the rules of the gates were read.
    pub policy: Option<Policy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Failed,
    Refused,
}

impl StepOutcome {
    pub(crate) fn ok(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Ok, None, detail)
    }

    pub(crate) fn failed(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self::new(Outcome::Failed, Some(kind), detail)
    }

    pub(crate) fn refused(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self::new(Outcome::Refused, Some(kind), detail)
    }

    fn new(outcome: Outcome, stopped: Option<ErrorKind>, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            detail: detail.into(),
            reason: None,
            stopped,
            documents: Vec::new(),
            warnings: Vec::new(),
            tag: None,
            policy: None,
        }
    }

    /// Adds a document that is kept beside the record. Its bytes must not depend on when it was made, so that the same
    /// answer twice is one document.
    #[must_use]
    pub(crate) fn document<T: Serialize>(mut self, name: &str, found: &T) -> Self {
        self.documents.push(Document { name: name.to_owned(), bytes: Evidence::new(found).to_json() });
        self
    }
}
