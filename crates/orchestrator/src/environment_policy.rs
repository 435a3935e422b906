//! Which branch an environment runs, and which configuration decides that.

use config::{Config, Environment, Role};
use ledger::Ledger;
use lock_model::{CONFIG_FILE, CommitId, EnvironmentName};

use crate::context::{Context, git_error};
use crate::error::{Error, ErrorKind, Result};
use crate::hints;
use crate::inputs::Inputs;
use crate::labels::other_names;
use crate::ledger_store::LedgerStore;
use crate::revision::load_config;
use crate::starter::no_configuration;

/// The environment, as the configuration of the branch that it runs defines it.
///
/// The branch decides whose policy judges a change, so the change itself must not choose it. The commit that was deployed
/// there last names the branch, if that is protected: anybody can write to another one. Else it is a protected branch whose
/// own configuration gives it to the environment, then the branch of that deployment, then what `HEAD` and the other
/// branches say, protected branches before the others.
///
/// Where the branch's newest configuration cannot be read, the environment is as it was deployed: it can be rolled back, and
/// the repair can be approved. What cannot be read on a branch that nobody protects is passed over.
pub(crate) async fn find_environment(context: &Context, name: &EnvironmentName) -> Result<Environment> {
    let protected: Vec<String> =
        context.forge.protected_branches().await?.into_keys().map(|branch| branch.to_string()).collect();
    let deployed = match deployed_environment(context, name).await? {
        Some((branch, environment)) => match own_environment(context, name, &branch).await {
            Err(error) if error.kind() == ErrorKind::Usage => Some((branch, environment)),
            own => own?.map(|own| (branch, own)),
        },
        None => None,
    };
    if let Some((_, environment)) = deployed.as_ref().filter(|(branch, _)| protected.contains(branch)) {
        return Ok(environment.clone());
    }
    let mut unreadable = None;
    for branch in &protected {
        match own_environment(context, name, branch).await {
            Err(error) if error.kind() == ErrorKind::Usage => unreadable = unreadable.or(Some(error)),
            own => {
                let runs_it = |own: &Environment| own.branch.as_ref().is_some_and(|own| own.as_str() == branch);
                if let Some(environment) = own?.filter(runs_it) {
                    return Ok(environment);
                }
            }
        }
    }
    if let Some((_, environment)) = deployed {
        return Ok(environment);
    }
    // It may be the one that decides, so nobody else is asked.
    if let Some(error) = unreadable {
        return Err(error);
    }
    named_elsewhere(context, name, &protected).await
}

/// Refuses a name that neither the ledger nor a configuration has: an environment that was taken out of the configuration
/// still has its history.
pub(crate) async fn known_environment(context: &Context, ledger: &Ledger, name: &EnvironmentName) -> Result<()> {
    if ledger.of(name).next().is_some() {
        return Ok(());
    }
    context.sync()?;
    find_environment(context, name).await.map(drop)
}

/// Refuses a repository of which neither the ledger nor a configuration says anything, such as a submodule's.
pub(crate) async fn needs_superproject(context: &Context, ledger: &Ledger) -> Result<()> {
    if !ledger.records().is_empty() {
        return Ok(());
    }
    context.sync()?;
    let mut revisions = vec!["HEAD".to_owned()];
    revisions.extend(context.forge.branches().await?.into_values().map(|head| head.to_string()));
    let unread = |error| git_error("the configuration cannot be read", error);
    for revision in &revisions {
        if context.commit(revision)?.is_some() && Inputs::config(&context.git, revision).map_err(unread)?.is_some() {
            return Ok(());
        }
    }
    match context.commit("HEAD")? {
        Some(head) => Err(no_configuration(context, &head)),
        None => Err(no_configuration_anywhere(context)),
    }
}

fn no_configuration_anywhere(context: &Context) -> Error {
    let hint = hints::of_configuration_elsewhere(&context.git);
    Error::new(ErrorKind::Usage, format!("no branch of the forge has an `{CONFIG_FILE}`"))
        .hint(hint.unwrap_or_else(|| "commit one, and push it to a branch of the forge".to_owned()))
}

