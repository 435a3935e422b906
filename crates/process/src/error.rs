use std::path::PathBuf;
use std::time::Duration;

use lock_model::ErrorClass;

/// Why a program could not be found, started, or brought to a good end.
///
/// Commands and output are shown redacted, with control characters escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// No folder of the search path holds the program.
    #[error("program `{name}` was not found on the search path")]
    NotFound {
        /// The program's name.
        name: String,
    },
    /// The system refused to start the program.
    #[error("program `{}` could not be started", program.display())]
    Start {
        /// The program's path.
        program: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The program ran longer than it may; its process group was ended.
    #[error("`{command}` did not end within {}{stderr}", seconds(*deadline))]
    Deadline {
        /// The command.
        command: String,
        /// How long it was allowed to run.
        deadline: Duration,
        /// The last lines of its standard error, on lines of their own.
        stderr: String,
    },
    /// We were asked to stop; the program's process group was ended.
    #[error("`{command}` was interrupted")]
    Interrupted {
        /// The command.
        command: String,
    },
    /// The program wrote more than it may; its process group was ended.
    #[error("`{command}` wrote more than {limit} bytes")]
    OutputTooLarge {
        /// The command.
        command: String,
        /// The limit for each of the two outputs.
        limit: usize,
    },
    /// The program ran and said no.
    #[error("`{command}` ended with {status}{stderr}")]
    Failed {
        /// The command.
        command: String,
        /// `exit status N` or `signal N`.
        status: String,
        /// The last lines of its standard error, on lines of their own.
        stderr: String,
    },
    /// Talking to the running program failed.
    #[error("lost contact with `{command}`")]
    Contact {
        /// The command.
        command: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl ProcessError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::Start { .. } | Self::OutputTooLarge { .. } | Self::Failed { .. } => ErrorClass::Invalid,
            Self::Deadline { .. } | Self::Interrupted { .. } | Self::Contact { .. } => ErrorClass::Temporary,
        }
    }

    /// Whether a deadline passed.
    pub fn is_deadline(&self) -> bool {
        matches!(self, Self::Deadline { .. })
    }

    /// Whether we were asked to stop.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Interrupted { .. })
    }
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
