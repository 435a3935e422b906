//! The `lock` commands.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use ::forge::{MergeRef, PullRequest, PullRequestState, StatusState};
use lock_model::{Content, Lock, LockId, ServiceName, Source};
use train::config::{Config, weakenings};
use train::ledger::{LockFile as RecordedLock, PolicySource, RecordDraft, Step, StepResult};
use train::report::{LockComment, LockFailure, LockProblemText, lock_comment, lock_failure_comment};

use crate::arguments::{
    GlobalArgs, LockCheckArgs, LockCommitArgs, LockDiffArgs, LockGenerateArgs, LockPublishArgs, LockRejectArgs,
    LockShowArgs,
};
use crate::commands::run::{Ready, commit_of, find_environment, lease, ready_commit, superseded};
use crate::context::{Context, Local, forge_error, git_error};
use crate::engine::{LOCK_ARTEFACT, LOCK_STATUS, OnDifference, diff_problems, lock_files, rows_of, short_id};
use crate::error::{CliError, CliResult, Problem};
use crate::exit_code::ExitCode;
use crate::generation::{self, Generated, Scope};
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table};
use crate::registries;
use crate::snapshot::{LOCK_FILE, LOCK_FOLDER, LockFile, Snapshot, branch_of, environment_name, load_config};

/// Marker of our comment on a pull request.
const COMMENT: &str = "orchestrator-lock";

