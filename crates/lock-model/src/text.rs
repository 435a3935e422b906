//! Foreign text on its way to a terminal or into Markdown.
//!
//! Branch names, commit subjects, labels and reasons are written by others. Whatever shows them goes through here.

use std::fmt::Write as _;

/// Text for a terminal: control, direction and invisible characters are shown as `\u{…}`, line feeds too.
pub fn escape_terminal(text: &str) -> String {
    escape(text, Lines::Escaped)
}

/// The same for text of several lines: line feeds stay, everything else is shown as in [`escape_terminal`].
pub fn escape_terminal_lines(text: &str) -> String {
    escape(text, Lines::Kept)
}

/// Text for a place inside a line of Markdown: no formatting, HTML, link, mention, issue reference or image comes out
/// of it.
///
/// Where a renderer would make something of plain text after all (`@name`, `#1`, `GH-1`, `https://…`), an invisible character
/// keeps it apart: no escape exists for these.
pub fn escape_markdown(text: &str) -> String {
    const APART: char = '\u{200b}';
    let text = escape(text, Lines::Spaces);
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut characters = text.trim().chars().peekable();
    let mut at_start = true;
    let mut digits_only = true;
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '{' | '}' | '|' | '~' | '!' | '$' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '@' => {
                escaped.push('@');
                escaped.push(APART);
            }
            '#' => {
                if at_start {
                    escaped.push('\\');
                }
                escaped.push('#');
                escaped.push(APART);
            }
            ':' => {
                escaped.push(':');
                if next.is_some_and(|next| next.is_ascii_alphanumeric() || matches!(next, '/' | '_' | '+' | '-')) {
                    escaped.push(APART);
                }
            }
            '.' if next.is_some_and(char::is_alphanumeric) && ends_with_www(&escaped) => {
                escaped.push(APART);
                escaped.push('.');
            }
            '-' if next.is_some_and(|next| next.is_ascii_digit()) && ends_with_gh(&escaped) => {
                escaped.push('-');
                escaped.push(APART);
            }
            '+' | '-' | '=' if at_start => {
                escaped.push('\\');
                escaped.push(character);
            }
            '.' if digits_only && !at_start => escaped.push_str("\\."),
            _ => escaped.push(character),
        }
        at_start = false;
        digits_only &= character.is_ascii_digit();
    }
    escaped
}

/// Text as a Markdown code span, with as many backticks as it takes.
pub fn code_span(text: &str) -> String {
    let text = escape(text, Lines::Spaces);
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Text as a Markdown code block, with a fence longer than anything in it.
pub fn code_block(text: &str) -> String {
    let text = escape_terminal_lines(text);
    let fence = "`".repeat((longest_run(&text, '`') + 1).max(3));
    format!("{fence}text\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// Cuts text to at most `bytes`, at the border of a character, and says so with `…`.
pub fn shorten(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        if short.len() + character.len_utf8() + '…'.len_utf8() > bytes {
            break;
        }
        short.push(character);
    }
    short.push('…');
    short
}

#[derive(Clone, Copy)]
enum Lines {
    Escaped,
    Kept,
    Spaces,
}

fn escape(text: &str, lines: Lines) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match (character, lines) {
            ('\n', Lines::Kept) => escaped.push('\n'),
            ('\n' | '\t', Lines::Spaces) => escaped.push(' '),
            ('\n', Lines::Escaped) => escaped.push_str("\\n"),
            ('\t', Lines::Escaped | Lines::Kept) => escaped.push_str("\\t"),
            ('\r', Lines::Escaped | Lines::Kept | Lines::Spaces) => escaped.push_str("\\r"),
            (other, Lines::Escaped | Lines::Kept | Lines::Spaces) if is_deceptive(other) => {
                write!(escaped, "\\u{{{:x}}}", u32::from(other)).expect("a string takes everything");
            }
            (other, Lines::Escaped | Lines::Kept | Lines::Spaces) => escaped.push(other),
        }
    }
    escaped
}

/// Characters that move the cursor, change direction or cannot be seen.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn longest_run(text: &str, wanted: char) -> usize {
    let mut longest = 0;
    let mut current = 0;
    for character in text.chars() {
        current = if character == wanted { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    longest
}

fn ends_with_www(text: &str) -> bool {
    let mut last = text.chars().rev();
    (0..3).all(|_| last.next().is_some_and(|character| character.eq_ignore_ascii_case(&'w')))
}

fn ends_with_gh(text: &str) -> bool {
    let mut last = text.chars().rev().map(|character| character.to_ascii_lowercase());
    (last.next(), last.next()) == (Some('h'), Some('g'))
}
