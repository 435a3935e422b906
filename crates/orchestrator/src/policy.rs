//! Decisions of an administrator about the rules of an environment.

use forge::Role;
use ledger::{Accepts, RecordDraft, Step, StepResult};
use lock_model::EnvironmentName;

use crate::context::Context;
use crate::environment_policy::{branch_of, commit_of, environment_of};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_store::LedgerStore;
use crate::report::v1::PolicyAcceptReport;
use crate::revision::load_config;

/// Puts the rules of a commit's configuration in force for an environment, until a commit above it passes on its own.
///
/// It is the way out where the rules in force cannot be met or read any more. No gate is opened by it: what is deployed
/// must pass by the accepted rules.
///
/// # Errors
///
/// [`ErrorKind::Denied`] for everybody but administrators of the forge, and for bots; [`ErrorKind::Usage`] where the
/// commit's configuration cannot be read or has no such environment; [`ErrorKind::Repository`] where the commit was never
/// the tip of the environment's branch.
pub async fn accept_policy(
    context: &Context,
    environment: &EnvironmentName,
    commit: &str,
    reason: &str,
) -> Result<PolicyAcceptReport> {
    context.needs_history()?;
    context.sync()?;
    by_administrator(context).await?;
    let commit = context.resolve(commit)?;
    let config = load_config(context, commit.as_str())?.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("commit {} has no configuration", commit.short(12)))
            .hint("name a commit whose rules can be read")
    })?;
    let branch = branch_of(environment_of(&config, environment)?)?;
    let commit = commit_of(context, &branch, Some(commit.as_str())).await?;
    let mut store = LedgerStore::read(context).await?;
    let mut draft = RecordDraft::new(Step::Policy, StepResult::Ok, context.run.clone(), context.now())
        .environment(environment)
        .reason(reason);
    draft.commit = Some(commit.clone());
    draft.accepts = Some(Accepts::Commit(commit.clone()));
    let record = store.append(context, draft, &[], |_| Ok(())).await?;
    Ok(PolicyAcceptReport { environment: environment.clone(), branch, commit, reason: reason.to_owned(), record })
}

/// Refuses everybody but a person who administers the forge.
pub(crate) async fn by_administrator(context: &Context) -> Result<()> {
    context.needs_actor()?;
    let name = &context.run.actor;
    let users = context.forge.users().await?;
    let names: Vec<String> = users.iter().map(|user| user.name.to_string()).collect();
    let user = users.into_iter().find(|user| user.name.as_str().eq_ignore_ascii_case(name));
    let why = match user {
        Some(user) if user.bot => "is a bot".to_owned(),
        Some(user) if user.role == Role::Admin => return Ok(()),
        Some(user) => format!("has the role {}", user.role),
        None => {
            let near = config::nearest(name, names.iter().map(String::as_str));
            let near = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
            format!("is no user of the forge{near}")
        }
    };
    Err(Error::new(ErrorKind::Denied, format!("`{name}` {why}: rules are put in force by administrators only"))
        .hint("a person who administers the forge runs this: `--as USER`"))
}
