//! What a cluster is asked before a deployment.

use std::collections::BTreeSet;
use std::time::Instant;

use cluster::capacity::Demand;
use cluster::health::{HealthAnswer, Permission, credentials_health, references_health, replicas_health};
use cluster::{ClusterErrorKind, Patience};
use config::{ClusterCheck, ClusterChecks, Environment};
use deployer::{DeployError, EnvironmentNamespace, OccupiedPlace, Plan};
use healthcheck::{CheckResult, CheckState, Severity, late, until_healthy};
use lock_model::ErrorClass;
use process::Priority;

use super::container_suites::SuiteNeeds;
use super::deploy::Deployable;
use super::health::weight;
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
    /// None was asked for, or the check `api` blocks the deployment already.
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
    let until = before(context.deadline, Instant::now());
    let role = format!("`orchestrator permissions {} --role` prints the whole Role", environment.name);
    let remedy = format!("`orchestrator deploy {} --again`", environment.name);
    let asking = Asking { context, target: &target, checks, until, remedy, role, suites };
    let namespace = place.namespace.namespace.as_str();
    let foreign = deployable.is_none_or(|deployable| deployable.request.occupied == OccupiedPlace::Refuse);
    let environment = environment.name.as_str();
    let (api, namespace_found, nodes, clock) = tokio::join!(
        asking.ask(ClusterCheck::Api, |target, _| async move { target.connection().api_health().await }),
        asking.ask(ClusterCheck::Namespace, |target, _| async move {
            own_namespace(&target, namespace, environment, foreign).await
        }),
        asking.ask(ClusterCheck::Nodes, |target, _| async move {
            target.connection().nodes_health(checks.ready_nodes).await
        }),
        asking.ask(
            ClusterCheck::Clock,
            |target, _| async move { target.connection().clock_health(|| context.now()).await }
        ),
    );
    let certificate =
        asking.ask(ClusterCheck::Certificate, |_, _| async { credentials_health(lifetime, context.now()) }).await;
    let blocks = api.as_ref().is_some_and(|api| api.state != CheckState::Healthy && api.severity == Severity::Block);
    let mut found: Vec<CheckResult> = [api, namespace_found, nodes, clock, certificate].into_iter().flatten().collect();
    let Some(deployable) = deployable.filter(|_| !blocks) else {
        return Ok(Some(ClusterHealth { checks: found, plan: PlanFound::NotMade }));
    };
    let plan = match deployable.compare(context).await? {
        Ok(plan) => {
            found.extend(Box::pin(asking.plan(deployable, &plan, namespace)).await);
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
    context: &'a Context,
    target: &'a EnvironmentNamespace,
    checks: &'a ClusterChecks,
    /// When the command needs the rest of its time for itself.
    until: Instant,
    /// The command that writes what is deployed already once more.
    remedy: String,
    /// Which command prints the rights that a deployment needs.
    role: String,
    /// What the environment's suites need.
    suites: &'a SuiteNeeds,
}

impl Asking<'_> {
    /// The result of one check, each answer within its deadline; `None` where it is off. `question` is given whom it asks,
    /// and the number of the attempt.
    async fn ask<F: Future<Output = HealthAnswer>>(
        &self,
        check: ClusterCheck,
        question: impl Fn(EnvironmentNamespace, u32) -> F,
    ) -> Option<CheckResult> {
        let rule = self.checks.rules.get(&check)?;
        let severity = weight(rule.severity)?;
        let ask = |attempt| {
            let deadline = rule.deadline.min(self.until.saturating_duration_since(Instant::now()));
            // What is temporary is asked again for a part of the deadline, so that its reason is known by then.
            let patience = Patience { request: deadline, retries: deadline / 3 };
            let answer = tokio::time::timeout(deadline, question(self.target.clone().with_patience(patience), attempt));
            async move {
                match answer.await {
                    Ok(HealthAnswer::Healthy(well)) => (CheckState::Healthy, well),
                    Ok(HealthAnswer::Unhealthy(wrong)) => (CheckState::Unhealthy, wrong.join("; ")),
                    Ok(HealthAnswer::Unknown(unknown)) => (CheckState::Unknown, unknown.join("; ")),
                    Err(_) => late(deadline),
                }
            }
        };
        Some(until_healthy(check.as_str(), severity, rule.retries, Some(self.until), ask).await)
    }

    /// What depends on what is deployed.
    async fn plan(&self, deployable: &Deployable, plan: &Plan, namespace: &str) -> Vec<CheckResult> {
        let (own, mut demands) = (plan.own_objects(), self.suites.demands(plan));
        demands.extend(own.iter().map(|(service, wanted)| Demand {
            service,
            wave: 0,
            wanted,
            live: None,
            ends_with_wave: false,
        }));
        let demands = &demands;
        let (permissions, quota, capacity, references, replicas) = tokio::join!(
            self.permissions(plan),
            self.ask(ClusterCheck::Quota, |target, _| async move {
                target.connection().quota_health(namespace, demands).await
            }),
            self.ask(ClusterCheck::Capacity, |target, _| async move {
                target.connection().capacity_health(namespace, demands).await
            }),
            self.ask(ClusterCheck::References, |_, attempt| {
                self.of_plan(deployable, plan, attempt, |plan| references_health(&plan.references))
            }),
            self.ask(ClusterCheck::Replicas, |_, attempt| {
                self.of_plan(deployable, plan, attempt, |plan| {
                    replicas_health(&self.suites.demands(plan), &self.remedy)
                })
            }),
        );
        [permissions, quota, capacity, references, replicas].into_iter().flatten().collect()
    }

    /// What a plan says by itself: another answer needs a plan that was made again.
    async fn of_plan(
        &self,
        deployable: &Deployable,
        plan: &Plan,
        attempt: u32,
        judge: impl Fn(&Plan) -> HealthAnswer,
    ) -> HealthAnswer {
        if attempt == 1 {
            return judge(plan);
        }
        match Box::pin(deployable.compare(self.context)).await {
            Ok(Ok(again)) => judge(&again),
            Ok(Err(error)) => HealthAnswer::Unknown(vec![error.to_string().replace('\n', "; ")]),
            Err(error) => HealthAnswer::Unknown(vec![error.to_string()]),
        }
    }

    async fn permissions(&self, plan: &Plan) -> Option<CheckResult> {
        let permissions: BTreeSet<Permission> =
            plan.permissions().into_iter().chain(self.suites.permissions.iter().cloned()).collect();
        let permissions: Vec<Permission> = permissions.into_iter().collect();
        let (permissions, defined) = (&permissions, &plan.defined_resources());
        let question = |target: EnvironmentNamespace, _| async move {
            match target.connection().permissions_health(permissions, defined).await {
                HealthAnswer::Unhealthy(mut missing) => {
                    missing.push(self.role.clone());
                    HealthAnswer::Unhealthy(missing)
                }
                other => other,
            }
        };
        self.ask(ClusterCheck::Permissions, question).await
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
