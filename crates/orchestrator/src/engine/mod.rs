//! The steps of a release in an environment. `run`, `deploy`, `promote`, `release` and `rollback` take the same steps and
//! differ only in which of them they ask for.

mod chosen_steps;
mod cluster_health;
mod cluster_services;
mod container_suites;
mod deploy;
mod execution;
mod former_places;
mod gates;
mod health;
mod image_styles;
mod interrupted;
mod lock_commit;
mod merged_locks;
mod needs;
mod newer_release;
mod people;
mod planning;
mod preflight;
mod probe_questions;
mod promotion;
mod pull_request_suites;
mod recorded;
mod recording;
mod release;
mod setting_limits;
mod settings;
mod statuses;
mod staying;
mod step_outcome;
mod suites;
mod target_errors;
mod tree_program;

use std::collections::BTreeSet;

use ::promotion::attempts::{self, AfterProof, Locks, PlanShape, PlannedStep, Purpose, StepAction};
use config::Environment;
use deployer::{NotAwaited, Plan};
use ledger::{Ledger, ProofLevel, Step, StepKey, StepResult};
use lock_model::{CommitId, EnvironmentName, ReleaseId};

pub(crate) use self::settings::{parse as parse_settings, printed_secrets};
pub(crate) use self::staying::Staying;
pub(crate) use chosen_steps::{Repeat, Wanted};
pub(crate) use container_suites::SuiteNeeds;
pub(crate) use deploy::{Compared, Deployable, Destination};
pub(crate) use health::{About, FailingProbes, health};
pub(crate) use image_styles::{FoundStyle, ImageStyle};
pub(crate) use interrupted::interrupted;
pub(crate) use lock_commit::{
    LOCK_ARTEFACT, LOCK_STATUS, LockCommit, OnDifference, lock_commit, merged_pull_request, refused_arrival,
};
pub(crate) use needs::{PROGRAM_HINT, Probes, needs};
pub(crate) use people::{approval_policy, gates_passed, promotion_obstacles, prospect, pull_request_facts};
pub(crate) use planning::{Missing, Planning, fetch_manifests};
pub(crate) use preflight::{Suites, preflight, preflight_suites, taken_tag};
pub(crate) use promotion::{APPROVALS_STATUS, refused_by_next, rows_of};
pub(crate) use pull_request_suites::{Ran, RequiredSuites, record_suite, required_suites, tested_merge};
pub(crate) use statuses::SUITES_STATUS;
pub(crate) use step_outcome::{Outcome, StepOutcome};
pub(crate) use suites::{run_suite, suite_reference};

use crate::context::Context;
use crate::environment_policy::locking_command;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Event;
use crate::ledger_store::LedgerStore;
use crate::report::v1::evidence::PromotedImages;
use crate::report::v1::{Operation, RunReport, StepLine, StepResult as StepWord};
use crate::revision::{LockFile, Revision};
use crate::saved_plan::SavedPlan;
use crate::status::then;

/// One release on its way through one environment.
#[derive(Debug)]
pub(crate) struct Engine<'a> {
    context: &'a Context,
    pub store: LedgerStore,
    pub revision: Revision,
    pub environment: Environment,
    /// The lock in the commit.
    pub lock: LockFile,
    pub release: ReleaseId,
    purpose: Purpose,
    since: u64,
    /// Newest record that it knew when it had its lease.
    leased: u64,
    attempt: u32,
    started: Option<lock_model::Timestamp>,
    deployed_now: bool,
    /// Whether the steps that are wanted deploy something.
    deploys: bool,
    /// Whether the steps that are wanted open a promotion.
    promotes: bool,
    /// What health has planned already.
    planned: Option<Plan>,
    /// What the next environment would deploy without that the lock decides it, where that was found out already.
    promoted: Option<PromotedImages>,
    /// The number of the lease in the cluster, under which the deployment is made.
    lease_number: Option<u64>,
    /// Keeps a signal waiting until a deployment that it ended has been reported and recorded.
    held: Option<process::Held>,
    /// The head of the environment's branch when the deployment began.
    head_before: Option<CommitId>,
    /// The other run for which the deployment ended, as a reason.
    gave_way: Option<String>,
    /// Why fields of other managers are taken over that the configuration does not name.
    taken_for: Option<String>,
    /// Whether a rollback follows by itself where the deployment fails.
    pub goes_back: bool,
    /// The plan that has to be deployed, where a caller has one.
    pub saved: Option<Box<SavedPlan>>,
    /// What the newest proof rests on.
    verified: ProofLevel,
    findings: Option<gates::Findings>,
    /// What the deployment did not wait for.
    not_awaited: Vec<NotAwaited>,
    /// What an automatic rollback does not take back.
    pub stays: Staying,
    /// What happened, a line a step.
    pub lines: Vec<StepLine>,
    /// What people should know although nothing failed.
    pub warnings: Vec<String>,
}

