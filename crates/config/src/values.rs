//! Values of the configuration with a type of their own.

use std::fmt;
use std::time::Duration;

use lock_model::{ErrorClass, TreePath, identifier};

identifier!(
    /// Value of `mode`: what suites and templates call the environment.
    Mode,
    "mode",
    "lower-case letters, digits and `-`, starting with a letter or digit, at most 63",
    at most 63 characters,
    pattern "^[a-z0-9][a-z0-9-]{0,62}$",
    check |text| is_label(text)
);

identifier!(
    /// Name of a Kubernetes namespace.
    Namespace,
    "namespace",
    "lower-case letters, digits and `-`, starting and ending with a letter or digit, at most 63",
    at most 63 characters,
    pattern "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    check |text| is_label(text) && !text.ends_with('-')
);

identifier!(
    /// Name of an object of Kubernetes, such as a service account or a Secret: a DNS subdomain (RFC 1123).
    ObjectName,
    "name of an object of Kubernetes",
    "lower-case letters, digits and `-`, in parts that start and end with a letter or digit and are separated by `.`, at \
     most 253",
    at most 253 characters,
    pattern "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
    check |text| {
        let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        text.split('.').all(|part| {
            is_end(part.bytes().next())
                && is_end(part.bytes().last())
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
    }
);

identifier!(
    /// Name of an environment variable.
    EnvironmentVariable,
    "name of an environment variable",
    "letters, digits and `_`, not starting with a digit",
    at most 128 characters,
    pattern "^[A-Za-z_][A-Za-z0-9_]*$",
    check |text| {
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
);

identifier!(
    /// Where a value stands in the values of a chart: `image.tag`.
    ValuesPath,
    "path of a chart's value",
    "names of letters, digits, `_` and `-`, separated by `.`",
    at most 256 characters,
    pattern "^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$",
    check |text| {
        text.split('.').all(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        })
    }
);

/// Variables that hold logins to forges and registries, or where these lie, besides `ORCHESTRATOR_…`.
const LOGIN_VARIABLES: [&str; 17] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "CI_JOB_TOKEN",
    "CI_REGISTRY_PASSWORD",
    "DOCKER_AUTH_CONFIG",
    "DOCKER_CONFIG",
    "FORGEJO_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GH_TOKEN",
    "GITEA_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "GIT_ASKPASS",
    "REGISTRY_AUTH_FILE",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
];
/// What the names of orchestrator's own variables begin with.
const OWN_PREFIX: &str = "ORCHESTRATOR_";

impl EnvironmentVariable {
    /// Whether the variable is orchestrator's own, or a login to a forge or registry: a configuration cannot name it, since
    /// the author of a pull request could then print its value with a suite.
    pub fn is_login(&self) -> bool {
        is_login(self.as_str())
    }
}

/// [`EnvironmentVariable::is_login`] of any name.
pub fn is_login(variable: &str) -> bool {
    variable.starts_with(OWN_PREFIX) || LOGIN_VARIABLES.contains(&variable)
}

/// The names that [`is_login`] refuses, for a pattern of the JSON Schema.
pub(super) fn login_pattern() -> String {
    format!("{OWN_PREFIX}|({})$", LOGIN_VARIABLES.join("|"))
}

/// A value, or where the command line finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceValue {
    /// `{ value: … }`
    Value(String),
    /// `{ env: NAME }`: an environment variable.
    Env(EnvironmentVariable),
    /// `{ file: PATH }`: the content of a file of the superproject.
    File(TreePath),
}

impl fmt::Display for SourceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "`{}`", lock_model::escaping::escape_terminal(value)),
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{path}`"),
        }
    }
}

fn is_label(text: &str) -> bool {
    let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 63 && text.bytes().next().is_some_and(small) && text.bytes().all(|byte| small(byte) || byte == b'-')
}

/// Text that is no duration, or one that is not between 1 ms and a week.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct DurationError {
    why: String,
}

impl DurationError {
    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Parses a duration with its unit: `500ms`, `30s`, `5m`, `2h`, `1d`; larger units first: `1m30s`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    const UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    const LONGEST: u64 = 7 * 86_400_000;
    const FORM: &str = "a duration is numbers with units, the largest first, such as `30s`, `1m30s` or `500ms`";
    let shown = lock_model::escaping::escape_terminal(text);
    let bad = || DurationError { why: FORM.to_owned() };
    let unit_missing =
        || DurationError { why: format!("`{shown}` has no unit: write `{shown}s`, `m`, `h`, `d` or `ms`") };
    let mut rest = text;
    let mut units = UNITS;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(unit_missing)?;
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
        0 => Err(DurationError { why: format!("`{shown}` is no time at all") }),
        total if total > LONGEST => Err(DurationError { why: format!("`{shown}` is longer than a week") }),
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
        assert_eq!(parse_duration("5").unwrap_err().to_string(), "`5` has no unit: write `5s`, `m`, `h`, `d` or `ms`");
    }

    #[test]
    fn objects_are_named_by_dns_subdomains() {
        let longest = "a".repeat(253);
        for good in ["ci", "0", "regcred.shop-1.example", "a--b", &longest] {
            assert_eq!(ObjectName::try_from(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a..b", ".a", "a.", "a_b", "a.-b", "é", &format!("{longest}a")] {
            assert!(ObjectName::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn namespaces_are_dns_labels() {
        assert_eq!(Namespace::try_from("shop-staging").unwrap().as_str(), "shop-staging");
        for bad in ["", "-a", "a-", "A", "a.b", "a_b"] {
            assert!(Namespace::try_from(bad).is_err(), "{bad}");
        }
    }
}
