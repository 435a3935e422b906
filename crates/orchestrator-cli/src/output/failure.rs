//! A failed run as the step summary shows it.

use lock_model::ServiceName;
use lock_model::escaping::code_block;
use orchestrator::report::v1::{Dossier, Failure, FailureCause, StepLine};
use orchestrator::{EndedRun, Error};

use super::Table;
use super::markdown_text::{items, line};

/// How many objects that are not ready are listed.
const LISTED: usize = 100;

/// What the run had done, and what is known of its deployment; `text` is the error for people.
pub(super) fn to_markdown(error: &Error, run: &EndedRun, text: &str) -> String {
    let mut markdown = format!("## {}\n", line(error.message()));
    if !run.steps.is_empty() {
        markdown += &section("Steps", &steps(&run.steps));
    }
    let Some(dossier) = &run.dossier else { return markdown + "\n" + &code_block(text) };
    let causes = error.causes();
    if !causes.is_empty() {
        markdown += &section("Why", &items(&causes));
    }
    if let Some(first) = dossier.failures.first() {
        markdown += &failed_first(first);
    }
    let others = dossier.failures.get(1..).unwrap_or_default();
    if !others.is_empty() {
        markdown += &section("Not ready besides", &not_ready(others));
    }
    if !dossier.unknown.is_empty() {
        markdown += &section("Not known", &items(&dossier.unknown));
    }
    let progress: Vec<String> = progress(dossier).collect();
    if !progress.is_empty() {
        markdown += &section("Services", &items(&progress));
    }
    if !error.hints().is_empty() {
        markdown += &section("What to do", &items(error.hints()));
    }
    markdown
}

/// Which services were changed and which were not, and what goes on by itself, a line each.
pub(super) fn progress(dossier: &Dossier) -> impl Iterator<Item = String> {
    let names = |services: &[ServiceName]| services.iter().map(ToString::to_string).collect::<Vec<_>>();
    let lists = [
        ("changed", names(&dossier.changed)),
        ("not touched", names(&dossier.untouched)),
        ("still running", dossier.still_running.clone()),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    lists.map(|(title, list)| format!("{title}: {}", list.join(", ")))
}

fn section(title: &str, content: &str) -> String {
    format!("\n### {title}\n\n{content}")
}

fn steps(steps: &[StepLine]) -> String {
    let mut table = Table::new(&["step", "result", "detail"]);
    for line in steps {
        for (index, detail) in line.detail.lines().enumerate() {
            let (step, result) = if index == 0 { (line.step.as_str(), line.result.as_str()) } else { ("", "") };
            table.row([step, result, detail]);
        }
    }
    table.to_markdown()
}

/// The first failure with everything that the cluster says of it.
fn failed_first(failure: &Failure) -> String {
    let mut table = Table::new(&["class", "stays", "object", "container", "message"]);
    for cause in &failure.causes {
        let container = cause.container.as_deref().unwrap_or("-");
        table.row([cause.class.as_str(), stays(cause), cause.object.as_str(), container, cause.message.as_str()]);
    }
    let title = line(&format!("{}: {}", failure.service, failure.object));
    let mut content = format!("{}\n", line(&failure.state));
    if !failure.causes.is_empty() {
        content += "\n";
        content += &table.to_markdown();
    }
    let mut markdown = section(&title, &content);
    for cause in &failure.causes {
        let container = cause.container.as_ref().map(|name| format!(", container {name}")).unwrap_or_default();
        let of_container = format!("{}{container}", cause.object);
        let blocks = [
            ("Events", cause.object.clone(), &cause.events),
            ("Log before the last restart", of_container.clone(), &cause.previous_log),
            ("Log", of_container, &cause.log),
        ];
        for (title, subject, lines) in blocks.iter().filter(|(.., lines)| !lines.is_empty()) {
            let (subject, lines) = (line(subject), code_block(&lines.join("\n")));
            markdown.extend(["\n#### ", title, ": ", &subject, "\n\n", &lines]);
        }
    }
    markdown
}

fn not_ready(failures: &[Failure]) -> String {
    let mut table = Table::new(&["service", "object", "state", "class", "stays"]);
    for failure in failures.iter().take(LISTED) {
        let (class, stays) = failure.causes.first().map_or(("-", "-"), |cause| (cause.class.as_str(), stays(cause)));
        table.row([failure.service.as_str(), failure.object.as_str(), failure.state.as_str(), class, stays]);
    }
    let more = failures.len().saturating_sub(LISTED);
    let more = if more == 0 { String::new() } else { format!("\n{more} more are not listed.\n") };
    table.to_markdown() + &more
}

/// Whether a cause stays until a person changes something.
fn stays(cause: &FailureCause) -> &'static str {
    if cause.permanent { "permanent" } else { "temporary" }
}
