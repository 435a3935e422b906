//! `test run`.

use ::forge::{MergeRef, StatusState};
use lock_model::{CommitId, EnvironmentName, SuiteName};

use crate::arguments::TestRunArgs;
use crate::commands::run::{commit_of, find_environment};
use crate::context::{Context, forge_error};
use crate::engine::{SUITES_STATUS, run_suite, summary};
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table, count};
use crate::snapshot::{Snapshot, branch_of, environment_name, load_config};

/// Runs suites and says what they said; with a pull request its status is set. Nothing is recorded in the ledger:
/// only `run` makes a proof.
pub(crate) async fn run(context: &Context, args: &TestRunArgs) -> CliResult<Report> {
    let name = environment_name(&args.environment.env)?;
    context.sync()?;
    let (snapshot, tested) = if let Some(number) = args.pull_request {
        match context.forge.merge_ref(number).await.map_err(forge_error)? {
            MergeRef::Clean { commit, base, head, .. } => {
                context.sync()?;
                (Snapshot::load(context, &commit)?, Some(Tested { base, head }))
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
    let mut warnings = Vec::new();
    let required = required(context, &snapshot, &name, tested.as_ref(), &mut warnings)?;
    let suites: Vec<SuiteName> = if args.suite.is_empty() {
        required.clone()
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
    if let Some(tested) = tested {
        if required.iter().all(|suite| suites.contains(suite)) {
            set_status(context, &tested.head, &reports).await?;
        } else {
            warnings.push(format!(
                "status `{SUITES_STATUS}` is not set: it stands for all suites of `{name}`, and only some were run"
            ));
        }
    }
    let code = if passed { ExitCode::Done } else { ExitCode::Negative };
    let verdict = if passed { "all suites passed" } else { "not all suites passed" };
    let document = serde_json::json!({ "command": "test run", "environment": name, "suites": reports });
    Ok(Report::new(code, format!("{name}: {verdict}\n\n{}", table.render()), document)
        .warnings(warnings)
        .markdown(qa::to_markdown(&reports)))
}

/// What a pull request's test merge was made of.
struct Tested {
    base: CommitId,
    head: CommitId,
}

/// The suites that count: the environment's, and with a pull request also those of the branch that it goes to, since a
/// change does not choose what it is tested by.
fn required(
    context: &Context,
    snapshot: &Snapshot,
    name: &EnvironmentName,
    tested: Option<&Tested>,
    warnings: &mut Vec<String>,
) -> CliResult<Vec<SuiteName>> {
    let mut suites = snapshot.environment(name)?.suites.clone();
    let before = match tested {
        Some(tested) => load_config(context, tested.base.as_str())?,
        None => None,
    };
    let Some(before) = before.as_ref().and_then(|config| config.environments.get(name)) else { return Ok(suites) };
    for suite in &before.suites {
        if suites.contains(suite) {
            continue;
        }
        if snapshot.config.suites.contains_key(suite) {
            warnings.push(format!("the pull request takes suite `{suite}` out of `{name}`: it runs all the same"));
            suites.push(suite.clone());
        } else {
            warnings.push(format!("the pull request removes suite `{suite}`, which `{name}` asks for"));
        }
    }
    Ok(suites)
}

/// Says on the head that was tested what the suites said.
async fn set_status(context: &Context, head: &CommitId, reports: &[qa::SuiteReport]) -> CliResult<()> {
    let failed = reports.iter().filter(|report| !report.is_passed()).count();
    let (state, text) = if failed == 0 {
        (StatusState::Success, format!("{} passed", count(reports.len(), "suite")))
    } else {
        (StatusState::Failure, format!("{failed} of {} suites failed", reports.len()))
    };
    LedgerStore::check(context).await?;
    context.forge.set_status(head, SUITES_STATUS, state, &text).await.map_err(forge_error)?;
    Ok(())
}
