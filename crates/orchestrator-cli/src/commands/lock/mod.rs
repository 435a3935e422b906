//! The `lock` commands.

mod adopt;
mod check;
mod compose;
mod diff;
mod generate;
mod migrate;
mod publish;

use std::path::Path;
use std::time::Duration;

use ledger::{RecordDraft, Step, StepResult};
use lock_model::{Content, Lock, LockId};

use crate::arguments::{GlobalArgs, LockCommitArgs, LockRejectArgs, LockShowArgs};
use crate::commands::run::{Ready, commit_of, find_environment, lease, ready_commit, superseded};
use crate::context::{Context, Local, git_error};
use crate::engine::{OnDifference, short_id};
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table};
use crate::snapshot::{LOCK_FILE, LockFile, branch_of, environment_name};

pub(crate) use check::check;
pub(crate) use compose::compose;
pub(crate) use diff::diff;
pub(crate) use generate::generate;
pub(crate) use migrate::migrate;
pub(crate) use publish::publish;

/// Shows a lock.
pub(crate) fn show(global: &GlobalArgs, args: &LockShowArgs) -> CliResult<Report> {
    let lock = read_lock(global, &args.lock)?;
    Ok(describe(&lock.lock))
}

fn describe(lock: &Lock) -> Report {
    let source = lock.source();
    let from = source.pull_request.map_or_else(String::new, |number| format!(" of pull request {number}"));
    let mut human = format!(
        "lock {}\nfrom {}{from}, head {}, base {}, tree {}\n\n",
        lock.id(),
        source.repository,
        source.head.short(12),
        source.base.short(12),
        source.tree.short(12)
    );
    let mut table = Table::new(&["service", "commit", "image", "digest", "created", "revision"]);
    for (name, service) in lock.services() {
        let commit = service.git.commit.short(12);
        match &service.content {
            Content::Image(image) => table.row([
                name.as_str(),
                commit,
                &image.reference().without_digest().to_string(),
                &short_id(image.digest.as_str()),
                &image.created.to_string(),
                image.revision.as_str(),
            ]),
            Content::Configuration => table.row([name.as_str(), commit, "configuration only", "-", "-", "-"]),
        }
    }
    human.push_str(&table.render());
    let document = serde_json::json!({ "command": "lock show", "lock": lock.id(), "services": summary(lock) });
    Report::new(ExitCode::Done, human, document)
}

fn summary(lock: &Lock) -> serde_json::Value {
    lock.services()
        .iter()
        .map(|(name, service)| {
            let image = match &service.content {
                Content::Image(image) => serde_json::json!({
                    "repository": image.repository, "tag": image.tag, "digest": image.digest,
                    "platforms": image.platforms, "created": image.created, "revision": image.revision.as_str(),
                }),
                Content::Configuration => serde_json::Value::Null,
            };
            let value = serde_json::json!({ "path": service.path, "commit": service.git.commit, "image": image });
            (name.to_string(), value)
        })
        .collect::<serde_json::Map<String, serde_json::Value>>()
        .into()
}

/// Commits the lock of a merged pull request.
pub(crate) async fn commit(context: &Context, args: &LockCommitArgs) -> CliResult<Report> {
    let name = environment_name(&args.env)?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    if !crate::snapshot::commits_locks(&environment) {
        return Err(CliError::new(ExitCode::Usage, format!("locks are not committed to the branch of `{name}`"))
            .hint("they are committed to the staging branch and travel from there"));
    }
    let branch = branch_of(&environment)?;
    let _lease = lease(context, &name, Duration::ZERO).await?;
    // Whoever worked here until now may have moved the branch.
    context.sync()?;
    let commit = commit_of(context, &branch, None).await?;
    let mut store = LedgerStore::read(context).await?;
    let difference = match (&args.reason, args.accept_new) {
        (Some(reason), true) => OnDifference::AcceptNew(reason),
        _ => OnDifference::Refuse,
    };
    match ready_commit(context, &mut store, &name, &environment, &branch, commit, difference).await? {
        Ready::Superseded(note) => Ok(superseded(&name, &note)),
        Ready::Go { commit, note } => {
            let note = note.unwrap_or_default();
            let document = serde_json::json!({ "command": "lock commit", "commit": commit, "note": note });
            Ok(Report::new(ExitCode::Done, format!("{note}\n"), document))
        }
    }
}

