//! Names that people give in the configuration.

/// Text that is not the name it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a valid {kind}: {expected}")]
pub struct NameError {
    kind: &'static str,
    shown: String,
    expected: &'static str,
}

impl NameError {
    /// Says what was found, with control characters shown harmlessly.
    pub(crate) fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        Self { kind, shown: text.chars().take(120).flat_map(char::escape_default).collect(), expected }
    }

    /// Which class of failure this is.
    pub fn class(&self) -> lock_model::ErrorClass {
        lock_model::ErrorClass::Invalid
    }
}

/// Declares a newtype over `String` that is checked when it is made.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The same as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::names::NameError;

            fn try_from(text: String) -> Result<Self, $crate::names::NameError> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err($crate::names::NameError::new($kind, &text, $expected)) }
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::names::NameError;

            fn try_from(text: &str) -> Result<Self, $crate::names::NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::names::NameError;

            fn from_str(text: &str) -> Result<Self, $crate::names::NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "description": $expected })
            }
        }
    };
}
pub(crate) use name;

name!(
    /// Name of an environment, such as `staging`.
    ///
    /// ```
    /// use train::EnvironmentName;
    /// assert!(EnvironmentName::try_from("pull-request").is_ok());
    /// assert!(EnvironmentName::try_from("_").is_err());
    /// ```
    EnvironmentName,
    "environment name",
    "lower-case letters, digits and `-`, starting with a letter or digit, at most 63",
    "^[a-z0-9][a-z0-9-]{0,62}$",
    |text| text.len() <= 63 && is_word(text, |byte| byte == b'-')
);

name!(
    /// Name of a test suite, such as `system`.
    SuiteName,
    "suite name",
    "lower-case letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 63",
    "^[a-z0-9][a-z0-9._-]{0,62}$",
    |text| text.len() <= 63 && is_word(text, |byte| matches!(byte, b'.' | b'_' | b'-'))
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
