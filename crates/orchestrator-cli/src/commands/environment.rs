//! The commands that work on an environment.

use orchestrator::{self as library, Context, DeployRequest, Opened, Result};
use orchestrator::{HistoryRequest, RollbackRequest, RunRequest, TestRequest};

use crate::arguments::{
    AnyEnvironmentArgs, ApprovalsArgs, DeployArgs, EnvironmentArgs, HistoryArgs, HistoryCommand, HoldArgs,
    PermissionsArgs, PlanArgs, PolicyAcceptArgs, PolicyTakeOverArgs, PromoteArgs, ReleaseArgs, ReleasesArgs,
    RollbackArgs, RunArgs, TestRunArgs, UnholdArgs,
};
use crate::output::Shown;

pub(crate) async fn run(context: &Context, args: RunArgs) -> Result<Shown> {
    let mut request = RunRequest::new(args.environment.name);
    request.revision = args.rev;
    request.wait = args.wait.unwrap_or_default();
    request.break_lease = args.reason.clone().filter(|_| args.break_lease);
    request.lift_hold = args.reason.filter(|_| args.lift_hold);
    request.accept = args.accept;
    request.on_failure = args.on_failure.into();
    Ok(Shown::report(&library::run(context, &request).await?))
}

pub(crate) async fn rollback(context: &Context, args: RollbackArgs) -> Result<Shown> {
    if args.check {
        return Ok(Shown::report(&library::check_rollbacks(context, &args.environment.name, None).await?));
    }
    let mut request = RollbackRequest::new(args.environment.name, args.reason.unwrap_or_default());
    request.to = args.to;
    request.wait = args.wait.unwrap_or_default();
    request.patience = args.patience.unwrap_or(request.patience);
    request.reject = args.reject;
    request.accept_irreversible = args.accept_irreversible;
    request.break_lease = args.break_lease;
    request.take = args.take.into_iter().collect();
    if args.dry_run {
        return Ok(Shown::report(&library::plan_rollback(context, &request).await?));
    }
    Ok(Shown::report(&library::rollback(context, &request).await?))
}

pub(crate) async fn deploy(context: &Context, args: DeployArgs) -> Result<Shown> {
    let mut request = DeployRequest::new(args.environment.name);
    request.revision = args.rev;
    request.wait = args.wait.unwrap_or_default();
    request.again = args.again;
    request.plan = args.plan;
    request.break_lease = args.reason.clone().filter(|_| args.break_lease);
    request.take = args.take.into_iter().collect();
    request.take_reason = args.reason.unwrap_or_default();
    request.on_failure = args.on_failure.into();
    Ok(Shown::report(&library::deploy(context, &request).await?))
}

pub(crate) async fn promote(context: &Context, args: &PromoteArgs) -> Result<Shown> {
    Ok(Shown::report(&library::promote(context, &args.environment.name).await?))
}

pub(crate) async fn release(context: &Context, args: &ReleaseArgs) -> Result<Shown> {
    Ok(Shown::report(&library::release(context, &args.environment.name, args.rev.as_deref()).await?))
}

pub(crate) async fn approvals(context: &Context, args: &ApprovalsArgs) -> Result<Shown> {
    Ok(Shown::report(&library::approvals(context, &args.environment, args.pull_request).await?))
}

pub(crate) async fn plan(opened: &Opened, args: &PlanArgs) -> Result<Shown> {
    let environment = &args.environment.name;
    Ok(Shown::report(&match (args.pull_request, &args.save) {
        (Some(number), _) => library::plan_pull_request(opened, environment, number).await?,
        (None, Some(file)) => library::save_plan(opened, environment, args.rev.as_deref(), file).await?,
        (None, None) => library::plan(opened, environment, args.rev.as_deref()).await?,
    }))
}

pub(crate) async fn drift(context: &Context, args: &EnvironmentArgs) -> Result<Shown> {
    Ok(Shown::report(&Box::pin(library::drift(context, &args.name)).await?))
}

pub(crate) async fn verify(context: &Context, args: &EnvironmentArgs) -> Result<Shown> {
    Ok(Shown::report(&library::verify(context, &args.name).await?))
}

pub(crate) async fn health(context: &Context, args: &EnvironmentArgs) -> Result<Shown> {
    Ok(Shown::report(&library::health(context, &args.name).await?))
}

pub(crate) async fn permissions(context: &Context, args: PermissionsArgs) -> Result<Shown> {
    let report = library::permissions(context, &args.environment.name).await?;
    if !args.role {
        return Ok(Shown::report(&report));
    }
    let result = serde_json::to_value(&report).expect("a report is plain data");
    Ok(Shown::with_result(report.manifests(), result))
}

pub(crate) async fn test(context: &Context, args: TestRunArgs) -> Result<Shown> {
    let mut request = TestRequest::new(args.environment.name);
    request.suites = args.suite;
    request.pull_request = args.pull_request;
    request.junit = args.junit;
    Ok(Shown::report(&library::run_tests(context, &request).await?))
}

pub(crate) async fn hold(context: &Context, args: &HoldArgs) -> Result<Shown> {
    Ok(Shown::report(&library::hold(context, &args.environment.name, &args.reason).await?))
}

pub(crate) async fn unhold(context: &Context, args: &UnholdArgs) -> Result<Shown> {
    let (environment, reason) = (&args.environment.name, &args.reason);
    Ok(Shown::report(&match &args.accept {
        Some(release) => library::accept_release(context, environment, release, reason).await?,
        None => library::unhold(context, environment, reason).await?,
    }))
}

pub(crate) async fn accept_policy(context: &Context, args: &PolicyAcceptArgs) -> Result<Shown> {
    Ok(Shown::report(&library::accept_policy(context, &args.environment.name, &args.commit, &args.reason).await?))
}

pub(crate) async fn take_over(context: &Context, args: &PolicyTakeOverArgs) -> Result<Shown> {
    Ok(Shown::report(&library::take_over(context, &args.environment.name, &args.reason).await?))
}

pub(crate) async fn status(context: &Context, args: &AnyEnvironmentArgs) -> Result<Shown> {
    Ok(Shown::report(&library::status(context, args.name.as_ref()).await?))
}

pub(crate) async fn history(context: &Context, args: &HistoryArgs) -> Result<Shown> {
    match &args.command {
        Some(HistoryCommand::Show { seq }) => return Ok(Shown::report(&library::show_record(context, *seq).await?)),
        Some(HistoryCommand::Evidence { seq, name }) => {
            return Ok(Shown::report(&library::show_evidence(context, *seq, name).await?));
        }
        None => {}
    }
    let mut request = HistoryRequest::default();
    request.environment.clone_from(&args.environment.name);
    request.since = args.since;
    request.release.clone_from(&args.release);
    request.limit = args.limit;
    Ok(Shown::report(&library::history(context, &request).await?))
}

pub(crate) async fn releases(context: &Context, args: &ReleasesArgs) -> Result<Shown> {
    Ok(Shown::report(&library::releases(context, args.environment.name.as_ref(), args.limit).await?))
}
