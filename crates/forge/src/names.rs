//! Names that a forge knows: parsed at the edge, trusted afterwards.

use std::fmt;
use std::str::FromStr;

/// Text that is not the name it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a valid {kind}: {expected}")]
pub struct NameError {
    kind: &'static str,
    shown: String,
    expected: &'static str,
}

impl NameError {
    pub(crate) fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        Self { kind, shown: text.chars().take(120).flat_map(char::escape_default).collect(), expected }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(NameError::new($kind, &text, $expected)) }
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

const REF_RULE: &str = "what `git check-ref-format` accepts, not starting with `-`, at most 200 bytes";

name!(
    /// Short name of a branch, such as `staging` or `orchestrator/ledger`: what follows `refs/heads/`.
    BranchName,
    "branch name",
    REF_RULE,
    is_ref_name
);

name!(
    /// Name of the tag that a release carries, such as `release-2025-11-20-6c1f90ab`.
    ReleaseTag,
    "tag name",
    REF_RULE,
    is_ref_name
);

name!(
    /// Login of a person or a program on the forge.
    UserName,
    "user name",
    "letters, digits, `.`, `_`, `-`, starting with a letter or digit, at most 64",
    is_user_name
);

impl BranchName {
    /// The full name of the ref: `refs/heads/…`.
    pub fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl ReleaseTag {
    /// The full name of the ref: `refs/tags/…`.
    pub fn full(&self) -> String {
        format!("refs/tags/{}", self.0)
    }
}

fn is_user_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The rules of `git check-ref-format`, and no leading hyphen: such a name would be an option somewhere.
fn is_ref_name(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('.')
        && text != "@"
        && !text.contains("..")
        && !text.contains("@{")
        && !text.contains(|c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\'))
        && text
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.as_bytes().ends_with(b".lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_names_are_what_git_accepts() {
        for good in ["dev", "orchestrator/ledger", "deploy/staging", "zzz\";echo${IFS}x;#", "été", "a@b"] {
            assert_eq!(BranchName::try_from(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=x",
            "a b",
            "a..b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a.",
            "@",
            "a@{1}",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a\nb",
            "a\u{7f}",
        ] {
            BranchName::try_from(bad).unwrap_err();
        }
        ReleaseTag::try_from("x".repeat(201)).unwrap_err();
    }

    #[test]
    fn t29_hostile_user_names_are_refused_and_shown_escaped() {
        for bad in ["", "-as", "a/b", "..", "$(id)", "a b", "a\u{1b}[31m"] {
            UserName::try_from(bad).unwrap_err();
        }
        let error = UserName::try_from("a\u{1b}[31m").unwrap_err().to_string();
        assert_eq!(
            error,
            "`a\\u{1b}[31m` is not a valid user name: letters, digits, `.`, `_`, `-`, starting with a letter or \
             digit, at most 64"
        );
    }
}
