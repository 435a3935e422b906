//! The three ways to print a report or an error.

use std::fmt::Write as _;
use std::io::{self, Write};

use lock_model::escaping::{escape_terminal, escape_terminal_lines};
use orchestrator::{Error, ErrorKind};
use serde_json::{Value, json};

use super::shown::Json;
use super::{Format, Shown, github};
use crate::exit_code::ExitCode;

/// Prints what a command answers. A reader that closed the pipe is no error.
#[derive(Debug)]
pub(crate) struct Printer {
    pub format: Format,
    /// The words of the command, such as `lock check`; empty where the arguments name none.
    pub command: String,
    /// The step summary file of GitHub Actions.
    pub summary: Option<String>,
}

impl Printer {
    /// Prints a report and says what to end with.
    pub(crate) fn print(&self, shown: &Shown) -> ExitCode {
        let mut out = io::stdout().lock();
        let mut log = io::stderr().lock();
        // Names, titles, reasons and answers of other programs are in there: none of them reaches a terminal as it is.
        let human = escape_terminal_lines(&shown.human);
        let notes = escape_terminal_lines(shown.notes.as_deref().unwrap_or_default());
        let written = match self.format {
            Format::Human => log
                .write_all(notes.as_bytes())
                .and_then(|()| {
                    let mut warnings = shown.warnings.iter();
                    warnings.try_for_each(|warning| writeln!(log, "warning: {}", escape_terminal(warning)))
                })
                .and_then(|()| out.write_all(human.as_bytes())),
            Format::Json => match &shown.json {
                Json::Bare => out.write_all(shown.human.as_bytes()),
                Json::Result(result) => write_json(&mut out, &self.envelope(shown.code, "result", result)),
            },
            Format::Github => {
                let mut text = github::inert(&human);
                for warning in &shown.warnings {
                    text.push_str(&github::annotation("warning", "orchestrator", &escape_terminal_lines(warning)));
                }
                if shown.code != ExitCode::DONE {
                    let first = human.lines().next().unwrap_or_default();
                    text.push_str(&github::annotation("error", shown.code.word(), first));
                }
                let page = shown.markdown.clone().unwrap_or_else(|| fenced(&human));
                log.write_all(github::inert(&notes).as_bytes())
                    .and_then(|()| out.write_all(text.as_bytes()))
                    .and_then(|()| append(self.summary.as_deref(), &page))
            }
        };
        ended(written, shown.code)
    }

    /// Prints an error and says what to end with.
    pub(crate) fn print_error(&self, error: &Error) -> ExitCode {
        let code = ExitCode::from(error.kind());
        let text = escape_terminal_lines(&human(error));
        let written = match self.format {
            Format::Human => io::stderr().lock().write_all(text.as_bytes()),
            Format::Json => write_json(&mut io::stdout().lock(), &self.envelope(code, "error", &document(error, code))),
            Format::Github => {
                let annotation = github::annotation("error", code.word(), &escape_terminal_lines(error.message()));
                let page = github::inert(&text) + &annotation;
                io::stdout()
                    .lock()
                    .write_all(page.as_bytes())
                    .and_then(|()| append(self.summary.as_deref(), &fenced(&text)))
            }
        };
        ended(written, code)
    }

    /// The one form that all commands share.
    fn envelope(&self, code: ExitCode, key: &str, content: &Value) -> Value {
        json!({ "command": self.command, "exit_code": code.number(), key: content })
    }
}

/// An error for people.
fn human(error: &Error) -> String {
    let mut text = format!("error: {}\n", error.message());
    let write = &mut text;
    for cause in &error.causes() {
        let _written = writeln!(write, "  because: {}", indent(cause, 4));
    }
    for problem in error.all_problems() {
        let _written = writeln!(write, "  {}: {}", problem.subject, indent(&problem.message, 4));
        for detail in &problem.details {
            let _written = writeln!(write, "      {}", indent(detail, 6));
        }
    }
    for hint in error.hints() {
        let _written = writeln!(write, "  hint: {}", indent(hint, 4));
    }
    text
}

/// An error for machines.
fn document(error: &Error, code: ExitCode) -> Value {
    json!({
        "kind": code.word(),
        "message": error.message(),
        "causes": error.causes(),
        "problems": error.all_problems(),
        "hints": error.hints(),
    })
}

/// Indents the second and later lines.
fn indent(text: &str, by: usize) -> String {
    text.trim_end().replace('\n', &format!("\n{}", " ".repeat(by)))
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

/// Turns a failed write into an exit code other than 0, except where the reader closed the pipe: the command's own
/// result stands then.
fn ended(written: io::Result<()>, code: ExitCode) -> ExitCode {
    let Err(error) = written else { return code };
    if error.kind() == io::ErrorKind::BrokenPipe {
        return code;
    }
    // Nowhere is left to say it when this fails too.
    let _unsaid = writeln!(io::stderr().lock(), "error: the report cannot be written: {error}");
    if code == ExitCode::DONE { ErrorKind::Usage.into() } else { code }
}
