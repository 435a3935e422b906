//! What is written about suites.

use qa::{Case, SuiteReport, Verdict, to_junit, to_markdown};
use serde_json::json;
use test_support::HOSTILE_TEXT;

fn reports() -> Vec<SuiteReport> {
    let cases = vec![
        Case::new("the cart answers", Verdict::Passed, ""),
        Case::new("the web answers", Verdict::Failed, "status is 503, expected <200>"),
        Case::new("orders", Verdict::Unknown, "no answer"),
    ];
    let mut smoke = SuiteReport::new("smoke", cases);
    smoke.log_tail = vec!["one & two".to_owned()];
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
        let cases = vec![Case::new(*hostile, Verdict::Failed, *hostile)];
        let mut report = SuiteReport::new(hostile, cases);
        report.log_tail = vec![(*hostile).to_owned()];
        let xml = to_junit(std::slice::from_ref(&report));
        assert_eq!(xml.matches('<').count(), 10, "{what}: {xml}");
        assert!(!xml.contains(raw), "{what}: {xml}");
        let markdown = to_markdown(&[report]);
        assert_eq!(markdown.lines().count(), 5, "{what}: {markdown}");
        assert!(!markdown.contains(raw), "{what}: {markdown}");
    }
}

#[test]
fn the_worst_case_is_the_verdict_and_no_case_is_unknown() {
    let verdict = |cases: &[Verdict]| {
        let cases = cases.iter().map(|verdict| Case::new("a case", *verdict, "")).collect();
        SuiteReport::new("smoke", cases).verdict
    };
    assert_eq!(verdict(&[]), Verdict::Unknown);
    assert_eq!(verdict(&[Verdict::Passed, Verdict::Passed]), Verdict::Passed);
    assert_eq!(verdict(&[Verdict::Skipped, Verdict::Passed]), Verdict::Skipped);
    assert_eq!(verdict(&[Verdict::Unknown, Verdict::Skipped]), Verdict::Unknown);
    assert_eq!(verdict(&[Verdict::Failed, Verdict::Unknown]), Verdict::Failed);
}

#[test]
fn a_report_is_written_as_its_schema_says() {
    let schema = schemars::schema_for!(SuiteReport).to_value();
    assert_eq!(schema["required"], json!(["suite", "verdict", "cases"]));
    assert_eq!(schema["$defs"]["Case"]["required"], json!(["name", "verdict"]));
    assert_eq!(
        serde_json::to_value(reports()).unwrap(),
        json!([
            {
                "suite": "smoke",
                "verdict": "failed",
                "cases": [
                    { "name": "the cart answers", "verdict": "passed" },
                    { "name": "the web answers", "verdict": "failed", "message": "status is 503, expected <200>" },
                    { "name": "orders", "verdict": "unknown", "message": "no answer" }
                ],
                "log_tail": ["one & two"]
            },
            { "suite": "load", "verdict": "skipped", "reason": "giving up", "cases": [] },
            { "suite": "system", "verdict": "unknown", "reason": "did not end within 2 s", "cases": [] }
        ])
    );
}
