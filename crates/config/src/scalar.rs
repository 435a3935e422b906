//! What a plain scalar is, and what other YAML readers would make of it.

use super::tree::Value;

/// What a reader takes a number for.
pub(super) const NUMBER: &str = "a number";

/// Reads a plain (unquoted) scalar. Only `true`, `false`, decimal integers and `null` are not text; everything that
/// some YAML reader takes for something else is neither.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => return Value::Null { removes: false },
        "true" => return Value::Boolean(true),
        "false" => return Value::Boolean(false),
        _ => {}
    }
    if is_decimal(text)
        && let Ok(number) = text.parse()
    {
        return Value::Integer(number);
    }
    match reads_as(text) {
        Some(reads_as) => Value::Ambiguous { text: text.to_owned(), reads_as },
        None => Value::Text(text.to_owned()),
    }
}

/// Whether text must be quoted so that every YAML reader takes it for text.
pub(super) fn needs_quotes(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '=' | '$' | '(' | ')');
    let first = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/');
    !(text.starts_with(first) && text.chars().all(safe) && matches!(plain(text), Value::Text(_)))
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

/// What YAML 1.1 or 1.2 readers take a plain scalar for, where it is not text to all of them.
fn reads_as(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" => return Some("`true` or `false`"),
        "null" => return Some("nothing"),
        "=" | "<<" => return Some("a key of its own kind"),
        _ => {}
    }
    if is_timestamp(text) {
        return Some("a date");
    }
    is_number(&lower).then_some(NUMBER)
}

fn is_timestamp(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: Option<&str>, lengths: std::ops::RangeInclusive<usize>| {
        part.is_some_and(|part| lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let start = digits(parts.next(), 4..=4) && digits(parts.next(), 1..=2);
    let day: String = parts.next().unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    start && matches!(day.len(), 1 | 2)
}

/// Decimal with leading zeros, `_` or sign; hexadecimal, octal, binary; fractions, exponents; base 60; infinities.
fn is_number(lower: &str) -> bool {
    let unsigned = lower.strip_prefix(['-', '+']).unwrap_or(lower);
    if matches!(unsigned, ".inf" | ".nan") {
        return true;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return !digits.is_empty() && digits.chars().all(|c| c == '_' || c.is_digit(radix));
        }
    }
    let (mantissa, exponent) = match unsigned.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digit = |c: char| c.is_ascii_digit();
    let starts_well = if whole.is_empty() { fraction.starts_with(digit) } else { whole.starts_with(digit) };
    starts_well
        && whole.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b':'))
        && !whole.ends_with(':')
        && !whole.contains("::")
        && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_that_readers_disagree_about_are_known() {
        for text in [
            "no",
            "Yes",
            "ON",
            "y",
            "True",
            "NULL",
            "Null",
            "2025-11-20",
            "2025-1-2",
            "2025-11-20T21:14:07Z",
            "1_000",
            "0x1F",
            "0o17",
            "0b1",
            "017",
            "00",
            "+1",
            "1.5",
            ".5",
            "1.",
            "1e3",
            "1.5e-3",
            "12:30",
            "190:20:30",
            ".inf",
            "-.inf",
            ".NaN",
            "99999999999999999999",
            "<<",
            "=",
        ] {
            assert!(matches!(plain(text), Value::Ambiguous { .. }), "{text}: {:?}", plain(text));
            assert!(needs_quotes(text), "{text}");
        }
        for text in [
            "a",
            "24.0.0",
            "1.2.3-rc",
            "2m",
            "30s",
            "127.0.0.1",
            "127.0.0.1:5000",
            "node",
            "e3",
            ".",
            "..",
            "a:b",
            "main-{sha7}",
            "2025-11",
            "x-2025-11-20",
            "1-2",
            "sha256:12",
        ] {
            assert_eq!(plain(text), Value::Text(text.to_owned()));
        }
        for (text, number) in [("0", 0), ("80", 80), ("-1", -1)] {
            assert_eq!(plain(text), Value::Integer(number));
        }
    }

    #[test]
    fn only_harmless_text_is_written_without_quotes() {
        for text in ["a", "services/shop-cart", "24.0.0", "./tests/system"] {
            assert!(!needs_quotes(text), "{text}");
        }
        for text in ["", " a", "a b", "a: b", "#a", "*", "{a}", "-", "null", "1", "true", "a\n", "é", "@a"] {
            assert!(needs_quotes(text), "{text}");
        }
    }
}
