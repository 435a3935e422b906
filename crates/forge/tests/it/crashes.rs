//! The other process dies at each of its calls of git, or in the middle of a write; the same command again ends as
//! if nothing had happened.

use std::io::{BufRead as _, BufReader};

use forge::PullRequestState;
use forge::simulator::{Bypass, MergeOutcome};
use test_support::{GitShim, When};

use crate::shop::{Shop, search_path};

/// Runs a command that is killed at its first call of git, then at its second, and so on, before and after the call,
/// each time in a copy of the same shop; `check` looks at the shop after the same command ran once more.
fn at_every_call(prepare: impl Fn(&Shop) -> Vec<String>, actor: &str, check: impl Fn(&Shop)) {
    let prepared = Shop::new();
    let command = prepare(&prepared);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let [name, arguments @ ..] = command.as_slice() else { panic!("a command has a name") };
    for when in [When::Before, When::After] {
        for call in 1.. {
            let shop = prepared.copy();
            let shim = GitShim::killing(call, when);
            let first = shop.run(shim.search_path(), name, actor, arguments);
            if !shim.has_killed() {
                assert!(first.status.success(), "{first:?}");
                assert!(call > 3, "the command calls git, and the shim sees it");
                break;
            }
            assert!(!first.status.success());
            let second = shop.run(search_path(), name, actor, arguments);
            assert!(second.status.success(), "killed {when:?} call {call}: {second:?}\n{}", shim.log());
            check(&shop);
        }
    }
}

#[test]
fn f1_f13_a_merge_killed_anywhere_is_one_merge_with_one_record() {
    let prepare = |shop: &Shop| {
        let head = shop.pull().head;
        ["merge", "1", head.as_str(), "bypass"].map(str::to_owned).to_vec()
    };
    at_every_call(prepare, "root", |shop| {
        let pull = shop.forge("ana").pull_request(1).unwrap();
        assert_eq!(pull.state, PullRequestState::Merged);
        let merge = pull.merge.unwrap();
        assert_eq!(shop.rev("refs/heads/staging"), merge.commit);
        let parents = shop.bare.git(&["show", "--no-patch", "--format=%P", "refs/heads/staging"]);
        assert_eq!(parents, format!("{} {}", pull.base, pull.head));
        assert_eq!(shop.bare.git(&["rev-list", "--count", "--merges", "refs/heads/staging"]), "1");
        let records = shop.forge("ana").simulator().bypasses().unwrap();
        assert_eq!(records.iter().map(|record| &record.after).collect::<Vec<_>>(), [&merge.commit]);
    });
}

#[test]
fn f12_a_commit_killed_anywhere_is_one_commit_with_one_record() {
    let prepare = |shop: &Shop| {
        let head = shop.rev("refs/heads/staging");
        ["commit", "staging", head.as_str(), "version: 1\n"].map(str::to_owned).to_vec()
    };
    at_every_call(prepare, "robot", |shop| {
        assert_eq!(shop.bare.git(&["rev-list", "--count", "refs/heads/staging"]), "2");
        assert_eq!(shop.bare.read("refs/heads/staging", "lock.yaml").as_deref(), Some("version: 1\n"));
        let records = shop.forge("ana").simulator().bypasses().unwrap();
        assert_eq!(records.iter().map(|record| &record.after).collect::<Vec<_>>(), [&shop.rev("refs/heads/staging")]);
    });
}

#[test]
fn f13_a_release_killed_anywhere_is_one_tag_and_one_release() {
    let prepare = |shop: &Shop| {
        let commit = shop.rev("refs/heads/main");
        ["release", "release-1", commit.as_str()].map(str::to_owned).to_vec()
    };
    at_every_call(prepare, "robot", |shop| {
        let forge = shop.forge("ana");
        let releases = forge.releases().unwrap();
        assert_eq!(releases.len(), 1);
        assert_eq!(forge.simulator().release_asset(&releases[0].tag, "lock.yaml").unwrap().unwrap(), b"version: 1\n");
        assert_eq!(shop.bare.git(&["for-each-ref", "--format=%(refname)", "refs/tags"]), "refs/tags/release-1");
        assert_eq!(shop.bare.git(&["cat-file", "-t", "refs/tags/release-1"]), "tag");
    });
}

#[test]
fn a_merge_that_happened_but_was_not_written_down_is_found_by_whoever_reads() {
    let shop = Shop::new();
    let head = shop.pull().head;
    shop.green(&head);
    let file = shop.file("pulls/1.json");
    shop.at(4);
    let outcome = shop.forge("ana").simulator().merge(1, &head, Bypass::No).unwrap();
    let MergeOutcome::Merged(merge) = outcome else { panic!("{outcome:?}") };
    // As a crash between the two writes leaves it.
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("\"state\": \"merged\"", "\"state\": \"open\"").replace("\"merge\": {", "\"merging\": {");
    std::fs::write(&file, text).unwrap();
    let pull = shop.forge("rita").pull_request(1).unwrap();
    assert_eq!((pull.state, pull.merge), (PullRequestState::Merged, Some(merge)));
}

#[test]
fn f3_a_writer_killed_in_the_middle_leaves_the_old_file_or_the_new_one() {
    let shop = Shop::new();
    shop.pull();
    for round in 0..12 {
        let mut writer = shop.start("write-for-ever", "ana", &["1"]);
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        for _ in 0..=round {
            lines.next().unwrap().unwrap();
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let comments = shop.forge("ana").comments(1).unwrap();
        assert_eq!(comments.len(), 1);
        let body = &comments[0].body;
        let first = body.split(' ').next().unwrap();
        assert_eq!(*body, format!("{first} ").repeat(5000), "one round, whole");
    }
    // Nobody cleans up, and nobody has to: the next writer works.
    shop.at(9);
    shop.forge("ben").upsert_comment(1, "endless", "mine").unwrap();
    assert_eq!(shop.forge("ana").comments(1).unwrap().len(), 2);
}
