use forge::MergeRef;
use forge::simulator::{Bypass, MergeOutcome};

use crate::shop::{Shop, commit_id};

/// Commit and tree of a merge that must be clean.
fn clean(answer: MergeRef) -> (lock_model::CommitId, lock_model::TreeId) {
    match answer {
        MergeRef::Clean { commit, tree, .. } => (commit, tree),
        MergeRef::Conflict { paths, .. } => panic!("conflict in {paths:?}"),
    }
}

/// Puts a commit on `staging` without the forge.
fn push_staging(shop: &Shop, path: &str, text: &str) -> String {
    shop.work.git(&["switch", "--quiet", "--detach", "origin/staging"]);
    shop.work.write(path, text);
    let commit = shop.work.commit("Meanwhile on staging");
    shop.work.git(&["push", "--quiet", "origin", "HEAD:refs/heads/staging"]);
    shop.work.switch("dev");
    commit
}

#[test]
fn f15_the_merge_ref_has_exactly_base_and_head_as_parents_and_is_made_anew_when_one_moves() {
    let shop = Shop::new();
    let pull = shop.pull();
    let forge = shop.forge("ana");
    let parents = || shop.bare.git(&["show", "--no-patch", "--format=%P", "refs/pull/1/merge"]);

    let (first, tree) = clean(forge.merge_ref(1).unwrap());
    assert_eq!(shop.rev("refs/pull/1/merge"), first);
    assert_eq!(shop.bare.tree("refs/pull/1/merge"), tree.as_str());
    assert_eq!(parents(), format!("{} {}", pull.base, pull.head));
    assert_eq!(clean(forge.merge_ref(1).unwrap()).0, first, "asked again, the same");

    let base = push_staging(&shop, "hotfix.txt", "fixed\n");
    let (second, tree) = clean(forge.merge_ref(1).unwrap());
    assert_ne!(second, first);
    assert_eq!(parents(), format!("{base} {}", pull.head));
    assert_eq!(shop.bare.read(tree.as_str(), "hotfix.txt").as_deref(), Some("fixed\n"), "the result, not the head");
    assert_eq!(shop.bare.read(tree.as_str(), "news.txt").as_deref(), Some("news\n"));

    let head = shop.push_dev("more.txt", "more\n");
    clean(forge.merge_ref(1).unwrap());
    assert_eq!(parents(), format!("{base} {head}"));
}

#[test]
fn the_merge_refs_bytes_depend_on_the_two_commits_only() {
    let (one, other) = (Shop::new(), Shop::new());
    one.pull();
    other.pull();
    let (first, _) = clean(one.forge("ana").merge_ref(1).unwrap());
    assert_eq!(clean(other.forge("ben").merge_ref(1).unwrap()).0, first);
    let said = one.bare.git(&["show", "--no-patch", "--format=%an <%ae> %aI%n%cn <%ce> %cI", first.as_str()]);
    let date = one.bare.git(&["show", "--no-patch", "--format=%cI", "refs/heads/dev"]);
    assert_eq!(said, format!("forge <forge@forge.invalid> {date}\nforge <forge@forge.invalid> {date}"));
    one.bare.git(&["update-ref", "-d", "refs/pull/1/merge"]);
    assert_eq!(clean(one.forge("ana").merge_ref(1).unwrap()).0, first, "lost, and made again");
}

#[test]
fn a_submodule_bumped_on_both_sides_is_a_conflict_although_git_prints_a_tree() {
    let shop = Shop::new();
    shop.pull();
    let forge = shop.forge("ana");
    clean(forge.merge_ref(1).unwrap());

    let bump = |digit: &str, branch: &str| {
        shop.work.gitlink("services/cart", &digit.repeat(40));
        let commit = shop.work.commit("Bump cart");
        shop.work.git(&["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
        commit_id(&commit)
    };
    let head = bump("2", "dev");
    shop.work.git(&["switch", "--quiet", "--detach", "origin/staging"]);
    let base = bump("3", "staging");

    let printed = shop.bare.try_git(&["merge-tree", "--write-tree", base.as_str(), head.as_str()]);
    assert_eq!(printed.code, Some(1));
    assert!(printed.stdout.lines().next().is_some_and(|line| line.len() == 40), "{printed:?}");

    let expected = MergeRef::Conflict { base, head: head.clone(), paths: vec!["services/cart".to_owned()] };
    assert_eq!(forge.merge_ref(1).unwrap(), expected);
    assert!(!shop.bare.try_git(&["rev-parse", "--verify", "--quiet", "refs/pull/1/merge"]).success());
    shop.green(&head);
    match forge.simulator().merge(1, &head, Bypass::No).unwrap() {
        MergeOutcome::Refused { reasons } => {
            assert_eq!(reasons, ["it conflicts with `staging` in `services/cart`"]);
        }
        other => panic!("{other:?}"),
    }
}
