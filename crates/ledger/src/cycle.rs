//! What is done, what is skipped, and what is tried again: resuming is a question to the ledger.

use std::collections::BTreeMap;

use lock_model::{EnvironmentName, LockId, ReleaseId, Timestamp};

use crate::{Hold, Ledger, Rejection, RunIdentity, Step, StepKey, StepResult, SuiteRef};
use crate::{occupies, recorded_at};

/// One stay of a release in an environment: (environment, release id, number of earlier stays of other releases).
///
/// A stay ends when another release is deployed, or begins to be: A, then B, then A deploys A again. A release that
/// the gates stopped changed nothing and ends nobody's stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub release: ReleaseId,
    /// How many stays of other releases came before.
    pub number: u32,
    /// How it began.
    pub origin: CycleOrigin,
    steps: BTreeMap<StepKey, StepState>,
}

/// How a cycle began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleOrigin {
    /// By `run`.
    Run,
    /// By a rollback: its steps are asked other questions, and it ends with the rollback's own record.
    Rollback {
        /// Number of the rollback's first record.
        seq: u64,
    },
}

/// How a step of a cycle stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepState {
    /// Number of its newest record.
    pub seq: u64,
    /// What that record says.
    pub result: StepResult,
    /// How often it was begun.
    pub attempts: u32,
    /// Who wrote that record.
    pub run: RunIdentity,
    /// When.
    pub at: Timestamp,
}

/// What becomes of one step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// The step.
    pub key: StepKey,
    /// What to do.
    pub action: StepAction,
}

/// What to do with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepAction {
    /// Do it.
    Run {
        /// Which attempt within the cycle this is, from 1.
        attempt: u32,
    },
    /// It is done.
    Skip {
        /// Number of the record that says so.
        seq: u64,
    },
}

/// What an environment asks for, as far as the order of steps goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanShape {
    /// Whether locks are committed here (staging) or arrive with the merge (production).
    pub locks: Locks,
    /// The suites, in the order in which they run.
    pub suites: Vec<SuiteRef>,
    /// What follows the proof.
    pub then: Then,
}

/// Where the lock comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locks {
    /// This environment's run commits it.
    Committed,
    /// It is in the tree already.
    #[default]
    InTree,
}

/// What follows a proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    #[default]
    Nothing,
    /// The pull request to the next environment.
    Promote,
    /// The tag.
    Release,
    /// Both.
    ReleaseAndPromote,
    /// The end of a rollback: the hold stays, the record is completed.
    EndRollback,
}

/// The steps of a run, in order.
pub fn plan(shape: &PlanShape) -> Vec<StepKey> {
    let mut steps = Vec::new();
    match shape.locks {
        Locks::Committed => steps.push(Step::LockCommit),
        Locks::InTree => {}
    }
    steps.extend([Step::Gates, Step::Health, Step::Deploy, Step::Verify]);
    let mut steps: Vec<StepKey> = steps.into_iter().map(StepKey::Step).collect();
    steps.extend(shape.suites.iter().cloned().map(StepKey::Suite));
    steps.push(Step::Proof.into());
    match shape.then {
        Then::Nothing => {}
        Then::Promote => steps.push(Step::Promote.into()),
        Then::Release => steps.push(Step::Release.into()),
        Then::ReleaseAndPromote => steps.extend([Step::Release.into(), Step::Promote.into()]),
        Then::EndRollback => steps.push(Step::Rollback.into()),
    }
    steps
}

/// Decides for each step of a plan whether it is done already in the release's current cycle.
///
/// `ok` is done, except for what only asks (gates, health, verify) or looks before it acts (lock-commit): these always
/// run, and [`Ledger::changes`] says whether the answer is worth a record. A deployment that a later `verify` found to
/// be different is not done any more. `started`, `failed`, `refused` and `superseded` run again.
pub fn next_steps(
    ledger: &Ledger,
    environment: &EnvironmentName,
    release: &ReleaseId,
    plan: &[StepKey],
) -> Vec<PlannedStep> {
    let cycle = Cycle::of(ledger, environment, release);
    plan.iter().map(|key| PlannedStep { key: key.clone(), action: cycle.action(key) }).collect()
}

