//! `images explain`.

use lock_model::ServiceName;
use registry::Attempt;

use crate::arguments::ImagesExplainArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult, code_of};
use crate::exit_code::ExitCode;
use crate::generation;
use crate::output::{Report, Table, append};
use crate::snapshot::Snapshot;

/// Shows how a service's image is found: every candidate, its answer, and the choice.
pub(crate) async fn explain(context: &Context, args: &ImagesExplainArgs) -> CliResult<Report> {
    let name = ServiceName::try_from(args.service.as_str())
        .map_err(|error| CliError::from_source(ExitCode::Usage, "not a service", &error))?;
    context.sync()?;
    let snapshot = Snapshot::load(context, &context.resolve(&args.rev)?)?;
    let Some(explained) = generation::explain(context, &snapshot, &name).await? else {
        let document = serde_json::json!({ "command": "images explain", "service": name, "kind": "configuration" });
        return Ok(Report::new(ExitCode::Done, format!("{name} has no image: it is configuration only\n"), document));
    };
    let (code, verdict, tried, taken, warnings) = match &explained.answer {
        Ok(resolution) => {
            let image = &resolution.image;
            let created = image.created.map_or(snapshot.time, |date| date.time);
            let verdict =
                format!("{} is taken (revision {}, created {created})", image.reference(), image.revision.as_str());
            let warnings: Vec<String> = resolution.warnings.iter().map(ToString::to_string).collect();
            (ExitCode::Done, verdict, &resolution.tried, Some(image.reference()), warnings)
        }
        Err(unresolved) => {
            let code = code_of(unresolved.class(), ExitCode::Image, ExitCode::Image);
            (code, format!("none is taken: {}", unresolved.reason), &unresolved.tried, None, Vec::new())
        }
    };
    let mut table = Table::new(&["candidate", "answer"]);
    for Attempt { reference, outcome, .. } in tried {
        table.row([reference.to_string().as_str(), outcome.to_string().as_str()]);
    }
    let mut human = format!("{name}: {verdict}\n\n{}", table.render());
    for login in &explained.logins {
        append(&mut human, format!("login at {login}\n"));
    }
    let document = serde_json::json!({
        "command": "images explain",
        "service": name,
        "tried": tried
            .iter()
            .map(|attempt| serde_json::json!({ "reference": attempt.reference, "answer": attempt.outcome.to_string() }))
            .collect::<Vec<_>>(),
        "taken": taken,
        "logins": explained.logins,
    });
    Ok(Report::new(code, human, document).warnings(warnings).warnings(explained.warnings))
}
