use std::error::Error;
use std::fmt;
use std::time::Duration;

use lock_model::ErrorClass;

/// A program that could not be started or supervised, or that did not succeed.
///
/// The command and the output that it shows are redacted, with control characters escaped.
#[derive(Debug)]
pub struct ProcessError {
    pub(crate) kind: ProcessErrorKind,
    pub(crate) command: String,
    pub(crate) stderr: Vec<String>,
    pub(crate) source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessErrorKind {
    /// No folder of the search path holds the program.
    NotFound,
    /// The system refused to start the program.
    NotStarted,
    /// The program ran longer than this; its process group was ended.
    Deadline(Duration),
    /// The [`Interrupt`](crate::Interrupt) was requested; the process group was ended.
    Interrupted,
    /// This process did not run for so long, because it was stopped; the program's process group was ended meanwhile.
    Stalled(Duration),
    /// The program wrote more than this many bytes to one of its outputs; its process group was ended.
    OutputTooLarge(usize),
    /// The program ended with this status: `exit status N` or `signal N`. See [`Output::checked`](crate::Output::checked).
    Failed(String),
    /// The system failed while the program ran: a pipe or `waitid`.
    Supervision,
}

impl ProcessError {
    pub(crate) fn new(kind: ProcessErrorKind, command: impl Into<String>) -> Self {
        Self { kind, command: command.into(), stderr: Vec::new(), source: None }
    }

    pub(crate) fn with_source(self, source: std::io::Error) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }

    /// What went wrong.
    pub fn kind(&self) -> &ProcessErrorKind {
        &self.kind
    }

    /// The command line; for a program that was not found or not started, only its name or path.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The same error, with another text for the command: one that is shorter, for example.
    #[must_use]
    pub fn with_command(self, command: impl Into<String>) -> Self {
        Self { command: command.into(), ..self }
    }

    /// The last lines of standard error, or of standard output where that is empty: after a deadline or a failure.
    pub fn stderr(&self) -> &[String] {
        &self.stderr
    }

    /// [`NotFound`](ErrorClass::NotFound) for a missing program, [`Temporary`](ErrorClass::Temporary) where another
    /// attempt can end otherwise (deadline, interrupt, stall, supervision), and [`Invalid`](ErrorClass::Invalid) for the rest.
    pub fn class(&self) -> ErrorClass {
        use ProcessErrorKind as Kind;
        match self.kind {
            Kind::NotFound => ErrorClass::NotFound,
            Kind::NotStarted | Kind::OutputTooLarge(_) | Kind::Failed(_) => ErrorClass::Invalid,
            Kind::Deadline(_) | Kind::Interrupted | Kind::Stalled(_) | Kind::Supervision => ErrorClass::Temporary,
        }
    }

    /// Whether the program was ended because its deadline passed.
    pub fn is_deadline(&self) -> bool {
        matches!(self.kind, ProcessErrorKind::Deadline(_))
    }

    /// Whether the program was ended because the interrupt was requested.
    pub fn is_interrupted(&self) -> bool {
        self.kind == ProcessErrorKind::Interrupted
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ProcessErrorKind as Kind;
        let command = &self.command;
        match &self.kind {
            Kind::NotFound => write!(f, "program `{command}` was not found on the search path"),
            Kind::NotStarted => write!(f, "program `{command}` could not be started"),
            Kind::Deadline(after) => write!(f, "`{command}` did not end within {}", seconds(*after)),
            Kind::Interrupted => write!(f, "`{command}` was interrupted"),
            Kind::Stalled(after) => {
                write!(f, "`{command}` was ended: orchestrator itself was stopped for {} or longer", seconds(*after))
            }
            Kind::OutputTooLarge(limit) => write!(f, "`{command}` wrote more than {limit} bytes"),
            Kind::Failed(status) => write!(f, "`{command}` ended with {status}"),
            Kind::Supervision => write!(f, "lost contact with `{command}`"),
        }?;
        self.stderr.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl Error for ProcessError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
