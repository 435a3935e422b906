//! A machine that plays the train: branches, environments, tags, one ledger, and processes that are interrupted,
//! killed and started again anywhere. The product's functions decide; what must never happen is checked here by other,
//! simpler means.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ledger::append_rules::{Pusher, append_reasons};
use ledger::{
    Accepts, Ledger, LockFile, NewRecord, Policy, PolicySource, ProofLevel, ProofVerdict, Record, RecordDraft,
    RunIdentity, Step, StepKey, StepResult, SuiteRef,
};
use lock_model::{CommitId, Digest, Lock, Timestamp};
use promotion::approvals::{MergeFacts, PullRequestFacts};
use promotion::attempts::{AfterProof, Locks, PlanShape, PlannedStep, Purpose, StepAction, next_steps, plan};
use promotion::gates::{Ancestry, DeployFacts, GatePolicy, ProvenIn, PullRequestFound, judge};
use promotion::interruption::{Underway, interruption};
use promotion::policy_commit::{Line, policy_commit};
use promotion::release_names::{ReleaseMessage, ReleasePlan, TagFacts, date_of, plan_tag};
use promotion::rollback::{self, TargetState};
use proptest::prelude::*;

use crate::builders::*;
use crate::days::*;
use crate::people::{FOUR, policy, pull_request};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Staging,
    Production,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A pull request with this content is merged into staging; the lock beside it is still the old one.
    Push(u8),
    /// Somebody commits a lock file of their own making with this content.
    Forge(u8),
    /// A person commits a lock file of content that nobody ever ran, and pushes records that say it went through
    /// staging: as if a bot had written them, or as a rollback of one's own.
    MakeUp {
        own_rollback: bool,
    },
    /// `run` begins at the branch's head, or at an older commit.
    Start {
        place: Place,
        back: u8,
    },
    /// `rollback` begins.
    Rollback(Place),
    /// `run` from its beginning to its end, at the branch's head or at an older commit.
    Whole {
        place: Place,
        back: u8,
    },
    /// This content goes all the way, with nobody in between.
    Train(u8),
    /// A process does its next small thing.
    Step {
        process: u8,
        times: u8,
    },
    /// A process is killed.
    Kill(u8),
    Hold(Place),
    Unhold(Place),
    Reject(u8),
    /// Staging's head is merged into main by everybody who is left, with or without something else on main.
    Merge {
        hotfix: bool,
        asks: u8,
    },
    /// An administrator merges staging's head into main with fewer approvals than anybody asks for.
    Bypass {
        approvals: u8,
        asks: u8,
    },
    /// Two bypasses, of which the second would be allowed by the rules of the first; proven content, and a run after each
    /// bypass or after both.
    Wash {
        content: u8,
        run_between: bool,
    },
    /// An administrator puts the rules of main's head, or of an older commit, in force.
    Accept {
        back: u8,
    },
    /// Somebody leaves the team, or comes back: so many can approve from now on.
    Team(u8),
    /// From now on the suites of this content are green, or not.
    Suites {
        content: u8,
        green: bool,
    },
    /// Somebody changes the environment behind our back.
    Drift(Place),
    /// The machine's clock is set so many minutes forth, or back where they are negative.
    Clock(i8),
}

#[derive(Clone, Debug)]
struct Commit {
    id: CommitId,
    content: u8,
    /// The lock file that lies in the tree: its digest, and the content that it locks.
    lock: Option<(Digest, u8)>,
    /// For main: the pull request that made it.
    merge: Option<PullRequestFacts>,
    /// How many approvals its configuration asks for in production.
    asks: u8,
    /// How many approvals its pull request got.
    approvals: u8,
    hotfix: bool,
}

#[derive(Debug)]
struct World {
    ledger: Ledger,
    files: Vec<(String, Vec<u8>)>,
    branches: BTreeMap<Place, Vec<Commit>>,
    environments: BTreeMap<Place, Option<u8>>,
    mutex: BTreeMap<Place, u32>,
    tags: Vec<TagFacts>,
    red: [bool; CONTENTS + 1],
    /// Whether the forge judges what comes onto the ledger's branch; it always does, but where a test shows what happens
    /// otherwise.
    judges: bool,
    /// The records that a person made up and the forge took.
    made_up: BTreeSet<u64>,
    /// How many people can approve.
    team: u8,
    /// What the machine's clock says: seconds after the ledger's beginning.
    clock: i64,
    /// The rules of production were lowered by those who may: by as many approvals as they ask for, by an administrator's
    /// decision, or before anything had passed by them.
    lowered: bool,
    freights: Vec<Freight>,
    locks: Vec<Lock>,
    runs: u32,
    commits: u32,
}

const FULL_TEAM: u8 = 4;

/// The last two are kept for the end: nobody rejects them.
const CONTENTS: usize = 6;
/// This is never run: only made-up records speak of it.
const MADE_UP: u8 = 6;

fn name(place: Place) -> lock_model::EnvironmentName {
    match place {
        Place::Staging => staging(),
        Place::Production => production(),
    }
}

fn suites(place: Place) -> Vec<SuiteRef> {
    match place {
        Place::Staging => vec![suite("system", "system")],
        Place::Production => vec![suite("smoke", "smoke")],
    }
}

