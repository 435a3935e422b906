//! Comparing what helm stored, and what runs, with a request.

use lock_model::ServiceName;

use super::inspect::{Inspection, inspect};
use super::running::{RunningContainer, running};
use super::state::NamespaceState;
use super::stored::{Status, stored_releases};
use super::target::{AppliedRelease, HelmTarget};
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::problem::{ProblemKind, escaped};
use crate::proof::{Finding, FindingKind, Proof, ProofDetail, ProofLevel};
use crate::request::DeployRequest;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct HelmProof {
    /// The namespace.
    pub namespace: String,
    /// The newest revision of each service's release.
    pub releases: Vec<AppliedRelease>,
    /// Every container that runs a locked image.
    pub running: Vec<RunningContainer>,
}

impl HelmTarget {
    /// Reads what is there; helm is not started.
    pub(crate) async fn prove(&self, request: &DeployRequest) -> Result<Proof, DeployError> {
        let mut findings = self.prove_release(request).await?;
        let stored = stored_releases(self.connection(), self.namespace()).await?;
        let pins = Pins::new(request.images());
        let (mut images, mut unpinned) = (Vec::new(), Vec::new());
        let (mut releases, mut containers) = (Vec::new(), Vec::new());
        for service in &request.services {
            let mut find = |kind, message: String| findings.push(finding(Some(&service.name), kind, message));
            let Some(stored) = stored.get(service.name.as_str()) else {
                find(FindingKind::NothingDeployed, "is deployed here, but there is no such helm release".to_owned());
                continue;
            };
            if stored.status != Status::Deployed {
                let message = format!("revision {} of its helm release is {}", stored.revision, stored.status);
                find(FindingKind::NothingDeployed, message);
            }
            let Inspection { violations, proven, unpinned: listed, not_started: _ } =
                inspect(request, service, &pins, &stored.rendering);
            for (kind, message) in violations {
                find(kind_of(kind), message);
            }
            images.extend(proven);
            unpinned.extend(listed);
            releases.push(AppliedRelease { service: service.name.clone(), revision: stored.revision });
            let running = running(self.connection(), request, service, &pins, &stored.rendering).await?;
            findings.extend(running.findings);
            containers.extend(running.containers);
        }
        findings.sort();
        findings.dedup();
        let detail = HelmProof { namespace: self.namespace().to_owned(), releases, running: containers };
        let proof = Proof::new(ProofLevel::Running, ProofDetail::Helm(detail), findings);
        Ok(Proof { images, unpinned_images: unpinned, ..proof })
    }

    /// Whose the namespace is, and which release was completed there last.
    async fn prove_release(&self, request: &DeployRequest) -> Result<Vec<Finding>, DeployError> {
        let Some(state) = NamespaceState::read(self.connection(), self.namespace()).await? else {
            let message = format!("nothing was deployed to {}", self.subject());
            return Ok(vec![finding(None, FindingKind::Missing, message)]);
        };
        let mut findings = Vec::new();
        if let Some(other) = state.other_owner(self.owner(request.environment.as_str())) {
            let message = format!("{} belongs to {other}", self.subject());
            findings.push(finding(None, FindingKind::Release, message));
        }
        for (key, wanted) in [("release", request.release.as_str()), ("lock", request.lock.as_str())] {
            let found = state.text(key);
            if found != wanted {
                let message = if found.is_empty() {
                    format!("{} does not say which {key} is there", self.subject())
                } else {
                    format!("{} has {key} `{}`, expected is `{wanted}`", self.subject(), escaped(&found))
                };
                findings.push(finding(None, FindingKind::Release, message));
            }
        }
        Ok(findings)
    }
}

fn finding(service: Option<&ServiceName>, kind: FindingKind, message: String) -> Finding {
    Finding { service: service.cloned(), path: None, kind, message }
}

fn kind_of(kind: ProblemKind) -> FindingKind {
    match kind {
        ProblemKind::Namespace | ProblemKind::ClusterScoped | ProblemKind::Privileged => FindingKind::Reach,
        ProblemKind::UnpinnedImage => FindingKind::UnpinnedImage,
        ProblemKind::NothingToDeploy => FindingKind::NothingDeployed,
        ProblemKind::Duplicate => FindingKind::Duplicate,
        ProblemKind::Image => FindingKind::Image,
        ProblemKind::Request
        | ProblemKind::Path
        | ProblemKind::Place
        | ProblemKind::Unreadable
        | ProblemKind::NeedsHelm
        | ProblemKind::Chart
        | ProblemKind::Unstable
        | ProblemKind::Cluster
        | ProblemKind::Reference
        | ProblemKind::Label
        | ProblemKind::NeedsKustomize
        | ProblemKind::Proof => FindingKind::Unreadable,
    }
}
