//! Progress of long work, on stderr: a list and a bar on a terminal, which go away in the end, plain lines everywhere
//! else, nothing where a machine reads.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lock_model::escaping::{escape_terminal, shorten};

use orchestrator::{Event, Events};
use secrecy::ExposeSecret as _;

use crate::environment::{self, ACTIONS};

use super::{Console, Format, Tone, count, github};

/// How often plain lines say how far the work is.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often a bar is drawn: it costs something, and no reader is faster.
const DRAWS_A_SECOND: u8 = 10;
/// How much of a name stands beside a bar.
const NAME_WIDTH: usize = 40;

/// Says what is going on; silent where a machine reads or the user asked for silence.
#[derive(Debug)]
pub(crate) struct Progress {
    console: Console,
    /// What is drawn on a terminal.
    drawn: Option<MultiProgress>,
    state: Mutex<State>,
    /// Whether a runner of GitHub Actions reads the log, whatever the format is.
    is_in_actions: bool,
}

#[derive(Debug, Default)]
struct State {
    resolving: Option<Resolving>,
    /// The step that is under way.
    running: Option<ProgressBar>,
}

impl Progress {
    /// Progress for what the streams can show.
    pub(crate) fn new(console: Console) -> Self {
        let drawn = (console.live && !console.quiet)
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_A_SECOND)));
        let is_in_actions = environment::read(ACTIONS).as_deref() == Some("true");
        Self { console, drawn, state: Mutex::default(), is_in_actions }
    }

    /// The work is done. What is drawn goes away where a report shows it again, and stays where there is none.
    pub(crate) fn end(&self, has_report: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.resolving = None;
        if let Some(running) = state.running.take() {
            running.abandon();
        }
        if let Some(drawn) = self.drawn.as_ref().filter(|_| has_report) {
            // A terminal that went away shows nothing any more.
            let _gone = drawn.clear();
        }
    }

    /// One line, which stays.
    fn line(&self, text: &str) {
        let text = escape_terminal(text) + "\n";
        match (self.console.format, &self.drawn) {
            (Format::Json, _) => {}
            (Format::Human | Format::Github, _) if self.console.quiet => {}
            (Format::Human, Some(drawn)) => drawn.suspend(|| say(&text)),
            (Format::Human, None) => say(&text),
            // The runner looks for commands in both streams.
            (Format::Github, _) => say(&github::inert(&text)),
        }
    }

    fn step_started(&self, state: &mut State, step: &str) {
        let Some(drawn) = &self.drawn else { return };
        let bar = drawn.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {wide_msg}"));
        bar.set_message(escape_terminal(step));
        bar.enable_steady_tick(Duration::from_millis(200));
        state.running = Some(bar);
    }

    fn step_ended(&self, state: &mut State, step: &str, result: &str, detail: &str) {
        let mut lines = detail.lines();
        let first = lines.next().unwrap_or_default();
        let Some(drawn) = &self.drawn else {
            self.line(&format!("{step}: {result} ({first})"));
            lines.for_each(|line| self.line(&format!("  {line}")));
            return;
        };
        let bar = state.running.take().unwrap_or_else(|| drawn.add(ProgressBar::new_spinner()));
        let (mark, tone) = match result {
            "ok" => ("✓", Tone::Good),
            "done" => ("·", Tone::Quiet),
            _ => ("✗", Tone::Bad),
        };
        bar.set_style(style(&format!("{} {{wide_msg}}", self.console.log.paint(tone, mark))));
        bar.finish_with_message(escape_terminal(&format!("{step}: {result} ({first})")));
    }
}

impl Events for Progress {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StepStarted { step } => self.step_started(&mut state, step),
            Event::StepEnded { step, result, detail } => self.step_ended(&mut state, step, result, detail),
            Event::ResolvingStarted { total } => {
                let bar = self.drawn.as_ref().map(|drawn| bar(drawn, total, self.console.log.colour));
                if bar.is_none() {
                    self.line(&format!("resolving {}", count(total, "image")));
                }
                state.resolving = Some(Resolving { bar, total, done: BTreeSet::new(), said: Instant::now() });
            }
            Event::ImageResolved { service } => {
                if let Some(text) = state.resolving.as_mut().and_then(|resolving| resolving.done(service)) {
                    self.line(&text);
                }
            }
            Event::WaitingForImages { missing, total } => {
                self.line(&format!("waiting for {} of {total} images: {}", missing.len(), missing.join(", ")));
            }
            Event::ResolvingEnded => state.resolving = None,
            Event::Secret(secret) if self.is_in_actions => say(&github::mask(secret.expose_secret())),
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

fn bar(drawn: &MultiProgress, total: usize, colour: bool) -> ProgressBar {
    let bar = drawn.add(ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX)));
    let template = if colour {
        "{prefix} [{bar:30.cyan}] {pos}/{len} {msg:.dim}"
    } else {
        "{prefix} [{bar:30}] {pos}/{len} {msg}"
    };
    bar.set_style(style(template).progress_chars("=> "));
    bar.set_prefix("resolving");
    bar.tick();
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this module are correct")
}

fn say(line: &str) {
    // A reader that went away is no failure of the work itself.
    let _gone = std::io::stderr().lock().write_all(line.as_bytes());
}
