//! Where an environment was deployed before, as its ledger and the configurations of then say: what runs there is brought
//! up to date by nothing any more.

use std::collections::BTreeMap;

use config::{ClusterNamespace, Config, Environment, Target};
use deployer::{ClusterTargetKind, DeployError, Finding, LeftBehind, refusal_of_left};
use ledger::{Ledger, Record, Step, StepResult};
use lock_model::{CommitId, ConfigDigest, EnvironmentName, ErrorClass};

use super::deploy::Deployable;
use super::planning::Planning;
use super::target_errors::not_read;
use crate::cluster_target::ClusterPlace;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::revision::load_config;
use crate::workspace::Workspace;

/// A namespace that a target of an environment wrote.
#[derive(Clone, Debug)]
pub(crate) struct FormerPlace {
    pub(super) place: ClusterPlace,
    made_by: ClusterTargetKind,
}

/// What is still there of what was deployed elsewhere, or by another target.
#[derive(Debug, Default)]
pub(crate) struct LeftElsewhere {
    /// Why the target may not write its namespace.
    pub refusal: Option<DeployError>,
    /// For the proof.
    pub findings: Vec<Finding>,
    /// Places that could not be asked, a sentence each.
    pub unknown: Vec<String>,
}

/// The records of an environment, newest first, that say where something of it may be: up to the last proof of what ran,
/// which found nothing left elsewhere. Each configuration once.
fn deployments_since_proof<'a>(ledger: &'a Ledger, name: &EnvironmentName) -> BTreeMap<&'a ConfigDigest, &'a CommitId> {
    let mut found = BTreeMap::new();
    for record in ledger.of(name).rev() {
        let is_proof = record.is(Step::Verify, StepResult::Ok);
        if (is_proof || record.occupies_environment())
            && let (Some(config), Some(commit)) = (&record.entry.config, &record.entry.commit)
        {
            found.entry(config).or_insert(commit);
        }
        if is_proof {
            break;
        }
    }
    found
}

/// The target of a kind that writes a namespace.
fn kind_of(environment: &Environment) -> Option<ClusterTargetKind> {
    match environment.target.as_ref()? {
        Target::Helm(_) => Some(ClusterTargetKind::Helm),
        Target::Apply(_) => Some(ClusterTargetKind::Apply),
        Target::Render(_) => None,
    }
}

/// A configuration of an earlier commit; `None` where this program reads it no more.
fn earlier_config(context: &Workspace, commit: &CommitId) -> Result<Option<Config>> {
    match load_config(context, commit.as_str()) {
        Ok(config) => Ok(config),
        Err(error) if error.kind() == ErrorKind::Usage => Ok(None),
        Err(error) => Err(error),
    }
}

impl Planning<'_> {
    /// The places where the environment was deployed before in another way than now.
    pub(super) fn former_places(&self) -> Result<Vec<FormerPlace>> {
        let own = (kind_of(self.environment), self.environment.cluster_namespace());
        let mut known: Vec<(Option<ClusterTargetKind>, Option<ClusterNamespace>)> = vec![own];
        let mut former = Vec::new();
        for (digest, commit) in deployments_since_proof(self.ledger, &self.environment.name) {
            if *digest == self.revision.config_digest {
                continue;
            }
            let Some(config) = earlier_config(self.context, commit)? else { continue };
            let Some(environment) = config.environments.get(&self.environment.name) else { continue };
            let (made_by, namespace) = (kind_of(environment), environment.cluster_namespace());
            if known.iter().any(|one| *one == (made_by, namespace.clone())) {
                continue;
            }
            known.push((made_by, namespace));
            if let (Some(made_by), Some(place)) = (made_by, ClusterPlace::of(self.context, &config, environment)) {
                former.push(FormerPlace { place, made_by });
            }
        }
        Ok(former)
    }

    /// Refuses a rollback to a release whose configuration deploys to another place than the environment has now: what it
    /// has now would go on running there.
    pub(crate) async fn refuse_left_place(&self, context: &Context) -> Result<()> {
        let name = &self.environment.name;
        let Some(Record { entry: now, .. }) = self.ledger.occupant(name) else { return Ok(()) };
        let (Some(digest), Some(commit), Some(release)) = (&now.config, &now.commit, &now.release) else {
            return Ok(());
        };
        if *digest == self.revision.config_digest || release == self.release {
            return Ok(());
        }
        let Some(config) = earlier_config(context, commit)? else { return Ok(()) };
        let Some(environment) = config.environments.get(name) else { return Ok(()) };
        let is_render = |environment: &Environment| matches!(environment.target, Some(Target::Render(_)));
        let is_same_kind =
            kind_of(environment) == kind_of(self.environment) && is_render(environment) == is_render(self.environment);
        if is_same_kind && self.is_same_place(context, &config, environment).await? {
            return Ok(());
        }
        let (then, now) = (described(self.environment), described(environment));
        let message = format!(
            "`{name}` cannot go back to release {}: it was deployed to {then}, and release {}, which `{name}` has now, is in \
             {now} and would go on running there",
            self.release.id8(),
            release.id8()
        );
        Err(Error::new(ErrorKind::Refused, message).hint(format!(
            "nothing was changed; a pull request that takes the change of `environments.{name}` back deploys there again"
        )))
    }

    async fn is_same_place(&self, context: &Context, config: &Config, other: &Environment) -> Result<bool> {
        if self.environment.places() == other.places() {
            return Ok(true);
        }
        let own = ClusterPlace::of(context, &self.revision.config, self.environment);
        let (Some(own), Some(other)) = (own, ClusterPlace::of(context, config, other)) else { return Ok(false) };
        is_same_namespace(context, &own, &other).await
    }
}

