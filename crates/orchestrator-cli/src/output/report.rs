//! A finished command's report and the three ways to show it.

use std::io::{self, Write};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::{Format, github};
use lock_model::escaping::{escape_terminal, escape_terminal_lines};

/// The answer of a command that could do its work; the answer itself may be negative.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// What the process ends with.
    pub code: ExitCode,
    /// Text for people, complete lines.
    pub human: String,
    /// The same for machines; the command's name is added as `command`.
    pub document: serde_json::Value,
    /// Things that people should see even when all went well.
    pub warnings: Vec<String>,
    /// Markdown for pages and step summaries, where it differs from the text.
    pub markdown: Option<String>,
}

impl Report {
    /// A report with its text and document.
    pub(crate) fn new(code: ExitCode, human: impl Into<String>, document: serde_json::Value) -> Self {
        Self { code, human: human.into(), document, warnings: Vec::new(), markdown: None }
    }

    /// Adds warnings.
    #[must_use]
    pub(crate) fn warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// Adds the Markdown form.
    #[must_use]
    pub(crate) fn markdown(mut self, markdown: impl Into<String>) -> Self {
        self.markdown = Some(markdown.into());
        self
    }
}

/// Shows a report and says what to end with. A reader that closed the pipe is no error.
pub(crate) fn print_report(format: Format, report: &Report, summary: Option<&str>) -> ExitCode {
    let mut out = io::stdout().lock();
    let mut log = io::stderr().lock();
    // Names, titles, reasons and answers of other programs are in there: none of them reaches a terminal as it is.
    let human = escape_terminal_lines(&report.human);
    let written = match format {
        Format::Human => report
            .warnings
            .iter()
            .try_for_each(|warning| writeln!(log, "warning: {}", escape_terminal(warning)))
            .and_then(|()| out.write_all(human.as_bytes())),
        Format::Json => {
            let mut document = report.document.clone();
            if let Some(fields) = document.as_object_mut() {
                fields.insert("exit_code".into(), report.code.number().into());
                if !report.warnings.is_empty() {
                    fields.insert("warnings".into(), report.warnings.clone().into());
                }
            }
            write_json(&mut out, &document)
        }
        Format::Github => {
            let mut text = github::inert(&human);
            for warning in &report.warnings {
                text.push_str(&github::annotation("warning", "orchestrator", &escape_terminal_lines(warning)));
            }
            if report.code != ExitCode::Done {
                let first = human.lines().next().unwrap_or_default();
                text.push_str(&github::annotation("error", report.code.word(), first));
            }
            let page = report.markdown.clone().unwrap_or_else(|| fenced(&human));
            out.write_all(text.as_bytes()).and_then(|()| append(summary, &page))
        }
    };
    ended(written, report.code)
}

/// Shows an error and says what to end with.
pub(crate) fn print_error(format: Format, error: &CliError, summary: Option<&str>) -> ExitCode {
    let text = escape_terminal_lines(&error.human());
    let written = match format {
        Format::Human => io::stderr().lock().write_all(text.as_bytes()),
        Format::Json => write_json(&mut io::stdout().lock(), &error.json()),
        Format::Github => {
            let page = github::inert(&text)
                + &github::annotation("error", error.code.word(), &escape_terminal_lines(&error.message));
            io::stdout().lock().write_all(page.as_bytes()).and_then(|()| append(summary, &fenced(&text)))
        }
    };
    ended(written, error.code)
}

fn write_json(out: &mut impl Write, document: &serde_json::Value) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    out.write_all(b"\n")
}

/// Adds to the step summary file, where there is one.
fn append(summary: Option<&str>, page: &str) -> io::Result<()> {
    let Some(path) = summary else { return Ok(()) };
    let written = std::fs::OpenOptions::new().append(true).create(true).open(path);
    written
        .and_then(|mut file| file.write_all(page.as_bytes()))
        .map_err(|error| io::Error::new(error.kind(), format!("step summary `{path}`: {error}")))
}

/// A code block whose fence is longer than any in the text.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

/// The work is done or not, whoever can read about it; but a report that is lost is never a silent success.
fn ended(written: io::Result<()>, code: ExitCode) -> ExitCode {
    let Err(error) = written else { return code };
    if error.kind() == io::ErrorKind::BrokenPipe {
        return code;
    }
    // Nowhere is left to say it when this fails too.
    let _unsaid = writeln!(io::stderr().lock(), "error: the report cannot be written: {error}");
    if code == ExitCode::Done { ExitCode::Usage } else { code }
}
