//! Faults that nobody wants: two at once, clocks that jump, pushes in between, answers that never come.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

use test_support::{GitShim, Repository, When};

use crate::shop::{Built, Shop, wait_until};
use crate::stops::{locked, proven};
use crate::trace::{assert_chain, differences, end_state, forge_side, good_records};

#[test]
fn f5_p23_of_two_runs_at_once_one_works_and_the_other_waits_or_ends_with_14() {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    let undisturbed = shop.copy();
    undisturbed.ok("run staging");

    let paused = shop.pause("staging", "system");
    let run = |id: &str| shop.orchestrator("run staging").env("GITHUB_RUN_ID", id);
    let first = run("4711").start();
    paused.reached();
    let before = forge_side(&shop);

    let busy = run("4712").run().expect_code(14);
    assert!(busy.stderr().contains("`staging` is busy") && busy.stderr().contains("(run 4711, attempt 1)"), "{busy}");
    let busy = run("4713").args(["--wait", "1s"]).run().expect_code(14);
    assert!(busy.stderr().contains("run 4711"), "{busy}");
    for command in ["deploy staging", "lock commit staging"] {
        let busy = shop.ends(command, 14);
        assert!(busy.stderr().contains("run 4711"), "{busy}");
    }
    // There is nothing to go back to: that is refused before the lease is looked at.
    shop.ends("rollback staging --reason busy", 20);
    assert_eq!(differences(&before, &forge_side(&shop)), "", "whoever could not work wrote nothing");

    let waiting = run("4714").args(["--wait", "1m"]).start();
    waiting.wait_for("waiting: orchestrator (run 4711, attempt 1)");
    paused.release();
    first.wait().expect_code(0);
    waiting.wait().expect_code(0);

    let records = shop.records();
    assert_chain(&records);
    assert!(records.iter().all(|record| record.predicate["run"]["id"] != "4714"), "it found everything done");
    assert_eq!(differences(&end_state(&undisturbed), &end_state(&shop)), "");
}

#[test]
fn f5_f16_a_run_that_waited_takes_the_newest_commit() {
    let shop = proven();
    shop.bump("services/shop-cart", 2);
    shop.merge_dev();
    let paused = shop.pause("staging", "system");
    let first = shop.orchestrator("run staging").start();
    paused.reached();
    let waiting = shop.orchestrator("run staging --wait 1m").start();
    waiting.wait_for("waiting: ");
    // While both are under way, another pull request is merged.
    let cart = shop.bump("services/shop-cart", 3);
    shop.merge_dev();
    paused.release();
    first.wait().expect_code(0);
    waiting.wait().expect_code(0);
    let lock = shop.superproject().read("staging", "locks/lock.yaml").expect("the newest commit has its lock");
    assert!(lock.contains(&cart), "{lock}");
    shop.ok("verify staging");
    let rendered = shop.superproject().read("deploy/staging", "release.yaml").expect("staging is deployed");
    assert!(rendered.contains(&shop.superproject().rev("staging")), "{rendered}");
}

#[test]
fn f9_neither_the_time_zone_nor_an_hour_more_or_less_changes_the_outcome() {
    let shop = Shop::new();
    shop.open();
    // Every command at another hour and in another zone; one goes back behind the records that are there.
    let play = |clocks: [(&str, &str); 6]| {
        let shop = shop.copy();
        let mut clocks = clocks.into_iter();
        let mut run = |line: &str| {
            let (clock, zone) = clocks.next().expect("there is a clock for each command");
            shop.orchestrator(line).env("ORCHESTRATOR_CLOCK", clock).env("TZ", zone).run().expect_code(0);
        };
        run("lock publish --pr 1");
        run("test run pull-request --pr 1");
        run("--as dana forge pr merge 1");
        run("run staging");
        shop.approve_and_merge(2);
        run("run production");
        run("run production");
        end_state(&shop)
    };
    let calm = play([("2026-01-05T09:00:00Z", "UTC"); 6]);
    let wild = play([
        ("2026-01-05T10:00:00Z", "AAA-14"),
        ("2026-01-05T08:00:00Z", "BBB+12"),
        ("2026-01-05T09:00:00Z", "UTC"),
        ("2026-01-05T10:00:00Z", "BBB+12"),
        ("2026-01-05T08:00:00Z", "AAA-14"),
        ("2026-01-05T10:00:00Z", "CCC+3:30"),
    ]);
    assert_eq!(differences(&calm, &wild), "");
    assert!(calm.contains("refs/tags/release-2026-01-05-"), "the tag's day is UTC's: {calm}");
}

