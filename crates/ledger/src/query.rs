//! Queries over the records.

use std::collections::BTreeSet;

use lock_model::{BranchName, CommitId, Digest, EnvironmentName, LockId, ReleaseId, Timestamp, TreeId};

use crate::{Accepts, DeploymentCycle, Ledger, Policy, ProofVerdict, Record, RecordDraft, Step, StepResult, SuiteRef};

/// What the ledger knows about a lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockFile {
    /// Its commit is recorded.
    Committed {
        /// Number of the record.
        seq: u64,
    },
    /// Its commit was begun; only the branch tells whether it happened.
    Started {
        /// Number of the record.
        seq: u64,
    },
    /// No record has these bytes with this id.
    Unknown,
}

/// Why an environment takes no deployment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Hold {
    /// How it came about.
    pub origin: HoldOrigin,
    /// Why, as the record says.
    pub reason: String,
    /// The user who set it.
    pub by: String,
    /// The person or team that answers for it.
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
    /// A user asked for it: `orchestrator hold`.
    Hand,
    /// A rollback sets it with its first record, so that nothing newer slips in while it runs.
    Rollback,
}

/// A lock that is never deployed again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Rejection {
    /// Why, as the record says.
    pub reason: String,
    /// The user who rejected it.
    pub by: String,
    /// When it was rejected.
    pub at: Timestamp,
    /// Number of the record.
    pub seq: u64,
}

/// A release that a rollback took out of an environment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct RolledBack {
    /// The release that was in place, or about to be, when the rollback began.
    pub release: ReleaseId,
    /// Its lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockId>,
    /// Why, as the record says.
    pub reason: String,
    /// The user who went back.
    pub by: String,
    /// When the rollback began.
    pub at: Timestamp,
    /// Number of the rollback's first record.
    pub seq: u64,
}

/// What the suites of a pull request were run on: the merge without its lock, into this branch, for an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestedMerge {
    /// The environment whose suites they are.
    pub environment: EnvironmentName,
    /// The branch that the pull request goes into.
    pub base: BranchName,
    /// The tree of the merge without `locks/`.
    pub tree: TreeId,
}

