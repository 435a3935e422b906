use std::thread;

use forge::simulator::Bypass;
use forge::{ForgeErrorKind, OpenOutcome, PullRequestEdit, PullRequestState, Readiness, WriteOutcome};
use lock_model::{CommitId, ErrorClass};

use crate::shop::{Shop, at, branch, commit_id, new_pull};

#[test]
fn a_pull_request_follows_its_branches() {
    let shop = Shop::new();
    let forge = shop.forge("ana");
    let first = shop.pull();
    assert_eq!((first.number, first.state, first.draft), (1, PullRequestState::Open, false));
    assert_eq!(first.author.as_str(), "ana");
    assert_eq!(first.head, shop.rev("refs/heads/dev"));
    assert_eq!(first.base, shop.rev("refs/heads/staging"));
    assert_eq!(first.head, shop.rev("refs/pull/1/head"), "a real ref");

    let pushed = shop.push_dev("more.txt", "more\n");
    assert_eq!(forge.pull_request(1).unwrap().head, pushed);
    assert_eq!(shop.rev("refs/pull/1/head"), pushed);
    assert_eq!(forge.find_open(&branch("dev"), &branch("staging")).unwrap().unwrap().head, pushed);
    assert_eq!(forge.find_open(&branch("dev"), &branch("main")).unwrap(), None);

    shop.bare.git(&["update-ref", "-d", "refs/heads/dev"]);
    assert_eq!(forge.pull_request(1).unwrap().head, pushed, "what was seen last");
}

#[test]
fn f13_opening_twice_is_one_pull_request() {
    let shop = Shop::new();
    let pull = shop.pull();
    shop.at(9);
    let again = shop.forge("ben").open_pull_request(&new_pull("dev", "staging")).unwrap();
    assert_eq!(again, OpenOutcome::Exists(pull));
}

#[test]
fn opening_is_refused_with_all_reasons() {
    use ForgeErrorKind::{NotFound, Refused, State};
    let shop = Shop::new();
    let refused = |head: &str, base: &str, actor: &str, kind: ForgeErrorKind| {
        shop.at(1);
        let error = shop.forge(actor).open_pull_request(&new_pull(head, base)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.class() == ErrorClass::Denied, kind == Refused, "{error}");
        error.reasons().to_vec()
    };
    assert_eq!(refused("x", "y", "ana", NotFound), ["there is no branch `x`", "there is no branch `y`"]);
    assert_eq!(refused("dev", "staging", "ana", State), ["`dev` has no commits that `staging` has not"]);
    assert_eq!(refused("dev", "staging", "rita", Refused), ["`rita` has the role read, and this needs write"]);
    assert_eq!(refused("dev", "staging", "mallory", Refused), ["`mallory` is not a user of this forge"]);
    shop.work.git(&["switch", "--quiet", "--orphan", "other"]);
    shop.work.commit("No history");
    shop.work.git(&["push", "--quiet", "origin", "HEAD:refs/heads/other"]);
    assert_eq!(refused("other", "staging", "ana", State), ["`other` and `staging` have no common history"]);
}

#[test]
fn editing_and_closing() {
    let shop = Shop::new();
    let forge = shop.forge("ana");
    shop.pull();
    let edit = PullRequestEdit::default().title("A better title").readiness(Readiness::Draft);
    shop.at(5);
    assert_eq!(forge.edit_pull_request(1, &edit).unwrap(), WriteOutcome::Updated);
    shop.at(6);
    assert_eq!(forge.edit_pull_request(1, &edit).unwrap(), WriteOutcome::Unchanged);
    let pull = forge.pull_request(1).unwrap();
    assert_eq!((pull.title.as_str(), pull.body.as_str(), pull.draft), ("A better title", "What it brings.", true));
    assert_eq!((pull.created_at, pull.updated_at), (at(1), at(5)));

    let two_lines = PullRequestEdit::default().title("a\nb");
    shop.at(6);
    assert_eq!(forge.edit_pull_request(1, &two_lines).unwrap_err().class(), ErrorClass::Invalid);
    let too_long = PullRequestEdit::default().body("x".repeat(65_537));
    let error = forge.edit_pull_request(1, &too_long).unwrap_err().to_string();
    assert_eq!(error, "the body is not acceptable: it has 65537 characters; at most 65536 are allowed");

    shop.at(7);
    assert_eq!(forge.simulator().close_pull_request(1).unwrap(), WriteOutcome::Updated);
    shop.at(8);
    assert_eq!(forge.simulator().close_pull_request(1).unwrap(), WriteOutcome::Unchanged);
    let before = forge.pull_request(1).unwrap();
    shop.push_dev("later.txt", "later\n");
    assert_eq!(forge.pull_request(1).unwrap(), before, "a closed one follows nobody");
    shop.at(9);
    let error = forge.edit_pull_request(1, &edit).unwrap_err().to_string();
    assert_eq!(error, "the forge refuses to edit pull request 1: it is closed");
    assert_eq!(shop.open("dev", "staging").number, 2, "a new one has a new number");
    let numbers = |state| forge.pull_requests(state).unwrap().iter().map(|pull| pull.number).collect::<Vec<_>>();
    assert_eq!(numbers(None), [1, 2]);
    assert_eq!(numbers(Some(PullRequestState::Open)), [2]);
    assert_eq!(forge.pull_request(3).unwrap_err().to_string(), "pull request 3 does not exist");
}

