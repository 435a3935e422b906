use std::sync::atomic::{AtomicU64, Ordering};
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

impl RetryPolicy {
    /// The wait with a random part, so that many who were refused together do not come back together: between half of
    /// the doubled time and all of it, and never less than what the registry asked for.
    pub(crate) fn jittered(&self, retry: u32, asked: Option<Duration>, random: u64) -> Duration {
        let whole = self.wait(retry, None);
        // 32 of the 64 random bits are enough, and exact in a float.
        let part = f64::from(u32::try_from(random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        let extra = (whole / 2).mul_f64(part);
        (whole / 2).max(asked.unwrap_or_default()).saturating_add(extra)
    }
}

/// Random enough to spread waits, and the same for the same seed ([SplitMix64]).
///
/// [SplitMix64]: https://prng.di.unimi.it/splitmix64.c
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
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
    fn b8_waits_are_spread_the_same_way_for_the_same_seed() {
        let policy = RetryPolicy::default();
        let waits = |seed| {
            let jitter = Jitter::new(seed);
            (0..100).map(|_| policy.jittered(2, None, jitter.next())).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
        let (least, most) = (Duration::from_millis(500), Duration::from_secs(1));
        assert!(waits(7).iter().all(|wait| (least..=most).contains(wait)));
        assert!(waits(7).iter().any(|wait| *wait < Duration::from_millis(600)));
        assert!(waits(7).iter().any(|wait| *wait > Duration::from_millis(900)));
        let asked = Duration::from_secs(60);
        assert!((0..100).all(|random| policy.jittered(0, Some(asked), random << 57) >= asked));
        // The reference's first outputs for the seed 1234567.
        let jitter = Jitter::new(1_234_567);
        assert_eq!([jitter.next(), jitter.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
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
