//! Checks against real sockets and real programs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

mod commands;
mod http;
mod server;
mod tcp;
mod verdicts;

use std::num::NonZeroUsize;
use std::sync::Once;
use std::time::Duration;

use healthcheck::{Check, CheckResult, HealthReport, HttpProbe, Probe, Severity, http_client};

/// Long enough for a busy machine, where an answer is expected.
const PATIENCE: Duration = Duration::from_secs(30);
/// Short, where none comes.
const IMPATIENCE: Duration = Duration::from_millis(300);

fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    http_client("orchestrator-test", PATIENCE).unwrap()
}

fn check(name: &str, probe: Probe) -> Check {
    Check { name: name.to_owned(), probe, severity: Severity::Block, deadline: PATIENCE }
}

fn http_probe(url: &str) -> Probe {
    Probe::Http(HttpProbe { url: url.parse().unwrap(), status: 200 })
}

async fn run(checks: &[Check]) -> HealthReport {
    healthcheck::run(checks, &client(), NonZeroUsize::new(4).unwrap()).await
}

async fn ask(probe: Probe, deadline: Duration) -> CheckResult {
    run(&[Check { deadline, ..check("the check", probe) }]).await.checks.remove(0)
}
