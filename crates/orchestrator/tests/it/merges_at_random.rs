//! Rounds of pull requests that are merged in a row, drawn by dice: some on top of each other, some with a commit that their
//! lock does not know, some with a tag that moves before the run. What the run must say is computed here by other means.

use std::collections::BTreeMap;

use git::TreeChange;
use ledger::{Step, Unreviewed};
use lock_model::{CommitId, Content, Digest};
use orchestrator::ErrorKind;
use orchestrator::lock::{LockPublishRequest, commit_lock, publish_lock};

use crate::shop::*;

const SERVICES: [&str; 2] = ["shop-cart", "shop-web"];

/// A version of a service, and its image.
type Version = (CommitId, Digest);

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn is_one_of(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

/// A pull request whose lock is published.
struct Proposed {
    number: u64,
    moves: BTreeMap<&'static str, CommitId>,
    published: BTreeMap<&'static str, Version>,
}

/// How often each kind of answer was seen.
#[derive(Debug, Default)]
struct Seen {
    equal: u32,
    moved: u32,
    stale: u32,
}

struct Train {
    shop: Shop,
    dice: Dice,
    versions: u32,
    /// What the registry gives for a version.
    built: BTreeMap<(&'static str, CommitId), Digest>,
    /// What the lock of staging has.
    locked: BTreeMap<&'static str, Version>,
    /// What was merged since that lock was committed, oldest first.
    merged: Vec<Proposed>,
    seen: Seen,
}

impl Train {
    fn new(seed: u64) -> Self {
        let shop = proven();
        let lock = shop.lock("staging");
        let locked: BTreeMap<_, _> = SERVICES
            .into_iter()
            .map(|name| {
                let service = lock.services().iter().find(|(known, _)| known.as_str() == name).unwrap().1;
                let Content::Image(image) = &service.content else { panic!("{name} has an image") };
                (name, (service.git.commit.clone(), image.digest.clone()))
            })
            .collect();
        let built = locked.iter().map(|(name, (commit, digest))| ((*name, commit.clone()), digest.clone())).collect();
        Self { shop, dice: Dice(seed), versions: 1, built, locked, merged: Vec::new(), seen: Seen::default() }
    }

    fn new_version(&mut self, service: &'static str) -> CommitId {
        self.versions += 1;
        let commit = self.shop.new_version(service, self.versions, Built::No);
        let digest = self.shop.build_image(service, &commit, "");
        self.built.insert((service, commit.clone()), digest);
        commit
    }

    fn with_images(&self, commits: &BTreeMap<&'static str, CommitId>) -> BTreeMap<&'static str, Version> {
        let version = |(name, commit): (&&'static str, &CommitId)| {
            (*name, (commit.clone(), self.built[&(*name, commit.clone())].clone()))
        };
        commits.iter().map(version).collect()
    }

    /// One to three pull requests, each on top of the one before, or each from staging with services of its own.
    async fn propose(&mut self, round: u32) -> Vec<Proposed> {
        let is_stacked = self.dice.is_one_of(2);
        let staged: BTreeMap<_, _> = self.locked.iter().map(|(name, version)| (*name, version.0.clone())).collect();
        let mut base = ("staging".to_owned(), staged);
        let mut free = SERVICES.to_vec();
        let mut proposed = Vec::new();
        for index in 0..=self.dice.roll(3) {
            let name = format!("r{round}-{index}");
            self.shop.force(&name, &self.shop.head(&base.0).unwrap());
            let mut moves = BTreeMap::new();
            let mut changes = vec![write(&format!("words/{name}.md"), "# Words\n")];
            for service in free.clone() {
                if self.dice.is_one_of(2) {
                    let commit = self.new_version(service);
                    changes.push(gitlink(service, &commit));
                    moves.insert(service, commit);
                }
            }
            self.shop.commit(&name, &changes, &name);
            let number = self.shop.open_pull_request(&name, "staging").await;
            publish_lock(&self.shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
            let mut content = base.1.clone();
            content.extend(moves.clone());
            let published = self.with_images(&content);
            if let Some(service) = moves.keys().next().copied().filter(|_| self.dice.is_one_of(4)) {
                let newer = self.new_version(service);
                self.shop.commit(&name, &[gitlink(service, &newer)], "not published");
                moves.insert(service, newer.clone());
                content.insert(service, newer);
            }
            if is_stacked {
                base = (name, content);
            } else {
                free.retain(|service| !moves.contains_key(service));
            }
            proposed.push(Proposed { number, moves, published });
        }
        proposed
    }

    async fn round(&mut self, round: u32) {
        let proposed = self.propose(round).await;
        let mut staged: BTreeMap<_, _> = self.locked.iter().map(|(name, version)| (*name, version.0.clone())).collect();
        staged.extend(proposed.iter().flat_map(|one| one.moves.clone()));
        if self.dice.is_one_of(2) {
            let service = SERVICES[usize::from(self.dice.is_one_of(2))];
            let commit = staged[service].clone();
            let digest = self.shop.build_image(service, &commit, &format!("again in round {round}"));
            self.built.insert((service, commit), digest);
        }
        for one in proposed {
            self.shop.merge_past_rules(one.number).await;
            self.merged.push(one);
        }
        if self.locked.iter().all(|(name, version)| staged[name] == version.0) {
            // The lock in the tree still describes it.
            let before = self.shop.commits("staging");
            commit_lock(&self.shop.bot(), &staging(), None).await.unwrap();
            assert_eq!(self.shop.commits("staging"), before, "round {round}");
            return;
        }
        let now = self.with_images(&staged);
        let wrong = self.wrong(&now);
        if wrong.is_empty() {
            self.seen.equal += 1;
            commit_lock(&self.shop.bot(), &staging(), None).await.unwrap();
        } else {
            self.refused(&wrong).await;
            commit_lock(&self.shop.bot(), &staging(), Some("looked at")).await.unwrap();
        }
        let record = self.shop.newest(&staging(), Step::LockCommit);
        let numbers: Vec<u64> = self.merged.drain(..).map(|one| one.number).collect();
        assert_eq!(record.pulls, numbers, "round {round}");
        assert_eq!(record.unreviewed, (!wrong.is_empty()).then_some(Unreviewed::AcceptedNew), "round {round}");
        let lock = self.shop.lock("staging");
        for (name, (commit, digest)) in &now {
            let service = lock.services().iter().find(|(known, _)| known.as_str() == *name).unwrap().1;
            let Content::Image(image) = &service.content else { panic!("{name} has an image") };
            assert_eq!((&service.git.commit, &image.digest), (commit, digest), "{name} in round {round}");
        }
        self.locked = now;
    }

    /// The services that are not what was reviewed, each with what is said of it.
    fn wrong(&mut self, now: &BTreeMap<&'static str, Version>) -> BTreeMap<&'static str, String> {
        let mut wrong = BTreeMap::new();
        for (name, version) in now {
            let mover = self.merged.iter().rfind(|one| one.moves.contains_key(name));
            // One that was published after a tag had moved showed the new image.
            let shown = || self.merged.iter().rfind(|one| one.published[name] != self.locked[name]);
            let mover = mover.or_else(shown);
            let (reviewed, whose) = match mover {
                Some(one) => (&one.published[name], format!("the lock of pull request {}", one.number)),
                None => (&self.locked[name], "the lock before".to_owned()),
            };
            if reviewed.0 != version.0 {
                self.seen.stale += 1;
                wrong.insert(*name, format!("is not what {whose} has"));
            } else if reviewed.1 != version.1 {
                self.seen.moved += 1;
                wrong.insert(*name, format!("its tag moved: it had another digest in {whose}"));
            }
        }
        wrong
    }

    async fn refused(&self, wrong: &BTreeMap<&'static str, String>) {
        let before = self.shop.untouched();
        let error = fails(commit_lock(&self.shop.bot(), &staging(), None).await, ErrorKind::Image);
        let told: BTreeMap<&str, String> =
            error.all_problems().iter().map(|one| (one.subject.as_str(), one.message.clone())).collect();
        assert_eq!(told, *wrong, "{error}");
        assert_eq!(self.shop.untouched(), before);
    }
}

fn gitlink(service: &str, commit: &CommitId) -> TreeChange {
    TreeChange::Gitlink { path: format!("services/{service}"), commit: commit.clone() }
}

#[tokio::test]
async fn t58_whatever_is_merged_in_a_row_each_service_is_what_its_pull_request_published() {
    let mut seen = Seen::default();
    for seed in 1..=2 {
        let mut train = Train::new(seed);
        for round in 0..4 {
            train.round(round).await;
        }
        seen.equal += train.seen.equal;
        seen.moved += train.seen.moved;
        seen.stale += train.seen.stale;
    }
    assert!(seen.equal > 0 && seen.moved > 0 && seen.stale > 0, "the dice show every kind: {seen:?}");
}
