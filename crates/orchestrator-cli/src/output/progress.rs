//! Progress of long work, on stderr: a bar on a terminal, plain lines everywhere else, nothing where a machine reads.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lock_model::escaping::{escape_terminal, shorten};

use super::{Format, count, github};
use crate::environment;

/// How often plain lines say how far the work is.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often a bar is drawn: it costs something, and nobody reads faster.
const DRAWS_A_SECOND: u8 = 10;
/// How much of a name stands beside a bar.
const NAME_WIDTH: usize = 40;

/// Says what is going on; silent where a machine reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    format: Format,
}

impl Progress {
    /// Progress for one output format.
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// One finished or started piece of work, such as `health: ok, 3 checks`.
    pub(crate) fn line(self, text: &str) {
        match self.format {
            Format::Json => {}
            Format::Human => say(&format!("{}\n", escape_terminal(text))),
            // The runner looks for commands in both streams.
            Format::Github => say(&github::inert(&escape_terminal(text))),
        }
    }

    /// Work on a number of things, each of which has a name: `work(40, "resolving", "image")`.
    pub(crate) fn work(self, total: usize, doing: &'static str, thing: &'static str) -> Work {
        let how = if self.format == Format::Human && shows_bars() { How::Bar(bar(total, doing)) } else { How::Lines };
        if let How::Lines = how {
            self.line(&format!("{doing} {}", count(total, thing)));
        }
        let state = State { done: BTreeSet::new(), said: Instant::now() };
        Work { progress: self, how, total, doing, thing, state: Mutex::new(state) }
    }
}

/// Work on a number of things. What it shows on a terminal goes away with it.
#[derive(Debug)]
pub(crate) struct Work {
    progress: Progress,
    how: How,
    total: usize,
    doing: &'static str,
    thing: &'static str,
    state: Mutex<State>,
}

#[derive(Debug)]
enum How {
    Bar(ProgressBar),
    Lines,
}

#[derive(Debug)]
struct State {
    /// What is done: the same thing twice counts once.
    done: BTreeSet<String>,
    said: Instant,
}

impl Work {
    /// One of the things is done.
    pub(crate) fn done(&self, name: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.done.insert(name.to_owned()) {
            return;
        }
        match &self.how {
            How::Bar(bar) => {
                bar.set_position(u64::try_from(state.done.len()).unwrap_or(u64::MAX));
                bar.set_message(shorten(&escape_terminal(name), NAME_WIDTH));
            }
            How::Lines if state.said.elapsed() >= LINE_EVERY => {
                state.said = Instant::now();
                let done = state.done.len();
                self.progress.line(&format!("{} {done} of {}", self.doing, count(self.total, self.thing)));
            }
            How::Lines => {}
        }
    }

    /// Something that people should read, and that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.how {
            How::Bar(bar) => bar.suspend(|| self.progress.line(text)),
            How::Lines => self.progress.line(text),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let How::Bar(bar) = &self.how {
            bar.finish_and_clear();
        }
    }
}

/// A bar is for somebody who looks at it: not for a file, not for a terminal that cannot move its cursor.
fn shows_bars() -> bool {
    let dumb = environment::read(environment::TERM).is_none_or(|term| term == "dumb");
    let in_ci = environment::read(environment::CI).is_some();
    std::io::stderr().is_terminal() && !dumb && !in_ci
}

fn bar(total: usize, doing: &'static str) -> ProgressBar {
    let total = u64::try_from(total).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(DRAWS_A_SECOND));
    let coloured = environment::read(environment::NO_COLOR).is_none();
    let template = if coloured {
        "{prefix} [{bar:30.cyan}] {pos}/{len} {msg:.dim}"
    } else {
        "{prefix} [{bar:30}] {pos}/{len} {msg}"
    };
    let style = ProgressStyle::with_template(template).expect("the constant is a template");
    bar.set_style(style.progress_chars("=> "));
    bar.set_prefix(doing);
    bar.tick();
    bar
}

fn say(line: &str) {
    // A reader that went away is no failure of the work itself.
    let _gone = std::io::stderr().lock().write_all(line.as_bytes());
}
