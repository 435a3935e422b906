//! All checks, some at a time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::check::{Check, Severity};
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
            let ask = |_| probe::run(&check, &client);
            (index, until_healthy(&check.name, check.severity, check.retries, None, ask).await)
        });
    }
    let mut found: Vec<Option<CheckResult>> = vec![None; checks.len()];
    while let Some(joined) = tasks.join_next().await {
        // A probe that panicked leaves its place empty.
        if let Ok((index, result)) = joined
            && let Some(place) = found.get_mut(index)
        {
            *place = Some(result);
        }
    }
    let results = checks.iter().zip(found).map(|(check, found)| {
        let failed = || CheckResult::new(&check.name, CheckState::Unknown, check.severity, "the probe itself failed");
        found.unwrap_or_else(failed)
    });
    HealthReport::new(results.collect())
}

/// Asks until the answer is healthy: `retries` times more at most, a second after each answer, and not behind `until`. The
/// last answer counts.
///
/// `ask` is given the number of the attempt, from 1, and answers with a state and one escaped line.
pub async fn until_healthy<F: Future<Output = (CheckState, String)>>(
    name: &str,
    severity: Severity,
    retries: u32,
    until: Option<Instant>,
    ask: impl Fn(u32) -> F,
) -> CheckResult {
    let begun = Instant::now();
    let mut attempts = 1;
    let (mut state, mut detail) = ask(attempts).await;
    while state != CheckState::Healthy
        && attempts <= retries
        && until.is_none_or(|until| Instant::now() + PAUSE < until)
    {
        tokio::time::sleep(PAUSE).await;
        attempts += 1;
        (state, detail) = ask(attempts).await;
    }
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    CheckResult { name: name.to_owned(), state, severity, detail, attempts, duration_ms }
}