impl World {
    fn new() -> Self {
        let words: Vec<String> = (0..=CONTENTS).map(|content| format!("content {content}")).collect();
        let mut world = Self {
            ledger: Ledger::empty(),
            files: Vec::new(),
            branches: BTreeMap::from([(Place::Staging, Vec::new()), (Place::Production, Vec::new())]),
            environments: BTreeMap::from([(Place::Staging, None), (Place::Production, None)]),
            mutex: BTreeMap::new(),
            tags: Vec::new(),
            red: [false; CONTENTS + 1],
            judges: true,
            made_up: BTreeSet::new(),
            team: FULL_TEAM,
            clock: 0,
            lowered: false,
            freights: words.iter().map(|word| freight(word)).collect(),
            locks: words.iter().map(|word| lock(word)).collect(),
            runs: 0,
            commits: 0,
        };
        world.push(Place::Staging, 0, None);
        // The branch was there before, with its rules; it has no lock, so that it is never deployed.
        world.push(Place::Production, 0, None);
        world
    }

    fn push(&mut self, place: Place, content: u8, lock: Option<(Digest, u8)>) -> &mut Commit {
        self.commits += 1;
        let id = commit(&format!("commit {}", self.commits));
        let branch = self.branches.get_mut(&place).unwrap();
        branch.push(Commit { id, content, lock, merge: None, asks: FULL_TEAM, approvals: 0, hotfix: false });
        branch.last_mut().unwrap()
    }

    /// How many approvals the rules ask for that judge a commit of main.
    fn asked_of(&self, commit: &Commit) -> (Policy, u8) {
        let line = &self.branches[&Place::Production];
        let at = line.iter().position(|known| known.id == commit.id).unwrap();
        let ids = |commits: &[Commit]| commits.iter().rev().map(|commit| commit.id.clone()).collect();
        let around = Line { after: ids(&line[at + 1..]), change: vec![commit.id.clone()], before: ids(&line[..at]) };
        match policy_commit(&self.ledger, &production(), &around) {
            Some(found) => {
                let judge = line.iter().find(|known| known.id == found.commit).expect("a policy commit is on the line");
                (Policy { source: found.source, commit: Some(found.commit) }, judge.asks)
            }
            None => (Policy { source: PolicySource::Bootstrap, commit: None }, commit.asks),
        }
    }

    /// Whether the gates of production ever passed for a run.
    fn has_rules_in_force(&self) -> bool {
        let passed = |record: &Record| record.is(Step::Gates, StepResult::Ok) && record.entry.policy.is_some();
        self.ledger.of(&production()).any(passed)
    }

    fn head(&self, place: Place) -> Option<&Commit> {
        self.branches[&place].last()
    }

    fn place_of(&self, place: Place, commit: &CommitId) -> Option<usize> {
        self.branches[&place].iter().position(|known| known.id == *commit)
    }

    fn merge(&mut self, approvals: u8, hotfix: bool, asks: u8) {
        let staged = self.head(Place::Staging).unwrap().clone();
        let mut facts = pull_request(&FOUR[..usize::from(approvals)]);
        let merged = if hotfix { tree("content and a hotfix") } else { tree("content") };
        self.lowered |= asks < FULL_TEAM && (approvals >= FULL_TEAM || !self.has_rules_in_force());
        let commit = self.push(Place::Production, staged.content, staged.lock);
        facts.merged = Some(MergeFacts { commit: commit.id.clone(), tree: merged, by: "fay".to_owned(), at: now(0) });
        *commit = Commit { merge: Some(facts), asks, approvals, hotfix, ..commit.clone() };
    }

    /// An administrator puts the rules of a commit of main in force.
    fn accept(&mut self, back: u8) {
        let line = &self.branches[&Place::Production];
        let Some(at) = line.len().checked_sub(1 + usize::from(back)) else { return };
        let commit = line[at].clone();
        self.lowered |= commit.asks < FULL_TEAM;
        let mut draft = note(Step::Policy, Some(&production()), "accepted");
        draft.commit = Some(commit.id.clone());
        draft.accepts = Some(Accepts::Commit(commit.id));
        self.by_hand(draft);
    }

    /// Stores a record where nobody else stored one: the compare-and-swap of the branch.
    fn store(&mut self, new: &NewRecord, by: Option<&Process>) {
        assert_eq!(new.record.seq, self.ledger.next_seq(), "the compare-and-swap lets only the next record in");
        if new.record.entry.step == Step::Deploy && new.record.entry.result == StepResult::Started {
            self.check_deployment(&new.record, by.expect("only processes deploy"));
        }
        self.ledger.push(new).unwrap();
        self.files.push((new.file_name.clone(), new.bytes.clone()));
    }