/// The reason of a record, with the managers whose fields were taken over.
pub(crate) fn taking(managers: &BTreeSet<String>, reason: &str) -> String {
    if managers.is_empty() {
        return reason.to_owned();
    }
    let names: Vec<String> = managers.iter().map(|name| format!("`{name}`")).collect();
    format!("{reason} (takes over fields of {})", names.join(", "))
}

impl<'a> Engine<'a> {
    /// A run of a revision, whose tree must have a lock.
    pub(crate) fn new(
        context: &'a Context,
        store: LedgerStore,
        revision: Revision,
        environment: &EnvironmentName,
        purpose: Purpose,
    ) -> Result<Self> {
        let lock = revision.lock(context)?.ok_or_else(|| {
            Error::new(ErrorKind::Repository, format!("commit {} has no lock", revision.commit.short(12))).hint(format!(
                "locks are committed to the staging branch when a pull request is merged, and travel from there: {run} \
                 commits the lock and deploys it, {alone} only commits it",
                run = locking_command("run", &revision.config, environment),
                alone = locking_command("lock commit", &revision.config, environment),
            ))
        })?;
        let release = revision.release(&lock.lock);
        let environment = revision.environment(environment)?.clone();
        let since = store.len();
        Ok(Self {
            context,
            store,
            revision,
            environment,
            lock,
            release,
            purpose,
            since,
            leased: since,
            attempt: 1,
            started: None,
            deployed_now: false,
            deploys: false,
            promotes: false,
            planned: None,
            promoted: None,
            lease_number: None,
            held: None,
            head_before: None,
            gave_way: None,
            taken_for: None,
            goes_back: false,
            saved: None,
            verified: ProofLevel::Stored,
            findings: None,
            not_awaited: Vec::new(),
            stays: Staying::default(),
            lines: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Lets the deployment take over fields of these managers, for a reason that its record keeps.
    pub(crate) fn take_fields(&mut self, managers: &BTreeSet<String>, reason: &str) -> Result<()> {
        if managers.is_empty() {
            return Ok(());
        }
        match &self.environment.target {
            Some(config::Target::Apply(_)) => {}
            Some(config::Target::Helm(_) | config::Target::Render(_)) | None => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("`{}` has no target `apply`, and `--take` is for that alone", self.environment.name),
                )
                .hint(
                    "target `helm` sets everything that its chart says without it; what another program wrote besides is \
                     removed in the cluster, such as by `kubectl set env deployment/NAME KEY-`",
                ));
            }
        }
        self.environment.conflicts.extend(managers.iter().cloned());
        self.taken_for = Some(taking(managers, reason));
        Ok(())
    }

    /// On what it depends what follows a run whose deployment failed; `None` after any other run.
    pub(crate) async fn after_failure(&self, ended: &Result<Option<ErrorKind>>) -> Option<AfterFailure> {
        let kind = match ended {
            Ok(stopped) => *stopped,
            Err(error) => Some(error.kind()),
        };
        kind.filter(|kind| *kind == ErrorKind::Deploy)?;
        let gave_way = match &self.gave_way {
            Some(reason) => Some(reason.clone()),
            None => self.newer_on_branch().await.map(|newer| format!("it is superseded by {newer}")),
        };
        Some(AfterFailure { since: self.leased, gave_way })
    }

    /// Goes on under a lease that was broken by this record, if it was.
    pub(crate) fn leased_at(&mut self, broken_at: Option<u64>) {
        self.leased = broken_at.unwrap_or(self.leased);
    }

