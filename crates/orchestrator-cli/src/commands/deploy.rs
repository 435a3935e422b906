//! `plan`, `deploy` and `verify`.

use std::collections::BTreeSet;

use deployer::ChangeKind;
use ledger::Step;
use promotion::attempts::Purpose;

use crate::arguments::{DeployArgs, EnvironmentArgs, PlanArgs};
use crate::commands::run::{commit_of, find_environment, lease, report};
use crate::context::Context;
use crate::engine::{Engine, Repeat, Wanted, short_id};
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table, append};
use crate::snapshot::{Snapshot, branch_of, environment_name};

/// Shows what a deployment would change.
pub(crate) async fn plan(context: &Context, args: &PlanArgs) -> CliResult<Report> {
    let engine = open(context, &args.environment.env, args.rev.as_deref()).await?;
    belongs(&engine)?;
    let deployable = engine.deployable()?;
    let plan = deployable.plan(context)?;
    let mut table = Table::new(&["service", "change", "file", "image"]);
    for change in &plan.changes {
        let kind = match change.kind {
            ChangeKind::Added => "add",
            ChangeKind::Removed => "remove",
            ChangeKind::Changed => "change",
        };
        let service = change.service.as_ref().map_or("-", |service| service.as_str());
        let images: Vec<String> = change
            .images
            .iter()
            .map(|image| {
                let shown = |image: &Option<String>| image.as_deref().map_or_else(|| "none".to_owned(), short_image);
                format!("{} → {}", shown(&image.from), shown(&image.to))
            })
            .collect();
        table.row([service, kind, change.path.as_str(), images.join(", ").as_str()]);
    }
    let name = &engine.environment.name;
    let head = format!("{name}: release {} from commit {}\n", engine.release.id8(), engine.snapshot.commit.short(12));
    let mut human = if plan.is_empty_change() {
        format!("{head}nothing would change\n")
    } else {
        format!("{head}\n{}", table.render())
    };
    for skipped in &deployable.request.not_deployed {
        append(&mut human, format!("not deployed: {} ({})\n", skipped.name, skipped.reason));
    }
    let warnings: Vec<String> = plan
        .leftovers
        .iter()
        .map(|left| format!("{} at {} is not pinned: {}", left.object, left.place, left.image))
        .collect();
    let document = serde_json::json!({
        "command": "plan",
        "environment": name,
        "release": engine.release,
        "lock": engine.lock.lock.id(),
        "commit": engine.snapshot.commit,
        "plan": plan.digest,
        "changes": plan.changes,
        "leftovers": plan.leftovers,
    });
    Ok(Report::new(ExitCode::Done, human, document).warnings(warnings))
}

/// Gates, health, deployment and proof, without suites.
pub(crate) async fn deploy(context: &Context, args: &DeployArgs) -> CliResult<Report> {
    let name = environment_name(&args.environment.env)?;
    let _lease = lease(context, &name, args.wait.unwrap_or_default()).await?;
    let mut engine = open(context, &args.environment.env, args.rev.as_deref()).await?;
    let wanted = Wanted::Only(BTreeSet::from([Step::Gates, Step::Health, Step::Deploy, Step::Verify]));
    let repeat = if args.again { Repeat::Deploy } else { Repeat::No };
    let code = engine.run(&wanted, repeat).await?;
    Ok(report("deploy", &engine, code, args.rev.as_deref()))
}

/// Compares what is stored with the lock of the newest deployment.
pub(crate) async fn verify(context: &Context, args: &EnvironmentArgs) -> CliResult<Report> {
    let name = environment_name(&args.env)?;
    context.sync()?;
    let store = LedgerStore::read(context).await?;
    let Some(record) = store.ledger().latest_touched(&name) else {
        return Err(CliError::new(
            ExitCode::Refused,
            format!("nothing was ever deployed to `{name}`: there is nothing to compare"),
        ));
    };
    let commit = record.entry.commit.clone().ok_or_else(|| {
        CliError::new(ExitCode::Refused, format!("record {} does not say which commit was deployed", record.seq))
    })?;
    let snapshot = Snapshot::load(context, &commit)?;
    let engine = Engine::new(context, store, snapshot, &name, Purpose::Run)?;
    let proof = engine.deployable()?.prove(context)?;
    let (code, verdict) = if proof.is_proven() {
        (ExitCode::Done, "is what the lock says")
    } else {
        (ExitCode::Negative, "is not what the lock says")
    };
    let mut human = format!(
        "{name}: what is stored {verdict} (release {}, lock {})\n",
        engine.release.id8(),
        short_id(engine.lock.lock.id().as_str())
    );
    if proof.is_proven() {
        let mut table = Table::new(&["service", "object", "image"]);
        for image in &proof.images {
            let service = image.service.as_ref().map_or("-", |service| service.as_str());
            table.row([service, image.object.as_str(), short_image(&image.image).as_str()]);
        }
        human.push('\n');
        human.push_str(&table.render());
    } else {
        for finding in &proof.findings {
            append(&mut human, format!("  {finding}\n"));
        }
        append(&mut human, format!("hint: `orchestrator deploy --env {name} --again` puts it back\n"));
    }
    let document =
        serde_json::json!({ "command": "verify", "environment": name, "release": engine.release, "proof": proof });
    Ok(Report::new(code, human, document))
}

async fn open<'a>(context: &'a Context, environment: &str, revision: Option<&str>) -> CliResult<Engine<'a>> {
    let name = environment_name(environment)?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    let commit = commit_of(context, &branch_of(&environment)?, revision).await?;
    let snapshot = Snapshot::load(context, &commit)?;
    Engine::new(context, LedgerStore::read(context).await?, snapshot, &name, Purpose::Run)
}

/// A lock of another tree is of no use to anybody.
fn belongs(engine: &Engine<'_>) -> CliResult<()> {
    let mismatches = engine.snapshot.mismatches(&engine.lock.lock);
    if mismatches.is_empty() {
        return Ok(());
    }
    Err(CliError::new(
        ExitCode::Repository,
        format!("the lock does not belong to commit {}", engine.snapshot.commit.short(12)),
    )
    .problems(mismatches.iter().map(|mismatch| crate::error::Problem {
        subject: mismatch.path().to_owned(),
        message: mismatch.to_string(),
        details: Vec::new(),
    }))
    .hint("`orchestrator run --env staging` commits the lock of a merge"))
}

/// An image with a digest of twelve digits, which is enough for people.
fn short_image(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, hex)) => format!("{name}@{}", hex.chars().take(12).collect::<String>()),
        None => image.to_owned(),
    }
}