/// Records that a lock must never be deployed.
pub(crate) async fn reject(context: &Context, args: &LockRejectArgs) -> CliResult<Report> {
    context.sync()?;
    let mut store = LedgerStore::read(context).await?;
    let (id, file, commit) = if let Ok(id) = LockId::try_from(args.lock.as_str()) {
        let known = store.ledger().records().iter().rev().find(|record| record.entry.lock.as_ref() == Some(&id));
        let Some(known) = known else {
            return Err(CliError::new(ExitCode::Usage, format!("no record of the ledger names lock {id}"))
                .hint("`orchestrator history` shows the locks; a file or a revision works too"));
        };
        (id, known.entry.lock_file.clone(), known.entry.commit.clone())
    } else {
        let lock = if Path::new(&args.lock).is_file() {
            read_file(Path::new(&args.lock))?
        } else {
            let commit = context.resolve(&args.lock)?;
            lock_file_at(context, commit.as_str())?.ok_or_else(|| {
                CliError::new(ExitCode::Usage, format!("`{LOCK_FILE}` is not in {}", commit.short(12)))
            })?
        };
        let head = lock.lock.source().head.clone();
        (lock.lock.id().clone(), Some(lock.digest), Some(head))
    };
    let mut draft = RecordDraft::new(Step::Reject, StepResult::Ok, context.run.clone(), context.now(store.len()))
        .reason(&args.reason);
    draft.lock = Some(id.clone());
    draft.lock_file = file;
    draft.commit = commit;
    let seq = store.append(context, draft, &[], |_| Ok(())).await?;
    let words = match seq {
        Some(seq) => format!("lock {} is rejected for ever: {} (record {seq})", short_id(id.as_str()), args.reason),
        None => format!("lock {} was rejected before", short_id(id.as_str())),
    };
    let document = serde_json::json!({ "command": "lock reject", "lock": id, "reason": args.reason, "record": seq });
    Ok(Report::new(ExitCode::Done, format!("{words}\n"), document))
}

fn lock_at(context: &Context, revision: &str) -> CliResult<Option<Lock>> {
    Ok(lock_file_at(context, revision)?.map(|file| file.lock))
}

fn lock_file_at(context: &Context, revision: &str) -> CliResult<Option<LockFile>> {
    let bytes =
        context.git.read_file(revision, LOCK_FILE).map_err(|error| git_error("the lock cannot be read", &error))?;
    bytes.map(|bytes| LockFile::parse(bytes, LOCK_FILE)).transpose()
}

/// What a revision may be called here: a branch of the forge first, as it was fetched last.
fn candidates(text: &str) -> [String; 4] {
    [
        format!("refs/orchestrator/heads/{text}"),
        format!("refs/heads/{text}"),
        format!("refs/orchestrator/tags/{text}"),
        text.to_owned(),
    ]
}

/// A lock by file name, or by a revision that holds one.
fn read_lock(global: &GlobalArgs, text: &str) -> CliResult<LockFile> {
    if Path::new(text).is_file() {
        return read_file(Path::new(text));
    }
    let local = Local::open(global)?;
    for candidate in &candidates(text) {
        if local.git.commit(candidate).map_err(|error| git_error("the revision cannot be read", &error))?.is_none() {
            continue;
        }
        let bytes =
            local.git.read_file(candidate, LOCK_FILE).map_err(|error| git_error("the lock cannot be read", &error))?;
        let bytes = bytes.ok_or_else(|| CliError::new(ExitCode::Usage, format!("`{LOCK_FILE}` is not in `{text}`")))?;
        return LockFile::parse(bytes, &format!("{text}:{LOCK_FILE}"));
    }
    Err(CliError::new(ExitCode::Usage, format!("`{text}` is neither a file nor a revision of this repository")))
}

fn read_file(path: &Path) -> CliResult<LockFile> {
    let bytes = std::fs::read(path).map_err(|error| {
        CliError::from_source(ExitCode::Usage, format!("`{}` cannot be read", path.display()), &error)
    })?;
    LockFile::parse(bytes, &path.display().to_string())
}

/// Writes a file: old or new, never a mix.
fn write_file(path: &Path, bytes: &[u8]) -> CliResult<()> {
    let failed = |error: std::io::Error| {
        CliError::from_source(ExitCode::Usage, format!("`{}` cannot be written", path.display()), &error)
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
