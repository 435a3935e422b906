//! Text that somebody else wrote, on its way into a message.

/// Most characters of foreign text that a message shows.
const LONGEST: usize = 200;

/// Cuts foreign text to a readable length and shows control and direction characters as escapes.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for (position, character) in text.trim().chars().enumerate() {
        if position == LONGEST {
            shown.push('…');
            break;
        }
        if character.is_control() || is_direction_mark(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The host that an address names, with the port where it is not the usual one.
pub(crate) fn host_of(url: &url::Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

/// An address without user and password, for people.
pub(crate) fn without_credentials(url: &url::Url) -> String {
    let mut url = url.clone();
    // Both fail only for addresses that cannot hold credentials.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.into()
}

/// An error with all its causes on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Names in back quotes, separated by commas.
pub(crate) fn list<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t36_foreign_text_is_cut_and_escaped() {
        assert_eq!(escaped("a\x1b[31m\u{202e}b\n"), "a\\u{1b}[31m\\u{202e}b");
        assert_eq!(escaped(&"x".repeat(1000)).chars().count(), LONGEST + 1);
    }
}