impl Ledger {
    /// The records of one environment, oldest first.
    pub fn of<'a, 'e>(
        &'a self,
        environment: &'e EnvironmentName,
    ) -> impl DoubleEndedIterator<Item = &'a Record> + use<'a, 'e> {
        self.records().iter().filter(move |record| record.entry.environment.as_ref() == Some(environment))
    }

    /// The record with this number.
    pub fn record(&self, seq: u64) -> Option<&Record> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.records().get(index)
    }

    /// The people who recorded steps of a release: each began a rollback, and recorded nothing that a forge takes from bots
    /// alone.
    pub fn people(&self) -> BTreeSet<&str> {
        let actors = |wanted: fn(&Record) -> bool| {
            self.records().iter().filter(move |record| wanted(record)).map(|record| record.entry.run.actor.as_str())
        };
        let mut people: BTreeSet<&str> = actors(Record::opens_rollback).collect();
        if !people.is_empty() {
            for bot in actors(Record::is_of_a_bot) {
                people.remove(bot);
            }
        }
        people
    }

    /// The largest number of a lease in the records of an environment, from 1; 0 where no deployment to a cluster was recorded
    /// with one.
    ///
    /// The next lease has a larger one, also in another cluster or namespace and where the Lease was deleted: the records are
    /// what counts on. So a deployment whose number is smaller than this has lost its lease.
    pub fn lease_number(&self, environment: &EnvironmentName) -> u64 {
        self.of(environment).filter_map(|record| record.entry.lease_number).max().unwrap_or_default()
    }

    /// The newest deployment that was carried through.
    pub fn latest_deployed(&self, environment: &EnvironmentName) -> Option<&Record> {
        self.of(environment).rfind(|record| record.is(Step::Deploy, StepResult::Ok))
    }

    /// The newest deployment that may have changed something, whether it ended well or not.
    pub fn latest_touched(&self, environment: &EnvironmentName) -> Option<&Record> {
        self.of(environment)
            .rfind(|record| record.entry.step == Step::Deploy && record.entry.result.may_have_had_effect())
    }

    /// What is known about a lock file: the digest of its bytes, together with the id in it.
    pub fn lock_file(&self, file: &Digest, lock: &LockId) -> LockFile {
        let commits = |result: StepResult| {
            self.records().iter().rfind(|record| {
                record.is(Step::LockCommit, result)
                    && record.entry.lock_file.as_ref() == Some(file)
                    && record.entry.lock.as_ref() == Some(lock)
            })
        };
        match (commits(StepResult::Ok), commits(StepResult::Started)) {
            (Some(record), _) => LockFile::Committed { seq: record.seq },
            (None, Some(record)) => LockFile::Started { seq: record.seq },
            (None, None) => LockFile::Unknown,
        }
    }

    /// The newest result of a suite on the merge of a pull request, among the records of actors that count.
    pub fn pull_request_suite(
        &self,
        tested: &TestedMerge,
        suite: &SuiteRef,
        counts: impl Fn(&str) -> bool,
    ) -> Option<&Record> {
        self.of(&tested.environment).rfind(|record| {
            let entry = &record.entry;
            entry.base.as_ref() == Some(&tested.base)
                && entry.merge_tree.as_ref() == Some(&tested.tree)
                && entry.suite.as_ref() == Some(suite)
                && matches!(entry.result, StepResult::Ok | StepResult::Failed)
                && counts(&entry.run.actor)
        })
    }

    /// The newest of the first `count` records that the gates passed at a commit by these rules.
    pub fn gates_passed(
        &self,
        count: u64,
        environment: &EnvironmentName,
        commit: &CommitId,
        policy: &Policy,
    ) -> Option<&Record> {
        self.of(environment).rfind(|record| {
            record.seq <= count
                && record.is(Step::Gates, StepResult::Ok)
                && record.entry.commit.as_ref() == Some(commit)
                && record.entry.policy.as_ref() == Some(policy)
        })
    }

    /// The hold that is in force.
    pub fn held(&self, environment: &EnvironmentName) -> Option<Hold> {
        let held_by = |record: &Record| {
            if record.opens_rollback() {
                Some(HoldOrigin::Rollback)
            } else if record.is(Step::Hold, StepResult::Ok) {
                Some(HoldOrigin::Hand)
            } else {
                None
            }
        };
        let mut newest_first = self.of(environment).rev();
        let record =
            newest_first.find(|record| held_by(record).is_some() || record.is(Step::Unhold, StepResult::Ok))?;
        Some(Hold {
            origin: held_by(record)?,
            reason: record.reason(),
            by: record.entry.run.actor.clone(),
            owner: record.entry.owner.clone(),
            since: record.entry.started,
            seq: record.seq,
        })
    }

    /// The newest record of a deployment or rollback that may have changed something: what the environment holds, or began
    /// to hold.
    pub fn occupant(&self, environment: &EnvironmentName) -> Option<&Record> {
        self.of(environment).rfind(|record| record.occupies_environment())
    }

    /// The releases that rollbacks took out of an environment, oldest first. One that somebody accepted since, or that a
    /// later rollback went to, is not among them.
    pub fn rolled_back(&self, environment: &EnvironmentName) -> Vec<RolledBack> {
        let mut gone: Vec<RolledBack> = Vec::new();
        let mut occupant: Option<&Record> = None;
        for record in self.of(environment) {
            if let (Step::Unhold, Some(Accepts::Release(accepted))) = (record.entry.step, &record.entry.accepts) {
                gone.retain(|one| one.release != *accepted);
            }
            if record.opens_rollback() {
                let left = occupant.filter(|left| left.entry.release != record.entry.release);
                let left = left.and_then(|left| Some((left.entry.release.clone()?, left.entry.lock.clone())));
                gone.retain(|one| Some(&one.release) != record.entry.release.as_ref());
                if let Some((release, lock)) = left {
                    gone.retain(|one| one.release != release);
                    gone.push(RolledBack {
                        release,
                        lock,
                        reason: record.reason(),
                        by: record.entry.run.actor.clone(),
                        at: record.recorded_at(),
                        seq: record.seq,
                    });
                }
            }
            if record.occupies_environment() {
                occupant = Some(record);
            }
        }
        gone
    }

    /// The rejection of a lock. It is never taken back: a new lock is needed.
    pub fn rejected(&self, lock: &LockId) -> Option<Rejection> {
        let rejects =
            |record: &&Record| record.is(Step::Reject, StepResult::Ok) && record.entry.lock.as_ref() == Some(lock);
        self.records().iter().find(rejects).map(|record| Rejection {
            reason: record.reason(),
            by: record.entry.run.actor.clone(),
            at: record.recorded_at(),
            seq: record.seq,
        })
    }

    /// The releases that were made, oldest first.
    pub fn releases<'a, 'e>(
        &'a self,
        environment: &'e EnvironmentName,
    ) -> impl DoubleEndedIterator<Item = &'a Record> + use<'a, 'e> {
        self.of(environment).filter(|record| record.is(Step::Release, StepResult::Ok))
    }

    /// The newest deployment cycle of a release; one without steps where it was never tried.
    pub fn cycle(&self, environment: &EnvironmentName, release: &ReleaseId) -> DeploymentCycle {
        DeploymentCycle::of(self, environment, release)
    }

    /// Whether a record of this draft would say anything that the ledger does not say already.
    ///
    /// The steps that always run are recorded only when their answer changes, so that running a finished release
    /// again adds nothing. A `started` always says something: an effect is about to follow; so does the answer of another
    /// actor than the person who gave the newest one.
    pub fn changes(&self, draft: &RecordDraft) -> bool {
        if draft.result == StepResult::Started {
            return true;
        }
        if draft.step == Step::Reject {
            return draft.lock.as_ref().is_none_or(|lock| self.rejected(lock).is_none());
        }
        if draft.step == Step::LockCommit {
            return !self.records().iter().any(|record| {
                record.entry.step == Step::LockCommit
                    && record.entry.environment == draft.environment
                    && record.entry.lock_file == draft.lock_file
                    && says_the_same(&record.entry, draft)
            });
        }
        let Some(environment) = &draft.environment else { return true };
        if draft.step == Step::Hold {
            return self.held(environment).is_none_or(|hold| Some(&hold.reason) != draft.reason.as_ref());
        }
        if draft.step == Step::Unhold {
            let accepts = match &draft.accepts {
                Some(Accepts::Release(release)) => {
                    self.rolled_back(environment).iter().any(|one| one.release == *release)
                }
                Some(Accepts::Commit(_) | Accepts::Place(_)) | None => false,
            };
            return accepts || self.held(environment).is_some();
        }
        if let (Some(base), Some(tree), Some(suite)) = (&draft.base, &draft.merge_tree, &draft.suite) {
            let tested = TestedMerge { environment: environment.clone(), base: base.clone(), tree: tree.clone() };
            let newest = self.pull_request_suite(&tested, suite, |actor| actor == draft.run.actor);
            return newest.is_none_or(|record| record.entry.result != draft.result);
        }
        let Some(release) = &draft.release else { return true };
        let withdrawn = match self.proof_of(environment, release) {
            ProofVerdict::Failed { .. } => true,
            ProofVerdict::Proven(_) | ProofVerdict::Absent => false,
        };
        if draft.step == Step::Proof && draft.result == StepResult::Ok && withdrawn {
            return true;
        }
        let cycle = self.cycle(environment, release);
        let newest = cycle.state(&draft.key()).and_then(|state| self.record(state.seq));
        newest.is_none_or(|record| {
            let by = record.entry.run.actor.as_str();
            !says_the_same(&record.entry, draft) || (by != draft.run.actor && self.people().contains(by))
        })
    }
}

/// Equal apart from who, when, at which commit, and with which documents. What gates answer is about one commit.
fn says_the_same(recorded: &RecordDraft, draft: &RecordDraft) -> bool {
    recorded.result == draft.result
        && recorded.lock == draft.lock
        && recorded.suite == draft.suite
        && recorded.tag == draft.tag
        && recorded.reason == draft.reason
        && recorded.proof == draft.proof
        && recorded.unreviewed == draft.unreviewed
        && recorded.policy == draft.policy
        && (recorded.step != Step::Gates || recorded.commit == draft.commit)
}
