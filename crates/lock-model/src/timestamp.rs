use std::fmt;
use std::str::FromStr;

use crate::escaping::escape_short;

/// 0000-01-01T00:00:00Z, the first time that has four digits for its year.
const YEAR_ZERO: i64 = -62_167_219_200;

#[cfg(feature = "schema")]
const PATTERN: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$";

/// A point in time in whole seconds, UTC, written as `2025-11-20T21:14:07Z` ([RFC 3339]).
///
/// ```
/// use lock_model::Timestamp;
///
/// let said_by_a_registry = Timestamp::from_rfc3339("2025-11-20T22:14:07.25+01:00")?;
/// assert_eq!(said_by_a_registry.to_string(), "2025-11-20T21:14:07Z");
/// assert!("2025-11-20T22:14:07+01:00".parse::<Timestamp>().is_err(), "the lock has one form only");
/// # Ok::<(), lock_model::TimestampError>(())
/// ```
///
/// [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(description = "A time in whole seconds, UTC.", extend("format" = "date-time", "pattern" = PATTERN))
)]
pub struct Timestamp(i64);

/// Text that is no time in whole seconds UTC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{escaped}` is not a time in whole seconds UTC, such as `2025-11-20T21:14:07Z`")]
pub struct TimestampError {
    escaped: String,
}

impl Timestamp {
    /// Makes a time from seconds since 1970-01-01T00:00:00Z; values outside the years 0 to 9999 are clamped to them.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.clamp(YEAR_ZERO, jiff::Timestamp::MAX.as_second()))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn as_unix_seconds(self) -> i64 {
        self.0
    }

    /// Reads any RFC 3339 time, with offset and fractions, and drops the fraction: what registries and git write.
    pub fn from_rfc3339(text: &str) -> Result<Self, TimestampError> {
        let time = jiff::Timestamp::from_str(text).map_err(|_| TimestampError { escaped: escape_short(text, 40) })?;
        let seconds = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
        if seconds < YEAR_ZERO { Err(TimestampError { escaped: escape_short(text, 40) }) } else { Ok(Self(seconds)) }
    }

    /// Reads the form of the HTTP header `Date`: `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn from_rfc2822(text: &str) -> Result<Self, TimestampError> {
        let time = jiff::fmt::rfc2822::parse(text).map_err(|_| TimestampError { escaped: escape_short(text, 40) })?;
        Ok(Self::from_unix_seconds(time.timestamp().as_second()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{time:.0}"),
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let time = Self::from_rfc3339(text)?;
        if time.to_string() == text { Ok(time) } else { Err(TimestampError { escaped: escape_short(text, 40) }) }
    }
}

serialised_as_text!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_a_time() {
        let time = Timestamp::from_rfc2822("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(time.to_string(), "1994-11-06T08:49:37Z");
        Timestamp::from_rfc2822("yesterday").unwrap_err();
    }

    #[test]
    fn one_form_only() {
        let time: Timestamp = "2025-11-20T21:14:07Z".parse().unwrap();
        assert_eq!(time.to_string(), "2025-11-20T21:14:07Z");
        assert_eq!(Timestamp::from_unix_seconds(time.as_unix_seconds()), time);
        for lax in ["2025-11-20", "2025-11-20T21:14:07.5Z", "2025-11-20T22:14:07+01:00", "2025-11-20t21:14:07Z", "x"] {
            assert_eq!(lax.parse::<Timestamp>(), Err(TimestampError { escaped: lax.to_owned() }));
        }
        for edge in ["0000-01-01T00:00:00Z", "9999-12-30T22:00:00Z"] {
            assert_eq!(edge.parse::<Timestamp>().unwrap().to_string(), edge);
        }
        assert_eq!(Timestamp::from_unix_seconds(i64::MIN).to_string(), "0000-01-01T00:00:00Z");
        Timestamp::from_rfc3339("-000001-12-31T23:59:59Z").unwrap_err();
        let image = Timestamp::from_rfc3339("2025-11-20T22:14:07.999999+01:00").unwrap();
        assert_eq!(image, time);
    }
}