#[test]
fn f10_twenty_writers_make_twenty_records_and_one_chain() {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    let before = shop.records().len();
    let running: Vec<_> = (1..=20)
        .map(|number| shop.orchestrator(&format!("hold staging --reason \"reason {number}\"")).start())
        .collect();
    for running in running {
        running.wait().expect_code(0);
    }
    let records = shop.records();
    assert_chain(&records);
    let mut reasons: Vec<_> =
        records[before..].iter().map(|record| record.predicate["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    let mut wanted: Vec<_> = (1..=20).map(|number| format!("reason {number}")).collect();
    wanted.sort_unstable();
    assert_eq!(reasons, wanted);
    let commits = shop.superproject().git(&["rev-list", "--count", "orchestrator/ledger"]);
    assert_eq!(commits, records.len().to_string(), "one commit a record");
    shop.ok("history");
}

#[test]
fn f10_a_rejection_or_a_hold_that_lands_first_stops_the_waiting_deploy() {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    for (command, says) in [
        ("lock reject staging --reason \"it eats carts\"", "it eats carts"),
        ("hold staging --reason \"a customer visits\"", "a customer visits"),
    ] {
        let shop = shop.copy();
        let paused = shop.pause("staging", "platform");
        let run = shop.orchestrator("run staging").start();
        // The lock is committed, the gates have said yes; nothing is deployed yet.
        paused.reached();
        shop.ok(command);
        paused.release();
        let stopped = run.wait().expect_code(20);
        assert!(format!("{stopped}").contains(says), "{stopped}");
        assert!(!shop.superproject().try_git(&["rev-parse", "--verify", "deploy/staging"]).success());
        let records = shop.records();
        assert_chain(&records);
        assert!(good_records(&records).iter().all(|record| !record.contains(" deploy ")), "{records:?}");
        let again = shop.ends("run staging", 20);
        assert!(format!("{again}").contains(says), "{again}");
    }
}

/// What somebody else does during a command, and what must be true afterwards.
struct Race<D, J> {
    command: &'static str,
    /// How many records there are when it may happen.
    records: RangeInclusive<usize>,
    disturbance: D,
    code: i32,
    judge: J,
}

impl<D: Fn(&Shop) -> String + Sync, J: Fn(&Shop, &str) + Sync> Race<D, J> {
    /// Lets it happen before each call of git that the command makes meanwhile, once each, in a shop of its own.
    fn anywhere(&self, shop: &Shop) {
        let calm = shop.copy();
        let records = "$GIT rev-list --count refs/heads/orchestrator/ledger 2>/dev/null || echo 0";
        let watching = GitShim::watching(&format!("cd '{}' && {records}", calm.join("shop.git").display()));
        calm.orchestrator(self.command).search_path(watching.search_path()).run().expect_code(0);
        let (log, sightings) = (watching.log(), watching.sightings());
        let calls: Vec<usize> = sightings
            .iter()
            .step_by(2)
            .enumerate()
            .filter(|(_, count)| self.records.contains(&count.parse().expect("git counts")))
            .map(|(index, _)| index + 1)
            .collect();
        assert!(calls.len() > 5, "there are moments for it: {calls:?}");
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(number) = calls.get(next.fetch_add(1, Ordering::SeqCst)).copied() {
                let shop = shop.copy();
                let shim = GitShim::disturbing(number, &(self.disturbance)(&shop));
                let finished = shop.orchestrator(self.command).search_path(shim.search_path()).run();
                let call = log.lines().nth(number - 1).unwrap_or_default();
                let place = format!("before call {number}: git {call}\n{finished}");
                assert_eq!(shim.disturbance().as_deref(), Some(""), "{place}");
                assert_eq!(finished.code(), Some(self.code), "{place}");
                (self.judge)(&shop, &place);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(work);
            scope.spawn(work);
        });
    }
}

#[test]
fn f10_a_hold_at_any_moment_before_the_deployment_stops_it() {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    // Whoever holds the environment sits at another machine.
    Repository::clone_from(shop.join("shop.git"), shop.join("other"));
    let binary = test_support::built_binary();
    Race {
        command: "run staging",
        // The lock is committed; the gates, health and the beginning of the deployment are not recorded yet.
        records: 2..=4,
        disturbance: |shop: &Shop| {
            let (other, binary) = (shop.join("other"), binary.display());
            format!(
                "cd '{}' && git remote set-url origin ../shop.git && \
                 PATH=/usr/bin:/bin '{binary}' hold staging --reason 'a customer visits' > /dev/null",
                other.display()
            )
        },
        code: 20,
        judge: |shop: &Shop, place: &str| {
            assert_eq!(shop.head("deploy/staging"), None, "{place}");
            let story = shop.story();
            assert!(!story.contains(&"staging deploy started".to_owned()), "{story:?} {place}");
            assert!(story.contains(&"staging hold ok".to_owned()), "{story:?} {place}");
            assert_chain(&shop.records());
        },
    }
    .anywhere(&shop);
}

#[test]
fn f16_a_head_that_moves_while_its_lock_is_made_gets_no_status() {
    let shop = Shop::new();
    shop.open();
    let old = shop.superproject().rev("dev");
    // The next commit lies in the clone, to be pushed at any moment.
    let web = shop.new_version("shop-web", 2, Built::Yes);
    let new = shop.work_on("dev").gitlink("services/shop-web", &web).commit("web 2");
    let push_line = |shop: &Shop| {
        format!(
            "cd '{}' && ORCHESTRATOR_AS=dana /usr/bin/git push --quiet origin {new}:dev",
            shop.join("shop").display()
        )
    };
    let judge = |shop: &Shop, place: &str| {
        let published = std::fs::read_to_string(shop.join("forge/artefacts/pull-1/lock.yaml")).unwrap_or_default();
        for (head, other) in [(&old, &new), (&new, &old)] {
            if shop.status(head, "orchestrator/lock") == "success" {
                assert!(published.contains(&format!("head: {head}")), "{other} was published as {head}, {place}");
            }
        }
        shop.ok("lock publish --pr 1");
        assert_eq!(shop.status(&new, "orchestrator/lock"), "success", "{place}");
        let published = std::fs::read_to_string(shop.join("forge/artefacts/pull-1/lock.yaml")).expect("it is there");
        assert!(published.contains(&format!("head: {new}")), "{place}");
    };
    Race { command: "lock publish --pr 1", records: 0..=0, disturbance: push_line, code: 0, judge }.anywhere(&shop);
}

#[test]
fn f16_p10_staging_that_moves_while_the_lock_is_committed_gets_the_lock_of_its_newest_commit() {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    // A second pull request is merged at any moment; past the button, which asks for a lock that knows the first one's.
    shop.bump("services/shop-web", 2);
    let number = shop.open();
    shop.check(number);
    let binary = test_support::built_binary();
    let merge_line = |shop: &Shop| {
        format!(
            "cd '{}' && PATH=/usr/bin:/bin ORCHESTRATOR_CLOCK=2026-01-05T09:00:00Z '{}' --as eve forge pr merge {number} --admin",
            shop.join("shop").display(),
            binary.display()
        ) + " > /dev/null"
    };
    let judge = |shop: &Shop, place: &str| {
        let staging = shop.superproject().rev("staging");
        shop.ok("lock commit staging");
        let lock = shop.superproject().read("staging", "locks/lock.yaml").expect("staging has a lock");
        assert!(lock.contains(&shop.service("shop-web").head()), "{place}");
        assert!(shop.superproject().git(&["rev-list", "staging"]).contains(&staging), "nothing is lost, {place}");
        assert_chain(&shop.records());
        shop.ok("lock check --rev staging");
    };
    Race { command: "lock commit staging", records: 0..=2, disturbance: merge_line, code: 0, judge }.anywhere(&shop);
}

#[test]
fn f17_staging_that_was_pushed_over_is_not_deployed() {
    let shop = proven();
    let deployed = shop.superproject().rev("deploy/staging");
    // The same content, lock and all, with its history cut off.
    let bare = shop.superproject();
    let forced = bare.git(&["commit-tree", "-p", "main", "-m", "rewritten", "staging^{tree}"]);
    bare.git(&["update-ref", "refs/heads/staging", &forced]);
    let refused = shop.ends("run staging", 11);
    assert!(format!("{refused}").contains("is not an ancestor of"), "{refused}");
    assert_eq!(bare.rev("deploy/staging"), deployed);
    assert_eq!(shop.status(&forced, "orchestrator/staging-proof"), "failure");
}

#[test]
fn f23_deployed_but_not_recorded_is_not_proven_and_the_next_run_changes_nothing() {
    let shop = proven();
    shop.approve_and_merge(2);
    let counting = GitShim::counting();
    let calm = shop.copy();
    calm.orchestrator("run production").search_path(counting.search_path()).run().expect_code(0);
    let log = counting.log();
    let is_push = |call: &str| call.contains(" push --") && call.contains("refs/heads/deploy/production");
    let push = 1 + log.lines().position(is_push).expect(&log);

    let shim = GitShim::killing(push, When::After);
    let killed = shop.orchestrator("run production").search_path(shim.search_path()).run();
    assert_eq!(killed.signal(), Some(9), "{killed}");
    let deployed = shop.superproject().rev("deploy/production");
    let before = good_records(&shop.records());
    assert!(before.iter().all(|record| !record.starts_with("production deploy")), "{before:?}");
    let status = shop.ok("status");
    let line = status.stdout().lines().find(|line| line.starts_with("production")).expect("production has a line");
    assert!(!line.contains("proven"), "{status}");
    // Without its deployment on record a release cannot be made either.
    shop.ends("release production", 20);

    shop.ok("run production");
    assert_eq!(shop.superproject().rev("deploy/production"), deployed, "nothing is deployed a second time");
    let records = shop.records();
    let deployments = records.iter().filter(|record| record.name.contains("-production-deploy-ok"));
    assert_eq!(deployments.count(), 1);
    assert_eq!(differences(&end_state(&calm), &end_state(&shop)), "");
}

#[test]
fn t5_two_commits_that_share_seven_digits_are_told_apart() {
    let shop = Shop::new();
    let service = shop.service("shop-cart");
    // Ground beforehand: with these two numbers the commits share their first seven digits.
    let tree = service.git(&["hash-object", "-w", "-t", "tree", "/dev/null"]);
    let commit = |number: u32| service.git(&["commit-tree", "-m", &format!("version {number}"), &tree]);
    let (ours, theirs) = (commit(19_077), commit(22_447));
    assert_eq!(ours[..7], theirs[..7]);
    assert_ne!(ours, theirs);
    service.git(&["update-ref", "refs/heads/ours", &ours]);
    service.git(&["update-ref", "refs/heads/theirs", &theirs]);
    shop.work_on("dev").gitlink("services/shop-cart", &ours);
    shop.commit_and_push("dev", "cart, ground");
    let number = shop.open();

    shop.build_image("shop-cart", &ours, &theirs);
    let refused = shop.ends(&format!("lock publish --pr {number}"), 12);
    let text = refused.stderr();
    assert!(text.contains(&ours) && text.contains(&theirs), "both commits are named: {refused}");
    assert!(text.contains(&format!("registry.example/shop/cart:main-{}", &ours[..7])), "{refused}");
    assert_eq!(shop.status(&shop.superproject().rev("dev"), "orchestrator/lock"), "failure");

    // The lock is made. What the commits have no manifests for stays refused.
    shop.build_image("shop-cart", &ours, &ours);
    let published = shop.ends(&format!("lock publish --pr {number}"), 20);
    let text = published.stdout();
    assert!(text.contains("artefact, comment and status `orchestrator/lock` are published"), "{published}");
    assert!(text.contains(&format!("registry.example/shop/cart:main-{}", &ours[..7])), "{published}");
}

#[test]
fn f28_the_push_of_a_killed_run_does_not_land_after_a_rollback() {
    let shop = proven();
    shop.approve_and_merge(2);
    shop.ok("run production");
    let first = shop.deployed_image("production", "shop-cart").unwrap();
    shop.bump("services/shop-cart", 2);
    shop.merge_dev();
    shop.ok("run staging");
    shop.approve_and_merge(4);

    let shim = GitShim::holding(":refs/heads/deploy/production");
    let mut run = shop.orchestrator("run production").search_path(shim.search_path()).start();
    wait_until("the push is under way", || shim.has_held());
    run.kill();
    let back = shop.ok("rollback production --reason \"orders are lost\"");
    assert!(back.stdout().contains("no change, in a new commit: deploy/production"), "{back}");
    shim.release();
    wait_until("the orphaned push has ended", || shim.held_code().is_some());
    assert_ne!(shim.held_code(), Some(0), "the branch is not where that run saw it");
    assert_eq!(shop.deployed_image("production", "shop-cart").unwrap(), first);
    shop.ok("verify production");
}
