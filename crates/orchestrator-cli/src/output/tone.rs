//! What words mean for the reader, and what a screen can show of it.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};
use clap::ColorChoice;

use crate::environment;

/// What a piece of text means for the reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// Something is as it should be.
    Good,
    /// Something is wrong, or was refused.
    Bad,
    /// Something is unknown, waits, or needs a look.
    Doubtful,
    /// What goes without saying, such as a step that was done before.
    Quiet,
    /// The heading of a column.
    Heading,
    /// Advice.
    Hint,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Doubtful => AnsiColor::Yellow.on_default(),
            Self::Quiet => Style::new().dimmed(),
            Self::Heading => Style::new().bold(),
            Self::Hint => AnsiColor::Cyan.on_default(),
        }
    }
}

/// Where text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// How many columns it has; none for a file or a pipe, where no line is broken.
    pub width: Option<usize>,
    /// Whether it shows colours.
    pub colour: bool,
}

impl Screen {
    /// A file or a pipe.
    pub(crate) const PLAIN: Self = Self { width: None, colour: false };

    /// What a stream of this process shows.
    pub(crate) fn of(stream: &(impl AsFd + IsTerminal), choice: ColorChoice) -> Self {
        let is_terminal = stream.is_terminal();
        let colour = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => environment::wants_colour(is_terminal),
        };
        let size = is_terminal.then(|| rustix::termios::tcgetwinsize(stream).ok()).flatten();
        // A terminal that does not know its size says 0.
        Self { width: size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0), colour }
    }

    /// Text that is escaped already, in its tone.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        let style = tone.style();
        if self.colour && !style.is_plain() && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}
