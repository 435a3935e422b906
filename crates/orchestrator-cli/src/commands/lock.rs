//! The `lock` commands.

use orchestrator::lock::{
    self as library, Adoption, ComposeRequest, LockCheckRequest, LockGenerateRequest, LockMigrateRequest,
    LockPublishRequest,
};
use orchestrator::{Context, Opened, Result};

use super::{Session, dispatched_earlier};
use crate::arguments::{
    GlobalArgs, LockCheckArgs, LockCommand, LockCommitArgs, LockComposeArgs, LockDiffArgs, LockGenerateArgs,
    LockMigrateArgs, LockPublishArgs, LockRejectArgs, LockShowArgs, RevisionArgument,
};
use crate::output::Shown;
use crate::surroundings::surroundings;

pub(crate) async fn run(session: &Session, command: LockCommand) -> Result<Shown> {
    match command {
        // The merge of a pull request is made on behalf of a user.
        LockCommand::Generate(args) if args.pull_request.is_some() => generate(&session.opened()?, args).await,
        LockCommand::Generate(args) => generate(&session.opened_to_read()?, args).await,
        LockCommand::Migrate(args) => migrate(&session.context()?, args).await,
        LockCommand::Check(args) => check(&session.opened_to_read()?, args).await,
        LockCommand::Diff(args) => diff(session, &args).await,
        LockCommand::Publish(args) => publish(&session.context()?, &args).await,
        LockCommand::Commit(args) => commit(&session.context()?, &args).await,
        LockCommand::Reject(args) => reject(&session.context()?, &args).await,
        LockCommand::Show(_) | LockCommand::Compose(_) => Err(dispatched_earlier()),
    }
}

async fn generate(opened: &Opened, args: LockGenerateArgs) -> Result<Shown> {
    let mut request = LockGenerateRequest::new(args.rev);
    request.pull_request = args.pull_request;
    request.services = args.service.into_iter().collect();
    request.previous = args.previous;
    request.wait = args.wait.unwrap_or_default();
    request.check_pushed = args.check_pushed;
    request.output = args.output;
    Ok(Shown::report(&library::generate_lock(opened, &request).await?))
}

async fn migrate(context: &Context, args: LockMigrateArgs) -> Result<Shown> {
    let mut request = LockMigrateRequest::new(args.file);
    request.revision = args.rev;
    request.rules = args.rules;
    request.accept_unlabelled = args.revision.map(|policy| policy == RevisionArgument::Warn);
    request.output = args.output;
    request.adopt = args.adopt.zip(args.reason).map(|(environment, reason)| Adoption { environment, reason });
    Ok(Shown::report(&library::migrate_lock(context, &request).await?))
}

async fn check(opened: &Opened, args: LockCheckArgs) -> Result<Shown> {
    let mut request = LockCheckRequest::new(args.rev);
    request.file = args.file;
    request.check_pushed = args.check_pushed;
    Ok(Shown::report(&library::check_lock(opened, &request).await?))
}

async fn diff(session: &Session, args: &LockDiffArgs) -> Result<Shown> {
    let repository = &session.global.repository;
    let report = if args.commits {
        library::diff_locks_with_commits(&session.context()?, repository, &args.before, &args.after).await?
    } else {
        library::diff_locks(repository, &args.before, &args.after, &surroundings())?
    };
    Ok(Shown::report(&report))
}

async fn publish(context: &Context, args: &LockPublishArgs) -> Result<Shown> {
    let mut request = LockPublishRequest::new(args.pull_request);
    request.check_pushed = args.check_pushed;
    request.wait = args.wait.unwrap_or_default();
    Ok(Shown::report(&library::publish_lock(context, &request).await?))
}

async fn commit(context: &Context, args: &LockCommitArgs) -> Result<Shown> {
    let accept_new = args.reason.as_deref().filter(|_| args.accept_new);
    Ok(Shown::report(&library::commit_lock(context, &args.environment.name, accept_new).await?))
}

async fn reject(context: &Context, args: &LockRejectArgs) -> Result<Shown> {
    Ok(Shown::report(&library::reject_lock(context, &args.lock, &args.reason).await?))
}

pub(crate) fn show(args: &LockShowArgs, global: &GlobalArgs) -> Result<Shown> {
    Ok(Shown::report(&library::show_lock_of(&global.repository, &args.lock, &surroundings())?))
}

pub(crate) fn compose(args: &LockComposeArgs, global: &GlobalArgs) -> Result<Shown> {
    let mut request = ComposeRequest::new(&args.file);
    request.lock.clone_from(&args.lock);
    request.service.clone_from(&args.service);
    request.output.clone_from(&args.output);
    Ok(Shown::report(&library::compose_override(&global.repository, &request, &surroundings())?))
}
