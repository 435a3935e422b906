//! Where a rollback goes to.
//!
//! A rollback is a deployment of an older release through the same steps. Its first record, `rollback started`, does
//! three things at once: it opens a cycle of the target release, it marks that cycle as a rollback, and it holds the
//! environment. A killed rollback is therefore found, and goes on with the same target; until it ends nothing else is
//! deployed. Its last record is `rollback ok`. The hold stays until a user lifts it.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::{CommitId, ConfigDigest, Digest, EnvironmentName, ErrorClass, LockId, ReleaseId, Timestamp};

use crate::attempts::{AfterProof, Locks, PlanShape, plan};
use ledger::{
    CycleOrigin, HoldOrigin, Ledger, ProofVerdict, Record, Rejection, Step, StepKey, StepResult, SuiteRef, Unreviewed,
};

/// The release that a rollback deploys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RollbackTarget {
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
    /// How far the rollback is.
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
#[non_exhaustive]
pub enum NoTarget {
    /// Nothing was ever deployed.
    #[error("nothing was ever deployed to `{environment}`")]
    NeverDeployed {
        /// The environment that has to go back.
        environment: EnvironmentName,
    },
    /// No other release was proven there and is not rejected.
    #[error("`{environment}` has no earlier release that was proven there and is not rejected")]
    NothingOlder {
        /// The environment that has to go back.
        environment: EnvironmentName,
    },
    /// No release is called like this.
    #[error(
        "`{}` names no proven or migrated release of `{environment}`; known are {}",
        lock_model::escaping::escape_terminal(requested),
        list(known)
    )]
    Unknown {
        /// The environment that has to go back.
        environment: EnvironmentName,
        /// The name that was asked for.
        requested: String,
        /// The names of the releases that can be gone back to, newest first.
        known: Vec<String>,
    },
    /// Several releases are called like this.
    #[error("`{}` names several releases: {}", lock_model::escaping::escape_terminal(requested), list(candidates))]
    Ambiguous {
        /// The name that was asked for.
        requested: String,
        /// The ids of those releases.
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
    /// The environment's branch never held its commit, whatever the ledger says of it.
    #[error("the commit of `{name}`, {}, is not one that the branch of `{environment}` has had", commit.short(12))]
    NotOnBranch {
        /// The environment that has to go back.
        environment: EnvironmentName,
        /// The release.
        name: String,
        /// The commit that the ledger names.
        commit: CommitId,
    },
    /// The environment has that release.
    #[error("`{environment}` has `{name}` already")]
    AlreadyThere {
        /// The environment that has to go back.
        environment: EnvironmentName,
        /// The release.
        name: String,
    },
}