    /// The steps of this release here, in order, without the lock commit, which comes before.
    pub(crate) fn plan(&self) -> Result<Vec<StepKey>> {
        let mut suites = Vec::new();
        for name in &self.environment.suites {
            suites.push(suite_reference(self.context, &self.revision, name)?);
        }
        let then = match self.purpose {
            Purpose::Rollback => AfterProof::EndRollback,
            Purpose::Run => then(&self.environment),
        };
        Ok(attempts::plan(&PlanShape { locks: Locks::InTree, suites, then }))
    }

    /// Takes the wanted steps in order, skips those that are done, and stops at the first that fails; a failed suite stops
    /// only after the other suites have run. Returns the kind of failure, or `None` where the release came through.
    pub(crate) async fn run(&mut self, wanted: &Wanted, repeat: Repeat) -> Result<Option<ErrorKind>> {
        let ended = Box::pin(self.take_steps(wanted, repeat)).await;
        ended.map_err(|error| error.after(&self.lines))
    }

    async fn take_steps(&mut self, wanted: &Wanted, repeat: Repeat) -> Result<Option<ErrorKind>> {
        let plan = self.plan()?;
        let proven_before = self.has_proof();
        if self.speaks_for_the_branch() && *wanted == Wanted::All && !proven_before {
            self.status_pending().await?;
        }
        let mut stopped: Option<ErrorKind> = None;
        // What cannot be promoted or released is proven all the same.
        let mut after_proof = false;
        let (ledger, actor) = (self.store.ledger(), self.context.run.actor.as_str());
        let steps = attempts::next_steps(ledger, &self.environment.name, &self.release, &plan, actor);
        let is_done =
            |step: &PlannedStep| step.key.step() == Step::Deploy && matches!(step.action, StepAction::Skip { .. });
        let repeat = if wanted.includes(Step::Deploy)
            && repeat == Repeat::No
            && steps.iter().any(is_done)
            && let Some(difference) = Box::pin(self.settings_difference()).await?
        {
            self.context.note(difference);
            Repeat::WithSettings
        } else {
            repeat
        };
        self.deploys = steps.iter().any(|step| {
            let is_open = matches!(step.action, StepAction::Run { .. }) || repeat.includes(Step::Deploy);
            step.key.step() == Step::Deploy && is_open && wanted.includes(Step::Deploy)
        });
        self.promotes = wanted.includes(Step::Promote) && steps.iter().any(|step| step.key.step() == Step::Promote);
        for PlannedStep { key, action } in steps {
            if !wanted.includes(key.step()) {
                continue;
            }
            if let Some(kind) = stopped
                && key.step() != Step::Suite
            {
                // A suite failed, and the others have run: there is no proof.
                if key.step() == Step::Proof {
                    self.started = Some(self.now());
                    self.conclude(&key, self.no_proof(kind)).await?;
                }
                break;
            }
            let attempt = match action {
                StepAction::Skip { seq } if !repeat.includes(key.step()) => {
                    let ended = self.skipped(&key, seq).await?;
                    after_proof |= stopped.is_none() && ended.is_some();
                    stopped = stopped.max(ended);
                    continue;
                }
                StepAction::Skip { seq } if repeat == Repeat::AsSaved && Box::pin(self.is_as_saved()).await? => {
                    self.line(&key.to_string(), StepWord::Done, format!("the plan is deployed, since record {seq}"));
                    continue;
                }
                StepAction::Skip { .. } => 1,
                StepAction::Run { attempt } => attempt,
            };
            self.attempt = attempt;
            let ended = match self.step(&key).await {
                Ok(ended) => ended,
                Err(error) => {
                    let step = key.to_string();
                    if self.lines.last().is_none_or(|line| line.step != step) {
                        let detail = error.message().to_owned();
                        self.lines.push(StepLine { step, result: StepWord::Failed, detail });
                    }
                    self.record_refusal(&key, &error).await;
                    if *wanted == Wanted::All {
                        self.gave_up(&key, &error).await;
                    }
                    return Err(error);
                }
            };
            if key.step() == Step::Verify && self.stays.differs {
                // The others are back, and that is all that can be had: no suite and no proof speaks for a mixed release.
                let said = format!("{} is back {}; the hold stays", self.environment.name, self.stays.but_for());
                self.started = Some(self.now());
                self.conclude(&Step::Rollback.into(), StepOutcome::ok(said)).await?;
                break;
            }
            if ended.is_some() {
                stopped = stopped.max(ended);
                after_proof = matches!(key.step(), Step::Promote | Step::Release);
                if key.step() != Step::Suite {
                    break;
                }
            }
        }
        if let Some(kind) = stopped
            && *wanted == Wanted::All
            && !after_proof
        {
            self.not_proven(kind).await?;
        } else if self.speaks_for_the_branch() && *wanted == Wanted::All {
            self.status_success().await?;
        }
        Ok(stopped)
    }

