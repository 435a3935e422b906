//! What a command says: one report, shown for people, for machines or for GitHub Actions.

mod failure;
mod github;
pub(crate) mod markdown;
mod markdown_text;
mod page;
mod printer;
mod progress;
mod shown;
mod table;
mod text;
mod tone;
mod trace;

use std::io::{self, IsTerminal as _};

use clap::ColorChoice;

use crate::arguments::GlobalArgs;
use crate::environment;

pub(crate) use page::Page;
pub(crate) use printer::Printer;
pub(crate) use progress::Progress;
pub(crate) use shown::Shown;
pub(crate) use table::Table;
pub(crate) use text::Text;
pub(crate) use tone::{Screen, Tone};
pub(crate) use trace::show as show_trace;

/// A number of things: `1 case`, `2 cases`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// What the streams of this process can show, and how much of it is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    /// Who reads.
    pub format: Format,
    /// Standard output.
    pub out: Screen,
    /// Standard error.
    pub log: Screen,
    /// Whether progress is shown as a list that changes, and goes away when the work is done.
    pub live: bool,
    /// Whether both streams end in the same log, where everything should stand once.
    pub one_log: bool,
    /// Without progress.
    pub quiet: bool,
}

impl Console {
    /// What a command's own arguments ask for.
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        let console = Self::of(global.format, global.color);
        // Lines about programs would stand between those of the list.
        Self { quiet: global.quiet, live: console.live && !global.verbose, ..console }
    }

    /// What the streams of this process can show.
    pub(crate) fn of(format: Format, choice: ColorChoice) -> Self {
        let (out, log) = (Screen::of(&io::stdout(), choice), Screen::of(&io::stderr(), choice));
        let in_ci = environment::read(environment::CI).is_some();
        let live = format == Format::Human && io::stderr().is_terminal() && !environment::is_dumb_terminal() && !in_ci;
        Self { format, out, log, live, one_log: format == Format::Github || in_ci || is_one_file(), quiet: false }
    }

    /// Whether what progress says stays beside the report.
    fn keeps_progress(&self) -> bool {
        self.one_log && !self.live && !self.quiet
    }
}

/// Whether standard output and standard error are the same file, pipe or terminal.
fn is_one_file() -> bool {
    let (out, log) = (rustix::fs::fstat(io::stdout()), rustix::fs::fstat(io::stderr()));
    out.ok().zip(log.ok()).is_some_and(|(out, log)| (out.st_dev, out.st_ino) == (log.st_dev, log.st_ino))
}

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Human,
    /// Exactly one JSON document on stdout, in success and in failure.
    Json,
    /// Text with annotations for GitHub Actions, and the report in the step summary.
    Github,
}
