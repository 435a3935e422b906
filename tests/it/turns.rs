//! Work of tests that takes both cores, a few at a time, beside work that waits.

use std::sync::{Condvar, Mutex, PoisonError};

/// How many have a turn at the same time.
const AT_ONCE: usize = 4;

static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// The right to work; given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn(());

/// Waits for a turn.
pub(crate) fn take_turn() -> Turn {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = GIVEN_BACK.wait_while(taken, |taken| *taken >= AT_ONCE).unwrap_or_else(PoisonError::into_inner);
    *taken += 1;
    Turn(())
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        GIVEN_BACK.notify_one();
    }
}
