//! `run` and `rollback`: the whole way through an environment.

use std::time::{Duration, Instant};

use ::forge::{Holder, Lease, LeaseOutcome};
use config::{Deployment, Environment};
use ledger::{RecordDraft, Step, StepResult};
use lock_model::{CommitId, EnvironmentName, Lock};
use promotion::attempts::Purpose;
use promotion::rollback::{self, RollbackTarget, TargetState};

use crate::arguments::{RollbackArgs, RunArgs};
use crate::context::{Context, forge_error, git_error};
use crate::digests;
use crate::engine::{Engine, LockCommit, OnDifference, Repeat, Wanted, lock_commit, short_id};
use crate::error::{CliError, CliResult, Problem};
use crate::exit_code::ExitCode;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table, append};
use crate::snapshot::{Snapshot, branch_of, commits_locks, environment_name, environment_of, load_config};

/// How often a waiting run looks whether the environment is free.
const LEASE_POLL: Duration = Duration::from_millis(200);

/// Runs every step that the environment's newest commit still needs.
pub(crate) async fn run(context: &Context, args: &RunArgs) -> CliResult<Report> {
    let name = environment_name(&args.environment.env)?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    let branch = branch_of(&environment)?;
    let _lease = lease(context, &name, args.wait.unwrap_or_default()).await?;
    // Whoever worked here until now may have moved the branch.
    context.sync()?;
    let commit = commit_of(context, &branch, args.rev.as_deref()).await?;
    let mut store = LedgerStore::read(context).await?;
    if args.lift_hold {
        lift_hold(context, &mut store, &name, args.reason.as_deref().unwrap_or_default()).await?;
    }
    let ready = ready_commit(context, &mut store, &name, &environment, &branch, commit, OnDifference::Refuse).await?;
    let (commit, lock_note) = match ready {
        Ready::Go { commit, note } => (commit, note),
        Ready::Superseded(note) => return Ok(superseded(&name, &note)),
    };
    let snapshot = Snapshot::load(context, &commit)?;
    let mut engine = Engine::new(context, store, snapshot, &name, Purpose::Run)?;
    if let Some(note) = lock_note {
        engine.lines.push(crate::engine::Line { step: "lock-commit".into(), result: "ok", detail: note });
    }
    if commits_locks(&environment) {
        engine.outdate_other_locks().await?;
    }
    let code = engine.run(&Wanted::All, Repeat::No).await?;
    Ok(report("run", &engine, code, args.rev.as_deref()))
}

/// Deploys an older release again, and holds the environment.
pub(crate) async fn rollback(context: &Context, args: &RollbackArgs) -> CliResult<Report> {
    let name = environment_name(&args.env)?;
    let _lease = lease(context, &name, args.wait.unwrap_or_default()).await?;
    context.sync()?;
    let store = LedgerStore::read(context).await?;
    let target = rollback::target(store.ledger(), &name, args.to.as_deref()).map_err(|error| {
        let code = match error.class() {
            lock_model::ErrorClass::Invalid => ExitCode::Usage,
            lock_model::ErrorClass::NotFound
            | lock_model::ErrorClass::Denied
            | lock_model::ErrorClass::Temporary
            | lock_model::ErrorClass::Bug => ExitCode::Refused,
        };
        CliError::from_source(code, format!("`{name}` cannot be rolled back"), &error)
            .hint(format!("`orchestrator history --env {name}` shows what was proven there"))
    })?;
    let snapshot = Snapshot::load(context, &target.commit)?;
    let mut engine = Engine::new(context, store, snapshot, &name, Purpose::Rollback)?;
    if engine.release != target.release {
        return Err(CliError::new(
            ExitCode::Repository,
            format!(
                "commit {} makes release {}, the ledger says {}",
                target.commit.short(12),
                engine.release.id8(),
                target.release.id8()
            ),
        )
        .hint("the repository was rewritten: restore the release's commit"));
    }
    match target.state {
        TargetState::New | TargetState::Underway { .. } => images_are_there(context, &engine, &target).await?,
        TargetState::Done { .. } => {}
    }
    match target.state {
        TargetState::New => engine.begin_rollback(&args.reason, target.tag.clone()).await?,
        TargetState::Underway { .. } | TargetState::Done { .. } => {}
    }
    let code = engine.run(&Wanted::All, Repeat::No).await?;
    let mut report = report("rollback", &engine, code, None);
    append(
        &mut report.human,
        format!("\n`{name}` is held: `orchestrator unhold --env {name} --reason …` lets the train go on.\n"),
    );
    Ok(report)
}

