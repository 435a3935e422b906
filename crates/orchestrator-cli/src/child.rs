//! This program as the first thing that a child is, so that the child ends with the process that started it.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// The first argument where it is meant. It is no command: it is called by this program alone.
pub(crate) const LAUNCH: &str = "launch-child";

/// As a shell says that a program does not start.
const NOT_STARTED: u8 = 127;

/// Becomes the program that the words name; it returns only where that does not start.
pub(crate) fn launch(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Err(error) = process::launch(words);
    // The process that started this one shows what its child wrote.
    let _gone = writeln!(std::io::stderr(), "the program does not start: {error}");
    ExitCode::from(NOT_STARTED)
}
