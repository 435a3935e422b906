//! All checks, some at a time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::check::Check;
use crate::probe;
use crate::report::{CheckResult, CheckState, HealthReport};
use http_client::HttpClient;

/// The time before a probe is run again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs every check, at most `concurrency` at a time.
///
/// Dropping the future cancels what is under way, apart from programs, which end at their deadline or interrupt.
pub async fn run(checks: &[Check], client: &HttpClient, concurrency: NonZeroUsize) -> HealthReport {
    let slots = Arc::new(Semaphore::new(concurrency.get().min(Semaphore::MAX_PERMITS)));
    let mut tasks = JoinSet::new();
    for (index, check) in checks.iter().enumerate() {
        let (slots, check, client) = (Arc::clone(&slots), check.clone(), client.clone());
        tasks.spawn(async move {
            let _slot = slots.acquire_owned().await;
            (index, until_healthy(&check, &client).await)
        });
    }
    let mut found: Vec<Option<probe::Found>> = vec![None; checks.len()];
    while let Some(joined) = tasks.join_next().await {
        // A probe that panicked leaves its place empty.
        if let Ok((index, result)) = joined
            && let Some(place) = found.get_mut(index)
        {
            *place = Some(result);
        }
    }
    let results = checks.iter().zip(found).map(|(check, found)| {
        let (state, detail) = found.unwrap_or_else(|| (CheckState::Unknown, "the probe itself failed".to_owned()));
        CheckResult { name: check.name.clone(), state, severity: check.severity, detail }
    });
    HealthReport::new(results.collect())
}

/// Runs a probe as often as its check allows; the last state counts.
async fn until_healthy(check: &Check, client: &HttpClient) -> probe::Found {
    let mut found = probe::run(check, client).await;
    for _ in 0..check.retries {
        if found.0 == CheckState::Healthy {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        found = probe::run(check, client).await;
    }
    found
}
