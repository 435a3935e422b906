use super::macros::is_forbidden;

identifier!(
    /// Name of a service: by default the last segment of its submodule's path.
    ServiceName,
    "service name",
    "lower-case letters, digits, `.`, `_`, `-`, starting with a letter or digit, at most 128",
    at most 128 characters,
    pattern r"^[a-z0-9][a-z0-9._-]*$",
    check is_name
);

identifier!(
    /// Name of something that the environments install besides the services, such as a database chart.
    ThirdPartyName,
    "third-party name",
    "lower-case letters, digits, `.`, `_`, `-`, starting with a letter or digit, at most 128",
    at most 128 characters,
    pattern r"^[a-z0-9][a-z0-9._-]*$",
    check is_name
);

identifier!(
    /// Name of a kind that this format does not enumerate: of an interface description, of an exception.
    KindName,
    "kind",
    "lower-case letters, digits and `-`, starting with a letter, at most 64",
    at most 64 characters,
    pattern r"^[a-z][a-z0-9-]*$",
    check |text| {
        text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    }
);

identifier!(
    /// Text of people in one line: a reason, an owner, a version in whatever scheme.
    OneLine,
    "line of text",
    "1 to 1000 characters in one line, no space at either end, no control or direction characters",
    at most 1000 characters,
    pattern concat!(r"^[^\s", forbidden_pattern!(), r"]([^", forbidden_pattern!(), r"]*[^\s", forbidden_pattern!(), r"])?$"),
    check |text| {
        !text.is_empty()
            && !text.starts_with(char::is_whitespace)
            && !text.ends_with(char::is_whitespace)
            && !text.contains(is_forbidden)
    }
);

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t36_a_line_of_text_hides_nothing() {
        for bad in ["", " a", "a ", "a\nb", "a\u{1b}[31m", "a\u{202e}b", "a\u{2028}b", "\u{feff}a", "a\u{85}"] {
            assert!(OneLine::try_from(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "déjà vu", "v1.0 (beta)", "🚂", "a: b # c"] {
            assert!(OneLine::try_from(good).is_ok(), "{good}");
        }
        OneLine::try_from("x".repeat(1001)).unwrap_err();
    }

    #[test]
    fn t29_no_name_starts_with_a_hyphen_or_holds_shell_text() {
        for hostile in ["$(id)", "--post-renderer=x", "a\";DROP", "-u", "a b", "a\n", "../x", ""] {
            assert!(ServiceName::try_from(hostile).is_err(), "{hostile}");
            assert!(ThirdPartyName::try_from(hostile).is_err(), "{hostile}");
            assert!(KindName::try_from(hostile).is_err(), "{hostile}");
        }
    }
}
