/// How many characters of a wrong text an error shows.
const SHOWN: usize = 120;

/// Text that is not the identifier it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{escaped}` is not a valid {kind}: {expected}")]
pub struct IdentifierError {
    kind: &'static str,
    escaped: String,
    expected: &'static str,
}

impl IdentifierError {
    /// Quotes the text without credentials and at most 120 characters of it. For [`identifier!`](crate::identifier).
    pub fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        use crate::escaping::{escape_short, mask_address, mask_credentials};
        // An address may hold spaces, which are then part of its password.
        let masked = if text.contains("://") { mask_address(text).into() } else { mask_credentials(text) };
        Self { kind, escaped: escape_short(masked.as_bytes(), SHOWN), expected }
    }

    /// The same error about another text: the one that the caller wrote.
    pub(super) fn about(self, text: &str) -> Self {
        Self::new(self.kind, text, self.expected)
    }
}

/// Defines a newtype over text: one way in (`TryFrom`, `FromStr`, serde), text out.
///
/// `check` decides, together with the greatest number of characters; `pattern` is the same rule for the JSON Schema (with
/// feature `schema`). The error is [`IdentifierError`](crate::IdentifierError).
///
/// ```
/// lock_model::identifier!(
///     /// Name of a queue.
///     QueueName,
///     "queue name",
///     "lower-case letters, at most 20",
///     at most 20 characters,
///     pattern "^[a-z]+$",
///     check |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase())
/// );
/// assert_eq!(QueueName::try_from("jobs")?.as_str(), "jobs");
/// assert!(QueueName::try_from("Jobs").is_err());
/// # Ok::<(), lock_model::IdentifierError>(())
/// ```
#[macro_export]
macro_rules! identifier {
    (
        $(#[$doc:meta])*
        $name:ident, $kind:literal, $expected:expr, at most $max:literal characters,
        pattern $pattern:expr, check $check:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
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
            type Error = $crate::IdentifierError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                let check: fn(&str) -> bool = $check;
                if check(&text) && text.chars().count() <= $max {
                    Ok(Self(text))
                } else {
                    Err($crate::IdentifierError::new($kind, &text, $expected))
                }
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::IdentifierError;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                Self::try_from(text.to_owned())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::IdentifierError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        $crate::identifier_schema!($name, $expected, $pattern, $max);
    };
}

/// The JSON Schema of an identifier; nothing where lock-model is built without the feature `schema`.
#[cfg(feature = "schema")]
#[doc(hidden)]
#[macro_export]
macro_rules! identifier_schema {
    ($name:ident, $expected:expr, $pattern:expr, $max:literal) => {
        impl $crate::schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut $crate::schemars::SchemaGenerator) -> $crate::schemars::Schema {
                $crate::schemars::json_schema!({
                    "type": "string",
                    "description": $expected,
                    "pattern": $pattern,
                    "maxLength": $max,
                })
            }
        }
    };
}

/// The JSON Schema of an identifier; nothing where lock-model is built without the feature `schema`.
#[cfg(not(feature = "schema"))]
#[doc(hidden)]
#[macro_export]
macro_rules! identifier_schema {
    ($($anything:tt)*) => {};
}

/// Lets serde read and write a type as its text, with `#[serde(try_from = "String", into = "String")]`.
macro_rules! serialised_as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

/// A DNS name's label, in either case, as a pattern.
#[cfg(feature = "schema")]
macro_rules! host_pattern {
    () => {
        r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:[0-9]{1,5})?"
    };
}

/// A registry host of an image as a pattern: it has a `.` or a port, or is `localhost`.
#[cfg(feature = "schema")]
macro_rules! image_host_pattern {
    () => {
        concat!(
            r"([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[0-9]{1,5})?",
            r"|[a-z0-9]([a-z0-9-]*[a-z0-9])?:[0-9]{1,5}|localhost)"
        )
    };
}

/// A path segment of an image repository as a pattern.
#[cfg(feature = "schema")]
macro_rules! image_segment_pattern {
    () => {
        r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
    };
}

/// The characters of [`is_forbidden`], for use inside a pattern's brackets.
#[cfg(feature = "schema")]
macro_rules! forbidden_pattern {
    () => {
        r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
    };
}

/// Characters that no path, address or line of text of a lock has: controls, line and paragraph separators, direction
/// marks, the byte order mark.
///
/// Part of the lock's format, hence fewer than [`escaping::is_hidden`](crate::escaping::is_hidden): names may hold the
/// joiners that some scripts and emoji need.
pub(super) fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// `HOST` or `HOST:PORT`.
pub(super) fn is_host(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    is_host_name(name)
        && port.is_none_or(|port| matches!(port.len(), 1..=5) && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether text is a host name as DNS has them, or an IPv4 address: labels of letters, digits and inner `-`, without a port.
pub fn is_host_name(text: &str) -> bool {
    text.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::is_forbidden;
    use crate::escaping::is_hidden;

    #[test]
    fn what_is_forbidden_is_escaped_as_well() {
        for character in ('\0'..=char::MAX).filter(|&character| is_forbidden(character)) {
            assert!(is_hidden(character), "{character:?}");
        }
    }
}
