//! A child that ends together with the process that started it, also when that one is killed.
//!
//! A process group of its own outlives its parent. Linux ends a child with its parent where the child asks for it, and the
//! only place to ask is the child itself: the caller's own program, which then becomes the program that is meant.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The running program, whatever became of its file since.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// How often a program is tried that another process still writes.
const ATTEMPTS: u32 = 20;

/// A program that is started in place of the one that is meant, and becomes it by calling [`launch`].
///
/// It gets its own arguments, the process id of its parent, the path of the program that is meant, and that one's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

impl Launcher {
    /// A program that calls [`launch`] when it gets these arguments, with the words that follow them.
    pub fn new(path: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { path: path.into(), arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// The running program itself, which calls [`launch`] when `word` is its first argument. `None` without `/proc` and on
    /// other systems than Linux, where a child cannot ask to end with its parent.
    pub fn this_program(word: &str) -> Option<Self> {
        let can_ask = cfg!(target_os = "linux") && Path::new(THIS_PROGRAM).exists();
        can_ask.then(|| Self::new(THIS_PROGRAM, [word]))
    }
}

/// Becomes the program that a [`Launcher`] names: the words are the process id of the parent, the program's path and
/// its arguments. It is ended by SIGKILL when the thread ends that started it, which for
/// [`Invocation::run`](crate::Invocation::run) is not before the program does.
///
/// # Errors
///
/// It returns only where the program does not start: words that are none of a launcher, a parent that has ended already, a
/// program that cannot be executed.
pub fn launch(words: impl IntoIterator<Item = OsString>) -> Result<Infallible, Error> {
    let mut words = words.into_iter();
    let parent: Option<u32> = words.next().and_then(|word| word.to_str()?.parse().ok());
    let (Some(parent), Some(program)) = (parent, words.next()) else {
        return Err(Error::new(ErrorKind::InvalidInput, "the process id of a parent and a program are needed"));
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
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(target_os = "linux")]
fn end_with_parent(parent: u32) -> Result<(), Error> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Where it ended before it could be asked about, there is no signal to come.
    let now = getppid().map(|parent| parent.as_raw_nonzero().get());
    if now.and_then(|now| u32::try_from(now).ok()) == Some(parent) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFound, format!("process {parent}, which started it, has ended")))
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent(_parent: u32) -> Result<(), Error> {
    Ok(())
}
