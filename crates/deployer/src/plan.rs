//! What a deployment would do: the same for every target, apart from the detail.

use cluster::ReferenceReport;
use cluster::health::Permission;
use lock_model::{Digest, ServiceName};

use crate::apply::ApplyPlan;
use crate::batch::{BatchObject, late_references};
use crate::diff::ServiceChanges;
use crate::helm::HelmPlan;
use crate::image_pinning::UnpinnedImage;
use crate::noise::NoisyField;
use crate::problem::DeployProblems;
use crate::render::RenderPlan;

/// What a deployment would do, for review; [`Target::apply`](crate::Target::apply) does exactly that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Digest over everything that would be deployed: equal digests deploy the same.
    pub digest: Digest,
    /// What differs from what is deployed now; empty when nothing does.
    pub changes: Vec<Change>,
    /// The same for reviewers, service by service in the order of the request: what changes each, field by field. Empty for
    /// the target `render`, whose tree is the review.
    pub services: Vec<ServiceChanges>,
    /// Images that the lock does not decide.
    pub unpinned_images: Vec<UnpinnedImage>,
    /// Fields that differ and that are left out of the changes, since the environment calls them noise.
    pub noise: Vec<NoisyField>,
    /// What people should know besides, a sentence each.
    pub notes: Vec<String>,
    /// What objects of the plan name and neither it nor the cluster has; empty where no cluster was asked.
    pub references: ReferenceReport,
    /// What the target needs to apply the plan.
    pub detail: PlanDetail,
}

impl Plan {
    /// Whether the deployment changes anything.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.services.iter().any(ServiceChanges::changes)
    }

    /// The objects that the deployment writes to a cluster; empty where it writes to none.
    pub fn batch(&self) -> &[BatchObject] {
        match &self.detail {
            PlanDetail::Render(_) => &[],
            PlanDetail::Helm(plan) => &plan.batch,
            PlanDetail::Apply(plan) => &plan.batch,
        }
    }

    /// Refuses pods that need what only a later wave makes.
    pub(crate) fn in_order(self) -> Result<Self, DeployProblems> {
        DeployProblems::new(late_references(self.batch())).map_or(Ok(self), Err)
    }

    /// What this program writes for itself besides, and is not there yet, with the service that it is for: quotas count it.
    pub fn own_objects(&self) -> Vec<(String, cluster::Object)> {
        match &self.detail {
            PlanDetail::Render(_) => Vec::new(),
            PlanDetail::Helm(plan) => plan.own_objects(),
            PlanDetail::Apply(plan) => plan.own_objects(),
        }
    }

    /// Kinds that the deployment itself defines, so that a cluster may not serve them yet.
    pub fn defined_resources(&self) -> Vec<cluster::Resource> {
        match &self.detail {
            PlanDetail::Render(_) => Vec::new(),
            PlanDetail::Helm(plan) => cluster::defined_resources(plan.batch.iter().map(|object| &object.wanted)),
            PlanDetail::Apply(plan) => cluster::defined_resources(plan.batch.iter().map(|object| &object.wanted)),
        }
    }

    /// Everything that the deployment has to be permitted in a cluster.
    pub fn permissions(&self) -> Vec<Permission> {
        match &self.detail {
            PlanDetail::Render(_) => Vec::new(),
            PlanDetail::Helm(plan) => plan.permissions(),
            PlanDetail::Apply(plan) => plan.permissions(),
        }
    }
}

/// The part of a plan that belongs to its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanDetail {
    /// Of [`Target::Render`](crate::Target::Render).
    Render(RenderPlan),
    /// Of [`Target::Helm`](crate::Target::Helm).
    Helm(HelmPlan),
    /// Of [`Target::Apply`](crate::Target::Apply).
    Apply(ApplyPlan),
}

/// One thing that a deployment adds, removes or changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Change {
    /// The service it belongs to; none for the release's own record.
    pub service: Option<ServiceName>,
    /// What changes: for the target `render` the path of a file, else an object.
    pub path: String,
    /// What happens to it.
    pub kind: ChangeKind,
    /// The images that become others.
    pub images: Vec<ImageChange>,
}

/// What a deployment does to one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is removed.
    Removed,
    /// Its content becomes another.
    Changed,
}

/// One image of one object that becomes another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ImageChange {
    /// `Kind/name` of the object.
    pub object: String,
    /// Field of the object, such as `spec.template.spec.containers[0].image`.
    pub place: String,
    /// The image now; none where the field is new.
    pub from: Option<String>,
    /// The image afterwards; none where the field is removed.
    pub to: Option<String>,
}
