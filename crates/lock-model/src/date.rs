use std::fmt;
use std::str::FromStr;

use crate::Timestamp;
use crate::escaping::escape_short;

/// A calendar day, UTC, written as `2025-11-20`.
///
/// ```
/// use lock_model::{Date, Timestamp};
///
/// let until: Date = "2025-11-20".parse()?;
/// let now: Timestamp = "2025-11-20T21:14:07Z".parse()?;
/// assert!(now.date() <= until, "the last day still counts");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(description = "A calendar day, UTC.", extend("format" = "date", "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))
)]
pub struct Date(jiff::civil::Date);

/// Text that is no calendar day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{escaped}` is not a day, such as `2025-11-20`")]
pub struct DateError {
    escaped: String,
}

impl Timestamp {
    /// The day that this time falls on, UTC.
    pub fn date(self) -> Date {
        let time = jiff::Timestamp::from_second(self.as_unix_seconds()).expect("a `Timestamp` is within jiff's range");
        Date(time.to_zoned(jiff::tz::TimeZone::UTC).date())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let error = || DateError { escaped: escape_short(text, 40) };
        let date: jiff::civil::Date = text.parse().map_err(|_| error())?;
        if date.year() >= 0 && date.to_string() == text { Ok(Self(date)) } else { Err(error()) }
    }
}

serialised_as_text!(Date);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_only() {
        for good in ["2025-11-20", "2024-02-29", "0000-01-01", "9999-12-31"] {
            assert_eq!(good.parse::<Date>().unwrap().to_string(), good);
        }
        for bad in ["2025-02-29", "2025-1-2", "20251120", "2025-11-20T00:00:00", "-000001-01-01", "", "2025-W01-1"] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }
}
