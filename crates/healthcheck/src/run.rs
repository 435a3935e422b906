//! Asking all questions, some at a time.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::check::Check;
use crate::probe;
use crate::report::{CheckResult, CheckState, HealthReport};

/// Asks every check, at most `concurrency` at a time, and says what follows.
///
/// `client` is the one of [`http_client`](crate::http_client). The report comes at the latest when the last deadline
/// has passed; dropping the future ends what is under way.
pub async fn run(checks: &[Check], client: &reqwest::Client, concurrency: NonZeroUsize) -> HealthReport {
    let slots = Arc::new(Semaphore::new(concurrency.get().min(Semaphore::MAX_PERMITS)));
    let mut tasks = JoinSet::new();
    let mut asked = std::collections::BTreeMap::new();
    for (index, check) in checks.iter().enumerate() {
        let (slots, check, client) = (Arc::clone(&slots), check.clone(), client.clone());
        let task = tasks.spawn(async move {
            let _slot = slots.acquire_owned().await;
            probe::ask(&check, &client).await
        });
        asked.insert(task.id(), index);
    }
    let mut answers: Vec<Option<probe::Answer>> = vec![None; checks.len()];
    while let Some(joined) = tasks.join_next_with_id().await {
        let (id, answer) = match joined {
            Ok((id, answer)) => (id, answer),
            Err(error) => (error.id(), (CheckState::Unknown, "the probe itself failed".to_owned())),
        };
        if let Some(slot) = asked.get(&id).and_then(|index| answers.get_mut(*index)) {
            *slot = Some(answer);
        }
    }
    let results = checks.iter().zip(answers).map(|(check, answer)| {
        let (state, detail) = answer.unwrap_or((CheckState::Unknown, "the probe itself failed".to_owned()));
        CheckResult { name: check.name.clone(), state, severity: check.severity, detail }
    });
    HealthReport::of(results.collect())
}
