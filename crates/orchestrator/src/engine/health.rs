//! The health step.

use std::num::NonZeroUsize;

use ::promotion::attempts::Purpose;
use config::{CheckSeverity, Environment};
use healthcheck::{CheckResult, HealthReport, HttpClient, Severity};
use ledger::{Step, StepResult};

use super::Engine;
use super::cluster_health::{PlanFound, cluster_health};
use super::cluster_services::ClusterServices;
use super::container_suites::SuiteNeeds;
use super::deploy::Deployable;
use super::execution::{CONNECT_DEADLINE, USER_AGENT, Workspace, values_of};
use super::probe_questions::Questions;
use super::step_outcome::StepOutcome;
use crate::cluster_target::ClusterPlace;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::count;
use crate::revision::Revision;
use crate::secrets::redactor;

/// How many probes are asked at once.
const CONCURRENCY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

impl Engine<'_> {
    pub(super) async fn ask_health(&mut self) -> Result<StepOutcome> {
        let deployable = if self.deploys { Some(Box::pin(self.deployable_with_settings()).await?) } else { None };
        let about = match &deployable {
            Some(deployable) => About::Deployment(deployable),
            None => About::Nothing,
        };
        let failing = match self.purpose {
            Purpose::Rollback => FailingProbes::Warn,
            Purpose::Run => {
                let mut records = self.store.ledger().of(&self.environment.name);
                let was_deployed = records.any(|record| record.is(Step::Deploy, StepResult::Ok));
                if was_deployed { FailingProbes::AsConfigured } else { FailingProbes::WarnOfServices }
            }
        };
        let Some(found) = health(self.context, &self.revision, &self.environment, about, failing).await? else {
            return Ok(StepOutcome::ok("no probes are configured"));
        };
        let report = found.report;
        match (found.plan, &deployable) {
            (PlanFound::Made(plan), _) => self.planned = Some(*plan),
            // A reason that a check has found says more.
            (PlanFound::Failed(error), Some(deployable)) if report.is_healthy() => {
                return Err(Box::pin(deployable.not_planned(self.context, error)).await);
            }
            (PlanFound::Failed(_) | PlanFound::NotMade, _) => {}
        }
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

/// What an environment is asked about, apart from its own state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    Nothing,
    /// Whether there is room for it, and everything is permitted.
    Deployment(&'a Deployable),
}

/// What a probe that fails means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailingProbes {
    /// What its `severity` says.
    AsConfigured,
    /// Those of Services in the namespace are warnings: the first deployment brings what they ask.
    WarnOfServices,
    /// All are warnings: a rollback takes away what they may fail for.
    Warn,
}

impl FailingProbes {
    fn severity(self, probe: &config::Probe) -> Option<Severity> {
        let warns = match self {
            Self::AsConfigured => false,
            Self::WarnOfServices => probe.service().is_some(),
            Self::Warn => true,
        };
        warns.then_some(Severity::Warn)
    }
}

/// What a finding weighs; `None` where the check is not asked.
pub(super) fn weight(severity: CheckSeverity) -> Option<Severity> {
    match severity {
        CheckSeverity::Block => Some(Severity::Block),
        CheckSeverity::Warn => Some(Severity::Warn),
        CheckSeverity::Off => None,
    }
}

/// What an environment said.
#[derive(Debug)]
pub(crate) struct HealthFound {
    pub report: HealthReport,
    /// The plan that its cluster was asked about.
    pub plan: PlanFound,
}

/// Runs every check of an environment; `None` where it has none.
pub(crate) async fn health(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
    about: About<'_>,
    failing: FailingProbes,
) -> Result<Option<HealthFound>> {
    let health = &environment.health;
    let place = ClusterPlace::of(context, &revision.config, environment);
    let deployable = match about {
        About::Nothing => None,
        About::Deployment(deployable) => Some(deployable),
    };
    if health.questions().next().is_none() && place.is_none() {
        return Ok(None);
    }
    let suites = SuiteNeeds::of(revision, environment)?;
    let (probes, cluster) = tokio::join!(
        Box::pin(probed(context, revision, environment, failing)),
        Box::pin(cluster_health(context, place.as_ref(), environment, deployable, &suites)),
    );
    let mut checks = probes?;
    let mut plan = PlanFound::NotMade;
    if let Some(cluster) = cluster? {
        checks.extend(cluster.checks);
        plan = cluster.plan;
    }
    let redactor = redactor(context, revision)?;
    Ok(Some(HealthFound { report: HealthReport::new(checks).redacted(&redactor), plan }))
}

/// The results of the probes of an environment and of what it depends on.
async fn probed(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
    failing: FailingProbes,
) -> Result<Vec<CheckResult>> {
    let health = &environment.health;
    if health.questions().next().is_none() {
        return Ok(Vec::new());
    }
    let mut questions = Questions {
        context,
        revision,
        values: values_of(context, revision, environment)?,
        redactor: redactor(context, revision)?,
        services: Box::pin(ClusterServices::open(context, revision, environment)).await?,
        workspace: Workspace::new(context, revision),
    };
    let checks = health.questions().filter_map(|(name, probe)| {
        let severity = weight(probe.severity)?;
        Some(questions.check(name, probe, failing.severity(probe).unwrap_or(severity)))
    });
    let checks = checks.collect::<Result<Vec<_>>>()?;
    let client = HttpClient::new(USER_AGENT, CONNECT_DEADLINE)
        .map_err(|error| Error::from_source(ErrorKind::Bug, "the HTTP client cannot be made", error))?;
    Ok(healthcheck::run(&checks, &client, CONCURRENCY).await.checks)
}
