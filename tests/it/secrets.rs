//! What a suite prints of its secrets and of ours, in everything that the binary shows and stores; and links in the place
//! of output files.

use std::fs;
use std::os::unix::fs::symlink;

use test_support::{Finished, Invocation};

use crate::shop::{CONFIGURATION, Shop};
use crate::stops::locked;

const PASSWORD: &str = "canary/PASSWORD+0451";
const LOGIN: &str = "canary-LOGIN-0451";

/// Prints its secret in several forms, and what it finds of its parent's variables; then it fails.
const LEAK: &str = r#"#!/bin/sh
echo "postgres://app:$CANARY_PASSWORD@db/shop"
printf '%s' "x$CANARY_PASSWORD" | base64
printf '%s' "$CANARY_PASSWORD" | base64 >&2
run=$(cut -d' ' -f4 "/proc/$PPID/stat")
if tr '\0' '\n' < "/proc/$run/environ" | grep TOKEN; then echo "variables are open to user $(id -u)"; fi
exit 1
"#;

/// A shop whose staging runs a suite that leaks, merged.
fn leaking() -> Shop {
    let suite = "suites:\n  leak: { kind: command, command: [./tests/leak], env: [CANARY_PASSWORD], deadline: 1m }\n";
    let configuration = CONFIGURATION.replace("\nsuites:\n", &format!("\n{suite}"));
    let shop = Shop::with(&configuration.replace("suites: [system]", "suites: [system, leak]"));
    shop.work_on("dev").write_executable("tests/leak", LEAK);
    shop.commit_and_push("dev", "a suite that prints too much");
    shop.merge_dev();
    shop
}

fn given(shop: &Shop, line: &str) -> Invocation {
    shop.orchestrator(line).env("CANARY_PASSWORD", PASSWORD).env("GITHUB_TOKEN", LOGIN)
}

#[track_caller]
fn assert_masked(what: &str, text: &str) {
    for form in ["PASSWORD+0451", "y9QQVNTV09SRCswND", "L1BBU1NXT1JEKzA0", "LOGIN-0451"] {
        assert!(!text.contains(form), "{what} shows {form}: {text}");
    }
}

#[track_caller]
fn assert_shown_masked(what: &str, finished: &Finished) {
    assert_masked(what, &finished.text());
    assert!(finished.text().contains("postgres://app:***@db/shop"), "{what}: {finished}");
    let open = "variables are open to user ";
    assert!(!finished.text().replace(&format!("{open}0"), "").contains(open), "only root may read them: {finished}");
}

#[test]
fn t48_a_secret_of_a_suite_is_shown_and_stored_nowhere() {
    let shop = leaking();
    assert_shown_masked("the run", &given(&shop, "run staging").on_terminal().run().expect_code(1));
    let line = "test run staging --suite leak --junit ../report.xml";
    assert_shown_masked("the terminal", &given(&shop, line).on_terminal().run().expect_code(1));
    assert_shown_masked("JSON", &given(&shop, &format!("--format json {line}")).run().expect_code(1));
    let summary = shop.join("summary.md");
    let command = given(&shop, &format!("--format github {line}")).env("GITHUB_STEP_SUMMARY", &summary);
    assert_shown_masked("GitHub", &command.run().expect_code(1));
    assert_masked("the page", &fs::read_to_string(summary).unwrap());
    let report = fs::read_to_string(shop.join("report.xml")).unwrap();
    assert!(report.contains("***@db/shop"), "{report}");
    assert_masked("JUnit", &report);
    let ledger = shop.superproject().git(&["grep", "--no-color", "-h", "", "orchestrator/ledger"]);
    assert!(ledger.contains("***@db/shop"), "the evidence has what the suite printed: {ledger}");
    assert_masked("the ledger", &ledger);
    assert_masked("`history`", &given(&shop, "--format json history").run().expect_code(0).text());
}

#[test]
fn t50_no_output_of_the_binary_follows_a_link() {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    shop.ok("run staging");
    let victim = shop.join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, shop.join("shop/report.xml")).unwrap();
    symlink(shop.join("nowhere"), shop.join("shop/dangling.xml")).unwrap();
    fs::create_dir(shop.join("outside")).unwrap();
    symlink(shop.join("outside"), shop.join("shop/out")).unwrap();
    for (line, path) in [
        ("test run staging --suite system --junit report.xml", "report.xml"),
        ("test run staging --suite system --junit dangling.xml", "dangling.xml"),
        ("test run staging --suite system --junit out/report.xml", "out"),
        ("lock generate --rev dev --output out", "out"),
        ("lock generate --rev dev --output out/deeper", "out"),
    ] {
        let refused = shop.ends(line, 2);
        assert!(refused.stderr().contains(path) && refused.stderr().contains("link"), "{line}: {refused}");
    }
    let summary = shop.join("shop/report.xml");
    let command = shop.orchestrator("--format github status").env("GITHUB_STEP_SUMMARY", &summary);
    let finished = command.run();
    assert!(finished.code() == Some(2) && finished.text().contains("report.xml"), "it is said: {finished}");
    assert!(!finished.text().contains("production"), "before the work: {finished}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!shop.join("nowhere").exists());
    assert_eq!(fs::read_dir(shop.join("outside")).unwrap().count(), 0);
}
