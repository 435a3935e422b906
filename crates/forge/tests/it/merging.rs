use std::thread;

use forge::simulator::{Bypass, MergeOutcome};
use forge::{MergeRef, PullRequestEdit, PullRequestState, Readiness, StatusState, WriteOutcome};
use lock_model::CommitId;

use crate::shop::{Shop, at, commit_id, new_pull, user};

fn reasons(outcome: MergeOutcome) -> Vec<String> {
    match outcome {
        MergeOutcome::Refused { reasons } => reasons,
        other => panic!("{other:?}"),
    }
}

#[test]
fn t54_no_clock_makes_a_merge_older_than_its_pull_request() {
    let shop = Shop::new();
    let pull = shop.pull();
    shop.green(&pull.head);
    shop.at(0);
    let outcome = shop.forge("ben").simulator().merge(1, &pull.head, Bypass::No).unwrap();
    let MergeOutcome::Merged(merge) = outcome else { panic!("{outcome:?}") };
    assert_eq!(merge.at, at(1), "when it was opened");
}

#[test]
fn a_merge_is_a_merge_commit_with_the_tree_of_the_test_merge() {
    let shop = Shop::new();
    let pull = shop.pull();
    shop.green(&pull.head);
    let forge = shop.forge("ben");
    let MergeRef::Clean { tree, .. } = forge.merge_ref(1).unwrap() else { panic!("a conflict") };
    shop.at(10);
    let outcome = forge.simulator().merge(1, &pull.head, Bypass::No).unwrap();
    let MergeOutcome::Merged(merge) = outcome else { panic!("{outcome:?}") };
    assert_eq!((merge.by.as_str(), merge.at, merge.bypassed.len()), ("ben", at(10), 0));
    assert_eq!(shop.rev("refs/heads/staging"), merge.commit);
    assert_eq!(shop.bare.tree("refs/heads/staging"), tree.as_str());
    let said = shop.bare.git(&["show", "--no-patch", "--format=%P%n%an <%ae>%n%B", "refs/heads/staging"]);
    assert_eq!(
        said,
        format!(
            "{} {}\nben <ben@users.forge.invalid>\nMerge pull request #1 from dev\n\ndev into staging",
            pull.base, pull.head
        )
    );

    let after = forge.pull_request(1).unwrap();
    assert_eq!((after.state, after.merge.as_ref()), (PullRequestState::Merged, Some(&merge)));
    assert_eq!((&after.head, &after.base), (&pull.head, &pull.base), "as they were");
    shop.push_dev("later.txt", "later\n");
    assert_eq!(forge.pull_request(1).unwrap(), after, "a merged one follows nobody");
    let MergeRef::Clean { commit, .. } = forge.merge_ref(1).unwrap() else { panic!("a conflict") };
    assert_eq!(commit, merge.commit);

    shop.at(11);
    let again = forge.simulator().merge(1, &pull.head, Bypass::No).unwrap();
    assert_eq!(again, MergeOutcome::AlreadyMerged(merge), "f13: the answer was lost, the merge was not");
    let other_head = shop.rev("refs/heads/dev");
    let said = reasons(forge.simulator().merge(1, &other_head, Bypass::No).unwrap());
    assert_eq!(said, [format!("pull request 1 is merged, with head `{}`", pull.head)]);
}

#[test]
fn a_refused_merge_says_every_reason() {
    let shop = Shop::new();
    let stale = shop.pull().head;
    let head = shop.push_dev("more.txt", "more\n");
    let forge = shop.forge("ana");
    let draft = PullRequestEdit::default().readiness(Readiness::Draft);
    shop.at(2);
    forge.edit_pull_request(1, &draft).unwrap();
    shop.at(3);
    shop.forge("robot").set_status(&head, None, "orchestrator/lock", StatusState::Pending, "asking").unwrap();
    let base = shop.rev("refs/heads/staging");
    shop.at(4);
    let said = reasons(shop.forge("rita").simulator().merge(1, &stale, Bypass::Yes).unwrap());
    let short = head.short(12);
    assert_eq!(
        said,
        [
            "`rita` has the role read, and this needs write".to_owned(),
            format!("the head is `{head}`, not the expected `{stale}`"),
            "it is a draft".to_owned(),
            "only an admin bypasses the rules".to_owned(),
            format!("required status `orchestrator/lock` is pending on `{short}`"),
            format!("required status `orchestrator/suites` is missing on `{short}`"),
        ]
    );
    assert_eq!(shop.rev("refs/heads/staging"), base, "nothing moved");
    assert_eq!(forge.pull_request(1).unwrap().state, PullRequestState::Open);
}

