//! Killed at every call of git, and the same command again: the end must be that of a run which nobody disturbed.
//!
//! The product has no fail points. A `git` in front of PATH ends its caller with signal 9 before or after its n-th
//! call. What the next run can know is what lies on disk, so kills that leave the same disk behind are one case: a
//! first run without a kill tells them apart, and one of each kind is made.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use test_support::{GitShim, Repository, When};

use crate::shop::Shop;
use crate::trace::{differences, end_state, swapped_folders};

/// The shop at the moments before the commands that change something.
struct Stations {
    publish: Shop,
    publish_again: Shop,
    merge: Shop,
    accept_new: Shop,
    staging: Shop,
    production: Shop,
    rollback: Shop,
    hold: Shop,
}

/// Made once for all tests of this file, and removed with the last of them.
fn stations() -> Arc<Stations> {
    static MADE: Mutex<Weak<Stations>> = Mutex::new(Weak::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stations) = made.upgrade() {
        return stations;
    }
    let stations = Arc::new(Stations::make());
    *made = Arc::downgrade(&stations);
    stations
}

impl Stations {
    fn make() -> Self {
        let shop = Shop::new();
        shop.open();
        let publish = shop.copy();
        shop.check(1);
        let merge = shop.copy();
        shop.ok("--as dana forge pr merge 1");
        // A tag that moved after the review.
        let accept_new = shop.copy();
        accept_new.rebuild_image("shop-cart", &accept_new.service("shop-cart").head());
        // Another pull request, whose lock will be out of date.
        let staging = shop.copy();
        staging.work_on("dev").write("README.md", "# The shop\n");
        staging.commit_and_push("readme", "a better title");
        staging.open_from("readme");
        staging.check(2);
        shop.ok("run staging");
        shop.approve_and_merge(2);
        let production = shop.copy();
        let hold = shop.copy();
        shop.ok("run production");
        shop.bump("services/shop-cart", 2);
        shop.merge_dev();
        shop.ok("run staging");
        shop.approve_and_merge(4);
        shop.ok("run production");
        let rollback = shop.copy();
        // A pull request whose lock and comment are there already, and out of date.
        shop.bump("services/shop-web", 2);
        shop.open();
        shop.check(5);
        shop.bump("services/shop-cart", 3);
        Self { publish, publish_again: shop, merge, accept_new, staging, production, rollback, hold }
    }
}

/// Kills a command wherever that leaves another disk behind, and runs it again.
fn killed_anywhere(station: &Shop, command: &str) {
    let undisturbed = station.copy();
    let watching = GitShim::watching(&look(&undisturbed));
    undisturbed.orchestrator(command).search_path(watching.search_path()).run().expect_code(0);
    let (log, sightings) = (watching.log(), watching.sightings());
    assert_eq!(sightings.len(), watching.count() * 2, "one look before and one after each call");
    let mut disks = BTreeSet::new();
    let kills: Vec<(usize, When)> = sightings
        .iter()
        .enumerate()
        .filter(|(_, disk)| disks.insert(*disk))
        .map(|(index, _)| (index / 2 + 1, if index % 2 == 0 { When::Before } else { When::After }))
        .collect();
    let wanted = end_state(&undisturbed);
    let folders = [swapped_folders(station), swapped_folders(&undisturbed)];

    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    let work = || loop {
        let index = next.fetch_add(1, Ordering::SeqCst);
        let Some((number, when)) = kills.get(index).copied() else { break };
        let shop = station.copy();
        let shim = GitShim::killing(number, when);
        let killed = shop.orchestrator(command).search_path(shim.search_path()).run();
        let elsewhere = index.is_multiple_of(3).then(|| shop.copy());
        let problem = if killed.signal() != Some(9) || !shim.has_killed() {
            format!("was not killed:\n{killed}")
        } else if !folders.contains(&swapped_folders(&shop)) {
            "the rendered folder is neither the old one nor the new one".to_owned()
        } else {
            recovered(&shop, command, &wanted)
                + &elsewhere.map_or_else(String::new, |shop| recovered_elsewhere(&shop, command, &wanted))
        };
        if !problem.is_empty() {
            let call = log.lines().nth(number - 1).unwrap_or_default();
            let call = call.rsplit_once("--git-dir=").map_or(call, |(_, rest)| rest);
            let problem = format!("killed {when:?} call {number}: git {call}\n{problem}");
            problems.lock().expect("no thread panicked").push(problem);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let problems = problems.into_inner().expect("no thread panicked");
    assert!(problems.is_empty(), "{} of {} kills:\n\n{}", problems.len(), kills.len(), problems.join("\n\n"));
    assert!(kills.len() > 2, "{command} leaves something on disk");
}

/// Runs the command again where it was killed; gives what went wrong.
fn recovered(shop: &Shop, command: &str, wanted: &str) -> String {
    let again = shop.orchestrator(command).run();
    if again.code() == Some(0) { differences(wanted, &end_state(shop)) } else { again.to_string() }
}

/// The same on another machine: a clone that saw nothing of the first run. What was swapped in stays where it was.
fn recovered_elsewhere(shop: &Shop, command: &str, wanted: &str) -> String {
    std::fs::remove_dir_all(shop.join("shop")).expect("the clone is ours");
    Repository::clone_from(shop.join("shop.git"), shop.join("shop"));
    let again = shop.orchestrator(command).run();
    if again.code() != Some(0) {
        return format!("in a fresh clone: {again}");
    }
    let problem = differences(wanted, &end_state(shop));
    let forge_side: Vec<&str> = problem.lines().filter(|line| !line.starts_with("- rendered/")).collect();
    let problem = forge_side.join("\n");
    if problem.is_empty() { problem } else { format!("in a fresh clone:\n{problem}") }
}

/// A line of shell that gives one digest of everything that a later command can see: refs, the forge's files, the
/// rendered folders, and what the clone remembers. Objects that no ref reaches count for nothing.
fn look(shop: &Shop) -> String {
    format!(
        "cd '{}' && {{ $GIT -C shop.git for-each-ref; $GIT -C shop for-each-ref; \
         find forge shop/rendered shop/.git/orchestrator/*.json -type f -exec sha256sum {{}} + 2>/dev/null | sort; }} \
         | sha256sum",
        shop.root().display()
    )
}

#[test]
fn f1_f13_lock_publish_killed_at_every_call_of_git() {
    killed_anywhere(&stations().publish, "lock publish --pr 1");
}

#[test]
fn p12_f13_lock_publish_over_an_older_lock_killed_at_every_call_of_git() {
    killed_anywhere(&stations().publish_again, "lock publish --pr 5");
}

#[test]
fn f13_forge_merge_killed_at_every_call_of_git() {
    killed_anywhere(&stations().merge, "--as dana forge pr merge 1");
}

#[test]
fn f1_t7_lock_commit_of_a_moved_tag_killed_at_every_call_of_git() {
    killed_anywhere(&stations().accept_new, "lock commit staging --accept-new --reason rebuilt");
}

#[test]
fn f1_f3_p11_run_staging_killed_at_every_call_of_git() {
    killed_anywhere(&stations().staging, "run staging");
}

#[test]
fn f3_f13_f23_run_production_killed_at_every_call_of_git() {
    killed_anywhere(&stations().production, "run production");
}

#[test]
fn f3_f23_rollback_killed_at_every_call_of_git() {
    killed_anywhere(&stations().rollback, "rollback production --reason \"customers cannot pay\"");
}

#[test]
fn f10_hold_killed_at_every_call_of_git() {
    killed_anywhere(&stations().hold, "hold production --reason inventory");
}
