//! Questions to the ledger. Every gate is one of them.

use std::collections::BTreeMap;

use lock_model::{CommitId, Digest, EnvironmentName, LockId, ReleaseId, SuiteDigest, SuiteName, Timestamp};

use super::{Ledger, ProofLevel, Record, RecordDraft, Step, StepResult};
use crate::cycle::Cycle;

/// What the ledger knows about a lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockFile {
    /// Its commit is recorded.
    Committed {
        /// Number of the record.
        seq: u64,
    },
    /// Its commit was begun; whether it happened is a question to the branch.
    Started {
        /// Number of the record.
        seq: u64,
    },
    /// Nobody recorded these bytes with this id.
    Unknown,
}

/// Why an environment takes no deployment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Hold {
    /// How it came about.
    pub origin: HoldOrigin,
    /// Why.
    pub reason: String,
    /// Who set it.
    pub by: String,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Number of the record.
    pub seq: u64,
}

/// How a hold came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldOrigin {
    /// Somebody asked for it.
    Hand,
    /// A rollback sets it with its first record, so that nothing newer slips in while it runs.
    Rollback,
}

/// A lock that is never deployed again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Rejection {
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Number of the record.
    pub seq: u64,
}

/// What an environment says about a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofVerdict {
    /// Everything that was asked of it there is fulfilled.
    Proven(ProvenRelease),
    /// It was asked, and the newest answer is negative.
    Failed {
        /// Number of the record.
        seq: u64,
        /// What it says.
        reason: String,
    },
    /// It never came so far.
    Absent,
}

/// A release that an environment proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRelease {
    /// Number of the proof's record.
    pub seq: u64,
    /// What the proof rests on.
    pub level: ProofLevel,
    /// The suites that are green in the same cycle.
    pub suites: BTreeMap<SuiteName, SuiteDigest>,
    /// The commit that was deployed.
    pub commit: Option<CommitId>,
    /// When it was proven.
    pub at: Timestamp,
}