    /// Records that a person pushes one by one, in the name of a bot or in the own one.
    fn make_up(&mut self, own_rollback: bool) {
        const STORY: [(Step, StepResult); 8] = [
            (Step::LockCommit, StepResult::Ok),
            (Step::Rollback, StepResult::Started),
            (Step::Gates, StepResult::Ok),
            (Step::Deploy, StepResult::Ok),
            (Step::Verify, StepResult::Ok),
            (Step::Suite, StepResult::Ok),
            (Step::Proof, StepResult::Ok),
            (Step::Rollback, StepResult::Ok),
        ];
        let forged = Digest::of(format!("forged {}", self.commits).as_bytes());
        let commit = self.push(Place::Staging, MADE_UP, Some((forged.clone(), MADE_UP))).id.clone();
        let mallory = Pusher { name: "mallory", bot: false, admin: false };
        for (step, result) in STORY {
            if step == Step::Rollback && !own_rollback {
                continue;
            }
            let key = if step == Step::Suite { StepKey::Suite(suite("system", "system")) } else { step.into() };
            let mut draft = draft(&staging(), &self.freights[usize::from(MADE_UP)], &key, result);
            draft.lock_file = Some(forged.clone());
            draft.commit = Some(commit.clone());
            if own_rollback {
                mallory.name.clone_into(&mut draft.run.actor);
            }
            let new = self.ledger.next(draft).unwrap();
            let nothing: [&[u8]; 0] = [];
            if !self.judges || append_reasons(&self.ledger, &new, &nothing, &mallory).is_empty() {
                self.made_up.insert(new.record.seq);
                self.ledger.push(&new).unwrap();
                self.files.push((new.file_name, new.bytes));
            }
        }
    }

    fn by_hand(&mut self, draft: RecordDraft) {
        if self.ledger.changes(&draft) {
            let new = self.ledger.next(draft).unwrap();
            self.store(&new, None);
        }
    }

    /// What must be true in the moment in which a deployment is authorised, found by looking at plain records.
    fn check_deployment(&self, record: &Record, by: &Process) {
        let place = by.place;
        let entry = &record.entry;
        let happened = |record: &&Record| !self.made_up.contains(&record.seq);
        let past: Vec<&RecordDraft> =
            self.ledger.records().iter().filter(happened).map(|record| &record.entry).collect();
        let here: Vec<&&RecordDraft> = past.iter().filter(|past| past.environment == entry.environment).collect();
        assert_eq!(self.mutex.get(&place), Some(&by.number), "one run an environment");
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
                    let at = self.place_of(place, entry.commit.as_ref().unwrap()).unwrap();
                    let deployed = &self.branches[&place][at];
                    if !self.lowered {
                        assert!(deployed.approvals >= FULL_TEAM, "as many approvals as the rules ask for");
                        assert!(!deployed.hotfix, "they saw exactly this");
                    }
                }
            }
        }
    }

    /// What must be true always.
    fn check(&self) {
        let read = Ledger::parse(self.files.clone(), self.ledger.seen().as_ref()).unwrap();
        assert_eq!(read, self.ledger);
        let mut releases: Vec<_> =
            self.tags.iter().map(|tag| ReleaseMessage::parse(&tag.message).unwrap().release).collect();
        releases.sort();
        releases.dedup();
        assert_eq!(releases.len(), self.tags.len(), "one tag a release");
    }
}

/// The rest of what a process has to do, one small thing after the other.
#[derive(Clone, Debug)]
enum Op {
    Enter,
    Lock,
    StoreLock(Digest),
    PushLock(Digest),
    LockStored(Digest),
    BeginRollback,
    Plan,
    Begin(PlannedStep),
    Ask(StepKey),
    Effect(StepKey),
    Ancestry(Box<RecordDraft>),
}

#[derive(Clone, Debug)]
struct Process {
    number: u32,
    run: RunIdentity,
    place: Place,
    purpose: Purpose,
    commit: Commit,
    /// How much of the ledger this process has seen. What it decides by is always that much: it reads before it
    /// decides, and whoever stores a record after that is found by the compare-and-swap.
    seen: u64,
    /// The newest record when the gates passed.
    since: u64,
    todo: VecDeque<Op>,
    suites_failed: bool,
    /// When the present step began.
    began: Option<Timestamp>,
}

impl Process {
    fn new(world: &mut World, place: Place, purpose: Purpose, commit: Commit) -> Self {
        world.runs += 1;
        let number = world.runs;
        Self {
            number,
            run: run(&format!("run-{number}")),
            place,
            purpose,
            commit,
            seen: 0,
            since: 0,
            todo: VecDeque::from([Op::Enter]),
            suites_failed: false,
            began: None,
        }
    }

    /// Does one small thing; false when the process has ended.
    fn advance(&mut self, world: &mut World) -> bool {
        let Some(op) = self.todo.pop_front() else { return self.end(world) };
        let goes_on = self.perform(world, op);
        if goes_on && !self.todo.is_empty() { true } else { self.end(world) }
    }

    fn end(&mut self, world: &mut World) -> bool {
        self.todo.clear();
        if world.mutex.get(&self.place) == Some(&self.number) {
            world.mutex.remove(&self.place);
        }
        false
    }

