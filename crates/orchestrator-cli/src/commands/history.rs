//! `status` and `history`: what the ledger says.

use ledger::cycle::{Locks, PlanShape, Then, plan};
use lock_model::escaping::shorten;
use promotion::report::{self, HISTORY_HEADERS, Next, ProofSummary};

use crate::arguments::HistoryArgs;
use crate::context::{Context, forge_error};
use crate::engine::suite_reference;
use crate::error::CliResult;
use crate::exit_code::ExitCode;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table};
use crate::snapshot::{Snapshot, environment_name, load_config};

/// How much of a note the table shows; the JSON form has all of it.
const NOTE_BYTES: usize = 120;

/// Shows the ledger as a table.
pub(crate) async fn history(context: &Context, args: &HistoryArgs) -> CliResult<Report> {
    let name = args.env.as_deref().map(environment_name).transpose()?;
    let store = LedgerStore::read(context).await?;
    let mut rows = report::history(store.ledger(), name.as_ref());
    if let Some(limit) = args.limit {
        rows = rows.split_off(rows.len().saturating_sub(limit));
    }
    let mut table = Table::new(&HISTORY_HEADERS);
    for row in &rows {
        let mut cells = row.cells();
        if let Some(note) = cells.last_mut() {
            *note = shorten(note.lines().next().unwrap_or_default(), NOTE_BYTES);
        }
        table.row(cells);
    }
    let human = if table.is_empty() { "the ledger has no records yet\n".to_owned() } else { table.render() };
    let document = serde_json::json!({ "command": "history", "records": rows });
    Ok(Report::new(ExitCode::Done, human, document))
}

/// Shows where each environment of the train stands.
pub(crate) async fn status(context: &Context) -> CliResult<Report> {
    context.sync()?;
    let store = LedgerStore::read(context).await?;
    let mut config = None;
    for (branch, head) in context.forge.branches().await.map_err(forge_error)? {
        let Some(found) = load_config(context, head.as_str())? else { continue };
        if *branch.as_str() == *found.branches.staging.as_str() || config.is_none() {
            config = Some((found, head));
        }
    }
    let mut rows = Vec::new();
    let mut table = Table::new(&["environment", "release", "commit", "proof", "tag", "hold", "next"]);
    if let Some((config, _)) = &config {
        for environment in config.environments.values().filter(|environment| environment.branch.is_some()) {
            let branch = environment.branch.as_ref().map(ToString::to_string).unwrap_or_default();
            let mut suites = Vec::new();
            let head = context.forge.branch_head(&crate::context::branch_name(&branch)?).await.map_err(forge_error)?;
            if let Some(head) = head
                && load_config(context, head.as_str())?.is_some()
            {
                let snapshot = Snapshot::load(context, &head)?;
                for suite in &environment.suites {
                    if snapshot.config.suites.contains_key(suite) {
                        suites.push(suite_reference(context, &snapshot, suite)?);
                    }
                }
            }
            let then = match (&environment.release, &environment.promote) {
                (Some(_), Some(_)) => Then::ReleaseAndPromote,
                (Some(_), None) => Then::Release,
                (None, Some(_)) => Then::Promote,
                (None, None) => Then::Nothing,
            };
            let steps = plan(&PlanShape { locks: Locks::InTree, suites, then });
            rows.push(report::status(store.ledger(), &environment.name, &steps));
        }
    }
    for row in &rows {
        let dash = || "-".to_owned();
        table.row([
            row.environment.to_string(),
            row.deployed.as_ref().map_or_else(dash, |deployed| deployed.release.id8().to_owned()),
            row.deployed
                .as_ref()
                .and_then(|deployed| deployed.commit.as_ref())
                .map_or_else(dash, |commit| commit.short(12).to_owned()),
            match &row.proof {
                ProofSummary::Proven { level, .. } => level.to_string(),
                ProofSummary::Failed { .. } => "failed".to_owned(),
                ProofSummary::None => dash(),
            },
            row.tag.clone().unwrap_or_else(dash),
            row.hold.as_ref().map_or_else(dash, |hold| format!("{}: {}", hold.by, hold.reason)),
            match &row.next {
                Next::First => "the first run".to_owned(),
                Next::Continue { step, attempt } => format!("{step} (attempt {attempt})"),
                Next::ContinueRollback { release } => format!("rollback to {}", release.id8()),
                Next::Unhold => "unhold".to_owned(),
                Next::Nothing => "a new release".to_owned(),
            },
        ]);
    }
    let human =
        if table.is_empty() { "no environment of the train is configured yet\n".to_owned() } else { table.render() };
    let document = serde_json::json!({ "command": "status", "environments": rows });
    Ok(Report::new(ExitCode::Done, human, document))
}
