//! `JUnit` XML, as CI systems read it.

use lock_model::escaping::escape_terminal_lines;

use crate::report::{Case, SuiteReport, Verdict};
use crate::text::line;

/// Renders reports as one `JUnit` document.
///
/// An unknown case becomes an `error`. A suite without cases gets one of its own name, since readers of `JUnit` count
/// cases and would not show it otherwise.
pub fn to_junit(reports: &[SuiteReport]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let suites: Vec<(&SuiteReport, Vec<Case>)> = reports.iter().map(|report| (report, cases(report))).collect();
    let counts = |cases: &[Case]| {
        let count = |verdict| cases.iter().filter(|case| case.verdict == verdict).count();
        format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
            cases.len(),
            count(Verdict::Failed),
            count(Verdict::Unknown),
            count(Verdict::Skipped)
        )
    };
    let all: Vec<Case> = suites.iter().flat_map(|(_, cases)| cases.iter().cloned()).collect();
    line(&mut out, format_args!("<testsuites name=\"orchestrator\" {}>", counts(&all)));
    for (report, cases) in &suites {
        let suite = escaped(&report.suite);
        line(&mut out, format_args!("  <testsuite name=\"{suite}\" {}>", counts(cases)));
        for case in cases {
            let name = escaped(&case.name);
            let start = format!("    <testcase name=\"{name}\" classname=\"{suite}\"");
            let message = escaped(&case.message);
            match case.verdict {
                Verdict::Passed => line(&mut out, format_args!("{start}/>")),
                Verdict::Skipped => {
                    line(&mut out, format_args!("{start}><skipped message=\"{message}\"/></testcase>"));
                }
                Verdict::Unknown => line(&mut out, format_args!("{start}><error message=\"{message}\"/></testcase>")),
                Verdict::Failed => line(&mut out, format_args!("{start}><failure message=\"{message}\"/></testcase>")),
            }
        }
        if !report.log_tail.is_empty() {
            let log = escaped(&report.log_tail.join("\n"));
            line(&mut out, format_args!("    <system-out>{log}</system-out>"));
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn cases(report: &SuiteReport) -> Vec<Case> {
    if !report.cases.is_empty() {
        return report.cases.clone();
    }
    let message = report.reason.clone().unwrap_or_default();
    vec![Case::new(report.suite.as_str(), report.verdict, message)]
}

/// Escapes markup, what a terminal could act on, and what XML 1.0 cannot hold at all.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in escape_terminal_lines(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}
