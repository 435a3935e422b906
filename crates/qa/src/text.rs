//! Foreign text, made harmless for a terminal and a report.

/// How many characters of an answer are shown.
pub(crate) const SHOWN: usize = 200;

/// The first characters of a text on one line; control and direction characters are written as escapes.
pub(crate) fn shown(text: &str) -> String {
    cut(text.trim(), SHOWN)
}

/// One line of a log.
pub(crate) fn line(text: &str) -> String {
    cut(text.trim_end(), 1000)
}

fn cut(text: &str, characters: usize) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == characters {
            out.push('…');
            break;
        }
        if matches!(character, '"' | '\'' | '\\') {
            out.push(character);
        } else {
            out.extend(character.escape_debug());
        }
    }
    out
}

/// Characters that a terminal or a browser could act on: controls, and marks that turn the direction of text.
pub(crate) fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The innermost reason of an error: `connection refused`, not "error sending request".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    shown(&error.to_string())
}

/// `2 s`, `250 ms`.
pub(crate) fn in_words(duration: std::time::Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
