use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lock_model::escaping::escape_terminal;
use rustix::process::{Pid, getpriority_process, setpriority_process};

use crate::launcher::LaunchError;
use crate::supervise::{Input, Limits, OutputLimit, Stopped, supervise};
use crate::{EnvVars, Interrupt, Launcher, ProcessError, ProcessErrorKind, Program, Redactor};

const DEFAULT_OUTPUT_LIMIT: usize = 64 * 1024 * 1024;
const DEFAULT_GRACE: Duration = Duration::from_secs(2);
/// The lines of output that an error shows.
const ERROR_LINES: usize = 10;
const LINE_CHARACTERS: usize = 400;

/// How much of the processors a program gets while others want them as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// As much as this process.
    #[default]
    Usual,
    /// About a tenth of what other programs get; all of it where the processors are free.
    Low,
}

/// The niceness of a program of [`Priority::Low`].
const LOW: i32 = 10;

/// How a program is to be started; [`run`](Self::run) starts it.
///
/// Defaults: no arguments, no environment variables, an empty standard input, no deadline, and at most 64 MiB of output.
#[derive(Debug)]
#[must_use = "an invocation does nothing until it is run"]
pub struct Invocation {
    program: Program,
    launcher: Option<Launcher>,
    stall: Option<Duration>,
    arguments: Vec<OsString>,
    environment: EnvVars,
    folder: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    limits: Limits,
    redactor: Redactor,
    is_output_hidden: bool,
    priority: Priority,
}

impl Invocation {
    /// Takes the defaults.
    pub fn new(program: &Program) -> Self {
        Self {
            program: program.clone(),
            launcher: None,
            stall: None,
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
            is_output_hidden: false,
            priority: Priority::Usual,
        }
    }

    /// Adds one argument, as it is: no shell splits or expands it.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    pub fn args<I, A>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets one environment variable; an earlier value is replaced.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name, value);
        self
    }

    /// Sets several environment variables; earlier values are replaced.
    pub fn envs(mut self, variables: &EnvVars) -> Self {
        self.environment.extend(variables.iter());
        self
    }

    /// Starts the program in this folder; without it, in the current one.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Writes these bytes to the program's standard input, which is empty without this.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Ends the program's process group after this time: SIGTERM, and SIGKILL after the grace.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = Some(deadline);
        self
    }

    /// The time between SIGTERM and SIGKILL: two seconds without this.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// Refuses more than this many bytes on standard output or on standard error: 64 MiB without this.
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.limits.output = OutputLimit::Refuse(bytes);
        self
    }

    /// Keeps only the last bytes of each output instead of refusing long output: for logs.
    pub fn keep_last(mut self, bytes: usize) -> Self {
        self.limits.output = OutputLimit::KeepLast(bytes);
        self
    }

    /// Masks these secrets in commands and in the output that errors show.
    pub fn redact(mut self, redactor: &Redactor) -> Self {
        self.redactor = redactor.clone();
        self
    }

    /// Errors show nothing of the output and no arguments: for programs that print secrets, or are given some.
    pub fn hide_output(mut self) -> Self {
        self.is_output_hidden = true;
        self
    }

    /// Ends the program's process group when the interrupt is requested.
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.limits.interrupt = interrupt.clone();
        self
    }

    /// Starts the program by way of this launcher, so that its process group ends with the caller also when the caller is
    /// killed. Without one the program goes on alone then, and so does one that is given an [input](Self::stdin).
    pub fn launched_by(mut self, launcher: Option<&Launcher>) -> Self {
        self.launcher = launcher.cloned();
        self
    }

    /// Ends a [launched](Self::launched_by) program also when the caller does not run for this time, because it is stopped.
    pub fn ended_by_stall(mut self, stall: Duration) -> Self {
        self.stall = Some(stall);
        self
    }

    /// How much of the processors the program gets while others want them as well.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The command line for people: redacted and escaped, not to be given to a shell.
    pub fn command_line(&self) -> String {
        let arguments = self.arguments.iter().map(|argument| self.redactor.redact(&argument.to_string_lossy()));
        arguments.fold(self.program.name().to_owned(), |line, argument| line + " " + &quote_argument(&argument))
    }

    /// Runs the program to its end. An exit status other than zero is a value, not an error: see [`Output`].
    pub fn run(self) -> Result<Output, ProcessError> {
        let command = if self.is_output_hidden { self.program.name().to_owned() } else { self.command_line() };
        let began = Instant::now();
        let child = self.start()?;
        let launcher = self.launcher();
        let is_launched = launcher.is_some();
        let input = match &self.stdin {
            Some(bytes) => Input::Bytes(bytes.clone()),
            None if is_launched => Input::Beats,
            None => Input::Bytes(Vec::new()),
        };
        let ended = supervise(child, input, &self.limits)
            .map_err(|error| ProcessError::new(ProcessErrorKind::Supervision, &command).with_source(error))?;
        let status =
            ended.status.code().filter(|code| *code != 0).map(|code| format!(", exit {code}")).unwrap_or_default();
        log::debug!(target: "process", "{command} ({} ms{status})", began.elapsed().as_millis());
        let stall = self.stall.filter(|stall| is_launched && ended.is_stalled(*stall));
        let output = Output {
            code: ended.status.code(),
            signal: ended.status.signal(),
            stdout: ended.stdout.bytes,
            stderr: ended.stderr.bytes,
            dropped: ended.stdout.dropped + ended.stderr.dropped,
            command,
            redactor: self.redactor,
            is_hidden: self.is_output_hidden,
        };
        if let Some(reason) = is_launched.then(|| output.reason_of_no_start()).flatten() {
            let program = self.program.path().to_string_lossy();
            return Err(ProcessError::new(ProcessErrorKind::NotStarted, program).with_source(reason));
        }
        match (ended.stopped, self.limits.output) {
            (None, _) => match stall {
                Some(stall) => Err(output.error(ProcessErrorKind::Stalled(stall))),
                None => Ok(output),
            },
            (Some(Stopped::Deadline), _) => {
                Err(output.error(ProcessErrorKind::Deadline(self.limits.deadline.unwrap_or_default())))
            }
            (Some(Stopped::Interrupted), _) => Err(ProcessError::new(ProcessErrorKind::Interrupted, output.command)),
            (Some(Stopped::OutputTooLarge), OutputLimit::Refuse(limit) | OutputLimit::KeepLast(limit)) => {
                Err(ProcessError::new(ProcessErrorKind::OutputTooLarge(limit), output.command))
            }
        }
    }

    /// The input of a launcher is what it knows the caller by.
    fn launcher(&self) -> Option<&Launcher> {
        self.launcher.as_ref().filter(|_| self.stdin.is_none())
    }

    /// The program before it has its arguments.
    #[expect(clippy::disallowed_methods, reason = "this is the place where programs are started")]
    fn launched(&self) -> Command {
        let Some(launcher) = self.launcher() else { return Command::new(self.program.path()) };
        let mut command = Command::new(&launcher.path);
        let stall = self.stall.unwrap_or_default().as_millis();
        command.args(&launcher.arguments).arg(stall.to_string()).arg(self.program.path());
        command
    }

    fn start(&self) -> Result<Child, ProcessError> {
        let mut command = self.launched();
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter())
            .stdin(if self.stdin.is_some() || self.launcher.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut attempts = 0;
        loop {
            match command.spawn() {
                Ok(child) => {
                    give_way(&child, self.priority);
                    return Ok(child);
                }
                // Another thread forked while this program was still being written: its copy of the
                // descriptor goes away as soon as it executes.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && attempts < 20 => {
                    attempts += 1;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => {
                    let program = self.program.path().to_string_lossy();
                    return Err(ProcessError::new(ProcessErrorKind::NotStarted, program).with_source(error));
                }
            }
        }
    }
}

