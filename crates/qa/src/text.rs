//! Text for a terminal and a report.

use lock_model::escaping::escape_short;
pub(crate) use lock_model::escaping::excerpt as shown;

/// One line of a log.
pub(crate) fn line(text: &str) -> String {
    escape_short(text.trim_end(), 1000)
}

/// The innermost reason of an error: `connection refused`, not "error sending request".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    shown(error.to_string())
}

/// `2 s`, `250 ms`.
pub(crate) fn in_words(duration: std::time::Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
