//! Which steps a run takes, which of them are done already, and which are tried again.

use ledger::{DeploymentCycle, Ledger, Step, StepKey, StepResult, SuiteRef};
use lock_model::{EnvironmentName, ReleaseId};

/// What a deployment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A normal run: the environment gets a release that it is asked to take.
    Run,
    /// The environment goes back to an older release.
    Rollback,
}

/// The order of steps that an environment asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanShape {
    /// Whether locks are committed here (staging) or arrive with the merge (production).
    pub locks: Locks,
    /// The suites, in the order in which they run.
    pub suites: Vec<SuiteRef>,
    /// What follows the proof.
    pub then: AfterProof,
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
pub enum AfterProof {
    /// The run ends.
    #[default]
    Nothing,
    /// The pull request to the next environment is opened.
    Promote,
    /// The release is tagged.
    Release,
    /// The release is tagged, then promoted.
    ReleaseAndPromote,
    /// The rollback's record is completed; the hold stays.
    EndRollback,
}

/// One step of a plan, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// The step.
    pub key: StepKey,
    /// Whether it runs or is skipped.
    pub action: StepAction,
}

/// Whether a step runs or is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepAction {
    /// It runs.
    Run {
        /// Which attempt within the deployment cycle this is, from 1.
        attempt: u32,
    },
    /// It is done.
    Skip {
        /// Number of the record that says so.
        seq: u64,
    },
}

/// The steps of a run, in order.
pub fn plan(shape: &PlanShape) -> Vec<StepKey> {
    let before: &[Step] = match shape.locks {
        Locks::Committed => &[Step::LockCommit],
        Locks::InTree => &[],
    };
    let after: &[Step] = match shape.then {
        AfterProof::Nothing => &[],
        AfterProof::Promote => &[Step::Promote],
        AfterProof::Release => &[Step::Release],
        AfterProof::ReleaseAndPromote => &[Step::Release, Step::Promote],
        AfterProof::EndRollback => &[Step::Rollback],
    };
    let deployment = [Step::Gates, Step::Health, Step::Deploy, Step::Verify];
    let mut steps: Vec<StepKey> = before.iter().copied().chain(deployment).map(StepKey::Step).collect();
    steps.extend(shape.suites.iter().cloned().map(StepKey::Suite));
    steps.extend([Step::Proof].iter().chain(after).copied().map(StepKey::Step));
    steps
}

/// Decides for each step of a plan whether it is done already in the release's current deployment cycle.
///
/// `ok` is done, except for [steps that run every time](Step::runs_every_time): [`Ledger::changes`] says whether their
/// answer is worth a record. A deployment that a later `verify` found to be different is not done any more, nor is a suite
/// of the deployment before, nor a proof that a later suite or `verify` withdrew. `started`, `failed`,
/// `refused` and `superseded` run again. What a person recorded in a rollback is done for that person alone: every other
/// `actor` does it again.
pub fn next_steps(
    ledger: &Ledger,
    environment: &EnvironmentName,
    release: &ReleaseId,
    plan: &[StepKey],
    actor: &str,
) -> Vec<PlannedStep> {
    let cycle = ledger.cycle(environment, release);
    plan.iter().map(|key| PlannedStep { key: key.clone(), action: action(&cycle, key, actor) }).collect()
}

fn action(cycle: &DeploymentCycle, key: &StepKey, actor: &str) -> StepAction {
    let Some(state) = cycle.state(key) else { return StepAction::Run { attempt: 1 } };
    let newer = |step: Step| cycle.state(&StepKey::Step(step)).filter(|other| other.seq > state.seq);
    let outdated = match key.step() {
        Step::Deploy => newer(Step::Verify).is_some_and(|verify| verify.result == StepResult::Failed),
        Step::Suite => {
            let deploys = match action(cycle, &StepKey::Step(Step::Deploy), actor) {
                StepAction::Run { .. } => true,
                StepAction::Skip { .. } => false,
            };
            deploys || newer(Step::Deploy).is_some()
        }
        Step::Proof => cycle.withdrawn_by.is_some_and(|seq| seq > state.seq),
        Step::LockCommit
        | Step::Gates
        | Step::Health
        | Step::Verify
        | Step::Promote
        | Step::Release
        | Step::Reject
        | Step::Hold
        | Step::Unhold
        | Step::Rollback
        | Step::Policy
        | Step::BreakLease => key.step().runs_every_time(),
    };
    if !state.is_done_for(actor) || outdated {
        StepAction::Run { attempt: state.attempts + 1 }
    } else {
        StepAction::Skip { seq: state.seq }
    }
}

/// Whether a deployment has to move its target's branch even where that holds the same files already.
///
/// The push of a run that died may still be under way, and lands as long as the branch is where that run saw it. Once the
/// branch has moved it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The deployment before ended, so nothing of it is under way.
    NotNeeded,
    /// The branch moves, unless its newest commit is that of deployment `unless`, which has arrived then.
    Needed {
        /// Number of the record that began the deployment before; absent where that one was not of this rollback.
        unless: Option<u64>,
    },
}

/// Says whether the deployment that record `number` began needs a fence: the first one of a rollback, and every one after
/// a deployment that did not end well.
pub fn fence(ledger: &Ledger, environment: &EnvironmentName, number: u64) -> Fence {
    let mut newest_first = ledger.of(environment).rev().filter(|record| record.seq < number);
    let Some(before) = newest_first.by_ref().find(|record| record.occupies_environment()) else {
        return Fence::NotNeeded;
    };
    if before.opens_rollback() {
        return Fence::Needed { unless: None };
    }
    match before.entry.result {
        StepResult::Ok => Fence::NotNeeded,
        StepResult::Started => Fence::Needed { unless: Some(before.seq) },
        StepResult::Failed | StepResult::Refused | StepResult::Superseded => Fence::Needed {
            unless: newest_first.find(|record| record.is(Step::Deploy, StepResult::Started)).map(|record| record.seq),
        },
    }
}
