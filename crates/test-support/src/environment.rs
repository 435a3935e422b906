//! The one place where the tests' helpers start programs and read the environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// How long a program may take that a test waits for: longer than what any of them is told as its own deadline.
const DEADLINE: Duration = Duration::from_secs(300);

/// A command that inherits nothing but the search path, and reads no standard input.
#[expect(clippy::disallowed_methods, reason = "the tests' helpers must not rest on the process crate, which they test")]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    // By its path: where a name is looked for on another search path, the standard library forks, and copying the page tables
    // of a test process takes longer than most programs.
    let program = program.as_ref();
    let path =
        Path::new(program).file_name().filter(|name| *name == program).and_then(|name| find_program(name.to_str()?));
    let mut command = Command::new(path.as_deref().map_or(program, Path::as_os_str));
    command.env_clear();
    command.env("PATH", search_path());
    // Messages of programs are compared in tests: they must not be translated.
    command.env("LC_ALL", "C.UTF-8");
    command.env("TZ", "UTC");
    command.stdin(std::process::Stdio::null());
    command
}

/// Runs a program to its end with what it writes, and reads nothing. One that does not end is ended with all that it
/// started, and the panic names it: a test must fail rather than wait.
#[track_caller]
pub fn output(command: &mut Command) -> std::io::Result<Output> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()?;
    let group = Pid::from_child(&child);
    let (ended, waits) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let is_late = waits.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout);
        if is_late {
            kill_process_group(group, Signal::KILL).ok();
        }
        is_late
    });
    let output = child.wait_with_output();
    drop(ended);
    let is_late = watch.join().expect("the watching thread does not panic");
    assert!(!is_late, "{command:?} did not end within {DEADLINE:?}");
    output
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
