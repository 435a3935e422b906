//! A command that does one small thing after the other, and can be killed between any two.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ledger::{LockFile, Policy, PolicySource, ProofLevel, RecordDraft, RunIdentity, Step, StepKey, StepResult};
use lock_model::{Digest, EnvironmentName, Timestamp};
use promotion::attempts::{AfterProof, Locks, PlanShape, PlannedStep, Purpose, StepAction, next_steps, plan};
use promotion::gates::{Ancestry, DeployFacts, GatePolicy, ProvenIn, PullRequestFound, PullRequestSuites, judge};
use promotion::interruption::{Underway, interruption};
use promotion::release_names::{ReleaseMessage, ReleasePlan, TagFacts, date_of, plan_tag};
use promotion::rollback::{self, TargetState};

use super::world::{Commit, Place, World, suites};
use crate::builders::*;
use crate::days::day;
use crate::people::policy;

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
    /// The suites of pull requests that nobody ran on this tree.
    TestAgain,
    Ask(StepKey),
    Effect(StepKey),
    Ancestry(Box<RecordDraft>),
}

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub number: u32,
    run: RunIdentity,
    pub place: Place,
    pub purpose: Purpose,
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
    /// How often its place was written when the deployment was planned.
    writes: u32,
}

impl Process {
    pub(super) fn new(world: &mut World, place: Place, purpose: Purpose, commit: Commit) -> Self {
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
            writes: 0,
        }
    }

    /// The environment that it deploys to.
    pub(super) fn name(&self) -> EnvironmentName {
        self.commit.name(self.place)
    }

    /// What that environment writes.
    pub(super) fn target(&self) -> Place {
        self.commit.target(self.place)
    }

    /// Does one small thing; false when the process has ended.
    pub(super) fn advance(&mut self, world: &mut World) -> bool {
        let Some(op) = self.todo.pop_front() else { return self.end(world) };
        let goes_on = self.perform(world, op);
        if goes_on && !self.todo.is_empty() { true } else { self.end(world) }
    }

    pub(super) fn end(&mut self, world: &mut World) -> bool {
        self.todo.clear();
        if world.mutex.get(&self.name()) == Some(&self.number) {
            world.mutex.remove(&self.name());
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
                let head = world.head(Place::Staging).clone();
                if head.id != self.commit.id {
                    let draft = self.lock_draft(world, &file, StepResult::Superseded);
                    self.append(world, draft);
                    return false;
                }
                let lock = Some((file.clone(), head.content));
                let committed = world.commit_to(Place::Staging, head.content, lock, head.rules);
                (committed.tree, committed.fits) = (head.tree, head.fits);
                self.commit = committed.clone();
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
                let steps = next_steps(&world.ledger, &self.name(), &release, &plan, "robot");
                self.todo.extend(steps.into_iter().map(Op::Begin));
                true
            }
            Op::Begin(step) => self.begin(world, step),
            Op::TestAgain => {
                let asks = self.place == Place::Staging && self.purpose == Purpose::Run;
                if asks && !self.pull_request_suites().open(&world.ledger).is_empty() {
                    world.tested(&self.commit);
                }
                true
            }
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
        if world.mutex.contains_key(&self.name()) {
            return false;
        }
        world.mutex.insert(self.name(), self.number);
        self.seen = world.ledger.next_seq();
        self.since = self.seen - 1;
        match (self.purpose, self.place) {
            (Purpose::Run, Place::Staging) => self.then(Op::Lock),
            (Purpose::Run, Place::Production) => self.then(Op::Plan),
            (Purpose::Rollback, place) => {
                let Ok(target) = rollback::target(&world.ledger, &self.name(), None, &|_| true) else { return false };
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
            Step::Gates => self.then(Op::Ask(step.key)) && self.then(Op::TestAgain),
            Step::Health | Step::Verify | Step::Proof | Step::Rollback => self.then(Op::Ask(step.key)),
            Step::Deploy | Step::Suite | Step::Promote | Step::Release => {
                let mut draft = self.draft(world, &step.key, StepResult::Started);
                if step.key.step() == Step::Release {
                    draft.tag = Some(self.tag_name(world));
                }
                self.writes = world.stored[&self.target()].writes;
                self.then(Op::Effect(step.key));
                self.then(Op::Ancestry(Box::new(draft)))
            }
            Step::LockCommit | Step::Reject | Step::Hold | Step::Unhold | Step::Policy | Step::BreakLease => {
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
            Step::Verify => world.stored[&self.target()].content == Some(self.commit.content),
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
                assert_eq!(world.mutex.get(&self.name()), Some(&self.number));
                if !world.write(self.target(), self.writes, &self.name(), self.commit.content) {
                    result = StepResult::Failed;
                }
            }
            Step::Suite => {
                let green = world.stored[&self.target()].content == Some(self.commit.content)
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
                            environment: self.name(),
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
        format!("release-{}-{}", date_of(&world.ledger, &self.name(), &release, now(0)), release.id8())
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
        let mut draft = draft(&self.name(), &self.freight(world), key, result);
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

    /// The suites that what was merged into staging must have passed.
    fn pull_request_suites(&self) -> PullRequestSuites {
        let lint = suite("lint", "lint");
        PullRequestSuites {
            tested: self.commit.tested(),
            suites: BTreeMap::from([(lint.name, Some(lint.digest))]),
            bots: BTreeSet::from(["robot".to_owned()]),
            merges: Vec::new(),
        }
    }

    fn gates_pass(&self, world: &World) -> bool {
        let (name, places) = (self.name(), world.places(self.place, &self.commit));
        let asked = self.pull_request_suites();
        let asked: &[&PullRequestSuites] = match self.place {
            Place::Staging => &[&asked],
            Place::Production => &[],
        };
        let freight = self.freight(world);
        let older = match (world.ledger.latest_touched(&self.name()), world.place_of(self.place, &self.commit.id)) {
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
            environment: &name,
            release: &freight.release,
            lock: &world.locks[usize::from(self.commit.content)],
            lock_file: &freight.lock_file,
            commit: &self.commit.id,
            tree: &tree,
            today: day("2025-11-24"),
            mismatches: &mismatches,
            head_in_history: Ancestry::Ancestor,
            older_than_newest: older,
            places: &places,
            unpinned_images: None,
            policy: &rules,
            pull_request_suites: asked,
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
            environment: &self.name(),
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
