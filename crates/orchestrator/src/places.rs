//! Whose the places of an environment are: what protected branches say, and what lies there.

use std::collections::{BTreeMap, BTreeSet};

use config::{Config, Environment, TargetPlace};
use deployer::render::Occupant;
use deployer::{DeployError, RenderFolder, RenderTarget};
use ledger::{Ledger, PolicySource};
use lock_model::{BranchName, CommitId, EnvironmentName};
use promotion::places::{Claim, PlaceContent, PlaceFacts, PlaceFound, PlaceRefusal, Protection, Standing};
use promotion::policy_commit::{Line, environments_of};

use crate::branch_line::policy_commit_of;
use crate::cluster_target::ClusterPlace;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::hints;
use crate::policy_found::way_out;
use crate::revision::load_config;

/// Gathers what decides about the places that an environment writes.
pub(crate) async fn place_facts(
    context: &Context,
    ledger: &Ledger,
    config: &Config,
    environment: &Environment,
) -> Result<PlaceFacts> {
    let places = environment.places();
    if places.is_empty() {
        return Ok(PlaceFacts::default());
    }
    let protected: BTreeSet<BranchName> = context.forge.protected_branches().await?.into_keys().collect();
    let mut facts = PlaceFacts { places: Vec::new(), claims: claims(context, ledger, &protected).await? };
    for place in places {
        let content = content(context, config, environment, &place).await?;
        let is_protected = protected.iter().any(|branch| TargetPlace::Branch(branch.clone()).overlaps(&place));
        facts.places.push(PlaceFound {
            protection: if is_protected { Protection::Protected } else { Protection::Open },
            content,
            place,
        });
    }
    Ok(facts)
}

/// Refuses an environment that may not write its places, with every reason and the ways out.
pub(crate) fn refuse(environment: &EnvironmentName, refusals: &[PlaceRefusal]) -> Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    let problems = refusals.iter().map(|refusal| Problem::new(environment.to_string(), refusal.message()));
    let hints: BTreeSet<String> = refusals.iter().map(|refusal| refusal.hint(environment)).collect();
    let error = Error::new(ErrorKind::Refused, format!("`{environment}` may not write where its target is"));
    Err(hints.into_iter().fold(error.problems(problems), Error::hint))
}

/// A protected branch, and what its configurations say.
struct Voice {
    branch: BranchName,
    /// The policy commit of each environment of which one is on the branch; where nothing of them has passed, of each that
    /// the newest commit names.
    in_force: BTreeMap<EnvironmentName, Said>,
    /// The newest of them, or the newest commit where there is none.
    newest: Said,
}

/// What a commit says.
struct Said {
    commit: CommitId,
    config: Config,
    standing: Standing,
}

/// What the protected branches say about places.
///
/// A branch speaks for the environments that run it, by the policy commit of each. Its newest one also names the places of
/// environments that have not passed anywhere, unless another protected branch speaks for them.
async fn claims(context: &Context, ledger: &Ledger, protected: &BTreeSet<BranchName>) -> Result<Vec<Claim>> {
    let mut voices = Vec::new();
    for branch in protected {
        voices.extend(voice(context, ledger, branch).await?);
    }
    let mut claims = Vec::new();
    for voice in &voices {
        for (name, said) in &voice.in_force {
            let own = said.config.environments.get(name).filter(|own| own.branch.as_ref() == Some(&voice.branch));
            claims.extend(own.into_iter().flat_map(|own| claims_of(own, voice, &said.commit, said.standing)));
        }
        for environment in voice.newest.config.environments.values() {
            let is_elsewhere = voices
                .iter()
                .any(|other| other.branch != voice.branch && environment.branch.as_ref() == Some(&other.branch));
            if !is_elsewhere && !voice.in_force.contains_key(&environment.name) {
                claims.extend(claims_of(environment, voice, &voice.newest.commit, Standing::Declared));
            }
        }
    }
    Ok(claims)
}

fn claims_of(environment: &Environment, voice: &Voice, commit: &CommitId, standing: Standing) -> Vec<Claim> {
    let claim = |place| Claim {
        environment: environment.name.clone(),
        place,
        branch: voice.branch.clone(),
        commit: commit.clone(),
        standing,
    };
    environment.places().into_iter().map(claim).collect()
}

