//! `test run`.

use ::forge::{MergeRef, StatusState};
use train::SuiteName;

use crate::arguments::TestRunArgs;
use crate::commands::run::{commit_of, find_environment};
use crate::context::{Context, forge_error};
use crate::engine::{SUITES_STATUS, run_suite, summary};
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table};
use crate::snapshot::{Snapshot, branch_of, environment_name};

/// Runs suites and says what they said; with a pull request its status is set. Nothing is recorded in the ledger:
/// only `run` makes a proof.
pub(crate) async fn run(context: &Context, args: &TestRunArgs) -> CliResult<Report> {
    let name = environment_name(&args.environment.env)?;
    context.sync()?;
    let (snapshot, head) = if let Some(number) = args.pull_request {
        let pull_request = context.forge.pull_request(number).await.map_err(forge_error)?;
        match context.forge.merge_ref(number).await.map_err(forge_error)? {
            MergeRef::Clean { commit, .. } => {
                context.sync()?;
                (Snapshot::load(context, &commit)?, Some(pull_request.head))
            }
            MergeRef::Conflict { paths, .. } => {
                return Err(CliError::new(
                    ExitCode::Repository,
                    format!("pull request {number} has conflicts: {}", paths.join(", ")),
                ));
            }
        }
    } else {
        let environment = find_environment(context, &name).await?;
        let commit = commit_of(context, &branch_of(&environment)?, None).await?;
        (Snapshot::load(context, &commit)?, None)
    };
    let environment = snapshot.environment(&name)?.clone();
    let suites: Vec<SuiteName> = if args.suite.is_empty() {
        environment.suites.clone()
    } else {
        args.suite
            .iter()
            .map(|text| {
                SuiteName::try_from(text.as_str())
                    .map_err(|error| CliError::from_source(ExitCode::Usage, "`--suite` names no suite", &error))
            })
            .collect::<CliResult<_>>()?
    };
    if suites.is_empty() {
        return Err(CliError::new(ExitCode::Usage, format!("environment `{name}` has no suites: nothing was tested"))
            .hint("list some under `suites:`, or name one with `--suite`"));
    }
    let mut reports = Vec::new();
    let mut table = Table::new(&["suite", "verdict", "detail"]);
    for suite in &suites {
        context.progress.line(&format!("suite {suite}: running"));
        let report = run_suite(context, &snapshot, &environment, suite).await?;
        for (index, line) in summary(&report).lines().enumerate() {
            let (suite, verdict) = if index == 0 { (suite.as_str(), report.verdict.word()) } else { ("", "") };
            table.row([suite, verdict, line]);
        }
        reports.push(report);
    }
    let passed = reports.iter().all(qa::SuiteReport::is_passed);
    if let Some(path) = &args.junit {
        std::fs::write(path, qa::to_junit(&reports)).map_err(|error| {
            CliError::from_source(ExitCode::Usage, format!("`{}` cannot be written", path.display()), &error)
        })?;
    }
    if let Some(head) = head {
        let state = if passed { StatusState::Success } else { StatusState::Failure };
        let failed = reports.iter().filter(|report| !report.is_passed()).count();
        let text = if passed {
            format!("{} suites passed", reports.len())
        } else {
            format!("{failed} of {} suites failed", reports.len())
        };
        let now = context.now(LedgerStore::read(context).await?.len());
        context.forge.set_status(&head, SUITES_STATUS, state, &text, now).await.map_err(forge_error)?;
    }
    let code = if passed { ExitCode::Done } else { ExitCode::Negative };
    let verdict = if passed { "all suites passed" } else { "not all suites passed" };
    let document = serde_json::json!({ "command": "test run", "environment": name, "suites": reports });
    Ok(Report::new(code, format!("{name}: {verdict}\n\n{}", table.render()), document)
        .markdown(qa::to_markdown(&reports)))
}