    /// Whether the environment proved this release, at any time.
    pub(crate) fn has_proof(&self) -> bool {
        has_proof(self.store.ledger(), &self.environment.name, &self.release)
    }

    /// Whether the environment proved this release since it was deployed there last.
    pub(crate) fn is_proven(&self) -> bool {
        is_proven(self.context, self.store.ledger(), &self.environment.name, &self.release)
    }

    /// Skips a step that is done; the promotion is brought up to date nevertheless, and refused where it became one that
    /// cannot be merged.
    async fn skipped(&mut self, key: &StepKey, seq: u64) -> Result<Option<ErrorKind>> {
        let promotion = if key.step() == Step::Promote { Some(self.ensure_promotion().await?) } else { None };
        let (word, detail, stopped) = match promotion {
            Some(promotion) if !promotion.obstacles.is_empty() => {
                (StepWord::Refused, promotion.refusal(), Some(ErrorKind::Refused))
            }
            Some(promotion) if promotion.changed => (StepWord::Ok, promotion.text, None),
            Some(_) | None => (StepWord::Done, format!("since record {seq}"), None),
        };
        self.line(&key.to_string(), word, detail);
        Ok(stopped)
    }

    async fn step(&mut self, key: &StepKey) -> Result<Option<ErrorKind>> {
        self.started = Some(self.now());
        self.context.emit(Event::StepStarted { step: &key.to_string() });
        let answer = match key {
            StepKey::Step(Step::Gates) => self.ask_gates().await?,
            StepKey::Step(Step::Health) => self.ask_health().await?,
            StepKey::Step(Step::Deploy) => return self.effect(key, Effect::Deploy).await,
            StepKey::Step(Step::Verify) => self.verify().await?,
            StepKey::Suite(_) => return self.effect(key, Effect::Suite).await,
            StepKey::Step(Step::Proof) => self.proof(),
            StepKey::Step(Step::Promote) => return self.effect(key, Effect::Promote).await,
            StepKey::Step(Step::Release) => return self.effect(key, Effect::Release).await,
            StepKey::Step(Step::Rollback) => {
                StepOutcome::ok(format!("{} is back; the hold stays", self.environment.name))
            }
            StepKey::Step(
                Step::LockCommit
                | Step::Suite
                | Step::Reject
                | Step::Hold
                | Step::Unhold
                | Step::Policy
                | Step::BreakLease,
            ) => {
                return Err(Error::new(ErrorKind::Bug, format!("step `{key}` is not part of a run")));
            }
        };
        self.conclude(key, answer).await
    }

    /// A step with an effect: `started` is recorded before, the result after.
    async fn effect(&mut self, key: &StepKey, effect: Effect) -> Result<Option<ErrorKind>> {
        let tag = match effect {
            Effect::Release => self.release_name()?,
            Effect::Deploy | Effect::Suite | Effect::Promote => None,
        };
        // A deployment that can be refused before any change is refused before `started` is recorded.
        let prepared = match effect {
            Effect::Deploy => Some(Box::pin(self.prepare_deployment()).await?),
            Effect::Suite | Effect::Promote | Effect::Release => None,
        };
        self.lease_number = prepared.as_ref().and_then(release::Prepared::lease_number);
        self.ask_again().await?;
        let mut started = self.draft(key, StepResult::Started);
        started.tag.clone_from(&tag);
        let number = self.append(started, &[]).await?;
        let answer = match (effect, prepared.zip(number)) {
            (Effect::Deploy, Some((prepared, number))) => {
                self.held = Some(self.context.surroundings.interrupt.hold());
                Box::pin(self.deploy(prepared, number)).await
            }
            (Effect::Deploy, None) => Err(Error::new(ErrorKind::Bug, "the deployment was not prepared")),
            (Effect::Suite, _) => self.suite(key).await,
            (Effect::Promote, _) => self.promote().await,
            (Effect::Release, _) => self.make_release(tag.as_deref()).await,
        };
        match answer {
            Ok(answer) => {
                let ended = self.conclude(key, answer).await;
                self.held = None;
                ended
            }
            Err(error) => {
                // The caller gets the step's own error; the next run writes a record that cannot be written now.
                let (reason, documents) = recorded::of_error(&error);
                let failed = self.draft(key, StepResult::Failed).reason(&reason);
                let _unrecorded = self.append(failed, &documents).await;
                self.line(&key.to_string(), StepWord::Failed, error.message().to_owned());
                Err(error)
            }
        }
    }