/// Resolves every service of a tree and writes the lock.
pub(crate) async fn generate(context: &Context, args: &LockGenerateArgs) -> CliResult<Report> {
    context.sync()?;
    let (snapshot, source) = if let Some(number) = args.pull_request {
        let merge = test_merge(context, number).await?;
        (merge.snapshot, merge.source)
    } else {
        let commit = context.resolve(&args.rev)?;
        let snapshot = Snapshot::load(context, &commit)?;
        let source = Source {
            repository: snapshot.config.forge.repository.clone(),
            pull_request: None,
            head: commit.clone(),
            base: snapshot.parents.first().unwrap_or(&commit).clone(),
            tree: snapshot.tree.clone(),
        };
        (snapshot, source)
    };
    let only = services(&args.service)?;
    let previous = match (&args.previous, only.is_empty()) {
        (_, true) => None,
        (Some(text), false) => Some(read_file(Path::new(text))?),
        (None, false) => lock_file_at(context, snapshot.commit.as_str())?,
    };
    let scope = match (&previous, only.is_empty()) {
        (_, true) => Scope { only: None, patience: args.wait.unwrap_or_default() },
        (Some(previous), false) => {
            Scope { only: Some((&only, &previous.lock)), patience: args.wait.unwrap_or_default() }
        }
        (None, false) => {
            return Err(CliError::new(ExitCode::Usage, "there is no earlier lock to take the other services from")
                .hint("name one with `--previous FILE`, or leave `--service` out"));
        }
    };
    let generated = generation::generate(context, &snapshot, source, scope).await?;
    let document = serde_json::json!({ "command": "lock generate", "lock": generated.lock.id(), "services": summary(&generated.lock) });
    let text = match &args.output {
        None => String::from_utf8_lossy(&generated.bytes).into_owned(),
        Some(folder) => {
            write_lock_folder(folder, &generated)?;
            format!(
                "lock {} of {} services is in {}\n",
                short_id(generated.lock.id().as_str()),
                generated.lock.services().len(),
                folder.display()
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
fn write_lock_folder(folder: &Path, generated: &Generated) -> CliResult<()> {
    let lock = LockFile::parse(generated.bytes.clone(), LOCK_FILE)?;
    let failed = |error: std::io::Error| {
        CliError::from_source(ExitCode::Usage, format!("`{}` cannot be written", folder.display()), &error)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    for change in lock_files(&lock)? {
        let ::forge::FileChange::Write { path, bytes } = change else { continue };
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        std::io::Write::write_all(&mut file, &bytes).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(folder.join(path.file_name())).map_err(|error| failed(error.error))?;
    }
    Ok(())
}

/// What merging a pull request gives.
struct TestMerge {
    snapshot: Snapshot,
    source: Source,
}

async fn test_merge(context: &Context, number: u64) -> CliResult<TestMerge> {
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
    let source = Source { repository, pull_request: Some(number), head, base, tree };
    Ok(TestMerge { snapshot, source })
}

/// Judges a lock: its form, the tree, the ledger, the registry.
pub(crate) async fn check(context: &Context, args: &LockCheckArgs) -> CliResult<Report> {
    context.sync()?;
    let commit = context.resolve(&args.rev)?;
    let snapshot = Snapshot::load(context, &commit)?;
    let lock = match &args.file {
        Some(path) => read_file(path)?,
        None => snapshot.lock(context)?.ok_or_else(|| {
            CliError::new(ExitCode::Repository, format!("`{LOCK_FILE}` is not in {}", commit.short(12)))
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
    let gone = missing_digests(context, &snapshot, &lock.lock).await?;
    ask("images are there", gone, "every digest, on every platform".to_owned());
    let verdict = if code == ExitCode::Done { "can be used" } else { "cannot be used" };
    let document = serde_json::json!({
        "command": "lock check", "lock": lock.lock.id(), "commit": commit, "usable": code == ExitCode::Done,
        "answers": answers,
    });
    Ok(Report::new(code, format!("the lock {verdict}\n\n{}", table.render()), document))
}

/// Which locked digests the registry no longer has.
async fn missing_digests(context: &Context, snapshot: &Snapshot, lock: &Lock) -> CliResult<Vec<String>> {
    let registry = registries::client(context, &snapshot.config)?;
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

/// Compares two locks.
pub(crate) fn diff(global: &GlobalArgs, args: &LockDiffArgs) -> CliResult<Report> {
    let before = read_lock(global, &args.before)?;
    let after = read_lock(global, &args.after)?;
    let changes = lock_model::diff(&before.lock, &after.lock);
    let mut human = format!("{} → {}\n", short_id(before.lock.id().as_str()), short_id(after.lock.id().as_str()));
    let problems = diff_problems(&changes);
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
    let document = serde_json::json!({
        "command": "lock diff", "before": before.lock.id(), "after": after.lock.id(), "changes": problems,
    });
    Ok(Report::new(ExitCode::Done, human, document))
}

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
        let commit = service.git.sha.short(12);
        match &service.content {
            Content::Image(image) => table.row([
                name.as_str(),
                commit,
                &format!("{}:{}", image.repository, image.tag),
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
            let value = serde_json::json!({ "path": service.path, "commit": service.git.sha, "image": image });
            (name.to_string(), value)
        })
        .collect::<serde_json::Map<String, serde_json::Value>>()
        .into()
}

/// Makes a pull request's lock and publishes it.
pub(crate) async fn publish(context: &Context, args: &LockPublishArgs) -> CliResult<Report> {
    context.sync()?;
    let number = args.pull_request;
    let pull_request = context.forge.pull_request(number).await.map_err(forge_error)?;
    if pull_request.state != PullRequestState::Open {
        return Err(CliError::new(ExitCode::Usage, format!("pull request {number} is not open")));
    }
    // Before anything is said on its head, which may be the commit of another branch's own run.
    let base = context.branch_head(pull_request.base_branch.as_str()).await?;
    // A configuration that cannot be read is said below, with the status and the comment.
    let readable = |revision: &str| load_config(context, revision).ok().flatten();
    let rules = readable(base.as_str()).or_else(|| readable(pull_request.head.as_str()));
    if let Some(rules) = &rules {
        goes_to_staging(&pull_request, rules)?;
    }
    let now = context.now(LedgerStore::read(context).await?.len());
    let status = async |state: StatusState, text: &str| -> CliResult<()> {
        let text = train::text::shorten(text, 140);
        context.forge.set_status(&pull_request.head, LOCK_STATUS, state, &text, now).await.map_err(forge_error)?;
        Ok(())
    };
    status(StatusState::Pending, "the lock is being made").await?;
    let made = make(context, &pull_request, args.wait.unwrap_or_default()).await;
    // Base or head may have moved meanwhile: then somebody else's run speaks for the new state, not this one.
    let present = context.forge.pull_request(number).await.map_err(forge_error)?;
    let base = context.branch_head(pull_request.base_branch.as_str()).await?;
    if present.head != pull_request.head || made.as_ref().is_ok_and(|made| made.base != base) {
        let note = format!("pull request {number} moved while its lock was made");
        return Ok(superseded_publish(number, &note));
    }
    match made {
        Ok(made) => {
            context.forge.put_artefact(number, LOCK_ARTEFACT, &made.generated.bytes).await.map_err(forge_error)?;
            context.forge.upsert_comment(number, COMMENT, &made.comment, now).await.map_err(forge_error)?;
            status(StatusState::Success, &made.line).await?;
            let mut report = describe(&made.generated.lock);
            report.human = format!(
                "pull request {number}: {}\n\n{}\nartefact, comment and status `{LOCK_STATUS}` are published\n",
                made.line, report.human
            );
            report.document = serde_json::json!({
                "command": "lock publish", "pull_request": number, "lock": made.generated.lock.id(),
                "release": made.release, "head": pull_request.head, "services": summary(&made.generated.lock),
            });
            Ok(report.warnings(made.warnings).markdown(made.comment))
        }
        Err(error) => {
            let problems: Vec<LockProblemText> = if error.problems.is_empty() {
                vec![LockProblemText { service: None, message: error.message.clone(), tried: error.causes.clone() }]
            } else {
                error
                    .problems
                    .iter()
                    .map(|problem| LockProblemText {
                        service: Some(problem.subject.clone()),
                        message: problem.message.clone(),
                        // The comment says "tried" itself.
                        tried: problem
                            .details
                            .iter()
                            .map(|detail| detail.strip_prefix("tried ").unwrap_or(detail).to_owned())
                            .collect(),
                    })
                    .collect()
            };
            let comment = lock_failure_comment(&LockFailure {
                target_branch: pull_request.base_branch.as_str(),
                head: &pull_request.head,
                problems: &problems,
            });
            context.forge.upsert_comment(number, COMMENT, &comment, now).await.map_err(forge_error)?;
            status(StatusState::Failure, &error.message).await?;
            Err(error)
        }
    }
}

struct Made {
    generated: Generated,
    comment: String,
    line: String,
    release: train::ReleaseId,
    base: lock_model::CommitId,
    warnings: Vec<String>,
}

async fn make(context: &Context, pull_request: &PullRequest, patience: Duration) -> CliResult<Made> {
    let merge = test_merge(context, pull_request.number).await?;
    let config = &merge.snapshot.config;
    goes_to_staging(pull_request, config)?;
    own_lock_changes(context, &merge)?;
    let base = merge.source.base.clone();
    let before = lock_at(context, base.as_str())?;
    let scope = Scope { patience, ..Scope::default() };
    let generated = generation::generate(context, &merge.snapshot, merge.source.clone(), scope).await?;
    let release = merge.snapshot.release(&generated.lock);
    let old = load_config(context, base.as_str())?;
    let source = if old.is_some() { PolicySource::Target } else { PolicySource::Bootstrap };
    let loosened: Vec<String> =
        old.iter().flat_map(|old| weakenings(old, config)).map(|weakening| weakening.to_string()).collect();
    let now = context.now(LedgerStore::read(context).await?.len());
    let mut rows = Vec::new();
    for environment in config.environments.values().filter(|environment| environment.target.is_some()) {
        rows.extend(rows_of(&merge.snapshot, &environment.name, &generated.lock, now)?);
    }
    let comment = lock_comment(&LockComment {
        lock: &generated.lock,
        before: before.as_ref(),
        release: &release,
        target_branch: pull_request.base_branch.as_str(),
        base: &base,
        head: &pull_request.head,
        policy: source,
        weakenings: &loosened,
        not_deployed: &rows,
        warnings: &generated.warnings,
    });
    let changed = before.as_ref().map_or(generated.lock.services().len(), |before| {
        diff_problems(&lock_model::diff(before, &generated.lock)).len()
    });
    let line = format!(
        "lock {}: {changed} of {} services change",
        short_id(generated.lock.id().as_str()),
        generated.lock.services().len()
    );
    let mut warnings = generated.warnings.clone();
    warnings.extend(loosened.iter().map(|weakening| format!("the pull request loosens a rule: {weakening}")));
    Ok(Made { generated, comment, line, release, base, warnings })
}

fn goes_to_staging(pull_request: &PullRequest, config: &Config) -> CliResult<()> {
    let staging = config.branches.staging.as_str();
    if pull_request.base_branch.as_str() == staging {
        return Ok(());
    }
    Err(CliError::new(
        ExitCode::Usage,
        format!("pull request {} goes to `{}`", pull_request.number, pull_request.base_branch),
    )
    .hint(format!("locks are made for pull requests into `{staging}`; a promotion carries one already")))
}

/// Only `lock commit` writes locks: a pull request that edits them is refused, unless it brings exactly what the
/// production branch has (a hotfix merged back).
fn own_lock_changes(context: &Context, merge: &TestMerge) -> CliResult<()> {
    let (base, head) = (&merge.source.base, &merge.source.head);
    let cannot = |error: &process::git::GitError| git_error("the pull request's own changes cannot be read", error);
    let Some(fork) = context.git.merge_base(base.as_str(), head.as_str()).map_err(|error| cannot(&error))? else {
        return Ok(());
    };
    let changes = context.git.diff_names(fork.as_str(), head.as_str()).map_err(|error| cannot(&error))?;
    let prefix = format!("{LOCK_FOLDER}/");
    let touched: Vec<&str> =
        changes.iter().map(|change| change.path.as_str()).filter(|path| path.starts_with(&prefix)).collect();
    if touched.is_empty() {
        return Ok(());
    }
    let production = context.resolve(merge.snapshot.config.branches.production.as_str())?;
    let mut foreign = Vec::new();
    for path in touched {
        let of = |revision: &str| context.git.read_file(revision, path).map_err(|error| cannot(&error));
        if of(head.as_str())? != of(production.as_str())? {
            foreign.push(Problem {
                subject: path.to_owned(),
                message: "is changed by this pull request".to_owned(),
                details: Vec::new(),
            });
        }
    }
    if foreign.is_empty() {
        return Ok(());
    }
    Err(CliError::new(ExitCode::Refused, "locks are written by `lock commit` only")
        .problems(foreign)
        .hint(format!("take the changes of `{LOCK_FOLDER}/` out of the branch")))
}

fn superseded_publish(number: u64, note: &str) -> Report {
    let document = serde_json::json!({ "command": "lock publish", "pull_request": number, "superseded": note });
    Report::new(
        ExitCode::Done,
        format!("superseded: {note}; `lock publish` again makes the lock of what it is now\n"),
        document,
    )
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

/// A lock by file name, or by a revision that holds one.
fn read_lock(global: &GlobalArgs, text: &str) -> CliResult<LockFile> {
    if Path::new(text).is_file() {
        return read_file(Path::new(text));
    }
    let local = Local::open(global)?;
    let candidates = [
        format!("refs/orchestrator/heads/{text}"),
        format!("refs/heads/{text}"),
        format!("refs/orchestrator/tags/{text}"),
        text.to_owned(),
    ];
    for candidate in &candidates {
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
