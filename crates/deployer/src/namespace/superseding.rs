//! A newer release that waits for the end of a deployment: one that is failing already ends for it, a healthy one does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cluster::{FailureClass, ObjectKey, Verdict};

/// How long something has to be wrong without a break, so that a deployment counts as failing.
const FAILING: Duration = Duration::from_secs(10);
/// The same for probes, which fail while a program starts.
const PROBE_FAILING: Duration = Duration::from_secs(60);

/// Whether a newer release is there for the environment of a deployment; shared by all copies.
#[derive(Clone, Debug, Default)]
pub struct Superseding(Arc<OnceLock<String>>);

impl Superseding {
    /// Says that a newer release is there, and which; the first one counts.
    pub fn set(&self, newer: String) {
        self.0.set(newer).unwrap_or_default();
    }

    /// The newer release, as people read it.
    pub fn newer(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// What is wrong with objects that are waited for, and since when.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<BTreeMap<ObjectKey, Troubled>>);

#[derive(Debug)]
struct Troubled {
    since: Instant,
    is_probe: bool,
}

impl Trouble {
    /// Takes a new verdict on an object.
    pub(super) fn judged(&self, object: &ObjectKey, verdict: &Verdict, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let causes = verdict.causes();
        if causes.is_empty() {
            known.remove(object);
            return;
        }
        let is_probe = causes.iter().all(|cause| cause.class == FailureClass::Probe);
        let troubled = known.entry(object.clone()).or_insert(Troubled { since: now, is_probe });
        if troubled.is_probe && !is_probe {
            troubled.since = now;
        }
        troubled.is_probe = is_probe;
    }

    /// Whether something has been wrong for so long that the deployment is failing.
    pub(super) fn is_failing(&self, now: Instant) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().any(|troubled| {
            let limit = if troubled.is_probe { PROBE_FAILING } else { FAILING };
            now.saturating_duration_since(troubled.since) >= limit
        })
    }
}

#[cfg(test)]
mod tests {
    use cluster::{Cause, Kind, Permanence};

    use super::*;

    #[test]
    fn only_what_is_wrong_for_a_while_counts_as_failing() {
        let key = ObjectKey::namespaced(Kind::new("apps/v1", "Deployment"), "shop", "cart");
        let cause = |class| Cause::new(class, Permanence::Temporary, &key, "x");
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let trouble = Trouble::default();
        let judged = |class: Option<FailureClass>, seconds| {
            let verdict = Verdict::waiting_for("runs", class.into_iter().map(cause).collect());
            trouble.judged(&key, &verdict, at(seconds));
        };
        judged(None, 0);
        assert!(!trouble.is_failing(at(600)), "things take their course");
        // A program that starts slowly.
        judged(Some(FailureClass::Probe), 0);
        assert!(!trouble.is_failing(at(59)));
        assert!(trouble.is_failing(at(60)));
        // It has ended, and begins to count anew.
        judged(Some(FailureClass::Crash), 61);
        assert!(!trouble.is_failing(at(70)));
        assert!(trouble.is_failing(at(71)));
        // It recovers.
        judged(None, 72);
        assert!(!trouble.is_failing(at(600)));
        judged(Some(FailureClass::Scheduling), 600);
        trouble.judged(&key, &Verdict::ready("is ready"), at(605));
        assert!(!trouble.is_failing(at(700)));
    }

    #[test]
    fn the_first_newer_release_is_named() {
        let superseding = Superseding::default();
        assert_eq!(superseding.newer(), None);
        superseding.clone().set("release 1".to_owned());
        superseding.set("release 2".to_owned());
        assert_eq!(superseding.newer(), Some("release 1"));
    }
}