impl Ledger {
    /// The records of one environment, oldest first.
    pub fn of<'a, 'e>(
        &'a self,
        environment: &'e EnvironmentName,
    ) -> impl DoubleEndedIterator<Item = &'a Record> + use<'a, 'e> {
        self.records().iter().filter(move |record| record.entry.environment.as_ref() == Some(environment))
    }

    /// The newest deployment that was carried through.
    pub fn latest_deployed(&self, environment: &EnvironmentName) -> Option<&Record> {
        self.of(environment).rfind(|record| record.entry.step == Step::Deploy && record.entry.result == StepResult::Ok)
    }

    /// The newest deployment that may have changed something, whether it ended well or not.
    pub fn latest_touched(&self, environment: &EnvironmentName) -> Option<&Record> {
        self.of(environment).rfind(|record| record.entry.step == Step::Deploy && began(record.entry.result))
    }

    /// What is known about a lock file: the digest of its bytes, together with the id in it.
    pub fn lock_file(&self, file: &Digest, lock: &LockId) -> LockFile {
        let mut known = LockFile::Unknown;
        for record in self.records() {
            let RecordDraft { step, result, lock_file, lock: recorded, .. } = &record.entry;
            if *step != Step::LockCommit || lock_file.as_ref() != Some(file) || recorded.as_ref() != Some(lock) {
                continue;
            }
            known = match (result, known) {
                (StepResult::Ok, _) => LockFile::Committed { seq: record.seq },
                (StepResult::Started, LockFile::Unknown | LockFile::Started { .. }) => {
                    LockFile::Started { seq: record.seq }
                }
                (
                    StepResult::Started | StepResult::Failed | StepResult::Refused | StepResult::Superseded,
                    LockFile::Committed { .. } | LockFile::Started { .. } | LockFile::Unknown,
                ) => known,
            };
        }
        known
    }

    /// Whether the environment proved the release: the newest answer counts, and a suite that failed after the proof
    /// takes it back.
    pub fn proof_of(&self, environment: &EnvironmentName, release: &ReleaseId) -> ProofVerdict {
        let mut verdict = ProofVerdict::Absent;
        let mut suites = BTreeMap::new();
        let mut proven_in_this_cycle = false;
        for record in self.of(environment) {
            let ours = record.entry.release.as_ref() == Some(release);
            let opens = record.entry.step == Step::Rollback && record.entry.result == StepResult::Started;
            if occupies(&record.entry) && (!ours || opens) {
                suites.clear();
                proven_in_this_cycle = false;
            }
            if !ours {
                continue;
            }
            let failed = || ProofVerdict::Failed {
                seq: record.seq,
                reason: record.entry.reason.clone().unwrap_or_else(|| "no reason given".to_owned()),
            };
            match (record.entry.step, record.entry.result) {
                (Step::Suite, StepResult::Ok) => {
                    if let Some(suite) = &record.entry.suite {
                        suites.insert(suite.name.clone(), suite.digest.clone());
                    }
                    if let ProofVerdict::Proven(proven) = &mut verdict
                        && proven_in_this_cycle
                        && let Some(suite) = &record.entry.suite
                    {
                        proven.suites.insert(suite.name.clone(), suite.digest.clone());
                    }
                }
                (Step::Suite, StepResult::Failed) => {
                    if let Some(suite) = &record.entry.suite {
                        suites.remove(&suite.name);
                    }
                    if verdict != ProofVerdict::Absent {
                        verdict = failed();
                    }
                }
                (Step::Proof, StepResult::Ok) => {
                    proven_in_this_cycle = true;
                    verdict = match record.entry.proof {
                        Some(level) => ProofVerdict::Proven(ProvenRelease {
                            seq: record.seq,
                            level,
                            suites: suites.clone(),
                            commit: record.entry.commit.clone(),
                            at: at(&record.entry),
                        }),
                        None => failed(),
                    };
                }
                (Step::Proof, StepResult::Failed | StepResult::Refused) => verdict = failed(),
                (Step::Proof | Step::Suite, StepResult::Started | StepResult::Superseded)
                | (Step::Suite, StepResult::Refused)
                | (
                    Step::LockCommit
                    | Step::Gates
                    | Step::Health
                    | Step::Deploy
                    | Step::Verify
                    | Step::Promote
                    | Step::Release
                    | Step::Reject
                    | Step::Hold
                    | Step::Unhold
                    | Step::Rollback,
                    StepResult::Started
                    | StepResult::Ok
                    | StepResult::Failed
                    | StepResult::Refused
                    | StepResult::Superseded,
                ) => {}
            }
        }
        verdict
    }

    /// The hold that is in force.
    pub fn held(&self, environment: &EnvironmentName) -> Option<Hold> {
        let mut hold = None;
        for record in self.of(environment) {
            let set = |origin| {
                Some(Hold {
                    origin,
                    reason: record.entry.reason.clone().unwrap_or_else(|| "no reason given".to_owned()),
                    by: record.entry.run.actor.clone(),
                    owner: record.entry.owner.clone(),
                    since: record.entry.started,
                    seq: record.seq,
                })
            };
            match record.entry.step {
                Step::Hold if record.entry.result == StepResult::Ok => hold = set(HoldOrigin::Hand),
                Step::Rollback if record.entry.result == StepResult::Started => hold = set(HoldOrigin::Rollback),
                Step::Unhold if record.entry.result == StepResult::Ok => hold = None,
                Step::LockCommit
                | Step::Gates
                | Step::Health
                | Step::Deploy
                | Step::Verify
                | Step::Suite
                | Step::Proof
                | Step::Promote
                | Step::Release
                | Step::Reject
                | Step::Hold
                | Step::Unhold
                | Step::Rollback => {}
            }
        }
        hold
    }

    /// The rejection of a lock. There is no way back: a new lock is the way.
    pub fn rejected(&self, lock: &LockId) -> Option<Rejection> {
        self.records()
            .iter()
            .find(|record| {
                record.entry.step == Step::Reject
                    && record.entry.result == StepResult::Ok
                    && record.entry.lock.as_ref() == Some(lock)
            })
            .map(|record| Rejection {
                reason: record.entry.reason.clone().unwrap_or_else(|| "no reason given".to_owned()),
                by: record.entry.run.actor.clone(),
                at: at(&record.entry),
                seq: record.seq,
            })
    }

    /// The releases that were made, oldest first.
    pub fn releases<'a, 'e>(
        &'a self,
        environment: &'e EnvironmentName,
    ) -> impl DoubleEndedIterator<Item = &'a Record> + use<'a, 'e> {
        self.of(environment)
            .filter(|record| record.entry.step == Step::Release && record.entry.result == StepResult::Ok)
    }

    /// Where the release stands in the environment.
    pub fn cycle(&self, environment: &EnvironmentName, release: &ReleaseId) -> Cycle {
        Cycle::of(self, environment, release)
    }

    /// Whether a record of this draft would say anything that the ledger does not say already.
    ///
    /// The steps that always run are recorded only when their answer changes, so that running a finished release
    /// again adds nothing. A `started` always says something: an effect is about to follow.
    pub fn changes(&self, draft: &RecordDraft) -> bool {
        if draft.result == StepResult::Started {
            return true;
        }
        match (draft.step, &draft.environment) {
            (Step::Reject, _) => draft.lock.as_ref().is_none_or(|lock| self.rejected(lock).is_none()),
            (Step::Hold, Some(environment)) => {
                self.held(environment).is_none_or(|hold| Some(&hold.reason) != draft.reason.as_ref())
            }
            (Step::Unhold, Some(environment)) => self.held(environment).is_some(),
            (Step::LockCommit, _) => !self.records().iter().any(|record| {
                record.entry.step == Step::LockCommit
                    && record.entry.environment == draft.environment
                    && record.entry.lock_file == draft.lock_file
                    && says_the_same(&record.entry, draft)
            }),
            (
                Step::Gates
                | Step::Health
                | Step::Deploy
                | Step::Verify
                | Step::Suite
                | Step::Proof
                | Step::Promote
                | Step::Release
                | Step::Rollback,
                Some(environment),
            ) => draft.release.as_ref().is_none_or(|release| {
                let cycle = self.cycle(environment, release);
                cycle
                    .last(&draft.key())
                    .is_none_or(|seq| self.record(seq).is_none_or(|record| !says_the_same(&record.entry, draft)))
            }),
            (
                Step::Gates
                | Step::Health
                | Step::Deploy
                | Step::Verify
                | Step::Suite
                | Step::Proof
                | Step::Promote
                | Step::Release
                | Step::Rollback
                | Step::Hold
                | Step::Unhold,
                None,
            ) => true,
        }
    }

    /// The record with this number.
    pub fn record(&self, seq: u64) -> Option<&Record> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.records().get(index)
    }
}

