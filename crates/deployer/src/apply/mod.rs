//! The target `apply`: plain manifests, applied on the server with a field manager of our own.
//!
//! Everything is validated by the API server before the first write, and what a service no longer has is removed by an
//! inventory that knows the objects it made.

mod adjust;
mod changes;
mod inventory;
mod kustomization;
mod live;
mod order;
mod ownership;
mod plan;
mod proof;
mod target;
mod write;

use std::collections::BTreeSet;

pub use plan::{ApplyPlan, ObjectAction, PlannedObject, PlannedService, plan_from_nothing};
pub use proof::ApplyProof;
pub use target::ApplyTarget;
pub use write::ApplyApplied;

pub(crate) use inventory::left_objects;
pub(crate) use kustomization::rendered;
pub(crate) use ownership::LAST_APPLIED;

/// What happens to fields that another manager owns: a plan that would set them is refused, but for these managers.
///
/// What `kubectl apply`, `kubectl create` and helm 3 wrote whole is moved to us in any case, and the replicas that
/// `kubectl scale` set are taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConflictRule {
    /// Field managers whose fields are taken over.
    take: BTreeSet<String>,
    /// Whether those of all others are as well; for plans that are looked at and never applied.
    take_all: bool,
}

impl ConflictRule {
    /// Takes the fields of these managers over.
    pub fn new(take: BTreeSet<String>) -> Self {
        Self { take, take_all: false }
    }
}
