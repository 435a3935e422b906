//! Foreign text in short: part of a message.

use std::error::Error;
use std::fmt::{Arguments, Write as _};
use std::time::Duration;

use lock_model::escaping::{escape_short, excerpt};
use process::Redactor;

/// How many characters of a log's line are shown.
const LINE_SHOWN: usize = 1000;

/// One line of a log, safe for a terminal.
pub(crate) fn log_line(text: &str) -> String {
    escape_short(text.trim_end(), LINE_SHOWN)
}

/// What a message quotes of an answer. Secrets are masked first: a cut would leave their beginning.
pub(crate) fn masked_excerpt(redactor: &Redactor, text: &[u8]) -> String {
    if redactor.is_empty() {
        return excerpt(text);
    }
    excerpt(redactor.redact(&String::from_utf8_lossy(text)))
}

/// The innermost reason of an error: `connection refused`, not "error sending request".
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    excerpt(error.to_string())
}

/// `2 s`, `250 ms`.
pub(crate) fn in_words(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

pub(crate) fn line(out: &mut String, text: Arguments<'_>) {
    writeln!(out, "{text}").expect("writing into a string cannot fail");
}
