//! The target `helm`: a helm release for each service, rendered and installed by the helm program.
//!
//! helm takes a chart and not the bytes of a plan. The plan therefore holds what the chart was rendered to, twice, and the
//! same way; what helm stored afterwards is compared with it.

mod adoption;
mod archive;
mod changes;
mod chart_causes;
mod chart_folder;
mod chart_lines;
mod dependencies;
mod fixed;
mod hooks;
mod image_values;
mod plan;
mod planning;
mod program;
mod proof;
mod removed;
mod render;
mod revision;
mod schema_references;
mod settled;
mod size;
mod stored;
mod target;
mod unchanged;
mod upgrading;
mod whole_root;

pub use chart_causes::ChartCause;
pub use image_values::{FoundImageValues, ImageValues, find_image_values};
pub(crate) use plan::of_chart;
pub use plan::{HelmPlan, PlannedRelease, ReleaseAction};
pub use program::{HelmMajor, HelmProgram, HelmVersion};
pub use proof::HelmProof;
pub use removed::LeftRelease;
pub(crate) use removed::left_releases;
pub use render::plan_from_nothing;
pub(crate) use render::{in_parallel, render_stable, render_upgrades, run_blocking, words_of};
pub use target::{AppliedRelease, HelmApplied, HelmTarget};
