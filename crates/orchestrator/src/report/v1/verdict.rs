use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{ErrorKind, Place};

/// Whether a report is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done, or the answer is yes.
    Positive,
    /// Stopped, or the answer is no; the kind says why.
    Negative(ErrorKind),
}

impl Verdict {
    /// Positive, or a plain no.
    pub fn of(positive: bool) -> Self {
        if positive { Self::Positive } else { Self::Negative(ErrorKind::Negative) }
    }
}

/// What every report can say of itself.
pub trait Report: Serialize + JsonSchema {
    /// Whether it is good news.
    fn verdict(&self) -> Verdict {
        Verdict::Positive
    }

    /// What people should know although the work was done.
    fn warnings(&self) -> &[String] {
        &[]
    }

    /// Where in a file the fault of a warning is; `None` where it has no such place.
    fn place_of(&self, _warning: &str) -> Option<&Place> {
        None
    }

    /// The report as a page, where a page says more than text.
    fn markdown(&self) -> Option<String> {
        None
    }
}

/// A question that was not judged: its answer is neither yes nor no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NotJudged {
    /// The question, such as `what is deployed`.
    pub question: String,
    /// Why it was not judged, such as `no forge`.
    pub reason: String,
}

impl NotJudged {
    /// Questions that only a forge answers.
    pub(crate) fn without_forge(questions: &[&str]) -> Vec<Self> {
        let one = |question: &&str| Self { question: (*question).to_owned(), reason: "no forge".to_owned() };
        questions.iter().map(one).collect()
    }
}
