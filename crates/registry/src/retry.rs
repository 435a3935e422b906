use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How often, and after what time, a request is sent again when its failure can pass by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent again.
    pub retries: u32,
    /// The wait before the first retry; each further one doubles it.
    pub first_wait: Duration,
    /// The longest wait that doubling leads to. A registry that asks for more gets more.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 3, first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(8) }
    }
}

impl RetryPolicy {
    /// The wait before retry number `retry`, counted from 0, when the registry asked for `asked`.
    pub fn wait(&self, retry: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first_wait.saturating_mul(2_u32.saturating_pow(retry)).min(self.longest_wait);
        asked.map_or(doubled, |asked| asked.max(doubled))
    }
}

/// Reads `Retry-After`: seconds, or a date, which is compared with the answer's own date, since this is the clock that
/// it was written by.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(text)?;
    let now = http_date(headers.get(DATE)?.to_str().ok()?)?;
    Some(Duration::from_secs(u64::try_from(until - now).unwrap_or(0)))
}

fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        let waits: Vec<u128> = (0..7).map(|retry| policy.wait(retry, None).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000]);
        assert_eq!(policy.wait(200, None), policy.longest_wait);
        assert_eq!(policy.wait(0, Some(Duration::from_secs(60))), Duration::from_secs(60));
        assert_eq!(policy.wait(2, Some(Duration::ZERO)), Duration::from_secs(1));
    }

    #[test]
    fn f14_retry_after_is_seconds_or_a_date() {
        let headers = |pairs: &[(reqwest::header::HeaderName, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
        };
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:50:37 GMT";
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "120")])), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, later), (DATE, date)])), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, date), (DATE, later)])), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, later)])), None);
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "soon")])), None);
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "-1")])), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
