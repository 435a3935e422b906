//! Names that people give in the configuration.

identifier!(
    /// Name of an environment, such as `staging`.
    ///
    /// ```
    /// use lock_model::EnvironmentName;
    /// assert!(EnvironmentName::try_from("pull-request").is_ok());
    /// assert!(EnvironmentName::try_from("_").is_err());
    /// ```
    EnvironmentName,
    "environment name",
    "lower-case letters, digits and `-`, starting with a letter or digit, at most 63",
    at most 63 characters,
    pattern "^[a-z0-9][a-z0-9-]{0,62}$",
    check |text| text.len() <= 63 && is_word(text, |byte| byte == b'-')
);

identifier!(
    /// Name of a test suite, such as `system`.
    SuiteName,
    "suite name",
    "lower-case letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 63",
    at most 63 characters,
    pattern "^[a-z0-9][a-z0-9._-]{0,62}$",
    check |text| text.len() <= 63 && is_word(text, |byte| matches!(byte, b'.' | b'_' | b'-'))
);

fn is_word(text: &str, extra: impl Fn(u8) -> bool) -> bool {
    let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(small) && text.bytes().all(|byte| small(byte) || extra(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t29_hostile_names_are_refused() {
        for bad in ["", "_", "-a", "A", "a b", "$(id)", "a/b", "a\n", "../x", "é"] {
            assert!(EnvironmentName::try_from(bad).is_err(), "{bad}");
            assert!(SuiteName::try_from(bad).is_err(), "{bad}");
        }
        EnvironmentName::try_from("a.b").unwrap_err();
        assert_eq!(SuiteName::try_from("a.b_c-1").unwrap().as_str(), "a.b_c-1");
        assert_eq!(
            EnvironmentName::try_from("a\u{1b}[31m").unwrap_err().to_string(),
            "`a\\u{1b}[31m` is not a valid environment name: lower-case letters, digits and `-`, starting with a \
             letter or digit, at most 63"
        );
    }
}
