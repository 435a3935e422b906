//! Values of the configuration with a type of their own.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lock_model::{ErrorClass, Timestamp};

use crate::names::name;

name!(
    /// Name of a git branch, short form: `main`, `deploy/staging`.
    BranchName,
    "branch name",
    "what git accepts as a branch: no white space, control character, `..`, `@{`, `~^:?*[\\`, empty segment, \
     leading `-` or `.`, trailing `.` or `.lock`",
    "^(?![-/])(?!.*(//|\\.\\.|@\\{|/\\.|\\.lock(/|$)))[^\\s\\x00-\\x20\\x7f~^:?*\\[\\\\.][^\\s\\x00-\\x20\\x7f~^:?*\\[\\\\]*(?<![/.])$",
    is_branch
);

name!(
    /// Value of `mode`: what suites and templates call the environment.
    Mode,
    "mode",
    "lower-case letters, digits and `-`, starting with a letter or digit, at most 63",
    "^[a-z0-9][a-z0-9-]{0,62}$",
    |text| is_label(text)
);

name!(
    /// Name of a Kubernetes namespace.
    Namespace,
    "namespace",
    "lower-case letters, digits and `-`, starting and ending with a letter or digit, at most 63",
    "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    |text| is_label(text) && !text.ends_with('-')
);

name!(
    /// Name of an environment variable.
    EnvironmentVariable,
    "name of an environment variable",
    "letters, digits and `_`, not starting with a digit",
    "^[A-Za-z_][A-Za-z0-9_]*$",
    |text| {
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
);

fn is_label(text: &str) -> bool {
    let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 63 && text.bytes().next().is_some_and(small) && text.bytes().all(|byte| small(byte) || byte == b'-')
}

pub(super) fn is_branch(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with('-')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
        && !text.ends_with('.')
        && !text.contains(|c: char| {
            c.is_control() || c.is_whitespace() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\')
        })
        && text.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && std::path::Path::new(part).extension().is_none_or(|extension| extension != "lock")
        })
}

/// A day, written as `2026-12-31`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(jiff::civil::Date);

/// Text that is no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a day, such as `2026-12-31`", text.escape_default())]
pub struct DateError {
    text: String,
}

impl DateError {
    /// Which class of failure this is.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Date {
    /// The day, UTC, of a point in time.
    pub fn of(time: Timestamp) -> Self {
        let time = jiff::Timestamp::from_second(time.as_unix_seconds()).unwrap_or_default();
        Self(time.to_zoned(jiff::tz::TimeZone::UTC).date())
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        text.parse::<jiff::civil::Date>()
            .ok()
            .map(Self)
            .filter(|date| date.to_string() == text)
            .ok_or_else(|| DateError { text: text.to_owned() })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads a duration with its unit: `500ms`, `30s`, `5m`, `2h`, `1d`; larger units first: `1m30s`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    const LONGEST: u64 = 7 * 86_400_000;
    let bad = || "a duration is numbers with units, the largest first, such as `30s`, `1m30s` or `500ms`".to_owned();
    let mut rest = text;
    let mut units = UNITS;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| {
            format!(
                "`{}` has no unit: write `{}s`, `m`, `h`, `d` or `ms`",
                text.escape_default(),
                text.escape_default()
            )
        })?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let position = units.iter().position(|(name, _)| *name == unit).ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_| bad())?;
        let (factor, smaller) = (units.get(position).map_or(1, |(_, factor)| *factor), units.get(position + 1..));
        total = number.checked_mul(factor).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
        units = smaller.unwrap_or_default();
        rest = tail;
    }
    match total {
        0 => Err(format!("`{}` is no time at all", text.escape_default())),
        total if total > LONGEST => Err(format!("`{}` is longer than a week", text.escape_default())),
        total => Ok(Duration::from_millis(total)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in
            [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1m30s", 90_000), ("2h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for bad in ["", "5", "s", "5 s", "1s1m", "1s1s", "5x", "0s", "8d", "-1s", "1.5s", "99999999999999999999s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_duration("5").unwrap_err(), "`5` has no unit: write `5s`, `m`, `h`, `d` or `ms`");
    }

    #[test]
    fn dates_have_one_form() {
        let date: Date = "2026-12-31".parse().unwrap();
        assert_eq!(date.to_string(), "2026-12-31");
        assert!(date > "2026-12-30".parse().unwrap());
        assert_eq!(Date::of("2026-12-31T23:59:59Z".parse().unwrap()), date);
        for bad in ["2026-12-32", "2026-02-29", "31.12.2026", "20261231", "2026-12-31T00:00:00", ""] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }

    #[test]
    fn t29_hostile_branches_are_refused() {
        for good in ["main", "deploy/staging", "orchestrator/ledger", "a.b", "feature_1"] {
            assert_eq!(BranchName::try_from(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-x",
            "a b",
            "a..b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a.",
            "@{1}",
            "@",
            "a\n",
            "a\u{1b}",
            "--upload-pack=x",
        ] {
            assert!(BranchName::try_from(bad).is_err(), "{bad}");
        }
        // Odd, yet git takes it: nothing may ever hand it to a shell.
        assert_eq!(BranchName::try_from("zzz\";echo${IFS}x;#").unwrap().as_str(), "zzz\";echo${IFS}x;#");
    }

    #[test]
    fn namespaces_are_dns_labels() {
        assert_eq!(Namespace::try_from("shop-staging").unwrap().as_str(), "shop-staging");
        for bad in ["", "-a", "a-", "A", "a.b", "a_b"] {
            assert!(Namespace::try_from(bad).is_err(), "{bad}");
        }
    }
}
