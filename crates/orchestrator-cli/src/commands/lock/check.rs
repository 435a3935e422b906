//! `lock check`.

use std::collections::BTreeMap;

use lock_gen::Submodule;
use lock_model::{Content, Lock, Service, ServiceName};
use train::ledger::LockFile as RecordedLock;

use super::read_file;
use crate::arguments::LockCheckArgs;
use crate::context::Context;
use crate::engine::short_id;
use crate::error::{CliError, CliResult, Problem};
use crate::exit_code::ExitCode;
use crate::generation;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table};
use crate::registries;
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
    let gone = missing_digests(context, &snapshot, &lock.lock).await?;
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

/// Which locked digests the registry no longer has.
async fn missing_digests(context: &Context, snapshot: &Snapshot, lock: &Lock) -> CliResult<Vec<String>> {
    let registry = registries::client(context, &snapshot.config, &snapshot.commit)?;
    let requests: Vec<registry::DigestRequest> = lock
        .services()
        .iter()
        .filter_map(|(name, service)| match &service.content {
            Content::Image(image) => Some(registry::DigestRequest {
                service: name.clone(),
                repository: image.repository.clone(),
                digest: image.digest.clone(),
                platforms: image.platforms.clone(),
            }),
            Content::Configuration => None,
        })
        .collect();
    let answers = registry.check_digests(&requests, context.deadline, &|_event| {}).await;
    let mut missing = Vec::new();
    let mut failed = Vec::new();
    for (service, answer) in answers {
        match answer {
            Ok(answer) => {
                for (platform, digest) in answer.missing {
                    let platform = platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
                    missing.push(format!("{service}: {digest}{platform} is gone"));
                }
            }
            Err(error) => {
                let class = error.class();
                failed.push((
                    class,
                    Problem { subject: service.to_string(), message: error.to_string(), details: Vec::new() },
                ));
            }
        }
    }
    if failed.is_empty() {
        return Ok(missing);
    }
    let classes: Vec<lock_model::ErrorClass> = failed.iter().map(|(class, _)| *class).collect();
    let class = registry::overall_class(classes).unwrap_or(lock_model::ErrorClass::Temporary);
    let code = crate::error::code_of(class, ExitCode::Image, ExitCode::Image);
    Err(CliError::new(code, "the registry gave no answer about locked images")
        .problems(failed.into_iter().map(|(_, problem)| problem)))
}