#[test]
fn t12_a_status_of_somebody_else_does_not_count() {
    let shop = Shop::new();
    let head = shop.pull().head;
    shop.green(&head);
    shop.at(3);
    shop.forge("ben").set_status(&head, None, "orchestrator/suites", StatusState::Success, "trust me").unwrap();
    shop.at(4);
    let said = reasons(shop.forge("ana").simulator().merge(1, &head, Bypass::No).unwrap());
    let expected =
        format!("required status `orchestrator/suites` on `{}` comes from `ben`; only `robot` counts", head.short(12));
    assert_eq!(said, [expected]);
}

#[test]
fn t57_a_status_opens_a_merge_into_the_base_that_it_was_earned_against() {
    let shop = Shop::new();
    let pull = shop.pull();
    let (head, base) = (pull.head, pull.base);
    let earn = |at: i64, context: &str, base: Option<&CommitId>| {
        shop.at(at);
        shop.forge("robot").set_status(&head, base, context, StatusState::Success, "fine").unwrap()
    };
    let merge = || shop.forge("ana").simulator().merge(1, &head, Bypass::No).unwrap();
    earn(2, "orchestrator/lock", None);
    let other = shop.rev("refs/heads/dev");
    earn(3, "orchestrator/suites", Some(&other));
    let expected = format!(
        "required status `orchestrator/suites` on `{}` was earned against base `{}`, which is now `{}`",
        head.short(12),
        other.short(12),
        base.short(12)
    );
    shop.at(4);
    assert_eq!(reasons(merge()), [expected]);
    assert_eq!(earn(5, "orchestrator/suites", Some(&base)), WriteOutcome::Updated, "another base is another status");
    assert_eq!(earn(6, "orchestrator/suites", Some(&base)), WriteOutcome::Unchanged);
    shop.at(7);
    assert!(matches!(merge(), MergeOutcome::Merged(_)));
}

#[test]
fn t13_a_status_belongs_to_a_commit_and_is_gone_when_the_head_moves() {
    let shop = Shop::new();
    let proven = shop.pull().head;
    shop.green(&proven);
    let head = shop.push_dev("sneaked-in.txt", "x\n");
    let forge = shop.forge("ana");
    shop.at(4);
    let said = reasons(forge.simulator().merge(1, &proven, Bypass::No).unwrap());
    assert_eq!(said.first().unwrap(), &format!("the head is `{head}`, not the expected `{proven}`"));
    let said = reasons(forge.simulator().merge(1, &head, Bypass::No).unwrap());
    let short = head.short(12);
    assert_eq!(
        said,
        [
            format!("required status `orchestrator/lock` is missing on `{short}`"),
            format!("required status `orchestrator/suites` is missing on `{short}`"),
        ]
    );
}

#[test]
fn a_bypass_is_an_admins_is_recorded_and_helps_against_missing_statuses_only() {
    let shop = Shop::new();
    let pull = shop.pull();
    shop.at(3);
    let said = reasons(shop.forge("ana").simulator().merge(1, &pull.head, Bypass::Yes).unwrap());
    assert!(said.contains(&"only an admin bypasses the rules".to_owned()), "{said:?}");

    let root = shop.forge("root");
    let readiness = |readiness| PullRequestEdit::default().readiness(readiness);
    root.edit_pull_request(1, &readiness(Readiness::Draft)).unwrap();
    assert_eq!(reasons(root.simulator().merge(1, &pull.head, Bypass::Yes).unwrap()), ["it is a draft"]);
    root.edit_pull_request(1, &readiness(Readiness::Ready)).unwrap();

    shop.at(4);
    let outcome = root.simulator().merge(1, &pull.head, Bypass::Yes).unwrap();
    let MergeOutcome::Merged(merge) = outcome else { panic!("{outcome:?}") };
    assert_eq!(merge.bypassed.len(), 2, "{merge:?}");
    assert_eq!(root.pull_request(1).unwrap().merge.unwrap(), merge, "the pull request says so");
    let records = root.simulator().bypasses().unwrap();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.seq, record.pull_request, record.by.as_str()), (1, Some(1), "root"));
    assert_eq!((record.before.as_ref(), &record.after), (Some(&pull.base), &merge.commit));
    assert_eq!(record.rules, merge.bypassed);
}

