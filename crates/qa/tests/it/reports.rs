//! What is written about suites.

use qa::{Case, SuiteReport, Verdict, to_junit, to_markdown};
use test_support::HOSTILE_TEXT;

fn case(name: &str, verdict: Verdict, message: &str) -> Case {
    Case { name: name.to_owned(), verdict, message: message.to_owned() }
}

fn reports() -> Vec<SuiteReport> {
    let smoke = SuiteReport {
        suite: "smoke".to_owned(),
        verdict: Verdict::Failed,
        reason: None,
        cases: vec![
            case("the cart answers", Verdict::Passed, ""),
            case("the web answers", Verdict::Failed, "status is 503, expected <200>"),
            case("orders", Verdict::Unknown, "no answer"),
        ],
        log_tail: vec!["one & two".to_owned()],
    };
    vec![smoke, SuiteReport::skipped("load", "giving up"), SuiteReport::unknown("system", "did not end within 2 s")]
}

#[test]
fn p18_a_suite_that_was_not_run_is_in_every_report() {
    assert!(!SuiteReport::skipped("load", "giving up").is_passed());
    insta::assert_snapshot!(to_junit(&reports()), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="orchestrator" tests="5" failures="1" errors="2" skipped="1">
      <testsuite name="smoke" tests="3" failures="1" errors="1" skipped="0">
        <testcase name="the cart answers" classname="smoke"/>
        <testcase name="the web answers" classname="smoke"><failure message="status is 503, expected &lt;200&gt;"/></testcase>
        <testcase name="orders" classname="smoke"><error message="no answer"/></testcase>
        <system-out>one &amp; two</system-out>
      </testsuite>
      <testsuite name="load" tests="1" failures="0" errors="0" skipped="1">
        <testcase name="load" classname="load"><skipped message="giving up"/></testcase>
      </testsuite>
      <testsuite name="system" tests="1" failures="0" errors="1" skipped="0">
        <testcase name="system" classname="system"><error message="did not end within 2 s"/></testcase>
      </testsuite>
    </testsuites>
    "#);
    insta::assert_snapshot!(to_markdown(&reports()), @r"
    | suite | verdict | passed | failed | unknown | skipped |
    |---|---|---:|---:|---:|---:|
    | `smoke` | failed | 1 | 1 | 1 | 0 |
    | `load` | skipped | 0 | 0 | 0 | 0 |
    | `system` | unknown | 0 | 0 | 0 | 0 |

    - `smoke` `the web answers` failed: `status is 503, expected <200>`
    - `smoke` `orders` unknown: `no answer`
    - `load` skipped: `giving up`
    - `system` unknown: `did not end within 2 s`
    ");
}

#[test]
fn t37_hostile_text_stays_text_in_both_reports() {
    let raw =
        |it: char| it != '\n' && (it.is_control() || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    for (what, hostile) in HOSTILE_TEXT {
        let report = SuiteReport {
            suite: (*hostile).to_owned(),
            verdict: Verdict::Failed,
            reason: None,
            cases: vec![case(hostile, Verdict::Failed, hostile)],
            log_tail: vec![(*hostile).to_owned()],
        };
        let xml = to_junit(std::slice::from_ref(&report));
        assert_eq!(xml.matches('<').count(), 10, "{what}: {xml}");
        assert!(!xml.contains(raw), "{what}: {xml}");
        let markdown = to_markdown(&[report]);
        assert_eq!(markdown.lines().count(), 5, "{what}: {markdown}");
        assert!(!markdown.contains(raw), "{what}: {markdown}");
    }
}
