//! The health step.

use std::num::NonZeroUsize;
use std::time::Duration;

use config::{Dependency, Environment, ProbeKind};
use healthcheck::{Check, CommandProbe, HealthReport, HttpClient, HttpProbe, Probe, Severity, TcpProbe};

use super::Engine;
use super::execution::{CONNECT_DEADLINE, USER_AGENT, Workspace, expand, values_of};
use super::step_outcome::StepOutcome;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::count;
use crate::revision::Revision;
use crate::secrets::redactor;

/// How many probes are asked at once.
const CONCURRENCY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);
/// How long a dependency may take to answer.
const DEPENDENCY_DEADLINE: Duration = Duration::from_secs(5);

impl Engine<'_> {
    pub(super) async fn ask_health(&mut self) -> Result<StepOutcome> {
        let report = health(self.context, &self.revision, &self.environment).await?;
        let Some(report) = report else {
            return Ok(StepOutcome::ok("no probes are configured"));
        };
        let detail = summary(&report);
        let answer = if report.is_healthy() {
            StepOutcome::ok(detail)
        } else {
            StepOutcome::failed(ErrorKind::Negative, detail)
        };
        let mut answer = answer.document("health.json", &report);
        if report.is_healthy() {
            answer
                .warnings
                .extend(report.not_healthy().iter().map(|check| format!("{}: {}", check.name, check.detail)));
        }
        Ok(answer)
    }
}

/// The failed checks, a line each, or the number of checks where all are healthy.
pub(super) fn summary(report: &HealthReport) -> String {
    let bad = report.not_healthy();
    if bad.is_empty() {
        return format!("{} healthy", count(report.checks.len(), "check"));
    }
    bad.iter().map(|check| format!("{}: {}", check.name, check.detail)).collect::<Vec<_>>().join("\n")
}

/// Runs every check of an environment; `None` where the configuration has no checks.
pub(crate) async fn health(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
) -> Result<Option<HealthReport>> {
    let health = &environment.health;
    if health.probes.is_empty() && health.dependencies.is_empty() {
        return Ok(None);
    }
    let values = values_of(context, revision, environment)?;
    let redactor = redactor(context, revision)?;
    let mut workspace = Workspace::new(context, revision);
    let mut checks = Vec::new();
    for (name, probe) in &health.probes {
        let question = match &probe.kind {
            ProbeKind::Http { url, status } => {
                let probe = http_probe(name, &expand(url, &values)?)?.status(*status);
                Probe::Http(probe.redactor(redactor.clone()))
            }
            ProbeKind::Tcp { address } => Probe::Tcp(TcpProbe::new(address)),
            ProbeKind::Command(command) => {
                let ready = workspace.command(command, &[], &values)?;
                let mut probe = CommandProbe::new(ready.program, ready.folder);
                (probe.args, probe.envs) = (ready.arguments, ready.environment);
                probe.interrupt = context.surroundings.interrupt.clone();
                probe.redactor = redactor.clone();
                Probe::Command(probe)
            }
        };
        let severity = match probe.severity {
            config::Severity::Block => Severity::Block,
            config::Severity::Warn => Severity::Warn,
        };
        let mut check = Check::new(name, question, probe.deadline);
        check.severity = severity;
        checks.push(check);
    }
    for (name, dependency) in &health.dependencies {
        let probe = match dependency {
            Dependency::Http(url) => Probe::Http(http_probe(name, &expand(url, &values)?)?.redactor(redactor.clone())),
            Dependency::Tcp(address) => Probe::Tcp(TcpProbe::new(address)),
        };
        checks.push(Check::new(name, probe, DEPENDENCY_DEADLINE));
    }
    let client = HttpClient::new(USER_AGENT, CONNECT_DEADLINE)
        .map_err(|error| Error::from_source(ErrorKind::Bug, "the HTTP client cannot be made", error))?;
    Ok(Some(healthcheck::run(&checks, &client, CONCURRENCY).await.redacted(&redactor)))
}

fn http_probe(name: &str, url: &str) -> Result<HttpProbe> {
    HttpProbe::new(url)
        .map_err(|error| Error::from_source(ErrorKind::Usage, format!("probe `{name}` asks no URL"), error))
}
