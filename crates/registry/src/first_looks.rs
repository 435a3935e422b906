//! When second looks at tags may begin.

use tokio::sync::watch;
use tokio::time::Instant;

/// How many requests of a round still wait for the first answer about their tag.
///
/// All tags stood for their digests at one instant if each was looked at before it and again after it. So second looks
/// may begin once every tag has its first answer, beside the configurations that are still being read. Where one has none,
/// none begins in this round: each tag would have to be looked at once more after the missing one was found.
pub(crate) struct FirstLooks {
    waiting: watch::Sender<usize>,
}

impl FirstLooks {
    pub(crate) fn new(requests: usize) -> Self {
        Self { waiting: watch::Sender::new(requests) }
    }

    /// The part of one request; every request of the round takes one.
    pub(crate) fn of_one(&self) -> FirstLook<'_> {
        FirstLook { looks: self, is_answered: false }
    }

    pub(crate) fn are_answered(&self) -> bool {
        *self.waiting.borrow() == 0
    }

    /// Returns once no request waits any more, which is never where one finds nothing.
    pub(crate) async fn answered(&self) {
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|waiting| *waiting == 0).await.expect("this holds the sender");
    }
}

/// The first look of one request.
pub(crate) struct FirstLook<'a> {
    looks: &'a FirstLooks,
    is_answered: bool,
}

impl<'a> FirstLook<'a> {
    /// Says that this request's tag was found, or that it has no tag to be looked at now; of further candidates nothing is
    /// counted.
    pub(crate) fn answer(&mut self) -> &'a FirstLooks {
        if !self.is_answered {
            self.is_answered = true;
            self.looks.waiting.send_if_modified(|waiting| {
                *waiting -= 1;
                *waiting == 0
            });
        }
        self.looks
    }
}

/// When a tag was looked at in this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LookTimes {
    /// When the first answer was there; `None` where an earlier command looked first.
    pub(crate) first: Option<Instant>,
    /// When the last look with the same answer began.
    pub(crate) second: Option<Instant>,
}

impl LookTimes {
    /// Whether the second look began after the first answer about every tag, of which this one was the last.
    pub(crate) fn confirm(self, last_answer: Option<Instant>) -> bool {
        self.second.is_some_and(|second| last_answer.is_none_or(|answer| second >= answer))
    }
}
