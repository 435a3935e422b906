//! A machine that plays the train: branches, environments, places, tags, one ledger, and processes that are interrupted,
//! killed and started again anywhere. The product's functions decide; what must never happen is checked here by other,
//! simpler means.

mod oracle;
mod play;
mod process;
mod rules;
mod world;

use std::collections::BTreeSet;

use promotion::attempts::Purpose;
use proptest::prelude::*;

use self::play::{Event, event, finish, play, play_in, settle};
use self::process::Process;
use self::world::{FULL_TEAM, Place, World};
use crate::builders::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// No order of events deploys what is not locked, releases twice, promotes what is not proven, or rewrites history.
    #[test]
    fn f10_f23_no_order_of_events_breaks_the_train(
        configured in any::<bool>(),
        events in prop::collection::vec(event(), 1..160),
    ) {
        let world = if configured { World::new() } else { World::unconfigured() };
        settle(play_in(world, &events));
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
        for place in Place::ALL {
            assert_eq!(world.deployed(place), undisturbed.deployed(place), "killed after {killed_after}");
        }
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
            world.merge(FULL_TEAM, FULL_TEAM);
        }
        let commit = world.head(place).clone();
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
    let mut world = World::new();
    world.judges = judges;
    let merge = Event::Merge { asks: FULL_TEAM };
    let run = Event::Whole { place: Place::Production, back: 0 };
    play_in(world, &[Event::Train(0), Event::MakeUp { own_rollback }, merge, run])
}

#[test]
fn t46_made_up_records_are_refused_one_by_one_and_carry_nothing_to_production() {
    for own_rollback in [false, true] {
        let world = promoted_from_made_up_records(true, own_rollback);
        assert_eq!(world.made_up, BTreeSet::new());
        assert_eq!(world.deployed(Place::Production), Some(0));
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
        assert_eq!(world.deployed(Place::Production), Some(0), "run between: {run_between}");
        settle(world);
    }
}

#[test]
fn t42_a_team_that_shrank_gets_on_by_an_administrators_decision() {
    for people in 2..FULL_TEAM {
        let mut world = play(&[Event::Train(0), Event::Team(people), Event::Train(1)]);
        assert_eq!(world.deployed(Place::Production), Some(0), "the rules ask for more than there are");
        world.merge(people, people);
        world.accept(0);
        finish(&mut world, Place::Production, Purpose::Run);
        assert_eq!(world.deployed(Place::Production), Some(1));
        settle(world);
    }
}

/// Before every small thing that a run does, the clock goes back by an hour: no step ends before it began.
#[test]
fn f9_a_clock_that_goes_back_within_every_step_stops_nothing() {
    let mut world = play(&[Event::Train(0), Event::Push(1)]);
    let commit = world.head(Place::Staging).clone();
    let mut process = Process::new(&mut world, Place::Staging, Purpose::Run, commit);
    while process.advance(&mut world) {
        world.clock -= 3600;
    }
    assert_eq!(world.deployed(Place::Staging), Some(1));
    let records = world.ledger.records();
    assert!(records.iter().any(|record| record.entry.started < now(0)), "the clock went back");
    assert!(records.iter().all(|record| record.entry.finished.is_none_or(|finished| finished >= record.entry.started)));
    settle(world);
}

const RUN: fn(Place) -> Event = |place| Event::Whole { place, back: 0 };

#[test]
fn t58_what_two_pull_requests_give_together_is_tested_before_it_is_deployed() {
    for (fits, expected) in [(true, 2), (false, 0)] {
        let world = play(&[Event::Train(0), Event::PushTwo { contents: [1, 2], fits }, RUN(Place::Staging)]);
        assert_eq!(world.deployed(Place::Staging), Some(expected), "fits: {fits}");
        settle(world);
    }
}

#[test]
fn t60_two_environments_that_swap_their_places_write_nothing_and_block_nothing_for_good() {
    for before in [&[][..], &[Event::Train(0)]] {
        for into_main in [false, true] {
            let world = play(&[before, &[Event::Swap { content: 1, into_main }]].concat());
            let expected = (!before.is_empty()).then_some(0);
            assert_eq!((world.deployed(Place::Staging), world.deployed(Place::Production)), (expected, expected));
            settle(world);
        }
    }
}

