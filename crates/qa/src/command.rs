//! Suites that are a program.

use std::path::PathBuf;
use std::time::Duration;

use lock_model::escaping::excerpt;
use process::{EnvVars, Interrupt, Invocation, Launcher, Output, ProcessError, Program, Redactor};

use crate::report::{Case, SuiteReport, Verdict};
use crate::text::{in_words, innermost, log_line};

/// How much of each output is kept.
const OUTPUT_KEPT: usize = 256 * 1024;
/// How many lines of each output are reported.
const LINES_SHOWN: usize = 40;

/// One program: exit status 0 is passed, another failed, no exit status unknown.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandSuite {
    /// The program, already found.
    pub program: Program,
    /// Its arguments, without the program's name and with every variable filled in.
    pub args: Vec<String>,
    /// The folder it runs in, which holds the suite's files.
    pub folder: PathBuf,
    /// All variables that it sees.
    pub envs: EnvVars,
    /// The time it may take; then its whole process group ends.
    pub deadline: Duration,
    /// Removes secrets from what is reported of its output.
    pub redactor: Redactor,
    /// Ends it early; the suite is then unknown.
    pub interrupt: Interrupt,
    /// Starts it, so that its process group ends with this process also when that is killed; `None`: it goes on alone then.
    pub launcher: Option<Launcher>,
}

impl CommandSuite {
    /// A program without arguments, environment variables or secrets.
    pub fn new(program: Program, folder: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self {
            program,
            args: Vec::new(),
            folder: folder.into(),
            envs: EnvVars::new(),
            deadline,
            redactor: Redactor::new(),
            interrupt: Interrupt::new(),
            launcher: None,
        }
    }

    pub(crate) async fn run(&self, name: &str) -> SuiteReport {
        let suite = self.clone();
        let ended = tokio::task::spawn_blocking(move || {
            Invocation::new(&suite.program)
                .args(&suite.args)
                .envs(&suite.envs)
                .current_dir(&suite.folder)
                .deadline(suite.deadline)
                .keep_last(OUTPUT_KEPT)
                .redact(&suite.redactor)
                .interrupt(&suite.interrupt)
                .launched_by(suite.launcher.as_ref())
                .run()
        })
        .await;
        match ended {
            Ok(Ok(output)) => self.report(name, &output),
            Ok(Err(error)) => self.not_ended(name, &error),
            Err(_) => SuiteReport::unknown(name, "the suite's runner itself failed"),
        }
    }

    fn report(&self, name: &str, output: &Output) -> SuiteReport {
        let (verdict, message) = match output.code {
            Some(0) => (Verdict::Passed, String::new()),
            Some(_) => (Verdict::Failed, format!("ended with {}", output.status())),
            // Killed from outside, before it could say its verdict.
            None => (Verdict::Unknown, format!("ended with {}", output.status())),
        };
        let case = Case::new(excerpt(self.program.name()), verdict, message);
        SuiteReport { log_tail: self.log_tail(output), ..SuiteReport::new(name, vec![case]) }
    }

    fn log_tail(&self, output: &Output) -> Vec<String> {
        let mut tail = Vec::new();
        for text in [output.stdout_text(), output.stderr_text()] {
            let text = self.redactor.redact(output.whole_lines(&text));
            let lines: Vec<&str> = text.lines().collect();
            let first = lines.len().saturating_sub(LINES_SHOWN);
            tail.extend(lines.iter().skip(first).map(|line| log_line(line)));
        }
        tail
    }

    fn not_ended(&self, name: &str, error: &ProcessError) -> SuiteReport {
        if error.is_deadline() {
            let reason = format!("did not end within {}", in_words(self.deadline));
            // The error's further lines are the program's last words.
            let log_tail = error.to_string().lines().skip(1).map(|line| log_line(line.trim_start())).collect();
            return SuiteReport { log_tail, ..SuiteReport::unknown(name, &reason) };
        }
        let mut reason = error.to_string();
        if let Some(source) = std::error::Error::source(error) {
            reason = format!("{reason}: {}", innermost(source));
        }
        SuiteReport::unknown(name, &reason)
    }
}
