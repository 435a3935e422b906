//! `lock diff`.

use lock_gen::Scan;
use lock_model::TreeId;

use super::read_lock;
use crate::arguments::{GlobalArgs, LockDiffArgs};
use crate::context::Context;
use crate::engine::{diff_problems, short_id};
use crate::error::CliResult;
use crate::exit_code::ExitCode;
use crate::output::{Report, Table};
use crate::snapshot::LockFile;
use crate::submodules::{Changes, Declared, changes};

/// Compares two locks.
pub(crate) async fn diff(global: &GlobalArgs, args: &LockDiffArgs) -> CliResult<Report> {
    let before = read_lock(global, &args.before)?;
    let after = read_lock(global, &args.after)?;
    let differences = lock_model::diff(&before.lock, &after.lock);
    let mut human = format!("{} → {}\n", short_id(before.lock.id().as_str()), short_id(after.lock.id().as_str()));
    let problems = diff_problems(&differences);
    if problems.is_empty() {
        human.push_str("nothing changes\n");
    } else {
        let mut table = Table::new(&["service", "what changes"]);
        for problem in &problems {
            table.row([problem.subject.as_str(), problem.message.as_str()]);
            for detail in &problem.details {
                table.row(["", detail.as_str()]);
            }
        }
        human.push('\n');
        human.push_str(&table.render());
    }
    let mut document = serde_json::json!({
        "command": "lock diff", "before": before.lock.id(), "after": after.lock.id(), "changes": problems,
    });
    let mut warnings = Vec::new();
    if args.commits {
        let between = between(&Context::open(global)?, &before, &after).await?;
        human.push_str(&between.text());
        let (commits, risks) = between.documents();
        document["commits"] = commits;
        document["risks"] = risks;
        warnings.extend(between.risks.iter().map(ToString::to_string));
    }
    Ok(Report::new(ExitCode::Done, human, document).warnings(warnings))
}

/// The commits between two locks. Where their submodules are fetched from is said by the tree of the newer one.
async fn between(context: &Context, before: &LockFile, after: &LockFile) -> CliResult<Changes> {
    let source = after.lock.source();
    let scan = |tree: &TreeId| context.superproject.scan(tree, &source.repository).ok();
    let head = || context.git.commit("HEAD").ok().flatten().and_then(|facts| scan(&facts.tree));
    let scan: Scan = scan(&source.tree).or_else(head).unwrap_or_default();
    changes(context, Some(&before.lock), &after.lock, &Declared::new(&scan)).await
}
