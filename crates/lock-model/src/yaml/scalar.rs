//! Which strings need quotes, and what an unquoted scalar is.
//!
//! Two YAMLs are about: 1.1, as its [type repository] has it and as `PyYAML` and (in part) Go's yaml.v3 read it, and the
//! core schema of 1.2. The writer quotes what any of them would take for something else than a string (in 1.1 even
//! `1.4.0` is a float); the reader follows 1.2, and what 1.1 alone sees differently is found as "not canonical".
//!
//! [type repository]: https://yaml.org/type/

/// Words that are null, a bool, a merge or a default value somewhere.
const WORDS: [&str; 28] = [
    "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "y", "Y", "n", "N", "yes", "Yes",
    "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "<<", "=",
];

/// What an unquoted scalar is under the core schema of YAML 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Null,
    Bool,
    Integer,
    Float,
    String,
}

impl Plain {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Self::Bool,
            _ if is_core_integer(text) => Self::Integer,
            _ if is_decimal_float(text) || is_infinite_or_nan(text) => Self::Float,
            _ => Self::String,
        }
    }

    pub(super) fn article_and_name(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool => "a bool",
            Self::Integer | Self::Float => "a number",
            Self::String => "a string",
        }
    }
}

/// Writes a string as a YAML scalar in block context: plain where every reader agrees, else double-quoted.
pub(super) fn push_scalar(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        push_quoted(out, text);
    }
}

/// Whether a string keeps its meaning without quotes, as a key and as a value.
pub(super) fn is_plain(text: &str) -> bool {
    syntax_allows_plain(text) && !reads_as_other(text)
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                let escape = if code <= 0xffff { format!("\\u{code:04X}") } else { format!("\\U{code:08X}") };
                out.push_str(&escape);
            }
        }
    }
    out.push('"');
}

/// What YAML allows raw in a scalar of one line, without what some readers take for a line break or a mark.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn syntax_allows_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return false };
    let begins = match first {
        ' ' | ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => false,
        '-' | '?' | ':' => chars.next().is_some_and(|second| second != ' '),
        _ => true,
    };
    begins
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_printable)
}

/// Whether YAML 1.1 or 1.2, or Go's mixture, sees anything but a string.
fn reads_as_other(text: &str) -> bool {
    if WORDS.contains(&text) {
        return true;
    }
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => {
            // Both older readers drop underscores from numbers, Go's anywhere in them.
            let digits = text.replace('_', "");
            is_infinite_or_nan(text)
                || is_decimal_float(&digits)
                || is_dotted_float(&digits)
                || is_radix_integer(text)
                || is_radix_integer(&digits)
                || is_base_60(&digits)
                || is_timestamp(text)
        }
        _ => false,
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_core_integer(text: &str) -> bool {
    let octal = text.strip_prefix("0o").is_some_and(|rest| !rest.is_empty() && is_octal(rest));
    let hex = text.strip_prefix("0x").is_some_and(|rest| !rest.is_empty() && is_hex(rest));
    is_digits(unsigned(text)) || octal || hex
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, which takes in the integers.
fn is_decimal_float(text: &str) -> bool {
    let text = unsigned(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa_fine = match mantissa.split_once('.') {
        Some(("", fraction)) => is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && (fraction.is_empty() || is_digits(fraction)),
        None => is_digits(mantissa),
    };
    mantissa_fine && exponent.is_none_or(|exponent| is_digits(unsigned(exponent)))
}

/// `[-+]?([0-9]+)?\.[0-9.]*([eE][-+]?[0-9]+)?`: the float of YAML 1.1, with any number of dots.
fn is_dotted_float(text: &str) -> bool {
    let text = unsigned(text);
    let mantissa = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) if is_digits(unsigned(exponent)) => mantissa,
        Some(_) => return false,
        None => text,
    };
    mantissa.split_once('.').is_some_and(|(whole, rest)| {
        (whole.is_empty() || is_digits(whole)) && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

fn is_infinite_or_nan(text: &str) -> bool {
    matches!(unsigned(text), ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn is_octal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'7' | b'_'))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'_')
}

/// Binary, octal and hexadecimal in the notations of both languages: YAML 1.1 accepts underscores alone as digits, Go
/// accepts a sign after `0b` and `0o`.
fn is_radix_integer(text: &str) -> bool {
    let Some(rest) = unsigned(text).strip_prefix('0') else { return false };
    if let Some(digits) = rest.strip_prefix(['x', 'X']) {
        !digits.is_empty() && is_hex(digits)
    } else if let Some(digits) = rest.strip_prefix(['o', 'O']).map(unsigned) {
        !digits.is_empty() && is_octal(digits)
    } else if let Some(digits) = rest.strip_prefix(['b', 'B']).map(unsigned) {
        !digits.is_empty() && digits.bytes().all(|byte| matches!(byte, b'0' | b'1' | b'_'))
    } else {
        is_octal(rest)
    }
}

/// `1:30`, `190:20:30.15`: numbers to the base of 60 in YAML 1.1.
fn is_base_60(text: &str) -> bool {
    let mut parts = unsigned(text).split(':');
    let Some(first) = parts.next() else { return false };
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let whole = last.split_once('.').map_or(*last, |(whole, _)| whole);
    let fraction_fine =
        last.split_once('.').is_none_or(|(_, fraction)| fraction.bytes().all(|byte| byte.is_ascii_digit()));
    let sixtieth = |part: &&str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => matches!(tens, b'0'..=b'5') && digit.is_ascii_digit(),
        _ => false,
    };
    is_digits(first) && middle.iter().all(sixtieth) && sixtieth(&whole) && fraction_fine
}

/// A day, or a day and a time, as either reader takes it.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let date_fine = parts.next().is_some_and(|year| year.len() == 4 && is_digits(year))
        && parts.next().is_some_and(is_one_or_two_digits)
        && parts.next().is_some_and(is_one_or_two_digits)
        && parts.next().is_none();
    date_fine && time.is_none_or(|time| is_time(time.trim_start_matches(' ')))
}

