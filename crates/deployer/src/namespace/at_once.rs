//! Several questions to the API server at once.

use tokio::task::JoinSet;

/// How many are asked at once.
const AT_ONCE: usize = 16;

/// Does work on every item, several at once; the answers are in the order of the items.
pub(crate) async fn at_once<I, A, F>(items: Vec<I>, work: impl Fn(I) -> F + Send) -> Vec<A>
where
    I: Send,
    A: Send + 'static,
    F: Future<Output = A> + Send + 'static,
{
    let mut waiting = items.into_iter().enumerate();
    let mut running = JoinSet::new();
    let mut answers = Vec::new();
    loop {
        while running.len() < AT_ONCE
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
