//! This program as the first thing that a child is, so that the child ends with the process that started it.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use process::{LaunchError, Launcher};

/// The first argument of the process that leads the child's group. It is no command: it is called by this program alone.
pub(crate) const GUARD: &str = "guard-child";
/// The first argument of the process that becomes the program.
const LAUNCH: &str = "launch-child";

/// Does what the words say where they are those of a child, and gives what to end with.
pub(crate) fn of_words(mut words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let first = words.next()?;
    let ended = if first == GUARD {
        guard(words)
    } else if first == LAUNCH {
        process::launch(words).map(|never| match never {})
    } else {
        return None;
    };
    Some(ended.unwrap_or_else(|error| {
        // The process that started this one shows what its child wrote.
        let _gone = writeln!(std::io::stderr(), "{error}");
        ExitCode::from(LaunchError::EXIT_STATUS)
    }))
}

fn guard(words: impl Iterator<Item = OsString>) -> Result<ExitCode, LaunchError> {
    let becomes = Launcher::this_program(LAUNCH).ok_or_else(|| std::io::Error::other("there is no `/proc`"))?;
    process::guard(&becomes, words).map(ExitCode::from)
}
