//! Foreign text in short: part of a message.

use std::error::Error;
use std::time::Duration;

use lock_model::text::escape_terminal;

/// How many characters of an answer are shown.
const SHOWN: usize = 200;
/// How many characters of a log's line are shown.
const LINE_SHOWN: usize = 1000;

/// The first characters of a text on one line, safe for a terminal.
pub(crate) fn excerpt(text: &str) -> String {
    cut(text.trim(), SHOWN)
}

/// One line of a log, safe for a terminal.
pub(crate) fn log_line(text: &str) -> String {
    cut(text.trim_end(), LINE_SHOWN)
}

fn cut(text: &str, shown: usize) -> String {
    let mut characters = text.chars();
    let beginning: String = characters.by_ref().take(shown).collect();
    let rest = if characters.next().is_some() { "…" } else { "" };
    format!("{}{rest}", escape_terminal(&beginning))
}

/// The innermost reason of an error: `connection refused`, not "error sending request".
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    excerpt(&error.to_string())
}

/// `2 s`, `250 ms`.
pub(crate) fn in_words(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
