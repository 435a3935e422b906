//! Runs one child to its end, whatever it does: one loop over `poll`, no threads left behind.

use std::io::{ErrorKind, Read, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long a child's own children may keep its output open after it ended.
const DRAIN: Duration = Duration::from_millis(250);
/// The longest time between two looks at the clock, the interrupt and the child.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// How often a guard hears of this process.
const BEAT: Duration = Duration::from_millis(500);

/// A request to stop, shared by the one who makes it, such as a signal handler, and the programs that it ends. Clones
/// are the same request.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    requested: Arc<AtomicBool>,
    at_once: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
    is_patient: bool,
    parent: Option<Arc<Self>>,
}

/// Requests an interrupt when it is dropped: for the programs of work whose caller may stop waiting.
#[derive(Debug)]
pub struct EndOnDrop(pub Interrupt);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// Work that ends in order, within seconds, once the interrupt is requested; it has ended when this is dropped.
#[derive(Debug)]
pub struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Interrupt {
    /// A request of its own, not yet made.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the programs; it cannot be taken back, and programs that start later end at once.
    pub fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
    }

    /// The same with SIGKILL in place of SIGTERM and a grace: a program must not do anything more, not even end in order.
    pub fn request_at_once(&self) {
        self.at_once.store(true, Ordering::SeqCst);
        self.request();
    }

    fn is_at_once(&self) -> bool {
        self.at_once.load(Ordering::SeqCst) || self.parent.as_ref().is_some_and(|parent| parent.is_at_once())
    }

    /// A request of its own, which is also made when this one is: for programs that end earlier than others.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { held: Arc::clone(&self.held), parent: Some(Arc::new(self.clone())), ..Self::default() }
    }

    /// Whether any clone, or what this is a [child](Self::child) of, was [requested](Self::request).
    pub fn is_requested(&self) -> bool {
        let is_own = self.requested.load(Ordering::SeqCst) && !(self.is_patient && self.is_held());
        is_own || self.parent.as_ref().is_some_and(|parent| parent.is_requested())
    }

    /// The same request for programs that work needs which has to end in order: it ends them once no such work is left.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { is_patient: true, ..self.clone() }
    }

    /// The flag itself, for a signal handler.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.requested)
    }

    /// Says that work has to end in order, such as by taking away what it made elsewhere: the one who requests the
    /// interrupt waits for that a while.
    pub fn hold(&self) -> Held {
        self.held.fetch_add(1, Ordering::SeqCst);
        Held(Arc::clone(&self.held))
    }

    /// Whether some work has yet to end in order.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst) > 0
    }
}

/// What to do with output beyond the limit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OutputLimit {
    /// End the program: a part of a document is worse than none.
    Refuse(usize),
    /// Keep the last bytes: a log.
    KeepLast(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) deadline: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) output: OutputLimit,
    pub(crate) interrupt: Interrupt,
}

/// What a child reads.
#[derive(Debug)]
pub(crate) enum Input {
    /// These bytes.
    Bytes(Vec<u8>),
    /// One byte every half second as long as this process runs: for a [guard](crate::guard).
    Beats,
}

/// Why a child was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Deadline,
    Interrupted,
    OutputTooLarge,
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stopped: Option<Stopped>,
    pub(crate) stdout: Collected,
    pub(crate) stderr: Collected,
    /// The longest time for which this process did not look at the child.
    pub(crate) longest_gap: Duration,
}

impl Ended {
    /// Whether a guard has killed the group, because this process did not run for this time.
    pub(crate) fn is_stalled(&self, stall: Duration) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw()) && self.longest_gap + BEAT + HEARTBEAT >= stall
    }
}

/// One output of the child.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) bytes: Vec<u8>,
    /// How many bytes before these were dropped.
    pub(crate) dropped: u64,
}

