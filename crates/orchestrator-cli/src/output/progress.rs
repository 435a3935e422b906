//! Progress of long work, on stderr: plain lines, so that CI logs and terminals read alike.

use std::io::Write as _;

use train::text::escape_terminal;

use super::{Format, github};

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
}

fn say(line: &str) {
    // A reader that went away is no failure of the work itself.
    let _gone = std::io::stderr().lock().write_all(line.as_bytes());
}
