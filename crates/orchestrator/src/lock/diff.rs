use std::path::Path;

use lock_gen::Scan;
use lock_model::TreeId;

use super::files::read_lock_file;
use crate::context::{Context, Local, Surroundings};
use crate::error::Result;
use crate::inputs::Inputs;
use crate::labels::diff_problems;
use crate::report::v1::LockDiffReport;
use crate::revision::LockFile;
use crate::submodules::{Changes, Declared, changes};

/// Compares two locks, each a file or a revision of the repository.
///
/// # Errors
///
/// Where one of them cannot be read.
pub fn diff_locks(repository: &Path, before: &str, after: &str, surroundings: &Surroundings) -> Result<LockDiffReport> {
    let open = || Local::open(repository, surroundings);
    Ok(report(&read_lock_file(before, surroundings, open)?, &read_lock_file(after, surroundings, open)?))
}

/// Compares two locks, and lists the commits of each service between them.
///
/// # Errors
///
/// Where a lock cannot be read. Commits that cannot be found out are said in the report.
pub async fn diff_locks_with_commits(
    context: &Context,
    repository: &Path,
    before: &str,
    after: &str,
) -> Result<LockDiffReport> {
    let open = || Local::open(repository, &context.surroundings);
    let (before, after) =
        (read_lock_file(before, &context.surroundings, open)?, read_lock_file(after, &context.surroundings, open)?);
    let between = between(context, &before, &after).await?;
    let mut report = report(&before, &after);
    report.commits = Some(between.commit_documents());
    report.risks = Some(between.risk_lines());
    report.warnings.extend(between.risks.iter().map(ToString::to_string));
    Ok(report)
}

fn report(before: &LockFile, after: &LockFile) -> LockDiffReport {
    LockDiffReport {
        before: before.lock.id().clone(),
        after: after.lock.id().clone(),
        changes: diff_problems(&lock_model::diff(&before.lock, &after.lock)),
        commits: None,
        risks: None,
        warnings: Vec::new(),
    }
}

/// The commits between two locks. Where their submodules are fetched from is said by the tree of the newer one.
async fn between(context: &Context, before: &LockFile, after: &LockFile) -> Result<Changes> {
    let source = after.lock.source();
    let scan = |tree: &TreeId| Inputs::submodules(context, tree, &source.repository).ok();
    let head = || context.git.commit("HEAD").ok().flatten().and_then(|facts| scan(&facts.tree));
    let scan: Scan = scan(&source.tree).or_else(head).unwrap_or_default();
    changes(context, Some(&before.lock), &after.lock, &Declared::new(&scan)).await
}
