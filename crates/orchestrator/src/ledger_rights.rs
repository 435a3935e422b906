//! Who may write to the ledger: asked before anything is written, so that nothing stops half way. The forge asks the same
//! again of each record that comes in.

use deployer::render::RenderPlan;
use forge::git::{MODE_FILE, TreeChange};
use forge::{Role, User};
use ledger::append_rules::{Permission, decides_rollback, is_step_of, permission};
use ledger::{Ledger, RecordDraft, Step, StepResult};
use lock_model::{BranchName, EnvironmentName};
use promotion::rollback::RollbackTarget;

use crate::context::{Context, git_error};
use crate::error::{Error, ErrorKind, Result};

/// Refuses a call that would record steps which the acting user may not record.
pub(crate) async fn may_record(context: &Context, step: Step, result: StepResult) -> Result<()> {
    let user = writer(context).await?;
    let draft = RecordDraft::new(step, result, context.run.clone(), context.now());
    match permission(&draft, &user.as_pusher()) {
        // Where to, the rollback asks the ledger itself.
        Permission::Granted | Permission::BeginsRollback => Ok(()),
        Permission::InOwnRollback => {
            let reason = format!("`{}` is a person, and only a bot records `{step}`", user.name);
            Err(denied(context, reason).await)
        }
        Permission::Denied(reason) => Err(denied(context, reason).await),
    }
}

/// Refuses to go on with a rollback that somebody else began, where the acting user is a person.
pub(crate) async fn may_continue_rollback(
    context: &Context,
    ledger: &Ledger,
    environment: &EnvironmentName,
    target: &RollbackTarget,
) -> Result<()> {
    let user = writer(context).await?;
    if user.bot {
        return Ok(());
    }
    let mut draft =
        RecordDraft::new(Step::Gates, StepResult::Ok, context.run.clone(), context.now()).environment(environment);
    draft.release = Some(target.release.clone());
    draft.commit = Some(target.commit.clone());
    draft.lock = Some(target.lock.clone());
    draft.lock_file = Some(target.lock_file.clone());
    let decider = ledger.of(environment).rfind(|record| decides_rollback(record, environment));
    match is_step_of(&draft, decider) {
        Ok(()) => Ok(()),
        Err(reason) => Err(denied(context, reason).await),
    }
}

/// Refuses a person's rollback that would set a reserved branch to a tree which the branch has never held: the forge takes
/// that from bots alone.
pub(crate) async fn may_set_branch(context: &Context, branch: &BranchName, planned: &RenderPlan) -> Result<()> {
    let user = writer(context).await?;
    let reserved = context.forge.reserved_refs().await?;
    if user.bot || !reserved.iter().any(|pattern| pattern.covers_branch(branch.as_str())) {
        return Ok(());
    }
    let unread = |error| git_error("the branch's history cannot be read", error);
    let changes: Vec<TreeChange> = planned
        .tree
        .files
        .iter()
        .map(|(path, bytes)| TreeChange::Write { path: path.clone(), mode: MODE_FILE, bytes: bytes.clone() })
        .collect();
    let tree = context.git.write_tree(None, &changes).map_err(unread)?;
    let held = match &planned.base {
        Some(base) => context.git.tree_history(base.as_str()).map_err(unread)?,
        None => Vec::new(),
    };
    if held.contains(&tree) {
        return Ok(());
    }
    let reason = format!(
        "`{branch}` is reserved for bots: `{}` may set it back to what it has held, and it has never held what this release \
         makes of it now",
        user.name
    );
    Err(denied(context, reason).await)
}

/// Refuses a person to do what only a bot's word counts for, before anything is written.
pub(crate) async fn needs_bot(context: &Context, what: &str) -> Result<()> {
    let user = writer(context).await?;
    if user.bot {
        return Ok(());
    }
    let message = format!("`{}` is a person, and {what} by a bot", user.name);
    Err(Error::new(ErrorKind::Denied, message).hint(as_bot(context).await?))
}

/// The command line by which the bot does the same.
async fn as_bot(context: &Context) -> Result<String> {
    let bots = context.bots().await?;
    let bot = bots.first().map_or("BOT", String::as_str);
    Ok(match &context.command {
        Some(words) => format!("let the bot do it, as a CI job does: `orchestrator --as {bot} {words}`"),
        None => format!("let the bot `{bot}` do it, as a CI job does"),
    })
}

/// The acting user, who must be known and allowed to write.
async fn writer(context: &Context) -> Result<User> {
    context.needs_actor()?;
    let user = context.forge.acting_user().await?;
    if user.role >= Role::Write {
        return Ok(user);
    }
    let (name, role) = (&user.name, user.role);
    Err(Error::new(
        ErrorKind::Denied,
        format!("`{name}` may not write to the ledger: the role is {role}, and this needs write"),
    ))
}

async fn denied(context: &Context, reason: impl std::fmt::Display) -> Error {
    let error = Error::new(ErrorKind::Denied, format!("the ledger would not take this: {reason}"));
    match as_bot(context).await {
        Ok(hint) => error.hint(hint),
        Err(_) => error,
    }
}
