use std::collections::BTreeSet;
use std::thread;

use forge::{CommitOutcome, FileChange, LEDGER_BRANCH};
use lock_model::CommitId;

use crate::shop::{Shop, append, branch, ledger_of};

fn write(path: &str, text: &str) -> FileChange {
    FileChange::Write { path: path.try_into().unwrap(), bytes: text.as_bytes().to_vec() }
}

fn committed(outcome: CommitOutcome) -> CommitId {
    match outcome {
        CommitOutcome::Committed(commit) => commit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_are_written_and_removed_on_top_of_the_expected_head() {
    let shop = Shop::new();
    let (forge, dev) = (shop.forge("ana"), branch("dev"));
    let head = forge.branch_head(&dev).unwrap().unwrap();
    let changes =
        [write("locks/lock.yaml", "version: 1\n"), FileChange::Remove { path: "README.md".try_into().unwrap() }];
    shop.at(7);
    let commit = committed(forge.commit_files(&dev, Some(&head), &changes, "The lock\n\nWhy.\n").unwrap());
    assert_eq!(forge.branch_head(&dev).unwrap(), Some(commit.clone()));
    let said = shop.bare.git(&["show", "--no-patch", "--format=%P %an %ce %cI %s", commit.as_str()]);
    assert_eq!(said, format!("{head} ana ana@users.forge.invalid 2025-11-20T21:07:00+00:00 The lock"));
    let locks = forge.list_folder(&commit, &"locks".try_into().unwrap()).unwrap();
    let names: Vec<(&str, u32)> = locks.iter().map(|entry| (entry.name.as_str(), entry.mode)).collect();
    assert_eq!(names, [("lock.yaml", git::MODE_FILE)]);
    assert_eq!(forge.blob_sizes(&[&locks[0].id]).unwrap(), [11]);
    assert_eq!(forge.blob_contents(&[&locks[0].id]).unwrap(), [b"version: 1\n"]);
    let services = forge.list_folder(&commit, &"services".try_into().unwrap()).unwrap();
    assert_eq!((services[0].name.as_str(), services[0].mode), ("cart", git::MODE_GITLINK));
    assert_eq!(forge.list_folder(&commit, &"none".try_into().unwrap()).unwrap(), []);
    assert_eq!(shop.bare.read(commit.as_str(), "README.md"), None);
}

#[test]
fn f12_content_that_is_there_already_is_success_and_a_moved_branch_is_said() {
    let shop = Shop::new();
    let (forge, dev) = (shop.forge("ana"), branch("dev"));
    let head = forge.branch_head(&dev).unwrap().unwrap();
    let lock = [write("lock.yaml", "a\n")];
    shop.at(1);
    let commit = committed(forge.commit_files(&dev, Some(&head), &lock, "Lock\n").unwrap());
    shop.at(2);
    let again = forge.commit_files(&dev, Some(&head), &lock, "Lock\n").unwrap();
    assert_eq!(again, CommitOutcome::AlreadyThere(commit.clone()));
    let none = forge.commit_files(&dev, Some(&commit), &[], "Nothing\n").unwrap();
    assert_eq!(none, CommitOutcome::AlreadyThere(commit.clone()), "no empty commit");
    shop.at(3);
    let other = forge.commit_files(&dev, Some(&head), &[write("lock.yaml", "b\n")], "Lock\n").unwrap();
    assert_eq!(other, CommitOutcome::Moved { actual: Some(commit.clone()) });
    let missing = forge.commit_files(&branch("none"), Some(&head), &lock, "Lock\n").unwrap();
    assert_eq!(missing, CommitOutcome::Moved { actual: None });
    let exists = forge.commit_files(&dev, None, &[write("x", "x")], "First\n").unwrap();
    assert_eq!(exists, CommitOutcome::Moved { actual: Some(commit) });
}

#[test]
fn the_rules_of_a_branch_hold_for_commits_too() {
    let shop = Shop::new();
    let staging = branch("staging");
    let head = shop.rev("refs/heads/staging");
    let lock = [write("lock.yaml", "a\n")];
    for (actor, said) in [
        ("ana", "`staging` is protected: changes come through a pull request, and `ana` is not on its bypass list"),
        ("rita", "`rita` has the role read, and this needs write"),
    ] {
        shop.at(1);
        let outcome = shop.forge(actor).commit_files(&staging, Some(&head), &lock, "Lock\n").unwrap();
        assert_eq!(outcome, CommitOutcome::Refused { reasons: vec![said.to_owned()] });
    }
    let robot = shop.forge("robot");
    let commit = committed(robot.commit_files(&staging, Some(&head), &lock, "Lock\n").unwrap());
    shop.at(2);
    let again = robot.commit_files(&staging, Some(&head), &lock, "Lock\n").unwrap();
    assert_eq!(again, CommitOutcome::AlreadyThere(commit.clone()));
    let records = robot.simulator().bypasses().unwrap();
    assert_eq!(records.len(), 1, "one commit, one record");
    assert_eq!((records[0].before.as_ref(), &records[0].after), (Some(&head), &commit));
}

/// Everything that was appended is there, once, in one chain.
fn check_ledger(shop: &Shop, expected: usize) {
    let forge = shop.forge("ana");
    let ledger = ledger_of(&forge, forge.branch_head(&branch(LEDGER_BRANCH)).unwrap().as_ref());
    let reasons: BTreeSet<_> = ledger.records().iter().map(|record| record.entry.reason.clone()).collect();
    assert_eq!((ledger.records().len(), reasons.len()), (expected, expected));
    let count = |arguments: &[&str]| {
        let mut all = vec!["rev-list", "--count"];
        all.extend(arguments);
        shop.bare.git(&[&all[..], &["refs/heads/orchestrator/ledger"]].concat())
    };
    assert_eq!(count(&[]), expected.to_string());
    assert_eq!(count(&["--min-parents=1", "--max-parents=1"]), (expected - 1).to_string(), "one chain");
}

#[test]
fn f10_twenty_writing_threads_make_one_chain_of_twenty_records() {
    let shop = Shop::new();
    thread::scope(|scope| {
        for writer in 0..20 {
            let forge = shop.forge("ana");
            scope.spawn(move || append(&forge, "ana", &format!("writer-{writer}")));
        }
    });
    check_ledger(&shop, 20);
}

#[test]
fn f10_twenty_writing_processes_make_one_chain_of_twenty_records() {
    let shop = Shop::new();
    let writers: Vec<_> = (0..20).map(|n| shop.start("append", "robot", &[&format!("process-{n}"), "1"])).collect();
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    check_ledger(&shop, 20);
}