impl NoTarget {
    /// Names that match nothing are [`ErrorClass::NotFound`], names that cannot be meant [`ErrorClass::Invalid`], and a
    /// rejected lock is [`ErrorClass::Denied`].
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NeverDeployed { .. } | Self::NothingOlder { .. } | Self::Unknown { .. } => ErrorClass::NotFound,
            Self::Ambiguous { .. } | Self::AlreadyThere { .. } => ErrorClass::Invalid,
            Self::Rejected { .. } | Self::NotOnBranch { .. } => ErrorClass::Denied,
        }
    }

    /// What to do instead.
    pub fn hint(&self) -> String {
        let history =
            |environment: &EnvironmentName| format!("`orchestrator history {environment}` shows what was proven there");
        match self {
            Self::NeverDeployed { environment } => {
                format!("there is nothing to go back from: `orchestrator run {environment}` is the first deployment")
            }
            Self::NothingOlder { environment } => {
                format!(
                    "repair it with a pull request, and keep it as it is until then: `orchestrator hold {environment} --reason …`"
                )
            }
            Self::Unknown { environment, known, .. } if known.is_empty() => history(environment),
            Self::Unknown { .. } => "name one of these with `--to`".to_owned(),
            Self::Ambiguous { .. } => "name it by its tag, or with more digits of its id".to_owned(),
            Self::Rejected { .. } => "a rejection stays: go back to another release with `--to`".to_owned(),
            Self::NotOnBranch { environment, .. } => history(environment),
            Self::AlreadyThere { environment, .. } => {
                format!("`orchestrator rollback {environment} --check` shows the releases before it, if there are any")
            }
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The steps of a rollback, after its `rollback started`.
pub fn steps(suites: Vec<SuiteRef>) -> Vec<StepKey> {
    plan(&PlanShape { locks: Locks::InTree, suites, then: AfterProof::EndRollback })
}

/// Finds what to go back to: the release before the present one, or the one that is asked for by its tag or by at
/// least eight digits of its release id. What was taken over from an older pipeline must be asked for: nothing proved it.
///
/// While a rollback is underway, or its hold is in force, no name means that same rollback: a command that is run again
/// after a crash must not go one release further back.
///
/// `stands` says whether the repository vouches for a target: its commit was on the environment's branch, or is a
/// migrated release on top of one that was. Records alone name no target.
pub fn target(
    ledger: &Ledger,
    environment: &EnvironmentName,
    requested: Option<&str>,
    stands: &dyn Fn(&RollbackTarget) -> bool,
) -> Result<RollbackTarget, NoTarget> {
    let good = known_good(ledger, environment, stands);
    let current = current(ledger, environment);
    if let Some(target) = open_rollback(ledger, environment)
        && requested.is_none_or(|name| is_called(&target, name))
    {
        return if stands(&target) { check(ledger, target) } else { Err(not_on_branch(environment, &target)) };
    }
    let Some(current) = current else {
        return Err(NoTarget::NeverDeployed { environment: environment.clone() });
    };
    match requested {
        None => earlier(ledger, environment, &good, &current),
        Some(name) => {
            let mut known = good;
            known.extend(migrated(ledger, environment, &known).into_iter().filter(stands));
            named(ledger, environment, &known, &current, name)
        }
    }
}

/// The newest release below the present one in the line, known to be good and not rejected.
fn earlier(
    ledger: &Ledger,
    environment: &EnvironmentName,
    good: &[RollbackTarget],
    current: &ReleaseId,
) -> Result<RollbackTarget, NoTarget> {
    let good: BTreeMap<&ReleaseId, &RollbackTarget> = good.iter().map(|target| (&target.release, target)).collect();
    line(ledger, environment)
        .iter()
        .rev()
        .filter(|release| *release != current)
        .filter_map(|release| good.get(release))
        .find(|target| ledger.rejected(&target.lock).is_none())
        .map(|target| (*target).clone())
        .ok_or_else(|| NoTarget::NothingOlder { environment: environment.clone() })
}

/// The releases that led to the present one, oldest first: a deployment adds to the line, a rollback cuts off what came
/// after its target. Without the cut a second rollback would return to what the first one left.
fn line(ledger: &Ledger, environment: &EnvironmentName) -> Vec<ReleaseId> {
    let mut line: Vec<ReleaseId> = Vec::new();
    for record in ledger.of(environment).filter(|record| record.occupies_environment()) {
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

/// A release that was deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeployedRelease {
    /// The release.
    pub release: ReleaseId,
    /// The commit that its lock and configuration are in.
    pub commit: CommitId,
}

/// The releases that were deployed to the environment, or began to be, since it last had this one; oldest first, each
/// once. What a rollback deployed is older code and is not among them. All of them, where it never had this one. A rollback to
/// it that `verify` found to be something else, such as one that left a migrated service as it was, did not bring it back.
///
/// What they changed outside of the cluster, such as the schema of a database, is what a rollback does not undo.
pub fn deployed_since(ledger: &Ledger, environment: &EnvironmentName, release: &ReleaseId) -> Vec<DeployedRelease> {
    let mut list: Vec<DeployedRelease> = Vec::new();
    let mut before: Vec<DeployedRelease> = Vec::new();
    let mut rolled_back_to = None;
    for record in ledger.of(environment) {
        let (Some(one), Some(commit)) = (&record.entry.release, &record.entry.commit) else { continue };
        // The end of a rollback deploys nothing.
        if !record.occupies_environment() || record.is(Step::Rollback, StepResult::Ok) {
            if one == release && record.is(Step::Verify, StepResult::Ok) {
                before.clear();
            } else if one == release && record.is(Step::Verify, StepResult::Failed) && list.is_empty() {
                list = std::mem::take(&mut before);
            }
            continue;
        }
        if one == release {
            if !list.is_empty() {
                before = std::mem::take(&mut list);
            }
        } else if record.entry.step == Step::Rollback {
            rolled_back_to = Some(one);
        } else if rolled_back_to != Some(one) && list.iter().all(|known| known.release != *one) {
            rolled_back_to = None;
            list.push(DeployedRelease { release: one.clone(), commit: commit.clone() });
        }
    }
    list
}

fn named(
    ledger: &Ledger,
    environment: &EnvironmentName,
    good: &[RollbackTarget],
    current: &ReleaseId,
    name: &str,
) -> Result<RollbackTarget, NoTarget> {
    let found: Vec<&RollbackTarget> = good.iter().filter(|target| is_called(target, name)).collect();
    let target = match found.as_slice() {
        [target] => target,
        [] => {
            // It may be a name that only records give.
            let mut recorded = known_good(ledger, environment, &|_| true);
            recorded.extend(migrated(ledger, environment, &recorded));
            if let Some(target) = recorded.iter().find(|target| is_called(target, name)) {
                return Err(not_on_branch(environment, target));
            }
            return Err(NoTarget::Unknown {
                environment: environment.clone(),
                requested: name.to_owned(),
                known: good.iter().map(called).collect(),
            });
        }
        several => {
            let candidates = several.iter().map(|target| target.release.to_string()).collect();
            return Err(NoTarget::Ambiguous { requested: name.to_owned(), candidates });
        }
    };
    let target = check(ledger, (*target).clone())?;
    if target.release == *current {
        return Err(NoTarget::AlreadyThere { environment: environment.clone(), name: called(&target) });
    }
    Ok(target)
}

fn check(ledger: &Ledger, target: RollbackTarget) -> Result<RollbackTarget, NoTarget> {
    match ledger.rejected(&target.lock) {
        Some(rejection) => Err(NoTarget::Rejected { name: called(&target), rejection }),
        None => Ok(target),
    }
}

/// What the environment holds, or began to hold.
fn current(ledger: &Ledger, environment: &EnvironmentName) -> Option<ReleaseId> {
    ledger.of(environment).rfind(|record| record.occupies_environment()).and_then(|record| record.entry.release.clone())
}

/// The rollback that holds the environment, as its first record tells it, and how far it is.
pub fn open_rollback(ledger: &Ledger, environment: &EnvironmentName) -> Option<RollbackTarget> {
    if ledger.held(environment)?.origin != HoldOrigin::Rollback {
        return None;
    }
    let newest = ledger.of(environment).rfind(|record| record.opens_rollback())?;
    let cycle = ledger.cycle(environment, newest.entry.release.as_ref()?);
    let CycleOrigin::Rollback { seq } = cycle.origin else { return None };
    let state = match cycle.state(&StepKey::Step(Step::Rollback)) {
        Some(state) if state.result == StepResult::Ok => {
            // Deploying again what was changed since needs a mark of its own.
            let differs = |record: &Record| record.seq > state.seq && record.is(Step::Verify, StepResult::Failed);
            if ledger.of(environment).any(differs) { TargetState::New } else { TargetState::Done { seq: state.seq } }
        }
        Some(_) | None => TargetState::Underway { seq },
    };
    Some(RollbackTarget { state, ..of_record(newest)? })
}

fn not_on_branch(environment: &EnvironmentName, target: &RollbackTarget) -> NoTarget {
    let (environment, commit) = (environment.clone(), target.commit.clone());
    NoTarget::NotOnBranch { environment, name: called(target), commit }
}

/// Releases that proved themselves in this environment, newest first, each once; of several records of one release the
/// newest whose commit stands.
pub fn known_good(
    ledger: &Ledger,
    environment: &EnvironmentName,
    stands: &dyn Fn(&RollbackTarget) -> bool,
) -> Vec<RollbackTarget> {
    let mut seen = BTreeSet::new();
    let proofs = ledger.proofs(environment);
    // Of several tags of one release the newest.
    let tags: BTreeMap<&ReleaseId, &Option<String>> = ledger
        .releases(environment)
        .filter_map(|record| Some((record.entry.release.as_ref()?, &record.entry.tag)))
        .collect();
    ledger
        .of(environment)
        .rev()
        .filter(|record| record.is(Step::Proof, StepResult::Ok) || record.is(Step::Release, StepResult::Ok))
        .filter_map(of_record)
        .filter(|target| match proofs.get(&target.release) {
            Some(ProofVerdict::Proven(_)) => true,
            Some(ProofVerdict::Failed { .. } | ProofVerdict::Absent) | None => false,
        })
        .filter(|target| !seen.contains(&target.release) && stands(target) && seen.insert(target.release.clone()))
        .map(|target| RollbackTarget { tag: tags.get(&target.release).and_then(|tag| (*tag).clone()), ..target })
        .collect()
}

/// Releases of an older pipeline that were taken over for this environment, newest first, each once, without those
/// that proved themselves since.
pub fn migrated(ledger: &Ledger, environment: &EnvironmentName, good: &[RollbackTarget]) -> Vec<RollbackTarget> {
    let mut seen: BTreeSet<ReleaseId> = good.iter().map(|target| target.release.clone()).collect();
    ledger
        .of(environment)
        .rev()
        .filter(|record| {
            record.is(Step::LockCommit, StepResult::Ok) && record.entry.unreviewed == Some(Unreviewed::Migrated)
        })
        .filter_map(of_record)
        .filter(|target| seen.insert(target.release.clone()))
        .collect()
}

fn of_record(record: &Record) -> Option<RollbackTarget> {
    let entry = &record.entry;
    Some(RollbackTarget {
        tag: entry.tag.clone(),
        release: entry.release.clone()?,
        lock: entry.lock.clone()?,
        lock_file: entry.lock_file.clone()?,
        config: entry.config.clone(),
        commit: entry.commit.clone()?,
        since: record.recorded_at(),
        state: TargetState::New,
    })
}

fn is_called(target: &RollbackTarget, name: &str) -> bool {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    target.tag.as_deref() == Some(name) || (digits.len() >= 8 && target.release.hex().starts_with(digits))
}

fn called(target: &RollbackTarget) -> String {
    target.tag.clone().unwrap_or_else(|| target.release.id8().to_owned())
}
