//! Whether an environment proved a release.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::{CommitId, EnvironmentName, ReleaseId, SuiteDigest, SuiteName, Timestamp};

use crate::{Ledger, ProofLevel, Record, Step, StepResult};

/// What an environment says about a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProofVerdict {
    /// It has fulfilled everything that the environment requires.
    Proven(ProvenRelease),
    /// The newest answer is negative.
    Failed {
        /// Number of the record.
        seq: u64,
        /// The reason in that record.
        reason: String,
        /// Number of the proof that this record takes back; absent where there was none.
        withdrawn: Option<u64>,
    },
    /// It has neither a proof nor a failed one.
    #[default]
    Absent,
}

/// A release that an environment proved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvenRelease {
    /// Number of the proof's record.
    pub seq: u64,
    /// What the proof rests on.
    pub level: ProofLevel,
    /// The suites that are green in the same deployment cycle.
    pub suites: BTreeMap<SuiteName, SuiteDigest>,
    /// The commit that was deployed.
    pub commit: Option<CommitId>,
    /// When it was proven.
    pub at: Timestamp,
}

impl Ledger {
    /// Whether the environment proved the release: the newest answer counts. A suite or a comparison of what is stored
    /// that failed after the proof withdraws it, also in a later deployment cycle, until the release is proven again.
    /// A bot proves: what a person records in a rollback of their own withdraws a proof, and never gives one.
    pub fn proof_of(&self, environment: &EnvironmentName, release: &ReleaseId) -> ProofVerdict {
        let people = self.people();
        let mut answer = Answer::default();
        for record in self.of(environment) {
            let ours = record.entry.release.as_ref() == Some(release);
            if record.occupies_environment() && (!ours || record.opens_rollback()) {
                answer.end_stay();
            }
            if ours {
                answer.take(record, &people);
            }
        }
        answer.verdict
    }

    /// What [`proof_of`](Self::proof_of) says of each release that the environment has a record of, in one pass.
    pub fn proofs(&self, environment: &EnvironmentName) -> BTreeMap<&ReleaseId, ProofVerdict> {
        let people = self.people();
        let mut answers: BTreeMap<&ReleaseId, Answer> = BTreeMap::new();
        let mut occupations = 0;
        for record in self.of(environment) {
            let occupies = record.occupies_environment();
            occupations += usize::from(occupies);
            let Some(release) = &record.entry.release else { continue };
            let answer = answers.entry(release).or_default();
            answer.own_occupations += usize::from(occupies);
            // Another release was here since this one was heard of last.
            let others = occupations - answer.own_occupations;
            if std::mem::replace(&mut answer.other_occupations, others) != others || record.opens_rollback() {
                answer.end_stay();
            }
            answer.take(record, &people);
        }
        answers.into_iter().map(|(release, answer)| (release, answer.verdict)).collect()
    }
}

/// What the records of one release say so far, oldest first.
#[derive(Default)]
struct Answer {
    verdict: ProofVerdict,
    green: BTreeMap<SuiteName, SuiteDigest>,
    proven_in_this_cycle: bool,
    newest_proof: Option<u64>,
    own_occupations: usize,
    other_occupations: usize,
}

impl Answer {
    fn end_stay(&mut self) {
        self.green.clear();
        self.proven_in_this_cycle = false;
    }

    fn take(&mut self, record: &Record, people: &BTreeSet<&str>) {
        let entry = &record.entry;
        if entry.result == StepResult::Ok && people.contains(entry.run.actor.as_str()) {
            return;
        }
        let withdrawn = self.newest_proof;
        let failed = || ProofVerdict::Failed { seq: record.seq, reason: record.reason(), withdrawn };
        if record.withdraws_proof() && self.verdict != ProofVerdict::Absent {
            self.verdict = failed();
        }
        if let Some(suite) = &entry.suite {
            match entry.result {
                StepResult::Ok => {
                    self.green.insert(suite.name.clone(), suite.digest.clone());
                    if let ProofVerdict::Proven(proven) = &mut self.verdict
                        && self.proven_in_this_cycle
                    {
                        proven.suites.clone_from(&self.green);
                    }
                }
                StepResult::Failed => {
                    self.green.remove(&suite.name);
                }
                StepResult::Started | StepResult::Refused | StepResult::Superseded => {}
            }
        } else if entry.step == Step::Proof && entry.result.is_negative() {
            self.verdict = failed();
        } else if let (StepResult::Ok, Some(level)) = (entry.result, entry.proof) {
            self.proven_in_this_cycle = true;
            self.newest_proof = Some(record.seq);
            self.verdict = ProofVerdict::Proven(ProvenRelease {
                seq: record.seq,
                level,
                suites: self.green.clone(),
                commit: entry.commit.clone(),
                at: record.recorded_at(),
            });
        }
    }
}
