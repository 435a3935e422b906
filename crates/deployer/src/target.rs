//! The targets that exist, and what each of them can do.

use crate::applied::{Applied, ApplyOptions, DeployEvent};
use crate::apply::ApplyTarget;
use crate::error::DeployError;
use crate::helm::HelmTarget;
use crate::namespace::Foreign;
use crate::plan::{Plan, PlanDetail};
use crate::proof::Proof;
use crate::render::RenderTarget;
use crate::request::DeployRequest;

/// Where and how an environment is deployed.
#[derive(Clone, Debug)]
pub enum Target {
    /// Rendered manifests in a git branch and a folder.
    Render(RenderTarget),
    /// A helm release for each service in a namespace of a cluster.
    Helm(HelmTarget),
    /// Plain manifests in a namespace of a cluster.
    Apply(ApplyTarget),
}

impl Target {
    /// Compares a request with what is deployed now. Changes nothing; an error names every problem of every service.
    pub async fn plan(&self, request: &DeployRequest) -> Result<Plan, DeployError> {
        match self {
            Self::Render(target) => Box::pin(target.plan(request)).await,
            Self::Helm(target) => Box::pin(target.plan(request)).await,
            Self::Apply(target) => Box::pin(target.plan(request)).await,
        }
    }

    /// The same for a look at what differs from a release that is deployed: fields of other programs, which a deployment
    /// would refuse to take over, are differences. The plan is not to be applied.
    pub async fn plan_for_drift(&self, request: &DeployRequest) -> Result<Plan, DeployError> {
        match self {
            Self::Render(_) => self.plan(request).await,
            Self::Helm(target) => Box::pin(target.plan_for_drift(request)).await,
            Self::Apply(target) => Box::pin(target.taking_everything().plan(request)).await,
        }
    }

    /// Does what the plan says, and nothing else.
    ///
    /// It may take minutes; `events` is called in order, before and after each part. The same plan again changes
    /// nothing, and after an interruption the same call finishes the work.
    pub async fn apply(
        &self,
        plan: &Plan,
        options: &ApplyOptions,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<Applied, DeployError> {
        match (self, &plan.detail) {
            (Self::Render(target), PlanDetail::Render(detail)) => {
                Box::pin(target.apply(plan, detail, options, events)).await
            }
            (Self::Helm(target), PlanDetail::Helm(detail)) => Box::pin(target.apply(plan, detail, events)).await,
            (Self::Apply(target), PlanDetail::Apply(detail)) => Box::pin(target.apply(plan, detail, events)).await,
            (Self::Render(_) | Self::Helm(_) | Self::Apply(_), _) => Err(DeployError::Unusable {
                subject: "the plan".to_owned(),
                reason: "it is of another target".to_owned(),
            }),
        }
    }

    /// Reads what is deployed and compares it with the request.
    ///
    /// What differs is a finding of the proof; an error means that it could not be found out.
    pub async fn prove(&self, request: &DeployRequest) -> Result<Proof, DeployError> {
        match self {
            Self::Render(target) => Box::pin(target.prove(request)).await,
            Self::Helm(target) => Box::pin(target.prove(request)).await,
            Self::Apply(target) => Box::pin(target.prove(request)).await,
        }
    }

    /// What others wrote into the objects of a deployment, which deploying again leaves as it is.
    pub async fn foreign_fields(&self, request: &DeployRequest) -> Result<Foreign, DeployError> {
        match self {
            // The tree is replaced as a whole.
            Self::Render(_) => Ok(Foreign::default()),
            Self::Helm(target) => target.foreign_fields(request).await,
            Self::Apply(target) => target.foreign_fields(request).await,
        }
    }
}
