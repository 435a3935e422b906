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

/// How long work may take that has to end in order.
const PATIENCE: Duration = Duration::from_secs(20);

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
    let signalled = Instant::now();
    while INTERRUPT.is_held() && signalled.elapsed() < PATIENCE {
        tokio::time::sleep(HEARTBEAT).await;
    }
}
