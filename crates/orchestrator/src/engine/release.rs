//! The steps deploy, verify, proof and release.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cluster::{LeaseKeeper, LeaseLoss, LeaseState};
use config::{Environment, Values, Variable};
use deployer::apply::ApplyProof;
use deployer::helm::HelmProof;
use deployer::settings::Configuration;
use deployer::{Finding, FindingKind, Plan, PlanProgress, Proof, ProofDetail};
use forge::{NewRelease, ReleaseOutcome};
use ledger::{Ledger, ProofVerdict};
use lock_model::{EnvironmentName, ReleaseId, ReleaseTag, ServiceName, Timestamp};
use promotion::attempts::{self, Purpose};
use promotion::release_names::{ReleaseMessage, ReleasePlan, TagFacts, date_of, plan_tag};
use tokio::sync::Notify;

use super::Engine;
use super::deploy::{Deployable, apply_options};
use super::execution::expand;
use super::step_outcome::StepOutcome;
use crate::cluster_target::before;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::hints;
use crate::labels::count;
use crate::labels::short_id;
use crate::report::v1::evidence::DeployedPlan;
use crate::report::v1::{NotRolledBack, StayCause, StepResult as StepWord};
use crate::unpinned_images;

/// How long it may take after the end of a pod until the cluster has written that it takes no requests.
const AFTER_THE_END: Duration = Duration::from_secs(15);

/// The time between two looks at pods that have yet to end.
const BETWEEN_PROOFS: Duration = Duration::from_secs(1);