/// Sets the priority of a child that has just been started. A program that ended at once, or a system that does not let it,
/// changes nothing about what the program does.
fn give_way(child: &Child, priority: Priority) {
    match priority {
        Priority::Usual => {}
        Priority::Low => {
            let own = getpriority_process(None).unwrap_or_default();
            let _unchanged = setpriority_process(Some(Pid::from_child(child)), own.max(LOW));
        }
    }
}

/// How a program ended, and what it wrote.
#[derive(Debug)]
#[must_use = "the program may have failed"]
#[non_exhaustive]
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
    is_hidden: bool,
}

impl Output {
    /// Whether the exit status is zero.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Turns an exit status other than zero into an error that shows the command and the end of its output.
    pub fn checked(self) -> Result<Self, ProcessError> {
        if self.success() {
            return Ok(self);
        }
        let status = self.status();
        Err(self.error(ProcessErrorKind::Failed(status)))
    }

    /// Why a launched program did not start, as the process says that was to become it.
    fn reason_of_no_start(&self) -> Option<std::io::Error> {
        let is_none = self.code == Some(LaunchError::EXIT_STATUS.into()) && self.stdout.is_empty();
        let text = self.stderr_text();
        LaunchError::reason_in(&text).filter(|_| is_none).map(std::io::Error::other)
    }

    /// `exit status N` or `signal N`.
    pub fn status(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".to_owned(),
        }
    }

    /// The command line for people: see [`Invocation::command_line`].
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Standard output as text, not redacted; bytes that are not UTF-8 become U+FFFD.
    pub fn stdout_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Standard error as text, not redacted; bytes that are not UTF-8 become U+FFFD.
    pub fn stderr_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }

    /// The last lines of standard error, or of standard output where standard error is empty: redacted, escaped for a
    /// terminal, without blank lines, and cut after 400 characters.
    pub fn last_lines(&self, lines: usize) -> Vec<String> {
        let stderr = self.stderr_text();
        let text = if stderr.trim().is_empty() { self.stdout_text() } else { stderr };
        let text = self.redactor.redact(self.whole_lines(&text));
        let mut last: Vec<String> =
            text.lines().rev().filter(|line| !line.trim().is_empty()).take(lines).map(escape_line).collect();
        last.reverse();
        last
    }

    /// A text of this output without what may be the rest of a line: where the beginning was dropped, it may be the rest of a
    /// secret, which no redactor knows.
    pub fn whole_lines<'a>(&self, text: &'a str) -> &'a str {
        if self.dropped == 0 { text } else { text.split_once('\n').map_or("", |(_, rest)| rest) }
    }

    fn error(self, kind: ProcessErrorKind) -> ProcessError {
        let stderr = if self.is_hidden { Vec::new() } else { self.last_lines(ERROR_LINES) };
        ProcessError { stderr, ..ProcessError::new(kind, self.command) }
    }
}

fn escape_line(line: &str) -> String {
    let mut characters = line.trim_end().chars();
    let kept: String = characters.by_ref().take(LINE_CHARACTERS).collect();
    escape_terminal(&kept) + if characters.next().is_some() { "…" } else { "" }
}

fn quote_argument(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%^~{}".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", escape_line(argument))
}