impl Collected {
    /// Returns whether the limit is kept.
    fn push(&mut self, bytes: &[u8], limit: OutputLimit) -> bool {
        match limit {
            OutputLimit::Refuse(limit) => {
                let fits = self.bytes.len().saturating_add(bytes.len()) <= limit;
                if fits {
                    self.bytes.extend_from_slice(bytes);
                }
                fits
            }
            OutputLimit::KeepLast(limit) => {
                self.bytes.extend_from_slice(bytes);
                // Cut rarely: dropping from the front moves everything.
                if self.bytes.len() > limit.saturating_mul(2).max(limit + 64 * 1024) {
                    self.cut(limit);
                }
                true
            }
        }
    }

    fn cut(&mut self, limit: usize) {
        let excess = self.bytes.len().saturating_sub(limit);
        self.bytes.drain(..excess);
        self.dropped += excess as u64;
    }
}

struct Pipe<R> {
    source: Option<R>,
    collected: Collected,
}

impl<R: Read> Pipe<R> {
    /// Takes what is there. Returns whether the limit is kept.
    fn take(&mut self, limit: OutputLimit) -> std::io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let mut kept = true;
        while let Some(source) = &mut self.source {
            match source.read(&mut buffer) {
                Ok(0) => self.source = None,
                Ok(length) => kept &= self.collected.push(buffer.get(..length).unwrap_or_default(), limit),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(kept)
    }
}

/// Sends `input` to a child that leads its own process group, collects its output, and reaps it.
///
/// The group is gone when this returns: by itself, or killed.
pub(crate) fn supervise(mut child: Child, input: Input, limits: &Limits) -> std::io::Result<Ended> {
    let pid = Pid::from_child(&child);
    let outcome = watch(&mut child, pid, input, limits);
    // The child is not reaped yet, so its group's number cannot belong to anybody else. What it left running
    // would outlive us.
    signal_group(pid, Signal::KILL);
    let status = child.wait()?;
    let Watched { stopped, stdout, stderr, longest_gap } = outcome?;
    Ok(Ended { status, stopped, stdout, stderr, longest_gap })
}

fn signal_group(pid: Pid, signal: Signal) {
    // The only error that can happen is that nobody is left.
    kill_process_group(pid, signal).ok();
}

/// What was seen of a child until it ended.
struct Watched {
    stopped: Option<Stopped>,
    stdout: Collected,
    stderr: Collected,
    longest_gap: Duration,
}

/// The pipe by which a guard hears of this process. It stays open until the child has ended.
struct Pulse {
    pipe: ChildStdin,
    last: Option<Instant>,
}

impl Pulse {
    fn beat(&mut self, now: Instant) {
        if self.last.is_none_or(|last| now.duration_since(last) >= BEAT) {
            self.last = Some(now);
            // A guard that has ended, or is stopped, hears nothing.
            let _written = self.pipe.write(&[0]);
        }
    }
}

fn watch(child: &mut Child, pid: Pid, input: Input, limits: &Limits) -> std::io::Result<Watched> {
    let started = Instant::now();
    let (mut stdin, mut pulse) = match (child.stdin.take(), input) {
        (None, Input::Bytes(_) | Input::Beats) => (None, None),
        (Some(pipe), Input::Bytes(input)) => (Some((pipe, input, 0_usize)), None),
        (Some(pipe), Input::Beats) => (None, Some(Pulse { pipe, last: None })),
    };
    if let Some(pulse) = &pulse {
        rustix::io::ioctl_fionbio(&pulse.pipe, true)?;
    }
    let (mut looked, mut longest_gap) = (started, Duration::ZERO);
    let mut stdout = Pipe { source: child.stdout.take(), collected: Collected::default() };
    let mut stderr = Pipe { source: child.stderr.take(), collected: Collected::default() };
    if let Some((pipe, ..)) = &stdin {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    if let Some(pipe) = &stdout.source {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    if let Some(pipe) = &stderr.source {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }

    let mut stopped: Option<(Stopped, Instant)> = None;
    let mut killed = false;
    let mut too_much = false;
    let mut exited: Option<Instant> = None;
    let mut nap = Duration::from_micros(100);
    loop {
        let now = Instant::now();
        longest_gap = longest_gap.max(now.duration_since(looked));
        looked = now;
        if let Some(pulse) = &mut pulse {
            pulse.beat(now);
        }
        match stopped {
            None => {
                let reason = if limits.interrupt.is_requested() {
                    Some(Stopped::Interrupted)
                } else if too_much {
                    Some(Stopped::OutputTooLarge)
                } else if limits.deadline.is_some_and(|deadline| now.duration_since(started) >= deadline) {
                    Some(Stopped::Deadline)
                } else {
                    None
                };
                // A child that ended in time ended in time, even when we look too late.
                if let Some(reason) = reason.filter(|_| exited.is_none()) {
                    killed = limits.interrupt.is_at_once();
                    signal_group(pid, if killed { Signal::KILL } else { Signal::TERM });
                    stdin = None;
                    stopped = Some((reason, now));
                }
            }
            Some((_, since))
                if !killed && (limits.interrupt.is_at_once() || now.duration_since(since) >= limits.grace) =>
            {
                signal_group(pid, Signal::KILL);
                killed = true;
            }
            Some(_) => {}
        }

        if exited.is_none() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            match waitid(WaitId::Pid(pid), options) {
                Ok(Some(_)) => exited = Some(now),
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let closed = stdout.source.is_none() && stderr.source.is_none();
        if exited.is_some_and(|since| closed || now.duration_since(since) >= DRAIN) {
            break;
        }
        if closed && stdin.is_none() {
            // Nothing to poll: the child closed its output and is about to end, or sleeps.
            std::thread::sleep(nap);
            nap = (nap * 2).min(HEARTBEAT / 5);
            continue;
        }

        let mut wait = HEARTBEAT;
        if let Some(deadline) = limits.deadline.filter(|_| stopped.is_none()) {
            wait = wait.min((started + deadline).saturating_duration_since(now));
        }
        wait_for(stdin.as_ref().map(|(pipe, ..)| pipe), &stdout, &stderr, wait.max(Duration::from_millis(1)))?;
        if let Some((pipe, input, sent)) = &mut stdin
            && feed(pipe, input, sent)?
        {
            stdin = None;
        }
        let limit = if too_much { OutputLimit::KeepLast(0) } else { limits.output };
        let kept = stdout.take(limit)? & stderr.take(limit)?;
        too_much |= !kept;
    }

    if let OutputLimit::KeepLast(limit) = limits.output {
        stdout.collected.cut(limit);
        stderr.collected.cut(limit);
    }
    // Output beyond the limit is refused even when the child ended before it was told to.
    let reason = stopped.map(|(reason, _)| reason).or(too_much.then_some(Stopped::OutputTooLarge));
    Ok(Watched { stopped: reason, stdout: stdout.collected, stderr: stderr.collected, longest_gap })
}

fn wait_for<A: Read + std::os::fd::AsFd, B: Read + std::os::fd::AsFd>(
    stdin: Option<&ChildStdin>,
    stdout: &Pipe<A>,
    stderr: &Pipe<B>,
    wait: Duration,
) -> std::io::Result<()> {
    let mut watched = Vec::with_capacity(3);
    if let Some(pipe) = stdin {
        watched.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::OUT));
    }
    if let Some(pipe) = &stdout.source {
        watched.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
    }
    if let Some(pipe) = &stderr.source {
        watched.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
    }
    let timeout = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes what the pipe takes. Returns whether everything is written or nobody reads any more.
fn feed(pipe: &mut ChildStdin, input: &[u8], sent: &mut usize) -> std::io::Result<bool> {
    loop {
        let rest = input.get(*sent..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(true);
        }
        match pipe.write(rest) {
            Ok(length) => *sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A program need not read its input to the end.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}
