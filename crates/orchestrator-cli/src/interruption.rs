//! Ctrl-C and SIGTERM: children are ended, nothing new is begun, and the next run goes on from the ledger.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use orchestrator::ErrorKind;
use process::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::exit_code::ExitCode;

/// Signals belong to the whole process, and so does the request.
static INTERRUPT: LazyLock<Interrupt> = LazyLock::new(Interrupt::new);

/// How often a waiting command looks whether it is asked to stop.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// How long work may take after a signal that has to end in order.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it may take after the deadline, so that it says what it has changed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The request that children are started with.
pub(crate) fn interrupt() -> Interrupt {
    INTERRUPT.clone()
}

/// Turns the first signal into a request; the second ends the process at once.
pub(crate) fn listen() -> io::Result<()> {
    let flag = INTERRUPT.flag();
    for signal in [SIGINT, SIGTERM] {
        let code = i32::from(ExitCode::from(ErrorKind::Interrupted).number());
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(())
}

/// Whether a signal came.
pub(crate) fn is_requested() -> bool {
    INTERRUPT.is_requested()
}

/// Ends when a signal comes; where work has to end in order, once it has, or takes too long.
pub(crate) async fn requested() {
    while !is_requested() {
        tokio::time::sleep(HEARTBEAT).await;
    }
    ended_in_order(&INTERRUPT, PATIENCE).await;
}

/// Ends at the deadline; where work has to end in order, once it has, or takes too long.
pub(crate) async fn deadline_passed(deadline: Duration) {
    tokio::time::sleep(deadline).await;
    ended_in_order(&INTERRUPT, LAST_WORDS).await;
}

async fn ended_in_order(interrupt: &Interrupt, patience: Duration) {
    let begun = Instant::now();
    while interrupt.is_held() && begun.elapsed() < patience {
        tokio::time::sleep(HEARTBEAT).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_ends_in_order_is_waited_for_and_no_longer_than_is_due() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let interrupt = Interrupt::new();
        let waits = |patience| {
            let begun = Instant::now();
            runtime.block_on(ended_in_order(&interrupt, patience));
            begun.elapsed()
        };
        let patience = Duration::from_millis(300);
        let held = interrupt.hold();
        assert!(waits(patience) >= patience);
        drop(held);
        assert!(waits(Duration::from_secs(600)) < Duration::from_secs(60));
    }
}
