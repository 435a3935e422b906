use std::io::{BufRead as _, BufReader};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use forge::{Lease, LeaseOutcome};
use lock_model::{EnvironmentName, ErrorClass};

use crate::shop::{Shop, at, environment};

fn held(outcome: LeaseOutcome) -> Lease {
    match outcome {
        LeaseOutcome::Held(lease) => lease,
        LeaseOutcome::Busy { holder } => panic!("busy: {holder:?}"),
    }
}

#[test]
fn f5_an_environment_has_one_holder_and_the_others_learn_who() {
    let shop = Shop::new();
    let (forge, staging) = (shop.forge("ana"), environment("staging"));
    shop.at(1);
    let lease = held(forge.lease(&staging, "run 7, attempt 1").unwrap());
    assert_eq!(lease.abandoned_by(), None);
    shop.at(2);
    let LeaseOutcome::Busy { holder } = shop.forge("ben").lease(&staging, "run 8").unwrap() else {
        panic!("two holders")
    };
    let holder = holder.unwrap();
    assert_eq!((holder.holder.as_str(), holder.since), ("run 7, attempt 1", at(1)));
    drop(held(forge.lease(&environment("production"), "run 8").unwrap()));
    drop(lease);
    shop.at(3);
    let next = held(shop.forge("ben").lease(&staging, "run 8").unwrap());
    assert_eq!(next.abandoned_by(), None, "given back in order");
    assert_eq!(next.holder().holder, "run 8");
}

#[test]
fn f5_a_waiting_one_gets_it_as_soon_as_it_is_free() {
    let shop = Shop::new();
    let lease = held(shop.forge("ana").lease(&environment("staging"), "first").unwrap());
    let forge = shop.forge("ben");
    let waiting = std::thread::spawn(move || {
        loop {
            if let LeaseOutcome::Held(lease) = forge.lease(&environment("staging"), "second").unwrap() {
                return lease.holder().holder.clone();
            }
        }
    });
    drop(lease);
    assert_eq!(waiting.join().unwrap(), "second");
}

#[test]
fn f7_a_killed_holder_holds_nothing_and_is_named() {
    let shop = Shop::new();
    let staging = environment("staging");
    let mut holder = shop.start("lease", "ana", &["staging"]);
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let busy = shop.forge("ben").lease(&staging, "run 2").unwrap();
    assert!(matches!(busy, LeaseOutcome::Busy { holder: Some(holder) } if holder.holder == "run 1"));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let lease = held(shop.forge("ben").lease(&staging, "run 2").unwrap());
    assert_eq!(lease.abandoned_by().unwrap().holder, "run 1");
}

#[test]
fn t29_an_environments_name_is_no_path_and_a_reader_holds_nothing() {
    for bad in ["../../staging", "", "a/b", ".lock", "%2E"] {
        EnvironmentName::try_from(bad).unwrap_err();
    }
    let shop = Shop::new();
    let (staging, ana) = (environment("staging"), shop.forge("ana"));
    let lease = held(ana.lease(&staging, "run 1").unwrap());
    assert!(shop.file("leases/staging.json").is_file());
    drop(lease);
    let error = shop.forge("rita").lease(&staging, "run 1").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    let error = ana.lease(&staging, "").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
}

#[test]
fn a_lease_that_was_given_back_is_free_while_other_threads_start_programs() {
    let shop = Shop::new();
    let (forge, staging) = (shop.forge("robot"), environment("staging"));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _thread in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    Command::new("true").status().unwrap();
                }
            });
        }
        let busy = (0..300).filter(|_| match forge.lease(&staging, "run 7").unwrap() {
            LeaseOutcome::Held(_lease) => false,
            LeaseOutcome::Busy { .. } => true,
        });
        let busy = busy.count();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(busy, 0);
    });
}

#[test]
fn f6_a_broken_lease_has_one_holder_and_the_one_before_takes_nothing_with_it() {
    let shop = Shop::new();
    let (forge, staging) = (shop.forge("ana"), environment("staging"));
    let hangs = held(forge.lease(&staging, "run 7").unwrap());
    let broke = shop.forge("ben").break_lease(&staging, "run 8").unwrap();
    assert_eq!(broke.abandoned_by().unwrap().holder, "run 7");
    let holder = || match shop.forge("ben").lease(&staging, "run 9").unwrap() {
        LeaseOutcome::Busy { holder } => holder.unwrap().holder,
        LeaseOutcome::Held(lease) => panic!("two holders: {lease:?}"),
    };
    assert_eq!(holder(), "run 8");
    drop(hangs);
    assert_eq!(holder(), "run 8", "the end of the one before frees nothing");
    drop(broke);
    assert_eq!(held(forge.lease(&staging, "run 9").unwrap()).abandoned_by(), None);
}