    fn perform(&mut self, world: &mut World, op: Op) -> bool {
        match op {
            Op::Enter => self.enter(world),
            Op::Lock => self.lock(world),
            Op::StoreLock(file) => {
                let draft = self.lock_draft(world, &file, StepResult::Started);
                self.append_effect(world, draft) && self.then(Op::PushLock(file))
            }
            Op::PushLock(file) => {
                let head = world.head(Place::Staging).unwrap();
                if head.id != self.commit.id {
                    let draft = self.lock_draft(world, &file, StepResult::Superseded);
                    self.append(world, draft);
                    return false;
                }
                let content = self.commit.content;
                world.push(Place::Staging, content, Some((file.clone(), content)));
                self.commit = world.head(Place::Staging).unwrap().clone();
                self.then(Op::LockStored(file))
            }
            Op::LockStored(file) => {
                let draft = self.lock_draft(world, &file, StepResult::Ok);
                self.append(world, draft);
                self.then(Op::Plan)
            }
            Op::BeginRollback => {
                let draft = self.draft(world, &Step::Rollback.into(), StepResult::Started);
                self.append_effect(world, draft) && self.then(Op::Plan)
            }
            Op::Plan => {
                self.seen = world.ledger.next_seq();
                let then = match (self.purpose, self.place) {
                    (Purpose::Rollback, _) => AfterProof::EndRollback,
                    (Purpose::Run, Place::Staging) => AfterProof::Promote,
                    (Purpose::Run, Place::Production) => AfterProof::Release,
                };
                let plan = plan(&PlanShape { locks: Locks::InTree, suites: suites(self.place), then });
                let release = self.freight(world).release;
                let steps = next_steps(&world.ledger, &name(self.place), &release, &plan, "robot");
                self.todo.extend(steps.into_iter().map(Op::Begin));
                true
            }
            Op::Begin(step) => self.begin(world, step),
            Op::Ask(key) => self.ask(world, &key),
            Op::Effect(key) => self.effect(world, &key),
            Op::Ancestry(draft) => {
                let (step, result) = (draft.step, draft.result);
                let goes_on = self.append(world, *draft);
                match result {
                    StepResult::Started | StepResult::Ok => goes_on,
                    StepResult::Failed | StepResult::Refused | StepResult::Superseded => {
                        self.suites_failed |= step == Step::Suite;
                        step == Step::Suite
                    }
                }
            }
        }
    }

    fn then(&mut self, op: Op) -> bool {
        self.todo.push_front(op);
        true
    }

    fn enter(&mut self, world: &mut World) -> bool {
        if world.mutex.contains_key(&self.place) {
            return false;
        }
        world.mutex.insert(self.place, self.number);
        self.seen = world.ledger.next_seq();
        self.since = self.seen - 1;
        match (self.purpose, self.place) {
            (Purpose::Run, Place::Staging) => self.then(Op::Lock),
            (Purpose::Run, Place::Production) => self.then(Op::Plan),
            (Purpose::Rollback, place) => {
                let Ok(target) = rollback::target(&world.ledger, &name(place), None, &|_| true) else { return false };
                let at = world.place_of(place, &target.commit).expect("a rollback goes to a commit of the branch");
                self.commit = world.branches[&place][at].clone();
                if !self.gates_pass(world) {
                    return false;
                }
                match target.state {
                    TargetState::New => self.then(Op::BeginRollback),
                    TargetState::Underway { .. } | TargetState::Done { .. } => self.then(Op::Plan),
                }
            }
        }
    }

    fn lock(&mut self, world: &World) -> bool {
        self.seen = world.ledger.next_seq();
        if let Some((file, locked)) = &self.commit.lock
            && *locked == self.commit.content
        {
            let id = self.freight(world).lock;
            return match world.ledger.lock_file(file, &id) {
                LockFile::Started { .. } => {
                    let file = file.clone();
                    self.then(Op::LockStored(file))
                }
                // A file that nobody recorded is the gates' business.
                LockFile::Committed { .. } | LockFile::Unknown => self.then(Op::Plan),
            };
        }
        let file = Digest::of(format!("lock of {} at {}", self.commit.content, self.commit.id).as_bytes());
        self.then(Op::StoreLock(file))
    }

    fn begin(&mut self, world: &World, step: PlannedStep) -> bool {
        match step.action {
            StepAction::Skip { .. } => return true,
            StepAction::Run { .. } => {}
        }
        self.began = Some(now(world.clock));
        match step.key.step() {
            Step::Gates | Step::Health | Step::Verify | Step::Proof | Step::Rollback => self.then(Op::Ask(step.key)),
            Step::Deploy | Step::Suite | Step::Promote | Step::Release => {
                let mut draft = self.draft(world, &step.key, StepResult::Started);
                if step.key.step() == Step::Release {
                    draft.tag = Some(self.tag_name(world));
                }
                self.then(Op::Effect(step.key));
                self.then(Op::Ancestry(Box::new(draft)))
            }
            Step::LockCommit | Step::Reject | Step::Hold | Step::Unhold | Step::Policy => {
                unreachable!("not part of this plan")
            }
        }
    }

    fn ask(&mut self, world: &World, key: &StepKey) -> bool {
        self.seen = world.ledger.next_seq();
        let good = match key.step() {
            Step::Gates => {
                self.since = self.seen - 1;
                self.gates_pass(world)
            }
            Step::Verify => world.environments[&self.place] == Some(self.commit.content),
            Step::Proof => !self.suites_failed,
            _ => true,
        };
        let result = match (good, key.step()) {
            (true, _) => StepResult::Ok,
            (false, Step::Gates) => StepResult::Refused,
            (false, _) => StepResult::Failed,
        };
        let draft = self.draft(world, key, result);
        self.then(Op::Ancestry(Box::new(draft)))
    }

