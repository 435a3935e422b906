//! Credentials in addresses, whatever the scheme, and whether or not the address is well formed.

use std::borrow::Cow;
use std::ops::Range;

/// Writes `***` for the user, the password and the query of every address in a text: an error must not carry them into a
/// log. An address ends at white space or a quote; [`mask_address`] is for text that is an address as a whole.
///
/// ```
/// assert_eq!(lock_model::escaping::mask_credentials("see https://me:secret@host/a"), "see https://***@host/a");
/// ```
pub fn mask_credentials(text: &str) -> Cow<'_, str> {
    mask_words(text, |_| "***".to_owned())
}

/// The same with one `*` for each character, so that what follows keeps its column.
pub fn mask_credentials_in_place(text: &str) -> Cow<'_, str> {
    mask_words(text, |credentials| "*".repeat(credentials.chars().count()))
}

/// One address without its user, password, query and fragment. Spaces and quotes belong to it.
///
/// ```
/// assert_eq!(lock_model::escaping::mask_address("bob:pa ss@host:a/b?token=x"), "***@host:a/b?***");
/// ```
pub fn mask_address(address: &str) -> String {
    mask(address, &secrets(address, Text::Address), |_| "***".to_owned())
}

/// What [`mask_address`] hides of an address.
pub fn credentials_of(address: &str) -> Vec<&str> {
    secrets(address, Text::Address).into_iter().filter_map(|range| address.get(range)).collect()
}

/// What a piece of text is known to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Address,
    /// Anything, perhaps an address.
    Word,
}

fn mask_words(text: &str, stars: impl Fn(&str) -> String) -> Cow<'_, str> {
    if !text.contains(['@', '?', ';', '%']) {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    for piece in text.split_inclusive(ends_word) {
        let word = piece.strip_suffix(ends_word).unwrap_or(piece);
        masked.push_str(&mask(word, &secrets(word, Text::Word), &stars));
        masked.push_str(piece.get(word.len()..).unwrap_or_default());
    }
    if masked == text { Cow::Borrowed(text) } else { Cow::Owned(masked) }
}

fn ends_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '`' | '<' | '>')
}

fn mask(text: &str, secrets: &[Range<usize>], stars: impl Fn(&str) -> String) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for secret in secrets {
        masked.push_str(text.get(at..secret.start).unwrap_or_default());
        masked.push_str(&stars(text.get(secret.clone()).unwrap_or_default()));
        at = secret.end;
    }
    masked + text.get(at..).unwrap_or_default()
}

/// Where user and query stand, in this order.
///
/// Readers disagree about where the user of a malformed address ends (`https://bob:pa/ss@host`), so it ends at the last
/// `@` that does not begin an image's digest. What separates may be written with `%`, too.
fn secrets(text: &str, kind: Text) -> Vec<Range<usize>> {
    let scheme = text.find("://").map(|at| at + "://".len());
    let at_sign = last_at_sign(text);
    let user = at_sign.and_then(|at_sign| {
        let authority = scheme.filter(|start| *start <= at_sign).or_else(|| text.starts_with("//").then_some(2));
        let start = authority.unwrap_or(0);
        // `git@host:a/b` only says which account ssh logs in to.
        let has_password = |user: &str| user.contains(':') || user.to_ascii_lowercase().contains("%3a");
        let is_secret = authority.is_some() || text.get(..at_sign).is_some_and(has_password);
        (is_secret && start < at_sign).then_some(start..at_sign)
    });
    // `https://bob:password/shop/cart`, where the host was forgotten.
    let user = user.or_else(|| (kind == Text::Address).then(|| word_in_place_of_port(text, scheme?)).flatten());
    let is_address = kind == Text::Address || user.is_some() || scheme.is_some() || text.starts_with("//");
    let from = user.as_ref().map_or(0, |user| user.end);
    let marks: &[&str] = match kind {
        Text::Address => &["?", ";", "%3f", "%3b", "#", "%23"],
        Text::Word => &["?", ";", "%3f", "%3b"],
    };
    let query = is_address.then(|| first_of(text, from, marks)).flatten().map(|start| {
        // What closes a sentence around a word is not part of it.
        let end = if kind == Text::Word { text.trim_end_matches([')', ',', '.', ';', ':']).len() } else { text.len() };
        start..end.max(start)
    });
    user.into_iter().chain(query.filter(|query| !query.is_empty())).collect()
}

/// Where the last `@` stands that does not begin an image's digest.
fn last_at_sign(text: &str) -> Option<usize> {
    let ends = |mark: &str| {
        let found = text.rmatch_indices(mark).map(|(at, _)| at);
        let length = mark.len();
        found.into_iter().find(|at| !names_digest(text.get(at + length..).unwrap_or_default()))
    };
    ends("@").max(ends("%40"))
}

/// Where what follows the first of these marks begins.
fn first_of(text: &str, from: usize, marks: &[&str]) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    let rest = text.get(from..)?;
    let found = marks.iter().filter_map(|mark| Some((rest.find(mark)?, mark.len())));
    found.min().map(|(at, length)| from + at + length)
}

/// What stands where an address has its port, and is no number.
fn word_in_place_of_port(text: &str, start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    let authority = rest.split(['/', '?', '#', ';', '\\']).next().filter(|host| !host.starts_with('['))?;
    let (host, port) = authority.split_once(':')?;
    let begin = start + host.len() + 1;
    (!port.bytes().all(|byte| byte.is_ascii_digit())).then(|| begin..begin + port.len())
}

fn names_digest(text: &str) -> bool {
    text.starts_with("sha256:") || text.starts_with("sha512:")
}