    /// Asks the forge again before an effect, like the ledger: reviews, people and branches can have changed since the gates
    /// passed.
    async fn ask_again(&mut self) -> Result<()> {
        if self.findings.is_none() {
            return Ok(());
        }
        match self.gate_report().await?.reason() {
            None => Ok(()),
            Some(reason) => Err(Error::new(
                ErrorKind::Refused,
                format!("the forge says something else than before, and now a gate refuses: {reason}"),
            )
            .hint("nothing was changed by this step; run the same command again once the gate passes")),
        }
    }

    /// Records a step's outcome; returns the kind of failure that stops the run, if any.
    async fn conclude(&mut self, key: &StepKey, answer: StepOutcome) -> Result<Option<ErrorKind>> {
        let (result, word) = match answer.outcome {
            Outcome::Ok => (StepResult::Ok, StepWord::Ok),
            Outcome::Failed => (StepResult::Failed, StepWord::Failed),
            Outcome::Refused => (StepResult::Refused, StepWord::Refused),
        };
        let mut draft = self.draft(key, result);
        if answer.outcome != Outcome::Ok {
            draft = draft.reason(answer.reason.as_deref().unwrap_or(&answer.detail));
        }
        if key.step() == Step::Proof && result == StepResult::Ok {
            draft.proof = Some(self.verified);
        }
        if key.step() == Step::Rollback {
            let but_for = if self.stays.differs { format!(" {}", self.stays.but_for()) } else { String::new() };
            draft = draft.reason(&format!("the rollback is complete{but_for}"));
        }
        draft.tag = answer.tag.clone();
        draft.policy = answer.policy;
        self.append(draft, &answer.documents).await?;
        self.warnings.extend(answer.warnings);
        self.line(&key.to_string(), word, answer.detail);
        Ok(answer.stopped)
    }

    fn line(&mut self, step: &str, result: StepWord, detail: String) {
        self.context.emit(Event::StepEnded { step, result: result.as_str(), detail: &detail });
        self.lines.push(StepLine { step: step.to_owned(), result, detail });
    }
}

impl Engine<'_> {
    pub(crate) fn into_report(
        self,
        operation: Operation,
        revision: Option<&str>,
        stopped: Option<ErrorKind>,
    ) -> RunReport {
        RunReport {
            operation,
            environment: self.environment.name,
            release: Some(self.release),
            lock: Some(self.lock.lock.id().clone()),
            commit: Some(self.revision.commit),
            revision: revision.map(str::to_owned),
            steps: self.lines,
            superseded: None,
            stopped,
            left: None,
            not_awaited: self.not_awaited,
            not_rolled_back: Vec::new(),
            rolled_back: false,
            again: false,
            warnings: self.warnings,
        }
    }
}

/// On what it depends whether a rollback follows a deployment that failed.
pub(crate) struct AfterFailure {
    /// Number of the newest record that the run knew when it had its lease.
    pub since: u64,
    /// Why the run gave way to another one.
    pub gave_way: Option<String>,
}

#[derive(Clone, Copy)]
enum Effect {
    Deploy,
    Suite,
    Promote,
    Release,
}

fn has_proof(ledger: &Ledger, environment: &EnvironmentName, release: &ReleaseId) -> bool {
    match ledger.proof_of(environment, release) {
        ledger::ProofVerdict::Proven(_) => true,
        ledger::ProofVerdict::Failed { .. } | ledger::ProofVerdict::Absent => false,
    }
}

fn is_proven(context: &Context, ledger: &Ledger, environment: &EnvironmentName, release: &ReleaseId) -> bool {
    let cycle = ledger.cycle(environment, release);
    has_proof(ledger, environment, release) && cycle.is_done_for(&Step::Proof.into(), &context.run.actor)
}
