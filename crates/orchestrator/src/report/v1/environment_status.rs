//! Where an environment stands.

use lock_model::{CommitId, EnvironmentName, LockId, ReleaseId, Timestamp};

use ledger::{CycleOrigin, Hold, Ledger, ProofLevel, ProofVerdict, Record, StepKey, StepResult};
use promotion::attempts::{StepAction, next_steps};
use promotion::rollback::{TargetState, open_rollback};

use super::policy::PolicyReport;
use super::releases::rejected;

/// `status`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct StatusReport {
    /// The environments that have a branch, in the order of the configuration.
    pub environments: Vec<EnvironmentStatus>,
    /// Rules that an administrator put in force, and rules that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl super::Report for StatusReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// The state of one environment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct EnvironmentStatus {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// What it was given last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed: Option<Deployed>,
    /// What is known about that release there.
    pub proof: ProofSummary,
    /// The tag of that release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The hold in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Where the rules for the next change are read; absent where they cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyReport>,
    /// The newest record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastStep>,
    /// Why the newest commit of its branch gets no further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    /// What would come next.
    pub next: Next,
}

/// A commit that gets no further.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Blocked {
    /// The newest commit of the environment's branch.
    pub commit: CommitId,
    /// What stopped it.
    pub reason: String,
}

/// What an environment was given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Deployed {
    /// Id of the release: lock and configuration together.
    pub release: ReleaseId,
    /// Id of the release's lock.
    pub lock: LockId,
    /// The commit of the superproject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// How the deployment stands.
    pub result: StepResult,
    /// When the record was written, UTC.
    pub at: Timestamp,
    /// Number of the record in the ledger.
    pub seq: u64,
    /// Who rejected its lock and why; absent where it was not rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

/// What is known about a release in its environment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ProofSummary {
    /// Proven.
    Proven {
        /// What the proof rests on.
        level: ProofLevel,
        /// When the record was written, UTC.
        at: Timestamp,
        /// Number of the record in the ledger.
        seq: u64,
    },
    /// The newest answer is negative.
    Failed {
        /// Its text, one line.
        reason: String,
        /// Number of the record in the ledger.
        seq: u64,
    },
    /// It was proven, and what was found later withdraws the proof until the release is proven again.
    Withdrawn {
        /// Why, one line.
        reason: String,
        /// Number of the record that withdraws it.
        seq: u64,
        /// Number of the proof.
        proof: u64,
    },
    /// There is neither a proof nor a failed one.
    None,
}

/// The newest record of an environment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct LastStep {
    /// The step, with the suite's name where it is one.
    pub step: String,
    /// How it stands.
    pub result: StepResult,
    /// When the record was written, UTC.
    pub at: Timestamp,
    /// The user whose run wrote it.
    pub by: String,
    /// The reason in the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Number of the record in the ledger.
    pub seq: u64,
}

/// What would come next.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Next {
    /// The first deployment.
    First,
    /// `run` goes on with this step.
    Continue {
        /// The step, with the suite's name where it is one.
        step: String,
        /// Number of the attempt within the deployment cycle, from 1.
        attempt: u32,
    },
    /// `rollback` goes on.
    ContinueRollback {
        /// Id of the release that it goes back to.
        release: ReleaseId,
    },
    /// `run` deploys the release that the environment's branch has.
    Run {
        /// Id of that release; absent where `run` makes its lock.
        #[serde(skip_serializing_if = "Option::is_none")]
        release: Option<ReleaseId>,
    },
    /// Nothing until the hold is lifted.
    Unhold,
    /// Nothing until there is another release.
    Nothing,
}

/// Says where an environment stands. `plan` is what `run` would do there, as [`plan`](promotion::attempts::plan) makes it. Where the rules are read is for the caller to add.
pub fn status(ledger: &Ledger, environment: &EnvironmentName, plan: &[StepKey]) -> EnvironmentStatus {
    let deployed = ledger.latest_touched(environment).and_then(|record| deployed(ledger, record));
    let release = deployed.as_ref().map(|deployed| &deployed.release);
    EnvironmentStatus {
        environment: environment.clone(),
        proof: release.map_or(ProofSummary::None, |release| proof(ledger, environment, release)),
        tag: release.and_then(|release| {
            let made = ledger.releases(environment).rfind(|record| record.entry.release.as_ref() == Some(release));
            made.and_then(|record| record.entry.tag.clone())
        }),
        hold: ledger.held(environment),
        policy: None,
        blocked: None,
        last: ledger.of(environment).next_back().map(last_step),
        next: next(ledger, environment, release, plan),
        deployed,
    }
}

fn deployed(ledger: &Ledger, record: &Record) -> Option<Deployed> {
    let lock = record.entry.lock.clone()?;
    Some(Deployed {
        release: record.entry.release.clone()?,
        rejected: rejected(ledger, &lock),
        lock,
        commit: record.entry.commit.clone(),
        result: record.entry.result,
        at: record.recorded_at(),
        seq: record.seq,
    })
}

fn proof(ledger: &Ledger, environment: &EnvironmentName, release: &ReleaseId) -> ProofSummary {
    match ledger.proof_of(environment, release) {
        ProofVerdict::Proven(proven) => ProofSummary::Proven { level: proven.level, at: proven.at, seq: proven.seq },
        ProofVerdict::Failed { seq, reason, withdrawn: None } => ProofSummary::Failed { reason, seq },
        ProofVerdict::Failed { seq, reason, withdrawn: Some(proof) } => ProofSummary::Withdrawn { reason, seq, proof },
        ProofVerdict::Absent => ProofSummary::None,
    }
}

fn last_step(record: &Record) -> LastStep {
    LastStep {
        step: record.entry.key().to_string(),
        result: record.entry.result,
        at: record.recorded_at(),
        by: record.entry.run.actor.clone(),
        reason: record.entry.reason.clone(),
        seq: record.seq,
    }
}

fn next(ledger: &Ledger, environment: &EnvironmentName, release: Option<&ReleaseId>, plan: &[StepKey]) -> Next {
    if ledger.held(environment).is_some() {
        let open = open_rollback(ledger, environment).filter(|target| ledger.rejected(&target.lock).is_none());
        return match open.map(|target| (target.state, target.release)) {
            Some((TargetState::Underway { .. }, release)) => Next::ContinueRollback { release },
            Some((TargetState::New | TargetState::Done { .. }, _)) | None => Next::Unhold,
        };
    }
    let Some(release) = release else { return Next::First };
    match ledger.cycle(environment, release).origin {
        // A release that was rolled back to is not promoted: the next step is another release.
        CycleOrigin::Rollback { .. } => return Next::Nothing,
        CycleOrigin::Run => {}
    }
    // People take steps in rollbacks alone, so that it makes no difference who asks.
    next_steps(ledger, environment, release, plan, "")
        .into_iter()
        // Steps that run every time are what comes next only when nothing else is.
        .filter(|step| !step.key.step().runs_every_time())
        .find_map(|step| match step.action {
            StepAction::Skip { .. } => None,
            StepAction::Run { attempt } => Some(Next::Continue { step: step.key.to_string(), attempt }),
        })
        .unwrap_or(Next::Nothing)
}
