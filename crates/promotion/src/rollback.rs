//! Where a rollback goes to.
//!
//! A rollback is a deployment of an older release through the same steps. Its first record, `rollback started`, does
//! three things at once: it opens a cycle of the target release, it marks that cycle as a rollback, and it holds the
//! environment. A killed rollback is therefore found, and goes on with the same target; until it ends nothing else is
//! deployed. Its last record is `rollback ok`. The hold stays until somebody lifts it.

use std::collections::BTreeSet;

use lock_model::{CommitId, ConfigDigest, Digest, EnvironmentName, ErrorClass, LockId, ReleaseId, Timestamp};

use ledger::cycle::{Cycle, CycleOrigin, Locks, PlanShape, Then, plan};
use ledger::{
    HoldOrigin, Ledger, ProofVerdict, Record, Rejection, Step, StepKey, StepResult, SuiteRef, Unreviewed, occupies,
    recorded_at,
};

/// What a rollback deploys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The tag, where the environment makes releases.
    pub tag: Option<String>,
    /// The release.
    pub release: ReleaseId,
    /// Its lock.
    pub lock: LockId,
    /// SHA-256 of its lock file.
    pub lock_file: Digest,
    /// Its configuration.
    pub config: Option<ConfigDigest>,
    /// The commit that lock, configuration and manifests are taken from.
    pub commit: CommitId,
    /// When it proved itself.
    pub since: Timestamp,
    /// Whether there is anything left to do.
    pub state: TargetState,
}

/// How far a rollback is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Not begun: `rollback started` is written first.
    New,
    /// Begun by record `seq` and not ended.
    Underway {
        /// Number of that record.
        seq: u64,
    },
    /// Ended; the hold is still there. The same command again changes nothing.
    Done {
        /// Number of the record that ended it.
        seq: u64,
    },
}

/// Why there is nothing to go back to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// Nothing was ever deployed.
    #[error("nothing was ever deployed to `{environment}`")]
    NeverDeployed {
        /// Where.
        environment: EnvironmentName,
    },
    /// The environment knows no other good release.
    #[error("`{environment}` has no earlier release that was proven there and is not rejected")]
    NothingOlder {
        /// Where.
        environment: EnvironmentName,
    },
    /// Nothing is called like this.
    #[error(
        "`{}` names no proven or migrated release of `{environment}`; known are {}",
        lock_model::escaping::escape_terminal(requested),
        list(known)
    )]
    Unknown {
        /// Where.
        environment: EnvironmentName,
        /// What was asked for.
        requested: String,
        /// What there is, newest first.
        known: Vec<String>,
    },
    /// Several are called like this.
    #[error("`{}` names several releases: {}", lock_model::escaping::escape_terminal(requested), list(candidates))]
    Ambiguous {
        /// What was asked for.
        requested: String,
        /// Their ids.
        candidates: Vec<String>,
    },
    /// Its lock is rejected.
    #[error("the lock of `{name}` was rejected by {}: {}", rejection.by, rejection.reason)]
    Rejected {
        /// The release.
        name: String,
        /// The rejection.
        rejection: Rejection,
    },
    /// It is what the environment has.
    #[error("`{environment}` has `{name}` already")]
    AlreadyThere {
        /// Where.
        environment: EnvironmentName,
        /// The release.
        name: String,
    },
}

