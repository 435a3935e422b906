//! What must never happen, found by looking at plain records and at what was done.

use ledger::{Accepts, Ledger, Record, RecordDraft, Step, StepResult};
use promotion::attempts::Purpose;
use promotion::release_names::ReleaseMessage;

use super::process::Process;
use super::world::{Commit, FULL_TEAM, Place, World};
use crate::builders::*;

impl World {
    /// What must be true in the moment in which a deployment is authorised, found by looking at plain records.
    pub(super) fn check_deployment(&self, record: &Record, by: &Process) {
        let place = by.place;
        let entry = &record.entry;
        let happened = |record: &&Record| !self.made_up.contains(&record.seq);
        let past: Vec<&RecordDraft> =
            self.ledger.records().iter().filter(happened).map(|record| &record.entry).collect();
        let here: Vec<&&RecordDraft> = past.iter().filter(|past| past.environment == entry.environment).collect();
        let name = entry.environment.as_ref().expect("a deployment has an environment");
        assert_eq!(self.mutex.get(name), Some(&by.number), "one run an environment");
        let owner = self.owners.get(&by.target());
        let may_begin = self.is_first(by) || self.granted.contains(&(by.target(), name.clone()));
        assert!(owner.map_or(may_begin, |owner| owner == name), "{name} writes {:?} of {owner:?}", by.target());
        assert!(
            past.iter().any(|past| past.step == Step::LockCommit
                && past.lock == entry.lock
                && past.lock_file == entry.lock_file
                && matches!(past.result, StepResult::Started | StepResult::Ok)),
            "the lock was recorded"
        );
        assert!(!past.iter().any(|past| past.step == Step::Reject && past.lock == entry.lock), "not rejected");
        match by.purpose {
            Purpose::Rollback => {
                assert!(
                    here.iter().any(|past| past.step == Step::Proof
                        && past.result == StepResult::Ok
                        && past.release == entry.release),
                    "a rollback goes to what was proven here"
                );
                let begun = here.iter().rev().find(|past| past.step == Step::Rollback).expect("a rollback has a mark");
                assert_eq!((&begun.release, begun.result), (&entry.release, StepResult::Started));
            }
            Purpose::Run => {
                let mut held = false;
                for past in &here {
                    match (past.step, past.result) {
                        (Step::Hold, StepResult::Ok) | (Step::Rollback, StepResult::Started) => held = true,
                        (Step::Unhold, StepResult::Ok) => held = false,
                        _ => {}
                    }
                }
                assert!(!held, "not held");
                if let Some(newest) = here.iter().rev().find(|past| past.step == Step::Deploy)
                    && newest.release != entry.release
                {
                    let ours = self.place_of(place, entry.commit.as_ref().unwrap());
                    let newest = self.place_of(place, newest.commit.as_ref().unwrap());
                    assert!(ours >= newest, "nothing goes back without a rollback: {ours:?} after {newest:?}");
                }
                let at = self.place_of(place, entry.commit.as_ref().unwrap()).unwrap();
                let deployed = &self.branches[&place][at];
                if place == Place::Staging {
                    let tests = past.iter().rev().find(|past| past.merge_tree.as_ref() == Some(&deployed.tree));
                    assert!(tests.is_some_and(|tests| tests.result == StepResult::Ok), "exactly this was tested");
                }
                if place == Place::Production {
                    let mut proven = false;
                    for past in past.iter().filter(|past| past.environment == Some(staging())) {
                        if past.release == entry.release {
                            match (past.step, past.result) {
                                (Step::Proof, StepResult::Ok) => proven = true,
                                (Step::Proof | Step::Suite | Step::Verify, StepResult::Failed) => proven = false,
                                _ => {}
                            }
                        }
                    }
                    assert!(proven, "production takes only what staging proved");
                    if !self.lowered {
                        assert!(deployed.approvals >= FULL_TEAM, "as many approvals as the rules ask for");
                        assert!(!deployed.other_than_approved, "they saw exactly this");
                    }
                }
            }
        }
    }

    /// Whether the process's environment may be the first to write its place, by the newest configuration of main.
    pub(super) fn is_first(&self, by: &Process) -> bool {
        let says_otherwise = || self.branches[&Place::Production].iter().any(|commit| self.says_otherwise(commit));
        by.target() == by.place || says_otherwise()
    }

    /// Before a place was written, main says whose it is, for one name of production: what was refused does not.
    fn says_otherwise(&self, commit: &Commit) -> bool {
        let records = || self.ledger.records().iter().map(|record| &record.entry);
        let is_accepted = records().any(|entry| entry.accepts == Some(Accepts::Commit(commit.id.clone())));
        let gates = records().rfind(|entry| entry.step == Step::Gates && entry.commit.as_ref() == Some(&commit.id));
        let is_refused = !is_accepted && gates.is_some_and(|gates| gates.result == StepResult::Refused);
        commit.rules.is_none_or(|rules| rules.renamed || (rules.swapped && !is_refused))
    }

    /// What must be true always.
    pub(super) fn check(&self) {
        let read = Ledger::parse(self.files.clone(), self.ledger.seen().as_ref()).unwrap();
        assert_eq!(read, self.ledger);
        let mut releases: Vec<_> =
            self.tags.iter().map(|tag| ReleaseMessage::parse(&tag.message).unwrap().release).collect();
        releases.sort();
        releases.dedup();
        assert_eq!(releases.len(), self.tags.len(), "one tag a release");
    }
}
