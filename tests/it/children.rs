//! How many children commands start that change nothing: what a run costs that finds everything done.

use test_support::GitShim;

use crate::shop::Shop;

/// For what cannot be read in process: a person's address; the index of a work tree, after a look at git's version.
const MOST: usize = 2;

#[test]
fn what_changes_nothing_starts_hardly_a_child() {
    let shop = Shop::new();
    shop.merge_dev();
    shop.ok("run staging");
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
        assert!(counting.count() <= MOST, "`{line}` starts git {} times:\n{}", counting.count(), counting.log());
    }
    // What the forge has and the clone has not is fetched, by one child.
    shop.bump("services/shop-web", 2);
    let counting = GitShim::counting();
    shop.orchestrator("status").search_path(counting.search_path()).run().expect_code(0);
    assert_eq!(counting.log().lines().filter(|call| call.contains(" fetch ")).count(), 1, "{}", counting.log());
}
