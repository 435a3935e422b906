//! What a cluster is asked before a deployment.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cluster::capacity::Demand;
use cluster::health::{HealthAnswer, Permission, credentials_health, references_health, replicas_health};
use cluster::{ClusterErrorKind, Connection, Patience};
use config::{CheckSeverity, ClusterCheck, ClusterChecks, Environment};
use deployer::{DeployError, EnvironmentNamespace, OccupiedPlace, Plan};
use healthcheck::{CheckResult, CheckState, Severity};
use lock_model::ErrorClass;
use process::Priority;

use super::container_suites::SuiteNeeds;
use super::deploy::Deployable;
use crate::cluster_target::{ClusterPlace, before};
use crate::context::Context;
use crate::error::Result;

/// What the cluster of an environment said.
#[derive(Debug)]
pub(crate) struct ClusterHealth {
    pub checks: Vec<CheckResult>,
    pub plan: PlanFound,
}

/// What became of the plan of the deployment that the cluster was asked about.
#[derive(Debug)]
pub(crate) enum PlanFound {
    /// None was asked for, or the API server does not answer.
    NotMade,
    Made(Box<Plan>),
    Failed(DeployError),
}

/// Asks the cluster of an environment; with a deployment, whether there is room for it and everything
/// is permitted, for its suites as well.
/// `None` where the environment has no cluster.
pub(crate) async fn cluster_health(
    context: &Context,
    place: Option<&ClusterPlace>,
    environment: &Environment,
    deployable: Option<&Deployable>,
    suites: &SuiteNeeds,
) -> Result<Option<ClusterHealth>> {
    let Some(place) = place else { return Ok(None) };
    let checks = &environment.health.checks;
    let (target, lifetime) = place.open_with_lifetime(context).await?;
    // One question is asked again within its deadline.
    let now = Instant::now();
    let deadline = checks.deadline.min(before(context.deadline, now).saturating_duration_since(now));
    let part = deadline / 3;
    let target = target.with_patience(Patience { request: part, retries: part });
    let connection = target.connection();
    let role = format!("`orchestrator permissions {} --role` prints the whole Role", environment.name);
    let remedy = format!("`orchestrator deploy {} --again`", environment.name);
    let asking = Asking { connection, checks, deadline, remedy, role, suites };
    let namespace = place.namespace.namespace.as_str();
    let foreign = deployable.is_none_or(|deployable| deployable.request.occupied == OccupiedPlace::Refuse);
    let environment = environment.name.as_str();
    let (api, namespace_found, nodes, clock) = tokio::join!(
        asking.ask(ClusterCheck::Api, connection.api_health()),
        asking.ask(ClusterCheck::Namespace, own_namespace(&target, namespace, environment, foreign)),
        asking.ask(ClusterCheck::Nodes, connection.nodes_health(checks.ready_nodes)),
        asking.ask(ClusterCheck::Clock, connection.clock_health(|| context.now())),
    );
    let certificate =
        asking.ask(ClusterCheck::Certificate, async { credentials_health(lifetime, context.now()) }).await;
    let answers = api.as_ref().is_none_or(|api| api.state == CheckState::Healthy);
    let mut found: Vec<CheckResult> = [api, namespace_found, nodes, clock, certificate].into_iter().flatten().collect();
    let Some(deployable) = deployable.filter(|_| answers) else {
        return Ok(Some(ClusterHealth { checks: found, plan: PlanFound::NotMade }));
    };
    let plan = match deployable.compare(context).await? {
        Ok(plan) => {
            found.extend(Box::pin(asking.plan(&plan, namespace)).await);
            PlanFound::Made(Box::new(plan))
        }
        Err(error) if error.class() == ErrorClass::Denied => {
            // What is rendered without the cluster says what has to be permitted.
            if let Ok(plan) = deployable.render(context, Priority::Usual).await {
                found.extend(asking.permissions(&plan).await);
            }
            PlanFound::Failed(error)
        }
        Err(error) => PlanFound::Failed(error),
    };
    Ok(Some(ClusterHealth { checks: found, plan }))
}

impl PlanFound {
    /// A plan that cannot be made, as a check; `None` where one was made, or not asked for.
    pub(crate) fn check(&self) -> Option<CheckResult> {
        let error = match self {
            Self::NotMade | Self::Made(_) => return None,
            Self::Failed(error) => error,
        };
        let state = match error.class() {
            ErrorClass::Invalid => CheckState::Unhealthy,
            ErrorClass::NotFound
            | ErrorClass::Denied
            | ErrorClass::Temporary
            | ErrorClass::Storage
            | ErrorClass::Bug => CheckState::Unknown,
        };
        Some(CheckResult::new("plan", state, Severity::Block, error.to_string().replace('\n', "; ")))
    }
}

