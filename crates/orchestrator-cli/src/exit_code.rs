//! The exit codes: part of the interface, so each has one number, one name and one sentence.

use orchestrator::ErrorKind;
use orchestrator::report::v1::Verdict;

/// What a finished command tells its caller: 0, or the kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitCode(Option<ErrorKind>);

impl ExitCode {
    /// Done, the answer is positive.
    pub(crate) const DONE: Self = Self(None);

    /// Every code, in ascending order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::DONE).chain(ErrorKind::ALL.into_iter().map(Self::from))
    }

    /// The number that the process ends with.
    pub(crate) fn number(self) -> u8 {
        self.row().0
    }

    /// One word for machines, such as `refused`.
    pub(crate) fn word(self) -> &'static str {
        self.0.map_or("done", ErrorKind::as_str)
    }

    /// What the code means, and what to do about it.
    pub(crate) fn meaning(self) -> &'static str {
        self.row().1
    }

    /// The one table of numbers and meanings.
    fn row(self) -> (u8, &'static str) {
        let Some(kind) = self.0 else { return (0, "Done; the answer is positive.") };
        match kind {
            ErrorKind::Negative => {
                (1, "Ran correctly; the answer is negative: unhealthy, out of date, not approved, a suite failed.")
            }
            ErrorKind::Usage => (2, "Arguments or configuration are wrong; the message names file, line and column."),
            ErrorKind::Lock => (10, "The lock is unreadable, invalid, edited by hand or of an unknown version."),
            ErrorKind::Repository => {
                (11, "The repository is not as expected: a submodule is broken or missing, lock and tree disagree.")
            }
            ErrorKind::Image => (12, "An image or digest is missing, or is not the one that was locked."),
            ErrorKind::Denied => (13, "A remote refused: credentials or permission."),
            ErrorKind::Temporary => {
                (14, "A remote is unreachable or busy after retries: the only code that is worth running again for.")
            }
            ErrorKind::Storage => (
                15,
                "A file cannot be read or written here: disk full, read-only, or no permission; the message names it.",
            ),
            ErrorKind::Refused => (20, "A gate, a hold or a missing proof refused, before any change was made."),
            ErrorKind::Deploy => (21, "The deployment failed after some changes; the report lists them."),
            ErrorKind::Deadline => (22, "A deadline passed."),
            ErrorKind::Bug => (70, "A fault of orchestrator itself: please report it with the output."),
            ErrorKind::Interrupted => (130, "Interrupted by a signal."),
        }
    }
}

impl From<ErrorKind> for ExitCode {
    fn from(kind: ErrorKind) -> Self {
        Self(Some(kind))
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Positive => Self::DONE,
            Verdict::Negative(kind) => kind.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_are_unique() {
        let numbers: Vec<u8> = ExitCode::all().map(ExitCode::number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
}
