//! Checks against real sockets and real programs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

mod commands;
mod http;
mod queries;
mod server;
mod services;
mod tcp;
mod verdicts;

use std::num::NonZeroUsize;
use std::time::Duration;

use healthcheck::{Check, CheckResult, HealthReport, HttpClient, HttpProbe, Probe};

/// Long enough for a busy machine, where an answer is expected.
const PATIENCE: Duration = Duration::from_secs(30);
/// Short, where none comes.
const IMPATIENCE: Duration = Duration::from_millis(300);

fn client() -> HttpClient {
    HttpClient::new("orchestrator-test", PATIENCE).unwrap()
}

fn check(name: &str, probe: Probe) -> Check {
    Check::new(name, probe, PATIENCE)
}

fn http_probe(url: &str) -> Probe {
    Probe::Http(HttpProbe::new(url).unwrap())
}

async fn run(checks: &[Check]) -> HealthReport {
    healthcheck::run(checks, &client(), NonZeroUsize::new(4).unwrap()).await
}

async fn ask(probe: Probe, deadline: Duration) -> CheckResult {
    run(&[Check::new("the check", probe, deadline)]).await.checks.remove(0)
}
