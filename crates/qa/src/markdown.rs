//! Markdown, for comments and job summaries.

use lock_model::escaping::code_span;

use crate::report::{SuiteReport, Verdict};
use crate::text::line;

/// Renders reports as a table of suites, and a list of every case that did not pass.
///
/// All foreign text stands in code spans, where no forge finds a mention, a link, an image or HTML.
pub fn to_markdown(reports: &[SuiteReport]) -> String {
    let mut out = String::from("| suite | verdict | passed | failed | unknown | skipped |\n");
    out.push_str("|---|---|---:|---:|---:|---:|\n");
    for report in reports {
        let count = |verdict| report.count(verdict);
        line(
            &mut out,
            format_args!(
                "| {} | {} | {} | {} | {} | {} |",
                code(&report.suite),
                report.verdict.word(),
                count(Verdict::Passed),
                count(Verdict::Failed),
                count(Verdict::Unknown),
                count(Verdict::Skipped)
            ),
        );
    }
    let mut list = String::new();
    for report in reports {
        if let Some(reason) = &report.reason {
            let word = report.verdict.word();
            line(&mut list, format_args!("- {} {word}: {}", code(&report.suite), code(reason)));
        }
        for case in report.cases.iter().filter(|case| case.verdict != Verdict::Passed) {
            let (suite, name, word) = (code(&report.suite), code(&case.name), case.verdict.word());
            let message = if case.message.is_empty() { String::new() } else { format!(": {}", code(&case.message)) };
            line(&mut list, format_args!("- {suite} {name} {word}{message}"));
        }
    }
    if !list.is_empty() {
        out.push('\n');
        out.push_str(&list);
    }
    out
}

fn code(text: &str) -> String {
    if text.trim().is_empty() { "`-`".to_owned() } else { code_span(text).replace('|', "\\|") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t37_foreign_text_stays_in_its_code_span() {
        assert_eq!(code("a `b` @team|x\n<img>"), "``a `b` @team\\|x <img>``");
        assert_eq!(code("plain"), "`plain`");
        assert_eq!(code("```"), "```` ``` ````");
        assert_eq!(code(""), "`-`");
    }
}
