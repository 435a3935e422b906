use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use forge::{Lease, LeaseOutcome};
use lock_model::ErrorClass;

use crate::shop::{Shop, at};

fn held(outcome: LeaseOutcome) -> Lease {
    match outcome {
        LeaseOutcome::Held(lease) => lease,
        LeaseOutcome::Busy { holder } => panic!("busy: {holder:?}"),
    }
}

#[test]
fn f5_an_environment_has_one_holder_and_the_others_learn_who() {
    let shop = Shop::new();
    let forge = shop.forge("ana");
    let lease = held(forge.lease("staging", "run 7, attempt 1", Duration::ZERO, at(1)).unwrap());
    assert_eq!(lease.left_behind(), None);
    let started = Instant::now();
    let wait = Duration::from_millis(120);
    let LeaseOutcome::Busy { holder } = shop.forge("ben").lease("staging", "run 8", wait, at(2)).unwrap() else {
        panic!("two holders")
    };
    assert!(started.elapsed() >= wait, "it waited as long as it was told");
    let holder = holder.unwrap();
    assert_eq!((holder.holder.as_str(), holder.since), ("run 7, attempt 1", at(1)));
    drop(held(forge.lease("production", "run 8", Duration::ZERO, at(2)).unwrap()));
    drop(lease);
    let next = held(shop.forge("ben").lease("staging", "run 8", Duration::ZERO, at(3)).unwrap());
    assert_eq!(next.left_behind(), None, "given back in order");
    assert_eq!(next.holder().holder, "run 8");
}

#[test]
fn f5_a_waiting_one_gets_it_as_soon_as_it_is_free() {
    let shop = Shop::new();
    let lease = held(shop.forge("ana").lease("staging", "first", Duration::ZERO, at(1)).unwrap());
    let forge = shop.forge("ben");
    let waiting = std::thread::spawn(move || {
        held(forge.lease("staging", "second", Duration::from_secs(60), at(2)).unwrap()).holder().holder.clone()
    });
    drop(lease);
    assert_eq!(waiting.join().unwrap(), "second");
}

#[test]
fn f7_a_killed_holder_holds_nothing_and_is_named() {
    let shop = Shop::new();
    let mut holder = shop.start("lease", "ana", &["staging"]);
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let busy = shop.forge("ben").lease("staging", "run 2", Duration::ZERO, at(2)).unwrap();
    assert!(matches!(busy, LeaseOutcome::Busy { holder: Some(holder) } if holder.holder == "run 1"));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let lease = held(shop.forge("ben").lease("staging", "run 2", Duration::ZERO, at(3)).unwrap());
    assert_eq!(lease.left_behind().unwrap().holder, "run 1");
}

#[test]
fn t29_an_environments_name_is_no_path_and_a_reader_holds_nothing() {
    let shop = Shop::new();
    let lease = held(shop.forge("ana").lease("../../staging", "run 1", Duration::ZERO, at(1)).unwrap());
    assert!(shop.file("leases/%2E.%2F..%2Fstaging.json").is_file());
    drop(lease);
    let error = shop.forge("rita").lease("staging", "run 1", Duration::ZERO, at(1)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    let error = shop.forge("ana").lease("", "run 1", Duration::ZERO, at(1)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
}