/// Nothing is begun for a release whose images were cleaned away: the next one that is whole is named.
async fn images_are_there(context: &Context, engine: &Engine<'_>, target: &RollbackTarget) -> CliResult<()> {
    let gone = gone_of(context, &engine.snapshot, &engine.lock.lock, &engine.environment.name).await?;
    if gone.is_empty() {
        return Ok(());
    }
    let name = &engine.environment.name;
    let called = |target: &RollbackTarget| target.tag.clone().unwrap_or_else(|| target.release.id8().to_owned());
    let error = CliError::new(ExitCode::Image, format!("images of `{}` are not there any more", called(target)))
        .problems(gone)
        .hint("nothing was changed; push the images again, or go back to another release");
    let ledger = engine.store.ledger();
    let current = ledger.latest_touched(name).and_then(|record| record.entry.release.clone());
    for other in rollback::known_good(ledger, name) {
        if other.release == target.release || Some(&other.release) == current.as_ref() {
            continue;
        }
        let Ok(snapshot) = Snapshot::load(context, &other.commit) else { continue };
        let Ok(Some(lock)) = snapshot.lock(context) else { continue };
        if gone_of(context, &snapshot, &lock.lock, name).await.is_ok_and(|gone| gone.is_empty()) {
            let again = format!("orchestrator rollback --env {name} --to {} --reason …", called(&other));
            return Err(error.hint(format!("`{again}`: all images of that release are there")));
        }
    }
    Err(error)
}

/// The digests that are gone of what an environment deploys of a lock.
async fn gone_of(
    context: &Context,
    snapshot: &Snapshot,
    lock: &Lock,
    name: &EnvironmentName,
) -> CliResult<Vec<Problem>> {
    let environment = snapshot.environment(name)?;
    let today = context.now(0).date();
    digests::gone(context, snapshot, lock, |service, entry| match environment.decide(service, &entry.path, today) {
        Deployment::Deploy(_) => true,
        Deployment::NotDeployed { .. } | Deployment::LockedOnly { .. } => false,
    })
    .await
}

/// A commit that carries its lock, or the news that somebody else goes on.
#[derive(Debug)]
pub(crate) enum Ready {
    /// Go on with this commit.
    Go {
        /// The commit.
        commit: CommitId,
        /// What the lock commit said, where the environment commits locks.
        note: Option<String>,
    },
    /// Something newer was pushed.
    Superseded(String),
}

/// Makes sure that the commit carries its lock, where locks are committed.
pub(crate) async fn ready_commit(
    context: &Context,
    store: &mut LedgerStore,
    name: &EnvironmentName,
    environment: &Environment,
    branch: &str,
    commit: CommitId,
    on_difference: OnDifference<'_>,
) -> CliResult<Ready> {
    if !commits_locks(environment) {
        return Ok(Ready::Go { commit, note: None });
    }
    let tip = Snapshot::load(context, &commit)?;
    Ok(match lock_commit(context, store, name, branch, &tip, on_difference).await? {
        LockCommit::Ready { commit, note } => {
            context.progress.line(&format!("lock-commit: ok ({note})"));
            Ready::Go { commit, note: Some(note) }
        }
        LockCommit::Superseded { note } => Ready::Superseded(note),
    })
}

/// A run that something newer overtook: no failure, nothing done.
pub(crate) fn superseded(name: &EnvironmentName, note: &str) -> Report {
    Report::new(
        ExitCode::Done,
        format!("superseded: {note}\n"),
        serde_json::json!({ "command": "run", "environment": name, "superseded": note }),
    )
}

