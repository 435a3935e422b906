//! The `forge pr` commands, with the flags that people know from `gh pr`.

use crate::shop::Shop;

#[test]
fn a_pull_request_is_worked_on_as_with_gh() {
    let shop = Shop::new();
    let ok = |line: &str| shop.ok(line).stdout().to_owned();
    // The clone is on `dev`.
    ok("--as dana forge pr create -t \"Three services\" -b \"Brings **cart**.\" -B staging --draft");
    let listed = shop.json("forge pr list", 0);
    assert_eq!(listed["pull_requests"][0]["state"], "draft", "{listed:#}");
    assert_eq!(listed["pull_requests"][0]["head_branch"], "dev");
    shop.ends("--as dana forge pr merge 1", 20);
    ok("--as dana forge pr ready 1");

    shop.ends("--as ana forge pr review 1", 2);
    shop.ends("--as ana forge pr review 1 --approve --comment", 2);
    let silent = shop.ends("--as ana forge pr review 1 -c", 2);
    assert!(silent.stderr().contains("--body TEXT"), "{silent}");
    ok("--as ana forge pr review 1 -c -b \"Is cart _tested_?\"");
    ok("--as ben forge pr review 1 --request-changes --body \"No.\"");

    // Both required statuses are missing: that is no yes.
    let checks = shop.ends("forge pr checks 1", 1);
    assert_eq!(checks.stdout().matches("missing").count(), 2, "{checks}");
    shop.check(1);
    assert!(ok("forge pr checks 1 --required").contains("2 of 2 statuses are successful"));

    let view = ok("--as ana forge pr view 1");
    for expected in
        ["Brings cart.", "Is cart tested?", "changes requested", "orchestrator/suites", "approve this head:"]
    {
        assert!(view.contains(expected), "{expected}\n--\n{view}");
    }
    assert!(!view.contains("<!--"), "{view}");
    let all = shop.json("forge pr view 1", 0);
    assert_eq!(all["body"], "Brings **cart**.");
    assert_eq!(all["reviews"][0]["body"], "Is cart _tested_?");
    assert!(all["comments"][0]["body"].as_str().unwrap().contains("## Lock"), "{all:#}");

    assert!(ok("--as dana forge pr close 1 --comment Twice").contains("pull request 1 closed"));
    assert!(ok("--as dana forge pr close 1").contains("is closed already"));
    let closed = shop.json("forge pr view 1", 0);
    assert_eq!(closed["pull_request"]["state"], "closed", "{closed:#}");
    let numbers = |line: &str| shop.json(line, 0)["pull_requests"].as_array().unwrap().len();
    assert_eq!(
        [numbers("forge pr list"), numbers("forge pr list -s closed"), numbers("forge pr list -s all")],
        [0, 1, 1]
    );
    assert_eq!(numbers("forge pr list --state all --author ana"), 0);
}
