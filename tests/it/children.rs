//! How many children commands start that change nothing: what a run costs that finds everything done.

use test_support::GitShim;

use crate::shop::Shop;

/// What git is asked for: the gitlinks of an index, and the remotes of a repository whose own file names none; each after a
/// look at its version.
const ASK_GIT: [(&str, usize); 2] = [("config check", 2), ("-C ../shop.git status", 2)];

#[test]
fn what_changes_nothing_starts_hardly_a_child() {
    let shop = Shop::new();
    shop.merge_dev();
    shop.ok("run staging");
    // What the run wrote to the forge is fetched now.
    shop.ok("status");
    for line in [
        "run staging",
        "status",
        "history",
        "plan staging",
        "config check",
        "config check --rev HEAD",
        "lock generate",
        "lock generate --rev staging",
        "lock check --rev staging",
        "-C ../shop.git status",
    ] {
        let before = shop.records().len();
        let counting = GitShim::counting();
        shop.orchestrator(line).search_path(counting.search_path()).run().expect_code(0);
        assert_eq!(shop.records().len(), before, "`{line}` records nothing");
        let most = ASK_GIT.into_iter().find(|(known, _)| *known == line).map_or(0, |(_, most)| most);
        assert!(counting.count() <= most, "`{line}` starts git {} times:\n{}", counting.count(), counting.log());
    }
    // What the forge has and the clone has not is fetched, by one child.
    shop.bump("services/shop-web", 2);
    let counting = GitShim::counting();
    shop.orchestrator("status").search_path(counting.search_path()).run().expect_code(0);
    assert_eq!(counting.log().lines().filter(|call| call.contains(" fetch ")).count(), 1, "{}", counting.log());
}
