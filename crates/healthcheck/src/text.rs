//! Foreign text in short: part of a detail.

use std::error::Error;

use lock_model::text::escape_terminal;

/// How many characters of an answer are shown.
pub(crate) const SHOWN: usize = 200;

/// The first characters of a text on one line, safe for a terminal.
pub(crate) fn excerpt(text: &str) -> String {
    let mut characters = text.trim().chars();
    let beginning: String = characters.by_ref().take(SHOWN).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t36_what_a_terminal_could_act_on_is_escaped() {
        let text = "a\u{1b}]8;;http://x\u{7}b\u{202e}c\u{9b}d\r\ne \"f\"";
        assert_eq!(excerpt(text), "a\\u{1b}]8;;http://x\\u{7}b\\u{202e}c\\u{9b}d\\r\\ne \"f\"");
        assert_eq!(excerpt(&"é".repeat(300)).chars().count(), SHOWN + 1);
    }
}
