//! A child that ends together with the process that started it, with all that it started itself, also where that process
//! is killed or stopped.
//!
//! A process group of its own outlives its parent. So the first process of the group is a guard, which is the caller's own
//! program: it reads what the caller writes to it every half second, and kills the group once the caller is gone. A second one
//! becomes the program that is meant; Linux ends it with the guard.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::io::{Error, ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group, kill_process};
use signal_hook::consts::SIGTERM;

/// The running program, whatever became of its file since.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// How often a program is tried that another process still writes.
const ATTEMPTS: u32 = 20;
/// How often a guard looks at the clock.
const LOOK: Duration = Duration::from_millis(250);
/// What a process that was to become a program says before the reason why it did not.
const NOT_STARTED: &str = "the program does not start: ";

/// A program that is started in place of the one that is meant, and guards it by calling [`guard`].
///
/// It gets its own arguments, the milliseconds after which a stopped caller ends the program (0: it does not), the path of
/// the program that is meant, and that one's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

impl Launcher {
    /// A program that calls [`guard`] when it gets these arguments, with the words that follow them.
    pub fn new(path: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { path: path.into(), arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// The running program itself, with `word` as its first argument. `None` without `/proc` and on other systems than
    /// Linux, where a child cannot ask to end with its parent.
    pub fn this_program(word: &str) -> Option<Self> {
        let can_ask = cfg!(target_os = "linux") && Path::new(THIS_PROGRAM).exists();
        can_ask.then(|| Self::new(THIS_PROGRAM, [word]))
    }
}

/// Why a guard did not begin, or did not become the program that is meant.
///
/// Displayed in the form by which [`Invocation::run`](crate::Invocation::run) knows it where it is all that was written to
/// standard error, by a process that ends with [`EXIT_STATUS`](Self::EXIT_STATUS).
#[derive(Debug)]
pub struct LaunchError(Error);

impl LaunchError {
    /// What a shell ends with where a program does not start.
    pub const EXIT_STATUS: u8 = 127;

    /// The reason in what a process wrote to standard error, where it is this error.
    pub(crate) fn reason_in(stderr: &str) -> Option<&str> {
        stderr.strip_prefix(NOT_STARTED).map(str::trim)
    }
}

impl From<Error> for LaunchError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NOT_STARTED}{}", self.0)
    }
}

impl std::error::Error for LaunchError {}

/// Starts the program that a [`Launcher`] names, and gives the exit status with which the caller has to end: that of the
/// program. Where a signal ended the program, the same ends this process.
///
/// `becomes` is a program that calls [`launch`] with the words that follow its arguments. The process has to lead a process
/// group; it kills it, and with it itself, once its standard input is closed, or nothing came from there for the time that
/// the first word gives. SIGTERM is for the program alone.
///
/// # Errors
///
/// Words that are none of a launcher, no process group, and what the system refuses.
pub fn guard(becomes: &Launcher, words: impl IntoIterator<Item = OsString>) -> Result<u8, LaunchError> {
    let mut words = words.into_iter();
    let limit = words.next().and_then(|word| word.to_str()?.parse().ok()).map(Duration::from_millis);
    let (Some(limit), Some(program)) = (limit, words.next()) else {
        return Err(invalid("a time and a program are needed").into());
    };
    if getpgrp() != getpid() {
        return Err(invalid("a guard has to lead its process group").into());
    }
    let ends = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register_conditional_default(SIGTERM, Arc::clone(&ends))?;
    #[expect(clippy::disallowed_methods, reason = "this is the place where programs are started")]
    let mut command = Command::new(&becomes.path);
    command.args(&becomes.arguments).arg(std::process::id().to_string()).arg(program).args(words);
    // The thread that starts it has to be the last one to end: Linux takes it for the parent.
    let mut child = command.stdin(Stdio::null()).spawn()?;
    std::thread::spawn(move || {
        until_caller_is_gone((!limit.is_zero()).then_some(limit));
        kill_current_process_group(Signal::KILL).ok();
    });
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or_else(|| end_alike(status, &ends)))
}

/// Returns once standard input is closed, or nothing came for as long as the limit.
fn until_caller_is_gone(limit: Option<Duration>) {
    let mut input = std::io::stdin().lock();
    let mut heard = Instant::now();
    let mut bytes = [0; 64];
    while limit.is_none_or(|limit| heard.elapsed() < limit) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
        let mut watched = [PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN)];
        match poll(&mut watched, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        match input.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => heard = Instant::now(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Ends this process by the signal that ended another one. It returns where the signal does not end a process.
fn end_alike(status: ExitStatus, ends: &AtomicBool) -> u8 {
    ends.store(true, Ordering::SeqCst);
    let number = status.signal().unwrap_or_default();
    if let Some(signal) = Signal::from_named_raw(number) {
        kill_process(getpid(), signal).ok();
        // The signal comes before the call returns, or to the other thread a moment later.
        std::thread::sleep(LOOK);
    }
    u8::try_from(128 + number).unwrap_or(LaunchError::EXIT_STATUS)
}

/// Becomes the program that the words name: the process id of the parent, the program's path and its arguments. It is ended by
/// SIGKILL when the thread ends that started it, which for [`guard`] is not before the program does.
///
/// # Errors
///
/// It returns only where the program does not start: words that name none, a parent that has ended already, a program that
/// cannot be executed.
pub fn launch(words: impl IntoIterator<Item = OsString>) -> Result<Infallible, LaunchError> {
    let mut words = words.into_iter();
    let parent: Option<u32> = words.next().and_then(|word| word.to_str()?.parse().ok());
    let (Some(parent), Some(program)) = (parent, words.next()) else {
        return Err(invalid("the process id of a parent and a program are needed").into());
    };
    end_with_parent(parent)?;
    #[expect(clippy::disallowed_methods, reason = "this is the place where programs are started")]
    let mut command = Command::new(program);
    command.args(words);
    let mut attempts = 0;
    loop {
        let error = command.exec();
        attempts += 1;
        if error.kind() != ErrorKind::ExecutableFileBusy || attempts > ATTEMPTS {
            return Err(error.into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(target_os = "linux")]
fn end_with_parent(parent: u32) -> Result<(), Error> {
    use rustix::process::{Pid, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Where it ended before it could be asked about, there is no signal to come.
    let now = getppid().map(Pid::as_raw_nonzero);
    if now.and_then(|now| u32::try_from(now.get()).ok()) == Some(parent) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFound, format!("process {parent}, which started it, has ended")))
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent(_parent: u32) -> Result<(), Error> {
    Ok(())
}