#[test]
fn the_pull_requests_of_a_commit() {
    let shop = Shop::new();
    let forge = shop.forge("root");
    let first = shop.push_dev("a.txt", "a\n");
    let second = shop.push_dev("b.txt", "b\n");
    let base = shop.rev("refs/heads/staging");
    shop.open("dev", "staging");
    let of = |commit: &CommitId| {
        let pulls = shop.forge("ana").pull_requests_of_commit(commit).unwrap();
        pulls.iter().map(|pull| pull.number).collect::<Vec<_>>()
    };
    assert_eq!(of(&first), [1]);
    assert_eq!(of(&second), [1]);
    assert_eq!(of(&base), [] as [u64; 0], "what the base has already is not brought");
    assert_eq!(of(&commit_id(&"9".repeat(40))), [] as [u64; 0]);

    shop.green(&second);
    shop.at(3);
    forge.simulator().merge(1, &second, Bypass::No).unwrap();
    shop.open("staging", "main");
    let merge = shop.rev("refs/heads/staging");
    assert_eq!(of(&merge), [1, 2], "first the one whose merge it is, then the one that brings it on");
    assert_eq!(of(&second), [2, 1]);
}

#[test]
fn f5_twenty_writers_share_no_number() {
    let shop = Shop::new();
    shop.push_dev("a.txt", "a\n");
    for n in 0..10 {
        shop.work.git(&["push", "--quiet", "origin", &format!("HEAD:refs/heads/feature-{n}")]);
    }
    thread::scope(|scope| {
        for writer in 0..20 {
            let forge = shop.forge("ana");
            // Two writers for each branch: only one of them may win.
            scope.spawn(move || {
                forge.open_pull_request(&new_pull(&format!("feature-{}", writer % 10), "staging")).unwrap();
            });
        }
    });
    let pulls = shop.forge("ana").pull_requests(None).unwrap();
    assert_eq!(pulls.iter().map(|pull| pull.number).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    let mut branches: Vec<&str> = pulls.iter().map(|pull| pull.head_branch.as_str()).collect();
    branches.sort_unstable();
    branches.dedup();
    assert_eq!(branches.len(), 10);
}

#[test]
fn the_file_is_readable_and_stable() {
    let shop = Shop::new();
    let pull = shop.pull();
    let text = std::fs::read_to_string(shop.file("pulls/1.json")).unwrap();
    let expected = format!(
        r#"{{
  "version": 1,
  "number": 1,
  "title": "dev into staging",
  "body": "What it brings.",
  "author": "ana",
  "state": "open",
  "draft": false,
  "head_branch": "dev",
  "base_branch": "staging",
  "head": "{}",
  "base": "{}",
  "created_at": "2025-11-20T21:01:00Z",
  "updated_at": "2025-11-20T21:01:00Z"
}}
"#,
        pull.head, pull.base
    );
    assert_eq!(text, expected);
}

#[test]
fn a_file_of_another_version_or_with_damage_is_an_error_that_names_it() {
    let shop = Shop::new();
    shop.pull();
    let file = shop.file("pulls/1.json");
    let good = std::fs::read_to_string(&file).unwrap();
    for (text, said) in [
        (good.replace("\"version\": 1", "\"version\": 2"), "has version 2; this program knows version 1"),
        (good.replace("\"draft\"", "\"drafty\""), "is damaged: unknown field `drafty`"),
        (good.replace("\"ana\"", "\"-ana\""), "is damaged: `-ana` is not a valid user name"),
        (good.get(..40).unwrap().to_owned(), "is damaged: EOF"),
        ("{}".to_owned(), "is damaged: it has no version"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = shop.forge("ana").pull_request(1).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Invalid);
        assert!(error.to_string().contains(said) && error.to_string().contains("1.json"), "{error}");
    }
}
