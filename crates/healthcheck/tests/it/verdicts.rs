//! What follows from the answers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use healthcheck::{Check, CheckState, HealthReport, HealthVerdict, Probe, Severity, TcpProbe};
use tokio::sync::Barrier;

use crate::server::{Answer, Server, response};
use crate::{check, client, http_probe, run};

async fn three_kinds(severity: Severity) -> Vec<Check> {
    let server =
        Server::start(|path| if path == "/good" { response("200 OK", "", "") } else { response("500 No", "", "") })
            .await;
    let good = check("good", http_probe(&format!("{}/good", server.url)));
    let mut bad = check("bad", http_probe(&server.url));
    let mut unknown = check("unknown", Probe::Tcp(TcpProbe::new("nothing")));
    (bad.severity, unknown.severity) = (severity, severity);
    vec![good, bad, unknown]
}

#[tokio::test]
async fn p21_unknown_blocks_like_unhealthy() {
    let [good, bad, unknown] = three_kinds(Severity::Block).await.try_into().unwrap();
    for (checks, verdict) in [
        (vec![good.clone()], HealthVerdict::Healthy),
        (vec![good.clone(), bad], HealthVerdict::Blocked),
        (vec![good, unknown], HealthVerdict::Blocked),
    ] {
        let report = run(&checks).await;
        assert_eq!((report.verdict, report.is_healthy()), (verdict, verdict == HealthVerdict::Healthy));
    }
}

#[tokio::test]
async fn a_check_that_warns_degrades_and_stops_nothing() {
    let checks = three_kinds(Severity::Warn).await;
    let report = run(&checks).await;
    assert_eq!((report.verdict, report.is_healthy()), (HealthVerdict::Degraded, true));
    let names: Vec<(&str, CheckState)> = report.checks.iter().map(|it| (it.name.as_str(), it.state)).collect();
    assert_eq!(
        names,
        [("bad", CheckState::Unhealthy), ("good", CheckState::Healthy), ("unknown", CheckState::Unknown)],
        "sorted by name"
    );
    assert_eq!(report.not_healthy().len(), 2);
    let said = |report: HealthReport| -> Vec<String> { report.checks.into_iter().map(|it| it.detail).collect() };
    assert_eq!(said(run(&checks).await), said(report), "no detail ticks");
}

#[tokio::test]
async fn p21_what_is_unknown_after_the_last_retry_is_not_healthy() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let server = Server::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => response("500 No", "", ""),
        _ => response("200 OK", "", ""),
    })
    .await;
    let again = |probe: Probe| {
        let mut check = check("it", probe);
        check.retries = 1;
        check
    };
    let late = run(&[again(http_probe(&server.url))]).await;
    assert_eq!((late.verdict, late.checks[0].attempts), (HealthVerdict::Healthy, 2));
    assert!(late.checks[0].duration_ms >= 1000, "{late:?}");
    assert_eq!(
        run(&[again(http_probe(&server.url))]).await.checks[0].attempts,
        1,
        "a good answer is not asked for again"
    );
    let unknown = run(&[again(Probe::Tcp(TcpProbe::new("nothing")))]).await;
    assert_eq!((unknown.verdict, unknown.checks[0].attempts), (HealthVerdict::Blocked, 2));
}

#[tokio::test]
async fn b26_no_check_at_all_is_not_healthy() {
    let report = run(&[]).await;
    assert_eq!((report.verdict, report.is_healthy()), (HealthVerdict::NothingChecked, false));
}

#[tokio::test]
async fn checks_run_at_the_same_time_but_not_all_of_them() {
    let barrier = Arc::new(Barrier::new(2));
    let server = Server::start(move |_| Answer::Together(Arc::clone(&barrier))).await;
    let checks: Vec<Check> = (0..6).map(|number| check(&format!("check {number}"), http_probe(&server.url))).collect();
    let report = healthcheck::run(&checks, &client(), NonZeroUsize::new(2).unwrap()).await;
    assert_eq!(report.verdict, HealthVerdict::Healthy, "{report:?}");
    assert_eq!((server.requests().len(), server.most_at_once()), (6, 2));
}

#[test]
fn the_future_is_send() {
    fn assert_send(_: impl Send) {}
    let client = client();
    assert_send(healthcheck::run(&[], &client, NonZeroUsize::MIN));
}

#[tokio::test]
async fn a_report_is_written_as_its_schema_says() {
    let schema = schemars::schema_for!(HealthReport).to_value();
    let required = |part: &serde_json::Value| part["required"].clone();
    assert_eq!(required(&schema), serde_json::json!(["verdict", "checks"]));
    assert_eq!(
        required(&schema["$defs"]["CheckResult"]),
        serde_json::json!(["name", "state", "severity", "detail", "attempts", "duration_ms"])
    );
    let report = run(&[check("a", Probe::Tcp(TcpProbe::new("nothing")))]).await;
    let expected = serde_json::json!({
        "verdict": "blocked",
        "checks": [{
            "name": "a", "state": "unknown", "severity": "block", "detail": "tcp://nothing: the address is not HOST:PORT",
            "attempts": 1, "duration_ms": report.checks[0].duration_ms,
        }],
    });
    assert_eq!(serde_json::to_value(&report).unwrap(), expected);
    assert_eq!(report.checks[0].state.word(), "unknown");
}