/// The error of a deployment whose lease was lost before it was done: whatever it met in the cluster may be the work of the run
/// that took it.
fn lease_lost(environment: &EnvironmentName, loss: LeaseLoss, met: Option<&Error>) -> Error {
    let message = format!("the deployment is not complete: the lease of the environment was lost: {loss}");
    let hint = if loss == LeaseLoss::Taken {
        Some(format!("the run that took it goes on: `orchestrator history {environment}` names it"))
    } else {
        hints::of_lease(&LeaseState::Lost(loss), environment)
    };
    let met_run = met.and_then(Error::ended_run);
    let met = met.map(|error| Problem::new("met", error.to_string()));
    let dossier = met_run.and_then(|run| run.dossier.as_ref());
    let error = Error::new(ErrorKind::Deploy, message).problems(met).with_dossier(dossier);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Why a run that lost its lease takes nothing back.
fn lost(loss: &LeaseLoss) -> String {
    format!("it lost the lease of the environment: {loss}")
}

/// How many containers run what is locked.
fn running(detail: &ProofDetail) -> String {
    match detail {
        ProofDetail::Render(_) => String::new(),
        ProofDetail::Helm(HelmProof { running, .. }) | ProofDetail::Apply(ApplyProof { running, .. }) => {
            let run = if running.len() == 1 { "runs" } else { "run" };
            format!(", {} {run} what is locked", count(running.len(), "container"))
        }
    }
}

/// A deployment that was planned without problems.
pub(super) struct Prepared {
    deployable: Deployable,
    plan: Plan,
    lease: Option<Arc<LeaseKeeper>>,
}

impl Prepared {
    /// The number of the lease of the cluster; `None` where the target is no cluster.
    pub(super) fn lease_number(&self) -> Option<u64> {
        self.lease.as_ref().map(|lease| lease.number())
    }
}

impl Engine<'_> {
    /// What this environment deploys of the lock.
    pub(crate) fn deployable(&self) -> Result<Deployable> {
        self.planning().deployable()
    }

    /// The same with the settings of each service, for what is written or compared with the target.
    pub(crate) async fn deployable_with_settings(&self) -> Result<Deployable> {
        let configuration = match self.purpose {
            Purpose::Run => Configuration::Present,
            Purpose::Rollback => Configuration::OfRelease,
        };
        let mut deployable = self.planning().with_settings(self.context, configuration).await?;
        deployable.leave_out(|service| self.stays.migrated.contains(service));
        Ok(deployable)
    }

    /// Why a deployment would give other settings than those that are there.
    pub(super) async fn settings_difference(&self) -> Result<Option<String>> {
        let environment = &self.environment;
        if self.purpose == Purpose::Rollback || !environment.has_settings() {
            return Ok(None);
        }
        let deployable = Box::pin(self.deployable_with_settings()).await?;
        deployable.settings_difference(self.context).await
    }

    /// Plans the deployment; nothing is recorded or changed.
    pub(super) async fn prepare_deployment(&mut self) -> Result<Prepared> {
        let mut deployable = Box::pin(self.deployable_with_settings()).await?;
        if self.goes_back {
            deployable.leave_time(self.context);
        }
        if let Some(message) = deployable.expired_sentence() {
            match self.purpose {
                Purpose::Run => {
                    return Err(Error::new(ErrorKind::Refused, message).hint(
                        "deploy the service, or give the exception a new day in a reviewed change of orchestrator.yaml",
                    ));
                }
                // A rollback brings back what was proven, also after the last day of an exception.
                Purpose::Rollback => self.warnings.push(message),
            }
        }
        let above = self.store.ledger().lease_number(&self.environment.name);
        let lease = deployable.lease(self.context, above).await?;
        let plan = match self.planned.take() {
            Some(plan) => plan,
            None => match deployable.plan(self.context).await {
                Ok(plan) => plan,
                Err(error) => {
                    self.give_back(lease).await;
                    return Err(error);
                }
            },
        };
        if let Some(Err(error)) = self.saved.as_ref().map(|saved| saved.progress(&plan)) {
            self.give_back(lease).await;
            return Err(error);
        }
        self.warnings.extend(plan.notes.iter().cloned());
        for image in &plan.unpinned_images {
            self.warnings.push(unpinned_images::warning(image));
        }
        Ok(Prepared { deployable, plan, lease })
    }

    /// Whether the cluster has everything that the saved plan would do.
    pub(super) async fn is_as_saved(&mut self) -> Result<bool> {
        let Some(saved) = self.saved.clone() else { return Ok(false) };
        let plan = match self.planned.take() {
            Some(plan) => plan,
            None => Box::pin(self.deployable_with_settings()).await?.plan(self.context).await?,
        };
        let progress = saved.progress(&plan)?;
        self.planned = Some(plan);
        Ok(progress == PlanProgress::NothingLeft)
    }

    async fn give_back(&mut self, lease: Option<Arc<LeaseKeeper>>) {
        if let Some(lease) = lease.and_then(Arc::into_inner)
            && let Err(error) = lease.release().await
        {
            self.warnings.push(format!("the lease in the cluster ends by itself, it could not be given back: {error}"));
        }
    }

    /// Applies what was prepared; record `number` says that it began.
    pub(super) async fn deploy(&mut self, prepared: Prepared, number: u64) -> Result<StepOutcome> {
        let Prepared { deployable, plan, lease } = prepared;
        let fence = attempts::fence(self.store.ledger(), &self.environment.name, number);
        self.head_before = self.branch_head().await;
        let waiting = Notify::new();
        let options = apply_options(self.context, number, fence);
        let applying = deployable.apply(self.context, &plan, &options, lease.as_ref(), &waiting);
        // What the promotion is going to list is rendered while pods start.
        let is_listing = AtomicBool::new(false);
        let listing = async {
            waiting.notified().await;
            is_listing.store(true, Ordering::Relaxed);
            self.images_of_next().await
        };
        let mut listed = None;
        let applied = {
            let watching = self.watch_for_newer(&deployable.superseding);
            tokio::pin!(applying, listing, watching);
            let applied = loop {
                tokio::select! {
                    applied = &mut applying => break applied,
                    images = &mut listing, if listed.is_none() => listed = Some(images),
                    never = &mut watching => match never {},
                }
            };
            // What is half rendered is done sooner than from the beginning.
            if applied.is_ok() && listed.is_none() && is_listing.load(Ordering::Relaxed) {
                listed = Some(listing.await);
            }
            applied
        };
        self.promoted = listed.flatten();
        let newer = deployable.superseding.newer().filter(|_| applied.is_err());
        self.gave_way = newer.map(|newer| format!("it is superseded by {newer}"));
        let state = lease.as_ref().map(|lease| (lease, lease.state()));
        match &state {
            Some((_, LeaseState::YieldTo(run))) if applied.is_err() => {
                self.gave_way = Some(format!("it yielded to {run}"));
            }
            Some((_, LeaseState::Lost(loss))) => self.gave_way = Some(lost(loss)),
            Some((_, LeaseState::Held | LeaseState::YieldTo(_))) | None => {}
        }
        let loss = match state {
            Some((lease, LeaseState::Held)) => lease.loss().await.unwrap_or(None),
            // A helm that was ended for it says only that it was interrupted.
            Some((_, LeaseState::Lost(loss))) => {
                let is_said = applied.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::Deploy);
                (!is_said).then_some(loss)
            }
            Some((_, LeaseState::YieldTo(_))) | None => None,
        };
        self.give_back(lease).await;
        if let Some(loss) = loss {
            self.gave_way = Some(lost(&loss));
            return Err(lease_lost(&self.environment.name, loss, applied.err().as_ref()));
        }
        let (detail, not_awaited) = applied?;
        self.deployed_now = true;
        if let Some(findings) = &mut self.findings {
            findings.places.written();
        }
        let evidence = DeployedPlan { plan: plan.digest, changes: plan.changes, notes: plan.notes };
        let mut answer = StepOutcome::ok(detail).document("plan.json", &evidence);
        answer.warnings.extend(not_awaited.iter().map(ToString::to_string));
        self.not_awaited = not_awaited;
        Ok(answer)
    }

    /// Reads back what is stored.
    pub(super) async fn verify(&mut self) -> Result<StepOutcome> {
        let deployable = self.deployable()?;
        let proof = self.prove(&deployable).await?;
        let is_in = |finding: &Finding, services: &BTreeSet<ServiceName>| {
            finding.service.as_ref().is_some_and(|service| services.contains(service))
        };
        let (proof, kept) =
            proof.without(|finding| finding.kind == FindingKind::Left && is_in(finding, &self.stays.came));
        self.stays.differs =
            !proof.is_proven() && proof.findings.iter().all(|finding| is_in(finding, &self.stays.migrated));
        let mut answer = if proof.is_proven() {
            let (level, detail) = match proof.level {
                deployer::ProofLevel::Stored => (ledger::ProofLevel::Stored, String::new()),
                deployer::ProofLevel::Running => (ledger::ProofLevel::Running, running(&proof.detail)),
            };
            self.verified = level;
            StepOutcome::ok(format!("{} stored as locked{detail}", count(proof.images.len(), "image")))
        } else {
            let code = if self.deployed_now { ErrorKind::Deploy } else { ErrorKind::Negative };
            let lines: Vec<String> = proof.findings.iter().map(ToString::to_string).collect();
            StepOutcome::failed(code, lines.join("\n"))
        };
        answer.warnings.extend(proof.ending.iter().map(|ending| {
            let images = ending.images.iter().cloned().collect::<Vec<_>>().join(", ");
            let requests = if proof.asks_ending_pods() { "" } else { ", and takes no requests of a Service" };
            format!(
                "{}: pod `{}` was replaced or scaled away, and still works until it has ended{requests}: {images}",
                ending.service,
                lock_model::escaping::escape_short(&ending.pod, 200)
            )
        }));
        answer.warnings.extend(kept.iter().map(ToString::to_string));
        let named = kept.into_iter().filter_map(|Finding { service, message, .. }| {
            Some(NotRolledBack { service: service?, cause: StayCause::CameSince, reason: message })
        });
        self.stays.named = named.collect();
        if self.deployed_now {
            answer.warnings.extend(self.kept_fields(&deployable).await);
        }
        Ok(answer.document("proof.json", &proof))
    }

    /// Reads it until no Service sends requests to pods that have yet to end, where nothing else is wrong; no longer than these
    /// pods may take.
    async fn prove(&self, deployable: &Deployable) -> Result<Proof> {
        let begun = Instant::now();
        let mut is_said = false;
        loop {
            let proof = deployable.prove(self.context, &self.revision, &self.lock.lock).await?;
            let Some(grace) = proof.until_ended() else { return Ok(proof) };
            if Instant::now() >= before(self.context.deadline, begun).min(begun + grace + AFTER_THE_END) {
                return Ok(proof);
            }
            if !is_said {
                is_said = true;
                let found: Vec<String> = proof.findings.iter().map(ToString::to_string).collect();
                self.context.note(format!("{}; they have up to {grace:?}", found.join("; ")));
            }
            tokio::time::sleep(BETWEEN_PROOFS).await;
        }
    }

    /// A sentence for each object of the deployment that keeps fields of other programs: what was deployed is not all
    /// that its pods are made of.
    async fn kept_fields(&self, deployable: &Deployable) -> Vec<String> {
        let kept = match deployable.foreign_fields(self.context).await {
            Ok(kept) => kept,
            Err(error) => return vec![format!("whether objects keep fields of other programs is not known: {error}")],
        };
        let sentence = |fields: deployer::ForeignFields| {
            format!(
                "{}: {} keeps what `{}` wrote, which is not in the release: {}",
                fields.service,
                fields.object,
                fields.manager,
                fields.fields_in_short()
            )
        };
        kept.fields.into_iter().map(sentence).collect()
    }

    /// The outcome of a release whose steps and suites all passed.
    pub(super) fn proof(&self) -> StepOutcome {
        StepOutcome::ok(format!("release {} is proven in {}", self.release.id8(), self.environment.name))
    }

    /// The outcome of a release whose suites did not all pass.
    pub(super) fn no_proof(&self, kind: ErrorKind) -> StepOutcome {
        let failed: Vec<&str> =
            self.lines.iter().filter(|line| line.result == StepWord::Failed).map(|line| line.step.as_str()).collect();
        StepOutcome::failed(kind, format!("not proven: {}", failed.join(", ")))
    }

    /// The tag of this release; none where the environment makes no releases.
    pub(super) fn release_name(&self) -> Result<Option<String>> {
        release_name(self.store.ledger(), &self.environment, &self.release, self.now())
    }

    /// Tags the commit and archives the lock, unless a tag carries this release already.
    pub(super) async fn make_release(&mut self, name: Option<&str>) -> Result<StepOutcome> {
        let name = name.ok_or_else(|| Error::new(ErrorKind::Bug, "the release has no name"))?;
        let ProofVerdict::Proven(proof) = self.store.ledger().proof_of(&self.environment.name, &self.release) else {
            return Ok(StepOutcome::refused(
                ErrorKind::Refused,
                format!("release {} is not proven in {}", self.release.id8(), self.environment.name),
            ));
        };
        let forge = &self.context.forge;
        let known = known_tags(self.context).await?;
        let plan = plan_tag(&known, &self.release, name);
        let tag = match plan {
            ReleasePlan::Exists { name, commit } => {
                let mut answer = StepOutcome::ok(format!("{name} exists at {}", commit.short(12)));
                answer.tag = Some(name);
                return Ok(answer);
            }
            ReleasePlan::NameTaken { name, by } => {
                return Ok(StepOutcome::refused(ErrorKind::Refused, format!("tag {name} {}", taken(by.as_ref()))));
            }
            ReleasePlan::Make { name } => name,
        };
        let fallback = self.fallback().await?;
        let message = ReleaseMessage {
            release: self.release.clone(),
            lock: self.lock.lock.id().clone(),
            lock_file: self.lock.digest.clone(),
            config: self.revision.config_digest.clone(),
            environment: self.environment.name.clone(),
            proof: proof.seq,
            fallback: fallback.clone(),
        };
        let name = ReleaseTag::try_from(tag.as_str())
            .map_err(|error| Error::from_source(ErrorKind::Usage, "the release's tag is no tag name", error))?;
        let new = NewRelease::new(name, self.revision.commit.clone(), message.write(&tag))
            .asset("lock.yaml", self.lock.bytes.clone());
        match forge.create_release(&new).await? {
            ReleaseOutcome::Created(_) => {
                let mut answer = StepOutcome::ok(format!(
                    "{tag} at {}, lock {} archived{}",
                    self.revision.commit.short(12),
                    short_id(self.lock.lock.id().as_str()),
                    fallback.map(|fallback| format!("; approved by a {fallback}")).unwrap_or_default()
                ));
                answer.tag = Some(tag);
                Ok(answer)
            }
            ReleaseOutcome::Exists(release) => {
                let mut answer = StepOutcome::ok(format!("{} exists at {}", release.tag, release.commit.short(12)));
                answer.tag = Some(release.tag.to_string());
                Ok(answer)
            }
            ReleaseOutcome::Refused { reasons } => Ok(StepOutcome::refused(
                ErrorKind::Denied,
                format!("the forge refuses the tag: {}", reasons.join("; ")),
            )),
        }
    }
}

/// The tag of a release: its day is that of the first attempt.
pub(super) fn release_name(
    ledger: &Ledger,
    environment: &Environment,
    release: &ReleaseId,
    now: Timestamp,
) -> Result<Option<String>> {
    let Some(named) = &environment.release else { return Ok(None) };
    let values = Values::new()
        .with(Variable::Date, date_of(ledger, &environment.name, release, now).to_string())
        .with(Variable::Id8, release.id8())
        .with(Variable::Mode, environment.mode.to_string());
    Ok(Some(expand(&named.tag, &values)?))
}

/// The tags of all releases.
pub(super) async fn known_tags(context: &Context) -> Result<Vec<TagFacts>> {
    let facts = |release: forge::Release| TagFacts {
        name: release.tag.to_string(),
        message: release.message,
        commit: release.commit,
    };
    Ok(context.forge.releases().await?.into_iter().map(facts).collect())
}

/// What is wrong with a tag that another release has, or none.
pub(super) fn taken(by: Option<&ReleaseId>) -> String {
    let by = by.map_or_else(|| "no release of ours".to_owned(), |by| format!("release {}", by.id8()));
    format!("is taken: it carries {by}")
}
