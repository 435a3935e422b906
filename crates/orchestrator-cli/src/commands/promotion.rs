//! `promote`, `approvals` and `release`.

use std::collections::BTreeSet;
use std::time::Duration;

use ::forge::StatusState;
use config::policy_relaxations;
use ledger::{PolicySource, Step};
use promotion::approvals::{ApprovalVerdict, count};
use promotion::attempts::Purpose;

use crate::arguments::{ApprovalsArgs, PromoteArgs, ReleaseArgs};
use crate::commands::run::{commit_of, find_environment, lease, report};
use crate::context::{Context, branch_name, forge_error};
use crate::engine::{APPROVALS_STATUS, Engine, PolicyFound, Repeat, Wanted, mergers, pull_request_facts};
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table};
use crate::snapshot::{Snapshot, branch_of, environment_name, load_config};

/// Opens or refreshes the promotion of proven content.
pub(crate) async fn promote(context: &Context, args: &PromoteArgs) -> CliResult<Report> {
    let name = environment_name(&args.env)?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    let _lease = lease(context, &name, Duration::ZERO).await?;
    let commit = commit_of(context, &branch_of(&environment)?, None).await?;
    let snapshot = Snapshot::load(context, &commit)?;
    let mut engine = Engine::new(context, LedgerStore::read(context).await?, snapshot, &name, Purpose::Run)?;
    if !engine.is_proven() {
        return Err(CliError::new(
            ExitCode::Refused,
            format!("release {} is not proven in `{name}`: there is nothing to promote", engine.release.id8()),
        )
        .hint(format!("`orchestrator run --env {name}` makes the proof")));
    }
    let code = engine.run(&Wanted::Only(BTreeSet::from([Step::Promote])), Repeat::No).await?;
    Ok(report("promote", &engine, code, None))
}

/// Tags and archives proven production content.
pub(crate) async fn release(context: &Context, args: &ReleaseArgs) -> CliResult<Report> {
    let name = environment_name(&args.env)?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    let _lease = lease(context, &name, Duration::ZERO).await?;
    let commit = commit_of(context, &branch_of(&environment)?, args.rev.as_deref()).await?;
    let snapshot = Snapshot::load(context, &commit)?;
    let mut engine = Engine::new(context, LedgerStore::read(context).await?, snapshot, &name, Purpose::Run)?;
    if !engine.is_proven() {
        return Err(CliError::new(
            ExitCode::Refused,
            format!("release {} is not proven in `{name}`: there is nothing to release", engine.release.id8()),
        )
        .hint(format!("`orchestrator run --env {name}` makes the proof")));
    }
    let code = engine.run(&Wanted::Only(BTreeSet::from([Step::Release])), Repeat::No).await?;
    Ok(report("release", &engine, code, args.rev.as_deref()))
}

/// Counts the approvals of a promotion, and sets its status.
pub(crate) async fn approvals(context: &Context, args: &ApprovalsArgs) -> CliResult<Report> {
    let name = environment_name(&args.env)?;
    context.sync()?;
    let environment = find_environment(context, &name).await?;
    let branch = branch_of(&environment)?;
    let pull_request = match args.pull_request {
        Some(number) => context.forge.pull_request(number).await.map_err(forge_error)?,
        None => open_promotion(context, &branch).await?,
    };
    if pull_request.base_branch.as_str() != branch {
        return Err(CliError::new(
            ExitCode::Usage,
            format!(
                "pull request {} goes to `{}`, `{name}` runs `{branch}`",
                pull_request.number, pull_request.base_branch
            ),
        ));
    }
    let snapshot = Snapshot::load(context, &pull_request.head)?;
    // The rules are the target branch's: what the pull request says about itself does not count.
    let target = match &pull_request.merge {
        Some(merge) => {
            let merged = Snapshot::load(context, &merge.commit)?;
            merged.parents.first().cloned()
        }
        None => Some(context.branch_head(&branch).await?),
    };
    let rules = match &target {
        Some(target) => load_config(context, target.as_str())?,
        None => None,
    };
    let found = PolicyFound::of(rules, &name);
    let policy = found.gates(context, &snapshot, &name, &mergers(context, &pull_request).await?)?;
    let now = context.now(LedgerStore::read(context).await?.len());
    let Some(policy) = policy.approvals else {
        if pull_request.merge.is_none() {
            let text = format!("`{name}` asks for no approvals");
            context
                .forge
                .set_status(&pull_request.head, APPROVALS_STATUS, StatusState::Success, &text, now)
                .await
                .map_err(forge_error)?;
        }
        let document = serde_json::json!({ "command": "approvals", "pull_request": pull_request.number, "needed": 0 });
        return Ok(Report::new(ExitCode::Done, format!("`{name}` asks for no approvals\n"), document));
    };
    let facts = pull_request_facts(context, &pull_request).await?;
    let approvals = count(&policy, &facts);
    let (code, state) = match approvals.verdict() {
        ApprovalVerdict::Enough => (ExitCode::Done, StatusState::Success),
        ApprovalVerdict::Missing => (ExitCode::Negative, StatusState::Pending),
        ApprovalVerdict::Blocked | ApprovalVerdict::Impossible => (ExitCode::Negative, StatusState::Failure),
    };
    if pull_request.merge.is_none() {
        context
            .forge
            .set_status(&pull_request.head, APPROVALS_STATUS, state, &approvals.summary(), now)
            .await
            .map_err(forge_error)?;
    }
    let mut table = Table::new(&["who", "counts", "why"]);
    for user in &approvals.counted {
        table.row([user.as_str(), "yes", "approved this content"]);
    }
    for review in &approvals.not_counted {
        table.row([review.user.as_str(), "no", review.reason.to_string().as_str()]);
    }
    let mut human = format!(
        "pull request {}: {} (head {}, rules of `{branch}`)\n",
        pull_request.number,
        approvals.summary(),
        pull_request.head.short(12)
    );
    if !table.is_empty() {
        human.push('\n');
        human.push_str(&table.render());
    }
    let mut warnings = Vec::new();
    match found.source {
        PolicySource::Target => {
            let loosened = policy_relaxations(found.config(&snapshot.config), &snapshot.config);
            warnings.extend(loosened.iter().map(|relaxation| format!("the pull request loosens a rule: {relaxation}")));
        }
        PolicySource::Bootstrap => {
            warnings.push(format!(
                "bootstrap: `{branch}` has no configuration yet, so the rules are the pull request's own"
            ));
        }
    }
    let document = serde_json::json!({
        "command": "approvals",
        "pull_request": pull_request.number,
        "head": pull_request.head,
        "needed": approvals.needed,
        "missing": approvals.missing,
        "counted": approvals.counted,
        "not_counted": approvals.explanations(),
        "policy": found.source.as_str(),
    });
    Ok(Report::new(code, human, document).warnings(warnings))
}

/// The one open pull request into a branch that comes from another branch of the train.
async fn open_promotion(context: &Context, branch: &str) -> CliResult<::forge::PullRequest> {
    let base = branch_name(branch)?;
    let open = context.forge.pull_requests(Some(::forge::PullRequestState::Open)).await.map_err(forge_error)?;
    let mut into: Vec<::forge::PullRequest> = open.into_iter().filter(|one| one.base_branch == base).collect();
    match (into.pop(), into.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => {
            Err(CliError::new(ExitCode::Usage, format!("several pull requests into `{branch}` are open"))
                .hint("name one with `--pull-request N`"))
        }
        (None, _) => Err(CliError::new(ExitCode::Refused, format!("no pull request into `{branch}` is open"))
            .hint("`orchestrator run --env staging` opens the promotion when its proof is there")),
    }
}
