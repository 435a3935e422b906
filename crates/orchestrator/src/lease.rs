//! The lease of an environment: one run at a time.

use std::time::{Duration, Instant};

use config::Environment;
use forge::{Lease, LeaseHolder, LeaseOutcome};
use lock_model::EnvironmentName;

use crate::cluster_target::ClusterPlace;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::revision::load_config;

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

/// How often a rollback asks: a run takes the lease of the cluster only once it deploys.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Takes the lease for a rollback: the run that deploys to the environment's cluster is asked to stop, and waited for as
/// long as `patience` says, or `wait` where that is longer.
pub(crate) async fn lease_for_rollback(
    context: &Context,
    environment: &Environment,
    wait: Duration,
    patience: Duration,
) -> Result<Lease> {
    let name = &environment.name;
    let busy = match lease(context, name, Duration::ZERO).await {
        Err(error) if error.kind() == ErrorKind::Temporary => error,
        answer => return answer,
    };
    let place = cluster_of(context, environment).await?;
    let Some(place) = place.filter(|_| !patience.is_zero()) else {
        return if wait.is_zero() { Err(busy) } else { lease(context, name, wait).await };
    };
    let taken = lease(context, name, wait.max(patience));
    tokio::pin!(taken);
    let mut has_asked = false;
    loop {
        match place.ask_to_yield(context).await {
            Ok(Some(run)) if !has_asked => {
                has_asked = true;
                context.note(format!("run {run} is asked to stop"));
            }
            Ok(_) => {}
            Err(error) => context.note(format!("the run that deploys cannot be asked to stop: {}", error.message())),
        }
        tokio::select! {
            answer = &mut taken => return answer,
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
}

/// The cluster that the newest configuration of the environment's branch names.
async fn cluster_of(context: &Context, environment: &Environment) -> Result<Option<ClusterPlace>> {
    let Some(branch) = &environment.branch else { return Ok(None) };
    let Some(head) = context.find_branch_head(branch.as_str()).await? else { return Ok(None) };
    let config = load_config(context, head.as_str())?;
    Ok(config.and_then(|config| ClusterPlace::of(context, &config, environment)))
}
