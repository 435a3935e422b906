//! What happens to the world, one event after the other.

use ledger::{Accepts, Ledger, ProofVerdict, Step};
use lock_model::Digest;
use promotion::attempts::Purpose;
use proptest::prelude::*;

use super::process::Process;
use super::world::{CONTENTS, Commit, FULL_TEAM, Place, World};
use crate::builders::*;

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A pull request with this content is merged into staging; the lock beside it is still the old one.
    Push(u8),
    /// Two pull requests with these contents are merged before staging's run; together they fit, or not.
    PushTwo {
        contents: [u8; 2],
        fits: bool,
    },
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
    /// Staging's head is merged into main by everybody who is left.
    Merge {
        asks: u8,
    },
    /// An administrator merges other content, or only other rules, straight into main.
    Hotfix {
        content: Option<u8>,
        asks: u8,
    },
    /// What only main has is merged into staging.
    MergeBack,
    /// Production's environment gets its other name, in staging first.
    Rename,
    /// Staging's configuration swaps the places of the two environments; a run, and an administrator merges it into main.
    Swap {
        content: u8,
        into_main: bool,
    },
    /// An administrator gives the environment of a branch what its configuration writes.
    TakeOver(Place),
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

pub(super) fn play(events: &[Event]) -> World {
    play_in(World::new(), events)
}

