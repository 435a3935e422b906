//! Workflow commands of GitHub Actions: foreign text never begins a line of its own, and never ends a command early.

use lock_model::escaping::escape_terminal_lines;
use orchestrator::Place;

/// Shorter lines of a secret, such as `}`, would mask what is none.
const SHORTEST_MASKED: usize = 8;

/// An annotation line, such as `::error title=lock::…`.
pub(super) fn annotation(level: &str, title: &str, message: &str) -> String {
    format!("::{level} title={}::{}\n", property(title), data(message))
}

/// An annotation at a place in a file.
pub(super) fn annotation_at(level: &str, title: &str, place: &Place) -> String {
    let number =
        |name: &str, number: Option<usize>| number.map(|number| format!(",{name}={number}")).unwrap_or_default();
    let hint = place.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!(
        "::{level} title={},file={}{}{}::{}\n",
        property(title),
        property(&place.file),
        number("line", place.line),
        number("col", place.column),
        data(&escape_terminal_lines(&format!("{}{hint}", place.message)))
    )
}

/// Lets the runner mask a secret in the log from now on: as a whole, and each of its lines.
pub(super) fn mask(secret: &str) -> String {
    let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_MASKED);
    lines.flat_map(|line| ["::add-mask::".to_owned(), data(line), "\n".to_owned()]).collect()
}

/// Escapes text after `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property, which also ends at `:` and `,`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Puts text into the log so that no line of it is taken for a workflow command.
///
/// A line that begins with `::` gets a zero-width space in front: it reads alike and does nothing. The older `##[` is
/// taken for a command wherever it stands in a line, and is parted the same way.
pub(super) fn inert(text: &str) -> String {
    text.lines()
        .map(|line| {
            let line = line.replace("##[", "##\u{200b}[");
            if line.trim_start().starts_with("::") { format!("\u{200b}{line}\n") } else { format!("{line}\n") }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t35_foreign_text_makes_no_command() {
        assert_eq!(
            annotation("error", "a,b:c", "x\n::stop-commands::y%"),
            "::error title=a%2Cb%3Ac::x%0A::stop-commands::y%25\n"
        );
        assert_eq!(
            inert("fine\n::error::x\n  ##[group]y\nlog: ##[add-mask]z"),
            "fine\n\u{200b}::error::x\n  ##\u{200b}[group]y\nlog: ##\u{200b}[add-mask]z\n"
        );
    }
}