#[test]
fn a_bypass_that_was_not_needed_is_an_ordinary_merge() {
    let shop = Shop::new();
    let head = shop.pull().head;
    shop.green(&head);
    shop.at(4);
    let outcome = shop.forge("root").simulator().merge(1, &head, Bypass::Yes).unwrap();
    let MergeOutcome::Merged(merge) = outcome else { panic!("{outcome:?}") };
    assert!(merge.bypassed.is_empty());
    assert!(shop.forge("root").simulator().bypasses().unwrap().is_empty());
}

#[test]
fn what_is_merged_already_or_gone_is_refused() {
    let shop = Shop::new();
    let head = shop.pull().head;
    shop.green(&head);
    shop.bare.git(&["update-ref", "refs/heads/staging", head.as_str()]);
    let forge = shop.forge("ana");
    shop.at(4);
    let said = reasons(forge.simulator().merge(1, &head, Bypass::No).unwrap());
    assert_eq!(said, ["`dev` has no commits that `staging` has not"]);
    shop.bare.git(&["update-ref", "-d", "refs/heads/dev"]);
    let said = reasons(forge.simulator().merge(1, &head, Bypass::No).unwrap());
    assert_eq!(said.first().unwrap(), "the branch `dev` is gone");
}

#[test]
fn f5_two_merges_of_one_pull_request_at_once_are_one_merge() {
    let shop = Shop::new();
    let head = shop.pull().head;
    shop.green(&head);
    shop.at(4);
    let outcomes: Vec<MergeOutcome> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let (forge, head) = (shop.forge("ana"), &head);
                scope.spawn(move || forge.simulator().merge(1, head, Bypass::No).unwrap())
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let merged = outcomes.iter().filter(|outcome| matches!(outcome, MergeOutcome::Merged(_))).count();
    let already = outcomes.iter().filter(|outcome| matches!(outcome, MergeOutcome::AlreadyMerged(_))).count();
    assert_eq!((merged, already), (1, 7), "{outcomes:?}");
    assert_eq!(shop.bare.git(&["rev-list", "--count", "--merges", "refs/heads/staging"]), "1");
}

#[test]
fn f16_merges_into_a_base_that_pushes_move_lose_nothing() {
    let shop = Shop::new();
    let mut heads = Vec::new();
    for n in 0..6 {
        shop.work.git(&["switch", "--quiet", "--create", &format!("feature-{n}"), "origin/main"]);
        shop.work.write(&format!("feature-{n}.txt"), "x\n");
        let head = commit_id(&shop.work.commit("A feature"));
        shop.work.git(&["push", "--quiet", "origin", "HEAD"]);
        shop.at(1);
        shop.forge("ana").open_pull_request(&new_pull(&format!("feature-{n}"), "staging")).unwrap();
        shop.green(&head);
        heads.push(head);
    }
    let ledger = lock_model::BranchName::try_from("staging").unwrap();
    shop.at(5);
    thread::scope(|scope| {
        for (number, head) in (1_u64..).zip(&heads) {
            let forge = shop.forge("ana");
            scope.spawn(move || {
                let outcome = forge.simulator().merge(number, head, Bypass::No).unwrap();
                assert!(matches!(outcome, MergeOutcome::Merged(_)), "{outcome:?}");
            });
        }
        // Commits that take no lock: they move the base under the merges.
        let (robot, ledger) = (shop.forge("robot"), &ledger);
        scope.spawn(move || {
            for n in 0..6 {
                let bytes = format!("{n}\n").into_bytes();
                let change = forge::FileChange::Write { path: "lock.yaml".try_into().unwrap(), bytes };
                loop {
                    let tip = robot.branch_head(ledger).unwrap();
                    let changes = [change.clone()];
                    let outcome = robot.commit_files(ledger, tip.as_ref(), &changes, "Lock\n").unwrap();
                    if matches!(outcome, forge::CommitOutcome::Committed(_)) {
                        break;
                    }
                }
            }
        });
    });
    let count = |arguments: &[&str]| shop.bare.git(arguments);
    assert_eq!(count(&["rev-list", "--count", "--first-parent", "refs/heads/staging"]), "13", "1 + 6 + 6, in a row");
    assert_eq!(shop.bare.read("refs/heads/staging", "lock.yaml").as_deref(), Some("5\n"));
    for pull in shop.forge("ana").pull_requests(None).unwrap() {
        let merge = pull.merge.unwrap();
        let parents = shop.bare.git(&["show", "--no-patch", "--format=%P", merge.commit.as_str()]);
        assert_eq!(parents, format!("{} {}", pull.base, pull.head));
        assert_eq!(merge.by, user("ana"));
    }
}
