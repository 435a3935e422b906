//! `hold` and `unhold`.

use ledger::{RecordDraft, Step, StepResult};

use crate::arguments::{HoldArgs, UnholdArgs};
use crate::commands::run::{commit_of, find_environment};
use crate::context::Context;
use crate::error::CliResult;
use crate::exit_code::ExitCode;
use crate::ledger_store::LedgerStore;
use crate::output::Report;
use crate::snapshot::{branch_of, environment_name};

/// Stops deployments to an environment.
pub(crate) async fn hold(context: &Context, args: &HoldArgs) -> CliResult<Report> {
    record(context, &args.environment.env, Step::Hold, &args.reason).await
}

/// Allows deployments again.
pub(crate) async fn unhold(context: &Context, args: &UnholdArgs) -> CliResult<Report> {
    record(context, &args.environment.env, Step::Unhold, &args.reason).await
}

async fn record(context: &Context, environment: &str, step: Step, reason: &str) -> CliResult<Report> {
    let name = environment_name(environment)?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    let mut store = LedgerStore::read(context).await?;
    let mut draft = RecordDraft::new(step, StepResult::Ok, context.run.clone(), context.now(store.len()))
        .environment(&name)
        .reason(reason);
    draft.commit = Some(commit_of(context, &branch_of(&environment)?, None).await?);
    let seq = store.append(context, draft, &[], |_| Ok(())).await?;
    let words = match (step, seq) {
        (Step::Hold, Some(seq)) => format!("{name} is held: {reason} (record {seq})"),
        (Step::Hold, None) => format!("{name} is held already for this reason"),
        (_, Some(seq)) => format!("{name} is free again: {reason} (record {seq})"),
        (_, None) => format!("{name} was not held"),
    };
    let document =
        serde_json::json!({ "command": step.as_str(), "environment": name, "reason": reason, "record": seq });
    Ok(Report::new(ExitCode::Done, format!("{words}\n"), document))
}