pub(super) fn play_in(mut world: World, events: &[Event]) -> World {
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

pub(super) fn apply(world: &mut World, processes: &mut Vec<Process>, event: Event) {
    match event {
        Event::Push(content) => world.push(content, |_| ()),
        Event::PushTwo { contents, fits } => world.push_two(contents, fits),
        Event::Forge(content) => {
            let forged = Digest::of(format!("forged {}", world.commits).as_bytes());
            let rules = world.head(Place::Staging).rules;
            world.commit_to(Place::Staging, content, Some((forged, content)), rules);
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
            world.merge(team, FULL_TEAM);
            finish(world, Place::Production, Purpose::Run);
        }
        Event::Rollback(place) => {
            let commit = world.head(place).clone();
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
        Event::Hold(place) => world.by_hand(note(Step::Hold, Some(&world.head(place).name(place)), "held")),
        Event::Unhold(place) => world.by_hand(note(Step::Unhold, Some(&world.head(place).name(place)), "lifted")),
        Event::Reject(content) => {
            let draft = reject(&world.freights[usize::from(content)], "rejected");
            world.by_hand(draft);
        }
        Event::Merge { asks } => {
            let team = world.team;
            world.merge(team, asks);
        }
        Event::Hotfix { content, asks } => {
            let content = content.unwrap_or(world.head(Place::Production).content);
            world.hotfix(content, asks);
        }
        Event::MergeBack => world.merge_back(),
        Event::Rename => {
            let content = world.head(Place::Staging).content;
            world.push(content, |rules| rules.renamed = !rules.renamed);
        }
        Event::Swap { content, into_main } => {
            world.push(content, |rules| rules.swapped = true);
            finish(world, Place::Staging, Purpose::Run);
            if into_main {
                world.merge(0, 0);
                finish(world, Place::Production, Purpose::Run);
            }
        }
        Event::TakeOver(place) => world.take_over(place),
        Event::Bypass { approvals, asks } => world.merge(approvals, asks),
        Event::Wash { content, run_between } => {
            apply(world, processes, Event::Push(content));
            finish(world, Place::Staging, Purpose::Run);
            for _ in 0..2 {
                world.merge(0, 0);
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
            world.stored.get_mut(&place).unwrap().content = None;
        }
        Event::Clock(minutes) => world.clock += i64::from(minutes) * 60,
    }
}

/// Starts a command and lets it run to its end.
pub(super) fn finish(world: &mut World, place: Place, purpose: Purpose) {
    let commit = world.head(place).clone();
    finish_at(world, place, purpose, commit);
}

pub(super) fn finish_at(world: &mut World, place: Place, purpose: Purpose, commit: Commit) {
    let mut process = Process::new(world, place, purpose, commit);
    while process.advance(world) {}
}

/// Whatever happened before: when nothing is in the way any more, the same commands come to an end, and then add nothing.
/// The first content comes back after the second, and is deployed again without being released again.
pub(super) fn settle(mut world: World) {
    let fresh = [CONTENTS - 2, CONTENTS - 1, CONTENTS - 2];
    world.red = [false; CONTENTS + 1];
    for content in fresh {
        through(&mut world, u8::try_from(content).unwrap());
    }
    let tags = world.tags.len();
    finish(&mut world, Place::Production, Purpose::Rollback);
    assert_eq!(world.deployed(Place::Production), Some(u8::try_from(CONTENTS - 1).unwrap()));
    let records = world.files.len();
    finish(&mut world, Place::Production, Purpose::Rollback);
    assert_eq!(world.files.len(), records, "the same rollback again changes nothing");
    assert_eq!(world.tags.len(), tags, "a rollback makes no release");
    world.check();
}

/// Lifts what stops the environment on a branch.
fn lift(world: &mut World, place: Place) {
    let name = world.head(place).name(place);
    world.by_hand(note(Step::Unhold, Some(&name), "settled"));
    for gone in world.ledger.rolled_back(&name) {
        let mut draft = note(Step::Unhold, Some(&name), "settled");
        draft.accepts = Some(Accepts::Release(gone.release));
        world.by_hand(draft);
    }
}

/// One content all the way, on top of what only main had. Where the team is too small for the rules in force, an
/// administrator puts those of the change in force, which ask for what the team can give; where a place is another
/// environment's, an administrator gives it over.
fn through(world: &mut World, content: u8) {
    world.merge_back();
    world.push(content, |_| ());
    for place in Place::ALL {
        if place == Place::Production {
            let team = world.team;
            world.merge(team, team);
        }
        lift(world, place);
        // An administrator decides about the rules, and about the place.
        for _ in 0..2 {
            let asks_too_much = place == Place::Production && world.asked_of(world.head(place)).1 > world.team;
            if !asks_too_much && !world.is_refused_its_place(place) {
                break;
            }
            let before = world.stored[&place].writes;
            finish(world, place, Purpose::Run);
            assert_eq!(world.stored[&place].writes, before, "refused until it is decided");
            if asks_too_much { world.accept(0) } else { world.take_over(place) }
        }
        finish(world, place, Purpose::Run);
        let release = world.freights[usize::from(content)].release.clone();
        assert!(
            matches!(world.ledger.proof_of(&world.head(place).name(place), &release), ProofVerdict::Proven(_)),
            "{place:?}: {:#?}",
            world.files.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
        assert_eq!(world.deployed(place), Some(content));
        let records = world.files.len();
        finish(world, place, Purpose::Run);
        assert_eq!(world.files.len(), records, "the same again adds no record");
    }
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::Staging), Just(Place::Production)]
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let content = 0..u8::try_from(CONTENTS - 2).unwrap();
    let back = || prop_oneof![3 => Just(0_u8), 1 => 1..4_u8];
    let asks = || prop_oneof![3 => Just(FULL_TEAM), 1 => 0..FULL_TEAM];
    prop_oneof![
        3 => content.clone().prop_map(Event::Push),
        1 => ([content.clone(), content.clone()], any::<bool>())
            .prop_map(|(contents, fits)| Event::PushTwo { contents, fits }),
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
        3 => asks().prop_map(|asks| Event::Merge { asks }),
        1 => (prop::option::of(content.clone()), asks()).prop_map(|(content, asks)| Event::Hotfix { content, asks }),
        1 => Just(Event::MergeBack),
        1 => Just(Event::Rename),
        1 => (content.clone(), any::<bool>()).prop_map(|(content, into_main)| Event::Swap { content, into_main }),
        1 => place().prop_map(Event::TakeOver),
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