/// When the record's answer was there.
pub fn at(entry: &RecordDraft) -> Timestamp {
    entry.finished.unwrap_or(entry.started)
}

/// Whether a step with this result may have had an effect.
pub(crate) fn began(result: StepResult) -> bool {
    match result {
        StepResult::Started | StepResult::Ok | StepResult::Failed => true,
        StepResult::Refused | StepResult::Superseded => false,
    }
}

/// Whether the record says that its release is, or is about to be, what the environment holds.
pub fn occupies(entry: &RecordDraft) -> bool {
    match entry.step {
        Step::Deploy | Step::Rollback => began(entry.result),
        Step::LockCommit
        | Step::Gates
        | Step::Health
        | Step::Verify
        | Step::Suite
        | Step::Proof
        | Step::Promote
        | Step::Release
        | Step::Reject
        | Step::Hold
        | Step::Unhold => false,
    }
}

/// Equal apart from who, when, at which commit, and with which documents.
fn says_the_same(recorded: &RecordDraft, draft: &RecordDraft) -> bool {
    recorded.result == draft.result
        && recorded.lock == draft.lock
        && recorded.suite == draft.suite
        && recorded.tag == draft.tag
        && recorded.reason == draft.reason
        && recorded.proof == draft.proof
        && recorded.unreviewed == draft.unreviewed
        && recorded.policy == draft.policy
}