impl NoTarget {
    /// Which class of failure this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NeverDeployed { .. } | Self::NothingOlder { .. } | Self::Unknown { .. } => ErrorClass::NotFound,
            Self::Ambiguous { .. } | Self::AlreadyThere { .. } => ErrorClass::Invalid,
            Self::Rejected { .. } => ErrorClass::Denied,
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The steps of a rollback, after its `rollback started`.
pub fn steps(suites: Vec<SuiteRef>) -> Vec<StepKey> {
    plan(&PlanShape { locks: Locks::InTree, suites, then: Then::EndRollback })
}

/// Finds what to go back to: the release before the present one, or the one that is asked for by its tag or by at
/// least eight digits of its release id. What was taken over from an older pipeline must be asked for: nothing proved it.
///
/// While a rollback is underway, or its hold is in force, no name means that same rollback: a command that is run again
/// after a crash must not go one release further back.
pub fn target(ledger: &Ledger, environment: &EnvironmentName, requested: Option<&str>) -> Result<Target, NoTarget> {
    let good = known_good(ledger, environment);
    let current = current(ledger, environment);
    let open = open_rollback(ledger, environment);
    if let Some((target, _)) = &open {
        let asked_for = requested.is_none_or(|name| is_called(target, name));
        if asked_for {
            return check(ledger, target.clone());
        }
    }
    let Some(current) = current else {
        return Err(NoTarget::NeverDeployed { environment: environment.clone() });
    };
    match requested {
        None => earlier(ledger, environment, &good, &current),
        Some(name) => {
            let mut known = good;
            known.extend(migrated(ledger, environment, &known));
            named(ledger, environment, &known, &current, name)
        }
    }
}

/// The newest release below the present one in the line, known to be good and not rejected.
fn earlier(
    ledger: &Ledger,
    environment: &EnvironmentName,
    good: &[Target],
    current: &ReleaseId,
) -> Result<Target, NoTarget> {
    line(ledger, environment)
        .iter()
        .rev()
        .filter(|release| *release != current)
        .find_map(|release| {
            good.iter().find(|target| target.release == *release && ledger.rejected(&target.lock).is_none())
        })
        .cloned()
        .ok_or_else(|| NoTarget::NothingOlder { environment: environment.clone() })
}

/// The releases that led to the present one, oldest first: a deployment adds to the line, a rollback cuts off what came
/// after its target. Without the cut a second rollback would return to what the first one left.
fn line(ledger: &Ledger, environment: &EnvironmentName) -> Vec<ReleaseId> {
    let mut line: Vec<ReleaseId> = Vec::new();
    for record in ledger.of(environment).filter(|record| occupies(&record.entry)) {
        let Some(release) = &record.entry.release else { continue };
        if record.entry.step == Step::Rollback
            && let Some(place) = line.iter().rposition(|known| known == release)
        {
            line.truncate(place + 1);
        }
        if line.last() != Some(release) {
            line.push(release.clone());
        }
    }
    line
}

fn named(
    ledger: &Ledger,
    environment: &EnvironmentName,
    good: &[Target],
    current: &ReleaseId,
    name: &str,
) -> Result<Target, NoTarget> {
    let mut found = good.iter().filter(|target| is_called(target, name));
    let Some(target) = found.next() else {
        return Err(NoTarget::Unknown {
            environment: environment.clone(),
            requested: name.to_owned(),
            known: good.iter().map(called).collect(),
        });
    };
    let others: Vec<&Target> = found.collect();
    if !others.is_empty() {
        let candidates = std::iter::once(target).chain(others).map(|target| target.release.to_string()).collect();
        return Err(NoTarget::Ambiguous { requested: name.to_owned(), candidates });
    }
    let target = check(ledger, target.clone())?;
    if target.release == *current {
        return Err(NoTarget::AlreadyThere { environment: environment.clone(), name: called(&target) });
    }
    Ok(target)
}

fn check(ledger: &Ledger, target: Target) -> Result<Target, NoTarget> {
    match ledger.rejected(&target.lock) {
        Some(rejection) => Err(NoTarget::Rejected { name: called(&target), rejection }),
        None => Ok(target),
    }
}

/// What the environment holds, or began to hold.
fn current(ledger: &Ledger, environment: &EnvironmentName) -> Option<ReleaseId> {
    ledger.of(environment).rfind(|record| occupies(&record.entry)).and_then(|record| record.entry.release.clone())
}

/// The rollback that holds the environment, and where it stands.
fn open_rollback(ledger: &Ledger, environment: &EnvironmentName) -> Option<(Target, Cycle)> {
    match ledger.held(environment)?.origin {
        HoldOrigin::Hand => return None,
        HoldOrigin::Rollback => {}
    }
    let newest = ledger
        .of(environment)
        .rfind(|record| record.entry.step == Step::Rollback && record.entry.result == StepResult::Started)?;
    let release = newest.entry.release.as_ref()?;
    let cycle = Cycle::of(ledger, environment, release);
    let CycleOrigin::Rollback { seq } = cycle.origin else { return None };
    let key = StepKey::Step(Step::Rollback);
    let state = match cycle.state(&key) {
        Some(state) if state.result == StepResult::Ok => TargetState::Done { seq: state.seq },
        Some(_) | None => TargetState::Underway { seq },
    };
    let target = Target { state, tag: newest.entry.tag.clone(), ..of_record(newest)? };
    Some((target, cycle))
}

/// Releases that proved themselves in this environment, newest first, each once.
pub fn known_good(ledger: &Ledger, environment: &EnvironmentName) -> Vec<Target> {
    let mut seen = BTreeSet::new();
    ledger
        .of(environment)
        .rev()
        .filter(|record| match (record.entry.step, record.entry.result) {
            (Step::Proof | Step::Release, StepResult::Ok) => true,
            (
                Step::Proof | Step::Release,
                StepResult::Started | StepResult::Failed | StepResult::Refused | StepResult::Superseded,
            )
            | (
                Step::LockCommit
                | Step::Gates
                | Step::Health
                | Step::Deploy
                | Step::Verify
                | Step::Suite
                | Step::Promote
                | Step::Reject
                | Step::Hold
                | Step::Unhold
                | Step::Rollback,
                StepResult::Started
                | StepResult::Ok
                | StepResult::Failed
                | StepResult::Refused
                | StepResult::Superseded,
            ) => false,
        })
        .filter_map(of_record)
        .filter(|target| seen.insert(target.release.clone()))
        .filter(|target| match ledger.proof_of(environment, &target.release) {
            ProofVerdict::Proven(_) => true,
            ProofVerdict::Failed { .. } | ProofVerdict::Absent => false,
        })
        .map(|target| Target { tag: tag_of(ledger, environment, &target.release), ..target })
        .collect()
}

/// Releases of an older pipeline that somebody took over for this environment, newest first, each once, without those
/// that proved themselves since.
pub fn migrated(ledger: &Ledger, environment: &EnvironmentName, good: &[Target]) -> Vec<Target> {
    let mut seen: BTreeSet<ReleaseId> = good.iter().map(|target| target.release.clone()).collect();
    ledger
        .of(environment)
        .rev()
        .filter(|record| {
            record.entry.step == Step::LockCommit
                && record.entry.result == StepResult::Ok
                && record.entry.unreviewed == Some(Unreviewed::Migrated)
        })
        .filter_map(of_record)
        .filter(|target| seen.insert(target.release.clone()))
        .collect()
}

fn tag_of(ledger: &Ledger, environment: &EnvironmentName, release: &ReleaseId) -> Option<String> {
    ledger
        .releases(environment)
        .rfind(|record| record.entry.release.as_ref() == Some(release))
        .and_then(|record| record.entry.tag.clone())
}

fn of_record(record: &Record) -> Option<Target> {
    let entry = &record.entry;
    Some(Target {
        tag: entry.tag.clone(),
        release: entry.release.clone()?,
        lock: entry.lock.clone()?,
        lock_file: entry.lock_file.clone()?,
        config: entry.config.clone(),
        commit: entry.commit.clone()?,
        since: recorded_at(entry),
        state: TargetState::New,
    })
}

fn is_called(target: &Target, name: &str) -> bool {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    target.tag.as_deref() == Some(name) || (digits.len() >= 8 && target.release.hex().starts_with(digits))
}

fn called(target: &Target) -> String {
    target.tag.clone().unwrap_or_else(|| target.release.id8().to_owned())
}