/// The environment, as the branch that it runs says.
///
/// Which branch that is decides whose rules hold, so the change that asks never answers it: the commit that was deployed
/// there last does. Before the first deployment a protected branch that says so of itself is believed first, then what
/// `HEAD` and the other branches say, protected branches before open ones.
pub(crate) async fn find_environment(context: &Context, name: &EnvironmentName) -> CliResult<Environment> {
    if let Some(branch) = deployed_branch(context, name).await?
        && let Some(environment) = own_environment(context, name, &branch).await?
    {
        return Ok(environment);
    }
    let protected: Vec<String> = context
        .local_forge()
        .protected_branches()
        .map_err(forge_error)?
        .into_iter()
        .map(|(branch, _)| branch.to_string())
        .collect();
    for branch in &protected {
        if let Some(environment) = own_environment(context, name, branch).await?
            && environment.branch.as_ref().is_some_and(|own| own.as_str() == branch)
        {
            return Ok(environment);
        }
    }
    let mut revisions = vec!["HEAD".to_owned()];
    let branches = context.forge.branches().await.map_err(forge_error)?;
    revisions.extend(branches.into_iter().map(|(_, head)| head.to_string()));
    let mut known = None;
    let mut open = None;
    for revision in revisions {
        let exists = context.git.commit(&revision).map_err(|error| git_error("history cannot be read", &error))?;
        if exists.is_none() {
            continue;
        }
        let Some(config) = load_config(context, &revision)? else { continue };
        if let Some(environment) = config.environments.get(name) {
            // The branch's own configuration decides; this one only says which branch it is.
            let Some(branch) = &environment.branch else { return Ok(environment.clone()) };
            if protected.iter().any(|protected| protected == branch.as_str()) {
                let own = own_environment(context, name, branch.as_str()).await?;
                return Ok(own.unwrap_or_else(|| environment.clone()));
            }
            open = open.or_else(|| Some(environment.clone()));
        }
        known = known.or(Some(config));
    }
    if let Some(environment) = open {
        let branch = branch_of(&environment)?;
        return Ok(own_environment(context, name, &branch).await?.unwrap_or(environment));
    }
    match known {
        Some(config) => environment_of(&config, name).cloned(),
        None => Err(CliError::new(ExitCode::Usage, "no branch of the forge has an `orchestrator.yaml`")
            .hint("commit one to the integration branch")),
    }
}

/// The branch that the newest deployment came from, by the configuration that was deployed.
async fn deployed_branch(context: &Context, name: &EnvironmentName) -> CliResult<Option<String>> {
    let store = LedgerStore::read(context).await?;
    let Some(commit) = store.ledger().latest_touched(name).and_then(|record| record.entry.commit.clone()) else {
        return Ok(None);
    };
    if context.git.commit(commit.as_str()).map_err(|error| git_error("history cannot be read", &error))?.is_none() {
        return Ok(None);
    }
    let config = load_config(context, commit.as_str())?;
    let environment = config.and_then(|config| config.environments.get(name).cloned());
    Ok(environment.and_then(|environment| environment.branch).map(|branch| branch.to_string()))
}

/// What the newest commit of a branch says about an environment; absent where it says nothing.
async fn own_environment(context: &Context, name: &EnvironmentName, branch: &str) -> CliResult<Option<Environment>> {
    let Some(head) = context.find_branch_head(branch).await? else { return Ok(None) };
    let config = load_config(context, head.as_str())?;
    Ok(config.and_then(|config| config.environments.get(name).cloned()))
}

/// The commit that a command is about: the branch's newest, or the named one if it is part of the branch.
pub(crate) async fn commit_of(context: &Context, branch: &str, revision: Option<&str>) -> CliResult<CommitId> {
    let head = context.branch_head(branch).await?;
    let Some(revision) = revision else { return Ok(head) };
    let commit = context.resolve(revision)?;
    // The first parents are what the branch itself was: a commit that came with a merge ran nowhere, and the rules of
    // its own parent are nobody's.
    let line = context
        .git
        .rev_list(&["--first-parent", head.as_str()])
        .map_err(|error| git_error("history cannot be read", &error))?;
    if line.contains(&commit) {
        Ok(commit)
    } else {
        Err(CliError::new(ExitCode::Repository, format!("commit {} was never the tip of `{branch}`", commit.short(12)))
            .hint(format!(
                "what runs in this environment is merged to `{branch}` first; name the merge, not what it brought"
            )))
    }
}