#[test]
fn t60_a_renamed_environment_gets_on_once_it_has_its_place_and_the_old_name_does_not() {
    let renamed = [Event::Train(0), Event::Rename, Event::Train(1)];
    assert_eq!(play(&renamed).deployed(Place::Production), Some(0), "the place is the old name's");
    settle(play(&renamed));
    let taken = [&renamed[..], &[Event::TakeOver(Place::Production), RUN(Place::Production)]].concat();
    assert_eq!(play(&taken).deployed(Place::Production), Some(1));
    let old = [&taken[..], &[Event::Whole { place: Place::Production, back: 1 }]].concat();
    assert_eq!(play(&old).deployed(Place::Production), Some(1), "the old name lost its place");
    settle(play(&old));
    // And back again.
    settle(play(&[&taken[..], &[Event::Rename, Event::Train(2)]].concat()));
}

/// Under its new name the environment is new on its branch, and its own rules would ask for nothing.
#[test]
fn t43_a_renamed_environment_is_judged_by_the_rules_of_the_old_name() {
    let lowered = [
        Event::Train(0),
        Event::Rename,
        RUN(Place::Staging),
        Event::Bypass { approvals: 0, asks: 0 },
        Event::TakeOver(Place::Production),
        RUN(Place::Production),
    ];
    let world = play(&lowered);
    assert_eq!(world.stored[&Place::Production].writes, 1);
    settle(world);
}

/// What was refused first, by the rules that were there or by its own, is no reason to refuse what comes after it.
#[test]
fn a_first_run_that_is_refused_blocks_nothing() {
    let refused = Event::Bypass { approvals: 1, asks: FULL_TEAM };
    for world in [World::new, World::unconfigured] {
        for runs in 1..3 {
            let again = vec![refused; runs];
            let runs = again.into_iter().flat_map(|bypass| [bypass, RUN(Place::Production)]);
            let events: Vec<Event> = [RUN(Place::Staging)].into_iter().chain(runs).collect();
            let world = play_in(world(), &events);
            assert_eq!(world.deployed(Place::Production), None);
            settle(world);
        }
        let first = [Event::PushTwo { contents: [0, 1], fits: false }, RUN(Place::Staging)];
        let world = play_in(world(), &first);
        assert_eq!(world.deployed(Place::Staging), None);
        settle(world);
    }
}

/// It was merged past the rules, with rules of its own that ask for one approval, and merged back.
#[test]
fn t42_a_hotfix_that_was_merged_back_travels_by_the_old_rules() {
    let hotfix = [
        Event::Train(0),
        Event::Hotfix { content: Some(1), asks: 1 },
        RUN(Place::Production),
        Event::MergeBack,
        RUN(Place::Staging),
    ];
    for (approvals, expected) in [(1, 0), (FULL_TEAM, 1)] {
        let merge = Event::Bypass { approvals, asks: 1 };
        let world = play(&[&hotfix[..], &[merge, RUN(Place::Production)]].concat());
        assert_eq!(world.deployed(Place::Staging), Some(1));
        assert_eq!(world.deployed(Place::Production), Some(expected), "{approvals} approvals");
        settle(world);
    }
    // Before it is merged back, main has what nobody approved.
    let world = play(&[&hotfix[..3], &[Event::Train(2)]].concat());
    assert_eq!(world.deployed(Place::Production), Some(0));
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

#[test]
fn t60_a_place_that_gates_passed_for_stays_given_when_main_takes_its_word_back() {
    settle(play(&[
        Event::Swap { content: 0, into_main: false },
        Event::Start { place: Place::Staging, back: 0 },
        Event::Bypass { approvals: 0, asks: 4 },
        Event::Step { process: 0, times: 6 },
        Event::Kill(0),
        Event::Whole { place: Place::Production, back: 0 },
        Event::Swap { content: 0, into_main: false },
    ]));
}

#[test]
fn t60_what_was_refused_late_judges_nothing_that_came_after_it() {
    settle(play(&[
        Event::Swap { content: 0, into_main: false },
        Event::Merge { asks: 4 },
        Event::Start { place: Place::Production, back: 0 },
        Event::Train(0),
        Event::Step { process: 0, times: 5 },
        Event::Swap { content: 0, into_main: false },
    ]));
}