impl Cycle {
    /// The newest cycle of a release; one without steps where it was never tried.
    pub fn of(ledger: &Ledger, environment: &EnvironmentName, release: &ReleaseId) -> Self {
        let mut cycle = Self {
            environment: environment.clone(),
            release: release.clone(),
            number: 0,
            origin: CycleOrigin::Run,
            steps: BTreeMap::new(),
        };
        let mut occupant: Option<&ReleaseId> = None;
        for record in ledger.of(environment) {
            let Some(recorded) = &record.entry.release else { continue };
            if recorded != release {
                if occupies(&record.entry) {
                    if occupant != Some(recorded) {
                        cycle.number += 1;
                    }
                    occupant = Some(recorded);
                    cycle.origin = CycleOrigin::Run;
                    cycle.steps.clear();
                }
                continue;
            }
            if occupies(&record.entry) {
                occupant = Some(recorded);
            }
            if record.entry.step == Step::Rollback && record.entry.result == StepResult::Started {
                // A rollback to what is deployed already is a stay of its own: everything is asked and proven anew.
                if cycle.origin == CycleOrigin::Run {
                    cycle.steps.clear();
                }
                cycle.origin = CycleOrigin::Rollback { seq: record.seq };
            }
            let attempt = match record.entry.result {
                StepResult::Started => 1,
                StepResult::Ok | StepResult::Failed | StepResult::Refused | StepResult::Superseded => 0,
            };
            let state = StepState {
                seq: record.seq,
                result: record.entry.result,
                attempts: attempt,
                run: record.entry.run.clone(),
                at: recorded_at(&record.entry),
            };
            cycle
                .steps
                .entry(record.entry.key())
                .and_modify(|known| *known = StepState { attempts: known.attempts + attempt, ..state.clone() })
                .or_insert(state);
        }
        cycle
    }

    /// How a step stands; absent while it was never tried in this cycle.
    pub fn state(&self, key: &StepKey) -> Option<&StepState> {
        self.steps.get(key)
    }

    /// Every step that was tried.
    pub fn steps(&self) -> &BTreeMap<StepKey, StepState> {
        &self.steps
    }

    /// Number of the newest record of a step.
    pub fn last(&self, key: &StepKey) -> Option<u64> {
        self.steps.get(key).map(|state| state.seq)
    }

    /// Whether the step's newest record in this cycle is `ok`.
    pub fn is_ok(&self, key: &StepKey) -> bool {
        self.steps.get(key).is_some_and(|state| state.result == StepResult::Ok)
    }

    fn action(&self, key: &StepKey) -> StepAction {
        let attempt = self.steps.get(key).map_or(0, |state| state.attempts) + 1;
        let run = StepAction::Run { attempt };
        let Some(state) = self.steps.get(key) else { return run };
        match state.result {
            StepResult::Ok => {}
            StepResult::Started | StepResult::Failed | StepResult::Refused | StepResult::Superseded => return run,
        }
        let skip = StepAction::Skip { seq: state.seq };
        match key.step() {
            Step::LockCommit | Step::Gates | Step::Health | Step::Verify => run,
            Step::Deploy => match self.steps.get(&StepKey::Step(Step::Verify)) {
                Some(verify) if verify.seq > state.seq && verify.result == StepResult::Failed => run,
                Some(_) | None => skip,
            },
            Step::Suite
            | Step::Proof
            | Step::Promote
            | Step::Release
            | Step::Reject
            | Step::Hold
            | Step::Unhold
            | Step::Rollback => skip,
        }
    }
}

/// What a run is about, for the question whether it may go on.
#[derive(Clone, Copy, Debug)]
pub struct Underway<'a> {
    /// Where.
    pub environment: &'a EnvironmentName,
    /// What.
    pub release: &'a ReleaseId,
    /// Its lock.
    pub lock: &'a LockId,
    /// Who asks.
    pub run: &'a RunIdentity,
    /// Number of the newest record that this run knew when its gates passed.
    pub since: u64,
    /// Whether it is a rollback, which goes on under a hold.
    pub purpose: Purpose,
}

/// What a deployment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The train goes forward.
    Run,
    /// The environment goes back.
    Rollback,
}

/// Why a run must stop before its next effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The environment was held meanwhile.
    Held(Hold),
    /// The lock was rejected meanwhile.
    Rejected(Rejection),
    /// Another run changes the environment.
    TakenOver {
        /// Number of its first record.
        seq: u64,
        /// What it deploys.
        release: Option<ReleaseId>,
        /// Who it is.
        run: RunIdentity,
    },
}

/// Asks again after the ledger turned out to be longer than this run knew, which is what a lost compare-and-swap
/// means: anything that landed first counts.
pub fn interruption(ledger: &Ledger, underway: &Underway<'_>) -> Option<Interruption> {
    if let Some(rejection) = ledger.rejected(underway.lock) {
        return Some(Interruption::Rejected(rejection));
    }
    match underway.purpose {
        Purpose::Run => {
            if let Some(hold) = ledger.held(underway.environment) {
                return Some(Interruption::Held(hold));
            }
        }
        Purpose::Rollback => {}
    }
    ledger
        .of(underway.environment)
        .find(|record| record.seq > underway.since && occupies(&record.entry) && record.entry.run != *underway.run)
        .map(|record| Interruption::TakenOver {
            seq: record.seq,
            release: record.entry.release.clone(),
            run: record.entry.run.clone(),
        })
}