/// The environment, where neither a deployment nor a protected branch says which branch it runs.
async fn named_elsewhere(context: &Context, name: &EnvironmentName, protected: &[String]) -> Result<Environment> {
    let mut revisions = vec!["HEAD".to_owned()];
    let branches = context.forge.branches().await?;
    revisions.extend(branches.into_values().map(|head| head.to_string()));
    let mut known = None;
    let mut open = None;
    let mut unreadable = None;
    for revision in revisions {
        let exists = context.commit(&revision)?;
        if exists.is_none() {
            continue;
        }
        let config = match load_config(context, &revision) {
            Err(error) if error.kind() == ErrorKind::Usage => {
                unreadable = unreadable.or(Some(error));
                continue;
            }
            config => config?,
        };
        let Some(config) = config else { continue };
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
    match (known, unreadable) {
        (Some(config), _) => environment_of(&config, name)
            .cloned()
            .map_err(|error| hints::of_edited_configuration(&context.git).into_iter().fold(error, Error::hint)),
        (None, Some(error)) => Err(error),
        (None, None) => Err(no_configuration_anywhere(context)),
    }
}

/// The environment as it was deployed last, with the branch that it came from.
async fn deployed_environment(context: &Context, name: &EnvironmentName) -> Result<Option<(String, Environment)>> {
    let store = LedgerStore::read(context).await?;
    let Some(commit) = store.ledger().latest_touched(name).and_then(|record| record.entry.commit.clone()) else {
        return Ok(None);
    };
    if context.commit(commit.as_str())?.is_none() {
        return Ok(None);
    }
    // What an older version of this program wrote may not be readable any more; the branches say it as well.
    let config = load_config(context, commit.as_str()).ok().flatten();
    let environment = config.and_then(|config| config.environments.get(name).cloned());
    Ok(environment.and_then(|environment| Some((environment.branch.as_ref()?.to_string(), environment))))
}

/// The environment in the newest configuration of a branch; `None` where it has none of that name.
async fn own_environment(context: &Context, name: &EnvironmentName, branch: &str) -> Result<Option<Environment>> {
    let Some(head) = context.find_branch_head(branch).await? else { return Ok(None) };
    let config = load_config(context, head.as_str())?;
    Ok(config.and_then(|config| config.environments.get(name).cloned()))
}

/// The commit that a command is about: the branch's newest, or the named one if it is part of the branch.
pub(crate) async fn commit_of(context: &Context, branch: &str, revision: Option<&str>) -> Result<CommitId> {
    let head = context.branch_head(branch).await?;
    let Some(revision) = revision else { return Ok(head) };
    let commit = context.resolve(revision)?;
    // First parents alone were tips of the branch: the policy of a commit that came with a merge was never in force.
    let line = context.first_parents(head.as_str())?;
    if line.contains(&commit) {
        Ok(commit)
    } else {
        Err(Error::new(ErrorKind::Repository, format!("commit {} was never the tip of `{branch}`", commit.short(12)))
            .hint(format!(
                "what runs in this environment is merged to `{branch}` first; name the merge, not what it brought"
            )))
    }
}

/// An environment by name.
pub(crate) fn environment_of<'a>(config: &'a Config, name: &EnvironmentName) -> Result<&'a Environment> {
    config.environments.get(name).ok_or_else(|| unknown_environment(config, name))
}

/// Says which environments there are.
pub(crate) fn unknown_environment(config: &Config, name: &EnvironmentName) -> Error {
    let known = config.environments.keys().map(EnvironmentName::as_str);
    Error::new(ErrorKind::Usage, format!("there is no environment `{name}`")).hint(other_names(
        name.as_str(),
        "the configuration",
        known,
    ))
}

/// The branch of the forge that an environment runs.
pub(crate) fn branch_of(environment: &Environment) -> Result<String> {
    environment.branch.as_ref().map(ToString::to_string).ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("environment `{}` has no branch", environment.name))
            .hint("give it `branch:` with a role of `branches:` if it should be deployed")
            .hint("an environment of pull requests is tested with `--pr N`")
    })
}

/// A command (`run`, `lock commit`) that commits the lock of what is merged: of this environment where locks are committed on
/// its branch, else of the first one of which that is so.
pub(crate) fn locking_command(command: &str, config: &Config, environment: &EnvironmentName) -> String {
    let own = config.environments.get(environment).into_iter();
    let name = own.chain(config.environments.values()).find(|environment| commits_locks(environment));
    format!("`orchestrator {command} {}`", name.map_or("ENVIRONMENT", |environment| environment.name.as_str()))
}

/// Whether this environment's branch is where locks are committed.
pub(crate) fn commits_locks(environment: &Environment) -> bool {
    environment.role == Some(Role::Staging)
}
