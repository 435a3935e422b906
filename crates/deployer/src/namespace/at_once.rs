//! Several questions to the API server at once.

use tokio::task::JoinSet;

/// How many are asked at once.
pub(crate) const AT_ONCE: usize = 16;

/// Does work on every item, several at once; the answers are in the order of the items.
pub(crate) async fn at_once<I, A, F>(items: Vec<I>, work: impl Fn(I) -> F + Send) -> Vec<A>
where
    I: Send,
    A: Send + 'static,
    F: Future<Output = A> + Send + 'static,
{
    at_most(AT_ONCE, items, work).await
}

/// The same with another limit; 0 counts as 1.
pub(crate) async fn at_most<I, A, F>(limit: usize, items: Vec<I>, work: impl Fn(I) -> F + Send) -> Vec<A>
where
    I: Send,
    A: Send + 'static,
    F: Future<Output = A> + Send + 'static,
{
    let mut waiting = items.into_iter().enumerate();
    let mut running = JoinSet::new();
    let mut answers = Vec::new();
    loop {
        while running.len() < limit.max(1)
            && let Some((index, item)) = waiting.next()
        {
            let work = work(item);
            running.spawn(async move { (index, work.await) });
        }
        match running.join_next().await {
            Some(Ok(answer)) => answers.push(answer),
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => break,
        }
    }
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn no_more_than_the_limit_are_under_way() {
        for (limit, expected) in [(0, 1), (1, 1), (3, 3)] {
            let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let answers = at_most(limit, (0..9).collect(), |item: usize| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                async move {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    item
                }
            });
            assert_eq!(answers.await, (0..9).collect::<Vec<_>>());
            assert_eq!(most.load(Ordering::SeqCst), expected, "limit {limit}");
        }
    }
}
