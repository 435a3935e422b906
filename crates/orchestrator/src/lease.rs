//! The lease of an environment: one run at a time.

use std::time::{Duration, Instant};

use forge::{Lease, LeaseHolder, LeaseOutcome};
use lock_model::EnvironmentName;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};

/// How often a waiting run looks whether the environment is free.
const LEASE_POLL: Duration = Duration::from_millis(200);

/// Takes the environment's lease, waiting up to `wait`. It ends with the value, and with the process.
pub(crate) async fn lease(context: &Context, name: &EnvironmentName, wait: Duration) -> Result<Lease> {
    context.needs_history()?;
    let holder = format!("{} (run {}, attempt {})", context.run.actor, context.run.id, context.run.attempt);
    let patience = Instant::now() + wait;
    let mut said = false;
    loop {
        let busy = match context.forge.lease(name, &holder).await? {
            LeaseOutcome::Held(lease) => return Ok(lease),
            LeaseOutcome::Busy { holder } => holder.map_or_else(
                || "another run works on it".to_owned(),
                |LeaseHolder { holder, since, .. }| format!("{holder} works on it since {since}"),
            ),
        };
        if Instant::now() >= patience {
            return Err(Error::new(ErrorKind::Temporary, format!("`{name}` is busy: {busy}"))
                .hint("run the same command again later; `run`, `deploy` and `rollback` wait with `--wait 10m`"));
        }
        if !said {
            context.note(format!("waiting: {busy}"));
            said = true;
        }
        tokio::time::sleep(LEASE_POLL).await;
    }
}
