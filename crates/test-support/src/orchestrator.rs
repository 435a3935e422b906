//! Runs the built `orchestrator` with nothing of the machine around it.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::environment;
use crate::filters::Filters;

/// How long one command of a test may take before it is ended and the test fails.
const DEADLINE: Duration = Duration::from_secs(240);

/// A call of the binary that is being put together.
///
/// The environment holds PATH, HOME, a language and a time zone; nothing else of the machine, so neither `CI` nor
/// `GITHUB_*`, `KUBECONFIG`, `DOCKER_*`, colours or proxies.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    stdin: Vec<u8>,
    filters: Filters,
    line: String,
    terminal: Option<Terminal>,
    nobody_reads: bool,
    one_log: bool,
}

/// A terminal that a program is given.
#[derive(Clone, Copy, Debug)]
struct Terminal {
    columns: u16,
    has_stdout: bool,
}

impl Invocation {
    pub(crate) fn new(binary: PathBuf, folder: &Path, home: &Path, filters: Filters) -> Self {
        let mut command = environment::command(binary);
        command.current_dir(folder).env("HOME", home);
        Self {
            command,
            stdin: Vec::new(),
            filters,
            line: "orchestrator".to_owned(),
            terminal: None,
            nobody_reads: false,
            one_log: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        write!(self.line, " {}", arg.as_ref().to_string_lossy()).expect("a string takes any text");
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Runs in another folder than the sandbox.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Uses another PATH, for instance one that begins with a [`GitShim`](crate::GitShim).
    #[must_use]
    pub fn search_path(self, path: impl Into<OsString>) -> Self {
        let path = path.into();
        self.env("PATH", path)
    }

    /// Gives standard input; otherwise it is closed.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self.command.stdin(Stdio::piped());
        self
    }

    /// Makes standard error a terminal of 100 columns, as for a user at a terminal. What it shows is
    /// [`Finished::stderr`], with every sequence that moves the cursor.
    #[must_use]
    pub fn on_terminal(mut self) -> Self {
        self.terminal = Some(Terminal { columns: 100, has_stdout: false });
        self.command.env("TERM", "xterm-256color");
        self
    }

    /// Makes standard output and standard error one terminal of this many columns; all of it is [`Finished::stderr`].
    #[must_use]
    pub fn on_screen(mut self, columns: u16) -> Self {
        self.terminal = Some(Terminal { columns, has_stdout: true });
        self.command.env("TERM", "xterm-256color");
        self
    }

    /// Lets standard output and standard error be one pipe, as CI systems do; all of it is [`Finished::stderr`].
    #[must_use]
    pub fn in_one_log(mut self) -> Self {
        self.one_log = true;
        self
    }

    /// Lets the reader of standard output be gone before anything is written, as after `| head -0`.
    #[must_use]
    pub fn with_closed_stdout(mut self) -> Self {
        self.nobody_reads = true;
        self
    }

    /// Runs to the end.
    pub fn run(self) -> Finished {
        self.start().wait()
    }

    /// Starts and gives it back running: for two at once, and for kills.
    pub fn start(mut self) -> Running {
        let made = self.terminal.map(|terminal| pseudo_terminal(terminal.columns)).or_else(|| self.one_log.then(pipe));
        let (screen, end) = made.map_or((None, None), |(screen, end)| (Some(screen), Some(end)));
        self.command.stdout(Stdio::piped());
        if let Some(end) = end.as_ref().filter(|_| self.one_log || self.terminal.is_some_and(|one| one.has_stdout)) {
            self.command.stdout(end.try_clone().expect("a descriptor can be copied"));
        }
        if self.nobody_reads {
            let (reader, writer) = std::io::pipe().expect("a pipe can be made");
            drop(reader);
            self.command.stdout(writer);
        }
        self.command.stderr(end.map_or_else(Stdio::piped, Stdio::from));
        let mut child = self.command.spawn().expect("the orchestrator binary starts");
        // Else our own copy of the terminal's end would keep it open.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(mut stdin) = child.stdin.take() {
            let bytes = std::mem::take(&mut self.stdin);
            // A program that does not read its input to the end is no fault of the test.
            std::thread::spawn(move || stdin.write_all(&bytes).ok());
        }
        let stdout = match child.stdout.take() {
            Some(stdout) => drain(stdout),
            None => drain(std::io::empty()),
        };
        let stderr = match screen {
            Some(screen) => drain(File::from(screen)),
            None => drain(child.stderr.take().expect("standard error is piped")),
        };
        Running { child, stdout, stderr, filters: self.filters, line: self.line }
    }
}

/// A pipe: the side that reads, and the side that a program writes to.
fn pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    (reader.into(), writer.into())
}

/// A terminal: the side that reads what is shown, and the side that a program writes to.
fn pseudo_terminal(columns: u16) -> (OwnedFd, OwnedFd) {
    let screen =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal can be made");
    grantpt(&screen).and_then(|()| unlockpt(&screen)).expect("the terminal is ours");
    let name = ptsname(&screen, Vec::new()).expect("the terminal has a name");
    let end = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).expect("it can be opened");
    tcsetwinsize(&end, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("it has a size");
    (screen, end)
}

