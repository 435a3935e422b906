//! Comparing what helm stored, and what runs, with a request.

use super::removed::LeftRelease;
use super::stored::{Status, releases, stored_releases};
use super::target::{AppliedRelease, HelmTarget};
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::namespace::{
    Deployed, ForeignFields, Inspection, RunningContainer, foreign_fields, inspect, running, unproven_endpoints,
};
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
    /// What others wrote into the objects that helm stored.
    pub(crate) async fn foreign_fields(&self, request: &DeployRequest) -> Result<Vec<ForeignFields>, DeployError> {
        let connection = &self.namespace.connection;
        let stored = stored_releases(connection, &self.namespace.name).await?;
        let mut found = Vec::new();
        for service in &request.services {
            let Some(stored) = stored.get(service.name.as_str()) else { continue };
            found.extend(foreign_fields(connection, &service.name, &stored.rendering, &self.namespace.name).await?);
        }
        Ok(found)
    }

    /// Reads what is there; helm is not started.
    pub(crate) async fn prove(&self, request: &DeployRequest) -> Result<Proof, DeployError> {
        let mut findings = self.namespace.prove_release(request).await?;
        let connection = &self.namespace.connection;
        let found = releases(connection, &self.namespace.name).await?;
        let left = LeftRelease::find(connection, request, &found).await?;
        findings.extend(left.iter().map(|left| left.finding(request.removed)));
        let stored = found.stored;
        let pins = Pins::new(request.images());
        let (mut images, mut unpinned) = (Vec::new(), Vec::new());
        let (mut releases, mut renderings) = (Vec::new(), Vec::new());
        for service in &request.services {
            let mut find = |kind, message: String| {
                findings.push(Finding { service: Some(service.name.clone()), path: None, kind, message });
            };
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
                find(FindingKind::of(kind), message);
            }
            images.extend(proven);
            unpinned.extend(listed);
            releases.push(AppliedRelease { service: service.name.clone(), revision: stored.revision });
            renderings.push((service, &stored.rendering));
        }
        let deployed: Vec<_> =
            renderings.iter().map(|(service, stored)| Deployed { service, stored, declared: stored }).collect();
        let running = running(connection, request, &pins, &deployed).await?;
        findings.extend(running.findings);
        findings.extend(unproven_endpoints(connection, &pins, &renderings, &running.containers).await?);
        findings.sort();
        findings.dedup();
        let detail = HelmProof {
            namespace: self.namespace.name.clone(),
            releases,
            running: running.containers.into_iter().collect(),
        };
        let proof = Proof::new(ProofLevel::Running, ProofDetail::Helm(detail), findings);
        Ok(Proof { ending: running.ending, images, unpinned_images: unpinned, ..proof })
    }
}
