//! A finished command's report, ready to be printed.

use std::collections::BTreeMap;

use orchestrator::Place;
use orchestrator::report::v1::Report;
use serde_json::Value;

use super::{Page, Text};
use crate::exit_code::ExitCode;

/// The answer of a command that could do its work; the answer itself may be negative.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub code: ExitCode,
    /// The report for people.
    pub page: Page,
    /// The same for machines.
    pub json: Value,
    /// Things that people should see even when all went well.
    pub warnings: Vec<String>,
    /// Where in a file the fault of a warning is, by its text.
    pub places: BTreeMap<String, Place>,
    /// Lines for stderr that are neither result nor warning.
    pub notes: Option<Page>,
    /// Markdown for the step summary, where it says more than the page.
    pub markdown: Option<String>,
}

impl Shown {
    /// A report of the library.
    pub(crate) fn report<R: Report + Text>(report: &R) -> Self {
        let placed = report.warnings().iter().filter_map(|warning| Some((warning, report.place_of(warning)?)));
        Self {
            code: report.verdict().into(),
            page: report.text(),
            json: serde_json::to_value(report).expect("a report is plain data"),
            warnings: report.warnings().to_vec(),
            places: placed.map(|(warning, place)| (warning.clone(), place.clone())).collect(),
            notes: report.notes(),
            markdown: report.markdown(),
        }
    }

    /// Text that is its own result.
    pub(crate) fn text(text: String) -> Self {
        let json = serde_json::json!({ "text": text });
        let page = Page::document(text);
        Self {
            code: ExitCode::DONE,
            page,
            json,
            warnings: Vec::new(),
            places: BTreeMap::new(),
            notes: None,
            markdown: None,
        }
    }

    /// Text with another result for machines.
    pub(crate) fn with_result(text: String, result: Value) -> Self {
        Self { json: result, ..Self::text(text) }
    }
}
