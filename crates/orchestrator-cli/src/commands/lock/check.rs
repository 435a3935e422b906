//! `lock check`.

use std::collections::BTreeMap;

use ledger::LockFile as RecordedLock;
use lock_gen::Submodule;
use lock_model::{Lock, Service, ServiceName};

use super::read_file;
use crate::arguments::LockCheckArgs;
use crate::context::Context;
use crate::digests;
use crate::engine::short_id;
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::generation;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table};
use crate::snapshot::{LOCK_FILE, Snapshot};
use crate::submodules::{Target, ask_pushed, foreign_sources};

/// Judges a lock: its form, the tree, the ledger, the registry.
pub(crate) async fn check(context: &Context, args: &LockCheckArgs) -> CliResult<Report> {
    context.sync()?;
    let commit = context.resolve(&args.rev)?;
    let snapshot = Snapshot::load(context, &commit)?;
    let lock = match &args.file {
        Some(path) => read_file(path)?,
        None => snapshot.lock(context)?.ok_or_else(|| {
            CliError::new(ExitCode::Repository, format!("`{LOCK_FILE}` is not in {}", commit.short(12))).hint(
                "a lock is committed once a pull request is merged (`lock commit`); `lock generate` shows what it would be, \
                 and another file can be named",
            )
        })?,
    };
    let mut table = Table::new(&["question", "answer", "detail"]);
    let mut answers = Vec::new();
    let mut code = ExitCode::Done;
    let mut ask = |question: &str, findings: Vec<String>, fine: String| {
        answers.push(serde_json::json!({
            "question": question, "answer": findings.is_empty(), "findings": findings, "detail": fine,
        }));
        if findings.is_empty() {
            table.row([question, "yes", fine.as_str()]);
        }
        for (index, finding) in findings.iter().enumerate() {
            code = ExitCode::Negative;
            table.row([if index == 0 { question } else { "" }, if index == 0 { "no" } else { "" }, finding.as_str()]);
        }
    };
    ask("well-formed", Vec::new(), format!("lock {}", short_id(lock.lock.id().as_str())));
    let mismatches = snapshot.mismatches(&lock.lock).iter().map(ToString::to_string).collect();
    ask("belongs to the tree", mismatches, format!("{} services at {}", lock.lock.services().len(), commit.short(12)));
    ask("sources are allowed", sources(&snapshot, &lock.lock)?, String::new());
    let misfits = generation::misfits(&snapshot, &lock.lock)?;
    ask("fits the configuration", misfits, "images, platforms, revisions".to_owned());
    let store = LedgerStore::read(context).await?;
    let (unknown, known) = match store.ledger().lock_file(&lock.digest, lock.lock.id()) {
        RecordedLock::Committed { seq } | RecordedLock::Started { seq } => (Vec::new(), format!("record {seq}")),
        RecordedLock::Unknown => (
            vec![format!(
                "no record of the ledger knows a lock file with these bytes ({})",
                short_id(lock.digest.as_str())
            )],
            String::new(),
        ),
    };
    ask("the ledger's file", unknown, known);
    let rejected = store.ledger().rejected(lock.lock.id());
    let rejections = rejected.iter().map(|one| format!("rejected by {}: {}", one.by, one.reason)).collect();
    ask("not rejected", rejections, String::new());
    let mut pushed = None;
    if args.check_pushed {
        let answer =
            ask_pushed(context, &snapshot, &Target::none(), &services(&snapshot, &lock.lock)).await?.known()?;
        let nowhere = answer.nowhere.iter().map(|problem| format!("{}: {}", problem.subject, problem.message));
        ask("commits are pushed", nowhere.collect(), format!("{} of them are on branches", answer.on.len()));
        pushed = Some(answer.on);
    }
    let gone = digests::gone(context, &snapshot, &lock.lock, |_, _| true).await?;
    let gone = gone.into_iter().map(|problem| format!("{}: {}", problem.subject, problem.message)).collect();
    ask("images are there", gone, "every digest, on every platform".to_owned());
    let verdict = if code == ExitCode::Done { "can be used" } else { "cannot be used" };
    let mut document = serde_json::json!({
        "command": "lock check", "lock": lock.lock.id(), "commit": commit, "usable": code == ExitCode::Done,
        "answers": answers,
    });
    if let Some(pushed) = pushed {
        document["pushed"] = serde_json::json!(pushed);
    }
    Ok(Report::new(code, format!("the lock {verdict}\n\n{}", table.render()), document))
}

/// The submodules of a lock's services, where the tree has them.
fn services<'a>(snapshot: &'a Snapshot, lock: &Lock) -> BTreeMap<ServiceName, &'a Submodule> {
    let of = |service: &Service| snapshot.scan.submodules.iter().find(|submodule| submodule.path == service.path);
    lock.services().iter().filter_map(|(name, service)| Some((name.clone(), of(service)?))).collect()
}

fn sources(snapshot: &Snapshot, lock: &Lock) -> CliResult<Vec<String>> {
    let (problems, _) = foreign_sources(snapshot, &Target::none(), &services(snapshot, lock))?;
    Ok(problems.into_iter().map(|problem| format!("{}: {}", problem.subject, problem.message)).collect())
}
