//! A few things at once, and not all of them.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As many remotes are asked at once, unless the caller wants otherwise.
pub(crate) const AT_ONCE: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");

/// Applies a function to every item with at most this many threads; the answers come in the order of the items.
pub(crate) fn in_parallel<T: Sync, A: Send>(
    items: &[T],
    at_once: NonZeroUsize,
    apply: impl Fn(&T) -> A + Sync,
) -> Vec<A> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(items.len()));
    let work = || {
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            let answer = apply(item);
            answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, answer));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..at_once.get().min(items.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_their_order_and_no_more_than_allowed_run_at_once() {
        let running = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let items: Vec<usize> = (0..100).collect();
        let limit = NonZeroUsize::new(3).unwrap();
        let answers = in_parallel(&items, limit, |item| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            item * 2
        });
        assert_eq!(answers, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!((1..=3).contains(&most.into_inner()));
        assert!(in_parallel(&[], limit, |item: &usize| *item).is_empty());
    }
}
