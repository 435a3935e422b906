//! Progress of long work, on stderr: a bar on a terminal, plain lines everywhere else, nothing where a machine reads.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lock_model::escaping::{escape_terminal, shorten};

use orchestrator::{Event, Events};

use super::{Format, count, github};
use crate::environment;

/// How often plain lines say how far the work is.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often a bar is drawn: it costs something, and nobody reads faster.
const DRAWS_A_SECOND: u8 = 10;
/// How much of a name stands beside a bar.
const NAME_WIDTH: usize = 40;

/// Says what is going on; silent where a machine reads.
#[derive(Debug)]
pub(crate) struct Progress {
    format: Format,
    resolving: Mutex<Option<Resolving>>,
}

impl Progress {
    /// Progress for one output format.
    pub(crate) fn new(format: Format) -> Self {
        Self { format, resolving: Mutex::new(None) }
    }

    /// One line, which stays.
    fn line(&self, text: &str) {
        match self.format {
            Format::Json => {}
            Format::Human => say(&format!("{}\n", escape_terminal(text))),
            // The runner looks for commands in both streams.
            Format::Github => say(&github::inert(&escape_terminal(text))),
        }
    }
}

impl Events for Progress {
    fn event(&self, event: Event<'_>) {
        let mut resolving = self.resolving.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StepEnded { step, result, detail } => self.line(&format!("{step}: {result} ({detail})")),
            Event::ResolvingStarted { total } => {
                let bar = (self.format == Format::Human && shows_bars()).then(|| bar(total, "resolving"));
                if bar.is_none() {
                    self.line(&format!("resolving {}", count(total, "image")));
                }
                *resolving = Some(Resolving { bar, total, done: BTreeSet::new(), said: Instant::now() });
            }
            Event::ImageResolved { service } => {
                if let Some(text) = resolving.as_mut().and_then(|resolving| resolving.done(service)) {
                    self.line(&text);
                }
            }
            Event::WaitingForImages { missing, total } => {
                let text = format!("waiting for {} of {total} images: {}", missing.len(), missing.join(", "));
                match resolving.as_ref().and_then(|resolving| resolving.bar.as_ref()) {
                    Some(bar) => bar.suspend(|| self.line(&text)),
                    None => self.line(&text),
                }
            }
            Event::ResolvingEnded => *resolving = None,
            Event::Note(text) => self.line(text),
            _ => {}
        }
    }
}

/// Work on images. What it shows on a terminal goes away with it.
#[derive(Debug)]
struct Resolving {
    bar: Option<ProgressBar>,
    total: usize,
    /// What is done: the same image twice counts once.
    done: BTreeSet<String>,
    said: Instant,
}

impl Resolving {
    /// One image is done; what a plain line says about it, where it is time for one.
    fn done(&mut self, name: &str) -> Option<String> {
        if !self.done.insert(name.to_owned()) {
            return None;
        }
        if let Some(bar) = &self.bar {
            bar.set_position(u64::try_from(self.done.len()).unwrap_or(u64::MAX));
            bar.set_message(shorten(&escape_terminal(name), NAME_WIDTH));
            return None;
        }
        if self.said.elapsed() < LINE_EVERY {
            return None;
        }
        self.said = Instant::now();
        Some(format!("resolving {} of {}", self.done.len(), count(self.total, "image")))
    }
}

impl Drop for Resolving {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
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