    fn effect(&mut self, world: &mut World, key: &StepKey) -> bool {
        let mut result = StepResult::Ok;
        let mut tag = None;
        match key.step() {
            Step::Deploy => {
                assert_eq!(world.mutex.get(&self.place), Some(&self.number));
                world.environments.insert(self.place, Some(self.commit.content));
            }
            Step::Suite => {
                let green = world.environments[&self.place] == Some(self.commit.content)
                    && !world.red[usize::from(self.commit.content)];
                if !green {
                    result = StepResult::Failed;
                }
            }
            Step::Release => {
                let freight = self.freight(world);
                let name = self.tag_name(world);
                match plan_tag(&world.tags, &freight.release, &name) {
                    ReleasePlan::Exists { name, .. } => tag = Some(name),
                    ReleasePlan::Make { name } => {
                        let message = ReleaseMessage {
                            release: freight.release,
                            lock: freight.lock,
                            lock_file: freight.lock_file,
                            config: freight.config,
                            environment: production(),
                            proof: 1,
                            fallback: None,
                        }
                        .write(&name);
                        world.tags.push(TagFacts { name: name.clone(), message, commit: self.commit.id.clone() });
                        tag = Some(name);
                    }
                    ReleasePlan::NameTaken { .. } => unreachable!("ids differ in their first eight digits here"),
                }
            }
            _ => {}
        }
        let mut draft = self.draft(world, key, result);
        draft.tag = tag;
        self.then(Op::Ancestry(Box::new(draft)))
    }

    fn tag_name(&self, world: &World) -> String {
        let release = self.freight(world).release;
        format!("release-{}-{}", date_of(&world.ledger, &production(), &release, now(0)), release.id8())
    }

    fn freight(&self, world: &World) -> Freight {
        let mut freight = world.freights[usize::from(self.commit.content)].clone();
        freight.commit = self.commit.id.clone();
        if let Some((file, _)) = &self.commit.lock {
            freight.lock_file = file.clone();
        }
        freight
    }

    fn draft(&self, world: &World, key: &StepKey, result: StepResult) -> RecordDraft {
        let mut draft = draft(&name(self.place), &self.freight(world), key, result);
        draft.run = self.run.clone();
        draft.started = now(world.clock);
        draft.finished = draft.finished.map(|_| now(world.clock));
        if let Some(began) = self.began.filter(|_| result != StepResult::Started) {
            draft = draft.started(began);
        }
        if key.step() == Step::Gates {
            draft.policy = match (self.purpose, self.place) {
                // A rollback asks nothing that rules decide.
                (Purpose::Rollback, _) => None,
                (Purpose::Run, Place::Staging) => Some(Policy { source: PolicySource::Parent, commit: None }),
                (Purpose::Run, Place::Production) => Some(world.asked_of(&self.commit).0),
            };
        }
        draft
    }

    fn lock_draft(&self, world: &World, file: &Digest, result: StepResult) -> RecordDraft {
        let mut draft = self.draft(world, &Step::LockCommit.into(), result);
        draft.lock_file = Some(file.clone());
        draft
    }

    fn gates_pass(&self, world: &World) -> bool {
        let freight = self.freight(world);
        let older = match (world.ledger.latest_touched(&name(self.place)), world.place_of(self.place, &self.commit.id))
        {
            (Some(newest), Some(ours)) => {
                match newest.entry.commit.as_ref().and_then(|commit| world.place_of(self.place, commit)) {
                    Some(newest) if ours < newest => Ancestry::Ancestor,
                    Some(_) => Ancestry::Unrelated,
                    None => Ancestry::Unknown,
                }
            }
            (None | Some(_), None) | (None, Some(_)) => Ancestry::Unknown,
        };
        let mismatches = match &self.commit.lock {
            Some((_, locked)) if *locked == self.commit.content => Vec::new(),
            Some(_) | None => vec!["the lock is another content's".to_owned()],
        };
        let rules = match self.place {
            Place::Staging => GatePolicy::new(Policy { source: PolicySource::Parent, commit: None }),
            Place::Production => GatePolicy {
                policy: Some(world.asked_of(&self.commit).0),
                proven_in: vec![ProvenIn {
                    environment: staging(),
                    level: ProofLevel::Stored,
                    suites: suites(Place::Staging).into_iter().map(|suite| (suite.name, Some(suite.digest))).collect(),
                }],
                approvals: Some(world.asked_of(&self.commit).1)
                    .filter(|asked| *asked > 0)
                    .map(|asked| policy(asked.into())),
            },
        };
        let merged = self.commit.merge.as_ref();
        let tree =
            merged.and_then(|facts| facts.merged.as_ref()).map_or_else(|| tree("content"), |merge| merge.tree.clone());
        let facts = DeployFacts {
            purpose: self.purpose,
            environment: &name(self.place),
            release: &freight.release,
            lock: &world.locks[usize::from(self.commit.content)],
            lock_file: &freight.lock_file,
            commit: &self.commit.id,
            tree: &tree,
            today: day("2025-11-24"),
            mismatches: &mismatches,
            head_in_history: Ancestry::Ancestor,
            older_than_newest: older,
            places: &crate::places::own(&name(self.place)),
            unpinned_images: None,
            policy: &rules,
            pull_request_suites: &[],
            pull_request: merged.map_or(PullRequestFound::Absent, PullRequestFound::Found),
        };
        judge(&world.ledger, &facts).lets_pass()
    }