/// What a stream has given so far, and whether it has ended.
#[derive(Debug, Default)]
struct Stream {
    read: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Stream {
    /// Waits until it has ended or, for instance, holds a text; gives what it holds, or nothing after the deadline.
    fn wait(&self, is_enough: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let read = self.read.lock().expect("the reading thread does not panic");
        let (read, waited) = self
            .changed
            .wait_timeout_while(read, DEADLINE, |(bytes, ended)| !*ended && !is_enough(bytes))
            .expect("the reading thread does not panic");
        (!waited.timed_out()).then(|| read.0.clone())
    }
}

/// Reads a stream to its end beside the test, so that no pipe fills up.
fn drain(mut stream: impl Read + Send + 'static) -> Arc<Stream> {
    let shared = Arc::new(Stream::default());
    let filled = Arc::clone(&shared);
    std::thread::spawn(move || {
        let mut part = [0; 4096];
        loop {
            // A stream that cannot be read has ended.
            let length = stream.read(&mut part).unwrap_or(0);
            let mut read = filled.read.lock().expect("nobody panics with the lock");
            read.0.extend_from_slice(&part[..length]);
            read.1 = length == 0;
            filled.changed.notify_all();
            if length == 0 {
                break;
            }
        }
    });
    shared
}

/// A call of the binary that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Arc<Stream>,
    stderr: Arc<Stream>,
    filters: Filters,
    line: String,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with signal 9.
    pub fn kill(&mut self) {
        self.child.kill().expect("the child can be killed");
    }

    /// Interrupts it, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Ends it in order, as a CI system does first.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it until it is [resumed](Self::resume): no line of it is executed.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after a [stop](Self::stop).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id is a positive number");
        kill_process(id, signal).expect("the child takes signals");
    }

    /// Waits until standard error holds a text.
    pub fn wait_for(&self, text: &str) {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        let said = self.stderr.wait(holds).unwrap_or_else(|| panic!("`{}` did not say `{text}` in time", self.line));
        assert!(holds(&said), "`{}` ended and never said `{text}`: {}", self.line, String::from_utf8_lossy(&said));
    }

    /// Waits for its end; four minutes are a failure.
    pub fn wait(mut self) -> Finished {
        let streams = self.stdout.wait(|_| false).zip(self.stderr.wait(|_| false));
        let Some((stdout, stderr)) = streams else {
            self.child.kill().ok();
            panic!("`{}` did not end within {DEADLINE:?}", self.line);
        };
        let status = self.child.wait().expect("the child can be waited for");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the binary prints UTF-8");
        Finished { status, stdout: text(stdout), stderr: text(stderr), filters: self.filters, line: self.line }
    }
}

/// What a call of the binary left behind.
#[derive(Debug)]
pub struct Finished {
    status: ExitStatus,
    stdout: String,
    stderr: String,
    filters: Filters,
    line: String,
}

impl Finished {
    /// The exit code; none when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Standard output, as it was.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// Standard error, as it was.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// Demands an exit code; otherwise the panic shows everything.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "a check is of use for its panic alone")]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(self.code() == Some(code), "wanted exit {code} of `{}`, got:\n{}", self.line, self.text());
        self
    }

    /// Exit, standard output and standard error in one filtered text: what a snapshot compares.
    ///
    /// ```text
    /// exit: 12
    /// --- stdout
    /// --- stderr
    /// error: …
    /// ```
    pub fn text(&self) -> String {
        self.filters.apply(&self.to_string())
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => writeln!(f, "exit: {code}")?,
            (None, Some(signal)) => writeln!(f, "exit: signal {signal}")?,
            (None, None) => writeln!(f, "exit: unknown")?,
        }
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            writeln!(f, "--- {name}")?;
            f.write_str(stream)?;
            if !stream.is_empty() && !stream.ends_with('\n') {
                f.write_str("[no line end]\n")?;
            }
        }
        Ok(())
    }
}

/// The `orchestrator` of the same build as the running test: beside the test binaries' folder.
///
/// `cargo test --workspace` builds it. After an edit `cargo test -p system-tests` alone would run the old one, so
/// a binary older than the sources of the crates is a failure that names the command to run.
pub fn built_binary() -> PathBuf {
    // Looked at once: it takes a walk through all sources.
    static BINARY: LazyLock<PathBuf> = LazyLock::new(find_built_binary);
    BINARY.clone()
}

fn find_built_binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().nth(2).expect("a test lies in TARGET/PROFILE/deps");
    let binary = folder.join("orchestrator");
    let remedy = "run `cargo build -p orchestrator-cli` (or the whole `cargo test --workspace`) first";
    let built = std::fs::metadata(&binary).and_then(|meta| meta.modified());
    let built = built.unwrap_or_else(|error| panic!("{}: {error}; {remedy}", binary.display()));
    let newest = newest_source();
    assert!(
        newest.as_ref().is_none_or(|(time, _)| *time <= built),
        "{} is older than {newest:?}; {remedy}",
        binary.display()
    );
    binary
}

/// The source file of the binary's crates that was changed last.
fn newest_source() -> Option<(SystemTime, PathBuf)> {
    let crates = std::fs::read_dir(environment::workspace().join("crates")).expect("the workspace has crates");
    let folders = crates.filter_map(Result::ok).map(|entry| entry.path());
    let mut waiting: Vec<PathBuf> =
        folders.filter(|path| !path.ends_with("test-support")).map(|path| path.join("src")).collect();
    let mut newest = None;
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if let Ok(time) = entry.metadata().and_then(|meta| meta.modified()) {
                newest = newest.max(Some((time, path)));
            }
        }
    }
    newest
}