fn is_one_or_two_digits(text: &str) -> bool {
    text.len() <= 2 && is_digits(text)
}

fn is_time(text: &str) -> bool {
    let clock_end = text.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(text.len());
    let (clock, rest) = text.split_at(clock_end);
    let clock: Vec<&str> = clock.split(':').collect();
    let rest = match rest.strip_prefix(['.', ',']) {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let zone = rest.trim_start_matches(' ');
    let zone_fine = zone.is_empty()
        || zone == "Z"
        || zone.strip_prefix(['+', '-']).is_some_and(|offset| match offset.split_once(':') {
            Some((hours, minutes)) => is_one_or_two_digits(hours) && is_one_or_two_digits(minutes),
            None => is_one_or_two_digits(offset),
        });
    clock.len() == 3 && clock.iter().all(|part| is_one_or_two_digits(part)) && zone_fine
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One string a space; those that hold a space follow in `more`.
    fn check_all(plain: bool, words: &str, more: &[&str]) {
        for text in words.split_whitespace().chain(more.iter().copied()) {
            assert_eq!(is_plain(text), plain, "`{text}`");
        }
    }

    #[test]
    fn p6_what_another_reader_takes_for_something_else_is_quoted() {
        check_all(
            false,
            "~ null Null NULL true False yes No ON off y N << = 2286238 1111111111111111111111111111111111111111 0 -1 +1 \
             0777 0o17 0x1F 0X1f 0b10 0B1 0b_ 0x_ 0b-1 1_000 1__0 1_ 0_x1F 1.5 1. .5 -.5 1e3 1E3 1.5e-3 123456e1 \
             1e999999 .inf -.Inf +.INF .nan 1_0.5_ 1.4.0 24.0.0 127.0.0.1 . .. 1.4.0e3 1:5 1:30 190:20:30 190:20:30.15 \
             1_0:30 \
             2025-11-20 2025-1-2 2025-13-40 2025-11-20T21:14:07Z 2025-11-20T21:14:07+01:00",
            &["", "2025-11-20 21:14:07", "2025-11-20t1:2:3.5 +1"],
        );
    }

    #[test]
    fn strings_that_every_reader_agrees_on_stay_plain() {
        check_all(
            true,
            "main-1111111 v1 v1.4.0 1.4.0-rc.1 24.x linux/amd64 sha256:00 https://github.com/shop/cart.git nullable nO \
             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa e3 1e 1e+ 0x 0b2 0o8 1:60 a:b 127.0.0.1:5000/x 2025-11-20-x \
             2025-11 20251-1-1 a#b déjà -x ?x :x a] 12345678901234567890a _1 .x .gitignore 1-1 + 0_z 0xg 1.4.0ex \
             2025-111-1 2025-ab-1 2025-11-20T21:14 2025-11-20T21:14:07x 2025-11-20T21:14:07+01:xx",
            &["a b", "a, b", "--- x", "1 2"],
        );
    }

    #[test]
    fn an_unquoted_scalar_is_what_the_core_schema_says() {
        for (kind, texts) in [
            (Plain::Null, "~ null Null NULL"),
            (Plain::Bool, "true True TRUE false False FALSE"),
            (Plain::Integer, "0 12 -1 +1 0o17 0x1F 0xff"),
            (Plain::Float, "1.5 -.5 1. 1e3 .inf -.INF .nan"),
            (Plain::String, "nULL yes on 0o 0x 0o8 0xg -0x1 0X1F 0b1 1_000 1:30 1.4.0 2025-11-20 x"),
        ] {
            for text in texts.split_whitespace() {
                assert_eq!(Plain::of(text), kind, "`{text}`");
            }
        }
        assert_eq!(Plain::of(""), Plain::Null);
    }

    #[test]
    fn what_the_syntax_forbids_is_quoted() {
        for (text, written) in [
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("#a", "\"#a\""),
            ("- a", "\"- a\""),
            ("? a", "\"? a\""),
            ("a:", "\"a:\""),
            ("*a", "\"*a\""),
            ("&a", "\"&a\""),
            ("!a", "\"!a\""),
            ("%a", "\"%a\""),
            ("@a", "\"@a\""),
            ("`a", "\"`a\""),
            ("[a", "\"[a\""),
            ("{a", "\"{a\""),
            ("'a", "\"'a\""),
            ("\"a\\", "\"\\\"a\\\\\""),
            ("a\nb\tc\r", "\"a\\nb\\tc\\r\""),
            ("a\u{85}\u{2028}\u{feff}\u{fffe}\u{7}", "\"a\\u0085\\u2028\\uFEFF\\uFFFE\\u0007\""),
            (" a", "\" a\""),
        ] {
            let mut out = String::new();
            push_scalar(&mut out, text);
            assert_eq!(out, written);
        }
    }
}