    /// Records an answer. Whoever lost the race reads again; before an effect the questions are asked again too.
    fn append(&mut self, world: &mut World, draft: RecordDraft) -> bool {
        if draft.result == StepResult::Started {
            return self.append_effect(world, draft);
        }
        self.seen = world.ledger.next_seq();
        if world.ledger.changes(&draft) {
            let new = world.ledger.next(draft).unwrap();
            world.store(&new, Some(self));
        }
        true
    }

    /// Before an effect everything is asked again, of the ledger as it is now: an answer that was recorded meanwhile, or
    /// that said nothing new, says nothing about what others recorded.
    fn append_effect(&mut self, world: &mut World, draft: RecordDraft) -> bool {
        self.seen = world.ledger.next_seq();
        let freight = self.freight(world);
        let underway = Underway {
            environment: &name(self.place),
            lock: &freight.lock,
            run: &self.run,
            since: self.since,
            purpose: self.purpose,
        };
        let asked_again = draft.step == Step::LockCommit || self.gates_pass(world);
        if interruption(&world.ledger, &underway).is_some() || !asked_again {
            self.todo.clear();
            return false;
        }
        let new = world.ledger.next(draft).unwrap();
        world.store(&new, Some(self));
        self.seen = world.ledger.next_seq();
        true
    }
}

fn play(events: &[Event]) -> World {
    play_in(World::new(), events)
}

fn play_in(mut world: World, events: &[Event]) -> World {
    let mut processes: Vec<Process> = Vec::new();
    let mut seen = Vec::new();
    for event in events {
        seen.extend(world.ledger.seen());
        apply(&mut world, &mut processes, *event);
    }
    for mut process in processes {
        process.end(&mut world);
    }
    let earlier = seen.get(seen.len() / 2);
    Ledger::parse(world.files.clone(), earlier).expect("history is never rewritten");
    world
}

fn apply(world: &mut World, processes: &mut Vec<Process>, event: Event) {
    match event {
        Event::Push(content) => {
            let lock = world.head(Place::Staging).unwrap().lock.clone();
            world.push(Place::Staging, content, lock);
        }
        Event::Forge(content) => {
            let forged = Digest::of(format!("forged {}", world.commits).as_bytes());
            world.push(Place::Staging, content, Some((forged, content)));
        }
        Event::MakeUp { own_rollback } => world.make_up(own_rollback),
        Event::Start { place, back } => {
            let branch = &world.branches[&place];
            let Some(at) = branch.len().checked_sub(1 + usize::from(back)) else { return };
            let commit = branch[at].clone();
            let process = Process::new(world, place, Purpose::Run, commit);
            processes.push(process);
        }
        Event::Whole { place, back } => {
            let branch = &world.branches[&place];
            let Some(at) = branch.len().checked_sub(1 + usize::from(back)) else { return };
            let commit = branch[at].clone();
            finish_at(world, place, Purpose::Run, commit);
        }
        Event::Train(content) => {
            apply(world, processes, Event::Push(content));
            finish(world, Place::Staging, Purpose::Run);
            let team = world.team;
            world.merge(team, false, FULL_TEAM);
            finish(world, Place::Production, Purpose::Run);
        }
        Event::Rollback(place) => {
            let Some(commit) = world.head(place).cloned() else { return };
            let process = Process::new(world, place, Purpose::Rollback, commit);
            processes.push(process);
        }
        Event::Step { process, times } => {
            if processes.is_empty() {
                return;
            }
            let at = usize::from(process) % processes.len();
            for _ in 0..=times {
                if !processes[at].advance(world) {
                    processes.remove(at);
                    return;
                }
            }
        }
        Event::Kill(process) => {
            if !processes.is_empty() {
                let at = usize::from(process) % processes.len();
                processes.remove(at).end(world);
            }
        }
        Event::Hold(place) => world.by_hand(note(Step::Hold, Some(&name(place)), "held")),
        Event::Unhold(place) => world.by_hand(note(Step::Unhold, Some(&name(place)), "lifted")),
        Event::Reject(content) => {
            let draft = reject(&world.freights[usize::from(content)], "rejected");
            world.by_hand(draft);
        }
        Event::Merge { hotfix, asks } => {
            let team = world.team;
            world.merge(team, hotfix, asks);
        }
        Event::Bypass { approvals, asks } => world.merge(approvals, false, asks),
        Event::Wash { content, run_between } => {
            apply(world, processes, Event::Push(content));
            finish(world, Place::Staging, Purpose::Run);
            for _ in 0..2 {
                world.merge(0, false, 0);
                if run_between {
                    finish(world, Place::Production, Purpose::Run);
                }
            }
            finish(world, Place::Production, Purpose::Run);
        }
        Event::Accept { back } => world.accept(back),
        Event::Team(people) => world.team = people,
        Event::Suites { content, green } => world.red[usize::from(content)] = !green,
        Event::Drift(place) => {
            world.environments.insert(place, None);
        }
        Event::Clock(minutes) => world.clock += i64::from(minutes) * 60,
    }
}

