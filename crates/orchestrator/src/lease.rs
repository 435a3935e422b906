//! The lease of an environment: one run at a time.

use std::time::{Duration, Instant};

use config::Environment;
use forge::{Lease, LeaseHolder, LeaseOutcome};
use ledger::{RecordDraft, Step, StepResult};
use lock_model::EnvironmentName;
use promotion::interruption::lease_broken;
use promotion::places;

use crate::cluster_target::ClusterPlace;
use crate::context::Context;
use crate::engine::interrupted;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_rights::may_record;
use crate::ledger_store::LedgerStore;
use crate::revision::load_config;

/// How often a waiting run looks whether the environment is free.
const LEASE_POLL: Duration = Duration::from_millis(200);

/// What other runs read of this one.
fn holder_name(context: &Context) -> String {
    format!("{} (run {}, attempt {})", context.run.actor, context.run.id, context.run.attempt)
}

/// Takes the environment's lease, waiting up to `wait`. It ends with the value, and with the process.
pub(crate) async fn lease(context: &Context, name: &EnvironmentName, wait: Duration) -> Result<Lease> {
    context.needs_history()?;
    let holder = holder_name(context);
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

/// How a command takes the lease of an environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseDemand<'a> {
    /// How long it waits for the run that has it.
    pub wait: Duration,
    /// Why it takes the lease from a run that does not give it back in that time; `None`: it does not.
    pub break_for: Option<&'a str>,
}

/// The lease of an environment, as a command demanded it.
pub(crate) struct DemandedLease {
    _lease: Lease,
    /// Number of the record that says that it was taken from another run.
    pub broken_at: Option<u64>,
}

impl DemandedLease {
    fn given(lease: Lease) -> Self {
        Self { _lease: lease, broken_at: None }
    }
}

/// Takes the environment's lease as a command demands. A lease that is broken is recorded before anything else.
pub(crate) async fn lease_or_break(
    context: &Context,
    environment: &Environment,
    demand: LeaseDemand<'_>,
) -> Result<DemandedLease> {
    let is_in_cluster = environment.cluster_namespace().is_some();
    match demand.break_for {
        None => lease(context, &environment.name, demand.wait)
            .await
            .map(DemandedLease::given)
            .map_err(|error| busy_hint(error, is_in_cluster)),
        Some(reason) => {
            may_be_broken(environment)?;
            let taken = lease(context, &environment.name, demand.wait).await;
            broken(context, environment, taken, reason).await
        }
    }
}

/// Names the way out where a cluster stops the run that lost its lease.
fn busy_hint(error: Error, is_in_cluster: bool) -> Error {
    if error.kind() != ErrorKind::Temporary || !is_in_cluster {
        return error;
    }
    error.hint("where that run hangs, `--break-lease --reason TEXT` takes the lease from it, and the ledger says so")
}

/// Only a cluster stops the run that lost its lease before its next write.
fn may_be_broken(environment: &Environment) -> Result<()> {
    if environment.cluster_namespace().is_some() {
        return Ok(());
    }
    let message = format!("the lease of `{}` cannot be broken: the environment is in no cluster", environment.name);
    Err(Error::new(ErrorKind::Usage, message)
        .hint("it ends with the process of the run that has it: end that process, or wait with `--wait`"))
}

/// Takes the lease from the run that has it, where `taken` is the answer that it does not give it back, and records who did
/// that, why, and whom it concerns. Another run may break this one as well, while it waits for the run that had it to stop.
async fn broken(
    context: &Context,
    environment: &Environment,
    taken: Result<Lease>,
    reason: &str,
) -> Result<DemandedLease> {
    let name = &environment.name;
    let (lease, run) = match taken {
        Ok(lease) => {
            let run = lease.abandoned_by().map(|before| before.holder.clone());
            (lease, run)
        }
        Err(error) if error.kind() == ErrorKind::Temporary => {
            may_record(context, Step::BreakLease, StepResult::Ok).await?;
            let lease = context.forge.break_lease(name, &holder_name(context)).await?;
            let run = lease.abandoned_by().map_or_else(|| "a run".to_owned(), |before| before.holder.clone());
            (lease, Some(run))
        }
        Err(error) => return Err(error),
    };
    // The run that has it ends at its next look, whatever this one has left to do in the cluster.
    let mut store = LedgerStore::read(context).await?;
    let place = cluster_of(context, environment).await?;
    let in_cluster = match &place {
        Some(place) => place.break_lease(context, places::has_given_place(store.ledger(), environment)).await,
        None => Ok(None),
    };
    let of_cluster = in_cluster.as_ref().ok().and_then(Option::as_ref);
    let from_cluster = of_cluster.map(|broken| format!("{} in the cluster", broken.from));
    let from: Vec<String> = run.into_iter().chain(from_cluster).collect();
    if from.is_empty() {
        in_cluster?;
        context.note("no run has the lease: nothing is broken");
        return Ok(DemandedLease::given(lease));
    }
    let from = from.join(", ");
    let draft = RecordDraft::new(Step::BreakLease, StepResult::Ok, context.run.clone(), context.now())
        .environment(name)
        .reason(&format!("{reason} (taken from {from})"));
    let broken_at = store.append(context, draft, &[], |_| Ok(())).await?;
    context.note(format!("the lease of {name} was taken from {from}"));
    if let (Some(place), Some(broken)) = (place, in_cluster?) {
        place.give_back(broken).await?;
    }
    if let Some(since) = broken_at {
        let store = LedgerStore::read(context).await?;
        if let Some(interruption) = lease_broken(store.ledger(), name, &context.run, since) {
            return Err(interrupted(name, &interruption));
        }
    }
    Ok(DemandedLease { _lease: lease, broken_at })
}

/// How often a rollback asks: a run takes the lease of the cluster only once it deploys.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Takes the lease for a rollback: the run that deploys to the environment's cluster is asked to stop, and waited for as
/// long as `patience` says, or `wait` where that is longer. Only then the lease is broken, where the caller demands that.
pub(crate) async fn lease_for_rollback(
    context: &Context,
    environment: &Environment,
    demand: LeaseDemand<'_>,
    patience: Duration,
) -> Result<DemandedLease> {
    if demand.break_for.is_some() {
        may_be_broken(environment)?;
    }
    let taken = yielded_lease(context, environment, demand.wait, patience).await;
    match demand.break_for {
        None => {
            taken.map(DemandedLease::given).map_err(|error| busy_hint(error, environment.cluster_namespace().is_some()))
        }
        Some(reason) => broken(context, environment, taken, reason).await,
    }
}

async fn yielded_lease(
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
