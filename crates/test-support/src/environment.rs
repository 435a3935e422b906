//! The one place where the tests' helpers start programs and read the environment.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command that inherits nothing but the search path, and reads no standard input.
#[expect(clippy::disallowed_methods, reason = "the tests' helpers must not rest on the process crate, which they test")]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.env("PATH", search_path());
    // Messages of programs are compared in tests: they must not be translated.
    command.env("LC_ALL", "C.UTF-8");
    command.env("TZ", "UTC");
    command.stdin(std::process::Stdio::null());
    command
}

/// The `PATH` of the test process.
pub fn search_path() -> OsString {
    variable("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"))
}

/// Whether the tests run where nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    variable("CI").is_some_and(|value| value == "true")
}

/// Reads one variable of the test process.
#[expect(clippy::disallowed_methods, reason = "tests have no CLI above them that could hand these in")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The top folder of this workspace.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("test-support lies two folders below the workspace").to_path_buf()
}

/// Finds a program on the tests' search path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|folder| folder.join(name)).find(|path| path.is_file())
}
