//! Foreign text, made harmless for a terminal and a report.

/// How many characters of an answer are shown.
pub(crate) const SHOWN: usize = 200;

/// The first characters of a text on one line; control and direction characters are written as escapes.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (count, character) in text.trim().chars().enumerate() {
        if count == SHOWN {
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

/// The innermost reason of an error: `connection refused`, not "error sending request".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    shown(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t36_what_a_terminal_could_act_on_is_escaped() {
        let text = "a\u{1b}]8;;http://x\u{7}b\u{202e}c\u{9b}d\r\ne \"f\"";
        assert_eq!(shown(text), "a\\u{1b}]8;;http://x\\u{7}b\\u{202e}c\\u{9b}d\\r\\ne \"f\"");
        assert_eq!(shown(&"é".repeat(300)).chars().count(), SHOWN + 1);
    }
}
