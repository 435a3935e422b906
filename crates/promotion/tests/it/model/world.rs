//! What there is: branches, places, tags, one ledger; and what must never happen.

use std::collections::{BTreeMap, BTreeSet};

use ledger::append_rules::{Pusher, append_reasons};
use ledger::{Ledger, NewRecord, RecordDraft, Step, StepKey, StepResult, SuiteRef, TestedMerge};
use lock_model::{CommitId, Digest, EnvironmentName, Lock, TreeId};
use promotion::approvals::{MergeFacts, PullRequestFacts};
use promotion::release_names::TagFacts;

use super::process::Process;
use crate::builders::*;
use crate::gate_questions::{evidence, tested};
use crate::people::{FOUR, pull_request};

/// A branch of ours, and what the environment on it writes where the configuration is honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Staging,
    Production,
}

impl Place {
    pub(super) const ALL: [Self; 2] = [Self::Staging, Self::Production];

    fn other(self) -> Self {
        match self {
            Self::Staging => Self::Production,
            Self::Production => Self::Staging,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Staging => "branch deploy/staging",
            Self::Production => "branch deploy/production",
        }
    }
}

/// What the configuration of a commit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// How many approvals production asks for.
    pub asks: u8,
    /// Production is called `live`.
    pub renamed: bool,
    /// Staging writes what production writes elsewhere, and production what staging writes.
    pub swapped: bool,
}

impl Rules {
    const HONEST: Self = Self { asks: FULL_TEAM, renamed: false, swapped: false };

    /// What the environment on a branch is called.
    pub(super) fn name(self, place: Place) -> EnvironmentName {
        match (place, self.renamed) {
            (Place::Staging, _) => staging(),
            (Place::Production, false) => production(),
            (Place::Production, true) => environment("live"),
        }
    }

    /// What the environment on a branch writes.
    pub(super) fn target(self, place: Place) -> Place {
        if self.swapped { place.other() } else { place }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub id: CommitId,
    pub content: u8,
    /// The lock file that lies in the tree: its digest, and the content that it locks.
    pub lock: Option<(Digest, u8)>,
    /// For main: the pull request that made it.
    pub merge: Option<PullRequestFacts>,
    /// Its configuration; absent before the branch had one.
    pub rules: Option<Rules>,
    /// The tree without its lock, which the suites of pull requests run on.
    pub tree: TreeId,
    /// Whether those suites pass on it.
    pub fits: bool,
    /// How many approvals its pull request got.
    pub approvals: u8,
    /// Main held something that the approved head lacks.
    pub other_than_approved: bool,
}

impl Commit {
    pub(super) fn rules(&self) -> Rules {
        self.rules.unwrap_or(Rules::HONEST)
    }

    /// What the suites of pull requests run on.
    pub(super) fn tested(&self) -> TestedMerge {
        TestedMerge { tree: self.tree.clone(), ..tested() }
    }

    /// What the environment on its branch is called.
    pub(super) fn name(&self, place: Place) -> EnvironmentName {
        self.rules().name(place)
    }

    /// What the environment on its branch writes.
    pub(super) fn target(&self, place: Place) -> Place {
        self.rules().target(place)
    }
}

/// What lies in a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub content: Option<u8>,
    pub by: Option<EnvironmentName>,
    /// How often it was written.
    pub writes: u32,
}

#[derive(Debug)]
pub(super) struct World {
    pub ledger: Ledger,
    pub files: Vec<(String, Vec<u8>)>,
    pub branches: BTreeMap<Place, Vec<Commit>>,
    pub stored: BTreeMap<Place, Stored>,
    /// Whose the places are, by what happened: whoever wrote one first, or whom an administrator gave it.
    pub owners: BTreeMap<Place, EnvironmentName>,
    /// Environments whose gates passed for a place before any environment had written it, and before main's commit that
    /// gives them the place was judged.
    pub granted: BTreeSet<(Place, EnvironmentName)>,
    pub mutex: BTreeMap<EnvironmentName, u32>,
    pub tags: Vec<TagFacts>,
    pub red: [bool; CONTENTS + 1],
    /// Main has something that staging lacks.
    ahead: bool,
    /// Whether the forge judges what comes onto the ledger's branch; it always does, but where a test shows what happens
    /// otherwise.
    pub judges: bool,
    /// The records that a person made up and the forge took.
    pub made_up: BTreeSet<u64>,
    /// How many people can approve.
    pub team: u8,
    /// What the machine's clock says: seconds after the ledger's beginning.
    pub clock: i64,
    /// The rules of production were lowered by those who may: by as many approvals as they ask for, by an administrator's
    /// decision, or before anything had passed by them.
    pub lowered: bool,
    pub freights: Vec<Freight>,
    pub locks: Vec<Lock>,
    pub runs: u32,
    pub commits: u32,
}

