//! A finished command's report, ready to be printed.

use orchestrator::report::v1::Report;
use serde_json::Value;

use super::Text;
use crate::exit_code::ExitCode;

/// The answer of a command that could do its work; the answer itself may be negative.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub code: ExitCode,
    /// Text for people, complete lines.
    pub human: String,
    /// The same for machines.
    pub json: Json,
    /// Things that people should see even when all went well.
    pub warnings: Vec<String>,
    /// Lines for stderr that are neither result nor warning.
    pub notes: Option<String>,
    /// Markdown for the step summary, where it says more than the text.
    pub markdown: Option<String>,
}

/// What stands on stdout in JSON format.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    /// The result in the envelope that all commands share.
    Result(Value),
    /// The text itself, which is JSON already.
    Bare,
}

impl Shown {
    /// A report of the library.
    pub(crate) fn report<R: Report + Text>(report: &R) -> Self {
        Self {
            code: report.verdict().into(),
            human: report.text(),
            json: Json::Result(serde_json::to_value(report).expect("a report is plain data")),
            warnings: report.warnings().to_vec(),
            notes: report.notes(),
            markdown: report.markdown(),
        }
    }

    /// Text that is its own result.
    pub(crate) fn text(text: String) -> Self {
        let json = Json::Result(serde_json::json!({ "text": text }));
        Self { code: ExitCode::DONE, human: text, json, warnings: Vec::new(), notes: None, markdown: None }
    }

    /// Text with another result for machines.
    pub(crate) fn with_result(text: String, result: Value) -> Self {
        Self { json: Json::Result(result), ..Self::text(text) }
    }

    /// A JSON document that is printed as it is in every format.
    pub(crate) fn bare(document: String) -> Self {
        Self { json: Json::Bare, ..Self::text(document) }
    }
}
