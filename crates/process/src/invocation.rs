use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lock_model::escaping::escape_short;

use crate::supervise::{Limits, OutputLimit, Stopped, supervise};
use crate::{EnvVars, Interrupt, ProcessError, Program, Redactor};

const DEFAULT_OUTPUT_LIMIT: usize = 64 * 1024 * 1024;
const DEFAULT_GRACE: Duration = Duration::from_secs(2);
/// How many lines of standard error an error shows.
const SHOWN_LINES: usize = 10;
const SHOWN_COLUMNS: usize = 400;

/// One start of a program, to be described and then [run](Self::run).
///
/// Without further description: no arguments, an empty environment, an empty standard input, no deadline, and at
/// most 64 MiB of output.
#[derive(Debug)]
#[must_use = "an invocation does nothing until it is run"]
pub struct Invocation {
    program: Program,
    arguments: Vec<OsString>,
    environment: EnvVars,
    folder: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    limits: Limits,
    redactor: Redactor,
}

impl Invocation {
    /// Describes a start of the program.
    pub fn new(program: &Program) -> Self {
        Self {
            program: program.clone(),
            arguments: Vec::new(),
            environment: EnvVars::new(),
            folder: None,
            stdin: None,
            limits: Limits {
                deadline: None,
                grace: DEFAULT_GRACE,
                output: OutputLimit::Refuse(DEFAULT_OUTPUT_LIMIT),
                interrupt: Interrupt::new(),
            },
            redactor: Redactor::new(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<I, A>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets one environment variable.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name, value);
        self
    }

    /// Sets several environment variables; a value that was set earlier is replaced.
    pub fn envs(mut self, variables: &EnvVars) -> Self {
        self.environment.extend(variables.iter());
        self
    }

    /// Starts the program in a folder.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Feeds the program. Without this its standard input is empty.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Ends the program's process group after this time: SIGTERM, and SIGKILL after the grace.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = Some(deadline);
        self
    }

    /// The time between SIGTERM and SIGKILL: two seconds if not set.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// Refuses more output than this many bytes, counted for each output.
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.limits.output = OutputLimit::Refuse(bytes);
        self
    }

    /// Keeps only the last bytes of each output: for logs.
    pub fn keep_last(mut self, bytes: usize) -> Self {
        self.limits.output = OutputLimit::KeepLast(bytes);
        self
    }

    /// Hides these secrets in everything that is shown.
    pub fn redact(mut self, redactor: &Redactor) -> Self {
        self.redactor = redactor.clone();
        self
    }

    /// Ends the program when the interrupt is requested.
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.limits.interrupt = interrupt.clone();
        self
    }

    /// The command as it is shown to people: redacted and escaped.
    pub fn shown(&self) -> String {
        let mut shown = self.program.name().to_owned();
        for argument in &self.arguments {
            shown.push(' ');
            shown.push_str(&shown_argument(&self.redactor.redact(&argument.to_string_lossy())));
        }
        shown
    }

    /// Runs the program to its end. An exit status other than zero is a value, not an error: see [`Output`].
    pub fn run(self) -> Result<Output, ProcessError> {
        let command = self.shown();
        let child = self.start()?;
        let ended = supervise(child, self.stdin.unwrap_or_default(), &self.limits)
            .map_err(|source| ProcessError::Contact { command: command.clone(), source })?;
        let output = Output {
            code: ended.status.code(),
            signal: ended.status.signal(),
            stdout: ended.stdout.bytes,
            stderr: ended.stderr.bytes,
            dropped: ended.stdout.dropped + ended.stderr.dropped,
            command,
            redactor: self.redactor,
        };
        match (ended.stopped, self.limits.output) {
            (None, _) => Ok(output),
            (Some(Stopped::Deadline), _) => Err(ProcessError::Deadline {
                stderr: output.stderr_block(),
                command: output.command,
                deadline: self.limits.deadline.unwrap_or_default(),
            }),
            (Some(Stopped::Interrupted), _) => Err(ProcessError::Interrupted { command: output.command }),
            (Some(Stopped::OutputTooLarge), OutputLimit::Refuse(limit) | OutputLimit::KeepLast(limit)) => {
                Err(ProcessError::OutputTooLarge { command: output.command, limit })
            }
        }
    }

    fn start(&self) -> Result<Child, ProcessError> {
        #[expect(clippy::disallowed_methods, reason = "this is the place where programs are started")]
        let mut command = Command::new(self.program.path());
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter())
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut attempts = 0;
        loop {
            match command.spawn() {
                Ok(child) => return Ok(child),
                // Another thread of ours forked while this program was still being written: its copy of the
                // descriptor goes away as soon as it executes.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && attempts < 20 => {
                    attempts += 1;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(source) => return Err(ProcessError::Start { program: self.program.path().to_owned(), source }),
            }
        }
    }
}

/// How a program ended, and what it wrote.
#[derive(Debug)]
#[must_use = "the program may have failed"]
pub struct Output {
    /// The exit status, unless a signal ended the program.
    pub code: Option<i32>,
    /// The signal that ended the program.
    pub signal: Option<i32>,
    /// Standard output, as written: not redacted.
    pub stdout: Vec<u8>,
    /// Standard error, as written: not redacted.
    pub stderr: Vec<u8>,
    /// How many bytes were dropped under [`Invocation::keep_last`].
    pub dropped: u64,
    command: String,
    redactor: Redactor,
}

impl Output {
    /// Whether the exit status is zero.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Turns an exit status other than zero into an error that shows the command and its last words.
    pub fn checked(self) -> Result<Self, ProcessError> {
        if self.success() {
            return Ok(self);
        }
        Err(ProcessError::Failed { status: self.status(), stderr: self.stderr_block(), command: self.command })
    }

    /// `exit status N` or `signal N`.
    pub fn status(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".to_owned(),
        }
    }

    /// The command as it is shown to people.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Standard output as text, not redacted; bytes that are no UTF-8 become U+FFFD.
    pub fn stdout_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Standard error as text, not redacted; bytes that are no UTF-8 become U+FFFD.
    pub fn stderr_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }

    /// The last lines of standard error for people, or of standard output where standard error is empty: redacted,
    /// control characters escaped.
    pub fn last_words(&self, lines: usize) -> Vec<String> {
        let stderr = self.stderr_text();
        let text = if stderr.trim().is_empty() { self.stdout_text() } else { stderr };
        let text = self.redactor.redact(&text);
        let mut shown: Vec<String> =
            text.lines().rev().filter(|line| !line.trim().is_empty()).take(lines).map(shown_line).collect();
        shown.reverse();
        shown
    }

    fn stderr_block(&self) -> String {
        self.last_words(SHOWN_LINES).iter().fold(String::new(), |block, line| block + "\n  " + line)
    }
}

fn shown_line(line: &str) -> String {
    escape_short(line.trim_end().replace('\t', " "), SHOWN_COLUMNS)
}

fn shown_argument(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%^~{}".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    let inner = shown_line(argument);
    format!("'{inner}'")
}
