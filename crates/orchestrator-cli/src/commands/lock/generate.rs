//! `lock generate`.

use std::collections::BTreeSet;
use std::path::Path;

use ::forge::MergeRef;
use lock_model::{ServiceName, Source};

use super::{lock_file_at, read_file, summary, write_file};
use crate::arguments::LockGenerateArgs;
use crate::context::{Context, forge_error};
use crate::engine::{lock_files, short_id};
use crate::error::{CliError, CliResult, Problem};
use crate::exit_code::ExitCode;
use crate::generation::{self, Scope};
use crate::output::Report;
use crate::snapshot::{LOCK_FILE, LockFile, Snapshot};
use crate::submodules::pushed_table;

/// Resolves every service of a tree and writes the lock.
pub(crate) async fn generate(context: &Context, args: &LockGenerateArgs) -> CliResult<Report> {
    context.sync()?;
    let (snapshot, source) = if let Some(number) = args.pull_request {
        let merge = test_merge(context, number).await?;
        (merge.snapshot, merge.source)
    } else {
        let commit = context.resolve(&args.rev)?;
        let snapshot = Snapshot::load(context, &commit)?;
        let source = Source::new(
            snapshot.config.forge.repository.clone(),
            commit.clone(),
            snapshot.parents.first().unwrap_or(&commit).clone(),
            snapshot.tree.clone(),
        );
        (snapshot, source)
    };
    let only = services(&args.service)?;
    let previous = match (&args.previous, only.is_empty()) {
        (_, true) => None,
        (Some(text), false) => Some(read_file(Path::new(text))?),
        (None, false) => lock_file_at(context, snapshot.commit.as_str())?,
    };
    let patience = args.wait.unwrap_or_default();
    let everything = Scope { only: None, patience, check_pushed: args.check_pushed };
    let scope = match (&previous, only.is_empty()) {
        (_, true) => everything,
        (Some(previous), false) => Scope { only: Some((&only, &previous.lock)), ..everything },
        (None, false) => {
            return Err(CliError::new(ExitCode::Usage, "there is no earlier lock to take the other services from")
                .hint("name one with `--previous FILE`, or leave `--service` out"));
        }
    };
    let generated = generation::generate(context, &snapshot, source, scope).await?;
    let mut document = serde_json::json!({ "command": "lock generate", "lock": generated.lock.id(), "services": summary(&generated.lock) });
    let pushed = generated.pushed.as_ref().map(pushed_table);
    if let Some(pushed) = &generated.pushed {
        document["pushed"] = serde_json::json!(pushed);
    }
    let text = match &args.output {
        None => {
            // Stdout is the lock and nothing else.
            pushed.iter().flat_map(|table| table.lines()).for_each(|line| context.progress.line(line));
            String::from_utf8_lossy(&generated.bytes).into_owned()
        }
        Some(folder) => {
            write_lock_folder(folder, &generated.bytes)?;
            format!(
                "lock {} of {} services is in {}\n{}",
                short_id(generated.lock.id().as_str()),
                generated.lock.services().len(),
                folder.display(),
                pushed.map(|table| format!("\n{table}")).unwrap_or_default()
            )
        }
    };
    Ok(Report::new(ExitCode::Done, text, document).warnings(generated.warnings))
}

/// Service names, as the command line gives them.
fn services(names: &[String]) -> CliResult<BTreeSet<ServiceName>> {
    names
        .iter()
        .map(|name| {
            ServiceName::try_from(name.as_str())
                .map_err(|error| CliError::from_source(ExitCode::Usage, "`--service` names no service", &error))
        })
        .collect()
}

/// Writes `lock.yaml`, `schema.json` and `.gitattributes`, each old or new and never a mix.
pub(super) fn write_lock_folder(folder: &Path, bytes: &[u8]) -> CliResult<()> {
    let lock = LockFile::parse(bytes.to_vec(), LOCK_FILE)?;
    let failed = |error: std::io::Error| {
        CliError::from_source(ExitCode::Usage, format!("`{}` cannot be written", folder.display()), &error)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    for change in lock_files(&lock)? {
        let ::forge::FileChange::Write { path, bytes } = change else { continue };
        write_file(&folder.join(path.file_name()), &bytes)?;
    }
    Ok(())
}

/// What merging a pull request gives.
pub(super) struct TestMerge {
    pub snapshot: Snapshot,
    pub source: Source,
}

pub(super) async fn test_merge(context: &Context, number: u64) -> CliResult<TestMerge> {
    let pull_request = context.forge.pull_request(number).await.map_err(forge_error)?;
    let (commit, tree, base, head) = match context.forge.merge_ref(number).await.map_err(forge_error)? {
        MergeRef::Clean { commit, tree, base, head } => (commit, tree, base, head),
        MergeRef::Conflict { paths, .. } => {
            return Err(CliError::new(ExitCode::Repository, format!("pull request {number} has conflicts"))
                .problems(paths.into_iter().map(|path| Problem {
                    subject: path,
                    message: "was changed on both sides".to_owned(),
                    details: Vec::new(),
                }))
                .hint(format!("merge `{}` into `{}` and push", pull_request.base_branch, pull_request.head_branch)));
        }
    };
    context.sync()?;
    let snapshot = Snapshot::load(context, &commit)?;
    let repository = snapshot.config.forge.repository.clone();
    let source = Source::new(repository, head, base, tree).with_pull_request(number);
    Ok(TestMerge { snapshot, source })
}
