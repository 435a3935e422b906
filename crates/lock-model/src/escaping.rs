//! Escapes foreign text for a terminal, a message or Markdown.
//!
//! Branch names, commit subjects, labels, answers of servers and the like are written by others; every crate escapes
//! them here before it shows them, so that there is one set of characters that is never shown raw ([`is_hidden`]).
//!
//! ```
//! use lock_model::escaping::{code_span, escape_terminal};
//!
//! assert_eq!(escape_terminal("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
//! assert_eq!(code_span("a`b"), "``a`b``");
//! ```

use std::fmt::Write as _;

pub use crate::credentials::{credentials_of, mask_address, mask_credentials, mask_credentials_in_place};

/// How many characters of an answer [`excerpt`] shows.
pub const EXCERPT_CHARACTERS: usize = 200;

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

/// The first characters of a text or of bytes on one line, escaped as in [`escape_terminal`]; bytes that are not UTF-8
/// are written as `\xff`, and `…` says that something was cut.
pub fn escape_short(text: impl AsRef<[u8]>, characters: usize) -> String {
    let mut escaped = String::new();
    let mut left = characters;
    for chunk in text.as_ref().utf8_chunks() {
        let valid = chunk.valid();
        let end = valid.char_indices().nth(left).map(|(end, _)| end);
        escape_into(&mut escaped, valid.get(..end.unwrap_or(valid.len())).unwrap_or_default(), Lines::Escaped);
        left = left.saturating_sub(valid.chars().count());
        if end.is_some() || (left == 0 && !chunk.invalid().is_empty()) {
            escaped.push('…');
            break;
        }
        for byte in chunk.invalid() {
            write!(escaped, "\\x{byte:02x}").expect("a string takes everything");
        }
        left = left.saturating_sub(chunk.invalid().len());
    }
    escaped
}

/// What a message quotes of an answer or of a program's output: [`escape_short`] without white space at the ends, at
/// most [`EXCERPT_CHARACTERS`].
pub fn excerpt(text: impl AsRef<[u8]>) -> String {
    escape_short(text.as_ref().trim_ascii(), EXCERPT_CHARACTERS)
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
    escape_into(&mut escaped, text, lines);
    escaped
}

fn escape_into(escaped: &mut String, text: &str, lines: Lines) {
    for character in text.chars() {
        match (character, lines) {
            ('\n', Lines::Kept) => escaped.push('\n'),
            ('\n' | '\t', Lines::Spaces) => escaped.push(' '),
            ('\n', Lines::Escaped) => escaped.push_str("\\n"),
            ('\t', Lines::Escaped | Lines::Kept) => escaped.push_str("\\t"),
            ('\r', Lines::Escaped | Lines::Kept | Lines::Spaces) => escaped.push_str("\\r"),
            (other, Lines::Escaped | Lines::Kept | Lines::Spaces) if is_hidden(other) => {
                write!(escaped, "{}", other.escape_unicode()).expect("a string takes everything");
            }
            (other, Lines::Escaped | Lines::Kept | Lines::Spaces) => escaped.push(other),
        }
    }
}

/// Whether a character moves the cursor, changes the direction of text or cannot be seen: controls, line and paragraph
/// separators, direction marks and overrides, zero-width characters, the byte order mark, tags.
pub fn is_hidden(character: char) -> bool {
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
