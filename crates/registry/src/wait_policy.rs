//! Waiting for images that are still being built.

use std::time::Duration;

use tokio::time::Instant;

/// How long images that are not there yet are waited for, and how often they are asked for meanwhile.
///
/// The wait between two looks grows by half each time, up to the longest; the last look is at the end of `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitPolicy {
    /// How long in all. Nothing is waited for when it is zero.
    pub total: Duration,
    /// The wait after the first look.
    pub first_poll: Duration,
    /// The longest wait between two looks.
    pub longest_poll: Duration,
}

impl WaitPolicy {
    /// What is not there now is missing.
    pub const NONE: Self = Self { total: Duration::ZERO, first_poll: Duration::ZERO, longest_poll: Duration::ZERO };

    /// Waits that suit builds, which take minutes.
    pub fn up_to(total: Duration) -> Self {
        Self { total, first_poll: Duration::from_secs(2), longest_poll: Duration::from_secs(30) }
    }

    /// The waits from now on, which end before `deadline`.
    pub(crate) fn polls(self, now: Instant, deadline: Instant) -> Polls {
        let until = now.checked_add(self.total).map_or(deadline, |until| until.min(deadline));
        Polls { next: self.first_poll, longest: self.longest_poll, until }
    }
}

/// The waits between looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polls {
    next: Duration,
    longest: Duration,
    until: Instant,
}

impl Polls {
    /// How long to wait before the next look; `None` when there is none.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Duration> {
        let left = self.left(now).filter(|left| !left.is_zero())?;
        // A wait of nothing would be a loop that never rests.
        let wait = self.next.max(Duration::from_millis(1)).min(left);
        self.next = wait.saturating_mul(3).div_f32(2.0).min(self.longest);
        Some(wait)
    }

    /// How long is left; `None` when the end has passed.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        self.until.checked_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn f18_waits_grow_to_the_longest_and_the_last_look_is_at_the_end() {
        let start = Instant::now();
        let policy = WaitPolicy::up_to(Duration::from_secs(120));
        let mut polls = policy.polls(start, start + Duration::from_secs(300));
        let mut now = start;
        let mut waits = Vec::new();
        while let Some(wait) = polls.next(now) {
            now += wait;
            waits.push(wait.as_secs_f32());
        }
        assert_eq!(waits, [2.0, 3.0, 4.5, 6.75, 10.125, 15.1875, 22.78125, 30.0, 25.65625]);
        assert_eq!(now - start, policy.total);
    }

    #[tokio::test(start_paused = true)]
    async fn f18_the_deadline_ends_every_wait() {
        let start = Instant::now();
        let mut polls = WaitPolicy::up_to(Duration::MAX).polls(start, start + Duration::from_secs(3));
        assert_eq!(polls.next(start), Some(Duration::from_secs(2)));
        assert_eq!(polls.next(start + Duration::from_secs(2)), Some(Duration::from_secs(1)));
        assert_eq!(polls.next(start + Duration::from_secs(3)), None);
        assert_eq!(WaitPolicy::NONE.polls(start, start + Duration::from_secs(3)).next(start), None);
    }
}
