//! `health`.

use crate::arguments::EnvironmentArgs;
use crate::commands::run::find_environment;
use crate::context::Context;
use crate::engine;
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::output::{Report, Table};
use crate::snapshot::{Snapshot, branch_of, environment_name};

/// Asks every probe of an environment; records nothing.
pub(crate) async fn run(context: &Context, args: &EnvironmentArgs) -> CliResult<Report> {
    let name = environment_name(&args.env)?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    let head = context.branch_head(&branch_of(&environment)?).await?;
    let snapshot = Snapshot::load(context, &head)?;
    let report = engine::health(context, &snapshot, &environment).await?.ok_or_else(|| {
        CliError::new(ExitCode::Usage, format!("environment `{name}` has no probes: nothing can be said about it"))
            .hint("name some under `health:` in orchestrator.yaml")
    })?;
    let code = if report.is_healthy() { ExitCode::Done } else { ExitCode::Negative };
    let mut table = Table::new(&["check", "state", "weight", "detail"]);
    for check in &report.checks {
        let weight = match check.severity {
            healthcheck::Severity::Block => "block",
            healthcheck::Severity::Warn => "warn",
        };
        table.row([check.name.as_str(), check.state.word(), weight, check.detail.as_str()]);
    }
    let verdict = if report.is_healthy() { "can take a deployment" } else { "must not be deployed to now" };
    let document = serde_json::json!({ "command": "health", "environment": name, "report": report });
    Ok(Report::new(code, format!("{name} {verdict}\n\n{}", table.render()), document))
}