/// The checks of one environment, and whom they ask.
struct Asking<'a> {
    connection: &'a Connection,
    checks: &'a ClusterChecks,
    /// How long each may take.
    deadline: Duration,
    /// The command that writes what is deployed already once more.
    remedy: String,
    /// Which command prints the rights that a deployment needs.
    role: String,
    /// What the environment's suites need.
    suites: &'a SuiteNeeds,
}

impl Asking<'_> {
    /// The result of one check, within its deadline; `None` where it is off.
    async fn ask(&self, check: ClusterCheck, question: impl Future<Output = HealthAnswer>) -> Option<CheckResult> {
        let severity = match self.checks.severities.get(&check) {
            Some(CheckSeverity::Block) | None => Severity::Block,
            Some(CheckSeverity::Warn) => Severity::Warn,
            Some(CheckSeverity::Off) => return None,
        };
        let deadline = self.deadline;
        let (state, detail) = match tokio::time::timeout(deadline, question).await {
            Ok(HealthAnswer::Healthy(well)) => (CheckState::Healthy, well),
            Ok(HealthAnswer::Unhealthy(wrong)) => (CheckState::Unhealthy, wrong.join("; ")),
            Ok(HealthAnswer::Unknown(unknown)) => (CheckState::Unknown, unknown.join("; ")),
            Err(_) => (CheckState::Unknown, format!("no answer within {} s", deadline.as_secs())),
        };
        Some(CheckResult::new(check.as_str(), state, severity, detail))
    }

    /// What depends on what is deployed.
    async fn plan(&self, plan: &Plan, namespace: &str) -> Vec<CheckResult> {
        let (own, mut demands) = (plan.own_objects(), self.suites.demands(plan));
        demands.extend(own.iter().map(|(service, wanted)| Demand {
            service,
            wave: 0,
            wanted,
            live: None,
            ends_with_wave: false,
        }));
        let (permissions, quota, capacity, references, replicas) = tokio::join!(
            self.permissions(plan),
            self.ask(ClusterCheck::Quota, self.connection.quota_health(namespace, &demands)),
            self.ask(ClusterCheck::Capacity, self.connection.capacity_health(namespace, &demands)),
            self.ask(ClusterCheck::References, async { references_health(&plan.references) }),
            self.ask(ClusterCheck::Replicas, async { replicas_health(&demands, &self.remedy) }),
        );
        [permissions, quota, capacity, references, replicas].into_iter().flatten().collect()
    }

    async fn permissions(&self, plan: &Plan) -> Option<CheckResult> {
        let permissions: BTreeSet<Permission> =
            plan.permissions().into_iter().chain(self.suites.permissions.iter().cloned()).collect();
        let permissions: Vec<Permission> = permissions.into_iter().collect();
        let answer = async {
            match self.connection.permissions_health(&permissions, &plan.defined_resources()).await {
                HealthAnswer::Unhealthy(mut missing) => {
                    missing.push(self.role.clone());
                    HealthAnswer::Unhealthy(missing)
                }
                other => other,
            }
        };
        self.ask(ClusterCheck::Permissions, answer).await
    }
}

/// Whether a namespace is there and, unless it is taken over, this environment's.
async fn own_namespace(
    target: &EnvironmentNamespace,
    namespace: &str,
    environment: &str,
    foreign_is_wrong: bool,
) -> HealthAnswer {
    let found = target.connection().namespace_health(namespace).await;
    match &found {
        HealthAnswer::Unhealthy(_) => return found,
        HealthAnswer::Healthy(_) | HealthAnswer::Unknown(_) => {}
    }
    match target.other_owner(environment).await {
        Ok(Some(other)) if foreign_is_wrong => {
            HealthAnswer::Unhealthy(vec![format!("namespace `{namespace}` belongs to {other}")])
        }
        Ok(_) => found,
        Err(error) => {
            let unknown = format!("whose namespace `{namespace}` is, is not known: {error}");
            let role = matches!(&error, DeployError::Cluster(cause) if matches!(cause.kind(), ClusterErrorKind::Forbidden { .. }));
            let role =
                role.then(|| format!("`orchestrator permissions {environment} --role` prints the Role that is needed"));
            HealthAnswer::Unknown(std::iter::once(unknown).chain(role).collect())
        }
    }
}
