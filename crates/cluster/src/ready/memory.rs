use std::collections::BTreeMap;
use std::time::Duration;

use crate::object::ObjectKey;
use crate::verdict::{Cause, FailureClass, Permanence, Verdict};

type CauseId = (ObjectKey, Option<String>, FailureClass);

/// What was seen of one object before: since when each cause has lasted.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    now: Duration,
    causes: BTreeMap<CauseId, Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    since: Duration,
    /// When it could go away at any time last; `since` where it never could.
    temporary: Duration,
    /// Whether the present call has seen it.
    again: bool,
    message: String,
}

impl Memory {
    /// Sets the time, as the time since any fixed moment that is the same for all calls.
    pub fn set_now(&mut self, now: Duration) {
        self.now = now;
    }

    /// Whether a verdict can change without a change of the objects.
    pub fn is_counting(&self) -> bool {
        !self.causes.is_empty()
    }

    pub(super) fn begin(&mut self) {
        for seen in self.causes.values_mut() {
            seen.again = false;
        }
    }

    pub(super) fn forget_the_rest(&mut self) {
        self.causes.retain(|_, seen| seen.again);
    }

    /// Notes the cause, and makes it permanent where it has lasted long enough.
    ///
    /// Its time begins once it is no longer temporary, and is at least as long as it was that: a controller that backs off
    /// doubles its pauses, so that the next attempt comes within the time that the ones before took.
    pub(super) fn noted(&mut self, mut cause: Cause) -> Cause {
        let now = self.now;
        let seen = self.note(&cause);
        match cause.permanence {
            Permanence::After(limit) => {
                let limit = limit.max(seen.temporary.saturating_sub(seen.since));
                if now.saturating_sub(seen.temporary) >= limit {
                    cause.permanence = Permanence::Permanent;
                }
            }
            Permanence::Temporary => seen.temporary = now,
            Permanence::Permanent => {}
        }
        cause
    }

    /// What was said when this cause was seen before.
    pub(super) fn message(&self, object: &ObjectKey, container: &str, class: FailureClass) -> Option<&str> {
        let id = (object.clone(), Some(container.to_owned()), class);
        self.causes.get(&id).map(|seen| seen.message.as_str())
    }

    /// Failed when one of the causes is permanent, else waiting.
    pub(super) fn judged(&mut self, detail: &str, causes: Vec<Cause>) -> Verdict {
        let causes: Vec<_> = causes.into_iter().map(|cause| self.noted(cause)).collect();
        if causes.iter().any(Cause::is_permanent) {
            Verdict::failed(detail, causes)
        } else {
            Verdict::waiting_for(detail, causes)
        }
    }

    fn note(&mut self, cause: &Cause) -> &mut Seen {
        let id = (cause.object.clone(), cause.container.clone(), cause.class);
        let (now, message) = (self.now, cause.message.clone());
        let seen = self.causes.entry(id).or_insert(Seen { since: now, temporary: now, again: true, message });
        seen.again = true;
        seen
    }
}
