//! Suites that are a program: its exit status is the answer.

use std::path::PathBuf;
use std::time::Duration;

use process::{EnvVars, Interrupt, Invocation, Output, ProcessError, Program, Redactor};

use crate::report::{Case, SuiteReport, Verdict};
use crate::text::{in_words, innermost, line, shown};

/// How much of each output is kept.
const OUTPUT_KEPT: usize = 256 * 1024;
/// How many lines of each output are reported.
const LINES_SHOWN: usize = 40;

/// One program, run in the folder that holds the suite's files.
#[derive(Clone, Debug)]
pub struct CommandSuite {
    /// The program: `argv[0]`, already found.
    pub program: Program,
    /// The other arguments, with every variable filled in.
    pub arguments: Vec<String>,
    /// The folder it runs in.
    pub folder: PathBuf,
    /// The variables it sees.
    pub environment: EnvVars,
    /// The time it may take; then its whole process group ends.
    pub deadline: Duration,
    /// Hidden in what is shown of its output.
    pub redactor: Redactor,
    /// Ends it early.
    pub interrupt: Interrupt,
}

impl CommandSuite {
    pub(crate) async fn run(&self, name: &str) -> SuiteReport {
        let suite = self.clone();
        let ended = tokio::task::spawn_blocking(move || {
            Invocation::new(&suite.program)
                .args(&suite.arguments)
                .envs(&suite.environment)
                .current_dir(&suite.folder)
                .deadline(suite.deadline)
                .keep_last(OUTPUT_KEPT)
                .redact(&suite.redactor)
                .interrupt(&suite.interrupt)
                .run()
        })
        .await;
        match ended {
            Ok(Ok(output)) => self.report(name, &output),
            Ok(Err(error)) => self.no_answer(name, &error),
            Err(_) => SuiteReport::unknown(name, "the runner of the suite failed"),
        }
    }

    fn report(&self, name: &str, output: &Output) -> SuiteReport {
        let (verdict, message) = match output.code {
            Some(0) => (Verdict::Passed, String::new()),
            Some(_) => (Verdict::Failed, format!("ended with {}", output.status())),
            // Killed from outside: it did not come to an answer.
            None => (Verdict::Unknown, format!("ended with {}", output.status())),
        };
        let case = Case { name: shown(self.program.name()), verdict, message };
        SuiteReport { log_tail: self.log_tail(output), ..SuiteReport::of(name, vec![case]) }
    }

    fn log_tail(&self, output: &Output) -> Vec<String> {
        let mut tail = Vec::new();
        for text in [output.stdout_text(), output.stderr_text()] {
            let text = self.redactor.redact(&text);
            let lines: Vec<&str> = text.lines().collect();
            let first = lines.len().saturating_sub(LINES_SHOWN);
            tail.extend(lines.iter().skip(first).map(|text| line(text)));
        }
        tail
    }

    fn no_answer(&self, name: &str, error: &ProcessError) -> SuiteReport {
        if error.is_deadline() {
            let reason = format!("did not end within {}", in_words(self.deadline));
            let log_tail = error.stderr().iter().map(|text| line(text)).collect();
            return SuiteReport { log_tail, ..SuiteReport::unknown(name, &reason) };
        }
        let mut reason = error.to_string();
        if let Some(source) = std::error::Error::source(error) {
            reason = format!("{reason}: {}", innermost(source));
        }
        SuiteReport::unknown(name, &reason)
    }
}