/// The environment's mutex: one run at a time; released when this process ends, however it ends.
pub(crate) async fn lease(context: &Context, name: &EnvironmentName, wait: Duration) -> CliResult<Lease> {
    let holder = format!("{} (run {}, attempt {})", context.run.actor, context.run.id, context.run.attempt);
    let patience = Instant::now() + wait;
    let mut said = false;
    loop {
        let forge = context.local_forge();
        let outcome = forge.lease(name.as_str(), &holder, Duration::ZERO, context.now(0)).map_err(forge_error)?;
        let busy = match outcome {
            LeaseOutcome::Held(lease) => return Ok(lease),
            LeaseOutcome::Busy { holder } => holder.map_or_else(
                || "somebody works on it".to_owned(),
                |Holder { holder, since, .. }| format!("{holder} works on it since {since}"),
            ),
        };
        if Instant::now() >= patience {
            return Err(CliError::new(ExitCode::Temporary, format!("`{name}` is busy: {busy}"))
                .hint("wait for it with `--wait 10m`, or run the same command again later"));
        }
        if !said {
            context.progress.line(&format!("waiting: {busy}"));
            said = true;
        }
        tokio::time::sleep(LEASE_POLL).await;
    }
}

async fn lift_hold(context: &Context, store: &mut LedgerStore, name: &EnvironmentName, reason: &str) -> CliResult<()> {
    let draft = RecordDraft::new(Step::Unhold, StepResult::Ok, context.run.clone(), context.now(store.len()))
        .environment(name)
        .reason(reason);
    let Some(last) = store.ledger().held(name).and_then(|hold| store.ledger().record(hold.seq).cloned()) else {
        return Ok(());
    };
    let mut draft = draft;
    draft.commit = last.entry.commit.clone();
    store.append(context, draft, &[], |_| Ok(())).await?;
    context.progress.line(&format!("unhold: ok ({reason})"));
    Ok(())
}

/// The report of a way through an environment.
pub(crate) fn report(command: &str, engine: &Engine<'_>, code: ExitCode, revision: Option<&str>) -> Report {
    let name = &engine.environment.name;
    let id8 = engine.release.id8();
    let mut table = Table::new(&["step", "result", "detail"]);
    for line in &engine.lines {
        for (index, detail) in line.detail.lines().enumerate() {
            let (step, result) = if index == 0 { (line.step.as_str(), line.result) } else { ("", "") };
            table.row([step, result, detail]);
        }
    }
    let deployed = engine.lines.iter().any(|line| line.step == "deploy" && line.result == "ok");
    let verdict = match code {
        ExitCode::Done => {
            let worked = engine.lines.iter().any(|line| line.result == "ok");
            match command {
                "deploy" => format!("{name}: release {id8} is deployed"),
                "rollback" => format!("{name}: release {id8} is back"),
                "promote" | "release" if !worked => format!("{name}: release {id8}: nothing was left to do"),
                "promote" => format!("{name}: release {id8} is promoted"),
                "release" => format!("{name}: release {id8} is released"),
                _ => format!("{name}: release {id8} is through"),
            }
        }
        ExitCode::Refused | ExitCode::Repository if !deployed => {
            format!("{name}: release {id8} was refused, nothing was changed")
        }
        _ => format!("{name}: release {id8} did not come through"),
    };
    let again = if code == ExitCode::Done {
        String::new()
    } else {
        let revision = revision.map(|revision| format!(" --rev {revision}")).unwrap_or_default();
        let reason = if command == "rollback" { " --reason …" } else { "" };
        format!("Once the cause is gone: `orchestrator {command} --env {name}{revision}{reason}` goes on from here.\n")
    };
    let human = format!(
        "{verdict}\n  commit {}  lock {}\n\n{}{again}",
        engine.snapshot.commit.short(12),
        short_id(engine.lock.lock.id().as_str()),
        table.render()
    );
    let document = serde_json::json!({
        "command": command,
        "environment": name,
        "release": engine.release,
        "lock": engine.lock.lock.id(),
        "commit": engine.snapshot.commit,
        "steps": engine.lines,
    });
    Report::new(code, human, document).warnings(engine.warnings.clone())
}