/// Where a configuration deploys, for people.
fn described(environment: &Environment) -> String {
    let places: Vec<String> = environment.places().iter().map(config::TargetPlace::quoted).collect();
    let target = environment.target.as_ref().map_or("none", |target| match target {
        Target::Helm(_) => "helm",
        Target::Apply(_) => "apply",
        Target::Render(_) => "render",
    });
    format!("{} (target `{target}`)", places.join(" and "))
}

/// Whether two kubeconfigs lead to one namespace.
async fn is_same_namespace(context: &Workspace, own: &ClusterPlace, other: &ClusterPlace) -> Result<bool> {
    if own.namespace == other.namespace {
        return Ok(true);
    }
    if own.namespace.namespace != other.namespace.namespace {
        return Ok(false);
    }
    let (here, other) = (own.open(context).await?, other.open(context).await?);
    here.is_same_as(&other).await.map_err(|error| not_read(error, &own.environment))
}

impl Deployable {
    /// What is still there where the environment was deployed before.
    pub(super) async fn left_elsewhere(&self, context: &Workspace) -> Result<LeftElsewhere> {
        let mut found = LeftElsewhere::default();
        for former in &self.former {
            let (is_here, left) = match self.ask_former(context, former).await {
                Ok(answer) => answer,
                Err(error) if error.kind() == ErrorKind::Temporary => return Err(error),
                Err(error) if self.is_at(former) => return Err(error),
                Err(error) => {
                    let (name, place) = (&self.request.environment, &former.place.namespace);
                    let reason: Vec<String> =
                        std::iter::once(error.message().to_owned()).chain(error.causes()).collect();
                    found.unknown.push(format!(
                        "what `{name}` left in namespace `{place}`, where it was deployed before, is not known: {}",
                        reason.join(": ")
                    ));
                    continue;
                }
            };
            let place = format!("namespace `{}`", former.place.namespace);
            found.findings.extend(left.iter().map(|left| left.finding(&place)));
            if is_here && found.refusal.is_none() {
                found.refusal = refusal_of_left(former.made_by, &left);
            }
        }
        Ok(found)
    }

    /// Whether a place is, by its name, the one that is deployed to.
    fn is_at(&self, former: &FormerPlace) -> bool {
        self.destination.cluster().is_some_and(|own| own.namespace == former.place.namespace)
    }

    /// Whether it is the namespace that is deployed to, and what of another target is there.
    async fn ask_former(&self, context: &Workspace, former: &FormerPlace) -> Result<(bool, Vec<LeftBehind>)> {
        let own = self.destination.cluster();
        let is_here = match own {
            Some(own) => is_same_namespace(context, own, &former.place).await?,
            None => false,
        };
        if is_here && self.destination.kind() == Some(former.made_by) {
            return Ok((true, Vec::new()));
        }
        let namespace = former.place.open(context).await?;
        let left = namespace.left_behind(former.made_by, self.request.environment.as_str()).await;
        let left = left.map_err(|error| {
            let is_silent = error.class() == ErrorClass::Temporary;
            let hint = format!(
                "`{}` was deployed to namespace `{}` before, and what runs there has to be known",
                self.request.environment, former.place.namespace
            );
            let error = not_read(error, &self.request.environment);
            if is_silent { error.hint(hint) } else { error }
        })?;
        Ok((is_here, left))
    }
}
