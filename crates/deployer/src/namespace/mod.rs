//! The namespace of an environment in a cluster: what the targets `helm` and `apply` share, which write it in two ways.
//!
//! To whom it belongs, the lease, what objects would change there, whether they are what a request asks for, the wait for
//! them, and the proof of what runs.

mod added;
mod at_once;
mod autoscalers;
mod changes;
mod dossier;
mod endpoints;
mod environment;
mod foreign_fields;
mod inspect;
mod jobs;
mod leasing;
mod left_behind;
mod live;
mod objects;
mod removal;
mod rendering;
mod running;
mod superseding;
mod templates;
mod wait;
mod writing;

pub use added::Sidecar;
pub(crate) use at_once::{AT_ONCE, at_most, at_once};
pub(crate) use autoscalers::{Autoscaled, autoscaler_kind};
pub(crate) use changes::{between, image_changes};
pub use dossier::{Dossier, Failure, FailureCause};
pub(crate) use endpoints::unproven_endpoints;
pub(crate) use environment::PlannedRequest;
pub use environment::{EnvironmentNamespace, LeftLease};
pub(crate) use foreign_fields::foreign_fields;
pub use foreign_fields::{Foreign, ForeignFields};
pub(crate) use inspect::{ImageFault, ImageFaults, Inspection, LabelFault, image_faults, inspect, inspect_last_hooks};
pub use jobs::AwaitedJobs;
pub(crate) use jobs::{JobsByLabel, JobsOf, ending_job, permissions_for_jobs};
pub use leasing::TakenLease;
pub use left_behind::{ClusterTargetKind, LeftBehind, refusal_of_left};
pub(crate) use live::{
    Live, compare, content, content_until_deleted, is_immutable, is_made_by, is_refusal, missing_namespace,
    missing_references, placed, refusal, refused_by_rule, unserved_kinds,
};
pub(crate) use objects::{labelled_objects, live_objects, removes_itself};
pub(crate) use removal::still_there;
pub(crate) use rendering::{HOOK, Rendering};
pub(crate) use running::{Deployed, containers, running};
pub use running::{EndingPod, RunningContainer};
pub use superseding::Superseding;
pub(crate) use templates::edited_images;
pub(crate) use wait::Expected;
pub use wait::NotAwaited;
pub(crate) use writing::MayWrite;
