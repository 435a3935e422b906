//! An environment writes its own place alone, whatever was merged, accepted or pushed.

use crate::refusals::refuses;
use crate::shop::{CONFIGURATION, Shop};
use crate::stops::{AtStop, released};

const OWNER: &str = "branch `deploy/production` belongs to `production`, by the configuration of `main` at";

/// The configuration that gives staging the branch and folder of production.
fn swapped() -> String {
    let configuration = CONFIGURATION
        .replace("    mode: production\n", "    mode: prod\n")
        .replace("    mode: staging\n", "    mode: production\n");
    assert_ne!(configuration, CONFIGURATION);
    configuration
}

/// The first release is out, and it is merged to `staging` that staging is rendered to production's place.
fn merged() -> AtStop {
    let shop = released();
    shop.work_on("dev").write("orchestrator.yaml", swapped());
    shop.commit_and_push("dev", "modes");
    shop.merge_dev();
    shop
}

fn refuses_to_write(shop: &Shop, name: &str, words: &[&str]) {
    let before = shop.untouched();
    for command in ["plan", "run", "deploy"] {
        refuses(shop, &format!("{command} {name}"), 20, words);
    }
    assert_eq!(shop.untouched(), before);
}

#[test]
fn t60_staging_gets_productions_place_neither_by_a_merge_nor_by_accepted_rules() {
    let shop = merged();
    let words = [OWNER, "folder `rendered/production` belongs to `production`", "policy take-over staging"];
    refuses_to_write(&shop, "staging", &words);
    let tip = shop.head("staging").unwrap();
    shop.ok(&format!("--as eve policy accept staging {tip} --reason \"the modes were agreed\""));
    refuses_to_write(&shop, "staging", &words);
    // Nor as what a branch says that nobody protects, with the same modes.
    let open = swapped().replace("staging: staging,", "staging: open,");
    assert_ne!(open, swapped());
    shop.work_on("main").write("orchestrator.yaml", open);
    let commit = shop.commit_and_push("open", "staging is ours");
    let before = shop.untouched();
    for command in ["plan", "run"] {
        let line = format!("{command} staging --rev {commit}");
        refuses(&shop, &line, 11, &["was never the tip of `staging`"]);
    }
    assert_eq!(shop.untouched(), before);
}

#[test]
fn t60_an_administrator_lets_an_environment_take_a_place_over() {
    let shop = merged();
    shop.ok("--as ana hold production --reason \"incident 42\"");
    let line = "policy take-over staging --reason \"staging is production now\"";
    let records = shop.records().len();
    for (actor, why) in [("orchestrator", "`orchestrator`"), ("dana", "`dana`")] {
        refuses(&shop, &format!("--as {actor} {line}"), 13, &[why]);
    }
    refuses(&shop, "--as eve policy take-over staging", 2, &["--reason"]);
    assert_eq!(shop.records().len(), records);

    let taken = shop.ok(&format!("--as eve {line}")).stdout().to_owned();
    for said in [
        "branch deploy/production belongs to staging from now on (record",
        "folder rendered/production belongs to staging from now on (record",
        &format!("before: {OWNER}"),
        "staging is held, as the environment was that had the place",
    ] {
        assert!(taken.contains(said), "{said}: {taken}");
    }
    let newest = shop.records().pop().unwrap().predicate;
    assert_eq!((newest["step"].as_str(), newest["run"]["actor"].as_str()), (Some("policy"), Some("eve")));
    refuses(&shop, "run staging", 20, &["incident 42"]);
    shop.ok("unhold staging --reason \"it is over\"");
    shop.ok("run staging");
    assert!(shop.file("deploy/production", "release.yaml").unwrap().contains("environment: staging"));
    shop.ok("unhold production --reason \"it is over\"");
    refuses_to_write(&shop, "production", &["branch `deploy/production` belongs to `staging`, which took it over"]);
    assert!(shop.ok(&format!("--as eve {line}")).stdout().contains("every place that staging writes is its own"));
}