pub(super) const FULL_TEAM: u8 = 4;

/// The last two are kept for the end: nobody rejects them.
pub(super) const CONTENTS: usize = 6;
/// This is never run: only made-up records speak of it.
const MADE_UP: u8 = 6;

pub(super) fn suites(place: Place) -> Vec<SuiteRef> {
    match place {
        Place::Staging => vec![suite("system", "system")],
        Place::Production => vec![suite("smoke", "smoke")],
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_rules_of_main(Some(Rules::HONEST))
    }

    /// Production's branch was there before, without a configuration.
    pub(super) fn unconfigured() -> Self {
        Self::with_rules_of_main(None)
    }

    /// The branch has no lock, so that it is never deployed as it is.
    fn with_rules_of_main(rules: Option<Rules>) -> Self {
        let words: Vec<String> = (0..=CONTENTS).map(|content| format!("content {content}")).collect();
        let mut world = Self {
            ledger: Ledger::empty(),
            files: Vec::new(),
            branches: BTreeMap::from(Place::ALL.map(|place| (place, Vec::new()))),
            stored: BTreeMap::from(Place::ALL.map(|place| (place, Stored::default()))),
            owners: BTreeMap::new(),
            granted: BTreeSet::new(),
            mutex: BTreeMap::new(),
            tags: Vec::new(),
            red: [false; CONTENTS + 1],
            ahead: false,
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
        world.commit_to(Place::Staging, 0, None, Some(Rules::HONEST));
        world.commit_to(Place::Production, 0, None, rules);
        world
    }

    pub(super) fn commit_to(
        &mut self,
        place: Place,
        content: u8,
        lock: Option<(Digest, u8)>,
        rules: Option<Rules>,
    ) -> &mut Commit {
        self.commits += 1;
        let id = commit(&format!("commit {}", self.commits));
        let branch = self.branches.get_mut(&place).unwrap();
        let tree = tree(&format!("content {content}"));
        branch.push(Commit {
            id,
            content,
            lock,
            merge: None,
            rules,
            tree,
            fits: true,
            approvals: 0,
            other_than_approved: false,
        });
        branch.last_mut().unwrap()
    }

    /// A pull request with this content is merged into staging, with its suites; the lock beside it is still the old one.
    pub(super) fn push(&mut self, content: u8, change: impl FnOnce(&mut Rules)) {
        let head = self.head(Place::Staging).clone();
        let mut rules = Rules { swapped: false, ..head.rules() };
        change(&mut rules);
        let merged = self.commit_to(Place::Staging, content, head.lock, Some(rules)).clone();
        self.tested(&merged);
    }

    /// Two pull requests, each with its suites, are merged one after the other: nobody tested what they give together.
    pub(super) fn push_two(&mut self, contents: [u8; 2], fits: bool) {
        self.push(contents[0], |_| ());
        let together = tree(&format!("two pull requests, {}", self.commits));
        self.push(contents[1], |_| ());
        let newest = self.branches.get_mut(&Place::Staging).unwrap().last_mut().unwrap();
        (newest.tree, newest.fits) = (together, fits);
    }

    /// A bot records that the suites of pull requests passed on this tree, or not.
    pub(super) fn tested(&mut self, commit: &Commit) {
        let result = if commit.fits { StepResult::Ok } else { StepResult::Failed };
        let mut draft = evidence(&commit.tested(), "robot", result);
        draft.commit = Some(commit.id.clone());
        self.by_hand(draft);
    }

    /// What the environment on a branch has where it is honest.
    pub(super) fn deployed(&self, place: Place) -> Option<u8> {
        self.stored[&place].content
    }

    /// Writes a place, unless it was written since it was looked at.
    pub(super) fn write(&mut self, target: Place, seen: u32, name: &EnvironmentName, content: u8) -> bool {
        let stored = self.stored.get_mut(&target).unwrap();
        let is_unmoved = stored.writes == seen;
        if is_unmoved {
            self.owners.entry(target).or_insert_with(|| name.clone());
            *stored = Stored { content: Some(content), by: Some(name.clone()), writes: seen + 1 };
        }
        is_unmoved
    }

    pub(super) fn head(&self, place: Place) -> &Commit {
        self.branches[&place].last().expect("a branch has a commit")
    }

    pub(super) fn place_of(&self, place: Place, commit: &CommitId) -> Option<usize> {
        self.branches[&place].iter().position(|known| known.id == *commit)
    }

    /// Staging's head is merged into main.
    pub(super) fn merge(&mut self, approvals: u8, asks: u8) {
        let staged = self.head(Place::Staging).clone();
        let rules = Rules { asks, ..staged.rules() };
        self.merged(staged.content, staged.lock, rules, approvals, self.ahead);
    }

    /// An administrator merges something else into main, which nobody approved.
    pub(super) fn hotfix(&mut self, content: u8, asks: u8) {
        let head = self.head(Place::Production).clone();
        self.ahead = true;
        self.merged(content, head.lock.clone(), Rules { asks, ..head.rules() }, 0, false);
    }

    /// What only main has is merged into staging, by a pull request with its suites.
    pub(super) fn merge_back(&mut self) {
        let (content, rules) = (self.head(Place::Production).content, self.head(Place::Production).rules());
        self.ahead = false;
        self.push(content, |own| own.asks = rules.asks);
    }

    fn merged(
        &mut self,
        content: u8,
        lock: Option<(Digest, u8)>,
        rules: Rules,
        approvals: u8,
        other_than_approved: bool,
    ) {
        let mut facts = pull_request(&FOUR[..usize::from(approvals)]);
        let tree = if other_than_approved { tree("content and a hotfix") } else { tree("content") };
        self.lowered |= rules.asks < FULL_TEAM && (approvals >= FULL_TEAM || !self.has_rules_in_force());
        let commit = self.commit_to(Place::Production, content, lock, Some(rules));
        facts.merged = Some(MergeFacts { commit: commit.id.clone(), tree, by: "fay".to_owned(), at: now(0) });
        *commit = Commit { merge: Some(facts), approvals, other_than_approved, ..commit.clone() };
    }

    /// Stores a record where nobody else stored one: the compare-and-swap of the branch.
    pub(super) fn store(&mut self, new: &NewRecord, by: Option<&Process>) {
        assert_eq!(new.record.seq, self.ledger.next_seq(), "the compare-and-swap lets only the next record in");
        if new.record.entry.step == Step::Deploy && new.record.entry.result == StepResult::Started {
            self.check_deployment(&new.record, by.expect("only processes deploy"));
        }
        if let (true, Some(by)) = (new.record.is(Step::Gates, StepResult::Ok), by)
            && self.is_first(by)
        {
            self.granted.insert((by.target(), by.name()));
        }
        self.ledger.push(new).unwrap();
        self.files.push((new.file_name.clone(), new.bytes.clone()));
    }

    /// Records that a person pushes one by one, in the name of a bot or in the own one.
    pub(super) fn make_up(&mut self, own_rollback: bool) {
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
        let commit =
            self.commit_to(Place::Staging, MADE_UP, Some((forged.clone(), MADE_UP)), Some(Rules::HONEST)).id.clone();
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

    pub(super) fn by_hand(&mut self, draft: RecordDraft) {
        if self.ledger.changes(&draft) {
            let new = self.ledger.next(draft).unwrap();
            self.store(&new, None);
        }
    }
}
