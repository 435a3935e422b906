use std::collections::BTreeMap;

use lock_model::{EnvironmentName, ReleaseId, Timestamp};

use crate::{Ledger, RunIdentity, StepKey, StepResult};

/// One stay of a release in an environment, with the attempts of its steps.
///
/// It is told apart by environment, release id, and the number of earlier stays of other releases. A stay ends when
/// another release is deployed, or begins to be: A, then B, then A deploys A again. A release that the gates stopped
/// changed nothing and ends no stay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeploymentCycle {
    /// The environment.
    pub environment: EnvironmentName,
    /// The release.
    pub release: ReleaseId,
    /// How many stays of other releases came before.
    pub number: u32,
    /// How the stay began.
    pub origin: CycleOrigin,
    /// Number of the newest record of the stay that withdraws a proof.
    pub withdrawn_by: Option<u64>,
    steps: BTreeMap<StepKey, StepState>,
}

/// How a deployment cycle began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleOrigin {
    /// By a normal run.
    Run,
    /// By a rollback: its gates ask less, and it ends with the rollback's own record.
    Rollback {
        /// Number of the rollback's first record.
        seq: u64,
    },
}

/// How a step of a deployment cycle stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepState {
    /// Number of its newest record.
    pub seq: u64,
    /// That record's result.
    pub result: StepResult,
    /// How often the step was begun in this cycle: its `started` records.
    pub attempts: u32,
    /// The run that wrote the newest record.
    pub run: RunIdentity,
    /// When that record's step ended, or began.
    pub at: Timestamp,
    /// Whether a person wrote the newest record, in a rollback of their own.
    pub by_person: bool,
}

impl StepState {
    /// Whether the step needs no repetition by this actor: its newest record is `ok`. What a person recorded is done for
    /// that person alone.
    pub fn is_done_for(&self, actor: &str) -> bool {
        self.result == StepResult::Ok && (!self.by_person || self.run.actor == actor)
    }
}

impl DeploymentCycle {
    pub(crate) fn of(ledger: &Ledger, environment: &EnvironmentName, release: &ReleaseId) -> Self {
        let mut cycle = Self {
            environment: environment.clone(),
            release: release.clone(),
            number: 0,
            origin: CycleOrigin::Run,
            withdrawn_by: None,
            steps: BTreeMap::new(),
        };
        let people = ledger.people();
        let mut occupant: Option<&ReleaseId> = None;
        for record in ledger.of(environment) {
            let Some(recorded) = &record.entry.release else { continue };
            let newcomer = record.occupies_environment() && occupant.replace(recorded) != Some(recorded);
            if recorded != release {
                if record.occupies_environment() {
                    cycle.number += u32::from(newcomer);
                    cycle.origin = CycleOrigin::Run;
                    cycle.withdrawn_by = None;
                    cycle.steps.clear();
                }
                continue;
            }
            if record.opens_rollback() {
                // A rollback to what is deployed already is a stay of its own: everything is asked and proven anew.
                if cycle.origin == CycleOrigin::Run {
                    cycle.steps.clear();
                }
                cycle.origin = CycleOrigin::Rollback { seq: record.seq };
            }
            if record.withdraws_proof() {
                cycle.withdrawn_by = Some(record.seq);
            }
            let key = record.entry.key();
            let earlier = cycle.steps.get(&key).map_or(0, |state| state.attempts);
            let state = StepState {
                seq: record.seq,
                result: record.entry.result,
                attempts: earlier + u32::from(record.entry.result == StepResult::Started),
                run: record.entry.run.clone(),
                at: record.recorded_at(),
                by_person: people.contains(record.entry.run.actor.as_str()),
            };
            cycle.steps.insert(key, state);
        }
        cycle
    }

    /// How a step stands; absent while it was never tried in this cycle.
    pub fn state(&self, key: &StepKey) -> Option<&StepState> {
        self.steps.get(key)
    }

    /// Every step that was tried in this cycle.
    pub fn steps(&self) -> &BTreeMap<StepKey, StepState> {
        &self.steps
    }

    /// Whether the step is [done](StepState::is_done_for) in this cycle for this actor.
    pub fn is_done_for(&self, key: &StepKey, actor: &str) -> bool {
        self.state(key).is_some_and(|state| state.is_done_for(actor))
    }
}