/// Starts a command and lets it run to its end.
fn finish(world: &mut World, place: Place, purpose: Purpose) {
    let commit = world.head(place).unwrap().clone();
    finish_at(world, place, purpose, commit);
}

fn finish_at(world: &mut World, place: Place, purpose: Purpose, commit: Commit) {
    let mut process = Process::new(world, place, purpose, commit);
    while process.advance(world) {}
}

/// Whatever happened before: when nothing is in the way any more, the same commands come to an end, and then add nothing.
/// The first content comes back after the second, and is deployed again without being released again.
fn settle(mut world: World) {
    let fresh = [CONTENTS - 2, CONTENTS - 1, CONTENTS - 2];
    world.red = [false; CONTENTS + 1];
    for content in fresh {
        for place in [Place::Staging, Place::Production] {
            world.by_hand(note(Step::Unhold, Some(&name(place)), "settled"));
            for gone in world.ledger.rolled_back(&name(place)) {
                let mut draft = note(Step::Unhold, Some(&name(place)), "settled");
                draft.accepts = Some(Accepts::Release(gone.release));
                world.by_hand(draft);
            }
        }
        through(&mut world, u8::try_from(content).unwrap());
    }
    let tags = world.tags.len();
    finish(&mut world, Place::Production, Purpose::Rollback);
    assert_eq!(world.environments[&Place::Production], Some(u8::try_from(CONTENTS - 1).unwrap()));
    let records = world.files.len();
    finish(&mut world, Place::Production, Purpose::Rollback);
    assert_eq!(world.files.len(), records, "the same rollback again changes nothing");
    assert_eq!(world.tags.len(), tags, "a rollback makes no release");
    world.check();
}

/// One content all the way. Where the team is too small for the rules in force, an administrator puts those of the change
/// in force, which ask for what the team can give.
fn through(world: &mut World, content: u8) {
    let old_lock = world.head(Place::Staging).unwrap().lock.clone();
    world.push(Place::Staging, content, old_lock);
    for place in [Place::Staging, Place::Production] {
        if place == Place::Production {
            let team = world.team;
            world.merge(team, false, team);
            let (_, asked) = world.asked_of(world.head(Place::Production).unwrap());
            if asked > team {
                finish(world, place, Purpose::Run);
                assert_ne!(world.environments[&place], Some(content), "refused while the rules ask for more");
                world.accept(0);
            }
        }
        finish(world, place, Purpose::Run);
        let release = world.freights[usize::from(content)].release.clone();
        assert!(
            matches!(world.ledger.proof_of(&name(place), &release), ProofVerdict::Proven(_)),
            "{place:?}: {:#?}",
            world.files.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
        assert_eq!(world.environments[&place], Some(content));
        let records = world.files.len();
        finish(world, place, Purpose::Run);
        assert_eq!(world.files.len(), records, "the same again adds no record");
    }
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::Staging), Just(Place::Production)]
}

