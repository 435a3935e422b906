//! The exit codes: part of the interface, so each has one name and one sentence.

use orchestrator::ErrorKind;
use orchestrator::report::v1::Verdict;

/// What a finished command tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Done, the answer is positive.
    Done = 0,
    /// Ran correctly, the answer is negative.
    Negative = 1,
    /// Bad arguments or configuration.
    Usage = 2,
    /// The lock is unreadable, invalid or of an unknown version.
    Lock = 10,
    /// The repository is not as expected.
    Repository = 11,
    /// An image or digest is missing, or not the one that was locked.
    Image = 12,
    /// A remote refused.
    Denied = 13,
    /// A remote is unreachable or busy.
    Temporary = 14,
    /// A gate, a hold or a proof refused before any change.
    Refused = 20,
    /// A deployment failed after some changes.
    Deploy = 21,
    /// A deadline passed.
    Deadline = 22,
    /// A fault of this program.
    Bug = 70,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl ExitCode {
    /// Every code, in ascending order.
    pub(crate) const ALL: [Self; 13] = [
        Self::Done,
        Self::Negative,
        Self::Usage,
        Self::Lock,
        Self::Repository,
        Self::Image,
        Self::Denied,
        Self::Temporary,
        Self::Refused,
        Self::Deploy,
        Self::Deadline,
        Self::Bug,
        Self::Interrupted,
    ];

    /// The number that the process ends with.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// One word for machines, such as `refused`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Negative => "negative",
            Self::Usage => "usage",
            Self::Lock => "lock",
            Self::Repository => "repository",
            Self::Image => "image",
            Self::Denied => "denied",
            Self::Temporary => "temporary",
            Self::Refused => "refused",
            Self::Deploy => "deploy",
            Self::Deadline => "deadline",
            Self::Bug => "bug",
            Self::Interrupted => "interrupted",
        }
    }

    /// What the code means, and what to do about it.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Done => "Done; the answer is positive.",
            Self::Negative => {
                "Ran correctly; the answer is negative: unhealthy, out of date, not approved, a suite failed."
            }
            Self::Usage => "Arguments or configuration are wrong; the message names file, line and column.",
            Self::Lock => "The lock is unreadable, invalid, edited by hand or of an unknown version.",
            Self::Repository => {
                "The repository is not as expected: a submodule is broken or missing, lock and tree disagree."
            }
            Self::Image => "An image or digest is missing, or is not the one that was locked.",
            Self::Denied => "A remote refused: credentials or permission.",
            Self::Temporary => {
                "A remote is unreachable or busy after retries: the only code that is worth running again for."
            }
            Self::Refused => "A gate, a hold or a missing proof refused, before any change was made.",
            Self::Deploy => "The deployment failed after some changes; the report lists them.",
            Self::Deadline => "A deadline passed.",
            Self::Bug => "A fault of orchestrator itself: please report it with the output.",
            Self::Interrupted => "Interrupted by a signal.",
        }
    }
}

impl From<ErrorKind> for ExitCode {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Negative => Self::Negative,
            ErrorKind::Invalid => Self::Usage,
            ErrorKind::Lock => Self::Lock,
            ErrorKind::Repository => Self::Repository,
            ErrorKind::Image => Self::Image,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Temporary => Self::Temporary,
            ErrorKind::Refused => Self::Refused,
            ErrorKind::Deploy => Self::Deploy,
            ErrorKind::Deadline => Self::Deadline,
            ErrorKind::Bug => Self::Bug,
            ErrorKind::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Positive => Self::Done,
            Verdict::Negative(kind) => kind.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_are_unique() {
        assert!(ExitCode::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
    }
}