/// None where the branch does not exist or has no configuration.
async fn voice(context: &Context, ledger: &Ledger, branch: &BranchName) -> Result<Option<Voice>> {
    let Some(head) = context.find_branch_head(branch.as_str()).await? else { return Ok(None) };
    let line = Line { before: context.first_parents(head.as_str())?, ..Line::default() };
    let mut names = environments_of(ledger, &line);
    if names.is_empty()
        && let Some(newest) = said(context, branch, &head, Standing::Declared)?
    {
        // Nothing has passed, and a commit that was refused says nothing either: its policy commit does.
        let runs_it = |environment: &&Environment| environment.branch.as_ref() == Some(branch);
        names.extend(newest.config.environments.values().filter(runs_it).map(|environment| environment.name.clone()));
    }
    let mut in_force = BTreeMap::new();
    for name in names {
        let Some(found) = policy_commit_of(context, ledger, &name, &line)? else { continue };
        let standing = match found.source {
            PolicySource::Passed => Standing::Passed,
            PolicySource::Accepted => Standing::Accepted,
            PolicySource::Parent | PolicySource::Bootstrap => Standing::Declared,
        };
        let said =
            said(context, branch, &found.commit, standing).map_err(|error| error.hint(way_out(&name, "COMMIT")))?;
        in_force.extend(said.map(|said| (name, said)));
    }
    let is_in_force = |commit: &&CommitId| in_force.values().any(|said| said.commit == **commit);
    let newest = line.before.iter().find(is_in_force).unwrap_or(&head);
    let newest = said(context, branch, newest, Standing::Declared)?;
    Ok(newest.map(|newest| Voice { branch: branch.clone(), in_force, newest }))
}

fn said(context: &Context, branch: &BranchName, commit: &CommitId, standing: Standing) -> Result<Option<Said>> {
    let config = load_config(context, commit.as_str()).map_err(|error| {
        let what = format!(
            "whose places there are cannot be read from the configuration of `{branch}` at {}",
            commit.short(12)
        );
        Error::from_source(error.kind(), what, error)
    })?;
    Ok(config.map(|config| Said { commit: commit.clone(), config, standing }))
}

async fn content(
    context: &Context,
    config: &Config,
    environment: &Environment,
    place: &TargetPlace,
) -> Result<PlaceContent> {
    let stored = match place {
        TargetPlace::Branch(name) => {
            RenderTarget::new(context.git.clone(), context.remote.url(), name.clone()).read_stored().await
        }
        // Where there is no work tree, the deployment says so.
        TargetPlace::Folder(path) => match context.git.work_tree() {
            Some(top) => RenderFolder::new(top, path.to_string()).read(),
            None => Ok(None),
        },
        TargetPlace::Namespace(_) => return namespace_content(context, config, environment, place).await,
    };
    let tree = stored.map_err(|error| unreadable(environment, place, error))?;
    Ok(match tree.and_then(|tree| tree.occupant(&environment.name)) {
        None => PlaceContent::Own,
        Some(Occupant::Environment(name)) => PlaceContent::Environment(name),
        Some(Occupant::Foreign) => PlaceContent::Foreign,
    })
}

/// Whose a namespace is, by what orchestrator wrote there.
async fn namespace_content(
    context: &Context,
    config: &Config,
    environment: &Environment,
    place: &TargetPlace,
) -> Result<PlaceContent> {
    let Some(cluster) = ClusterPlace::of(context, config, environment) else { return Ok(PlaceContent::Own) };
    let other = cluster.open(context).await?.other_owner(environment.name.as_str()).await;
    Ok(match other.map_err(|error| unreadable(environment, place, error))? {
        None => PlaceContent::Own,
        Some(other) if other.repository == cluster.repository => PlaceContent::Environment(other.environment),
        Some(other) => PlaceContent::OtherRepository { repository: other.repository, environment: other.environment },
    })
}

/// A place that is no place, such as a symbolic link, is refused like one of somebody else.
fn unreadable(environment: &Environment, place: &TargetPlace, error: DeployError) -> Error {
    let kind = match &error {
        DeployError::Unusable { .. } => ErrorKind::Refused,
        other => ErrorKind::of(other.class(), ErrorKind::Repository, ErrorKind::Repository),
    };
    let hint = hints::of_target_of(&error, &environment.name);
    let error = Error::from_source(kind, format!("what {} holds cannot be read", place.quoted()), error);
    hint.into_iter().fold(error, Error::hint).hint("nothing was deployed")
}