fn event() -> impl Strategy<Value = Event> {
    let content = 0..u8::try_from(CONTENTS - 2).unwrap();
    let back = || prop_oneof![3 => Just(0_u8), 1 => 1..4_u8];
    let asks = || prop_oneof![3 => Just(FULL_TEAM), 1 => 0..FULL_TEAM];
    prop_oneof![
        3 => content.clone().prop_map(Event::Push),
        1 => content.clone().prop_map(Event::Forge),
        1 => any::<bool>().prop_map(|own_rollback| Event::MakeUp { own_rollback }),
        6 => (place(), back()).prop_map(|(place, back)| Event::Start { place, back }),
        3 => (place(), back()).prop_map(|(place, back)| Event::Whole { place, back }),
        2 => content.clone().prop_map(Event::Train),
        1 => place().prop_map(Event::Rollback),
        24 => (0..4_u8, prop_oneof![2 => Just(0_u8), 1 => 1..40_u8])
            .prop_map(|(process, times)| Event::Step { process, times }),
        2 => (0..4_u8).prop_map(Event::Kill),
        1 => place().prop_map(Event::Hold),
        2 => place().prop_map(Event::Unhold),
        1 => content.clone().prop_map(Event::Reject),
        3 => (prop::bool::weighted(0.15), asks()).prop_map(|(hotfix, asks)| Event::Merge { hotfix, asks }),
        2 => (0..FULL_TEAM, asks()).prop_map(|(approvals, asks)| Event::Bypass { approvals, asks }),
        1 => (content.clone(), any::<bool>())
            .prop_map(|(content, run_between)| Event::Wash { content, run_between }),
        1 => (0..3_u8).prop_map(|back| Event::Accept { back }),
        1 => (2..=FULL_TEAM).prop_map(Event::Team),
        1 => (content, any::<bool>()).prop_map(|(content, green)| Event::Suites { content, green }),
        1 => place().prop_map(Event::Drift),
        2 => any::<i8>().prop_map(Event::Clock),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// No order of events deploys what is not locked, releases twice, promotes what is not proven, or rewrites history.
    #[test]
    fn f10_f23_no_order_of_events_breaks_the_train(events in prop::collection::vec(event(), 1..160)) {
        settle(play(&events));
    }
}

/// The whole train, killed after every small thing it does, and started again each time.
#[test]
fn f1_f23_killed_anywhere_and_started_again() {
    let mut undisturbed = World::new();
    let steps = with_one_kill(&mut undisturbed, None);
    assert!(steps > 40, "{steps}");
    for killed_after in 0..steps {
        let mut world = World::new();
        with_one_kill(&mut world, Some(killed_after));
        assert_eq!(world.environments, undisturbed.environments, "killed after {killed_after}");
        assert_eq!(world.tags.len(), 1, "killed after {killed_after}");
        assert_eq!(world.branches[&Place::Staging].len(), 2, "one lock commit, killed after {killed_after}");
        settle(world);
    }
}

/// Staging, merge, production; at most one kill, after which the same command is given again, at the branch's head.
/// Counts small things.
fn with_one_kill(world: &mut World, killed_after: Option<usize>) -> usize {
    let mut done = 0;
    for place in [Place::Staging, Place::Production] {
        if place == Place::Production {
            world.merge(FULL_TEAM, false, FULL_TEAM);
        }
        let commit = world.head(place).unwrap().clone();
        let mut process = Process::new(world, place, Purpose::Run, commit);
        loop {
            if killed_after == Some(done) {
                process.end(world);
                finish(world, place, Purpose::Run);
                done += 1;
                break;
            }
            done += 1;
            if !process.advance(world) {
                break;
            }
        }
    }
    done
}

/// Made-up records, and what they are made for: a promotion by everybody, who believe the ledger, before a run of staging
/// looks at what is stored there.
fn promoted_from_made_up_records(judges: bool, own_rollback: bool) -> World {
    let world = World { judges, ..World::new() };
    let merge = Event::Merge { hotfix: false, asks: FULL_TEAM };
    let run = Event::Whole { place: Place::Production, back: 0 };
    play_in(world, &[Event::Train(0), Event::MakeUp { own_rollback }, merge, run])
}

#[test]
fn t46_made_up_records_are_refused_one_by_one_and_carry_nothing_to_production() {
    for own_rollback in [false, true] {
        let world = promoted_from_made_up_records(true, own_rollback);
        assert_eq!(world.made_up, BTreeSet::new());
        assert_eq!(world.environments[&Place::Production], Some(0));
        settle(world);
    }
}

/// Without the judge the model notices: it looks at what happened, not at what is written.
#[test]
#[should_panic(expected = "the lock was recorded")]
fn t46_without_the_judge_made_up_records_would_reach_production() {
    drop(promoted_from_made_up_records(false, false));
}

#[test]
fn t42_two_bypasses_do_not_lower_the_rules() {
    for run_between in [false, true] {
        let world = play(&[Event::Train(0), Event::Wash { content: 1, run_between }]);
        assert_eq!(world.environments[&Place::Production], Some(0), "run between: {run_between}");
        settle(world);
    }
}

#[test]
fn t42_a_team_that_shrank_gets_on_by_an_administrators_decision() {
    for people in 2..FULL_TEAM {
        let mut world = play(&[Event::Train(0), Event::Team(people), Event::Train(1)]);
        assert_eq!(world.environments[&Place::Production], Some(0), "the rules ask for more than there are");
        world.merge(people, false, people);
        world.accept(0);
        finish(&mut world, Place::Production, Purpose::Run);
        assert_eq!(world.environments[&Place::Production], Some(1));
        settle(world);
    }
}

/// Before every small thing that a run does, the clock goes back by an hour: no step ends before it began.
#[test]
fn f9_a_clock_that_goes_back_within_every_step_stops_nothing() {
    let mut world = play(&[Event::Train(0), Event::Push(1)]);
    let commit = world.head(Place::Staging).unwrap().clone();
    let mut process = Process::new(&mut world, Place::Staging, Purpose::Run, commit);
    while process.advance(&mut world) {
        world.clock -= 3600;
    }
    assert_eq!(world.environments[&Place::Staging], Some(1));
    let records = world.ledger.records();
    assert!(records.iter().any(|record| record.entry.started < now(0)), "the clock went back");
    assert!(records.iter().all(|record| record.entry.finished.is_none_or(|finished| finished >= record.entry.started)));
    settle(world);
}

#[test]
fn a_rollback_that_deploys_again_after_drift_has_a_mark_of_its_own() {
    settle(play(&[
        Event::Train(0),
        Event::Train(1),
        Event::Rollback(Place::Production),
        Event::Push(0),
        Event::Step { process: 0, times: 6 },
        Event::Step { process: 0, times: 11 },
        Event::Drift(Place::Production),
        Event::Push(0),
        Event::Rollback(Place::Production),
        Event::Whole { place: Place::Staging, back: 0 },
        Event::Step { process: 0, times: 6 },
        Event::Step { process: 0, times: 11 },
        Event::Rollback(Place::Production),
        Event::Step { process: 0, times: 9 },
    ]));
}
