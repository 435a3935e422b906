//! What an environment runs in a namespace where it is deployed in that way no more.

use lock_model::ServiceName;

use super::environment::EnvironmentNamespace;
use crate::apply::left_objects;
use crate::error::DeployError;
use crate::helm::left_releases;
use crate::problem::{DeployProblem, DeployProblems, ProblemKind};
use crate::proof::{Finding, FindingKind};

/// The targets that write objects to a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterTargetKind {
    /// A helm release for each service.
    Helm,
    /// Plain manifests, with an inventory for each service.
    Apply,
}

impl ClusterTargetKind {
    /// What the configuration calls it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Helm => "helm",
            Self::Apply => "apply",
        }
    }
}

/// A service that goes on running in a namespace, as a target made it there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftBehind {
    /// The service.
    pub service: String,
    /// Its release or its objects.
    pub what: String,
    /// How a person removes it.
    pub way_out: String,
}

impl LeftBehind {
    pub(crate) fn new(service: &str, what: String, way_out: String) -> Self {
        Self { service: service.to_owned(), what, way_out }
    }

    /// A finding of a proof: it runs in `place`, where the environment does not deploy it any more.
    pub fn finding(&self, place: &str) -> Finding {
        let message =
            format!("{} goes on running in {place}, which nothing deploys any more; {}", self.what, self.way_out);
        let service = ServiceName::try_from(self.service.as_str()).ok();
        Finding { service, path: None, kind: FindingKind::Left, message }
    }
}

/// Why another target may not write a namespace; `None` where nothing is left.
pub fn refusal_of_left(made_by: ClusterTargetKind, left: &[LeftBehind]) -> Option<DeployError> {
    let problem = |left: &LeftBehind| {
        let message = format!(
            "{} was made with target `{}` and would go on running beside what is deployed now; {}",
            left.what,
            made_by.word(),
            left.way_out
        );
        let problem = DeployProblem::new(ProblemKind::Place, message);
        match ServiceName::try_from(left.service.as_str()) {
            Ok(service) => problem.service(&service),
            Err(_) => problem,
        }
    };
    DeployProblems::new(left.iter().map(problem).collect()).map(DeployError::from)
}

impl EnvironmentNamespace {
    /// What a target of this environment made here and that is still there; nothing where the namespace is of others.
    pub async fn left_behind(
        &self,
        made_by: ClusterTargetKind,
        environment: &str,
    ) -> Result<Vec<LeftBehind>, DeployError> {
        let state = self.connection.namespace_state(&self.name).await?;
        if state.is_none_or(|state| state.owner != self.owner(environment)) {
            return Ok(Vec::new());
        }
        match made_by {
            ClusterTargetKind::Helm => left_releases(&self.connection, &self.name).await,
            ClusterTargetKind::Apply => left_objects(&self.connection, &self.name).await,
        }
    }

    /// Whether another connection leads to this namespace too; `false` before the first deployment.
    pub async fn is_same_as(&self, other: &Self) -> Result<bool, DeployError> {
        if self.name != other.name {
            return Ok(false);
        }
        let own = self.connection.namespace_state(&self.name).await?;
        let others = other.connection.namespace_state(&other.name).await?;
        Ok(own.zip(others).is_some_and(|(own, other)| own.uid().is_some() && own.uid() == other.uid()))
    }
}
